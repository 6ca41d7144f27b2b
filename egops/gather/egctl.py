"""What `egctl x translate` of one release makes of objects: proxies that exist on paper only."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from egops.errors import EgopsError, InputError
from egops.gatewayapi import (
    CONFIG_MAP,
    EG,
    ENDPOINT_SLICE,
    ENVOY_GATEWAY,
    GWAPI,
    NAMESPACE,
    SECRET,
    SERVICE,
)
from egops.gather.draft import Draft
from egops.rules import parse_version
from egops.snapshot import Probe, Proxy, items, number, section, text

if TYPE_CHECKING:
    from egops.snapshot import Resource, Snapshot

ADDRESS = "192.0.2.1"  # stands for any: addresses of endpoints are not compared
LIMIT = 120.0  # seconds for one run
_ALSO = (NAMESPACE, SERVICE, ENDPOINT_SLICE, SECRET, CONFIG_MAP)


class Translation(NamedTuple):
    """What one binary says: its release, and a proxy for each Gateway."""

    version: tuple[int, ...]
    proxies: tuple[Proxy, ...]


def translated(binary: str, snapshot: Snapshot) -> Translation:
    """Return what this egctl makes of the objects of a snapshot.

    Raises:
        InputError: it is no egctl, or it refuses the objects.
    """
    said = _run(binary, "version", "--remote=false")
    version = parse_version(said.decode("utf-8", "replace").strip().rpartition(" ")[2])
    if version is None:
        raise InputError(f"{binary} does not tell its version", hint="is it egctl?")
    with tempfile.TemporaryDirectory(prefix="egops-") as folder:
        file = Path(folder) / "objects.yaml"
        file.touch(mode=0o600)  # Secrets may be among the objects
        file.write_bytes(_objects(snapshot))
        words = ("--from", "gateway-api", "--to", "xds", "--type", "all", "-o", "json")
        answer = _run(binary, "x", "translate", *words, "-f", str(file))
    try:
        xds = section(orjson.loads(answer), "xds")
    except orjson.JSONDecodeError as exc:
        raise InputError(f"{binary} x translate printed no JSON: {exc}") from None
    return Translation(version, tuple(_proxy(binary, key, dump) for key, dump in xds.items()))


def _proxy(binary: str, key: str, dump: object) -> Proxy:
    namespace, _, name = key.rpartition("/")
    draft = Draft(f"{key} by {Path(binary).name}")
    # the shape in which egctl itself prints dumps: it says so in camelCase
    draft.keep(Probe.CONFIG_DUMP, orjson.dumps({namespace or "-": {name: dump}}))
    draft.keep(Probe.SERVER_INFO, orjson.dumps({"node": {"cluster": key}}))
    return draft.frozen(Proxy, ())


def _objects(snapshot: Snapshot) -> bytes:
    """Return the objects as one stream of documents."""
    documents = []
    addressed = {
        (each.namespace, text(each.labels, "kubernetes.io/service-name"))
        for each in snapshot.all(ENDPOINT_SLICE)
    }
    for kind, found in snapshot.resources.items():
        if kind == ENVOY_GATEWAY or not (kind.group in (GWAPI, EG) or kind in _ALSO):
            continue
        for resource in found:
            metadata = {**resource.metadata, "name": resource.name}
            if kind.namespaced:
                metadata["namespace"] = resource.namespace
            metadata.pop("managedFields", None)
            body = {"apiVersion": kind.api_version, "kind": kind.name, **resource.body}
            if kind == SERVICE:
                # the API server gives an address; without one the translation is refused
                body["spec"] = {"clusterIP": ADDRESS, **resource.spec}
                if (resource.namespace, resource.name) not in addressed:
                    documents.append(orjson.dumps(_slice(resource)))
            documents.append(orjson.dumps({**body, "metadata": metadata}))
    return b"\n---\n".join(documents) + b"\n"


def _slice(service: Resource) -> dict[str, Any]:
    """Return the endpoints that a Service would have in a cluster."""
    ports = [
        {
            "name": text(port, "name"),
            "port": number(port, "targetPort") or number(port, "port"),
            "protocol": text(port, "protocol") or "TCP",
        }
        for _, port in items(service.spec, "ports")
    ]
    labels = {"kubernetes.io/service-name": service.name}
    return {
        "apiVersion": ENDPOINT_SLICE.api_version,
        "kind": ENDPOINT_SLICE.name,
        "metadata": {
            "name": f"{service.name}-egops",
            "namespace": service.namespace,
            "labels": labels,
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": True}}],
        "ports": ports,
    }


def _run(binary: str, *words: str) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - the binary that the user names, and our own words
            (binary, *words),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=LIMIT,
            check=False,
        )
    except OSError as exc:
        raise InputError(f"cannot run {binary}: {exc.strerror or exc}") from None
    except subprocess.TimeoutExpired:
        raise EgopsError(f"{binary} {words[0]} took longer than {LIMIT:g} s") from None
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        why = next((line for line in lines if "rror" in line), lines[0] if lines else "no reason")
        raise InputError(f"{binary} {' '.join(words[:2])} failed: {why.strip()}")
    return done.stdout


def gaps(start: tuple[int, ...], end: tuple[int, ...]) -> tuple[str, ...]:
    """Return what these translations cannot show, in words for the report."""
    found = [
        "egctl translates files: what only the controller, the API server or Envoy does (CRD "
        "defaults, status, infrastructure) is not compared; Services without address or endpoints "
        "get one each"
    ]
    if start < (1, 3) <= end:
        found.append(
            "egctl 1.2 loads Secrets, ConfigMaps and BackendTLSPolicies, egctl 1.3 does not: "
            "differences of TLS listeners, JWT and BackendTLSPolicies may be egctl's own"
        )
    if end >= (1, 3):
        found.append(
            "egctl from 1.3 on routes to Services instead of endpoints, ignores mergeGateways and "
            "drops creation times, so that the order of routes may be another"
        )
    return tuple(found)
