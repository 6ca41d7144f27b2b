"""Envoy Gateway's own log, line by line: console or JSON, all releases.

A runner says `received an update`, then, if it fails, why. So a failure that is followed by another
update of the same runner and no failure is over.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from egops.snapshot import Probe, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from egops.snapshot import ControlPlane, Snapshot

UPDATE = "received an update"
_CONSOLE = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\dT[\d:.]+Z?|\d+\.\d+(?:e\+\d+)?)\t(?P<level>\w+)\t(?P<rest>.*)"
)


class Line(NamedTuple):
    """One line of the log."""

    at: datetime | None
    level: str  # lower case
    message: str
    fields: Mapping[str, Any]

    @property
    def runner(self) -> str:
        """Return the runner: `xds` for all that translate or serve xDS."""
        name = text(self.fields, "runner")
        return "xds" if name.startswith("xds") else name

    @property
    def error(self) -> str:
        """Return the error it tells, or an empty string."""
        return text(self.fields, "error") or text(self.fields, "err")


def lines(log: str) -> Iterator[Line]:
    """Yield the lines that are Envoy Gateway's; stack traces and others are left out."""
    for raw in log.splitlines():
        found = _json(raw) if raw.startswith("{") else _console(raw)
        if found is not None:
            yield found


def _console(raw: str) -> Line | None:
    if (found := _CONSOLE.match(raw)) is None:
        return None
    parts = found["rest"].split("\t")
    fields: Mapping[str, Any] = {}
    if parts[-1].startswith("{"):
        fields = _decoded(parts.pop())
    return Line(_moment(found["at"]), found["level"].lower(), parts[-1] if parts else "", fields)


def _json(raw: str) -> Line | None:
    body = _decoded(raw)
    message = text(body, "msg") or text(body, "message")
    if not message:
        return None
    at = body.get("ts", body.get("time"))
    return Line(_moment(str(at)), text(body, "level").lower(), message, body)


def _decoded(raw: str) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(raw)
    except msgspec.MsgspecError:
        return {}
    return body if isinstance(body, dict) else {}


def _moment(value: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        try:
            return datetime.fromtimestamp(float(value), UTC)  # 1.8.0 to 1.8.2
        except (ValueError, OverflowError, OSError):
            return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Failure(NamedTuple):
    """Lines that tell of the failure of one runner, and whether it is over."""

    pod: ControlPlane
    last: Line
    first: Line
    times: int
    is_over: bool  # the same runner handled another update since, without a failure


def failures(snapshot: Snapshot, messages: Iterable[str]) -> list[Failure]:
    """Return for each pod and runner the failures whose message holds one of these texts."""
    wanted = tuple(messages)
    found = []
    for pod in snapshot.control_planes:
        if not pod.has(Probe.EG_LOG):
            continue
        open_: dict[str, list[Line]] = {}
        past: dict[str, list[Line]] = {}
        pending: dict[str, bool] = {}
        for line in lines(pod.log):
            runner = line.runner
            if line.message == UPDATE:
                if pending.get(runner) is False and runner in open_:  # the last update was handled
                    past.setdefault(runner, []).extend(open_.pop(runner))
                pending[runner] = False
            elif any(text in line.message for text in wanted):
                open_.setdefault(runner, []).append(line)
                pending[runner] = True
        for runner, seen in list(open_.items()):
            if pending.get(runner) is False:
                past.setdefault(runner, []).extend(open_.pop(runner))
            else:
                found.append(Failure(pod, seen[-1], seen[0], len(seen), is_over=False))
        found += [
            Failure(pod, seen[-1], seen[0], len(seen), is_over=True)
            for runner, seen in past.items()
            if runner not in open_
        ]
    return found
