"""A story while it is told: what was planted, what doctor found, how long it took."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.e2e.cluster import kube
from tests.e2e.cluster.shell import wait_for
from tests.e2e.harness.command import Run, brief, doctor, place

T = TypeVar("T")


@dataclass(slots=True)
class Record:
    """One line of the table."""

    version: str
    story: str
    fault: str = ""
    codes: str = ""
    where: str = ""
    seconds: float | None = None  # from the fault to the finding
    repaired: float | None = None  # from the repair to silence
    symptoms: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    outcome: str = "not run"


class Story:
    """Plant a fault, wait for its symptoms and findings, and see them go."""

    def __init__(self, record: Record) -> None:
        """Tell the story into this record."""
        self.record = record
        self._began = time.monotonic()
        self._expected: list[tuple[tuple[str, ...], str]] = []
        self.last: Run | None = None

    @contextmanager
    def fault(self, told: str, planted: AbstractContextManager[T]) -> Iterator[T]:
        """Plant the fault for the block, told in an operator's words; the clock starts here."""
        self.record.fault = "; ".join(filter(None, (self.record.fault, told)))
        self._began = time.monotonic()
        with planted as given:
            yield given
        self._began = time.monotonic()

    def symptom(self, what: str, probe: Callable[[], T], timeout: float = 60) -> T:
        """Wait until the cluster itself shows the fault, and keep what it showed."""
        seen = wait_for(what, probe, timeout)
        self.note(f"{what} after {time.monotonic() - self._began:.1f} s: {seen}")
        return seen

    def note(self, text: str) -> None:
        """Keep a fact for the report of the run."""
        self.record.symptoms.append(text[:600])

    def finds(self, *codes: str, where: str = "", within: float = 60, args: str = "") -> Any:
        """Run doctor until it reports one of the codes at the object; return the finding.

        where: Kind/namespace/name of the object, or a prefix of it. It also must exit 1.
        """

        def found() -> Any:
            self.last = doctor(*args.split())
            return next((f for f in self.last.findings if _matches(f, codes, where)), None)

        finding = self._until(found, f"{'/'.join(codes)} at {where or 'any object'}", within)
        self._expected.append((codes, where))
        took = time.monotonic() - self._began
        self.record.seconds = max(took, self.record.seconds or 0)
        self.record.codes = " ".join(filter(None, (self.record.codes, finding["code"])))
        self.record.where = " ".join(filter(None, (self.record.where, place(finding))))
        self.record.messages.append(brief(finding))
        assert self.last
        loud = finding["severity"] == "error"
        assert self.last.exit_code == 1 or not loud, self.last.told()
        assert not self.last.report.get("crashed"), self.last.told()
        return finding

    def clears(self, within: float = 90, args: str = "") -> Run:
        """Run doctor until nothing that was found is reported any more."""

        def clear() -> Run | None:
            self.last = run = doctor(*args.split())
            judged = run.report.get("kind") == "Report"
            left = any(_matches(f, c, w) for f in run.findings for c, w in self._expected)
            return run if judged and not left else None

        run = self._until(clear, "the findings' end", within)
        self.record.repaired = time.monotonic() - self._began
        return run

    def _until(self, probe: Callable[[], T | None], what: str, within: float) -> T:
        end = time.monotonic() + within
        while True:
            if got := probe():
                return got
            if time.monotonic() > end:
                told = self.last.told() if self.last else ""
                raise AssertionError(f"no {what} within {within:.0f} s; last\n{told}")
            time.sleep(0.5)


def _matches(finding: dict[str, Any], codes: tuple[str, ...], where: str) -> bool:
    # info tells of what was: a counter that stands still after the repair
    loud = finding["severity"] != "info"
    here = f"{place(finding)}/".startswith(where)
    return loud and here and finding["code"] in codes


def conditions(kind: str, namespace: str, name: str) -> list[str]:
    """Return every condition in an object's status as `Type=Status Reason: message`."""
    status = kube.get(kind, "-n", namespace, name).get("status", {})
    found: list[dict[str, str]] = list(status.get("conditions", []))
    for group in ("parents", "ancestors", "listeners"):
        for entry in status.get(group, []):
            found += entry.get("conditions", [])
    return [f"{c['type']}={c['status']} {c['reason']}: {c.get('message', '')}" for c in found]


def has_condition(kind: str, namespace: str, name: str, start: str) -> Callable[[], str]:
    """Return a probe for a condition that begins with this text; it gives the whole text."""
    return lambda: next(
        (text for text in conditions(kind, namespace, name) if text.startswith(start)), ""
    )


def table(records: list[Record]) -> list[str]:
    """Return the records as aligned lines under a heading."""
    heading = ("version", "story", "code", "object", "found", "gone", "outcome")
    rows = [heading]
    for record in records:
        found = f"{record.seconds:.1f} s" if record.seconds is not None else "-"
        gone = f"{record.repaired:.1f} s" if record.repaired is not None else "-"
        where = record.where or "-"
        codes = record.codes or "-"
        rows.append((record.version, record.story, codes, where, found, gone, record.outcome))
    widths = [min(max(len(row[i]) for row in rows), 46) for i in range(len(heading))]
    return [
        "  ".join(cell[:46].ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def save(records: list[Record], path: Path, timings: dict[str, float]) -> None:
    """Write the records and the seconds of each stage as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"timings": timings, "stories": [asdict(record) for record in records]}
    path.write_text(json.dumps(document, indent=1) + "\n")
