"""The Kubernetes API as raw JSON: one request, one list, one WebSocket."""

from __future__ import annotations

import contextlib
import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import orjson

from egops.errors import EgopsError, UnreachableError
from egops.gather.asker import Answer, NoAnswerError, said_in
from egops.gather.foreign import refused
from egops.gather.http import fetch
from egops.snapshot import items, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gather.http import Calls
    from egops.gather.kubeconfig import Connection

Query = tuple[tuple[str, str], ...]

JSON = "application/json"
PAGE = 500
AGAIN = frozenset({429, 500, 502, 503, 504})
TRIES = 4  # of a request that is told to come back
LONGEST_PAUSE = 30.0  # seconds, in all; who is told to wait longer gives up at once
DISCOVERY = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    for version in ("v2", "v2beta1")
)


class StatusError(EgopsError):
    """The API server answered with an HTTP status that is no success."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        """Take the status and one line."""
        super().__init__(message, hint=hint)
        self.status = status


class Api:
    """The API server. Safe to use from many threads."""

    def __init__(self, connection: Connection, calls: Calls, seconds: float) -> None:
        """Take the way to it and the limit of each request."""
        self.connection = connection
        self.calls = calls
        self.seconds = seconds
        self.answered = False  # has it said anything that an API server says?
        self.requests = 0
        self.clock_ahead = 0.0  # seconds: this machine's clock before the server's

    def get(self, path: str, query: Query = (), accept: str = JSON) -> bytes:
        """Return the body of a successful answer. Told to wait, it waits (not for ever).

        Raises:
            StatusError: the answer was no success; 403 names verb, resource and user.
            AccessError: the credentials are not accepted.
            UnreachableError: nobody answered, or no API server.
        """
        waited = 0.0
        for attempt in range(1, TRIES + 1):
            answer = self._once(path, query, accept, last=attempt > 1)
            if answer is None:
                continue
            allowed = TRIES if answer.status == 429 else 2
            wait = pause(answer.headers.get("retry-after", ""), attempt)
            if answer.status not in AGAIN or attempt >= allowed or waited + wait > LONGEST_PAUSE:
                return self._body(answer, path)
            self.calls.sleep(wait)
            waited += wait
        raise AssertionError("the last try returns or raises")

    def _once(self, path: str, query: Query, accept: str, *, last: bool) -> Answer | None:
        """Return the answer, or None if a connection kept open was closed under us."""
        url = self.url(path, query)
        self.requests += 1
        sent = time.time()
        try:
            answer = fetch(
                self.connection.pool, url, self.calls, self.seconds, self.connection.headers(accept)
            )
        except NoAnswerError:
            raise
        except UnreachableError:
            if last or not self.answered:
                raise
            return None
        if not self.answered and (date := answer.headers.get("date")):
            self.clock_ahead = ahead(date, sent, time.time())
        self.answered = self.answered or answer.body.lstrip()[:1] == b"{"
        return answer

    def url(self, path: str, query: Query = ()) -> str:
        """Return the URL of a path."""
        return f"{self.connection.server}{path}" + (f"?{urlencode(query)}" if query else "")

    def _body(self, answer: Answer, path: str) -> bytes:
        if 200 <= answer.status < 300:
            return answer.body
        if answer.status == 401:
            raise refused(401, answer.body, self.connection.server)
        if answer.status == 403:
            raise StatusError(403, forbidden(answer.body, path))
        if answer.status == 404 and not answer.body.lstrip().startswith((b"{", b"404 page")):
            raise UnreachableError(
                f"{self.connection.server} does not answer as a Kubernetes API: "
                f"404 and {said_in(answer.body) or 'nothing'}",
                hint="does the kubeconfig's server point to a proxy or a web page?",
            )
        error = refused(answer.status, answer.body, self.connection.server)
        raise StatusError(answer.status, error.message)

    def json(self, path: str, query: Query = (), accept: str = JSON) -> Any:
        """Return the decoded body of a successful answer.

        Raises:
            UnreachableError: it is no JSON: not a Kubernetes API.
        """
        body = self.get(path, query, accept)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as exc:
            what = said_in(body) if body.lstrip()[:1] == b"<" else f"no JSON: {exc}"
            raise UnreachableError(
                f"{self.connection.server} does not answer as a Kubernetes API: {what}",
                hint="does the kubeconfig's server point to a proxy or a web page?",
            ) from None

    def pages(self, path: str, query: Query = (), accept: str = JSON) -> Iterator[dict[str, Any]]:
        """Yield the pages of a list. One that expires half way is read again, whole.

        The second reading is one page without a limit, and is marked: drop what came before.
        """
        token = ""
        while True:
            page_query = (*query, ("limit", str(PAGE)))
            try:
                more = (("continue", token),) if token else ()
                page = self.json(path, (*page_query, *more), accept)
            except StatusError as exc:
                if exc.status != 410 or not token:
                    raise
                yield {**self._list(self.json(path, query, accept)), "restarted": True}
                return
            yield self._list(page)
            token = text(page, "metadata", "continue")
            if not token:
                return

    def items(
        self, path: str, query: Query = (), accept: str = JSON
    ) -> tuple[list[dict[str, Any]], str, str]:
        """Return all items of a list, with the list's apiVersion and the items' kind."""
        found: list[dict[str, Any]] = []
        api_version = kind = ""
        for page in self.pages(path, query, accept):
            if page.get("restarted"):
                found.clear()
            found += [item for item in page["items"] if isinstance(item, dict)]
            api_version = str(page.get("apiVersion") or "")
            kind = str(page.get("kind") or "").removesuffix("List")
        return found, api_version, kind

    def _list(self, page: Any) -> dict[str, Any]:
        if isinstance(page, dict) and "items" in page and isinstance(page["items"] or [], list):
            return {**page, "items": page["items"] or []}
        raise UnreachableError(f"{self.connection.server} answered no list")

    def served(self) -> dict[tuple[str, str], tuple[str, ...]] | None:
        """Return the versions in which each (group, plural) is served; None if it can't be told."""
        try:
            document = self.json("/apis", accept=f"{DISCOVERY},{JSON}")
        except StatusError:
            return None
        if not isinstance(document, dict) or document.get("kind") != "APIGroupDiscoveryList":
            return None
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        for _, group in items(document, "items"):
            for _, version in items(group, "versions"):
                for _, resource in items(version, "resources"):
                    key = (text(group, "metadata", "name"), text(resource, "resource"))
                    found[key] = (*found.get(key, ()), text(version, "version"))
        return found

    @contextlib.contextmanager
    def websocket(self, path: str, query: Query, protocol: str) -> Iterator[Any]:
        """Open a WebSocket to a subresource of a pod, within the limit of one request.

        Raises:
            StatusError, AccessError, UnreachableError: it could not be opened.
        """
        import websocket  # noqa: PLC0415 - only when a pod is asked

        config = self.connection.configuration
        parts = urlsplit(self.url(path, query))
        url = parts._replace(scheme="wss" if parts.scheme == "https" else "ws").geturl()
        headers = [
            f"{name}: {value}"
            for name, value in self.connection.headers().iteritems()
            if name.lower() not in ("accept", "accept-encoding")
        ]
        self.requests += 1
        opened: Any = None
        try:
            with self.calls.call(self.connection.server, self.seconds) as call:
                options = {"context": self.connection.tls}
                if config.tls_server_name:
                    options["server_hostname"] = config.tls_server_name
                opened = websocket.WebSocket(sslopt=options, skip_utf8_validation=True)
                try:
                    opened.connect(
                        url,
                        header=headers,
                        subprotocols=[protocol],
                        timeout=self.seconds,
                        suppress_origin=True,
                        **_proxy(config),
                    )
                except websocket.WebSocketBadStatusException as exc:
                    answer = Answer(exc.status_code, bytes(exc.resp_body or b""))
                    self._body(answer, path)
                    raise
                call.attach(opened.sock)
            yield opened
        finally:
            if opened is not None:
                with contextlib.suppress(OSError, websocket.WebSocketException):
                    opened.shutdown()


