"""Envoy's access log as Envoy Gateway formats it, read back line by line.

Reads the default JSON (all releases; numbers are text up to 1.3.x), any JSON with the same field
names, and the default text of `format.type: Text`. Envoy's own messages on the same stream and
formats of others are counted, never guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Entry(NamedTuple):
    """One request. A text that Envoy had nothing for is empty, a number then is 0."""

    code: int = 0
    flags: str = ""
    details: str = ""
    authority: str = ""
    method: str = ""
    path: str = ""
    protocol: str = ""
    route: str = ""
    cluster: str = ""
    upstream_host: str = ""
    failure_reason: str = ""
    termination: str = ""
    server_name: str = ""
    duration: int = 0  # milliseconds
    bytes_received: int = 0
    bytes_sent: int = 0
    client: str = ""
    user_agent: str = ""
    local_address: str = ""
    start: datetime | None = None

    def has_flag(self, flag: str) -> bool:
        """Return whether a response flag (`UF`) is set: several are joined by commas."""
        return flag in self.flags.split(",")


@dataclass(frozen=True)
class AccessLog:
    """The entries of a log, and how many lines said something else."""

    entries: tuple[Entry, ...]
    unknown: int = 0  # lines in the shape of an access log that could not be read
    messages: int = 0  # Envoy's own log lines

    @property
    def requests(self) -> tuple[Entry, ...]:
        """Return the entries of HTTP requests, without those of plain connections."""
        return tuple(entry for entry in self.entries if entry.code or entry.authority)


@lru_cache(maxsize=64)
def parse(log: str) -> AccessLog:
    """Return the access log in the output of container `envoy`."""
    entries, unknown, messages = [], 0, 0
    for line in log.splitlines():
        line = line.strip()
        if not line:
            continue
        entry = _json_entry(line) if line.startswith("{") else _text_entry(line)
        if entry is not None:
            entries.append(entry)
        elif _OWN.match(line):
            messages += 1
        else:
            unknown += 1
    return AccessLog(tuple(entries), unknown, messages)


RECENT = timedelta(minutes=5)


def recent(log: str, now: datetime) -> AccessLog:
    """Return the entries of the last five minutes; those that tell no time count."""
    found = parse(log)
    return AccessLog(
        tuple(e for e in found.entries if e.start is None or now - e.start <= RECENT),
        found.unknown,
        found.messages,
    )


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_OWN = re.compile(r"\[\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*Z?\](?:\[\d+\])?\[\w+\]")


# ------------------------------------------------------------------ JSON

_FIELDS: dict[str, tuple[str, ...]] = {
    "code": ("response_code",),
    "flags": ("response_flags",),
    "details": ("response_code_details",),
    "authority": (":authority", "authority"),
    "method": ("method", ":method"),
    "path": ("x-envoy-origin-path", "path", ":path"),
    "protocol": ("protocol",),
    "route": ("route_name",),
    "cluster": ("upstream_cluster",),
    "upstream_host": ("upstream_host",),
    "failure_reason": ("upstream_transport_failure_reason",),
    "termination": ("connection_termination_details",),
    "server_name": ("requested_server_name",),
    "duration": ("duration",),
    "bytes_received": ("bytes_received",),
    "bytes_sent": ("bytes_sent",),
    "client": ("downstream_remote_address",),
    "user_agent": ("user-agent", "user_agent"),
    "local_address": ("downstream_local_address",),
    "start": ("start_time",),
}
_NUMBERS = frozenset({"code", "duration", "bytes_received", "bytes_sent"})


def _json_entry(line: str) -> Entry | None:
    try:
        body = msgspec.json.decode(line)
    except msgspec.MsgspecError:
        body = _unescaped(line)
    if not isinstance(body, dict) or not ("response_code" in body or "response_flags" in body):
        return None
    return _entry(lambda field: next((body[key] for key in _FIELDS[field] if key in body), None))


_PAIRS = re.compile(r'"([\w:.-]+)":"(.*?)"(?=,"[\w:.-]+":"|\}$)')


def _unescaped(line: str) -> dict[str, str]:
    """Return the fields of JSON written as text, where a quote inside a value is not escaped.

    So it was up to 1.3.x: one client with a quote in its user agent makes a line that is no JSON.
    """
    return dict(_PAIRS.findall(line)) if line.startswith('{"start_time":"') else {}


def _entry(value_of: Callable[[str], Any]) -> Entry:
    return Entry(**{field: _value(field, value_of(field)) for field in _FIELDS})


def _value(field: str, value: Any) -> Any:
    if field in _NUMBERS:
        return _number(value)
    if field == "start":
        return _moment(value)
    return value if isinstance(value, str) and value != "-" else ""


def _number(value: Any) -> int:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value)
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else 0


def _moment(value: Any) -> datetime | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)  # 1.8.0 to 1.8.2 write epoch seconds
        except (OverflowError, ValueError, OSError):
            return None
    try:
        return _aware(datetime.fromisoformat(value))
    except (TypeError, ValueError):
        return None


# ------------------------------------------------------------------ text

# Envoy's own default, and Envoy Gateway's documented one: [time] "METHOD PATH PROTOCOL" code flags
# details … The parts after the flags differ, so only what both have in the same place is read.
_TEXT = re.compile(
    r"\[(?P<start>\d{4}-[^\]]+)\] \"(?P<method>\S+) (?P<path>\S+) (?P<protocol>\S+)\" "
    r"(?P<code>\d{1,3}|-) (?P<flags>\S+)(?P<rest>.*)"
)
_DETAILS = re.compile(r"\s*(?P<details>[a-z][\w.{}|:()' ,\[\]=-]*?) (?P<termination>\S+) \"")
_QUOTED = re.compile(r'"([^"]*)"')


def _text_entry(line: str) -> Entry | None:
    if (found := _TEXT.match(line)) is None:
        return None
    values: dict[str, Any] = found.groupdict()
    rest = values.pop("rest")
    if details := _DETAILS.match(rest):
        values["details"] = details["details"]
    quoted = _QUOTED.findall(rest)
    values.update(_quoted(quoted))
    return _entry(values.get)


def _quoted(quoted: list[str]) -> dict[str, str]:
    """Return the values by their order in quotes: … user agent, request id, authority, host."""
    agent = next((index for index, text in enumerate(quoted) if _UUID.fullmatch(text)), -1)
    if agent < 1 or agent + 2 >= len(quoted):
        return {}
    return {
        "user_agent": quoted[agent - 1],
        "authority": quoted[agent + 1],
        "upstream_host": quoted[agent + 2],
    }


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


# ------------------------------------------------------------------ counting


def share(part: Iterable[Entry], whole: Iterable[Entry]) -> str:
    """Return `12 of 300 requests (4 %)`: a share is never told without its sample."""
    some, total = len(tuple(part)), len(tuple(whole))
    percent = 100 * some / total if total else 0.0
    rounded = f"{percent:.0f}" if percent >= 10 else f"{percent:.2g}"
    return f"{some} of {total} request{'s' if total != 1 else ''} ({rounded} %)"
