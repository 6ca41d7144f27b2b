"""The real world: the cluster of a kubeconfig, and its pods through the API server."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from egops.errors import EgopsError
from egops.gather.api import Api
from egops.gather.asker import CutError
from egops.gather.http import Calls
from egops.gather.portforward import PortForward
from egops.gather.tls import ClientPair, shake
from egops.gather.tunnel import tunnel
from egops.handshakes import ACCEPTED, REFUSED
from egops.rotation.world import Awaited, Context, Met, Pod
from egops.xds.admin import Certificates, Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from egops.gather.kubeconfig import Connection
    from egops.handshakes import Handshake
    from egops.rotation.material import KeyPair

FILTER = (
    r"^cluster\.(xds_cluster|ratelimit_cluster|wasm_cluster)\..*"
    r"(upstream_cx_total|fail_verify|ssl_context_update_by_sds|connect_fail)|key_rotation_failed"
    r"|connected_state|failure_mode_allowed|ratelimit.*(error|failure)"
)


def met(seen: Handshake) -> Met:
    """Return what a handshake means for a gate."""
    leaf = hashlib.sha256(seen.chain[0]).hexdigest() if seen.chain else ""
    accepted = {ACCEPTED: True, REFUSED: False}.get(seen.outcome)
    return Met(leaf, accepted, seen.reason or ("" if accepted else seen.outcome))


class LiveObserver:
    """Handshakes and admin ports through port-forwards."""

    def __init__(self, connection: Connection, seconds: float, *, at_once: int = 8) -> None:
        """Take the way to the API server and the limit of each question."""
        self._api = Api(connection, Calls(), seconds)
        self._at_once = at_once

    def handshake(self, pod: Pod, port: int, client: KeyPair | None = None) -> Met:
        """Return how a server in a pod meets a client with this certificate."""
        pair = ClientPair(client.certificate, client.key) if client else None
        try:
            with tunnel(self._api, pod.namespace, pod.name, port) as stream:
                seen = shake(stream, port, seconds=self._api.seconds, client=pair)
        except CutError:
            raise
        except EgopsError as exc:
            return Met(reason=exc.message)
        return met(seen)

    def contexts(self, pod: Pod) -> list[Context]:
        """Return the TLS contexts of an Envoy."""
        found = []
        for pair in Certificates.parse(self._ask(pod, "/certs")).certificates:
            ca = pair.ca_cert[0] if pair.ca_cert else None
            leaf = pair.cert_chain[0] if pair.cert_chain else None
            found.append(
                Context(
                    ca.path if ca else "",
                    ca.serial_number if ca else "",
                    leaf.path if leaf else "",
                    leaf.serial_number if leaf else "",
                )
            )
        return found

    def counters(self, pod: Pod) -> Mapping[str, float]:
        """Return the counters and gauges of an Envoy that tell of its control plane."""
        from urllib.parse import quote  # noqa: PLC0415

        return Stats.parse(self._ask(pod, f"/stats?format=json&filter={quote(FILTER)}")).values

    def each(self, ask: Callable[[Pod], list[Awaited]], pods: Iterable[Pod]) -> list[Awaited]:
        """Return what all pods are still awaited for, several asked at once."""
        with ThreadPoolExecutor(self._at_once) as pool:
            return [awaited for found in pool.map(ask, pods) for awaited in found]

    def _ask(self, pod: Pod, path: str) -> bytes:
        asker = PortForward(self._api, pod.namespace, pod.name, 19000)
        try:
            answer = asker.ask(path)
        finally:
            asker.close()
        if answer.status != 200:
            raise EgopsError(f"its admin port answered {answer.status} to {path}")
        return answer.body


class RealClock:
    """The time of this machine."""

    def monotonic(self) -> float:
        """Return seconds that only rise."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)
