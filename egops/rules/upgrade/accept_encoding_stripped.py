"""EGU-1706 accept-encoding-stripped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TRAFFIC_POLICY
from egops.rules import rule
from egops.snapshot import entries
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1706",
    severity=Severity.INFO,
    reads=(BACKEND_TRAFFIC_POLICY,),
    optional=(*ROUTES,),
    since="0.1",
    changed_in=(1, 7, 0),
    link=notes_link((1, 7, 0)),
    ok="no policy compresses responses",
)
def accept_encoding_stripped(snapshot: Snapshot) -> Iterator[Problem]:
    """Backends no longer see `Accept-Encoding` where the proxy compresses.

    ## Why it matters
    Backends that compressed themselves send plain bodies now, and the proxy does the work.

    ## How to fix it
    Nothing, unless the backend is to compress: remove the compression of the policy then.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, used in joined.in_use(BACKEND_TRAFFIC_POLICY):
        for key in ("compression", "compressor"):
            if entries(policy.spec, key) and (used or not joined.is_whole):
                yield change(
                    snapshot,
                    policy.at("spec", key),
                    "backends no longer see Accept-Encoding",
                    today="the header is passed on: a backend may compress",
                    after="the header is removed, the proxy alone compresses",
                    verify="the CPU of the proxies, the size of responses",
                )
