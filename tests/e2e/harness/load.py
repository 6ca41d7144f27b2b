"""Steady requests from a process of its own, and what became of each of them, second by second.

Every kind of request has its own rate, over connections that stay or over a new one each time. A
request that gets no answer, another answer than it should, or none within ten seconds is a failure;
nothing is tried twice. Requests are due at fixed times, so a stall shows as late answers and not as
fewer requests.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 10.0
ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request: where it goes, how often a second, and what it must be answered."""

    name: str
    host: str
    rate: float
    expect: int = 200
    path: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    fresh: bool = False  # a new connection for each

    def text(self) -> bytes:
        """Return the request as it goes over the wire."""
        last = {"Connection": "close"} if self.fresh else {}
        lines = [f"{name}: {value}" for name, value in {**self.headers, **last}.items()]
        start = [f"GET {self.path} HTTP/1.1", f"Host: {self.host}"]
        return "\r\n".join([*start, *lines, "", ""]).encode()


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Read an answer to its end; return its status and whether the connection can be used again."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *fields = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
    if headers.get("transfer-encoding") == "chunked":
        while size := int((await reader.readline()).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        await reader.readexactly(int(headers.get("content-length", 0)))
    return int(status.split()[1]), headers.get("connection") != "close"


class _Sender:
    """One client: it sends its share of a kind's requests, each at the time it is due."""

    def __init__(self, kind: Kind, address: tuple[str, int], record: "Record") -> None:
        self.kind, self.address, self.record = kind, address, record
        self.text = kind.text()
        self.open: Connection | None = None

    async def run(self, first: float, period: float, over: asyncio.Event) -> None:
        due = first
        while not over.is_set():
            if (early := due - time.monotonic()) > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), early)
                    break
            outcome = await self._outcome()
            self.record.add(self.kind, outcome, time.monotonic() - due)
            due += period
        self._close()

    async def _outcome(self) -> str:
        try:
            async with asyncio.timeout(TIMEOUT):
                return str(await self._send())
        except (OSError, EOFError, ValueError) as exc:  # a timeout is an OSError
            reused = " on a connection in use" if self.open and not self.kind.fresh else ""
            self._close()
            return f"{type(exc).__name__}{reused}"

    async def _send(self) -> int:
        if self.open is None:
            self.open = await asyncio.open_connection(*self.address)
        reader, writer = self.open
        writer.write(self.text)
        status, again = await _answer(reader)
        if self.kind.fresh or not again:
            self._close()
        return status

    def _close(self) -> None:
        if self.open:
            self.open[1].close()
        self.open = None


class Record:
    """What became of the requests; one line of JSON for each second that is over."""

    def __init__(self, path: Path) -> None:
        """Write to this file."""
        self.file = path.open("w")
        self.second, self.counts, self.slowest = int(time.time()), Counter[str](), 0.0

    def add(self, kind: Kind, outcome: str, took: float) -> None:
        """Count one request, at the second of its end."""
        if (now := int(time.time())) != self.second:
            self.flush()
            self.second, self.counts, self.slowest = now, Counter(), 0.0
        good = outcome == str(kind.expect)
        self.counts["ok" if good else f"{kind.name}: {outcome}"] += 1
        self.slowest = max(self.slowest, took)

    def flush(self) -> None:
        """Write the second."""
        line = {"at": self.second, "slowest": round(self.slowest, 3), "counts": self.counts}
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()


async def drive(url: str, kinds: Sequence[Kind], path: Path) -> None:
    """Send until SIGTERM."""
    parsed = urlsplit(url)
    address = (parsed.hostname or "", parsed.port or 80)
    over, record = asyncio.Event(), Record(path)
    loop = asyncio.get_running_loop()
    for stop in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(stop, over.set)
    began, tasks = time.monotonic() + 0.2, []
    for kind in kinds:
        senders = max(2, int(kind.rate // 4))
        for number in range(senders):
            sender = _Sender(kind, address, record)
            period = senders / kind.rate
            tasks.append(sender.run(began + number / kind.rate, period, over))
    await asyncio.gather(*tasks)
    record.flush()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of all requests of a run."""

    lines: tuple[dict[str, Any], ...]

    @property
    def total(self) -> Counter[str]:
        """Return the requests by outcome; `ok` is what was answered as it should."""
        return sum((Counter(line["counts"]) for line in self.lines), Counter())

    @property
    def failed(self) -> Counter[str]:
        """Return the failures by kind and outcome."""
        return Counter({name: count for name, count in self.total.items() if name != "ok"})

    @property
    def rate(self) -> float:
        """Return the requests a second, over the whole run."""
        seconds = self.lines[-1]["at"] - self.lines[0]["at"] + 1
        return float(self.total.total() / seconds)

    @property
    def slowest(self) -> float:
        """Return the seconds that the slowest answer took, from the time its request was due."""
        return float(max(line["slowest"] for line in self.lines))

    def told(self) -> str:
        """Return the run in one line."""
        bad = "; ".join(f"{count} {name}" for name, count in self.failed.most_common(6))
        seconds = len(self.lines)
        return (
            f"{self.total.total()} requests in {seconds} s ({self.rate:.0f}/s), "
            f"{self.failed.total()} failed, slowest {self.slowest:.2f} s" + (bad and f": {bad}")
        )

    def failures(self) -> Iterator[str]:
        """Yield each second that had failures, in the wall clock's time."""
        for line in self.lines:
            bad = {name: count for name, count in line["counts"].items() if name != "ok"}
            if bad:
                yield f"{time.strftime('%H:%M:%S', time.localtime(line['at']))} {bad}"


class Load:
    """A load that runs, or ran."""

    def __init__(self, path: Path) -> None:
        """Read what the process writes here."""
        self.path = path

    def result(self) -> Result:
        """Return what is known by now."""
        text = self.path.read_text() if self.path.exists() else ""
        complete = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return Result(tuple(json.loads(line) for line in complete))


@contextmanager
def steady(url: str, kinds: Sequence[Kind], path: Path) -> Iterator[Load]:
    """Send these requests for the length of the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    asked = json.dumps([asdict(kind) for kind in kinds])
    command = [sys.executable, "-m", "tests.e2e.harness.load", url, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, text=True) as child:
        load = Load(path)
        try:
            assert child.stdin
            child.stdin.write(asked)
            child.stdin.close()
            yield load
        finally:
            child.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                child.wait(TIMEOUT + 5)
            child.kill()


def main() -> None:
    """Send the kinds that stdin describes to the URL, recording into the file."""
    url, path = sys.argv[1:]
    kinds = [Kind(**each) for each in json.load(sys.stdin)]
    os.nice(-5)  # a busy machine delays everybody; a client that is late would be called a failure
    asyncio.run(drive(url, kinds, Path(path).absolute()))


if __name__ == "__main__":
    main()
