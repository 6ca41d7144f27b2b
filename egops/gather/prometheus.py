"""Queries to a Prometheus: one that is named, or one found in the cluster.

The client is prometheus-api-client; its requests go through our limits, and in a cluster through
the API server's service proxy, with the credentials of the kubeconfig.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import orjson
import requests  # noqa: TID253 - this module is its owner, and loaded only if a query is asked
import urllib3
from prometheus_api_client import PrometheusConnect  # noqa: TID253 - as above
from requests.adapters import BaseAdapter  # noqa: TID253 - as above

from egops.errors import AccessError, EgopsError, InputError, UnreachableError
from egops.gather.api import forbidden
from egops.gather.asker import Answer, CutError, said_in
from egops.gather.foreign import refused
from egops.gather.http import Calls, fetch, server_of, watched
from egops.snapshot import items, number, section, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from egops.gather import SourceOptions
    from egops.gather.api import Api


@dataclass(frozen=True)
class Asked:
    """What a Prometheus said: result by query, and the reason for each that it did not answer."""

    name: str = ""
    results: Mapping[str, Any] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the failures as one line each."""
        return tuple(f"{self.name}: {reason}" for reason in self.failures.values())


class Prometheus:
    """One Prometheus (or what speaks its API). Safe to use from several threads."""

    def __init__(
        self, url: str, send: Callable[[str, Mapping[str, str]], Answer], name: str = ""
    ) -> None:
        """Take its URL, who sends the requests, and how to call it in messages."""
        self.name = name or server_of(url)
        session = requests.Session()
        session.trust_env = False  # no .netrc: credentials are what the user gave
        self._session = session
        self._url = url.rstrip("/")
        self._client = PrometheusConnect(url=self._url, session=session)
        session.mount(self._url, _Adapter(send, self.name))

    def query(self, promql: str) -> Any:
        """Return the result of an instant query: a list of series, or a scalar.

        Raises:
            InputError: the query is wrong; the message has Prometheus' words.
            AccessError, UnreachableError: see `mapped`.
        """
        try:
            return self._client.custom_query(promql)
        except InputError as exc:
            raise InputError(f"{exc.message} in the query {promql}") from None

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Return the `data` of another part of the API, such as `/api/v1/rules`.

        Raises:
            AccessError, UnreachableError: see `mapped`.
        """
        answer = self._session.get(self._url + path, params=dict(params or {}))
        return orjson.loads(answer.content).get("data")


class _Adapter(BaseAdapter):
    """Sends what requests prepared, and lets only a Prometheus' good answer back."""

    def __init__(self, send: Callable[[str, Mapping[str, str]], Answer], name: str) -> None:
        super().__init__()
        self._send, self._name = send, name

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        assert request.url is not None
        answer = self._send(request.url, {str(k): str(v) for k, v in request.headers.items()})
        self._check(answer)
        response = requests.Response()
        response.status_code = answer.status
        response._content = answer.body  # noqa: SLF001 - how requests' own adapters are tested
        response.url, response.request, response.encoding = request.url, request, "utf-8"
        return response

    def close(self) -> None:
        """Do nothing: the pool belongs to somebody else."""

    def _check(self, answer: Answer) -> None:
        try:
            value = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            value = None
        if isinstance(value, dict) and value.get("errorType") in ("bad_data", "execution"):
            raise InputError(f"PromQL error: {value.get('error')}")
        if isinstance(value, dict) and value.get("errorType"):
            raise UnreachableError(f"{self._name}: {value['errorType']}: {value.get('error')}")
        if answer.status == 401 and "org id" in said_in(answer.body):
            raise AccessError(
                f"{self._name} wants a tenant (401): {said_in(answer.body)}",
                hint="name it with --prometheus-header 'X-Scope-OrgID: TENANT'",
            )
        if answer.status == 401:
            raise AccessError(
                f"{self._name} does not accept the credentials (401 Unauthorized)",
                hint="give --prometheus-token or --prometheus-user",
            )
        if answer.status == 403:
            raise AccessError(forbidden(answer.body, self._name))
        if 300 <= answer.status < 400:
            raise AccessError(f"{self._name} sends us elsewhere ({answer.status}): to log in?")
        if answer.status != 200:
            raise refused(answer.status, answer.body, self._name)
        if not isinstance(value, dict) or "data" not in value:
            raise UnreachableError(f"{self._name} is no Prometheus: it answers {_what(answer)}")


def _what(answer: Answer) -> str:
    said = said_in(answer.body)
    return said if said.startswith("an ") else "something else"


