"""Where the runbook pages are; the one place that knows."""

from __future__ import annotations

RUNBOOKS = "https://egops.dev/docs/runbooks"


def runbook_url(alert: str, *, base: str = RUNBOOKS) -> str:
    """Return the address of the runbook page of an alert."""
    return f"{base.rstrip('/')}/{alert}.md"
