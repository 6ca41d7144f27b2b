"""Known defects and security holes of Envoy Gateway, as data: what is affected, where it is fixed.

A new release adds rows here; the rules that read them stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egops.rules.install import triggers

if TYPE_CHECKING:
    from egops.rules.install.triggers import Trigger

Version = tuple[int, ...]
Ranges = tuple[tuple[Version, Version | None], ...]
"""Affected releases: (first one, first one without it), None where no release is without it."""


class Defect(NamedTuple):
    """One known defect; `trigger` is None where the cluster can't tell whether it is set off."""

    name: str
    affected: Ranges
    fixed: str
    trigger: Trigger | None
    workaround: str = ""

    def affects(self, version: Version) -> bool:
        """Return whether a release has it."""
        padded = (*version, 0, 0)[:3]
        return any(
            padded >= first and (until is None or padded < until) for first, until in self.affected
        )


OLDEST = (0, 0, 0)

DEFECTS: tuple[Defect, ...] = (
    Defect(
        "endpoints stay in Envoy after their pods are gone",
        (((1, 1, 3), (1, 1, 4)), ((1, 2, 0), (1, 2, 2))), "1.2.2", None,
    ),
    Defect(
        "a TCP or TLS listener without routes makes Envoy refuse the listener",
        ((OLDEST, (1, 2, 2)),), "1.2.2", triggers.unused_l4_listeners,
        "attach a route to the listener, or remove it",
    ),
    Defect(
        "an OpenTelemetry access log without format.text stops the translation of all routes",
        (((1, 2, 0), (1, 2, 8)), ((1, 3, 0), (1, 3, 2))), "1.2.8, 1.3.2",
        triggers.otel_logs_without_text, "give the access log a format.text",
    ),
    Defect(
        "one backendRef that does not resolve makes its whole rule answer 500",
        (((1, 3, 0), (1, 6, 1)),), "1.6.1", triggers.mixed_backends,
        "remove the backendRef that does not resolve",
    ),
    Defect(
        "a proxy that reconnects may get an old configuration",
        ((OLDEST, (1, 6, 1)),), "1.6.1", None,
    ),
    Defect(
        "with several GatewayClasses the status is incomplete",
        ((OLDEST, (1, 6, 1)),), "1.6.1", triggers.several_classes,
    ),
    Defect(
        "an invalid EnvoyPatchPolicy keeps all other configuration from the proxies",
        ((OLDEST, (1, 6, 4)),), "1.6.4", triggers.broken_patches,
        "repair or delete the EnvoyPatchPolicy",
    ),
    Defect(
        "malformed lines or CRLF in an htpasswd Secret make Envoy refuse the whole listener",
        ((OLDEST, (1, 6, 6)), ((1, 7, 0), (1, 7, 2))), "1.6.6, 1.7.2", triggers.bad_htpasswd,
        "write the Secret again with htpasswd -s and LF endings",
    ),
    Defect(
        "a missing HTTPRouteFilter takes every rule of its route away",
        ((OLDEST, (1, 7, 0)),), "1.7.0", triggers.missing_filters,
        "create the HTTPRouteFilter, or take it out of the route",
    ),
    Defect(
        "external authorization over HTTP loses the Location header of a login redirect",
        (((1, 7, 0), (1, 7, 1)),), "1.7.1", triggers.http_ext_auth,
    ),
    Defect(
        "of an API key Secret with several clients only the first key works",
        (((1, 7, 0), (1, 7, 1)),), "1.7.1", triggers.several_api_keys,
        "give each client a Secret of its own",
    ),
    Defect(
        "a client certificate that only a SecurityPolicy's backend uses is never delivered",
        (((1, 7, 0), (1, 7, 2)),), "1.7.2", None,
    ),
    Defect(
        "a Gateway stays AddressNotAssigned after its load balancer's address came back",
        ((OLDEST, (1, 7, 4)), ((1, 8, 0), (1, 8, 1))), "1.7.4, 1.8.1", triggers.stuck_addresses,
        "annotate the Service, or restart Envoy Gateway",
    ),
    Defect(
        "a backend Service of type ExternalName stops the delivery of all configuration",
        ((OLDEST, (1, 7, 5)), ((1, 8, 0), (1, 8, 2))), "1.7.5, 1.8.2", triggers.external_names,
        "use a Backend with an fqdn endpoint instead",
    ),
    Defect(
        "an expired certificate in a chain makes Envoy refuse the Secret, and others with it",
        ((OLDEST, (1, 8, 3)),), "1.8.3", None,
    ),
    Defect(
        "a CRD bundle without ListenerSet, GRPCRoute or TLSRoute makes Envoy Gateway crash",
        (((1, 8, 0), (1, 9, 0)),), "1.9.0", triggers.absent_kinds,
        "apply the Gateway API bundle of the release",
    ),
    Defect(
        "policies on routes whose parent is a ListenerSet are ignored, without a status",
        (((1, 8, 0), (1, 9, 0)),), "1.9.0", triggers.policies_under_listener_sets,
        "attach the route to the Gateway, or the policy to the ListenerSet's Gateway",
    ),
    Defect(
        "after a host name conflict a route of the winning ListenerSet loses its acceptance",
        (((1, 9, 0), None),), "no release yet", triggers.conflicting_listener_sets,
        "remove the conflicting listener, then touch the route",
    ),
)  # fmt: skip

HOLES: tuple[Defect, ...] = (
    Defect(
        "CVE-2025-24030: Envoy's admin interface is reachable through the stats port",
        ((OLDEST, (1, 2, 6)),), "1.2.6", triggers.always,
        "let nobody but Prometheus reach port 19001 of the proxies",
    ),
    Defect(
        "CVE-2026-22771: Lua in an EnvoyExtensionPolicy runs code in the control plane",
        ((OLDEST, (1, 5, 7)), ((1, 6, 0), (1, 6, 2))), "1.5.7, 1.6.2", triggers.lua,
        "let nobody write EnvoyExtensionPolicies whom you do not trust with the cluster",
    ),
    *(
        Defect(name, ((OLDEST, (1, 7, 4)), ((1, 8, 0), (1, 8, 1))), "1.7.4, 1.8.1", trigger)
        for name, trigger in (
            ("GHSA-22xc-xg2r-9j7v: the xDS server can be asked without authentication",
             triggers.gateway_namespace_mode),
            ("GHSA-fcrp-7gc2-93g7: custom backends get round ReferenceGrants",
             triggers.custom_backends),
            ("GHSA-wcrf-9vrr-854f: the Lua validator reads files of the control plane",
             triggers.lua),
            ("GHSA-m2v6-2jmh-4c68: a SecurityPolicy on a TCPRoute crashes the control plane",
             triggers.security_policy_on_tcp),
            ("GHSA-8fv2-88gg-hm7q: Wasm modules", triggers.wasm),
            ("GHSA-h7pq-86h8-rp5x: Wasm modules", triggers.wasm),
            ("GHSA-cxpq-8v7q-cg56: Wasm modules", triggers.wasm),
        )
    ),
)  # fmt: skip
