"""EGU-0001 unexplained-translation-difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Confidence, Problem, Severity, Unjudged
from egops.rules import rule
from egops.snapshot import Probe
from egops.upgrade.compared import before, explained, is_shared, location, unpaired
from egops.upgrade.reach import READS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot
    from egops.xds.effects import Effect

MOST_RELATED = 20


@rule(
    code="EGU-0001",
    severity=Severity.WARNING,
    optional=READS,
    probes=(Probe.CONFIG_DUMP,),
    since="0.1",
    ok="every difference in the configuration of the proxies is explained by an upgrade rule",
)
def unexplained_translation_difference(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """The new release translates the same objects differently, and no upgrade rule says why.

    ## Why it matters
    The upgrade rules know what the release notes and the code of the releases tell. What differs
    beyond that is a change nobody has judged: harmless, or a route that behaves otherwise.
    A difference that every listener or every cluster shows is a new default and told as info.

    ## How to fix it
    Look at the object and at both configurations (`egops inspect diff`, `egops routes diff`). If
    the object itself was edited between the two states, take both states of the same objects. If
    not, this is a rule that egops lacks: please report it with the two excerpts.
    """
    before(snapshot)
    groups: dict[tuple[str, ...], list[Effect]] = {}
    for effect, by in explained(snapshot):
        if not by:
            groups.setdefault(effect.pattern, []).append(effect)
    for found in groups.values():
        yield _problem(snapshot, found)
    yield from unpaired(snapshot)
    if snapshot.predicted is None and groups:
        yield Unjudged("no upgrade rule was asked: objects and both releases are needed")


def _problem(snapshot: Snapshot, found: list[Effect]) -> Problem:
    first = found[0]
    part = first.part
    names = {each.part.name for each in found}
    everywhere = is_shared(snapshot, found)
    asked = "no rule explains" if snapshot.predicted is not None else "no rule was asked about"
    places = dict.fromkeys(
        location(snapshot, each.part.owner, each.part.rule) for each in found[:MOST_RELATED]
    )
    more = f", and {len(names) - 1} more {_plural(part.section)} alike" if len(names) > 1 else ""
    what = f"{first}{more}"
    at, *related = places
    return Problem(
        at,
        f"{asked} this difference: {what}",
        evidence=tuple(str(each) for each in found[1:6]),
        severity=Severity.INFO if everywhere else Severity.WARNING,
        confidence=Confidence.MEDIUM,
        related=tuple(related),
        remedy=(
            "compare both configurations: egops inspect diff BEFORE AFTER",
            "if the object was not edited in between, report the two excerpts: a rule is missing",
        ),
    )


def _plural(section: str) -> str:
    return section if section.endswith("s") else f"{section}s"
