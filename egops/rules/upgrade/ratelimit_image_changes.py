"""EGU-1328 ratelimit-image-changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_GATEWAY, HELM_VALUES
from egops.rules import rule
from egops.snapshot import section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import RELEASES, notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1328",
    severity=Severity.WARNING,
    optional=(ENVOY_GATEWAY, HELM_VALUES),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="the rate limit service is not used, or its image is not pinned",
)
def ratelimit_image_changes(snapshot: Snapshot) -> Iterator[Problem]:
    """The rate limit service gets another image, and its metrics other names.

    ## Why it matters
    The statsd mapping of 1.3 knows shadow mode and drops nothing: there are more series, and some
    have new names. A pinned image (the charts of 1.2.0 and 1.2.1 wrote `master`) stays what it is.

    ## How to fix it
    Adapt dashboards on rate limit metrics; remove the pin, or set it to the target's image.
    """
    step = upgrade_of(snapshot)
    source, target = RELEASES.get(step.from_version), RELEASES.get(step.to_version)
    images = (source.ratelimit if source else "?", target.ratelimit if target else "?")
    for config in snapshot.all(ENVOY_GATEWAY):
        if section(config.body, "rateLimit"):
            yield change(
                snapshot,
                config.at("rateLimit"),
                f"the rate limit service goes from image {images[0]} to {images[1]}, its metrics "
                "get other names",
                today="a statsd mapping that drops what it does not know",
                after="a mapping that keeps everything and knows shadow_mode",
                keep=("adapt dashboards and alerts on ratelimit_service metrics",),
                verify="the series of the rate limit Deployment's port 19001",
                severity=Severity.INFO,
            )
    for values in snapshot.all(HELM_VALUES):
        path = ("values", "global", "images", "ratelimit", "image")
        image = text(values.body, *path)
        if image and images[1] not in image:
            yield change(
                snapshot,
                values.at(*path),
                f"the rate limit image is pinned to {image}, {images[1]} belongs to the target",
                today="the pin counts",
                after="the pin still counts: an image that the release was not tested with",
                keep=("remove the value, or set it to the target's image",),
                verify="the image of Deployment envoy-ratelimit",
            )
