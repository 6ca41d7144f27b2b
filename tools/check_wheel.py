"""Build the wheel, install it alone with what it depends on, and run it as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMANDS = (
    ["--version"],
    ["--help"],
    ["demo", "--help"],
    ["rules", "-o", "name"],
    ["alerts", "runbook", "EnvoyProxyDisconnected"],
)


def run(*command: str | Path, cwd: Path) -> str:
    """Return the output of a command; stop with its words if it fails."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, env=environment
    )
    if done.returncode:
        sys.exit(
            f"{' '.join(map(str, command))} exited {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def main() -> None:
    """Check the wheel."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(sys.executable, "-m", "build", "--wheel", "-o", folder, ROOT, cwd=ROOT)
        wheel = next(folder.glob("*.whl"))
        home = folder / "venv"
        venv.create(home, with_pip=True)
        python = home / "bin" / "python"
        pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", "-q"]
        run(*pip, "install", "-c", ROOT / "requirements.lock", wheel, cwd=folder)
        for words in COMMANDS:
            if not run(home / "bin" / "egops", *words, cwd=folder).strip():
                sys.exit(f"egops {' '.join(words)} printed nothing")
        for data in ("monitoring/dashboards", "monitoring/alerts", "schema/report.schema.json"):
            found = run(
                python,
                "-c",
                "import egops, pathlib; print(pathlib.Path(egops.__file__).parent)",
                cwd=folder,
            ).strip()
            if not (Path(found) / data).exists():
                sys.exit(f"the wheel lacks {data}")
        print(f"{wheel.name} installs and runs")


if __name__ == "__main__":
    main()
