"""Threads that run the reading, so that it takes as long as its slowest part."""

from __future__ import annotations

import heapq
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Workers:
    """A few daemon threads with one queue. Work may submit more work, also for later.

    The first exception that work lets out ends the waiting and is raised there. Threads are daemons
    because a name lookup can't be interrupted, and must not hold up Ctrl-C.
    """

    def __init__(self, count: int) -> None:
        """Take how many threads may run at once; they start when there is work."""
        self._count = count
        self._changed = threading.Condition()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0  # submitted so far: equal times keep their order
        self._unfinished = 0
        self._idle = 0
        self._threads: list[threading.Thread] = []
        self._failed: BaseException | None = None
        self._stopped = False

    def __enter__(self) -> Workers:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop: what runs is not waited for long, what waits never runs."""
        self.stop()

    def submit(self, work: Callable[[], None], delay: float = 0.0) -> None:
        """Queue work, to start `delay` seconds from now at the earliest."""
        with self._changed:
            if self._stopped:
                return
            self._number += 1
            self._unfinished += 1
            heapq.heappush(self._queue, (time.monotonic() + delay, self._number, work))
            if self._idle < len(self._queue) and len(self._threads) < self._count:
                thread = threading.Thread(target=self._run, name="egops-gather", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify_all()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until all is done; return whether it is, and not only the time that is up."""
        end = None if seconds is None else time.monotonic() + seconds
        with self._changed:
            while self._unfinished and self._failed is None:
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._changed.wait(left)
            if self._failed is not None:
                raise self._failed
        return True

    def stop(self, grace: float = 1.0) -> None:
        """Drop what waits, and give what runs a moment to notice."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        end = time.monotonic() + grace
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _run(self) -> None:
        while (work := self._next()) is not None:
            failed: BaseException | None = None
            try:
                work()
            except BaseException as exc:  # noqa: BLE001 - raised again by `wait`, in the main thread
                failed = exc
            with self._changed:
                self._unfinished -= 1
                self._failed = self._failed or failed
                self._changed.notify_all()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._idle += 1
            try:
                while not self._stopped:
                    left = self._queue[0][0] - time.monotonic() if self._queue else None
                    if left is not None and left <= 0:
                        return heapq.heappop(self._queue)[2]
                    self._changed.wait(left)
                return None
            finally:
                self._idle -= 1
