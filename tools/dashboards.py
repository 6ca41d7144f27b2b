"""Write dashboards/*.json from the boards in tools/boards, or with --check fail if stale."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from tools.boards import certs, control_plane, proxies, ratelimit, xds

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "dashboards"
BOARDS = [module.BOARD for module in (control_plane, xds, proxies, certs, ratelimit)]


def rendered() -> dict[Path, str]:
    """Return the text of each file, by path: sorted keys, so that equal boards are equal bytes."""
    files = {}
    for board in BOARDS:
        plain = json.loads(json.dumps(board.build(), cls=JSONEncoder))
        plain["id"] = None
        name = board.uid.removeprefix("egops-")
        text = json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False)
        files[FOLDER / f"{name}.json"] = text + "\n"
    return files


def stale(files: dict[Path, str]) -> list[str]:
    """Return what differs between the folder and what would be written."""
    problems = [
        f"{path.relative_to(ROOT)} is stale"
        for path, text in files.items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    strangers = set(FOLDER.glob("*.json")) - files.keys()
    problems += [f"{path.relative_to(ROOT)} has no board" for path in sorted(strangers)]
    return problems


def main() -> int:
    """Write or check the files; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if stale")
    check = parser.parse_args().check
    files = rendered()
    if check:
        problems = stale(files)
        for problem in problems:
            print(f"{problem}: run python -m tools.dashboards", file=sys.stderr)
        return 1 if problems else 0
    FOLDER.mkdir(exist_ok=True)
    for path, text in files.items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
