"""EGU-1408 chart-values-reinterpreted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import HELM_VALUES
from egops.rules import rule
from egops.snapshot import section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.snapshot import Path, Resource, Snapshot

PULL = "IfNotPresent"  # what the chart itself sets globally


@rule(
    code="EGU-1408",
    severity=Severity.WARNING,
    optional=(HELM_VALUES, *CORE),
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="no value of the chart has another meaning than before",
)
def chart_values_reinterpreted(snapshot: Snapshot) -> Iterator[Problem]:
    """The chart of 1.4 reads images and pull policies another way and adds a webhook.

    ## Why it matters
    An image of `global.images` is split at its first `/`: what stands before counts as the
    registry, so `envoyproxy/gateway:v1` becomes an image of the registry `envoyproxy`. A repository
    of one's own without a tag no longer takes the global tag, and the global pull policy wins. A
    mutating webhook on pods (the topology injector) and a ClusterRole for it come by default.

    ## How to fix it
    Write images in full, `docker.io/envoyproxy/gateway:v1.4.6`, and set the tag next to the
    repository. Set `topologyInjector.enabled: false` where webhooks are forbidden.
    """
    upgrade_of(snapshot)
    given = snapshot.all(HELM_VALUES)
    for values in given:
        tree = section(values.body, "values")
        yield from _images(snapshot, values, tree)
        yield from _deployment(snapshot, values, tree)
        if section(tree, "topologyInjector").get("enabled") is not False:
            yield _webhook(snapshot, values, ("values",))
    install = world(snapshot).install
    if not given and install is not None and install.deployment is not None:
        yield _webhook(snapshot, install.deployment, ("metadata",))


def _images(snapshot: Snapshot, values: Resource, tree: Mapping[str, object]) -> Iterator[Problem]:
    for part in ("envoyGateway", "ratelimit"):
        image = text(tree, "global", "images", part, "image")
        registry = image.partition("/")[0]
        if not image or ("/" in image and ("." in registry or ":" in registry)):
            continue
        yield change(
            snapshot,
            values.at("values", "global", "images", part, "image"),
            f"the image {image} names no registry and is taken apart at its first slash",
            today="the image is used as it is written",
            after="the part before the first slash counts as the registry",
            keep=(f"write docker.io/{image}",),
            verify="helm template shows the image you mean",
            possible="" if registry != "localhost" else "certain unless localhost is meant",
        )


def _deployment(
    snapshot: Snapshot, values: Resource, tree: Mapping[str, object]
) -> Iterator[Problem]:
    own = section(tree, "deployment", "envoyGateway")
    where: Path = ("values", "deployment", "envoyGateway")
    tag = text(tree, "global", "images", "envoyGateway", "tag")
    if text(own, "image", "repository") and not text(own, "image", "tag") and tag:
        yield change(
            snapshot,
            values.at(*where, "image"),
            f"the repository no longer takes the global tag {tag}",
            today=f"the image is {text(own, 'image', 'repository')}:{tag}",
            after="without a tag of its own it takes the version of the chart",
            keep=(f"set deployment.envoyGateway.image.tag: {tag}",),
            verify="helm template shows the image you mean",
        )
    policy = text(own, "imagePullPolicy")
    wins = text(tree, "global", "images", "envoyGateway", "pullPolicy") or PULL
    if policy and policy != wins:
        yield change(
            snapshot,
            values.at(*where, "imagePullPolicy"),
            f"the pull policy {policy} loses against the global one, {wins}",
            today=f"the controller is pulled {policy}",
            after=f"the global policy wins: {wins}",
            keep=(f"set global.images.envoyGateway.pullPolicy: {policy}",),
            verify="helm template shows the imagePullPolicy you mean",
        )


def _webhook(snapshot: Snapshot, at: Resource, place: Path) -> Problem:
    return change(
        snapshot,
        at.at(*place),
        "a mutating webhook on pods comes with the chart: the topology injector",
        today="the chart brings no webhook",
        after="a MutatingWebhookConfiguration, a ClusterRole and a binding are created",
        keep=("set topologyInjector.enabled: false in the values",),
        verify="kubectl get mutatingwebhookconfigurations",
        severity=Severity.INFO,
        possible="matters where webhooks or ClusterRoles are forbidden",
    )
