"""The report as JSON and YAML. The schema is `schema/report.schema.json`; it only grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egops.errors import EgopsError
    from egops.finding import Finding, Report
    from egops.render import Terminal
    from egops.snapshot import Location, Path


def render(report: Report, terminal: Terminal) -> str:  # noqa: ARG001 - one shape for all renderers
    """Return the report as one JSON document."""
    return written(report, "json")


def render_yaml(report: Report, terminal: Terminal) -> str:  # noqa: ARG001 - as above
    """Return the report as one YAML document."""
    return written(report, "yaml")


def written(report: Report, output: str, more: Mapping[str, Any] | None = None) -> str:
    """Return the report as one document in `json` or `yaml`, with `more` beside the findings."""
    document = {**envelope(report), **(more or {})}
    if output == "json":
        return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"
    import yaml

    return str(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False))


def render_failure(command: str, error: EgopsError, version: str) -> str:
    """Return the document of a command that could judge nothing."""
    document = {
        "apiVersion": "egops.dev/v1",
        "kind": "Report",
        "command": command,
        "tool": {"version": version},
        "summary": dict.fromkeys(
            ("error", "warning", "info", "ok", "skipped", "crashed", "suppressed"), 0
        ),
        "findings": [],
        "skipped": [],
        "crashed": [],
        "errors": [{"message": error.message, "hint": error.hint}],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def envelope(report: Report) -> dict[str, Any]:
    """Return the report as plain values, in the order of the schema."""
    return {
        "apiVersion": "egops.dev/v1",
        "kind": "Report",
        "command": report.command,
        "tool": {"version": report.version},
        "source": _source(report),
        "takenAt": report.taken_at.isoformat().replace("+00:00", "Z"),
        "summary": summary(report),
        "findings": [_finding(finding, report) for finding in report.findings],
        "folded": [
            {**_finding(fold.finding, report), "explainedBy": fold.root.fingerprint}
            for fold in report.folded
        ],
        "suppressed": [
            {**_finding(entry.finding, report), "reason": entry.reason, "by": entry.by}
            for entry in report.suppressed
        ],
        "skipped": [{"code": skip.code, "reason": skip.reason} for skip in report.skipped],
        "crashed": [{"code": crash.code, "error": crash.error} for crash in report.crashed],
        "ok": [{"code": code, "statement": statement} for code, statement in report.ok],
        "errors": [
            {"message": broken.message, "location": {"file": broken.file, "line": broken.line}}
            for broken in report.broken
        ],
        "notes": list(report.notes),
        "timedOut": report.timed_out,
    }


def _source(report: Report) -> dict[str, Any]:
    source: dict[str, Any] = {
        "type": report.source.shown_type.value,
        "context": report.source.context,
        "egVersion": report.facts.get("egVersion"),
    }
    if report.source.server:
        source["server"] = report.source.server
    return source | {
        key: int(value) if value.isdigit() else value
        for key, value in report.facts.items()
        if key != "egVersion"
    }


def summary(report: Report) -> dict[str, int]:
    """Return the counts of the report; folded findings count by their severity too."""
    everything = [*report.findings, *(fold.finding for fold in report.folded)]
    return {
        **{
            word: sum(1 for finding in everything if str(finding.severity) == word)
            for word in ("error", "warning", "info")
        },
        "ok": len(report.ok),
        "skipped": len(report.skipped),
        "crashed": len(report.crashed),
        "suppressed": len(report.suppressed),
    }


def path_text(path: Path) -> str:
    """Return `spec.rules[0].backendRefs[1].name`."""
    parts = []
    for part in path:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        else:
            parts.append(f".{part}" if part.replace("_", "").isalnum() else f"[{part!r}]")
    return "".join(parts).removeprefix(".")


def _object(at: Location) -> dict[str, Any]:
    return {
        "apiVersion": at.api_version or at.ref.kind.api_version,
        "kind": at.ref.kind.name,
        "namespace": at.ref.namespace or None,
        "name": at.ref.name,
        "section": at.section or None,
    }


def _finding(finding: Finding, report: Report) -> dict[str, Any]:
    problem, at = finding.problem, finding.at
    explained = sorted({one.code for one in report.explained.get(finding.fingerprint, [])})
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": str(finding.severity),
        "confidence": str(problem.confidence),
        "message": problem.message,
        "impact": problem.impact,
        "object": _object(at),
        "path": path_text(at.path),
        "location": {"file": at.file, "line": at.line} if at.file else None,
        "why": problem.why,
        "evidence": list(problem.evidence),
        "related": [
            {"object": _object(other), "path": path_text(other.path)} for other in problem.related
        ],
        "doNow": list(problem.do_now),
        "remedy": list(problem.remedy),
        "fix": {"patch": problem.fix_patch} if problem.fix_patch else None,
        "explains": explained,
        "docs": finding.docs,
        "fingerprint": finding.fingerprint,
    }
