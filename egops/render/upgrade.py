"""The upgrade report: the usual one and the plan, or a change request in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egops.finding import Finding, Report
    from egops.upgrade.plan import Step

WORDS = {"error": "Blockers", "warning": "Changes in behaviour", "info": "Worth knowing"}


def with_plan(document: str, steps: Iterable[Step]) -> str:
    """Return a JSON report with the plan in it."""
    value = orjson.loads(document)
    value["plan"] = plain(steps)
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n"


def plain(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """Return the plan as plain values."""
    return [
        {"title": step.title, "commands": [*step.commands], "remarks": [*step.remarks]}
        for step in steps
    ]


def plan_text(steps: Iterable[Step]) -> str:
    """Return the plan for a terminal."""
    lines = ["", "PLAN"]
    for number, step in enumerate(steps, 1):
        lines.append(f"{number:3}. {step.title}")
        lines += [f"       {remark}" for remark in step.remarks]
        lines += [f"       $ {command}" for command in step.commands]
    return "\n".join(lines) + "\n"


def markdown(report: Report, steps: Iterable[Step]) -> str:
    """Return a change request: summary, findings by severity, plan."""
    facts = report.facts
    lines = [
        f"# Upgrade Envoy Gateway {facts.get('from', '?')} to {facts.get('to', '?')}",
        "",
        f"Installed release: {facts.get('from', '?')} ({facts.get('fromSource', 'given')}). "
        f"{len(report.findings)} findings, {len(report.ok)} rules found nothing, "
        f"{len(report.skipped)} parts not judged.",
    ]
    for severity, title in WORDS.items():
        found = [f for f in report.findings if str(f.severity) == severity]
        if found:
            lines += ["", f"## {title}"]
            for finding in found:
                lines += _finding(finding)
    if report.skipped:
        lines += ["", "## Not judged", ""]
        lines += [f"* {skip.code}: {skip.reason}" for skip in report.skipped]
    lines += ["", "## Plan", ""]
    for number, step in enumerate(steps, 1):
        lines.append(f"{number}. **{step.title}**")
        lines += [f"   * {remark}" for remark in step.remarks]
        if step.commands:
            lines += ["", "   ```sh", *(f"   {command}" for command in step.commands), "   ```", ""]
    return "\n".join(lines) + "\n"


def _finding(finding: Finding) -> list[str]:
    at, problem = finding.at, finding.problem
    place = f" (`{at.file}:{at.line}`)" if at.file else ""
    lines = ["", f"### {finding.code} {at.ref}", "", f"{problem.message}{place}", ""]
    lines += [f"* {fact}" for fact in problem.evidence]
    lines += [f"* [ ] {step}" for step in problem.remedy]
    if problem.fix_patch:
        lines += ["", "```yaml", problem.fix_patch.rstrip(), "```"]
    return lines
