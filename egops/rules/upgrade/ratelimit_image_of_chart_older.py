"""EGU-1510 ratelimit-image-of-chart-older."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_GATEWAY, HELM_VALUES
from egops.rules import rule
from egops.snapshot import section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

IMAGE = ("global", "images", "ratelimit", "image")


@rule(
    code="EGU-1510",
    severity=Severity.INFO,
    reads=(ENVOY_GATEWAY,),
    optional=(HELM_VALUES,),
    since="0.1",
    changed_in=(1, 5, 0),
    fixed_in=(1, 5, 1),
    link=notes_link((1, 5, 0)),
    ok="rate limiting is off, or its image is chosen",
)
def ratelimit_image_of_chart_older(snapshot: Snapshot) -> Iterator[Problem]:
    """The chart of 1.5.0 brings an older rate limit image than the release was built with.

    ## Why it matters
    The chart names `3e085e5b`, the code `a90e0e5d`: an installation by Helm runs what 1.4 ran.

    ## How to fix it
    Go to 1.5.1 or later, or set the image in the values.
    """
    upgrade_of(snapshot)
    if any(text(v.body, "values", *IMAGE) for v in snapshot.all(HELM_VALUES)):
        return
    for config in snapshot.all(ENVOY_GATEWAY):
        deployment = section(config.body, "provider", "kubernetes", "rateLimitDeployment")
        if section(config.body, "rateLimit") and not text(deployment, "container", "image"):
            yield change(
                snapshot,
                config.at("rateLimit"),
                "by Helm the rate limit service runs 3e085e5b instead of a90e0e5d",
                today="the image of the installed release",
                after="the chart's image is the one of 1.4.0",
                keep=("go to 1.5.1 or later, or set global.images.ratelimit.image",),
                verify="the image of Deployment envoy-ratelimit",
            )
