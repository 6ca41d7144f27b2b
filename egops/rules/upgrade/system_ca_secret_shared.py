"""EGU-1907 system-ca-secret-shared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND, BACKEND_TLS_POLICY, ENVOY_GATEWAY
from egops.rules import rule
from egops.snapshot import entries, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Location, Resource, Snapshot


@rule(
    code="EGU-1907",
    severity=Severity.WARNING,
    optional=(
        BACKEND_TLS_POLICY,
        BACKEND,
        ENVOY_GATEWAY,
    ),
    since="0.1",
    changed_in=(1, 9, 0),
    link=notes_link((1, 9, 0)),
    ok="no backend trusts the CAs of the system, or each keeps a secret of its own",
)
def system_ca_secret_shared(snapshot: Snapshot) -> Iterator[Problem]:
    """All backends that trust the CAs of the system share one secret from 1.9 on.

    ## Why it matters
    The secret of each backend is replaced by one named `system_ca_certificates`. Clusters warm up
    anew: traffic to these backends can stop for a moment while the upgrade is rolled out.

    ## How to fix it
    Upgrade when there is little traffic, or enable the runtime flag `PerResourceSystemCASecret`.
    """
    upgrade_of(snapshot)
    if any(_opts_out(config) for config in snapshot.all(ENVOY_GATEWAY)):
        return
    found = [
        *_trusting(snapshot.all(BACKEND_TLS_POLICY), "validation"),
        *_trusting(snapshot.all(BACKEND), "tls"),
    ]
    if found:
        yield change(
            snapshot,
            found[0],
            f"{len(found)} backend(s) that trust the system's CAs change to one shared secret",
            related=tuple(found[1:10]),
            today="a secret <name>/<namespace>-ca for each",
            after="one secret system_ca_certificates; the clusters warm up anew",
            keep=("set runtimeFlags.enabled: [PerResourceSystemCASecret] in the configuration",),
            verify="/config_dump lists system_ca_certificates as active, the backends answer",
            possible="certain if requests arrive while the clusters warm up",
        )


def _opts_out(config: Resource) -> bool:
    return "PerResourceSystemCASecret" in entries(config.body, "runtimeFlags", "enabled")


def _trusting(resources: tuple[Resource, ...], block: str) -> Iterator[Location]:
    for resource in resources:
        if text(resource.spec, block, "wellKnownCACertificates") == "System":
            yield resource.at("spec", block, "wellKnownCACertificates")
