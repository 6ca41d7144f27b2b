"""Kill a rotation at each of its steps, one step further in every run.

A run that goes on with the one before does not repeat its writes: there a write is known by what it
says. A run that starts afresh has other certificates: there it is known by its place in the order.
"""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.e2e.harness import canary
from tests.e2e.harness.api_proxy import Write, between
from tests.e2e.harness.process import FAST, KILLED, Running, run
from tests.e2e.harness.rotation import Watched
from tests.e2e.harness.story import Story

VOLATILE = ("resourceVersion", "renewTime", "acquireTime", "leaseTransitions")
UNWATCHED = ("leases", "events", "selfsubjectaccessreviews")


@dataclass(frozen=True, slots=True)
class Point:
    """Where a run was killed."""

    what: str  # `PATCH secrets/envoy` or the line of a wait
    phase: str

    def __str__(self) -> str:
        """Return `after PATCH secrets/envoy (swap)`."""
        return f"{self.what} ({self.phase or 'before the first phase'})"


def signature(write: Write) -> str:
    """Return what tells a write from another one: its object and what it says."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in sorted(value.items()) if k not in VOLATILE}
        return value

    text = json.dumps(plain(json.loads(write.body or b"{}")))
    return f"{write.method} {write.target} {hashlib.sha256(text.encode()).hexdigest()[:8]}"


@dataclass(slots=True)
class Killer:
    """Kill each run after the first write, or at the first wait, at which none was killed yet."""

    writes: bool = True
    waits: bool = True
    goes_on: bool = True  # each run goes on with the one before
    only: Callable[[Point], bool] = lambda _: True
    points: list[Point] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _running: Running | None = None
    _phase: str = ""
    _dead: bool = False
    _counts: Counter[str] = field(default_factory=Counter)

    def once(self, *command: str) -> Running:
        """Run the command once, to its end or to the next point."""
        self._dead, self._phase = False, ""
        self._counts.clear()

        def start(running: Running) -> None:
            self._running = running

        with between(witness=self._wrote) as (kubeconfig, _):
            return run(*command, *FAST, kubeconfig=kubeconfig, on_start=start, on_line=self._line)

    def chain(
        self, *command: str, between_runs: Callable[[Point], None] = lambda _: None, most: int = 90
    ) -> Running:
        """Run the command again and again until a run reaches its end, and return that one."""
        for _ in range(most):
            before = len(self.points)
            running = self.once(*command)
            if running.exit_code != KILLED:
                return running
            assert len(self.points) > before, running.told()
            between_runs(self.points[-1])
        raise AssertionError(f"no end after {most} runs: {[str(p) for p in self.points]}")

    def _wrote(self, write: Write, status: int) -> None:
        if self.writes and status < 300 and not write.target.startswith(UNWATCHED):
            name = f"{write.method} {write.target}"
            self._counts[name] += 1
            key = signature(write) if self.goes_on else f"{name} {self._counts[name]}"
            self._maybe(key, f"after {name}")

    def _line(self, _running: Running, line: str) -> None:
        text = line[6:].strip()
        if text.startswith("== "):
            self._phase = text[3:].split(":")[0][:40]
        if self.waits and text.startswith("waiting"):
            what = text.partition(" for ")[2]
            # neither seconds nor the names of pods tell one wait from another
            about = what.partition(": ")[2].partition(" (")[0].partition(" and ")[0] or what
            self._maybe(f"{self._phase}: {about}", f"waiting to see: {about}")

    def _maybe(self, key: str, what: str) -> None:
        with self._lock:
            point = Point(what, self._phase)
            if self._dead or key in self.seen or not self.only(point):
                return
            assert self._running
            self.seen.add(key)
            self._dead = True
            self._running.kill()
            self.points.append(point)


def rotate_by_kills(story: Story, watched: Watched) -> tuple[Killer, Running]:
    """Rotate in runs that are all killed but the last; a canary is sent after each phase's first.

    Each kill is a row of the story's notes: where, and what had failed by then.
    """
    killer, phases = Killer(), set[str]()

    def look(point: Point) -> None:
        cannot = []
        if point.phase not in phases:
            phases.add(point.phase)
            cannot = (
                canary.both("killed") if watched.counters.limiters else [canary.envoy("killed")]
            )
        assert not any(cannot), f"{point}: {cannot}"
        failed = watched.load.result().failed.total()
        streams = watched.counters.dropped_streams() or "no stream dropped"
        story.note(f"| {point} | resumed | {failed} failed | {streams} |")

    story.record.fault = "SIGKILL at each step, then resumed"
    done = killer.chain("certs", "rotate", between_runs=look)
    story.note(f"after {len(killer.points)} kills: exit {done.exit_code}, {done.seconds:.0f} s")
    return killer, done
