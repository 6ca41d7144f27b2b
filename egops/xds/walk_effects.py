"""What happens to a request on a route, in order: filters, rewrites, backends, timeouts, retries.

None of it depends on the request but rewrites, so the steps of a route are made once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egops.xds.actions import action_of
from egops.xds.config_dump import Filter, plain
from egops.xds.match_request import decode
from egops.xds.owners import Owner, filter_owner
from egops.xds.walk_action import upstream_host, upstream_path, weighted_hosts
from egops.xds.walk_filters import SETTLED, is_on, per_route

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.xds.actions import Target
    from egops.xds.config_dump import LoadAssignment
    from egops.xds.match_request import Seen
    from egops.xds.match_table import Compiled
    from egops.xds.walk_manager import Manager

Step = dict[str, Any]

WORDS = {
    "Cors": "CORS",
    "JwtAuthn": "JWT authentication",
    "JwtAuthentication": "JWT authentication",
    "ApiKeyAuth": "API key authentication",
    "BasicAuth": "basic authentication",
    "OAuth2": "OIDC login",
    "ExtAuthz": "external authorization",
    "RBAC": "authorization",
    "RateLimit": "global rate limit",
    "LocalRateLimit": "local rate limit",
    "ExternalProcessor": "external processing",
    "Wasm": "Wasm",
    "Lua": "Lua",
    "Compressor": "compression",
    "Buffer": "request buffering",
    "HTTPFault": "fault injection",
    "CustomResponse": "response override",
    "HealthCheck": "health check",
    "StatefulSession": "session persistence",
    "CredentialInjector": "credential injection",
    "HeaderMutation": "header mutation",
    "GrpcWeb": "gRPC-Web",
    "CsrfPolicy": "CSRF protection",
    "BandwidthLimit": "bandwidth limit",
    "AdmissionControl": "admission control",
}
HEALTHY = ("", "HEALTHY", "UNKNOWN", "DEGRADED")
PASSIVE = ("Router", "GrpcStats", "FilterConfig")


def filter_steps(manager: Manager, route: Compiled) -> Iterator[Step]:
    """Yield the filters that act on a route, in the order of the chain."""
    for entry in manager.http_filters:
        own = per_route(route, entry.name)
        if entry.type in PASSIVE or not is_on(entry, own):
            continue
        if entry.type == "RateLimit" and not any(descriptors(route, own)):
            continue  # nothing is counted, so the service is not asked
        yield _filter_step(entry, own, route)


def _filter_step(entry: Filter, own: Any, route: Compiled) -> Step:
    owner = filter_owner(entry.name)
    what = WORDS.get(entry.type, entry.type or entry.name)
    policy = (
        f" from {owner.kind} {owner.namespace}/{owner.name}" if isinstance(owner, Owner) else ""
    )
    step: Step = {"stage": "filter", "text": f"{what}{policy}", "filter": entry.name}
    if isinstance(owner, Owner):
        step["policy"] = {"kind": owner.kind, "namespace": owner.namespace, "name": owner.name}
    if entry.type == "RateLimit" and (limits := list(descriptors(route, own))):
        step["descriptors"] = limits
        step["text"] += ": " + "; ".join(limits)
    elif entry.type == "LocalRateLimit" and (bucket := _bucket(own)):
        step["text"] += f": {bucket}"
    elif entry.type in ("JwtAuthn", "JwtAuthentication") and isinstance(own, dict):
        if name := own.get("requirement_name"):
            step["text"] += f": requirement {name}"
    elif entry.type == "HTTPFault":
        step["text"] += _fault(own)
    if entry.type not in SETTLED:
        step["may_change_route"] = True
    return step


def _bucket(own: Any) -> str:
    bucket = own.get("token_bucket") if isinstance(own, dict) else None
    if not isinstance(bucket, dict):
        return ""
    tokens = bucket.get("tokens_per_fill") or bucket.get("max_tokens", 0)
    return f"{tokens} requests each {bucket.get('fill_interval', '?')}"


def _fault(own: Any) -> str:
    if not isinstance(own, dict):
        return ""
    found = []
    if isinstance(abort := own.get("abort"), dict):
        found.append(f"answers {abort.get('http_status', '?')} to {_percent(abort)} of requests")
    if isinstance(delay := own.get("delay"), dict):
        found.append(f"delays {_percent(delay)} of requests by {delay.get('fixed_delay', '?')}")
    return ": " + ", ".join(found) if found else ""


def _percent(fault: Mapping[str, Any]) -> str:
    percentage = fault.get("percentage")
    percentage = percentage if isinstance(percentage, dict) else {}
    of = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
    share = percentage.get("numerator", 0) / of.get(percentage.get("denominator", "HUNDRED"), 100)
    return f"{share * 100:g} %"


def descriptors(route: Compiled, own: Any) -> Iterator[str]:
    """Yield the descriptors a route sends to the rate limit service, with their cost."""
    action = plain(route.route.route) if route.route.route else {}
    limits = own.get("rate_limits") if isinstance(own, dict) else None
    for limit in limits or (action.get("rate_limits") if isinstance(action, dict) else None) or []:
        if isinstance(limit, dict):
            entries = [_descriptor(entry) for entry in limit.get("actions", [])]
            yield " + ".join(entries) + _cost(limit)


def _descriptor(entry: Any) -> str:
    if not isinstance(entry, dict) or not entry:
        return "?"
    kind, config = next(iter(entry.items()))
    config = config if isinstance(config, dict) else {}
    key = config.get("descriptor_key", "")
    value = config.get("descriptor_value", "")
    if kind == "request_headers":
        return f"header {config.get('header_name', '')} as {key}"
    if kind in ("header_value_match", "query_parameter_value_match"):
        return f"{key or 'header_match'}={value}"
    if kind == "masked_remote_address":
        return f"client network /{config.get('v4_prefix_mask_len', 32)}"
    return f"{key}={value}".strip("=") or kind.replace("_", " ")


def _cost(limit: Mapping[str, Any]) -> str:
    hits = limit.get("hits_addend")
    late = ", counted when the response is done" if limit.get("apply_on_stream_done") else ""
    if not isinstance(hits, dict):
        return late
    return f" (cost {hits.get('format') or hits.get('number', 0)}{late})"


def action_steps(
    route: Compiled, endpoints: Mapping[str, LoadAssignment], known: frozenset[str] | None
) -> Iterator[Step]:
    """Yield where the route sends requests and what it does about time, failure and copies."""
    if not route.route.route:
        return
    action = plain(route.route.route)
    described = action_of(route.route)
    for target in described.clusters:
        yield _backend(target, endpoints, known)
    if timeout := action.get("timeout"):
        none = timeout in ("0s", "0")
        yield {"stage": "timeout", "text": "no timeout" if none else f"timeout {timeout}"}
    else:
        yield {"stage": "timeout", "text": "timeout 15s (Envoy's default)"}
    if isinstance(retry := action.get("retry_policy"), dict):
        yield {"stage": "retry", "text": _retry(retry)}
    for mirror in action.get("request_mirror_policies") or []:
        if isinstance(mirror, dict):
            yield {"stage": "mirror", "text": f"copied to {mirror.get('cluster', '?')}"}


def _retry(retry: Mapping[str, Any]) -> str:
    times = retry.get("num_retries", 1)
    text = f"up to {times} retries on {retry.get('retry_on', '?')}"
    if codes := retry.get("retriable_status_codes"):
        text += f" ({', '.join(map(str, codes))})"
    if each := retry.get("per_try_timeout"):
        text += f", {each} for each try"
    return text


def _backend(
    target: Target, endpoints: Mapping[str, LoadAssignment], known: frozenset[str] | None
) -> Step:
    name = target.name
    share = f", {target.share:.0%} of requests" if target.weight is not None else ""
    step: Step = {"stage": "backend", "text": f"cluster {name}{share}", "cluster": name}
    if target.weight is not None:
        step["weight"] = target.weight
    if known is not None and name not in known:
        step["text"] += f": Envoy has no such cluster{_note(target.note)}"
    elif (assignment := endpoints.get(name)) is not None:
        found = [
            endpoint for locality in assignment.endpoints for endpoint in locality.lb_endpoints
        ]
        healthy = [e for e in found if e.health_status in HEALTHY]
        step["endpoints"] = {"total": len(found), "healthy": len(healthy)}
        step["text"] += f": {len(healthy)} of {len(found)} endpoints healthy"
    return step


def _note(note: str) -> str:
    return f" ({note})" if note else ""


def rewrite_steps(route: Compiled, seen: Seen) -> Iterator[Step]:
    """Yield the path and the host that the backend gets, where they differ from the request's."""
    action = plain(route.route.route) if route.route.route else None
    if not isinstance(action, dict):
        return
    path, host = upstream_path(route, action, seen), upstream_host(action, seen)
    if written := action.get("path_rewrite"):
        yield {"stage": "rewrite", "text": f"path becomes what {written} stands for"}
    elif path != seen.path:
        yield {"stage": "rewrite", "text": f"path becomes {decode(path)}", "path": decode(path)}
    if written := action.get("host_rewrite"):
        yield {"stage": "rewrite", "text": f"host becomes what {written} stands for"}
    elif host is None and (hosts := weighted_hosts(action)):
        for cluster, name in hosts.items():
            text = f"host becomes {name} for cluster {cluster}"
            yield {"stage": "rewrite", "text": text, "host": name, "cluster": cluster}
    elif host is None:
        yield {"stage": "rewrite", "text": "host becomes the endpoint's name"}
    elif host != seen.authority:
        yield {"stage": "rewrite", "text": f"host becomes {decode(host)}", "host": decode(host)}
