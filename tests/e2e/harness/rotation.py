"""Rotating the control plane's certificates under load: the requests, and what must hold."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.cluster import gateway, kube
from tests.e2e.cluster.settings import EG_NAMESPACE, PROXY_LABELS
from tests.e2e.cluster.shell import RigError, wait_for
from tests.e2e.harness.counters import Counters, Pod, counted
from tests.e2e.harness.load import Kind, Load, steady
from tests.e2e.harness.signed_in import HOST, sign_in

MTLS = ("envoy-gateway", "envoy", "envoy-rate-limit")
FOUR = (*MTLS, "envoy-oidc-hmac")
BUILD = Path(__file__).resolve().parents[3] / "build"
FLUSH = 10.0  # seconds between two readings that the rate limit service publishes


def kinds(cookie: str) -> list[Kind]:
    """Return the load: 230 requests a second over every link there is."""
    return [
        Kind("plain", "www.demo.test", 80),
        Kind("plain, new connection", "www.demo.test", 25, fresh=True),
        Kind("metered", "metered.demo.test", 65),
        Kind("metered, new connection", "metered.demo.test", 20, fresh=True),
        Kind("signed in", HOST, 15, headers={"Cookie": cookie}),
        Kind("not signed in", HOST, 5, expect=302),
        Kind("wasm", "wasm.demo.test", 15),
        Kind("wasm, new connection", "wasm.demo.test", 5, fresh=True),
    ]


@dataclass(frozen=True, slots=True)
class Watched:
    """A load that runs and the counters that are read meanwhile."""

    load: Load
    counters: Counters

    def broken(self) -> list[str]:
        """Return what users or proxies had to suffer, each in one line; nothing is the aim."""
        result, found = self.load.result(), []
        if result.failed:
            found.append(f"failed requests: {result.told()}")
        if result.rate < 200:
            found.append(f"only {result.rate:.0f} requests a second were sent")
        found += [f"dropped xDS stream: {each}" for each in self.counters.dropped_streams()]
        names = ("limiter errors", "passed unlimited", "rotation failed")
        refused = ("xds refused", "limiter refused", "wasm refused")
        for name in (*names, *refused):
            found += [f"{name}: {pod} +{n:.0f}" for pod, n in self.counters.risen(name).items()]
        if self.counters.limiters and (still := self.counters.standstill()) > 3 * FLUSH:
            found.append(f"rate limit counters stood still for {still:.0f} s")
        return found

    def sees_reconnects(self, timeout: float = 60) -> None:
        """Wait until every proxy has connected to the rate limit service anew."""
        before = {pod.name: pod.last["limiter connections"] for pod in self._staying()}

        def again() -> bool:
            return all(
                pod.last["limiter connections"] > before[pod.name] for pod in self._staying()
            )

        wait_for("new connections to the rate limit service", again, timeout)

    def _staying(self) -> list[Pod]:
        alive = {pod["metadata"]["name"] for pod in kube.running_pods(PROXY_LABELS)}
        return [pod for pod in self.counters.proxies.values() if pod.name in alive]

    def told(self) -> str:
        """Return all that was seen."""
        result = self.load.result()
        return "\n".join([result.told(), *result.failures(), *self.counters.told()])


PLAIN = (
    Kind("plain", "www.demo.test", 160),
    Kind("plain, new connection", "www.demo.test", 60, fresh=True),
)


@contextmanager
def under_load(name: str, requests: Sequence[Kind] = ()) -> Iterator[Watched]:
    """Have the load and the readings for the block; the requests are kept in build/NAME.jsonl."""
    address = gateway.addresses()[0]
    requests = requests or kinds(sign_in(address))
    with steady(address, requests, BUILD / f"{name}.jsonl") as load, counted() as counters:
        wait_for("requests and readings", lambda: load.result().lines and counters.hits, 30)
        yield Watched(load, counters)


def fingerprints() -> dict[str, str]:
    """Return of each control-plane Secret's values a short hash, and its labels and annotations."""
    found = {}
    for name in FOUR:
        secret = kube.get("secret", "-n", EG_NAMESPACE, name)
        for key, value in sorted(secret["data"].items()):
            found[f"{name}/{key}"] = hashlib.sha256(value.encode()).hexdigest()[:12]
        kept = {k: secret["metadata"].get(k, {}) for k in ("labels", "annotations")}
        found[f"{name} metadata"] = json.dumps(kept, sort_keys=True)
    return found


def certgen_overwrite(version: str) -> None:
    """Rotate as the release itself can: `envoy-gateway certgen --overwrite`, in a Job."""
    named = ("job", "certgen-overwrite", "-n", EG_NAMESPACE)
    kube.kubectl("delete", *named, "--ignore-not-found", "--wait=true")
    kube.apply("certgen-overwrite.yaml", VERSION=version)
    wait = ("wait", "--for=condition=Complete", "--timeout=60s")
    try:
        kube.kubectl(*wait, *named)
    except RigError as exc:
        log = kube.kubectl("-n", EG_NAMESPACE, "logs", "job/certgen-overwrite", check=False)
        raise RigError(f"{exc}\n{log}", component="certgen") from exc


def restart_rate_limiter() -> None:
    """Restart the rate limit service."""
    workload = "deployment/envoy-ratelimit"
    kube.kubectl("-n", EG_NAMESPACE, "rollout", "restart", workload)
    kube.rolled_out(EG_NAMESPACE, workload, timeout=180)


def heal() -> None:
    """Restart all that keeps certificates in memory, as one must after `certgen --overwrite`."""
    fleet = f"deployment/{_fleet()}"
    for workload in ("deployment/envoy-gateway", "deployment/envoy-ratelimit", fleet):
        kube.kubectl("-n", EG_NAMESPACE, "rollout", "restart", workload)
        kube.rolled_out(EG_NAMESPACE, workload, timeout=180)


def _fleet() -> str:
    found = kube.items("deployment", "-n", EG_NAMESPACE, "-l", gateway.OWNED)
    return str(found[0]["metadata"]["name"])
