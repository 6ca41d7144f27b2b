"""What Envoy Gateway makes of a rule's filters and backendRefs: the action of its routes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from egops.backends import BACKEND_KINDS, fault_of
from egops.gatewayapi import GRPC_ROUTE, HTTP_ROUTE_FILTER, rule_backend_refs
from egops.snapshot import items, number, section, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egops.gatewayapi import Entry, ObjectRef
    from egops.routetables.generations import Generation
    from egops.snapshot import Snapshot

CODES = {
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}
QUIET = (
    "RequestHeaderModifier",
    "ResponseHeaderModifier",
    "RequestMirror",
    "CORS",
    "ExtensionRef",
)


@dataclass
class Rule:
    """A rule's filters, read once; `unclear` says why its action can't be known."""

    entry: Entry
    redirect: Mapping[str, Any] | None = None
    rewrite: dict[str, Any] = field(default_factory=dict)
    answer: int = 0  # the status of a direct response
    mirrors: list[int] = field(default_factory=list)
    unclear: str = ""
    cookies: list[Mapping[str, Any]] = field(default_factory=list)  # matches of HTTPRouteFilters


def read_rule(entry: Entry, snapshot: Snapshot) -> Rule:
    """Return the filters of a rule."""
    rule = Rule(entry)
    for index, body in items(entry.body, "filters"):
        kind = text(body, "type")
        if kind == "RequestRedirect" and rule.redirect is None:
            rule.redirect = section(body, "requestRedirect")
        elif kind == "URLRewrite":
            rule.rewrite |= section(body, "urlRewrite")
        elif kind == "RequestMirror":
            rule.mirrors.append(index)
        elif kind == "ExtensionRef":
            _extend(rule, section(body, "extensionRef"), snapshot)
        elif kind not in QUIET:
            rule.unclear = f"filter {kind} is not known"
    if rule.rewrite and entry.resource.kind == GRPC_ROUTE:
        rule.unclear = "releases differ in what they make of rewrites in a GRPCRoute"
    return rule


def _extend(rule: Rule, reference: Mapping[str, Any], snapshot: Snapshot) -> None:
    kind, name = text(reference, "kind"), text(reference, "name")
    if kind != HTTP_ROUTE_FILTER.name:
        rule.unclear = f"what an extension server makes of {kind} {name} is not known"
        return
    found = snapshot.find(HTTP_ROUTE_FILTER, rule.entry.resource.namespace, name)
    if found is None:
        rule.unclear = f"HTTPRouteFilter {name} is not among the manifests"
        return
    if answer := section(found.spec, "directResponse"):
        rule.answer = number(answer, "statusCode", default=200)
    for key, value in section(found.spec, "urlRewrite").items():
        rule.rewrite[key] = value
    rule.cookies += [match for _, match in items(found.spec, "matches")]


# ------------------------------------------------------------------ actions


def action_of(rule: Rule, prefix: str, port: int, generation: Generation) -> dict[str, Any]:
    """Return the action of one route.

    Args:
        rule: its rule.
        prefix: the path prefix as the object writes it, or nothing.
        port: the listener's, that redirects without a port go to.
        generation: of Envoy Gateway.
    """
    if rule.answer:
        return {"direct_response": {"status": rule.answer}}
    if rule.redirect is not None:
        return {"redirect": _redirect(rule.redirect, prefix, port, generation)}
    return {"route": _route(rule, prefix, generation)}


def fails(rule: Rule, generation: Generation, snapshot: Snapshot) -> bool:
    """Return whether Envoy Gateway answers 500 because of the rule's backendRefs."""
    backends = rule_backend_refs(rule.entry)
    faulty = [backend for backend in backends if _is_faulty(backend, snapshot)]
    third = (1, 3, 0) <= generation.since < (1, 4, 0)  # there it comes before what filters answer
    if faulty and third and rule.entry.resource.kind != GRPC_ROUTE:
        return True
    if rule.answer or rule.redirect is not None:
        return False
    if faulty and generation.any_fault_fails_rule and not third:
        return True
    weights = [
        number(backend.entry.body, "weight", default=1)
        for backend in backends
        if backend not in faulty
    ]
    return not any(weights)


