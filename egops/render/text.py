"""The report for a person on call: what is broken, where, what to do."""

from __future__ import annotations

import io
import textwrap
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console  # noqa: TID253 - this renderer is loaded only when asked for
from rich.text import Text  # noqa: TID253 - as above

from egops.finding import Severity
from egops.render.json import path_text, summary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egops.finding import Finding, Report
    from egops.render import Terminal
    from egops.snapshot import Location

LABEL = 11  # columns before the text of a line: "  explains "
MARKS = {
    Severity.ERROR: ("✗", "x", "bold red"),
    Severity.WARNING: ("!", "!", "bold yellow"),
    Severity.INFO: ("i", "i", "cyan"),
}


def render(report: Report, terminal: Terminal) -> str:
    """Return the report as text; wrapped and coloured only if the terminal says so."""
    console = make_console(terminal)
    console.print(_header(report, terminal))
    for finding in report.findings:
        console.print()
        for line in _finding(finding, report, terminal):
            console.print(line)
    for broken in report.broken:
        console.print()
        place = f"{broken.file}:{broken.line}" if broken.line else broken.file
        console.print(_line("error", f"{place}: {broken.message}", "red", terminal))
    for crash in report.crashed:
        console.print()
        console.print(_line("crashed", f"{crash.code}: {crash.error}", "red", terminal))
    if terminal.verbose:
        for line in _details(report, terminal):
            console.print(line)
    console.print()
    console.print(_footer(report, terminal))
    for note in report.notes:
        console.print(Text(note, style="dim"))
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def make_console(terminal: Terminal) -> Console:
    """Return a console that writes into a string, as this terminal wants it."""
    return Console(
        file=io.StringIO(),
        width=terminal.width or 1_000_000,
        color_system="truecolor" if terminal.color else None,
        force_terminal=terminal.color,
        soft_wrap=True,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


def _header(report: Report, terminal: Terminal) -> Text:
    source, facts = report.source, report.facts
    where = f"context {source.context}" if source.type.value == "cluster" else source.context
    parts = [f"egops {report.command}", where]
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
    text = Text(f" {dot} ".join(part for part in parts if part))
    text.stylize("bold", 0, len(parts[0]))
    return text


def _count(number: int, word: str) -> str:
    if number == 1:
        return f"1 {word}"
    return f"{number} {word.removesuffix('y')}ies" if word.endswith("xy") else f"{number} {word}s"


def subject(at: Location) -> str:
    """Return the object a finding is about: `HTTPRoute shop/cart`, with its section if any."""
    return f"{at.ref}{f' ({at.section})' if at.section else ''}"


def _finding(finding: Finding, report: Report, terminal: Terminal) -> Iterable[Text]:
    problem = finding.problem
    fancy, plain, style = MARKS[finding.severity]
    head = Text(f"{terminal.mark(fancy, plain)} {finding.code}", style=style)
    head.append("  ")
    lines = _wrap(f"{subject(finding.at)}: {problem.message}", terminal)
    head.append(lines[0], style="bold")
    yield head
    for line in lines[1:]:
        yield Text(" " * LABEL + line, style="bold")
    if problem.impact:
        yield _line("", problem.impact, "", terminal)
    if where := _where(finding.at):
        yield _line("where", where, "", terminal)
    if problem.why:
        yield _line("why", problem.why, "", terminal)
    yield from _steps("do now", problem.do_now, terminal)
    yield from _steps("fix", problem.remedy, terminal)
    if terminal.verbose:
        yield from _steps("evidence", problem.evidence, terminal, numbered=False)
        yield from _steps("related", map(subject, problem.related), terminal, numbered=False)
        if problem.fix_patch:
            yield from _steps("patch", problem.fix_patch.splitlines(), terminal, numbered=False)
        yield _line("docs", f"egops rule {finding.code}", "dim", terminal)
    explained = [
        fold.finding for fold in report.folded if fold.root.fingerprint == finding.fingerprint
    ]
    if explained:
        codes = ", ".join(dict.fromkeys(one.code for one in explained))
        yield _line(
            "explains", codes if terminal.verbose else f"{codes} (-v shows them)", "dim", terminal
        )
        if terminal.verbose:
            for one in explained:
                text = f"{one.code} {subject(one.at)}: {one.problem.message}"
                yield _line("", text, "dim", terminal)


def _where(at: Location) -> str:
    path = path_text(at.path)
    if at.file:
        place = f"{at.file}:{at.line}"
        return f"{place} ({path})" if path else place
    return path


def _steps(
    label: str, steps: Iterable[str], terminal: Terminal, *, numbered: bool = True
) -> Iterable[Text]:
    steps = tuple(steps)
    for index, step in enumerate(steps, 1):
        number = f"{index}. " if numbered and len(steps) > 1 else ""
        yield _line(label if index == 1 else "", f"{number}{step}", "", terminal)


def _line(label: str, content: str, style: str, terminal: Terminal) -> Text:
    text = Text(f"  {label:<{LABEL - 2}}", style="dim")
    text.append(f"\n{' ' * LABEL}".join(_wrap(content, terminal)), style=style)
    return text


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


def _details(report: Report, terminal: Terminal) -> Iterable[Text]:
    yield Text()
    for code, statement in report.ok:
        yield Text(f"{terminal.mark('✓', 'v')} {code}  {statement}", style="green")
    for skip in report.skipped:
        yield Text(f"- {skip.code}  skipped: {skip.reason}", style="dim")
    for entry in report.suppressed:
        text = f"- {entry.finding.code}  suppressed: {subject(entry.finding.at)}"
        yield Text(f"{text} ({entry.reason}, {entry.by})", style="dim")


def _footer(report: Report, terminal: Terminal) -> Text:
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
    return Text(f" {dot} ".join(parts))


def _reasons(report: Report) -> str:
    """Return the reasons of the skips, the most frequent first, each once."""
    reasons = Counter(part for skip in report.skipped for part in skip.reason.split("; "))
    common = [reason for reason, _ in reasons.most_common(3)]
    more = len(reasons) - len(common)
    return ", ".join(common) + (f" and {more} more reasons (-v)" if more > 0 else "")
