"""EGU-1341 header-value-refused."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import GRPC_ROUTE, HTTP_ROUTE, rules_of
from egops.rules import rule
from egops.snapshot import items
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Snapshot

KINDS = ("requestHeaderModifier", "responseHeaderModifier")
VALUE = re.compile(r"[!-~]+([\t ]?[!-~]+)*\Z")


@rule(
    code="EGU-1341",
    severity=Severity.ERROR,
    optional=(*ROUTES,),
    since="0.1",
    changed_in=(1, 3, 3),
    link=notes_link((1, 3, 3)),
    ok="no header filter sets a value that is not one of HTTP's",
)
def header_value_refused(snapshot: Snapshot) -> Iterator[Problem]:
    """A header filter sets a value that HTTP does not allow, and the route is refused.

    ## Why it matters
    From 1.3.3 on values that are empty, begin or end with a blank, or hold two blanks in a row
    or other characters than visible ASCII make the route Accepted=False: its requests get a
    404, from 1.8 on a 500.

    ## How to fix it
    Write a value of visible ASCII with single blanks or tabs between.
    """
    upgrade_of(snapshot)
    for attachment in world(snapshot).routes(HTTP_ROUTE, GRPC_ROUTE):
        for _, entry in rules_of(attachment.route):
            for place, value in _values(entry.path, entry.body):
                if VALUE.match(value):
                    continue
                yield change(
                    snapshot,
                    attachment.route.at(*place),
                    f"the route is refused: {value!r} is no value of a header",
                    today="the value is passed to Envoy, the route answers",
                    after="the route is Accepted=False: requests get a 404, from 1.8 on a 500",
                    keep=("write visible ASCII with single blanks between", "or delete the header"),
                    verify="the route is Accepted=True",
                )


def _values(path: Path, body: object) -> Iterator[tuple[Path, str]]:
    for index, found in items(body, "filters"):
        for kind, verb in product(KINDS, ("set", "add")):
            for number, header in items(found, kind, verb):
                value = header.get("value")
                if isinstance(value, str):
                    yield (*path, "filters", index, kind, verb, number, "value"), value
    for index, backend in items(body, "backendRefs"):
        yield from _values((*path, "backendRefs", index), backend)
