"""EGU-1343 large-answer-refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TRAFFIC_POLICY, CONFIG_MAP, HTTP_ROUTE_FILTER
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Resource, Snapshot

LIMIT = 4096


@rule(
    code="EGU-1343",
    severity=Severity.ERROR,
    optional=(*ROUTES, BACKEND_TRAFFIC_POLICY, HTTP_ROUTE_FILTER, CONFIG_MAP),
    since="0.1",
    changed_in=(1, 3, 3),
    link=notes_link((1, 3, 3)),
    ok="no response of its own is longer than Envoy takes",
)
def large_answer_refused(snapshot: Snapshot) -> Iterator[Problem]:
    """A response body is longer than 4096 bytes, and what holds it is refused.

    ## Why it matters
    From 1.3.3 on a BackendTrafficPolicy with such a `responseOverride` fails and its routes
    answer 500; a route with such a direct response is not programmed. Before, Envoy refused the
    whole listener's configuration.

    ## How to fix it
    Shorten the body to 4096 bytes, or let a backend answer.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, used in joined.in_use(BACKEND_TRAFFIC_POLICY):
        for index, override in items(policy.spec, "responseOverride"):
            place = ("spec", "responseOverride", index, "response", "body")
            if used or not joined.is_whole:
                yield from _judge(snapshot, policy, place, section(override, "response", "body"))
    for found in snapshot.all(HTTP_ROUTE_FILTER):
        body = section(found.spec, "directResponse", "body")
        yield from _judge(snapshot, found, ("spec", "directResponse", "body"), body)


def _judge(snapshot: Snapshot, holder: Resource, place: Path, body: object) -> Iterator[Problem]:
    ref = section(body, "valueRef")
    written = text(body, "inline") or _held(snapshot, holder.namespace, ref)
    size = len(written.encode())
    if size > LIMIT:
        yield change(
            snapshot,
            holder.at(*place),
            f"a response of {size} bytes is refused: {LIMIT} are the most",
            today="Envoy refuses the configuration of the listener",
            after="what uses it fails: routes answer 500 or are not programmed",
            keep=("shorten the body", "or let a backend answer"),
            verify="the policy or route is Accepted=True",
        )


def _held(snapshot: Snapshot, namespace: str, ref: object) -> str:
    found = snapshot.find(CONFIG_MAP, namespace, text(ref, "name"))
    data = section(found.body, "data") if found is not None else {}
    value = data.get("response.body") or next(iter(data.values()), "")
    return value if isinstance(value, str) else ""
