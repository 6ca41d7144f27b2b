"""The connection manager that Envoy Gateway sets up for a listener: what decides routing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egops.gatewayapi import (
    BACKEND_TRAFFIC_POLICY,
    CLIENT_TRAFFIC_POLICY,
    ENVOY_EXTENSION_POLICY,
    SECURITY_POLICY,
)
from egops.routejoin import acting_on
from egops.snapshot import items, number, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.listeners import Listener
    from egops.snapshot import Kind, Resource, Snapshot

API = "type.googleapis.com/envoy."
SLASHES = {
    "KeepUnchanged": "KEEP_UNCHANGED",
    "RejectRequest": "REJECT_REQUEST",
    "UnescapeAndForward": "UNESCAPE_AND_FORWARD",
    "UnescapeAndRedirect": "UNESCAPE_AND_REDIRECT",
}
UNDERSCORES = {"Allow": "ALLOW", "DropHeader": "DROP_HEADER", "RejectRequest": "REJECT_REQUEST"}
# filters by the policy's field that asks for them, in the order of the chain
FILTERS: tuple[tuple[Kind, str, str, str], ...] = (
    (BACKEND_TRAFFIC_POLICY, "faultInjection", "fault", "HTTPFault"),
    (SECURITY_POLICY, "cors", "cors", "Cors"),
    (SECURITY_POLICY, "extAuth", "ext_authz", "ExtAuthz"),
    (SECURITY_POLICY, "apiKeyAuth", "api_key_auth", "ApiKeyAuth"),
    (SECURITY_POLICY, "basicAuth", "basic_auth", "BasicAuth"),
    (SECURITY_POLICY, "oidc", "oauth2", "OAuth2"),
    (SECURITY_POLICY, "jwt", "jwt_authn", "JwtAuthentication"),
    (ENVOY_EXTENSION_POLICY, "lua", "lua", "Lua"),
    (ENVOY_EXTENSION_POLICY, "extProc", "ext_proc", "ExternalProcessor"),
    (ENVOY_EXTENSION_POLICY, "wasm", "wasm", "Wasm"),
    (BACKEND_TRAFFIC_POLICY, "requestBuffer", "buffer", "Buffer"),
    (SECURITY_POLICY, "authorization", "rbac", "RBAC"),
    (BACKEND_TRAFFIC_POLICY, "rateLimit.local", "local_ratelimit", "LocalRateLimit"),
    (BACKEND_TRAFFIC_POLICY, "rateLimit.global", "ratelimit", "RateLimit"),
    (BACKEND_TRAFFIC_POLICY, "responseOverride", "custom_response", "CustomResponse"),
    (BACKEND_TRAFFIC_POLICY, "compression", "compressor", "Compressor"),
)


def settings(listener: Listener, snapshot: Snapshot) -> dict[str, Any]:
    """Return the fields of the listener's connection manager that decide about requests."""
    policy = next(iter(_client_policy(listener, snapshot)), None)
    spec: Mapping[str, Any] = policy.spec if policy is not None else {}
    path, headers = section(spec, "path"), section(spec, "headers")
    made: dict[str, Any] = {
        "@type": API + "extensions.filters.network.http_connection_manager.v3."
        "HttpConnectionManager",
        "stat_prefix": f"{listener.protocol.lower()}-{listener.port}",
        "normalize_path": True,
        "merge_slashes": not path.get("disableMergeSlashes", False),
        "path_with_escaped_slashes_action": SLASHES.get(
            text(path, "escapedSlashesAction"), "UNESCAPE_AND_REDIRECT"
        ),
        "common_http_protocol_options": {
            "headers_with_underscores_action": UNDERSCORES.get(
                text(headers, "withUnderscoresAction"), "REJECT_REQUEST"
            )
        },
        "use_remote_address": True,
        "preserve_external_request_id": bool(headers.get("preserveXRequestID", False)),
    }
    _detect(made, section(spec, "clientIPDetection"))
    if early := _early(section(headers, "earlyRequestHeaders")):
        made["early_header_mutation_extensions"] = [early]
    if isinstance(old := section(spec, "http1").get("http10"), dict):
        made["http_protocol_options"] = {"accept_http_10": True}
        if old.get("useDefaultHost") and listener.hostname and "*" not in listener.hostname:
            made["http_protocol_options"]["default_host_for_http_10"] = listener.hostname
    return made


