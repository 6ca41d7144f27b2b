"""Prometheus as a source of facts: queries, names, targets, rules; its errors in our words.

Works with whatever speaks its HTTP API: Prometheus, Mimir, Thanos, VictoriaMetrics.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import requests  # noqa: TID253 - this module is the HTTP client and is imported where it is used
from prometheus_api_client import PrometheusConnect  # noqa: TID253 - as above
from prometheus_api_client.exceptions import PrometheusApiClientException  # noqa: TID253
from urllib3 import Retry

from egops.errors import AccessError, EgopsError, InputError, UnreachableError
from egops.monitoring.promql import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_SERIES = 10_000


@dataclass(frozen=True)
class Access:
    """How to reach a Prometheus. Secrets stay in here and are never shown.

    `headers` are sent with every request, `tenant` as `X-Scope-OrgID`. `ca` and `certificate` are
    paths of PEM files; the latter is a pair of certificate and key.
    """

    url: str
    token: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    tenant: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca: str = ""
    certificate: tuple[str, str] | None = field(default=None, repr=False)
    insecure: bool = False
    timeout: float = 30.0  # seconds, for each request


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

    def __init__(self, access: Access) -> None:
        """Take the way to it; nothing is asked yet."""
        parts = urlsplit(access.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InputError(f"{access.url!r} is not the URL of a Prometheus")
        self.shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        self._access = access
        self._session = _session(access, parts.username, parts.password)
        retry = Retry(
            total=2,
            backoff_factor=0.5,
            status_forcelist=[429, 502, 503, 504],
            respect_retry_after_header=False,
            raise_on_status=False,
        )
        self._api = PrometheusConnect(
            self.shown.rstrip("/"), session=self._session, retry=retry, timeout=access.timeout
        )

    def query(self, expr: str, *, at: float | None = None) -> list[Series]:
        """Return the result of an instant query; a scalar is one series without labels."""
        params = {} if at is None else {"time": f"{at:.3f}"}
        with self._mapped(expr):
            return _series(self._api.custom_query(expr, params=params, timeout=self._seconds))

    def count(self, expr: str, *, at: float | None = None) -> int:
        """Return how many series an expression has now, without fetching them."""
        found = self.query(f"count({expr})", at=at)
        return int(found[0].last) if found else 0

    def query_range(self, expr: str, *, start: float, end: float, step: float) -> list[Series]:
        """Return the result of a query over a time range in Unix seconds."""
        with self._mapped(expr):
            return _series(
                self._api.custom_query_range(
                    expr,
                    start_time=datetime.fromtimestamp(start).astimezone(),
                    end_time=datetime.fromtimestamp(end).astimezone(),
                    step=f"{step:g}",
                    timeout=self._seconds,
                )
            )

    def metric_names(self) -> frozenset[str]:
        """Return the names of all metrics it knows."""
        with self._mapped("the names of metrics"):
            return frozenset(self._api.get_label_values("__name__"))

    def targets(self) -> list[dict[str, Any]] | None:
        """Return the active scrape targets, or None if it has no such API (Mimir, Thanos)."""
        found = self._optional("targets?state=active")
        return None if found is None else list(found.get("activeTargets") or [])

    def rule_groups(self) -> list[dict[str, Any]] | None:
        """Return the rule groups that are loaded, or None if it has no such API."""
        found = self._optional("rules")
        return None if found is None else list(found.get("groups") or [])

    @property
    def _seconds(self) -> Any:
        return self._access.timeout

    def _optional(self, path: str) -> dict[str, Any] | None:
        with self._mapped(path):
            url = f"{self.shown.rstrip('/')}/api/v1/{path}"
            answer = self._session.get(url, timeout=self._access.timeout)
            if answer.status_code in {404, 405, 501}:
                return None
            if answer.status_code != 200:
                raise _refused(answer.status_code, answer.content, path, self.shown)
            data = answer.json().get("data")
            return data if isinstance(data, dict) else {}

    @contextlib.contextmanager
    def _mapped(self, query: str) -> Iterator[None]:
        """Turn what requests and prometheus-api-client raise into one line of ours."""
        try:
            yield
        except PrometheusApiClientException as exc:
            found = re.match(r"HTTP Status Code (\d+) \((.*)\)\Z", str(exc), re.DOTALL)
            status, body = (int(found[1]), found[2]) if found else (0, str(exc))
            raise _refused(status, _unquoted(body), query, self.shown) from None
        except requests.exceptions.JSONDecodeError:
            raise UnreachableError(
                f"{self.shown} does not answer as a Prometheus: no JSON",
                hint="is it the address of Prometheus itself, not of Grafana or a login page?",
            ) from None
        except requests.exceptions.SSLError as exc:
            reason = re.sub(r".*(certificate verify failed[^(]*).*", r"\1", str(exc))[:120].strip()
            raise UnreachableError(
                f"cannot trust {self.shown}: {reason}", hint="give its CA with --prometheus-ca"
            ) from None
        except requests.exceptions.Timeout:
            raise UnreachableError(
                f"no answer from {self.shown} within {self._access.timeout:g} s to: {query}"
            ) from None
        except requests.exceptions.ProxyError:
            raise UnreachableError(
                f"cannot reach {self.shown} through the proxy", hint="see HTTPS_PROXY and NO_PROXY"
            ) from None
        except requests.exceptions.RequestException as exc:
            raise UnreachableError(
                f"cannot reach {self.shown}: {_cause(exc)}", hint="is it up, and is this its URL?"
            ) from None
        except (KeyError, TypeError, ValueError, AttributeError, OSError) as exc:
            raise UnreachableError(
                f"{self.shown} does not answer as a Prometheus: {type(exc).__name__}: {exc}"
            ) from None


def _session(access: Access, user: str | None, password: str | None) -> requests.Session:
    session = requests.Session()
    session.headers["User-Agent"] = "egops"
    session.headers.update(access.headers)
    if access.token:
        session.headers["Authorization"] = f"Bearer {access.token}"
    if access.tenant:
        session.headers["X-Scope-OrgID"] = access.tenant
    if access.user or user:
        session.auth = (access.user or user or "", access.password or password or "")
    session.verify = False if access.insecure else (access.ca or True)
    session.cert = access.certificate
    return session


def _series(answer: Any) -> list[Series]:
    """Return an answer's result in one shape, whatever its type."""
    if isinstance(answer, list) and len(answer) == 2 and not isinstance(answer[0], dict):
        return [Series({}, ((float(answer[0]), float(answer[1])),))]
    if len(answer) > MOST_SERIES:
        raise QueryError(f"the answer has {len(answer)} series, more than {MOST_SERIES}")
    return [
        Series(
            dict(series["metric"]),
            tuple(
                (float(time), float(value))
                for time, value in (series.get("values") or [series["value"]])
            ),
        )
        for series in answer
        if series.get("values") or series.get("value")
    ]


