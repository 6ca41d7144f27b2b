"""Work runs at once, may queue more work, and ends when told to."""

from __future__ import annotations

import threading
import time

import pytest

from egops.gather.workers import Workers


def test_work_may_queue_more_work_and_waiting_waits_for_all() -> None:
    done: list[str] = []
    with Workers(2) as workers:

        def first() -> None:
            time.sleep(0.05)
            workers.submit(lambda: done.append("second"))
            done.append("first")

        workers.submit(first)
        assert workers.wait(5)
    assert sorted(done) == ["first", "second"]


def test_so_many_run_at_once_and_no_more() -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.05)
        with lock:
            running -= 1

    with Workers(3) as workers:
        for _ in range(9):
            workers.submit(work)
        assert workers.wait(5)
    assert most == 3


def test_work_for_later_holds_up_nobody() -> None:
    order: list[str] = []
    with Workers(1) as workers:
        start = time.monotonic()
        workers.submit(lambda: order.append("later"), delay=0.3)
        workers.submit(lambda: order.append("now"))
        assert workers.wait(5)
        assert time.monotonic() - start >= 0.3
    assert order == ["now", "later"]


def test_an_exception_ends_the_waiting() -> None:
    with Workers(2) as workers:
        workers.submit(lambda: time.sleep(5), delay=5)
        workers.submit(lambda: [][0])
        with pytest.raises(IndexError):
            workers.wait(5)


def test_waiting_ends_when_the_time_is_up() -> None:
    release = threading.Event()

    def hold() -> None:
        release.wait(5)

    with Workers(1) as workers:
        workers.submit(hold)
        assert not workers.wait(0.1)
        release.set()


def test_what_still_waits_at_the_end_never_runs() -> None:
    ran: list[int] = []
    with Workers(1) as workers:
        workers.submit(lambda: ran.append(1), delay=0.2)
    workers.submit(lambda: ran.append(2))
    time.sleep(0.3)
    assert not ran
