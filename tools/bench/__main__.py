"""Measure egops against yardsticks in one run: `python -m tools.bench [WORD]...`.

Every row runs our command and its yardstick in turn, so that load on the machine hits both; the
figures are ratios of medians. Budgets are printed beside them and are no test.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.bench.objects import write

if TYPE_CHECKING:
    import resource

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".bench"
RUNS = 5
PYTHON = sys.executable
EGOPS = str(Path(sys.executable).with_name("egops"))
YAML_YARDSTICK = (
    "import sys, yaml\n"
    "for f in sys.argv[1:]:\n"
    "    list(yaml.load_all(open(f, encoding='utf-8'), Loader=yaml.CSafeLoader))"
)
JSON_YARDSTICK = (
    "import sys, orjson\nfor f in sys.argv[1:]:\n    orjson.loads(open(f, 'rb').read())"
)


@dataclass(frozen=True)
class Row:
    """One measurement: our command, its yardstick, and the budgets as ratios."""

    name: str
    ours: list[str]
    yardstick: list[str]
    budget: float
    memory: float | None = None
    stdin: Path | None = None


def measure(command: list[str]) -> tuple[float, float]:
    """Return seconds and peak MiB of a command as a whole process."""
    began = time.perf_counter()
    pid = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ],
    )
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - began
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, 1, 3):
        sys.exit(f"{' '.join(command[:6])} exited {code}")
    return seconds, _mebibytes(usage)


def _mebibytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024


def compare(row: Row) -> str:
    """Return a line of the table: medians, their ratio, the budget."""
    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(measure(row.ours))
        theirs.append(measure(row.yardstick))
    mine, yard = (statistics.median(seconds for seconds, _ in runs) for runs in (ours, theirs))
    peak, peak_yard = (statistics.median(mib for _, mib in runs) for runs in (ours, theirs))
    memory = f"{peak / peak_yard:5.2f}" + (f" ({row.memory})" if row.memory else "      ")
    return (
        f"{row.name:<32} {mine * 1000:8.0f} {yard * 1000:8.0f} {mine / yard:6.2f} ({row.budget})"
        f"   {peak:6.0f} {peak_yard:6.0f} {memory}"
    )


def rows() -> list[Row]:
    """Return every measurement; inputs are made on first use."""
    dump = FOLDER / "dump-50000.json"
    if not dump.exists():
        FOLDER.mkdir(exist_ok=True)
        make = [PYTHON, "-m", "tools.bench.make_dump", "--routes", "50000", str(dump)]
        subprocess.run(make, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    folder = FOLDER / "objects-5000"
    if not folder.exists():
        write(folder, 5000)
    yamls = [str(path) for path in sorted((folder / "yaml").iterdir())]
    jsons = [str(path) for path in sorted((folder / "json").iterdir())]
    load = [PYTHON, "-c", JSON_YARDSTICK, str(dump)]
    parse_yaml = [PYTHON, "-c", YAML_YARDSTICK, *yamls]
    parse_json = [PYTHON, "-c", JSON_YARDSTICK, *jsons]
    of_dump = ["--config-dump", str(dump)]
    of_yaml, of_json = ["-f", str(folder / "yaml")], ["-f", str(folder / "json")]
    upgrade = [EGOPS, "upgrade-check", "--from", "1.2.8", "--to", "1.3.0"]
    explain = [EGOPS, "routes", "explain", "http://app-49999.example.com/", *of_dump]
    route_map = [EGOPS, "routes", "map", "-o", "json", *of_dump]
    return [
        Row("--help | import click", [EGOPS, "--help"], [PYTHON, "-c", "import click"], 1.5),
        Row("inspect routes | orjson", [EGOPS, "inspect", "routes", *of_dump], load, 1.0, 0.6),
        Row("routes map -o json | orjson", route_map, load, 1.0, 0.6),
        Row("routes explain | orjson", explain, load, 1.5, 0.6),
        Row("doctor, YAML | PyYAML C", [EGOPS, "doctor", *of_yaml], parse_yaml, 1.3),
        Row("doctor, JSON | orjson", [EGOPS, "doctor", *of_json], parse_json, 1.5),
        Row("upgrade-check, YAML | PyYAML C", [*upgrade, *of_yaml], parse_yaml, 1.3),
        Row("upgrade-check, JSON | orjson", [*upgrade, *of_json], parse_json, 2.0),
    ]


HEAD = f"{'ours | yardstick':<32}     ours    yard  ratio (budget)   MiB    yard ratio (budget)"


def main() -> None:
    """Print the table."""
    words = sys.argv[1:]
    print(f"medians of {RUNS} runs, milliseconds; 50,000 routes, 15,000 objects\n{HEAD}")
    for row in rows():
        if not words or any(word in row.name for word in words):
            print(compare(row), flush=True)


if __name__ == "__main__":
    main()
