"""Take the README's picture: the doctor's own output on the demo, as SVG.

python -m tools.screenshot
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from egops.demo.world import world

DOCS = Path(__file__).parents[1] / "docs"
WIDTH = 112


def main() -> None:
    """Run the doctor on the demo's world and write docs/doctor.svg."""
    with world() as here:
        words = ["doctor", "-f", str(here.folder), "--admin", here.admin, "--window", "0"]
        done = subprocess.run(
            [sys.executable, "-m", "egops", *words],
            capture_output=True,
            text=True,
            check=False,
            env={"FORCE_COLOR": "1", "PATH": "/usr/bin:/bin"},
        )
        shown = done.stdout.replace(f"{here.folder}/", "").replace(str(here.folder), "cluster/")
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ egops doctor -f cluster/ --admin http://127.0.0.1:19000\n", style="bold"))
    shown = re.sub(r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:19000", shown)
    console.print(Text.from_ansi(shown))
    DOCS.mkdir(exist_ok=True)
    (DOCS / "doctor.svg").write_text(console.export_svg(title="egops doctor"), "utf-8")


if __name__ == "__main__":
    main()
