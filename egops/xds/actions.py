"""What a route does with a request: clusters with their owners, redirect, or direct response."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct, field

from egops.xds.names import INVALID_BACKEND
from egops.xds.owners import Own, Owner, cluster_name_owner

if TYPE_CHECKING:
    from egops.xds.config_dump import Route
    from egops.xds.owners import Source

EMPTY = Raw()


class _Weighted(Struct, gc=False):
    name: str = ""
    cluster_header: str = ""
    weight: int = 0


class _WeightedClusters(Struct, gc=False):
    clusters: list[_Weighted] = []


class _Mirror(Struct, gc=False):
    cluster: str = ""
    cluster_header: str = ""


class _Regex(Struct, gc=False):
    regex: str = ""


class _RegexRewrite(Struct, gc=False):
    pattern: _Regex = msgspec.field(default_factory=_Regex)
    substitution: str = ""


class _RetryPolicy(Struct, gc=False):
    retry_on: str = ""
    num_retries: int = 1  # Envoy's default
    per_try_timeout: str = ""


class _RouteAction(Struct, gc=False):
    cluster: str = ""
    cluster_header: str = ""
    weighted_clusters: _WeightedClusters | None = None
    cluster_specifier_plugin: str = ""
    inline_cluster_specifier_plugin: Raw = EMPTY
    cluster_not_found_response_code: str = ""
    request_mirror_policies: list[_Mirror] = []
    prefix_rewrite: str = ""
    regex_rewrite: _RegexRewrite | None = None
    path_rewrite: str = ""
    path_rewrite_policy: Raw = EMPTY
    host_rewrite_literal: str = ""
    auto_host_rewrite: bool = False
    host_rewrite_header: str = ""
    timeout: str = ""
    retry_policy: _RetryPolicy | None = None


class _Redirect(Struct, gc=False):
    scheme_redirect: str = ""
    https_redirect: bool = False
    host_redirect: str = ""
    port_redirect: int = 0
    path_redirect: str = ""
    prefix_rewrite: str = ""
    regex_rewrite: _RegexRewrite | None = None
    response_code: str = ""
    strip_query: bool = False


class _Direct(Struct, gc=False):
    status: int = 0
    body: Raw = EMPTY
    body_format: Raw = EMPTY


class Backend(Struct, frozen=True, gc=False):
    """A backendRef as its rule writes it."""

    kind: str
    namespace: str
    name: str
    port: int | None
    weight: int = 1


class Target(Struct, frozen=True, gc=False, omit_defaults=True):
    """A cluster that requests go to; `share` is its part of the traffic, 0 to 1.

    `backends` are known where the rule's object is at hand.
    """

    name: str
    weight: int | None = None
    share: float = 1.0
    owner: Owner | None = None
    note: str = ""
    backends: tuple[Backend, ...] = ()


class Redirect(Struct, frozen=True, gc=False, omit_defaults=True):
    """Where a redirect points to; an empty part stays as it was asked."""

    status: int = 301
    scheme: str = ""
    host: str = ""
    port: int = 0
    path: str = ""
    prefix: str = ""
    regex: str = ""


class DirectResponse(Struct, frozen=True, gc=False, omit_defaults=True):
    """An answer by Envoy itself.

    `by` is `HTTPRouteFilter` (somebody asked for it), `Envoy Gateway` (its own, for broken
    configuration) or empty: the dump alone does not tell. `reason` says more.
    """

    status: int
    body: bool = False
    by: str = ""
    reason: str = ""


class Action(Struct, frozen=True, gc=False, omit_defaults=True):
    """What happens to a request; `type` says which of the fields is set."""

    type: str = ""
    clusters: tuple[Target, ...] = ()
    redirect: Redirect | None = None
    direct_response: DirectResponse | None = field(default=None, name="directResponse")
    invalid_share: float = field(default=0.0, name="invalidShare")
    invalid_status: int = field(default=0, name="invalidStatus")
    mirrors: tuple[Target, ...] = ()
    rewrite_path: str = field(default="", name="rewritePath")
    rewrite_host: str = field(default="", name="rewriteHost")
    timeout: str = ""
    retries: int = 0
    retry_on: str = field(default="", name="retryOn")
    other: str = ""

    def __str__(self) -> str:
        """Return the action in one line."""
        if len(self.clusters) == 1:
            return self.clusters[0].name
        if self.clusters:
            return ", ".join(f"{target.name} ({target.share:.0%})" for target in self.clusters)
        if self.redirect is not None:
            return f"redirect {self.redirect.status} {_redirect_target(self.redirect)}".rstrip()
        if self.direct_response is not None:
            by = f" by {self.direct_response.by}" if self.direct_response.by else ""
            return f"answer {self.direct_response.status}{by}"
        return self.other or self.type


def _redirect_target(redirect: Redirect) -> str:
    scheme = f"{redirect.scheme}://" if redirect.scheme else ""
    port = f":{redirect.port}" if redirect.port else ""
    path = redirect.path or (f"{redirect.prefix}…" if redirect.prefix else "") or redirect.regex
    return f"{scheme}{redirect.host}{port}{path}"


_REDIRECTS = {
    "MOVED_PERMANENTLY": 301, "FOUND": 302, "SEE_OTHER": 303, "TEMPORARY_REDIRECT": 307,
    "PERMANENT_REDIRECT": 308,
}  # fmt: skip
# the enum's default, 503, is not printed
_NOT_FOUND = {"": 503, "SERVICE_UNAVAILABLE": 503, "NOT_FOUND": 404, "INTERNAL_SERVER_ERROR": 500}
OWN_STATUSES = {
    500: "Envoy Gateway answers so when a rule has no valid backendRef left, or one of its filters"
    " or a policy that acts on it is invalid",
    503: "Envoy Gateway answers so when no backend of a rule has a ready endpoint (1.6 on)",
}

_decode_route = msgspec.json.Decoder(_RouteAction).decode
_decode_redirect = msgspec.json.Decoder(_Redirect).decode
_decode_direct = msgspec.json.Decoder(_Direct).decode


def action_of(route: Route, source: Source | None = None) -> Action:
    """Return what a route does; `source` is the rule that made it, if that is known."""
    try:
        if route.route:
            return _forward(_decode_route(route.route), source)
        if route.redirect:
            return Action("redirect", redirect=_redirect(_decode_redirect(route.redirect)))
        if route.direct_response:
            answer = _direct(_decode_direct(route.direct_response))
            return Action("direct_response", direct_response=answer)
    except msgspec.MsgspecError as exc:
        return Action("unknown", other=f"unreadable: {exc}")
    for name in ("filter_action", "non_forwarding_action"):
        if getattr(route, name):
            return Action(name)
    return Action("unknown", other="no action")


def _forward(found: _RouteAction, source: Source | None) -> Action:
    retry = found.retry_policy
    if found.cluster and _is_plain(found):
        return Action(
            "route",
            (_target_of_rule(found.cluster, source),),
            invalid_share=1.0 if found.cluster == INVALID_BACKEND else 0.0,
            timeout=found.timeout,
            retries=retry.num_retries if retry else 0,
            retry_on=retry.retry_on if retry else "",
        )
    targets, invalid = _targets(found)
    return Action(
        "route",
        targets,
        invalid_share=invalid,
        invalid_status=_NOT_FOUND.get(found.cluster_not_found_response_code, 0) if invalid else 0,
        mirrors=tuple(
            target_of(mirror.cluster or f"<header {mirror.cluster_header}>")
            for mirror in found.request_mirror_policies
        ),
        rewrite_path=_rewrite_path(found),
        rewrite_host=found.host_rewrite_literal
        or ("<the backend's hostname>" if found.auto_host_rewrite else "")
        or (f"<header {found.host_rewrite_header}>" if found.host_rewrite_header else ""),
        timeout=found.timeout,
        retries=retry.num_retries if retry else 0,
        retry_on=retry.retry_on if retry else "",
        other="" if targets else "a cluster specifier of Envoy",
    )


def _target_of_rule(name: str, source: Source | None) -> Target:
    """Return the one cluster of a route; it is its own rule's nearly always."""
    if source is not None and name == (
        f"{source.kind.lower()}/{source.namespace}/{source.name}/rule/{source.rule}"
    ):
        owner = Owner(source.kind, source.namespace, source.name, "rule", source.rule)
        return Target(name, owner=owner)
    return target_of(name)


