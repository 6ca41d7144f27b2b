"""Run `egops` as an operator does: a process of its own, against the rig's cluster."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.cluster.settings import KUBECONFIG

# the access log remembers for a while what the stories before have provoked
NO_PAST = ("--skip", "traffic")
LIMIT = 120.0  # seconds after which a run counts as hung


@dataclass(frozen=True, slots=True)
class Run:
    """One finished run: how it was called, what it said, how it ended."""

    arguments: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str
    seconds: float
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Return the findings, those that another one explains too."""
        found: list[dict[str, Any]] = self.report.get("findings", [])
        return found

    @property
    def skipped(self) -> list[dict[str, Any]]:
        """Return what could not be judged, with the reasons."""
        found: list[dict[str, Any]] = self.report.get("skipped", [])
        return found

    def loud(self) -> list[str]:
        """Return the errors and warnings, one line each."""
        return [brief(f) for f in self.findings if f["severity"] in {"error", "warning"}]

    def told(self) -> str:
        """Return the run as an assertion's message shows it."""
        lines = [f"egops {' '.join(self.arguments)}: exit {self.exit_code}, {self.seconds:.1f} s"]
        lines += [f"  {brief(finding)}" for finding in self.findings]
        lines += [f"  skipped {skip.get('code')}: {skip.get('reason')}" for skip in self.skipped]
        lines += [f"  crashed {crash}" for crash in self.report.get("crashed", [])]
        if not self.report:
            lines.append(f"  stdout: {self.stdout[:1500]}")
        return "\n".join([*lines, f"  stderr: {self.stderr[-1500:]}"])


def place(finding: dict[str, Any]) -> str:
    """Return the object of a finding as Kind/namespace/name, or Kind/name."""
    about = finding.get("object") or {}
    parts = (about.get("kind"), about.get("namespace"), about.get("name"))
    return "/".join(part for part in parts if part)


def brief(finding: dict[str, Any]) -> str:
    """Return a finding in one line."""
    return f"{finding['severity']} {finding['code']} {place(finding)}: {finding['message']}"


def egops(
    *arguments: str, kubeconfig: Path = KUBECONFIG, as_json: bool = True, limit: float = LIMIT
) -> Run:
    """Run egops; with as_json its report is parsed, which it must then print whatever happens."""
    asked = (*arguments, "-o", "json") if as_json else arguments
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "NO_COLOR": "1"}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "egops", *asked],
        capture_output=True,
        text=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        timeout=limit,
        check=False,
    )
    took = time.monotonic() - began
    report: dict[str, Any] = {}
    if as_json and done.stdout.strip():
        report = json.loads(done.stdout)
    return Run(asked, done.returncode, done.stdout, done.stderr, took, report)


def doctor(*arguments: str, kubeconfig: Path = KUBECONFIG) -> Run:
    """Run `egops doctor` on the cluster, believing what has not settled, with a short window."""
    return egops("doctor", "--strict", "--window", "1s", *arguments, kubeconfig=kubeconfig)
