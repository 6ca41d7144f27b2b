"""Plans and verdicts as text and as plain data for people and for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from egops.monitoring.verify import Verdict
from egops.plan import Action

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egops.monitoring.verify import Verified
    from egops.plan import Change, Plan

_MARKS = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.DELETE: "-",
    Action.NONE: "=",
    Action.REFUSE: "!",
}
_SIGNS = {Verdict.DATA: "✔", Verdict.QUIET: "·", Verdict.BLIND: "✘", Verdict.ERROR: "!"}


def change_line(change: Change, *, done: str = "") -> str:
    """Return one change as a line: mark, action, thing, reason."""
    reason = f": {change.reason}" if change.reason else ""
    return f"{_MARKS[change.action]} {done or change.action} {change.what}{reason}"


def plan_lines(plan: Plan, *, diff: bool) -> Iterator[str]:
    """Yield a plan as lines, with diffs of what is updated or refused if wanted."""
    yield plan.where
    for note in plan.notes:
        yield f"  {note}"
    for change in plan.changes:
        yield f"  {change_line(change)}"
        if diff and change.action in {Action.UPDATE, Action.REFUSE}:
            yield from (f"    {line}" for line in change.diff())
    counts = Counter(change.action for change in plan.changes)
    told = ", ".join(f"{counts[action]} {action}" for action in Action if counts[action])
    yield f"  {told or 'nothing to do'}"


def plan_data(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain data."""
    return {
        "where": plan.where,
        "notes": list(plan.notes),
        "changes": [
            {
                "action": str(change.action),
                "what": change.what,
                "reason": change.reason,
                "diff": list(change.diff()),
            }
            for change in plan.changes
        ],
    }


def verified_lines(verified: Sequence[Verified], *, verbose: bool) -> Iterator[str]:
    """Yield verdicts by board or group; those with data are counted, not listed, unless verbose."""
    place = ""
    for one in verified:
        if one.question.where != place:
            place = one.question.where
            yield _heading(place, [each for each in verified if each.question.where == place])
        if one.verdict is Verdict.DATA and not one.question.alert and not verbose:
            continue
        yield f"  {_SIGNS[one.verdict]} {_line(one)}"
        if one.fix and one.verdict in {Verdict.BLIND, Verdict.ERROR}:
            yield f"      fix: {one.fix}"
    yield _heading("in all", verified)


def _heading(name: str, verified: Sequence[Verified]) -> str:
    counts = Counter(one.verdict for one in verified)
    words = {
        Verdict.DATA: "with data",
        Verdict.QUIET: "rightly without",
        Verdict.BLIND: "blind",
        Verdict.ERROR: "refused",
    }
    told = ", ".join(f"{counts[verdict]} {word}" for verdict, word in words.items()
                     if counts[verdict])  # fmt: skip
    return f"{name}: {len(verified)} queries, {told or 'none asked'}"


def _line(one: Verified) -> str:
    part = f" ({one.question.part})" if one.question.part else ""
    series = f"{one.series} series" if one.verdict is Verdict.DATA else ""
    told = ", ".join(filter(None, (series, one.reason)))
    return f"{one.question.what}{part}: {told}"


def verified_data(verified: Sequence[Verified]) -> list[dict[str, Any]]:
    """Return verdicts as plain data."""
    return [
        {**asdict(one.question), "verdict": str(one.verdict), "series": one.series,
         "reason": one.reason, "fix": one.fix}
        for one in verified
    ]  # fmt: skip
