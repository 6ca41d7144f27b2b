"""The features of Envoy Gateway 1.3 and later: who asks for them, and their trace in Envoy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from egops import gatewayapi as api
from egops.features import evidence as trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from egops.features.evidence import Evidence, Scope
    from egops.snapshot import Kind

Path = tuple[str, ...]
"""A place in an object: `("spec", "rules", "*", "retry")`, where `*` is every entry of a list."""


@dataclass(frozen=True)
class Feature:
    """One feature.

    `asks` are the fields that ask for it, by kind; none where it works by itself. `live` looks for
    its trace in an Envoy; None where it leaves none there, and `note` says where it acts.
    `values` are what the field must hold, if not just anything. `ambiguous`: other fields leave the
    same trace, so it counts only where somebody asks for the feature.
    """

    name: str
    since: tuple[int, int]
    asks: tuple[tuple[Kind, Path], ...] = ()
    live: Callable[[Evidence, Scope], bool] | None = None
    note: str = ""
    values: tuple[object, ...] = ()
    ambiguous: bool = False


def _at(dotted: str) -> Path:
    return tuple(dotted.split("."))


def _asks(kind: Kind, *dotted: str) -> tuple[tuple[Kind, Path], ...]:
    return tuple((kind, _at(path)) for path in dotted)


BTP, CTP = api.BACKEND_TRAFFIC_POLICY, api.CLIENT_TRAFFIC_POLICY
SECURITY, EXTENSION = api.SECURITY_POLICY, api.ENVOY_EXTENSION_POLICY
PROXY, CONTROL = api.ENVOY_PROXY, api.ENVOY_GATEWAY
EXT_PROC, EXT_AUTHZ = b"envoy.filters.http.ext_proc", b"envoy.filters.http.ext_authz"
WASM = b"envoy.filters.http.wasm"

FEATURES: tuple[Feature, ...] = (
    Feature(
        "response-compression",
        (1, 3),
        _asks(BTP, "spec.compression", "spec.compressor"),
        trace.route_filter("compressor"),
    ),
    Feature(
        "preserve-route-order",
        (1, 3),
        _asks(PROXY, "spec.preserveRouteOrder"),
        None,
        "only the order of Envoy's routes shows it",
        (True,),
    ),
    Feature(
        "rate-limit-cost",
        (1, 3),
        _asks(BTP, "spec.rateLimit.global.rules.*.cost"),
        trace.route_text(rb'"hits_addend"'),
    ),
    Feature(
        "httproute-retry",
        (1, 3),
        _asks(api.HTTP_ROUTE, "spec.rules.*.retry"),
        trace.route_text(rb'"retry_policy"'),
        "a retry of a BackendTrafficPolicy looks the same in Envoy",
        ambiguous=True,
    ),
    Feature(
        "trusted-cidrs",
        (1, 3),
        _asks(CTP, "spec.clientIPDetection.xForwardedFor.trustedCIDRs"),
        trace.listener_text(rb'"xff_trusted_cidrs"'),
    ),
    Feature(
        "api-key-auth",
        (1, 3),
        _asks(SECURITY, "spec.apiKeyAuth"),
        trace.route_filter("api_key_auth"),
    ),
    Feature(
        "ext-auth-body",
        (1, 3),
        _asks(SECURITY, "spec.extAuth.bodyToExtAuth"),
        trace.listener_text(rb'"with_request_body"', named=EXT_AUTHZ),
    ),
    Feature(
        "remote-jwks-backend",
        (1, 3),
        _asks(
            SECURITY,
            "spec.jwt.providers.*.remoteJWKS.backendRefs",
            "spec.jwt.providers.*.remoteJWKS.backendRef",
        ),
        trace.policy_cluster("jwt"),
    ),
    Feature(
        "system-trust",
        (1, 3),
        (
            *_asks(api.BACKEND_TLS_POLICY, "spec.validation.wellKnownCACertificates"),
            *_asks(api.BACKEND, "spec.tls.wellKnownCACertificates"),
        ),
        trace.system_trust,
        ambiguous=True,  # services called by URL trust the system, too
    ),
    Feature(
        "sampling-fraction",
        (1, 3),
        _asks(PROXY, "spec.telemetry.tracing.samplingFraction"),
        trace.listener_text(rb'"random_sampling"'),
        "1.3 to 1.7 divide the percentage by 100; samplingRate leaves the same trace",
        ambiguous=True,
    ),
    Feature(
        "rule-names",
        (1, 3),
        (*_asks(api.HTTP_ROUTE, "spec.rules.*.name"), *_asks(api.GRPC_ROUTE, "spec.rules.*.name")),
        trace.rule_names,
    ),
    Feature(
        "draining-endpoints",
        (1, 3),
        (),
        trace.draining,
        "works by itself; Envoy's config dump shows draining endpoints as unhealthy",
    ),
    Feature(
        "invalid-backends-in-split",
        (1, 3),
        (),
        trace.invalid_share,
        "works by itself: the share of a broken backendRef is answered with an error",
    ),
    Feature(
        "ip-family",
        (1, 3),
        _asks(PROXY, "spec.ipFamily"),
        trace.other_family,
        "",
        ("IPv6", "DualStack"),
    ),
    Feature(
        "ext-proc-attributes",
        (1, 3),
        _asks(
            EXTENSION,
            "spec.extProc.*.processingMode.request.attributes",
            "spec.extProc.*.processingMode.response.attributes",
        ),
        trace.listener_text(rb'"(?:request|response)_attributes"', named=EXT_PROC),
    ),
    Feature(
        "ext-proc-metadata",
        (1, 3),
        _asks(EXTENSION, "spec.extProc.*.metadata"),
        trace.listener_text(rb'"metadata_options"', named=EXT_PROC),
    ),
    Feature(
        "ext-proc-mode-override",
        (1, 3),
        _asks(EXTENSION, "spec.extProc.*.processingMode.allowModeOverride"),
        trace.listener_text(rb'"allow_mode_override"\s*:\s*true', named=EXT_PROC),
        "",
        (True,),
    ),
    Feature(
        "wasm-host-env-keys",
        (1, 3),
        _asks(EXTENSION, "spec.wasm.*.env.hostKeys"),
        trace.listener_text(rb'"host_env_keys"', named=WASM),
    ),
    Feature(
        "extension-manager-message-size",
        (1, 3),
        _asks(CONTROL, "extensionManager.maxMessageSize"),
        None,
        "acts in the control plane",
    ),
    Feature(
        "extension-manager-fail-open",
        (1, 3),
        _asks(CONTROL, "extensionManager.failOpen"),
        None,
        "acts in the control plane",
        (True,),
    ),
    Feature(
        "hpa-patch",
        (1, 3),
        _asks(PROXY, "spec.provider.kubernetes.envoyHpa.patch"),
        None,
        "changes the fleet's HorizontalPodAutoscaler only",
    ),
    Feature(
        "pdb-patch",
        (1, 3),
        _asks(PROXY, "spec.provider.kubernetes.envoyPDB.patch"),
        None,
        "changes the fleet's PodDisruptionBudget only",
    ),
    Feature(
        "response-override",
        (1, 3),
        _asks(BTP, "spec.responseOverride"),
        trace.route_filter("custom_response"),
    ),
    Feature("alpn", (1, 3), _asks(CTP, "spec.tls.alpnProtocols"), trace.other_alpn),
    Feature(
        "passive-health-checks",
        (1, 3),
        _asks(BTP, "spec.healthCheck.passive"),
        trace.cluster_text("outlier_detection", rb"\{\s*\""),
        "up to 1.2 every cluster has an empty one",
    ),
    Feature(
        "policy-failure-500",
        (1, 3),
        tuple(
            ask
            for kind in (BTP, CTP, SECURITY, EXTENSION)
            for ask in _asks(kind, "status.ancestors.*.conditions.*.reason")
        ),
        trace.answers,
        "works by itself: routes of an invalid policy answer 500",
        ("Invalid",),
        ambiguous=True,  # a rule without valid backends answers so, too
    ),
    # added later
    Feature(
        "lua", (1, 4), _asks(EXTENSION, "spec.lua"), trace.route_filter("envoy.filters.http.lua")
    ),
    Feature(
        "request-buffer",
        (1, 4),
        _asks(BTP, "spec.requestBuffer"),
        trace.route_filter("envoy.filters.http.buffer"),
    ),
    Feature(
        "shared-rate-limit",
        (1, 4),
        _asks(BTP, "spec.rateLimit.global.rules.*.shared"),
        trace.shared_limits,
        "",
        (True,),
    ),
    Feature(
        "credential-injection",
        (1, 4),
        _asks(api.HTTP_ROUTE_FILTER, "spec.credentialInjection"),
        trace.any_of(
            trace.route_filter("credential_injector"),
            trace.cluster_text("typed_extension_protocol_options", rb"credential_injector"),
        ),
    ),
    Feature(
        "dynamic-resolver",
        (1, 4),
        _asks(api.BACKEND, "spec.type"),
        trace.cluster_text("cluster_type", rb"dynamic_forward_proxy"),
        "",
        ("DynamicResolver",),
    ),
    Feature(
        "zone-aware-routing",
        (1, 5),
        _asks(BTP, "spec.loadBalancer.zoneAware.preferLocal"),
        trace.cluster_text("load_balancing_policy", rb"zone_aware_lb_config"),
    ),
    Feature(
        "weighted-zones",
        (1, 8),
        _asks(BTP, "spec.loadBalancer.zoneAware.weightedZones"),
        None,
        "only the weights of localities show it",
    ),
    Feature(
        "xds-name-scheme-v2",
        (1, 5),
        _asks(CONTROL, "runtimeFlags.enabled"),
        trace.port_names,
        "",
        ("XDSNameSchemeV2",),
    ),
    Feature(
        "zstd-compression",
        (1, 6),
        _asks(BTP, "spec.compressor.*.zstd", "spec.compression.*.zstd"),
        trace.route_filter("compressor.zstd"),
    ),
    Feature(
        "certificate-revocation-lists",
        (1, 6),
        _asks(CTP, "spec.tls.clientValidation.crl"),
        trace.listener_text(rb'/ca\.crl"'),
    ),
    Feature(
        "cookie-matches",
        (1, 7),
        _asks(api.HTTP_ROUTE_FILTER, "spec.matches.*.cookies"),
        trace.cookie_matches,
    ),
    Feature("policies-in-metadata", (1, 7), (), trace.merged_policies, "works by itself"),
    Feature(
        "listener-sets",
        (1, 7),
        (*_asks(api.LISTENER_SET, "spec.listeners"), *_asks(api.X_LISTENER_SET, "spec.listeners")),
        trace.listener_sets,
    ),
    Feature(
        "bandwidth-limit",
        (1, 8),
        _asks(BTP, "spec.bandwidthLimit"),
        trace.route_filter("bandwidth_limit"),
    ),
    Feature(
        "admission-control",
        (1, 8),
        _asks(BTP, "spec.admissionControl"),
        trace.cluster_text("typed_extension_protocol_options", rb"admission_control"),
    ),
    Feature(
        "geoip",
        (1, 8),
        _asks(PROXY, "spec.geoIP"),
        trace.listener_text(rb'"envoy\.filters\.http\.geoip'),
    ),
    Feature(
        "dynamic-modules",
        (1, 8),
        _asks(EXTENSION, "spec.dynamicModule"),
        trace.route_filter("dynamic_modules"),
    ),
    Feature(
        "csrf", (1, 9), _asks(SECURITY, "spec.csrf"), trace.route_filter("envoy.filters.http.csrf")
    ),
    Feature("merge-backends", (1, 9), _asks(PROXY, "spec.mergeBackends"), trace.merged_backends),
)
