"""`egops certs rotate` as a process that is watched while it runs, and that may be killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.cluster.settings import KUBECONFIG

KILLED = -signal.SIGKILL
FAST = ("--yes", "--soak", "0s")
# each line of progress, as it comes
OnLine = Callable[[str], None]


@dataclass(slots=True)
class Running:
    """One run: what it has said so far, and how it ended."""

    arguments: tuple[str, ...]
    child: subprocess.Popen[str] | None = None
    lines: list[str] = field(default_factory=list)
    exit_code: int | None = None
    seconds: float = 0.0

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.child
        with suppress(ProcessLookupError):
            os.kill(self.child.pid, signal.SIGKILL)

    def told(self) -> str:
        """Return the run as an assertion's message shows it."""
        head = f"egops {' '.join(self.arguments)}: exit {self.exit_code}, {self.seconds:.0f} s"
        return "\n  ".join([head, *self.lines])


def run(
    *arguments: str,
    kubeconfig: Path = KUBECONFIG,
    on_start: Callable[[Running], None] = lambda _: None,
    on_line: Callable[[Running, str], None] = lambda _run, _line: None,
    limit: float = 600,
) -> Running:
    """Run egops to its end, or to that which a callback brings about."""
    began = time.monotonic()
    running = Running(arguments)
    with subprocess.Popen(
        [sys.executable, "-m", "egops", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "KUBECONFIG": str(kubeconfig), "NO_COLOR": "1"},
    ) as child:
        running.child = child
        on_start(running)
        timer = threading.Timer(limit, running.kill)
        timer.start()
        try:
            assert child.stdout
            for line in child.stdout:
                running.lines.append(line.rstrip())
                on_line(running, line.rstrip())
        finally:
            timer.cancel()
            if child.poll() is None and sys.exc_info()[0]:
                running.kill()
    running.exit_code, running.seconds = child.returncode, time.monotonic() - began
    return running
