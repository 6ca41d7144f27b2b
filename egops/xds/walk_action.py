"""What a route does with a request: the answer Envoy gives itself, or where it sends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from egops.xds import paths
from egops.xds.config_dump import plain
from egops.xds.match_request import decode
from egops.xds.match_template import rewrite
from egops.xds.match_text import replace_all

if TYPE_CHECKING:
    from collections.abc import Collection

    from egops.xds.match_request import Seen
    from egops.xds.match_table import Compiled

REDIRECTS = {
    "MOVED_PERMANENTLY": 301,
    "FOUND": 302,
    "SEE_OTHER": 303,
    "TEMPORARY_REDIRECT": 307,
    "PERMANENT_REDIRECT": 308,
}
NOT_FOUND = {"SERVICE_UNAVAILABLE": 503, "NOT_FOUND": 404, "INTERNAL_SERVER_ERROR": 500}


class Action(NamedTuple):
    """`outcome` is `route`, `redirect` or `direct_response`; status None is the backend's."""

    outcome: str
    status: int | None = None
    location: str | None = None


def act(compiled: Compiled, seen: Seen, clusters: Collection[str] | None) -> Action:
    """Return what the route does; `clusters` are the names that exist, or None if unknown."""
    route = compiled.route
    if route.direct_response:
        return Action("direct_response", plain(route.direct_response).get("status"))
    if route.redirect:
        redirect = plain(route.redirect)
        status = REDIRECTS.get(redirect.get("response_code", ""), 301)
        told = seen.path and not redirect.get("path_rewrite")  # a format string: made by Envoy
        target = location(compiled, redirect, seen) if told else None
        return Action("redirect", status, target)
    if route.route:
        return Action("route", _missing(plain(route.route), seen, clusters))
    if route.non_forwarding_action:
        return Action("route", 503)
    return Action("route")


def _missing(action: dict[str, Any], seen: Seen, clusters: Collection[str] | None) -> int | None:
    """Return the status Envoy answers with because no cluster can take the request."""
    if clusters is None:
        return None
    code = NOT_FOUND.get(action.get("cluster_not_found_response_code", ""), 503)
    names: list[str] | None = None
    if isinstance(name := action.get("cluster"), str):
        names = [name]
    elif isinstance(name := action.get("cluster_header"), str):
        lines = seen.fields.lines.get(name.lower().encode("utf-8"))
        names = [decode(lines[0])] if lines else [""]
    elif isinstance(weighted := action.get("weighted_clusters"), dict):
        names = [
            entry.get("name", "")
            for entry in weighted.get("clusters", [])
            if isinstance(entry, dict) and entry.get("weight") and "cluster_header" not in entry
        ]
    if names and all(name not in clusters for name in names):
        return code
    return None


def tls_redirect(seen: Seen) -> str:
    """Return where a virtual host that requires TLS sends a plain request."""
    return decode(b"https://" + seen.authority + seen.path)


# ------------------------------------------------------------------ redirects


def location(compiled: Compiled, redirect: dict[str, Any], seen: Seen) -> str:
    """Return the `location` of a redirect."""
    scheme = redirect.get("scheme_redirect") or ("https" if redirect.get("https_redirect") else "")
    scheme = (scheme or seen.scheme).lower() if redirect.get("scheme_redirect") else scheme or seen.scheme  # noqa: E501  # fmt: skip
    port = redirect.get("port_redirect") or 0
    port_text = f":{port}" if port else ""
    host = redirect.get("host_redirect", "").encode("utf-8")
    host = host or _host(seen, scheme, has_port=bool(port))
    path = _redirect_path(compiled, redirect, seen)
    if not path.startswith(b"/"):
        path = b"/" + path
    return f"{scheme}://{decode(host)}{port_text}{decode(path)}"


def _redirect_path(compiled: Compiled, redirect: dict[str, Any], seen: Seen) -> bytes:
    fixed = str(redirect.get("path_redirect", "")).encode("utf-8")
    strip = bool(redirect.get("strip_query"))
    if fixed:
        if b"?" in fixed or strip:
            return fixed
        return fixed + paths.split_query(seen.path)[1]
    path = seen.path
    if isinstance(rewritten := redirect.get("regex_rewrite"), dict):
        path = _regex_rewrite(rewritten, path)
    elif prefix := redirect.get("prefix_rewrite"):
        path = _prefix_rewrite(compiled, prefix.encode("utf-8"), seen)
    return paths.split_query(path)[0] if strip else path


