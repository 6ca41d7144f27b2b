"""What a verdict needs to know beside Prometheus: the running release, metrics switched off."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from egops.errors import EgopsError, InputError
from egops.monitoring.verify import Facts

if TYPE_CHECKING:
    from egops.gather import SourceOptions
    from egops.monitoring.prometheus import Prometheus

_IMAGE = 'kube_pod_container_info{container="envoy-gateway"}'
_TAG = re.compile(r":v?(\d+)\.(\d+)(?:\.(\d+))?")
PROXIES = "/apis/gateway.envoyproxy.io/v1alpha1/envoyproxies"


def facts(
    prometheus: Prometheus, source: SourceOptions, release: str = ""
) -> tuple[Facts, list[str]]:
    """Return what is known, and notes on what could not be read.

    The release is the given one, else the tag of the running image as kube-state-metrics knows it.
    EnvoyProxies are read when the cluster can be reached.
    """
    version = parse_release(release) if release else _running(prometheus)
    notes = [] if version else ["the running release is not known: say it with --eg-version"]
    try:
        proxies = _proxies(source)
    except EgopsError as exc:
        notes.append(f"EnvoyProxies were not read: {exc.message}")
        proxies = []
    switched_off = tuple(
        _name(one) for one in proxies if _metrics(one, "prometheus").get("disable")
    )
    filtered = tuple(_name(one) for one in proxies if _metrics(one).get("matches"))
    return Facts(version, switched_off, filtered), notes


def parse_release(text: str) -> tuple[int, ...]:
    """Return a release such as `v1.3.0` as numbers. Raises InputError if it is none."""
    found = re.fullmatch(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    if found is None:
        raise InputError(f"{text!r} is not a release such as 1.3 or v1.3.0")
    return tuple(int(part) for part in found.groups() if part is not None)


def _running(prometheus: Prometheus) -> tuple[int, ...]:
    for series in prometheus.query(_IMAGE):
        found = _TAG.search(series.labels.get("image_spec") or series.labels.get("image", ""))
        if found is not None:
            return tuple(int(part) for part in found.groups() if part is not None)
    return ()


def _proxies(source: SourceOptions) -> list[dict[str, Any]]:
    from egops.gather.api import Api, StatusError  # noqa: PLC0415 - with a client behind it
    from egops.gather.http import Calls  # noqa: PLC0415 - as above
    from egops.gather.kubeconfig import connect  # noqa: PLC0415 - as above

    api = Api(connect(source), Calls(), source.request_timeout)
    try:
        found = api.json(PROXIES)
    except StatusError as exc:
        if exc.status == 404:
            return []
        raise
    return [one for one in found.get("items") or [] if isinstance(one, dict)]


def _metrics(proxy: dict[str, Any], part: str = "") -> dict[str, Any]:
    section: Any = ((proxy.get("spec") or {}).get("telemetry") or {}).get("metrics") or {}
    if part:
        section = section.get(part) or {}
    return section if isinstance(section, dict) else {}


def _name(thing: dict[str, Any]) -> str:
    meta = thing.get("metadata") or {}
    return f"{meta.get('namespace')}/{meta.get('name')}"