def _client_policy(listener: Listener, snapshot: Snapshot) -> list[Resource]:
    for owner in dict.fromkeys((listener.owner.ref, listener.gateway.ref)):
        target = snapshot.get(owner)
        if target and (found := acting_on(target, listener.name, CLIENT_TRAFFIC_POLICY, snapshot)):
            return found
    return []


def _detect(made: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    kind = API + "extensions.http.original_ip_detection."
    if forwarded := section(wanted, "xForwardedFor"):
        hops = number(forwarded, "numTrustedHops")
        config: dict[str, Any] = {"@type": kind + "xff.v3.XffConfig", "xff_num_trusted_hops": hops}
    elif custom := section(wanted, "customHeader"):
        config = {
            "@type": kind + "custom_header.v3.CustomHeaderConfig",
            "header_name": text(custom, "name"),
        }
        if custom.get("failClosed"):
            config["reject_with_status"] = {"code": "Forbidden"}
    else:
        return
    made["use_remote_address"] = False
    made["original_ip_detection_extensions"] = [{"name": "detection", "typed_config": config}]


def _early(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mutation of request headers before routing, or nothing."""
    mutations: list[dict[str, Any]] = []
    for key, action in (
        ("add", "APPEND_IF_EXISTS_OR_ADD"),
        ("set", "OVERWRITE_IF_EXISTS_OR_ADD"),
    ):
        for _, header in items(wanted, key):
            pair = {"key": text(header, "name"), "value": text(header, "value")}
            mutations.append({"append": {"header": pair, "append_action": action}})
    mutations += [{"remove": name} for name in wanted.get("remove") or [] if name]
    if not mutations:
        return {}
    kind = "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    config = {"@type": API + kind, "mutations": mutations}
    return {"name": "envoy.http.early_header_mutation.header_mutation", "typed_config": config}


# ------------------------------------------------------------------ policies of a route


def policies_of(
    route: Resource, rule_name: str, listener: Listener | None, snapshot: Snapshot
) -> dict[Kind, Resource]:
    """Return the policy of each kind that acts on a rule behind a listener."""
    found = {}
    for kind in (SECURITY_POLICY, BACKEND_TRAFFIC_POLICY, ENVOY_EXTENSION_POLICY):
        acting = acting_on(route, rule_name, kind, snapshot)
        for owner in (listener.owner, listener.gateway) if listener and not acting else ():
            acting = acting or acting_on(owner, listener.name if listener else "", kind, snapshot)
        if acting:
            found[kind] = acting[0]
    return found


def filters(policies: Mapping[Kind, Resource]) -> Iterator[tuple[int, str, str]]:
    """Yield the filters that policies switch on: rank in the chain, name, and message."""
    for rank, (kind, path, word, message) in enumerate(FILTERS):
        policy = policies.get(kind)
        if policy is None:
            continue
        value: Any = policy.spec
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value:
            owner = f"{kind.name.lower()}/{policy.namespace}/{policy.name}"
            yield rank, f"envoy.filters.http.{word}/{owner}", message


def filter_config(message: str, name: str) -> dict[str, Any]:
    """Return what a route says to a filter: that it acts."""
    if message == "RateLimit":
        policy = "/".join(name.split("/")[2:])
        key = {"descriptor_key": "policy", "descriptor_value": policy}
        limits = [{"actions": [{"generic_key": key}]}]
        return {"@type": API + "RateLimitPerRoute", "rate_limits": limits}
    return {"@type": API + "config.route.v3.FilterConfig"}


def in_time(action: dict[str, Any], policy: Resource | None) -> None:
    """Add a policy's timeout and retries to a forwarding action that has none of its own."""
    forwarded = action.get("route")
    if policy is None or forwarded is None:
        return
    if limit := text(policy.spec, "timeout", "http", "requestTimeout"):
        forwarded.setdefault("timeout", limit)
    if retry := section(policy.spec, "retry"):
        triggers = section(retry, "retryOn").get("triggers") or []
        told = {"num_retries": number(retry, "numRetries", default=2)}
        forwarded.setdefault("retry_policy", told | {"retry_on": ",".join(triggers) or "default"})
