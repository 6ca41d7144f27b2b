"""Where the runbook pages are; the one place that knows."""

from __future__ import annotations

# a path in the repository: no site serves the pages for everybody, so the command below prints them
# for whoever installed egops, and the value runbooks.base names the place where a team serves them
RUNBOOKS = "docs/runbooks"
RUNBOOKS_VARIABLE = "runbooks"  # of every board; its value is the base of the board's links


def runbook_url(alert: str, *, base: str = RUNBOOKS) -> str:
    """Return the address of the runbook page of an alert."""
    return f"{base.rstrip('/')}/{alert}.md"


def runbook_command(alert: str) -> str:
    """Return the command that prints the runbook of an alert wherever egops is installed."""
    return f"egops alerts runbook {alert}"
