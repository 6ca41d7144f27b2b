"""The values that rules are rendered with: thresholds, objectives, overrides, all of them checked.

A value is named by a dotted key. Files (`--values`) may nest; `--set KEY=VALUE` wins over files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from egops.errors import InputError
from egops.monitoring.catalogue import SEVERITIES
from egops.monitoring.catalogue.registry import ALERTS
from egops.monitoring.runbook import RUNBOOKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+")
_MATCHER = re.compile(r'\s*[a-zA-Z_]\w*\s*(?:=~|!~|!=|=)\s*"(?:[^"\\]|\\.)*"\s*')
_LABEL = re.compile(r"[a-zA-Z_]\w*")


@dataclass(frozen=True, slots=True)
class Setting:
    """One value: what it is without being asked, what it means, and what it may be."""

    default: Any
    meaning: str
    check: Callable[[Any], str]


def _number(low: float, high: float, *, exclusive: bool = True) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        try:
            number = float(value)
        except (TypeError, ValueError):
            return f"is not a number: {value!r}"
        inside = low < number < high if exclusive else low <= number <= high
        return "" if inside else f"is not between {low:g} and {high:g}: {value}"

    return check


def _duration(value: Any) -> str:
    if isinstance(value, str) and (value == "0" or DURATION.fullmatch(value)):
        return ""
    return f"is not a duration such as 5m or 1h: {value!r}"


def _name(value: Any) -> str:
    sound = isinstance(value, str) and value and not set(value) & set('"\\\n{}<>')
    return "" if sound else f"is not a plain name: {value!r}"


def _pattern(value: Any) -> str:
    if not isinstance(value, str) or set(value) & set('"\n<>'):
        return f"is not a regular expression without quotes: {value!r}"
    try:
        re.compile(value)
    except re.error as exc:
        return f"is not a regular expression: {exc}"
    return ""


def _matchers(value: Any) -> str:
    if value == "":
        return ""
    parts = re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', str(value))
    wrong = [part for part in parts if not _MATCHER.fullmatch(part)]
    return f'is not a list of label matchers such as cluster="a": {wrong[0]!r}' if wrong else ""


def _base(value: Any) -> str:
    if value == RUNBOOKS:
        return ""
    sound = isinstance(value, str) and re.fullmatch(r"https?://[^\s\"<>]+", value)
    return "" if sound else f"is not a URL: {value!r}"


SETTINGS: dict[str, Setting] = {
    "slo.availability": Setting(
        99.9, "objective: percent of requests not answered with a 5xx", _number(50, 100)
    ),
    "slo.fast_burn": Setting(14.4, "burn rate over 1h and 5m that pages", _number(0, 10000)),
    "slo.slow_burn": Setting(6, "burn rate over 6h and 30m that warns", _number(0, 10000)),
    "slo.min_errors": Setting(
        10,
        "failed requests in 1h (fast) or 6h (slow) below which no burn alerts",
        _number(0, 1e9, exclusive=False),
    ),
    "panic.window": Setting("10m", "how long a recovered panic is reported", _duration),
    "panic.loop": Setting(5, "panics in the window above which it is a loop", _number(0, 10000)),
    "restarts.window": Setting("15m", "window in which restarts are counted", _duration),
    "restarts.count": Setting(2, "restarts above which it is a crash loop", _number(0, 1000)),
    "rejected.window": Setting("10m", "how long a rejected update is reported", _duration),
    "disconnected.share": Setting(
        0.5, "share of Envoys without a stream that pages", _number(0, 1)
    ),
    "certificates.warning_days": Setting(
        30, "days before expiry at which to warn", _number(0, 4000)
    ),
    "certificates.critical_days": Setting(
        7, "days before expiry at which to page", _number(0, 4000)
    ),
    "ratelimit.unchecked_share": Setting(
        0.01,
        "share of limited requests that pass unchecked above which it warns",
        _number(0, 1, exclusive=False),
    ),
    "deployment": Setting("envoy-gateway", "name of Envoy Gateway's Deployment", _name),
    "container": Setting("envoy-gateway", "name of Envoy Gateway's container", _name),
    "lease": Setting("5b9825d2.gateway.envoyproxy.io", "name of the leader lease", _name),
    "internal_clusters": Setting(
        # the last one is the fleet itself, which 1.9 names as its Gateway
        "prometheus_stats|xds_cluster|local_cluster|wasm_cluster|ratelimit_cluster|otel_.+|"
        "[^/]+/[^/]+",
        "xDS clusters that are not routes (regular expression)",
        _pattern,
    ),
    "match": Setting("", 'label matchers added to every selector, such as cluster="a"', _matchers),
    "runbooks.base": Setting(
        RUNBOOKS, "where your team can open the runbook pages (URL of their folder)", _base
    ),
}


@dataclass(frozen=True)
class Values:
    """What rules are rendered with; made by `values()`, so always sound."""

    settings: dict[str, Any]
    severity: dict[str, str] = field(default_factory=dict)
    hold: dict[str, str] = field(default_factory=dict)
    disabled: frozenset[str] = frozenset()
    labels: dict[str, str] = field(default_factory=dict)

    def text(self, key: str) -> str:
        """Return a value as it stands in an expression or a sentence."""
        if key == "slo.budget":
            return f"{(100 - float(self.settings['slo.availability'])) / 100:.9g}"
        value = self.settings[key]
        return (
            f"{float(value):.9g}"
            if SETTINGS[key].check is not _duration and (isinstance(value, (int, float)))
            else str(value)
        )


def values(given: Mapping[str, Any] | None = None, sets: Iterable[str] = ()) -> Values:
    """Return checked values from a mapping (the file of `--values`) and `KEY=VALUE` texts.

    Raises InputError for an unknown key, a value out of range, or an alert that does not exist.
    """
    flat = _flatten(given or {})
    for text in sets:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set {text} has no value", hint="write --set KEY=VALUE")
        flat[key.strip()] = _scalar(value)
    return _checked(flat)


def _scalar(text: str) -> Any:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and "." not in text else number


def _flatten(given: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in given.items():
        if not isinstance(key, str):
            raise InputError(f"the key {key!r} of the values is not text")
        full = f"{prefix}{key}"
        if isinstance(value, dict):
            flat |= _flatten(value, f"{full}.")
        else:
            flat[full] = value
    return flat


def _checked(flat: dict[str, Any]) -> Values:
    settings = {key: setting.default for key, setting in SETTINGS.items()}
    severity: dict[str, str] = {}
    hold: dict[str, str] = {}
    labels: dict[str, str] = {}
    disabled: frozenset[str] = frozenset()
    for key, value in flat.items():
        head, _, rest = key.partition(".")
        if key in SETTINGS:
            _require(key, SETTINGS[key].check(value))
            settings[key] = value
        elif key == "disabled":
            disabled = _names(value)
        elif head == "severity":
            wrong = "" if value in SEVERITIES else f"is not one of {', '.join(SEVERITIES)}"
            _require(key, wrong)
            severity[_alert(rest)] = value
        elif head == "for":
            _require(key, _duration(value))
            hold[_alert(rest)] = value
        elif head == "labels":
            _require(key, "" if _LABEL.fullmatch(rest) else "is not a label name")
            labels[rest] = str(value)
        else:
            raise InputError(f"there is no value {key}", hint=_suggest(key, SETTINGS))
    return Values(settings, severity, hold, disabled, labels)


def _require(key: str, wrong: str) -> None:
    if wrong:
        raise InputError(f"{key} {wrong}")


def _names(value: Any) -> frozenset[str]:
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, list):
        raise InputError("disabled is not a list of alert names")
    return frozenset(_alert(str(name).strip()) for name in listed if str(name).strip())


def _alert(name: str) -> str:
    if name not in ALERTS:
        raise InputError(f"there is no alert {name}", hint=_suggest(name, ALERTS))
    return name


def _suggest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]}?" if close else "`egops alerts list` shows what there is"
