"""HTTP to Prometheus, Grafana and Mimir: credentials, TLS, and failures in our words."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import requests  # noqa: TID253 - this module is the HTTP client and is imported where it is used
from requests.adapters import HTTPAdapter  # noqa: TID253 - as above
from urllib3 import Retry, disable_warnings
from urllib3.exceptions import InsecureRequestWarning

from egops.errors import AccessError, EgopsError, InputError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class Access:
    """How to reach a server. Secrets stay in here and are never shown.

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

    @property
    def shown(self) -> str:
        """Return the URL without user, password and query. Raises InputError if it is none."""
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InputError(f"{self.url!r} is not a URL")
        path = parts.path.rstrip("/")
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", ""))


def session(access: Access) -> requests.Session:
    """Return a session with credentials, TLS settings and a few tries for servers that are busy."""
    parts = urlsplit(access.url)
    made = requests.Session()
    made.headers["User-Agent"] = "egops"
    made.headers.update(access.headers)
    if access.token:
        made.headers["Authorization"] = f"Bearer {access.token}"
    if access.tenant:
        made.headers["X-Scope-OrgID"] = access.tenant
    if access.user or parts.username:
        made.auth = (
            access.user or parts.username or "",
            access.password or parts.password or "",
        )
    if access.insecure:
        # the user has said so; a warning with each request would say it again
        disable_warnings(InsecureRequestWarning)
    made.verify = False if access.insecure else (access.ca or True)
    made.cert = access.certificate
    made.mount(access.shown, HTTPAdapter(max_retries=retry()))
    return made


def retry() -> Retry:
    """Return how often to try again: twice, soon, and only what is safe to repeat."""
    return Retry(
        total=2,
        backoff_factor=0.2,
        status_forcelist=[429, 502, 503, 504],
        respect_retry_after_header=False,
        raise_on_status=False,
    )


@contextlib.contextmanager
def mapped(access: Access, doing: str, product: str = "Prometheus") -> Iterator[None]:
    """Turn what requests raises into one line of ours."""
    try:
        yield
    except requests.exceptions.JSONDecodeError:
        raise UnreachableError(
            f"{access.shown} does not answer as a {product}: no JSON",
            hint=f"is it the address of {product} itself, not of a login page?",
        ) from None
    except requests.exceptions.SSLError as exc:
        reason = re.sub(r".*(certificate verify failed[^(]*).*", r"\1", str(exc))[:120].strip()
        other = "not valid for" in reason
        hint = "use a name that the certificate is for" if other else "give its CA with --ca"
        raise UnreachableError(f"cannot trust {access.shown}: {reason}", hint=hint) from None
    except requests.exceptions.Timeout:
        raise _late(access, doing) from None
    except requests.exceptions.ProxyError:
        raise UnreachableError(
            f"cannot reach {access.shown} through the proxy", hint="see HTTPS_PROXY and NO_PROXY"
        ) from None
    except requests.exceptions.RequestException as exc:
        if "timed out" in str(exc):  # after its retries requests calls a time-out something else
            raise _late(access, doing) from None
        raise UnreachableError(
            f"cannot reach {access.shown}: {_cause(exc)}", hint="is it up, and is this its URL?"
        ) from None


