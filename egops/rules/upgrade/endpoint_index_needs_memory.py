"""EGU-1909 endpoint-index-needs-memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_GATEWAY
from egops.rules import rule
from egops.snapshot import entries
from egops.upgrade.change import upgrade_of
from egops.upgrade.everywhere import once
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1909",
    severity=Severity.INFO,
    optional=(*CORE,),
    since="0.1",
    changed_in=(1, 9, 0),
    link=notes_link((1, 9, 0)),
    ok="the index of EndpointSlices is off",
)
def endpoint_index_needs_memory(snapshot: Snapshot) -> Iterator[Problem]:
    """The controller keeps an index of EndpointSlices and needs more memory.

    ## Why it matters
    In clusters with many EndpointSlices the memory of the controller grows; at its limit it is
    killed and starts again.

    ## How to fix it
    Raise the memory limit of the controller, or add `EndpointSliceIndex` to
    `runtimeFlags.disabled`.
    """
    upgrade_of(snapshot)
    for config in snapshot.all(ENVOY_GATEWAY):
        if "EndpointSliceIndex" in entries(config.body, "runtimeFlags", "disabled"):
            return
    yield from once(
        snapshot,
        "the controller indexes EndpointSlices and needs more memory",
        today="EndpointSliceIndex is off",
        after="EndpointSliceIndex is on",
        keep=("set runtimeFlags.disabled: [EndpointSliceIndex], or raise the memory limit",),
        verify="container_memory_working_set_bytes of the controller stays below its limit",
        possible="certain with many EndpointSlices",
    )
