"""Run promtool over the rules as rendered and over the unit tests of every alert."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from egops.errors import EgopsError
from egops.monitoring.rulefile import rule_file
from egops.monitoring.rules import rule_groups
from egops.monitoring.shipped import promtool_tests
from egops.monitoring.values import values as default_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.monitoring.rules import Profile
    from egops.monitoring.values import Values


def run_promtool(values: Values, profile: Profile, promtool: str) -> Iterator[tuple[str, str]]:
    """Yield (what was tested, what promtool said against it); nothing said is a pass.

    The rules are checked with the user's values. The unit tests run with ours: other thresholds
    rightly change when an alert fires. Raises EgopsError when there is no promtool.
    """
    found = shutil.which(promtool)
    if found is None:
        raise EgopsError(
            f"{promtool} was not found, so nothing was tested",
            hint="it comes with Prometheus (Debian: package prometheus); name it with --promtool",
        )
    with tempfile.TemporaryDirectory(prefix="egops-") as folder:
        root = Path(folder)
        (root / "tests").mkdir()
        rendered = root / "rendered.yaml"
        rendered.write_text(rule_file(rule_groups(values, profile=profile)), "utf-8")
        yield f"rules, profile {profile}", _said(found, "check", rendered)
        full = rule_file(rule_groups(default_values(), profile="full"))
        (root / "full.yaml").write_text(full, "utf-8")
        for name, text in promtool_tests().items():
            path = root / "tests" / f"{name}.yaml"
            path.write_text(text, "utf-8")
            yield f"unit tests of {name}", _said(found, "test", path)


def _said(promtool: str, verb: str, path: Path) -> str:
    ran = subprocess.run(  # noqa: S603 - the user's own promtool on files of ours
        [promtool, verb, "rules", str(path)], capture_output=True, text=True, check=False
    )
    return "" if ran.returncode == 0 else (ran.stdout + ran.stderr).strip()
