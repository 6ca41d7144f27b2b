"""EGD-409 control-plane-name-mismatch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import DEPLOYMENT, ENVOY_GATEWAY, SECRET
from egops.pki import control_plane_secrets, pair
from egops.rules import rule
from egops.snapshot import Probe, entries, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Proxy, Snapshot

NAME = "envoy-gateway"  # the one name that every Envoy compares, whatever it connects to


@rule(
    code="EGD-409",
    severity=Severity.ERROR,
    reads=(SECRET,),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    optional_probes=(Probe.CONFIG_DUMP,),
    since="0.1",
    ok="the control plane's certificate has the names it is asked for",
)
def control_plane_name_mismatch(snapshot: Snapshot) -> Iterator[Problem]:
    """The certificate of Envoy Gateway lacks a name that its clients ask for.

    ## Why it matters
    Proxies accept only a certificate with the name `envoy-gateway`; without it no proxy connects.
    The longer names are compared by the API server (topology webhook) and by everybody who checks
    the address they connect to: they carry namespace and cluster domain, so a certificate made for
    another namespace or domain does not fit.

    ## How to fix it
    Issue the certificate again with all four names, for this namespace and cluster domain.
    """
    judged = False
    for namespace, secrets in control_plane_secrets(snapshot):
        leaf = pair(secrets[NAME]).leaf if NAME in secrets else None
        if leaf is None:
            continue
        judged = True
        wanted = [NAME, f"{NAME}.{namespace}", f"{NAME}.{namespace}.svc"]
        wanted += sorted(_addresses(snapshot, namespace))
        missing = [name for name in wanted if not leaf.covers(name)]
        if missing:
            yield Problem(
                secrets[NAME].at("data", "tls.crt"),
                f"the certificate of Envoy Gateway lacks the name {', '.join(missing)}",
                impact="no proxy connects any more once its connection ends"
                if NAME in missing
                else "clients that check the address they connect to refuse it",
                evidence=(f"names: {', '.join(leaf.names) or 'none'}",),
                remedy=(
                    "issue it again with the names "
                    + ", ".join(dict.fromkeys([*wanted, f"{NAME}.{namespace}.svc.CLUSTER-DOMAIN"])),
                ),
                severity=None if NAME in missing else Severity.WARNING,
                explains=("EGD-440",) if NAME in missing else (),
            )
    if not judged:
        raise CannotJudge("Secret envoy-gateway of the control plane was not read")


def _addresses(snapshot: Snapshot, namespace: str) -> set[str]:
    """Return the names under which proxies reach this install, as their bootstrap says."""
    found = set()
    for proxy in snapshot.proxies:
        if proxy.has(Probe.CONFIG_DUMP):
            address = _bootstrap_address(proxy)
            if address.startswith(f"{NAME}.{namespace}."):
                found.add(address.rstrip("."))
    return found


def _bootstrap_address(proxy: Proxy) -> str:
    for cluster in entries(proxy.config.bootstrap, "static_resources", "clusters"):
        if text(cluster, "name") != "xds_cluster":
            continue
        for locality in entries(cluster, "load_assignment", "endpoints"):
            for endpoint in entries(locality, "lb_endpoints"):
                address = ("endpoint", "address", "socket_address", "address")
                if found := text(endpoint, *address):
                    return found
    return ""
