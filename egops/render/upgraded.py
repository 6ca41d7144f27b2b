"""What became of predictions, and the blast radius: for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from egops.render.text import subject
from egops.upgrade.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egops.render import Terminal
    from egops.upgrade.outcomes import Blast, Prediction

MOST = 30  # rules told one by one


def with_comparison(
    document: str, predictions: Iterable[Prediction] | None, radius: Blast | None
) -> str:
    """Return a JSON report with the predictions and the blast radius in it."""
    value = orjson.loads(document)
    if predictions is not None:
        value["predictions"] = [_told(each) for each in predictions]
    if radius is not None:
        value["blastRadius"] = _radius(radius)
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n"


def _told(prediction: Prediction) -> dict[str, Any]:
    finding = prediction.finding
    ref = finding.at.ref
    return {
        "code": finding.code,
        "severity": str(finding.severity),
        "object": {"kind": ref.kind.name, "namespace": ref.namespace or None, "name": ref.name},
        "section": finding.at.section or None,
        "message": finding.problem.message,
        "outcome": prediction.outcome.value,
        "because": prediction.because,
    }


def _radius(radius: Blast) -> dict[str, Any]:
    return {
        "rules": radius.rules,
        "changed": [
            {"rule": name, "differences": list(found), "explainedBy": list(radius.codes[name])}
            for name, found in radius.changed.items()
        ],
        "unchanged": radius.rules - len(radius.changed),
        "shared": [
            {"difference": text, "count": count, "explainedBy": list(radius.codes[text])}
            for text, count in radius.shared.items()
        ],
        "others": [
            {"difference": text, "explainedBy": list(radius.codes[text])} for text in radius.others
        ],
    }


def predictions_text(predictions: Iterable[Prediction], screen: Terminal) -> str:
    """Return the predictions for a terminal, what happened first."""
    found = sorted(predictions, key=lambda each: list(Outcome).index(each.outcome))
    counts = ", ".join(
        f"{sum(each.outcome is outcome for each in found)} {outcome.value}" for outcome in Outcome
    )
    lines = ["", f"PREDICTED: {counts}" if found else "PREDICTED: nothing"]
    marks = {
        Outcome.HAPPENED: screen.mark("●", "*"),
        Outcome.NOT: screen.mark("○", "o"),
        Outcome.UNKNOWN: "?",
    }
    for each in found:
        finding = each.finding
        head = f"{marks[each.outcome]} {each.outcome.value:15}{finding.code} {subject(finding.at)}"
        lines += [f"{head}: {finding.problem.message}", f"{'':17}{each.because}"]
    return "\n".join(lines) + "\n"


def blast_text(radius: Blast) -> str:
    """Return the blast radius for a terminal."""
    return "\n".join(_blast(radius)) + "\n"


def _blast(radius: Blast) -> Iterator[str]:
    changed, rest = len(radius.changed), radius.rules - len(radius.changed)
    verb = "changes" if changed == 1 else "change"
    yield ""
    yield (
        f"BLAST RADIUS: {changed} {_word(changed)} {verb} behaviour, the other {rest} "
        f"do{'es' if rest == 1 else ''} not"
    )
    for name, found in list(radius.changed.items())[:MOST]:
        yield f"  {name}{_by(radius, name)}"
        for text in found[:3]:
            yield f"    {text}"
        if len(found) > 3:
            yield f"    and {len(found) - 3} more differences"
    if changed > MOST:
        yield f"  and {changed - MOST} more rules (-o json has all)"
    for text, count in radius.shared.items():
        yield f"  {count} times alike{_by(radius, text)}: {text}"
    for text in radius.others[:MOST]:
        yield f"  {text}{_by(radius, text)}"
    if len(radius.others) > MOST:
        yield f"  and {len(radius.others) - MOST} more differences (-o json has all)"


def _word(count: int) -> str:
    return "rule" if count == 1 else "rules"


def _by(radius: Blast, key: str) -> str:
    codes = radius.codes.get(key)
    return f" ({', '.join(codes)})" if codes else " (unexplained)"
