"""EGU-1209 ratelimit-image-master."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import HELM_VALUES
from egops.rules import rule
from egops.snapshot import text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PLACE = ("values", "global", "images", "ratelimit", "image")


@rule(
    code="EGU-1209",
    severity=Severity.WARNING,
    reads=(HELM_VALUES,),
    since="0.1",
    changed_in=(1, 2, 0),
    link=notes_link((1, 2, 0)),
    ok="the values pin the rate limit image to a release",
)
def ratelimit_image_master(snapshot: Snapshot) -> Iterator[Problem]:
    """The values take the rate limit image from `master`.

    ## Why it matters
    The charts of 1.2.0 and 1.2.1 wrote `master`: each new pod can run another program.

    ## How to fix it
    Remove the value, or set it to the image of the target release.
    """
    upgrade_of(snapshot)
    for values in snapshot.all(HELM_VALUES):
        if text(values.body, *PLACE).endswith(":master"):
            yield change(
                snapshot,
                values.at(*PLACE),
                "the rate limit image is the moving tag master",
                today="the newest build at the time of the pull",
                after="the same; the release was tested with another build",
                keep=("remove the value, or set it to the image of the target release",),
                verify="the image of Deployment envoy-ratelimit",
            )
