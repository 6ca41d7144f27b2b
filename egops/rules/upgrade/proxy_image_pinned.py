"""EGU-0013 proxy-image-pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY, image_version
from egops.rules import rule
from egops.snapshot import section, text
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import RELEASES, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Snapshot


@rule(
    code="EGU-0013",
    severity=Severity.WARNING,
    reads=(ENVOY_PROXY,),
    since="0.1",
    changed_in=(1, 0, 0),
    link="https://gateway.envoyproxy.io/news/releases/matrix/",
    ok="no EnvoyProxy pins an Envoy of another minor than the target's",
)
def proxy_image_pinned(snapshot: Snapshot) -> Iterator[Problem]:
    """An EnvoyProxy pins an image of another Envoy than the target release brings.

    ## Why it matters
    The pin wins: the new controller sends configuration that it was tested with another Envoy, and
    fixes of the target's Envoy do not arrive.

    ## How to fix it
    Remove the pin, or raise it to the target's Envoy.
    """
    step = upgrade_of(snapshot)
    target = RELEASES.get(step.to_version)
    if target is None:
        return
    wanted = tuple(int(part) for part in target.envoy.split("."))
    for proxy in snapshot.all(ENVOY_PROXY):
        for workload in ("envoyDeployment", "envoyDaemonSet"):
            path: Path = ("spec", "provider", "kubernetes", workload, "container", "image")
            image = text(section(proxy.body, *(str(p) for p in path[:-1])), "image")
            version = _envoy(image)
            if not image or (version is not None and version[:2] == wanted[:2]):
                continue
            what = f"Envoy {dotted(version)}" if version else "an Envoy that its name does not tell"
            yield change(
                snapshot,
                proxy.at(*path),
                f"the image is pinned to {what}, the target is made for {target.envoy}",
                today="the pin counts",
                after="the pin still counts: the controller and the proxy do not belong together",
                keep=(f"remove the pin, or set it to distroless-v{target.envoy}",),
                verify="server.version of the proxies in /server_info",
                severity=Severity.WARNING if version else Severity.INFO,
                possible="" if version else "certain if the image holds another Envoy",
                fix_patch=patch(proxy, path),
            )


def _envoy(image: str) -> tuple[int, ...] | None:
    name, colon, tag = image.partition("@")[0].rpartition(":")
    if not colon:
        return None
    return image_version(f"{name}:{tag.removeprefix('distroless-').removeprefix('tools-')}")
