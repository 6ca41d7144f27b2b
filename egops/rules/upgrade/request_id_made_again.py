"""EGU-1622 request-id-made-again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CLIENT_TRAFFIC_POLICY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1622",
    severity=Severity.INFO,
    optional=(*ROUTES, CLIENT_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 6, 0),
    link=notes_link((1, 6, 0)),
    ok="no ClientTrafficPolicy preserves the request id",
)
def request_id_made_again(snapshot: Snapshot) -> Iterator[Problem]:
    """With `preserveXRequestID` the proxy makes a request id again where the client sends none.

    ## Why it matters
    1.4 and 1.5 made none. Backends that took a missing id for a sign see one with every
    request.

    ## How to fix it
    Use `requestID: Preserve` if no id is to be made.
    """
    if upgrade_of(snapshot).from_version < (1, 4):
        return
    for policy, _ in world(snapshot).on_listeners(CLIENT_TRAFFIC_POLICY):
        if section(policy.spec, "headers").get("preserveXRequestID") is True:
            yield change(
                snapshot,
                policy.at("spec", "headers", "preserveXRequestID"),
                "requests without x-request-id get one again",
                today="the client's id is kept, none is made",
                after="the client's id is kept, and one is made where there is none",
                keep=("set headers.requestID: Preserve",),
                verify="a request without x-request-id reaches the backend as you expect",
            )
