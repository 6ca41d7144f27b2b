"""Prometheus as a source of facts: series, names, targets, rules. The way to it is gather's."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egops.errors import InputError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egops.gather import SourceOptions
    from egops.gather.prometheus import Prometheus as Client

MOST_SERIES = 10_000
_NO_SUCH_API = re.compile(r"answered (?:404|405|501)\b")


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: labels, and (Unix seconds, value) pairs, oldest first."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float:
        """Return the newest value."""
        return self.points[-1][1]


class Prometheus:
    """A Prometheus that answers questions. Every failure is an EgopsError that names it."""

    def __init__(self, client: Client) -> None:
        """Take the client; nothing is asked yet."""
        self._client = client
        self.name = client.name

    def query(self, expr: str) -> list[Series]:
        """Return the result of an instant query; a scalar is one series without labels."""
        return self._series(self._client.query(expr))

    def count(self, expr: str) -> int:
        """Return how many series an expression has now, without fetching them."""
        found = self.query(f"count({expr})")
        if found and not math.isfinite(found[0].last):
            raise UnreachableError(f"{self.name} counts {found[0].last} series, which is no number")
        return int(found[0].last) if found else 0

    def query_range(self, expr: str, *, start: float, end: float, step: float) -> list[Series]:
        """Return the result of a query over a time range in Unix seconds."""
        params = {
            "query": expr,
            "start": f"{start:.0f}",
            "end": f"{end:.0f}",
            "step": f"{step:.0f}",
        }
        data = self._client.get("/api/v1/query_range", params)
        return self._series(data.get("result") if isinstance(data, dict) else None)

    def metric_names(self) -> frozenset[str]:
        """Return the names of all metrics it knows."""
        data = self._client.get("/api/v1/label/__name__/values")
        return frozenset(map(str, data)) if isinstance(data, list) else frozenset()

    def targets(self) -> list[dict[str, Any]] | None:
        """Return the active scrape targets, or None if it has no such API (Mimir, Thanos)."""
        return self._optional("/api/v1/targets", {"state": "active"}, "activeTargets")

    def rule_groups(self) -> list[dict[str, Any]] | None:
        """Return the rule groups that are loaded, or None if it has no such API."""
        return self._optional("/api/v1/rules", {}, "groups")

    def _optional(
        self, path: str, params: Mapping[str, str], key: str
    ) -> list[dict[str, Any]] | None:
        try:
            data = self._client.get(path, params)
        except UnreachableError as exc:
            # gather's client tells the status only in words
            if _NO_SUCH_API.search(exc.message):
                return None
            raise
        found = data.get(key) if isinstance(data, dict) else None
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else None

    def _series(self, answer: Any) -> list[Series]:
        """Return an answer's result in one shape, whatever its type."""
        try:
            if isinstance(answer, list) and len(answer) == 2 and not isinstance(answer[0], dict):
                return [Series({}, ((float(answer[0]), float(answer[1])),))]
            if len(answer) > MOST_SERIES:
                raise UnreachableError(f"the answer of {self.name} has {len(answer)} series")
            return [
                Series(dict(one["metric"]), _points(one.get("values") or [one["value"]]))
                for one in answer
            ]
        except (TypeError, KeyError, ValueError, IndexError) as exc:
            raise UnreachableError(
                f"{self.name} gave an answer that makes no sense: {exc}"
            ) from None


def _points(pairs: list[Any]) -> tuple[tuple[float, float], ...]:
    return tuple((float(time), float(value)) for time, value in pairs)


def connect_prometheus(source: SourceOptions) -> Prometheus:
    """Return the Prometheus that the user named, else one found in the cluster.

    Raises:
        InputError: the URL or a credential is not usable.
        EgopsError: there is none, or the cluster cannot be asked.
    """
    from egops.gather.api import Api  # noqa: PLC0415 - with a client library behind it
    from egops.gather.http import Calls  # noqa: PLC0415
    from egops.gather.prometheus import found, named  # noqa: PLC0415

    if source.prometheus:
        return Prometheus(named(source, Calls()))
    from egops.gather.kubeconfig import connect  # noqa: PLC0415 - only when a cluster is asked

    try:
        connection = connect(source)
    except InputError as exc:
        raise InputError(
            f"no Prometheus was named, and none can be looked for: {exc.message}",
            hint="name one with --prometheus URL",
        ) from None
    return Prometheus(found(Api(connection, Calls(), source.request_timeout)))
