"""Containers that users add to the proxies' pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.gatewayapi import ENVOY_PROXY
from egops.snapshot import items, section, text
from egops.upgrade.change import change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Problem
    from egops.snapshot import Path, Resource, Snapshot

OWN = ("envoy", "shutdown-manager")
MOUNTED = ((1, 4, 0), (1, 4, 1))  # the releases that mount a ServiceAccount token in proxies
TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"


def without_token(snapshot: Snapshot) -> Iterator[Problem]:
    """Yield a problem for each added container that may miss the ServiceAccount token."""
    for proxy in snapshot.all(ENVOY_PROXY):
        for path, name in _added(proxy):
            yield change(
                snapshot,
                proxy.at(*path),
                f"the container {name} gets no ServiceAccount token any more",
                today=f"the proxies' pods have a token at {TOKENS}",
                after="automountServiceAccountToken: false, there is no token",
                keep=(
                    "set spec.template.spec.automountServiceAccountToken: true in the patch, or "
                    "project a token for this container alone",
                ),
                verify=f"the container {name} works",
                possible="certain if the container talks to the API server",
            )


def _added(proxy: Resource) -> Iterator[tuple[Path, str]]:
    for field in ("envoyDeployment", "envoyDaemonSet"):
        where: Path = ("spec", "provider", "kubernetes", field)
        held = section(proxy.body, *map(str, where))
        for index, body in items(held, "initContainers"):
            yield (*where, "initContainers", index), text(body, "name")
        inner: Path = ("patch", "value", "spec", "template", "spec")
        pod = section(held, *map(str, inner))
        if pod.get("automountServiceAccountToken") is True:
            continue
        for key in ("containers", "initContainers"):
            for index, body in items(pod, key):
                if text(body, "name") not in OWN:
                    yield (*where, *inner, key, index), text(body, "name")
