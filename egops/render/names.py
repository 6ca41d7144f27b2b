"""One line per finding, for scripts: code, severity and object."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from egops.finding import Report
    from egops.render import Terminal


def render(report: Report, terminal: Terminal) -> str:  # noqa: ARG001 - one shape for all renderers
    """Return `EGD-441 Gateway/edge/public` for each finding, the same finding once."""
    lines = []
    for finding in report.findings:
        ref = finding.at.ref
        parts = [ref.kind.name, ref.namespace, ref.name]
        lines.append(f"{finding.code} {'/'.join(part for part in parts if part)}")
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))
