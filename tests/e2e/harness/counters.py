"""What every proxy and rate limit service counts, from first to last, while something happens.

Pods come and go in between: each is judged by its own first and last reading as a ready pod.
"""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import quote

from tests.e2e.cluster import kube
from tests.e2e.cluster.settings import EG_NAMESPACE, PROXY_LABELS
from tests.e2e.cluster.shell import RigError

LINKS = ("xds_cluster", "ratelimit_cluster", "wasm_cluster")
FILTER = quote(
    r"connected_state|key_rotation_failed|\.ratelimit\.|wasm.remote_load_fetch|"
    rf"({'|'.join(LINKS)})\.(upstream_cx_total|ssl\.(fail_verify_error|connection_error|handshake)|"
    r"ssl\.session_reused|client_ssl_socket_factory\.ssl_context_update_by_sds)"
)
SAMPLE = re.compile(r"^(\w+?)\{([^}]*)\} (\S+)$|^(\w+) (\S+)$", re.MULTILINE)
LIMITER_LABELS = "app.kubernetes.io/component=ratelimit"
SHORT = {
    "streams": "envoy_cluster_upstream_cx_total xds_cluster",
    "limiter connections": "envoy_cluster_upstream_cx_total ratelimit_cluster",
    "xds contexts": "envoy_cluster_client_ssl_socket_factory_ssl_context_update_by_sds xds_cluster",
    "rlc contexts": (
        "envoy_cluster_client_ssl_socket_factory_ssl_context_update_by_sds ratelimit_cluster"
    ),
    "xds refused": "envoy_cluster_ssl_fail_verify_error xds_cluster",
    "limiter refused": "envoy_cluster_ssl_fail_verify_error ratelimit_cluster",
    "wasm refused": "envoy_cluster_ssl_fail_verify_error wasm_cluster",
    "limited ok": "envoy_cluster_ratelimit_ok",
    "limiter errors": "envoy_cluster_ratelimit_error",
    "passed unlimited": "envoy_cluster_ratelimit_failure_mode_allowed",
    "rotation failed": "key_rotation_failed",
    "connected": "envoy_control_plane_connected_state",
    "resumed": "envoy_cluster_ssl_session_reused",
}


def samples(text: str) -> dict[str, float]:
    """Return `name cluster` -> value of a Prometheus text, summed over all other labels."""
    found: dict[str, float] = {}
    for name, labels, value, bare, bare_value in SAMPLE.findall(text):
        cluster = re.search(r'envoy_cluster_name="([^"]+)"', labels)
        link = cluster and cluster.group(1) in LINKS and cluster.group(1)
        key = f"{name} {link}" if link else name or bare
        found[key] = found.get(key, 0) + float(value or bare_value)
    return found


def _picked(found: dict[str, float]) -> dict[str, float]:
    return {
        short: sum(v for k, v in found.items() if _is_of(k, name)) for short, name in SHORT.items()
    }


def _is_of(key: str, name: str) -> bool:
    """Tell whether a sample is of this name: all clusters of it, or all whose name ends so."""
    return key == name or key.startswith(f"{name} ") or key.endswith(f"_{name}")


@dataclass(slots=True)
class Pod:
    """What one pod counted."""

    name: str
    first: dict[str, float]
    last: dict[str, float]
    began: float
    ended: float
    disconnected: list[str] = field(default_factory=list)  # when its stream was not there

    def rise(self, name: str) -> float:
        """Return by how much the counter rose between the first and the last reading."""
        return self.last.get(name, 0) - self.first.get(name, 0)


