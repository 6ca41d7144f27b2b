"""EGU-1208 pod-labels-frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import DEPLOYMENT, ENVOY_PROXY, is_proxy
from egops.rules import rule
from egops.snapshot import SourceType, section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.snapshot import Resource, Snapshot

PATH = ("spec", "provider", "kubernetes", "envoyDeployment", "pod", "labels")


@rule(
    code="EGU-1208",
    severity=Severity.WARNING,
    reads=(ENVOY_PROXY,),
    optional=(DEPLOYMENT,),
    since="0.1",
    changed_in=(1, 2, 0),
    link=notes_link((1, 2, 0)),
    ok="no EnvoyProxy labels its pods",
)
def pod_labels_frozen(snapshot: Snapshot) -> Iterator[Problem]:
    """A fleet made by 1.1 or before has its own pod labels in the selector: they can not change.

    ## Why it matters
    The Deployment keeps its old selector. A later change of `pod.labels` makes an update that the
    API server refuses, and the fleet stays as it is.

    ## How to fix it
    Delete the Deployment once if the labels must change.
    """
    upgrade_of(snapshot)
    for proxy in snapshot.all(ENVOY_PROXY):
        labels = section(proxy.spec, *PATH[1:])
        if not labels:
            continue
        stuck = [one for one in snapshot.all(DEPLOYMENT) if _selects(one, labels)]
        is_live = snapshot.source.type is SourceType.CLUSTER
        if is_live and not stuck:
            continue
        yield change(
            snapshot,
            proxy.at(*PATH),
            "the labels are in the selector of the Deployment and can't be changed",
            evidence=tuple(str(one.ref) for one in stuck),
            today="the selector is made of the labels",
            after="the selector stays; an update with other labels is refused",
            keep=("delete the Deployment once before the labels change",),
            verify="the controller's log has no error about an immutable field",
            possible="certain if the labels change later",
        )


def _selects(deployment: Resource, labels: Mapping[str, object]) -> bool:
    selector = section(deployment.spec, "selector", "matchLabels")
    return is_proxy(deployment) and all(selector.get(key) == labels[key] for key in labels)