def _proxy(config: Any) -> dict[str, Any]:
    """Return websocket's options for the HTTP proxy that the client would use."""
    from kubernetes.client.rest import should_bypass_proxies

    if not config.proxy or should_bypass_proxies(config.host, config.no_proxy or ""):
        return {"http_no_proxy": ["*"]}
    proxy = urlsplit(config.proxy)
    options: dict[str, Any] = {
        "http_proxy_host": proxy.hostname,
        "http_proxy_port": proxy.port or 3128,
        "proxy_type": proxy.scheme if proxy.scheme.startswith("socks") else "http",
    }
    if proxy.username:
        options["http_proxy_auth"] = (proxy.username, proxy.password or "")
    return options


def pause(told: str, attempt: int) -> float:
    """Return how long to wait: as `Retry-After` says in seconds, else a little more each time."""
    return float(told) if told.isdecimal() else 0.25 * 2**attempt


def ahead(date: str, sent: float, received: float) -> float:
    """Return how many seconds our clock is before one that said `Date` between two moments of ours.

    The header has whole seconds, so less than two of them mean nothing.
    """
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return 0.0
    if sent - 2 <= theirs <= received + 2:
        return 0.0
    return sent - theirs if theirs < sent else received - theirs


_WHO = re.compile(r'User "([^"]+)" cannot (\w+) resource "([^"]+)"(?: in API group "([^"]*)")?')
_WHERE = re.compile(r'in the namespace "([^"]+)"')


def forbidden(body: bytes, path: str) -> str:
    """Return `forbidden: list secrets for user "ci"` from what the API server said."""
    said = said_in(body)
    if not (found := _WHO.search(said)):
        return f"forbidden: {said or path}"
    user, verb, plural, group = found.groups()
    resource = f"{plural}.{group}" if group else plural
    where = f" in namespace {place[1]}" if (place := _WHERE.search(said)) else ""
    return f'forbidden: {verb} {resource}{where} for user "{user}"'


def path_of(group: str, version: str, plural: str, namespace: str = "") -> str:
    """Return the path of a list."""
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


def pod_path(namespace: str, name: str, subresource: str) -> str:
    """Return the path of a pod's `log`, `exec` or `portforward`."""
    return f"/api/v1/namespaces/{namespace}/pods/{name}/{subresource}"
