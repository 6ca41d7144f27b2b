"""EGU-0004 request-changes-fate."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from egops.errors import InputError
from egops.finding import Problem, Severity, Unjudged
from egops.gatewayapi import ROUTE_KINDS
from egops.rules import rule
from egops.snapshot import Probe
from egops.upgrade.compared import location, pairs, unpaired
from egops.xds.match_request import decode
from egops.xds.names import ObjectName
from egops.xds.walk import Walker
from egops.xds.walk_changes import changes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot
    from egops.upgrade.compared import Pair
    from egops.xds.config_dump import ConfigDump
    from egops.xds.match_request import Request
    from egops.xds.walk_changes import Change, Fate

GOOD = ("route", "redirect")
EACH = 30  # changes told one by one that end alike


@rule(
    code="EGU-0004",
    severity=Severity.ERROR,
    optional=ROUTE_KINDS,
    probes=(Probe.CONFIG_DUMP,),
    since="0.1",
    ok="every request is answered as before the upgrade",
)
def request_changes_fate(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """The same request gets another answer, backend or treatment than before the upgrade.

    ## Why it matters
    Each finding has one request that shows it. A request that reached a backend and is now answered
    by Envoy itself (500, 404) or refused is an outage of that path; a request that takes another
    rule, path or filter reaches the application in another shape.

    ## How to fix it
    `egops routes explain URL` shows why the request goes where it does now. Compare with the
    prediction of `egops upgrade-check`, and apply its patch.
    """
    for pair in pairs(snapshot):
        try:
            found = _changes(pair.before.config, pair.after.config)
        except InputError as exc:
            yield Unjudged(f"requests of fleet {pair.fleet} not compared: {exc.message}")
            continue
        yield from _told(snapshot, pair, found)
    yield from unpaired(snapshot)


def _told(snapshot: Snapshot, pair: Pair, found: tuple[Change, ...]) -> Iterator[Problem]:
    """Yield the changes; of many that end alike the first ones, and how many more there are."""
    ends: dict[tuple[str, str, int | None], list[Change]] = {}
    for change in found:
        end = (change.old.outcome, change.new.outcome, change.new.status)
        ends.setdefault(end, []).append(change)
    for (old, new, _), alike in ends.items():
        for change in alike[:EACH]:
            yield _problem(snapshot, pair, change)
        if rest := alike[EACH:]:
            first = _problem(snapshot, pair, rest[0])
            rules = ", ".join(dict.fromkeys(each.old.rule or each.new.rule for each in rest[:20]))
            yield Problem(
                first.at,
                f"{len(rest)} more kinds of requests of fleet {pair.fleet or pair.after.name}: "
                f"{old} before, {new} now",
                evidence=(f"rules: {rules}{', …' if len(rest) > 20 else ''}",),
                severity=first.severity,
            )


@lru_cache(maxsize=16)
def _changes(old: ConfigDump, new: ConfigDump) -> tuple[Change, ...]:
    return tuple(changes(Walker(old), Walker(new)))


def _problem(snapshot: Snapshot, pair: Pair, change: Change) -> Problem:
    owner, rule_number = _rule(change.old.rule) or _rule(change.new.rule) or (None, None)
    lost = change.old.outcome in GOOD and change.new.outcome not in GOOD
    times = f" ({change.times} requests of this kind were tried)" if change.times > 1 else ""
    return Problem(
        location(snapshot, owner, rule_number, pair.after),
        f"{spelled(change.request)}: {_difference(change)}",
        impact="requests that reached a backend do not any more" if lost else "",
        evidence=(
            *(f"{name}: {_word(change.old, name)} -> {_word(change.new, name)}"
              for name in change.what),
            f"fleet {pair.fleet or pair.after.name}{times}",
        ),
        remedy=(f"egops routes explain {_url(change.request)} shows the way it takes now",),
        severity=Severity.ERROR if lost else Severity.WARNING,
    )  # fmt: skip


def _difference(change: Change) -> str:
    old, new = str(change.old), str(change.new)
    if old == new:  # the same rule serves it otherwise
        name = change.what[0]
        old, new = (f"{name} {_word(fate, name)}" for fate in (change.old, change.new))
    return f"{old} before, {new} now"


def _rule(text: str) -> tuple[ObjectName, int] | None:
    parts = text.split("/")
    if len(parts) == 4 and parts[3].isdecimal():
        return ObjectName(*parts[:3]), int(parts[3])
    return None


def _word(fate: Fate, name: str) -> str:
    value = getattr(fate, name)
    return (", ".join(value) if isinstance(value, tuple) else str(value or "")) or "none"


def _url(request: Request) -> str:
    authority = decode(request.authority) if request.authority else f"port-{request.port}"
    return f"{request.scheme}://{authority}{decode(request.target)}"


def spelled(request: Request) -> str:
    """Return a request in one line."""
    fields = "".join(f" -H '{decode(name)}: {decode(value)}'" for name, value in request.headers)
    return f"{decode(request.method)} {_url(request)}{fields}"