@dataclass(frozen=True)
class Server:
    """A server with a JSON or YAML API; `product` is what it is called in messages."""

    access: Access
    product: str

    @cached_property
    def _session(self) -> requests.Session:
        return session(self.access)

    def call(
        self,
        verb: str,
        path: str,
        *,
        body: Any = None,
        text: str = "",
        accept: tuple[int, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Return status and body of an answer that is a success or one of `accept`.

        `body` is sent as JSON, `text` as YAML. Raises AccessError for 401 and 403, UnreachableError
        for everything else that is no success.
        """
        doing = f"{verb} {path}"
        sent = dict(headers or {}) | ({"Content-Type": "application/yaml"} if text else {})
        with mapped(self.access, doing, self.product):
            answer = self._session.request(
                verb,
                f"{self.access.shown}{path}",
                json=body,
                data=text.encode() or None,
                headers=sent,
                timeout=self.access.timeout,
                # said again: REQUESTS_CA_BUNDLE would win over the session's own
                verify=self._session.verify,
                allow_redirects=False,
            )
        if 200 <= answer.status_code < 300 or answer.status_code in accept:
            return answer.status_code, answer.content
        raise self._refused(answer.status_code, answer.content, doing)

    def thing(self, path: str, key: str) -> dict[str, Any] | None:
        """Return an object with that key, or None if there is none (404); see `call`."""
        status, value = self.json("GET", path, accept=(404,))
        if status == 404:
            return None
        if not isinstance(value, dict) or key not in value:
            raise self._stranger(f"no {key} in the answer to GET {path}")
        return value

    def things(self, path: str, accept: tuple[int, ...] = ()) -> list[dict[str, Any]]:
        """Return a list of objects, empty for an accepted failure; see `call`."""
        status, value = self.json("GET", path, accept=accept)
        if status in accept:
            return []
        if value is not None and not isinstance(value, list):
            raise self._stranger(f"no list in the answer to GET {path}")
        return [one for one in value or [] if isinstance(one, dict)]

    def _stranger(self, why: str) -> UnreachableError:
        return UnreachableError(
            f"{self.access.shown} does not answer as {self.product}: {why}",
            hint=f"is it the address of {self.product} itself, not of a login page?",
        )

    def json(self, verb: str, path: str, **how: Any) -> tuple[int, Any]:
        """Return status and decoded body; see `call`."""
        status, content = self.call(verb, path, **how)
        if not content.strip():
            return status, None
        try:
            return status, json.loads(content)
        except json.JSONDecodeError:
            raise self._stranger(said(content)) from None

    def _refused(self, status: int, content: bytes, doing: str) -> EgopsError:
        reason = said(content) or "no reason given"
        where = self.access.shown
        match status:
            case 401 if "org id" in reason:
                return AccessError(f"{where} wants a tenant (401): {reason}", hint="give --tenant")
            case 401:
                hint = "give a valid --token, or --user and a password"
                return AccessError(f"{where} does not accept the credentials (401)", hint=hint)
            case 403:
                return AccessError(f"{where} refuses {doing} (403): {reason}")
            case 301 | 302 | 303 | 307 | 308:
                hint = f"give the address of {self.product} itself"
                return UnreachableError(f"{where} redirects {doing} elsewhere", hint=hint)
            case 407:
                hint = "put them into the URL of HTTPS_PROXY, or name this host in NO_PROXY"
                return AccessError(f"the proxy to {where} wants credentials (407)", hint=hint)
            case 429:
                return UnreachableError(f"{where} has had too many requests (429)", hint="wait")
            case _:
                return UnreachableError(f"{where} answered {status} to {doing}: {reason}")


def said(body: bytes | str) -> str:
    """Return the reason in an error's body, in one line."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    with contextlib.suppress(json.JSONDecodeError):
        value = json.loads(text)
        return (
            str(value.get("error") or value.get("message") or "") if isinstance(value, dict) else ""
        )
    return "an HTML page" if text.lstrip().startswith("<") else text.strip().split("\n", 1)[0][:200]


def _late(access: Access, doing: str) -> UnreachableError:
    return UnreachableError(
        f"no answer from {access.shown} within {access.timeout:g} s to: {doing}",
        hint="raise --request-timeout if the server is only slow",
    )


def _cause(exc: BaseException) -> str:
    text = str(exc)
    for sign, words in {
        "Connection refused": "connection refused",
        "NameResolution": "no such host",
        "Name or service not known": "no such host",
        "reset by peer": "the connection was reset",
        "RemoteDisconnected": "the connection was closed without an answer",
        "IncompleteRead": "the answer was cut short",
        "too many": "too many errors in a row",
        "Max retries": "no answer",
    }.items():
        if sign in text:
            return words
    return text.split("\n", 1)[0][:160]
