"""Running commands, waiting for things, and the one error of the rig."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from tests.e2e.cluster.settings import LOG

T = TypeVar("T")


class RigError(Exception):
    """What the person running the rig has to know: component, log and what to do."""

    def __init__(
        self, message: str, *, component: str = "rig", log: Path | None = None, hint: str = ""
    ) -> None:
        super().__init__(message)
        self.component, self.log, self.hint = component, log, hint

    def __str__(self) -> str:
        """Return the message as the command line prints it, over several lines."""
        lines = [f"error: {self.component}: {super().__str__()}"]
        if self.log:
            lines.append(f"  log: {self.log}")
        if self.hint:
            lines.append(f" hint: {self.hint}")
        return "\n".join(lines)


def say(text: str) -> None:
    """Write one line of progress, with the time, to stderr."""
    sys.stderr.write(f"[rig {time.strftime('%H:%M:%S')}] {text}\n")
    sys.stderr.flush()


def sh(
    *command: object,
    check: bool = True,
    stdin: str | None = None,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> str:
    """Run a command and return its stdout; env is added to ours.

    Raises:
        RigError: it exited with an error, is not there, or took longer than timeout seconds.
    """
    line = [str(part) for part in command]
    name = Path(line[0]).name
    try:
        done = subprocess.run(
            line,
            text=True,
            capture_output=True,
            input=stdin,
            cwd=cwd,
            env={**os.environ, **env} if env else None,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as exc:
        hint = "run `make e2e-up`, which installs and builds what is missing"
        raise RigError("not found", component=name, hint=hint) from exc
    except subprocess.TimeoutExpired as exc:
        raise RigError(f"`{' '.join(line[:8])}` ran over {timeout} s", component=name) from exc
    if check and done.returncode:
        output = (done.stderr or done.stdout).strip()[-3000:]
        message = f"`{' '.join(line[:8])}` exited {done.returncode}:\n{output}"
        raise RigError(message, component=name, hint=_hint(output))
    return done.stdout


HINTS = {
    "No space left": "free some space: binaries, images and state take about 5 GB",
    "connection refused": "`python -m tests.e2e.cluster status` says which component is down",
    "ermission denied": "run it as root",
    "ImagePullBackOff": "no registry is reachable; images come from the cache: `… up` imports them",
    "dial tcp": "the Go module proxy must be reachable for the first build",
    "cannot re-use a name": "`make e2e-down` and start again",
}


def _hint(output: str) -> str:
    return next((hint for text, hint in HINTS.items() if text in output), "")


def wait_for(
    what: str,
    probe: Callable[[], T],
    timeout: float = 120,
    watch: Callable[[], None] = lambda: None,
    interval: float = 0.5,
) -> T:
    """Call probe until it returns something true, and return that.

    An error of the probe counts as not yet; watch is called between, and may raise to end the wait.

    Raises:
        RigError: the timeout (seconds) is over; it tells the probe's last error.
    """
    end, last = time.monotonic() + timeout, ""
    while True:
        try:
            if got := probe():
                return got
        except (RigError, OSError, ValueError, LookupError) as exc:
            last = str(exc)
        watch()
        if time.monotonic() > end:
            raise RigError(f"not there after {timeout:.0f} s. {last}".strip(), component=what)
        time.sleep(interval)


def log_of(name: str) -> Path:
    """Return where a component's output goes."""
    return LOG / f"{name}.log"


def log_tail(name: str, lines: int = 15) -> str:
    """Return the last lines of a component's log."""
    path = log_of(name)
    if not path.exists():
        return "(no log)"
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def write(path: Path, content: object, mode: int = 0o644) -> Path:
    """Write text, or anything else as JSON, and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return path
