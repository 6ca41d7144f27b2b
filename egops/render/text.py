"""The report for a person on call: what is broken, where, what to do."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import TYPE_CHECKING

from egops.finding import Severity
from egops.render.json import path_text, summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egops.finding import Finding, Report
    from egops.render import Terminal
    from egops.snapshot import Location

Line = tuple[tuple[str, str], ...]  # pieces of text, each with a rich style

LABEL = 11  # columns before the text of a line: "  explains "
MARKS = {
    Severity.ERROR: ("✗", "x", "bold red"),
    Severity.WARNING: ("!", "!", "bold yellow"),
    Severity.INFO: ("i", "i", "cyan"),
}


def render(report: Report, terminal: Terminal) -> str:
    """Return the report as text; wrapped and coloured only if the terminal says so."""
    return paint(_lines(report, terminal), color=terminal.color)


def paint(lines: Iterable[Line], *, color: bool) -> str:
    """Return lines as one string; rich is loaded only to colour them."""
    if not color:
        return "".join("".join(piece for piece, _ in line) + "\n" for line in lines)
    import io  # noqa: PLC0415 - for colour only

    from rich.console import Console
    from rich.text import Text

    console = Console(
        file=io.StringIO(), color_system="truecolor", force_terminal=True, width=10**6
    )
    for line in lines:
        console.print(Text.assemble(*line), soft_wrap=True)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def _lines(report: Report, terminal: Terminal) -> Iterator[Line]:
    yield _header(report, terminal)
    for finding in report.findings:
        yield ()
        yield from _finding(finding, report, terminal)
    for broken in report.broken:
        yield ()
        place = f"{broken.file}:{broken.line}" if broken.line else broken.file
        yield from _line("error", f"{place}: {broken.message}", "red", terminal)
    for crash in report.crashed:
        yield ()
        yield from _line("crashed", f"{crash.code}: {crash.error}", "red", terminal)
    if terminal.verbose:
        yield from _details(report, terminal)
    yield ()
    yield _footer(report, terminal)
    for note in report.notes:
        yield ((note, "dim"),)


def _header(report: Report, terminal: Terminal) -> Line:
    source, facts = report.source, report.facts
    where = f"context {source.context}" if source.type.value == "cluster" else source.context
    parts = [where]
    if version := facts.get("egVersion"):
        parts.append(f"Envoy Gateway {version}")
    counted = [
        _count(int(facts[key]), word)
        for key, word in (("gateways", "Gateway"), ("proxies", "proxy"))
        if key in facts
    ]
    parts.append(", ".join(counted))
    if terminal.elapsed is not None:
        parts.append(f"{terminal.elapsed:.1f} s")
    dot = terminal.mark("·", "-")
    rest = "".join(f" {dot} {part}" for part in parts if part)
    return ((f"egops {report.command}", "bold"), (rest, ""))


def _count(number: int, word: str) -> str:
    if number == 1:
        return f"1 {word}"
    return f"{number} {word.removesuffix('y')}ies" if word.endswith("xy") else f"{number} {word}s"


def subject(at: Location) -> str:
    """Return the object a finding is about: `HTTPRoute shop/cart`, with its section if any."""
    return f"{at.ref}{f' ({at.section})' if at.section else ''}"


def _finding(finding: Finding, report: Report, terminal: Terminal) -> Iterator[Line]:
    problem = finding.problem
    fancy, plain, style = MARKS[finding.severity]
    mark = terminal.mark(fancy, plain)
    first, *more = _wrap(f"{subject(finding.at)}: {problem.message}", terminal)
    yield ((f"{mark} {finding.code}", style), ("  ", ""), (first, "bold"))
    for line in more:
        yield ((" " * LABEL + line, "bold"),)
    yield from _line("", problem.impact, "", terminal)
    yield from _line("where", _where(finding.at), "", terminal)
    yield from _line("why", problem.why, "", terminal)
    yield from _steps("do now", problem.do_now, terminal)
    yield from _steps("fix", problem.remedy, terminal)
    if terminal.verbose:
        yield from _steps("evidence", problem.evidence, terminal, numbered=False)
        yield from _steps("related", map(subject, problem.related), terminal, numbered=False)
        yield from _steps("patch", problem.fix_patch.splitlines(), terminal, numbered=False)
        yield from _line("docs", f"egops rule {finding.code}", "dim", terminal)
    explained = report.explained.get(finding.fingerprint, [])
    codes = ", ".join(dict.fromkeys(one.code for one in explained))
    hint = "" if terminal.verbose or not explained else " (-v shows them)"
    yield from _line("explains", codes + hint, "dim", terminal)
    if terminal.verbose:
        for one in explained:
            text = f"{one.code} {subject(one.at)}: {one.problem.message}"
            yield from _line("", text, "dim", terminal)


def _where(at: Location) -> str:
    path = path_text(at.path)
    if at.file:
        place = f"{at.file}:{at.line}"
        return f"{place} ({path})" if path else place
    return path


def _steps(
    label: str, steps: Iterable[str], terminal: Terminal, *, numbered: bool = True
) -> Iterator[Line]:
    steps = tuple(steps)
    for index, step in enumerate(steps, 1):
        number = f"{index}. " if numbered and len(steps) > 1 else ""
        yield from _line(label if index == 1 else "", f"{number}{step}", "", terminal)


def _line(label: str, content: str, style: str, terminal: Terminal) -> Iterator[Line]:
    """Yield labelled content, nothing if there is none."""
    if not content:
        return
    for index, line in enumerate(_wrap(content, terminal)):
        yield ((f"  {'' if index else label:<{LABEL - 2}}", "dim"), (line, style))


def _wrap(content: str, terminal: Terminal) -> list[str]:
    if terminal.width is None:
        return content.splitlines() or [""]
    width = max(terminal.width - LABEL, 30)
    lines: list[str] = []
    for line in content.splitlines() or [""]:
        indent = " " * (len(line) - len(line.lstrip()))
        lines += textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) or [
            ""
        ]
    return lines


def _details(report: Report, terminal: Terminal) -> Iterator[Line]:
    yield ()
    for code, statement in report.ok:
        yield ((f"{terminal.mark('✓', 'v')} {code}  {statement}", "green"),)
    for skip in report.skipped:
        yield ((f"- {skip.code}  skipped: {skip.reason}", "dim"),)
    for entry in report.suppressed:
        text = f"- {entry.finding.code}  suppressed: {subject(entry.finding.at)}"
        yield ((f"{text} ({entry.reason}, {entry.by})", "dim"),)


def _footer(report: Report, terminal: Terminal) -> Line:
    counts = summary(report)
    dot = terminal.mark("·", "-")
    parts = []
    for word in ("error", "warning", "info"):
        if counts[word]:
            plural = "s" if counts[word] != 1 and word != "info" else ""
            parts.append(f"{counts[word]} {word}{plural}")
    parts.append(f"{counts['ok']} ok")
    if counts["suppressed"]:
        parts.append(f"{counts['suppressed']} suppressed")
    if counts["crashed"]:
        parts.append(f"{counts['crashed']} crashed")
    if report.timed_out:
        parts.append("stopped by --timeout")
    if report.skipped:
        parts.append(f"{counts['skipped']} skipped: {_reasons(report)}")
    return ((f" {dot} ".join(parts), ""),)


def _reasons(report: Report) -> str:
    """Return the reasons of the skips, the most frequent first, each once."""
    reasons = Counter(part for skip in report.skipped for part in skip.reason.split("; "))
    common = [reason for reason, _ in reasons.most_common(3)]
    more = len(reasons) - len(common)
    return ", ".join(common) + (f" and {more} more reasons (-v)" if more > 0 else "")
