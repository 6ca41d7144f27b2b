"""EGU-1330 controller-image-base-changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1330",
    severity=Severity.INFO,
    optional=CORE,
    since="0.1",
    changed_in=(1, 3, 0),
    link="https://github.com/envoyproxy/gateway/pull/5034",
    ok="no installation is in the input whose image would change its base",
)
def controller_image_base_changes(snapshot: Snapshot) -> Iterator[Problem]:
    """The controller's image is built on distroless base-nossl instead of static.

    ## Why it matters
    Image scanners see new packages (glibc), mirrors that pin layers miss some. The user is the same
    and there is still no shell: `kubectl exec … sh` never worked.

    ## How to fix it
    Nothing; tell whoever scans and mirrors images. Use `kubectl debug` for a shell.
    """
    upgrade_of(snapshot)
    install = world(snapshot).install
    if install is None or install.deployment is None:
        return
    yield change(
        snapshot,
        install.deployment.at("spec", "template", "spec", "containers"),
        "the controller's image has another base: gcr.io/distroless/base-nossl:nonroot",
        today="gcr.io/distroless/static:nonroot",
        after="glibc comes in, OpenSSL does not; controller, certgen and shutdown manager use it",
        verify="the scanner's report of the new image",
        possible="matters to image scanners and mirrors only",
    )
