"""What `certs rotate` and `certs rollback` share: options, the world, progress on the screen."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import contextmanager
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from egops.cli.options import CONNECTION, DURATION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from egops.gather import SourceOptions
    from egops.rotation.engine import Pace
    from egops.rotation.files import Standalone
    from egops.rotation.lock import Lock
    from egops.rotation.plan import Found
    from egops.rotation.world import Awaited, World

_CLUSTER = (
    *CONNECTION,
    click.option(
        "-n", "--namespace", metavar="NAME", default="", help="The namespace of Envoy Gateway."
    ),
    click.option(
        "--request-timeout",
        type=DURATION,
        default="20s",
        show_default=True,
        help="Limit for each request.",
    ),
)
_WRITING = (
    click.option("-y", "--yes", is_flag=True, help="Do it without asking."),
    click.option(
        "--timeout",
        type=DURATION,
        default="10m",
        show_default=True,
        help="Limit for each thing that is waited for; then it stops, and can go on later.",
    ),
    click.option(
        "--soak",
        type=DURATION,
        default="30s",
        show_default=True,
        help="Watch the counters of every Envoy for so long between phases.",
    ),
    click.option(
        "--i-own-these-secrets",
        "owns",
        is_flag=True,
        help="Write although somebody else keeps these Secrets.",
    ),
    click.option(
        "--eg-version",
        metavar="X.Y.Z",
        default="",
        help="The release, where the image does not tell.",
    ),
)
_HOME = click.option(
    "--config-home",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    metavar="DIR",
    help="The files of a standalone Envoy Gateway (DIR/certs) instead of a cluster.",
)
_NAMES = ("kubeconfig", "context", "as_user", "as_groups", "namespace", "request_timeout")


def writing(function: Callable[..., Any]) -> Any:
    """Give a command the options of one that rotates; where to look comes as `source`."""

    def collect(*args: Any, **kwargs: Any) -> Any:
        return function(*args, source=_source(kwargs), **kwargs)

    return _give(update_wrapper(collect, function), (_HOME, *_WRITING, *_CLUSTER))


def looking(function: Callable[..., Any]) -> Any:
    """Give a command the options that say which Envoy Gateway it is about, as `source`."""

    def collect(*args: Any, **kwargs: Any) -> Any:
        return function(*args, source=_source(kwargs), **kwargs)

    return _give(update_wrapper(collect, function), _CLUSTER)


def _source(given: dict[str, Any]) -> SourceOptions:
    from egops.gather import SourceOptions

    return SourceOptions(**{name: given.pop(name) for name in _NAMES})


def _give(function: Any, options: tuple[Any, ...]) -> Any:
    for option in reversed(options):
        function = option(function)
    return function


class Screen:
    """Progress on stderr: one line for each step, and what is being waited for."""

    REPEAT = 15.0  # seconds until the same is told again

    def __init__(self) -> None:
        """Start the clock."""
        self._began = time.monotonic()
        self._told, self._said = 0.0, ""

    def phase(self, title: str) -> None:
        """Tell that a phase begins."""
        self._line(f"== {title}")

    def done(self, text: str) -> None:
        """Tell that something was written or proved."""
        self._line(f"   {text}")

    def note(self, text: str) -> None:
        """Tell what the reader should know."""
        self._line(f"   note: {text}")

    def waiting(self, awaited: Sequence[Awaited], seconds: float) -> None:
        """Tell what is being waited for when it changes, and every now and then."""
        more = f" and {len(awaited) - 1} more" if len(awaited) > 1 else ""
        said = f"{awaited[0].who}: {awaited[0].what}{more}"
        if said == self._said and time.monotonic() - self._told < self.REPEAT:
            return
        if awaited[0].who == "soak" and time.monotonic() - self._told < self.REPEAT:
            return
        self._said, self._told = said, time.monotonic()
        self._line(f"   waiting {seconds:.0f} s for {awaited[0]}{more}", keep=True)

    def _line(self, text: str, *, keep: bool = False) -> None:
        if not keep:
            self._said = ""
        passed = int(time.monotonic() - self._began)
        click.echo(f"{passed // 60:02}:{passed % 60:02} {text}", err=True)


def world_of(source: SourceOptions) -> World:
    """Return the world of a kubeconfig."""
    from egops.apply import KubernetesCluster
    from egops.gather.kubeconfig import connect
    from egops.rotation.live import LiveObserver, RealClock
    from egops.rotation.world import World

    connection = connect(source)
    cluster = KubernetesCluster(connection, seconds=source.request_timeout)
    observer = LiveObserver(connection, source.request_timeout)
    return World(cluster, observer, RealClock(), Screen())


def standalone(home: Path, pace: Pace) -> Standalone:
    """Return the files of a standalone Envoy Gateway."""
    from egops.rotation.files import Standalone
    from egops.rotation.live import RealClock

    return Standalone(home, RealClock(), Screen(), pace)


def lock_of(world: World, found: Found) -> Lock:
    """Return the lock, in our name."""
    from egops.rotation.lock import Lock

    here = found.here.namespace
    return Lock(world.cluster, world.clock, here, f"{_place()} pid {os.getpid()}", _is_gone)


def release_of(text: str) -> tuple[int, ...] | None:
    """Return (1, 9, 0) for `1.9.0`.

    Raises:
        InputError: it is no release.
    """
    from egops.errors import InputError

    if not text:
        return None
    parts = text.removeprefix("v").split(".")
    if len(parts) < 2 or not all(part.isdigit() for part in parts):
        raise InputError(f"{text} is no release such as 1.9.0")
    return tuple(int(part) for part in parts)


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless `--yes` was given.

    Raises:
        InputError: nobody is there to answer, or the answer is no.
    """
    from egops.errors import InputError

    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError("nothing was written: nobody can be asked", hint="say --yes")
    if click.prompt(f"{question} Type yes", default="no", err=True) != "yes":
        raise InputError("nothing was written")


@contextmanager
def interruptible() -> Iterator[None]:
    """Say on Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(
            "stopped: everything stays safe as it is; `egops certs rotate` goes on, "
            "`egops certs rollback` goes back",
            err=True,
        )
        raise


def _place() -> str:
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or "unknown"
    return f"{user}@{socket.gethostname()}"


def _is_gone(holder: str) -> bool:
    """Return whether a holder is a process of this machine that has ended."""
    place, _, pid = holder.rpartition(" pid ")
    if place != _place() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # not ours to signal, or no process id at all
        return False
    return False