class Counters:
    """Read the pods again and again until told to stop."""

    def __init__(self, interval: float = 2.0) -> None:
        """Read this often, in seconds."""
        self.proxies: dict[str, Pod] = {}
        self.limiters: dict[str, Pod] = {}
        self.hits: list[tuple[float, float]] = []  # when, hits of all rate limit services so far
        self.asked: list[tuple[float, float]] = []  # when, requests that were let through so far
        self.interval = interval
        self.over = threading.Event()

    def run(self) -> None:
        """Read until over."""
        while True:
            for pod in _ready(PROXY_LABELS):
                self._proxy(*pod)
            for pod in _ready(LIMITER_LABELS):
                self._limiter(*pod)
            now = time.monotonic()
            self.hits.append((now, sum(pod.rise("hits") for pod in self.limiters.values())))
            self.asked.append((now, sum(pod.rise("limited ok") for pod in self.proxies.values())))
            if self.over.wait(self.interval):
                return

    def _proxy(self, name: str, address: str) -> None:
        try:
            text = kube.text_of(f"http://{address}:19001/stats/prometheus?filter={FILTER}", 3)
        except RigError:
            return  # about to go: what it was asked last counts
        self._note(self.proxies, name, _picked(samples(text)))
        pod = self.proxies[name]
        if pod.last["connected"] != 1:
            pod.disconnected.append(time.strftime("%H:%M:%S"))

    def _limiter(self, name: str, address: str) -> None:
        try:
            found = samples(kube.text_of(f"http://{address}:19001/metrics", 3))
        except RigError:
            return
        hits = found.get("ratelimit_service_rate_limit_total_hits", 0)
        if name not in self.limiters:  # what it counted before we saw it is its own too
            self._note(self.limiters, name, {"hits": hits if not self.limiters else 0})
        self._note(self.limiters, name, {"hits": hits})

    @staticmethod
    def _note(pods: dict[str, Pod], name: str, values: dict[str, float]) -> None:
        now = time.monotonic()
        if name not in pods:
            pods[name] = Pod(name, values, values, now, now)
        pods[name].last, pods[name].ended = values, now

    def dropped_streams(self) -> list[str]:
        """Return the proxies that had to connect to the control plane again."""
        found = [f"{p.name} +{p.rise('streams'):.0f}" for p in self.proxies.values()]
        again = [line for line in found if not line.endswith("+0")]
        gone = [f"{p.name} at {p.disconnected}" for p in self.proxies.values() if p.disconnected]
        return again + gone

    def risen(self, name: str) -> dict[str, float]:
        """Return the proxies in which a counter rose, and by how much."""
        risen = {pod.name: pod.rise(name) for pod in self.proxies.values()}
        return {pod: value for pod, value in risen.items() if value}

    def standstill(self) -> float:
        """Return the longest time in seconds in which no rate limit service counted a hit."""
        return _standstill(self.hits)

    def told(self) -> list[str]:
        """Return the readings as lines: proxy, counter, first → last."""
        lines = []
        for pod in self.proxies.values():
            values = ", ".join(
                f"{name} {pod.first[name]:.0f}→{pod.last[name]:.0f}" for name in SHORT
            )
            lines.append(f"{pod.name}: {values} ({pod.ended - pod.began:.0f} s)")
        lines += [
            f"{pod.name}: hits {pod.first['hits']:.0f}→{pod.last['hits']:.0f}"
            for pod in self.limiters.values()
        ]
        return lines


def _standstill(series: list[tuple[float, float]]) -> float:
    longest, since = 0.0, series[0][0] if series else 0.0
    for (_, value), (at, risen) in pairwise(series):
        if risen > value:
            since = at
        longest = max(longest, at - since)
    return longest


def _ready(labels: str) -> Iterator[tuple[str, str]]:
    """Yield name and address of the ready pods that are not about to go."""
    try:
        found = kube.running_pods(labels, EG_NAMESPACE)
    except (RigError, ValueError):
        return
    for pod in found:
        conditions = pod["status"].get("conditions", [])
        if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
            yield pod["metadata"]["name"], pod["status"]["podIP"]


@contextmanager
def counted(interval: float = 2.0) -> Iterator[Counters]:
    """Read what the pods count for the length of the block."""
    counters = Counters(interval)
    thread = threading.Thread(target=counters.run)
    thread.start()
    try:
        yield counters
    finally:
        counters.over.set()
        thread.join()