def _host(seen: Seen, scheme: str, *, has_port: bool) -> bytes:
    host = seen.authority
    at = host.rfind(b"]:") if host.startswith(b"[") else host.rfind(b":")
    if at < 0:
        return host
    at += host.startswith(b"[")
    port, received = host[at:], seen.forwarded_proto
    drop = has_port
    if scheme != received:
        drop |= (received.lower(), port) in (("https", b":443"), ("http", b":80"))
    return host[:at] if drop else host


# ------------------------------------------------------------------ rewrites


def _regex_rewrite(spec: dict[str, Any], path: bytes) -> bytes:
    bare, query = paths.split_query(path)
    pattern = spec.get("pattern")
    regex = pattern.get("regex", "") if isinstance(pattern, dict) else ""
    done = replace_all(regex, spec.get("substitution", ""), bare)
    return path if done is None else done + query


def _prefix_rewrite(compiled: Compiled, replacement: bytes, seen: Seen) -> bytes:
    return replacement + seen.path[_matched(compiled, seen) :]


def _matched(compiled: Compiled, seen: Seen) -> int:
    """Return how much of the path the route's path matcher stands for."""
    spec = compiled.spec
    for value in (spec.path, spec.path_separated_prefix, spec.prefix):
        if value is not None:
            return len(value.encode("utf-8"))
    return len(paths.split_query(seen.path)[0])


def upstream_path(compiled: Compiled, action: dict[str, Any], seen: Seen) -> bytes:
    """Return the path that the backend gets."""
    if prefix := action.get("prefix_rewrite"):
        return _prefix_rewrite(compiled, prefix.encode("utf-8"), seen)
    if isinstance(spec := action.get("regex_rewrite"), dict):
        return _regex_rewrite(spec, seen.path)
    policy = action.get("path_rewrite_policy")
    config = policy.get("typed_config") if isinstance(policy, dict) else None
    target = config.get("path_template_rewrite") if isinstance(config, dict) else None
    if isinstance(target, str) and compiled.spec.path_match_policy:
        matcher = plain(compiled.spec.path_match_policy).get("typed_config", {})
        bare, query = paths.split_query(seen.path)
        done = rewrite(matcher.get("path_template", ""), target, bare)
        return seen.path if done is None else done + query
    return seen.path


def _weighted(action: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the weighted clusters of a route that get any traffic."""
    weighted = action.get("weighted_clusters")
    clusters = weighted.get("clusters") if isinstance(weighted, dict) else None
    return [entry for entry in clusters or [] if isinstance(entry, dict) and entry.get("weight")]


def weighted_hosts(action: dict[str, Any]) -> dict[str, str]:
    """Return the hosts that single weighted clusters ask for; they win over the route's own."""
    return {
        entry.get("name", ""): str(entry["host_rewrite_literal"])
        for entry in _weighted(action)
        if entry.get("host_rewrite_literal")
    }


def upstream_host(action: dict[str, Any], seen: Seen) -> bytes | None:
    """Return the authority that the backend gets; None if cluster or endpoint decide it."""
    if chosen := weighted_hosts(action):
        found = set(chosen.values())
        every = len(chosen) == len(_weighted(action))
        return found.pop().encode("utf-8") if every and len(found) == 1 else None
    if literal := action.get("host_rewrite_literal"):
        return str(literal).encode("utf-8")
    if name := action.get("host_rewrite_header"):
        lines = seen.fields.lines.get(str(name).lower().encode("utf-8"))
        return (lines[0] if lines else b"") or seen.authority
    if isinstance(spec := action.get("host_rewrite_path_regex"), dict):
        bare = paths.split_query(seen.path)[0]
        pattern = spec.get("pattern")
        regex = pattern.get("regex", "") if isinstance(pattern, dict) else ""
        return replace_all(regex, spec.get("substitution", ""), bare) or seen.authority
    return None if action.get("auto_host_rewrite") else seen.authority
