"""EGD-450 proxy-version-mismatch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import (
    DEPLOYMENT,
    ENVOY_GATEWAY,
    POD,
    image_version,
    is_proxy,
    running_version,
)
from egops.proxies import location_of
from egops.rules import parse_version, rule
from egops.snapshot import Probe, items, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Proxy, Resource, Snapshot

ENVOY_OF: dict[tuple[int, ...], tuple[int, int]] = {
    (1, 2): (1, 32), (1, 3): (1, 33), (1, 4): (1, 34), (1, 5): (1, 35), (1, 6): (1, 36),
    (1, 7): (1, 37), (1, 8): (1, 38), (1, 9): (1, 39),
}  # fmt: skip
"""The Envoy minor that each Envoy Gateway minor ships and is tested with."""


@rule(
    code="EGD-450",
    severity=Severity.WARNING,
    reads=(DEPLOYMENT,),
    optional=(ENVOY_GATEWAY, POD),
    optional_probes=(Probe.SERVER_INFO,),
    since="0.1",
    ok="every proxy runs the Envoy that its Envoy Gateway ships",
)
def proxy_version_mismatch(snapshot: Snapshot) -> Iterator[Problem]:
    """A proxy runs another Envoy release than its Envoy Gateway ships.

    ## Why it matters
    Envoy Gateway writes configuration for the Envoy it ships. An older one rejects fields it does
    not know, a newer one may have removed what it is sent, and nobody has tested the pair. A pinned
    image is usually forgotten at the next upgrade.

    ## How to fix it
    Remove the image from the EnvoyProxy, or pin a patch release of the matching minor.
    """
    running = running_version(snapshot)
    if running is None:
        raise CannotJudge("the running Envoy Gateway release is unknown")
    if (expected := ENVOY_OF.get(running[:2])) is None:
        raise CannotJudge(f"the Envoy of Envoy Gateway {running[0]}.{running[1]} is not known")
    proxies = {proxy.pod.ref: proxy for proxy in snapshot.proxies if proxy.pod is not None}
    for pod in snapshot.all(POD):
        if is_proxy(pod) and "deletionTimestamp" not in pod.metadata:
            yield from _judge(pod, proxies.get(pod.ref), expected, running)


def _judge(
    pod: Resource, proxy: Proxy | None, expected: tuple[int, int], running: tuple[int, ...]
) -> Iterator[Problem]:
    image = _image(pod)
    told = proxy.server_info.envoy_version if proxy and proxy.has(Probe.SERVER_INFO) else ""
    version = image_version(image.replace("distroless-", "").replace("dev-", "")) or (
        parse_version(told) if told else None
    )
    if version is None or version[:2] == expected:
        return
    wanted = ".".join(map(str, expected))
    yield Problem(
        location_of(proxy) if proxy else pod.at(),
        f"runs Envoy {'.'.join(map(str, version))}, Envoy Gateway "
        f"{'.'.join(map(str, running))} ships {wanted}",
        impact="configuration may be rejected, or behave in untested ways",
        evidence=(f"image {image}", *((f"/server_info: {told}",) if told else ())),
        remedy=(f"remove the image from the EnvoyProxy, or pin distroless-v{wanted}.x",),
    )


def _image(pod: Resource) -> str:
    for _, container in items(pod.spec, "containers"):
        if text(container, "name") == "envoy":
            return text(container, "image")
    return ""