def _refused(status: int, body: bytes | str, query: str, server: str) -> EgopsError:
    said = _said(body)
    if status == 401:
        return AccessError(
            f"{server} does not accept the credentials (401)",
            hint="give --prometheus-token, or --prometheus-user and a password",
        )
    if status == 403:
        return AccessError(f"{server} refuses this query (403): {said}")
    if status == 422 or (status == 400 and said):
        return QueryError(f"{said or 'the query was refused'}: {query}")
    if status in {400, 404} or "org id" in said.lower():
        hint = "give --prometheus-tenant" if "org id" in said.lower() else "is the path right?"
        return UnreachableError(f"{server} answered {status}: {said or 'nothing'}", hint=hint)
    return UnreachableError(f"{server} answered {status or 'nonsense'}: {said or query}")


def _said(body: bytes | str) -> str:
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    with contextlib.suppress(json.JSONDecodeError):
        value = json.loads(text)
        return (
            str(value.get("error") or value.get("message") or "") if isinstance(value, dict) else ""
        )
    return "an HTML page" if text.lstrip().startswith("<") else text.strip().split("\n", 1)[0][:200]


def _unquoted(text: str) -> str:
    """Return the text inside a bytes literal, which is how the library shows a body."""
    found = re.fullmatch(r"b(['\"])(.*)\1", text, re.DOTALL)
    if found is None:
        return text
    return found[2].encode("latin-1", "replace").decode("unicode_escape", "replace")


def _cause(exc: BaseException) -> str:
    text = str(exc)
    for sign, words in {
        "Connection refused": "connection refused",
        "NameResolution": "no such host",
        "Name or service not known": "no such host",
        "reset by peer": "the connection was reset",
        "RemoteDisconnected": "the connection was closed without an answer",
        "too many": "too many errors in a row",
        "Max retries": "no answer",
    }.items():
        if sign in text:
            return words
    return text.split("\n", 1)[0][:160]
