"""TLS handshakes with the servers inside pods, through port-forwards.

The client shows the pair of Secret `envoy`, as proxies do. Its key stays in memory: the Snapshot
gets what the server showed, and whether it let us in.
"""

from __future__ import annotations

import base64
import binascii
import threading
from typing import TYPE_CHECKING

from egops.errors import EgopsError, InputError
from egops.gather.api import StatusError
from egops.gather.asker import CutError, NoAnswerError
from egops.gather.tls import ClientPair, shake
from egops.gather.tunnel import tunnel
from egops.handshakes import CLOSED, NOT_ASKED, TIMEOUT, Handshake, written
from egops.pki import tls_chains
from egops.snapshot import Probe, section, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from egops.gather.api import Api
    from egops.gather.draft import Draft
    from egops.xds.config_dump import ConfigDump

ENVOY_GATEWAY_PORTS = (18000, 18001, 18002, 9443)  # xDS, rate limit xDS, Wasm, webhook
RATE_LIMIT_PORTS = (8081,)
MOST = 200  # names that one proxy is asked for
SERVER_NAME = "envoy-gateway"  # what proxies and the rate limit service ask for


class Pairs:
    """The proxies' certificate and key, read once for each namespace."""

    def __init__(self, api: Api) -> None:
        """Take the API server to ask."""
        self._api = api
        self._lock = threading.Lock()
        self._found: dict[str, ClientPair | None] = {}

    def of(self, namespace: str) -> ClientPair | None:
        """Return the pair in Secret `envoy`; None if it can't be read or is no pair."""
        with self._lock:
            if namespace not in self._found:
                self._found[namespace] = self._read(namespace)
            return self._found[namespace]

    def _read(self, namespace: str) -> ClientPair | None:
        try:
            secret = self._api.json(f"/api/v1/namespaces/{namespace}/secrets/envoy")
            data = section(secret, "data")
            pair = ClientPair(
                base64.b64decode(text(data, "tls.crt"), validate=True),
                base64.b64decode(text(data, "tls.key"), validate=True),
            )
        except CutError:
            raise
        except (EgopsError, binascii.Error, ValueError):
            return None
        return pair if pair.certificate and pair.key else None


def handshaker(
    api: Api, draft: Draft, probe: Probe, ports: Iterable[int], pairs: Pairs
) -> Callable[[], None]:
    """Return the work that shakes hands on each port of a pod."""

    def work() -> None:
        assert draft.pod is not None
        try:
            pair = pairs.of(draft.pod.namespace)
            found: list[Handshake] = []
            for port in ports:
                if found and found[-1].outcome in (TIMEOUT, NOT_ASKED):  # the process is stopped
                    found.append(Handshake(port, NOT_ASKED, "another port did not answer"))
                else:
                    found.append(_shake(api, draft, port, pair))
        except StatusError as exc:  # not allowed, or the pod is gone: the same for every port
            draft.fail([probe], exc.message)
        else:
            draft.keep(probe, written(found))

    return work


def meet_listeners(api: Api, draft: Draft) -> None:
    """Shake hands with the TLS listeners of a proxy, for each name that they serve."""
    config: ConfigDump = draft.parsed["config"]
    asked = {(chain.port, name): None for chain in tls_chains(config) for name in chain.asked}
    found: list[Handshake] = []
    silent: set[int] = set()  # one name that is not answered in time is enough for a port
    try:
        for port, name in list(asked)[:MOST]:
            if port in silent:
                found.append(Handshake(port, NOT_ASKED, "the port did not answer before", name))
                continue
            found.append(_shake(api, draft, port, None, name))
            if found[-1].outcome == TIMEOUT:
                silent.add(port)
    except StatusError as exc:
        draft.fail([Probe.LISTENER_TLS], exc.message)
        return
    left = len(asked) - len(found)
    if left > 0:
        found.append(Handshake(0, NOT_ASKED, f"{left} more names were not asked for"))
    draft.keep(Probe.LISTENER_TLS, written(found))


def _shake(
    api: Api, draft: Draft, port: int, pair: ClientPair | None, server_name: str = SERVER_NAME
) -> Handshake:
    assert draft.pod is not None
    namespace, name = draft.pod.namespace, draft.pod.name
    options = {"seconds": api.seconds, "server_name": server_name}
    try:
        with tunnel(api, namespace, name, port) as stream:
            try:
                return shake(stream, port, client=pair, **options)  # type: ignore[arg-type]
            except InputError:  # the Secret holds no pair: a finding of its own
                if pair is None:
                    raise
        with tunnel(api, namespace, name, port) as stream:
            return shake(stream, port, **options)  # type: ignore[arg-type]
    except (CutError, StatusError):
        raise
    except NoAnswerError as exc:
        return Handshake(port, TIMEOUT, exc.message, server_name)
    except EgopsError as exc:
        return Handshake(port, CLOSED, exc.message, server_name)