def _is_plain(found: _RouteAction) -> bool:
    return not (
        found.request_mirror_policies
        or found.prefix_rewrite
        or found.regex_rewrite
        or found.path_rewrite
        or found.host_rewrite_literal
        or found.auto_host_rewrite
        or found.host_rewrite_header
    )


def _rewrite_path(found: _RouteAction) -> str:
    if found.regex_rewrite is not None:
        return f"s/{found.regex_rewrite.pattern.regex}/{found.regex_rewrite.substitution}/"
    return found.path_rewrite or found.prefix_rewrite


def _targets(found: _RouteAction) -> tuple[tuple[Target, ...], float]:
    """Return the clusters, and the share of the traffic that no backend gets."""
    if found.weighted_clusters is None:
        name = found.cluster or (f"<header {found.cluster_header}>" if found.cluster_header else "")
        target = (target_of(name),) if name else ()
        return target, 1.0 if name == INVALID_BACKEND else 0.0
    entries = found.weighted_clusters.clusters
    total = sum(entry.weight for entry in entries)
    targets, invalid = [], 0.0
    for entry in entries:
        share = entry.weight / total if total else 0.0
        name = entry.name or f"<header {entry.cluster_header}>"
        targets.append(target_of(name, entry.weight, share))
        if name == INVALID_BACKEND:
            invalid += share
    return tuple(targets), invalid


@lru_cache(maxsize=4096)
def target_of(name: str, weight: int | None = None, share: float = 1.0) -> Target:
    """Return a cluster with the owner that its name tells."""
    owner = cluster_name_owner(name)
    if isinstance(owner, Own):
        return Target(name, weight, share, None, owner.purpose)
    return Target(name, weight, share, owner)


def _redirect(found: _Redirect) -> Redirect:
    regex = found.regex_rewrite
    return Redirect(
        _REDIRECTS.get(found.response_code, 301),
        found.scheme_redirect or ("https" if found.https_redirect else ""),
        found.host_redirect,
        found.port_redirect,
        found.path_redirect,
        found.prefix_rewrite,
        f"s/{regex.pattern.regex}/{regex.substitution}/" if regex else "",
    )


def _direct(found: _Direct) -> DirectResponse:
    body: Any = found.body or found.body_format
    if body or found.status not in OWN_STATUSES:
        return DirectResponse(found.status, bool(body), "HTTPRouteFilter")
    return DirectResponse(
        found.status, reason=f"{OWN_STATUSES[found.status]}; an HTTPRouteFilter may ask for it too"
    )
