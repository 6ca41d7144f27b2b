"""Write alerts/ from the catalogue with its default values, or with --check fail if stale.

The rule files are what `egops alerts render` prints; alerts/tests holds their promtool unit tests.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from egops.monitoring.rulefile import rule_file
from egops.monitoring.rules import PROFILES, rule_groups
from egops.monitoring.values import values
from tools.alert_tests import cases, test_file

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "alerts"
COMMENT = {
    "default": "The alerts to begin with. Load this file or full.yaml, not both.",
    "full": "Every alert. Load this file or default.yaml, not both.",
}


def rendered() -> dict[Path, str]:
    """Return the text of each file, by path."""
    files = {
        FOLDER / f"{profile}.yaml": rule_file(
            rule_groups(values(), profile=profile),
            comment=f"{COMMENT[profile]}\nWritten by tools/alerts.py; other thresholds: "
            "`egops alerts render --set`.",
        )
        for profile in PROFILES
    }
    tests = {
        FOLDER / "tests" / f"{alert}.yaml": test_file(alert, of_alert)
        for alert, of_alert in cases().items()
    }
    return files | tests


def stale(files: dict[Path, str]) -> list[str]:
    """Return what differs between the folder and what would be written."""
    problems = [
        f"{path.relative_to(ROOT)} is stale"
        for path, text in files.items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    strangers = set(FOLDER.rglob("*.yaml")) - files.keys()
    return problems + [
        f"{path.relative_to(ROOT)} is written by nothing" for path in sorted(strangers)
    ]


def main() -> int:
    """Write or check the files; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if stale")
    check = parser.parse_args().check
    files = rendered()
    if check:
        problems = stale(files)
        for problem in problems:
            print(f"{problem}: run python -m tools.alerts", file=sys.stderr)
        return 1 if problems else 0
    (FOLDER / "tests").mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
