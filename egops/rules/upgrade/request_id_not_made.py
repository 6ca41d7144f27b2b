"""EGU-1424 request-id-not-made."""

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
    code="EGU-1424",
    severity=Severity.WARNING,
    optional=(*ROUTES, CLIENT_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 4, 0),
    fixed_in=(1, 6, 0),
    link=notes_link((1, 4, 0)),
    ok="no ClientTrafficPolicy preserves the request id",
)
def request_id_not_made(snapshot: Snapshot) -> Iterator[Problem]:
    """With `preserveXRequestID` the proxy makes no request id where the client sends none.

    ## Why it matters
    From 1.4 to 1.5 the field also switches off that ids are made: requests without `x-request-
    id` reach the backends without one, and logs and traces can't be joined.

    ## How to fix it
    Use `requestID: PreserveOrGenerate`, which 1.4 knows, instead of `preserveXRequestID`.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, listeners in joined.on_listeners(CLIENT_TRAFFIC_POLICY):
        headers = section(policy.spec, "headers")
        hit = any(listener.is_http for listener in listeners) or not joined.is_whole
        if headers.get("preserveXRequestID") is not True or not hit:
            continue
        yield change(
            snapshot,
            policy.at("spec", "headers", "preserveXRequestID"),
            "requests without x-request-id get none any more",
            today="the client's id is kept, and one is made where there is none",
            after="the client's id is kept, none is made",
            keep=("after the CRDs are new, set headers.requestID: PreserveOrGenerate",),
            verify="a request without x-request-id reaches the backend with one",
        )