def _is_faulty(backend: ObjectRef, snapshot: Snapshot) -> bool:
    """Return whether a backendRef can't resolve; of a kind that was not given, all resolve."""
    kind = backend.ref.kind if backend.ref is not None else None
    if kind in BACKEND_KINDS and not snapshot.all(kind):
        return False
    return fault_of(backend, snapshot) is not None


def _redirect(
    wanted: Mapping[str, Any], prefix: str, port: int, generation: Generation
) -> dict[str, Any]:
    made: dict[str, Any] = {}
    scheme = text(wanted, "scheme")
    if scheme:
        made["scheme_redirect"] = scheme
    if host := text(wanted, "hostname"):
        made["host_redirect"] = host
    default = {"http": 80, "https": 443}.get(scheme, port)
    chosen = number(wanted, "port", default=default)
    if chosen not in (80, 443):
        made["port_redirect"] = chosen
    path = section(wanted, "path")
    if (full := path.get("replaceFullPath")) is not None:
        made["path_redirect"] = full
    elif (replacement := path.get("replacePrefixMatch")) is not None:
        if prefix and replacement in ("", "/"):
            made["regex_rewrite"] = _without_prefix(prefix, generation)
        else:
            made["prefix_rewrite"] = replacement
    if code := CODES.get(number(wanted, "statusCode", default=302)):
        made["response_code"] = code
    return made


def _without_prefix(prefix: str, generation: Generation) -> dict[str, Any]:
    """Return the rewrite that takes a prefix away, and the slashes behind it."""
    literal = re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", prefix)
    pattern = literal if generation.quotes_prefixes else prefix
    return {"pattern": {"regex": rf"^{pattern}\/*"}, "substitution": "/"}


def _route(rule: Rule, prefix: str, generation: Generation) -> dict[str, Any]:
    route = rule.entry.resource
    index = rule.entry.path[-1]
    cluster = f"{route.kind.name.lower()}/{route.namespace}/{route.name}/rule/{index}"
    made: dict[str, Any] = {"cluster": cluster}
    if route.kind != GRPC_ROUTE:
        made["upgrade_configs"] = [{"upgrade_type": "websocket"}]
    if rule.mirrors:
        made["request_mirror_policies"] = [
            {"cluster": f"{cluster}-mirror-{number}"} for number in rule.mirrors
        ]
    _rewrite_path(made, section(rule.rewrite, "path"), prefix, generation)
    _rewrite_host(made, rule.rewrite.get("hostname"))
    _time(made, rule.entry.body, generation)
    return made


def _rewrite_path(
    made: dict[str, Any], path: Mapping[str, Any], prefix: str, generation: Generation
) -> None:
    if (full := path.get("replaceFullPath")) is not None:
        made["regex_rewrite"] = {"pattern": {"regex": "^/.*$"}, "substitution": full}
    elif isinstance(replacement := path.get("replacePrefixMatch"), str):
        if prefix and replacement in ("", "/"):
            made["regex_rewrite"] = _without_prefix(prefix, generation)
        else:
            made["prefix_rewrite"] = replacement.removesuffix("/")
    elif regex := section(path, "replaceRegexMatch"):
        made["regex_rewrite"] = {
            "pattern": {"regex": text(regex, "pattern")},
            "substitution": text(regex, "substitution"),
        }


def _rewrite_host(made: dict[str, Any], host: Any) -> None:
    if isinstance(host, str):
        made["host_rewrite_literal"] = host
    elif isinstance(host, dict) and host.get("type") == "Header":
        made["host_rewrite_header"] = text(host, "header")
    elif isinstance(host, dict) and host.get("type") == "Backend":
        made["auto_host_rewrite"] = True
    elif isinstance(host, dict) and (regex := section(host, "pathRegex")):
        made["host_rewrite_path_regex"] = {
            "pattern": {"regex": text(regex, "pattern")},
            "substitution": text(regex, "substitution"),
        }


def _time(made: dict[str, Any], rule: Mapping[str, Any], generation: Generation) -> None:
    times, retry = section(rule, "timeouts"), section(rule, "retry")
    limits = [text(times, "request")]
    if not (retry and generation.tries_apart):
        limits.insert(0, text(times, "backendRequest"))
    if limit := next(filter(None, limits), ""):
        made["timeout"] = limit
    if retry:
        made["retry_policy"] = {
            "num_retries": number(retry, "attempts", default=2),
            "retry_on": "retriable-status-codes",
            "retriable_status_codes": list(retry.get("codes") or []),
        }
