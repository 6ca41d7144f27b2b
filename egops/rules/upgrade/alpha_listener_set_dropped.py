"""EGU-1802 alpha-listener-set-dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_GATEWAY, X_LISTENER_SET
from egops.rules import rule
from egops.snapshot import entries, section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1802",
    severity=Severity.ERROR,
    optional=(
        *CORE,
        X_LISTENER_SET,
    ),
    since="0.1",
    changed_in=(1, 8, 0),
    link=notes_link((1, 8, 0)),
    ok="no XListenerSet is in use",
)
def alpha_listener_set_dropped(snapshot: Snapshot) -> Iterator[Problem]:
    """An XListenerSet adds listeners, and 1.8 no longer reads that kind.

    ## Why it matters
    The alpha kind was replaced by `ListenerSet` v1: the listeners and all routes on them are gone.
    The bundle of 1.8 removes the CRD, and with it the objects.

    ## How to fix it
    Write each as `gateway.networking.k8s.io/v1` ListenerSet, apply it with the new CRDs, and drop
    `XListenerSet` from `gatewayAPIs.enabled`.
    """
    upgrade_of(snapshot)
    configs = snapshot.all(ENVOY_GATEWAY)
    on = [c for c in configs if "XListenerSet" in entries(c.body, "gatewayAPIs", "enabled")]
    for config in on:
        yield change(
            snapshot,
            config.at("gatewayAPIs", "enabled"),
            "gatewayAPIs.enabled names XListenerSet, which is gone",
            today="XListenerSets are read",
            after="the value is unknown, XListenerSets are not read",
            keep=("remove XListenerSet from gatewayAPIs.enabled",),
            verify="the controller is ready after the upgrade",
        )
    if configs and not on:
        return
    joined = world(snapshot)
    ours = {(gateway.namespace, gateway.name) for gateway in joined.gateways}
    for found in snapshot.all(X_LISTENER_SET):
        parent = section(found.spec, "parentRef")
        key = (text(parent, "namespace") or found.namespace, text(parent, "name"))
        if joined.is_whole and key not in ours:
            continue
        yield change(
            snapshot,
            found.at("apiVersion"),
            f"the listeners of XListenerSet {found.name} are gone",
            today="the alpha kind is read if the configuration enables it",
            after="only ListenerSet v1 is read; the bundle removes the alpha CRD",
            keep=("apply it as gateway.networking.k8s.io/v1 ListenerSet",),
            verify="the ListenerSet is Programmed=True",
            possible="" if on else "certain if gatewayAPIs.enabled names XListenerSet",
        )