def named(source: SourceOptions, calls: Calls) -> Prometheus:
    """Return the Prometheus that the user named.

    Raises:
        InputError: the URL or the CA file is none.
    """
    url = source.prometheus if "://" in source.prometheus else f"http://{source.prometheus}"
    ca_file = source.prometheus_ca
    if ca_file and not Path(ca_file).is_file():
        raise InputError(f"the CA file {ca_file} does not exist")
    try:
        parsed = urllib3.util.parse_url(url)
    except urllib3.exceptions.LocationParseError:
        raise InputError(f"{source.prometheus} is no URL") from None
    headers = _headers(source, parsed.auth or "")
    plain = parsed._replace(auth=None).url
    pool = _pool(plain, ca_file)

    def send(url: str, given: Mapping[str, str]) -> Answer:
        return fetch(pool, url, calls, source.request_timeout, {**given, **headers})

    return Prometheus(plain, send)


def _pool(url: str, ca_file: str) -> urllib3.PoolManager:
    """Return connections to a URL, through the proxy that the environment names for it."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    tls = {"ca_certs": ca_file or None, "maxsize": 8}
    if proxy and proxy.startswith("http") and not proxy_bypass(parts.netloc):
        return watched(urllib3.ProxyManager(proxy, **tls))  # type: ignore[arg-type]
    return watched(urllib3.PoolManager(**tls))  # type: ignore[arg-type]


def _headers(source: SourceOptions, in_url: str) -> dict[str, str]:
    headers = {"user-agent": "egops", "accept-encoding": "gzip"}
    for given in source.prometheus_headers:
        name, colon, value = given.partition(":")
        if not colon or not name.strip():
            raise InputError("a header is written as `Name: value`")
        headers[name.strip().lower()] = value.strip()
    if user := source.prometheus_user or in_url:
        headers |= urllib3.util.make_headers(basic_auth=user)
    if source.prometheus_token:
        headers["authorization"] = f"Bearer {source.prometheus_token}"
    return headers


def found(api: Api, services: Iterable[Mapping[str, Any]] | None = None) -> Prometheus:
    """Return a Prometheus of the cluster, reached through the API server's service proxy.

    It is looked for among these Services, or in a list of all of them.

    Raises:
        EgopsError: there is none, or services can't be listed.
    """
    if services is None:
        services, _, _ = api.items("/api/v1/services")
    best = min((rank for service in services if (rank := _rank(service))), default=None)
    if best is None:
        raise UnreachableError("no Prometheus was found in the cluster; name one with --prometheus")
    _, namespace, name, scheme, port = best
    address = ":".join(filter(None, (scheme, name, str(port))))
    path = f"/api/v1/namespaces/{namespace}/services/{address}/proxy"

    def send(url: str, given: Mapping[str, str]) -> Answer:
        headers = api.connection.headers()
        headers["accept"] = given.get("Accept", "*/*")
        return fetch(api.connection.pool, url, api.calls, api.seconds, headers)

    return Prometheus(api.url(path), send, f"Prometheus {namespace}/{name}")


OTHERS = ("alertmanager", "operator", "exporter", "pushgateway", "adapter", "state-metrics")


def _rank(service: Mapping[str, Any]) -> tuple[int, str, str, str, int] | None:
    """Return how much a service looks like a Prometheus (less is more), and its address."""
    name, namespace = text(service, "metadata", "name"), text(service, "metadata", "namespace")
    labels = section(service, "metadata", "labels")
    ports = [port for _, port in items(service, "spec", "ports")]
    if not ports or any(other in name for other in OTHERS):
        return None
    app = text(labels, "app.kubernetes.io/name") or text(labels, "app")
    if text(labels, "operated-prometheus") == "true":
        rank = 2
    elif app in ("prometheus", "kube-prometheus-stack-prometheus"):
        rank = 1
    elif name in ("prometheus", "prometheus-server", "prometheus-k8s", "prometheus-operated"):
        rank = 3
    else:
        return None
    web = [port for port in ports if text(port, "name") in ("web", "http", "http-web", "https")]
    port = next((port for port in ports if number(port, "port") == 9090), (web or ports)[0])
    scheme = "https" if text(port, "name") == "https" else ""
    return rank, namespace, name, scheme, number(port, "port")


def ask(prometheus: Prometheus, queries: Iterable[str]) -> Asked:
    """Return the results of these queries. One that fails does not stop the others.

    Raises:
        AccessError, UnreachableError: the Prometheus can't be asked at all.
    """
    results: dict[str, Any] = {}
    failures: dict[str, str] = {}
    for query in sorted(queries) or ["vector(1)"]:
        try:
            results[query] = prometheus.query(query)
        except InputError as exc:
            failures[query] = exc.message
        except CutError:
            raise
        except EgopsError as exc:
            if not results:
                raise
            failures[query] = exc.message
    return Asked(prometheus.name, results, failures)
