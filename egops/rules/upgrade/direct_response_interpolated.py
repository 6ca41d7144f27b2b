"""EGU-1805 direct-response-interpolated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CONFIG_MAP, GRPC_ROUTE, HTTP_ROUTE, HTTP_ROUTE_FILTER, rules_of
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Snapshot
    from egops.upgrade.world import World


@rule(
    code="EGU-1805",
    severity=Severity.WARNING,
    optional=(
        *ROUTES,
        HTTP_ROUTE_FILTER,
        CONFIG_MAP,
    ),
    since="0.1",
    changed_in=(1, 8, 0),
    link=notes_link((1, 8, 0)),
    ok="no body of a direct response contains a percent sign",
)
def direct_response_interpolated(snapshot: Snapshot) -> Iterator[Problem]:
    """The body of a direct response contains `%`, which Envoy interprets from 1.8 on.

    ## Why it matters
    `%NAME%` in the body is replaced by the value of that command operator; a lone `%` is no valid
    format, and Envoy refuses the configuration.

    ## How to fix it
    Write `%%` for every `%` together with the upgrade.
    """
    upgrade_of(snapshot)
    used = set(_named(world(snapshot)))
    for found in snapshot.all(HTTP_ROUTE_FILTER):
        body = section(found.spec, "directResponse", "body")
        path: Path = ("spec", "directResponse", "body")
        if snapshot.knows(HTTP_ROUTE) and (found.namespace, found.name) not in used:
            continue
        if "%" in text(body, "inline"):
            path = (*path, "inline")
        elif not _is_in_config_map(snapshot, found.namespace, text(body, "valueRef", "name")):
            continue
        inline = text(body, "inline").replace("%", "%%")
        yield change(
            snapshot,
            found.at(*path),
            "the body of a direct response contains %, which becomes a command operator",
            today="the body is sent as it is written",
            after="%…% is replaced; a lone % makes Envoy refuse the configuration",
            keep=("write %% for each %, together with the upgrade",),
            verify="the response has the body you expect",
            fix_patch=patch(found, path, inline) if "%" in inline else "",
        )


def _is_in_config_map(snapshot: Snapshot, namespace: str, name: str) -> bool:
    found = snapshot.find(CONFIG_MAP, namespace, name) if name else None
    data = section(found.body, "data") if found else {}
    return any(isinstance(value, str) and "%" in value for value in data.values())


def _named(joined: World) -> Iterator[tuple[str, str]]:
    for attachment in joined.routes(HTTP_ROUTE, GRPC_ROUTE):
        for _, entry in rules_of(attachment.route):
            for _, found in items(entry.body, "filters"):
                yield attachment.route.namespace, text(found, "extensionRef", "name")
