"""EGU-1408 image-name-split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import HELM_VALUES
from egops.rules import rule
from egops.snapshot import section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.values import trees

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1408",
    severity=Severity.WARNING,
    reads=(HELM_VALUES,),
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="the values name every image in full",
)
def image_name_split(snapshot: Snapshot) -> Iterator[Problem]:
    """The values name an image without a registry, which the chart of 1.4 takes apart wrongly.

    ## Why it matters
    The chart splits an image at its first `/`: what stands before counts as the registry.
    `envoyproxy/gateway:v1` becomes an image of the registry `envoyproxy`, and the pod can not pull
    it.

    ## How to fix it
    Write the registry: `docker.io/envoyproxy/gateway:v1.4.6`.
    """
    upgrade_of(snapshot)
    for values in snapshot.all(HELM_VALUES):
        for path, tree in trees(section(values.body, "values")):
            for part in ("envoyGateway", "ratelimit"):
                image = text(tree, "global", "images", part, "image")
                registry = image.partition("/")[0]
                if not image or ("/" in image and ("." in registry or ":" in registry)):
                    continue
                yield change(
                    snapshot,
                    values.at("values", *path, "global", "images", part, "image"),
                    f"the image {image} names no registry and is taken apart at its first slash",
                    today="the image is used as it is written",
                    after="the part before the first slash counts as the registry",
                    keep=(f"write docker.io/{image}",),
                    verify="helm template shows the image you mean",
                    possible="" if registry != "localhost" else "certain unless localhost is meant",
                )
