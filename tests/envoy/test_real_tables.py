"""Tables that Envoy Gateway made, run by a real Envoy: what `--prove` shows must hold for all."""

from __future__ import annotations

import dataclasses
import json
import os
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from egops.envoy import binary, running
from egops.errors import EgopsError, InputError
from egops.prove import ask, certificate, difference, proving
from egops.xds.config_dump import ConfigDump, plain
from egops.xds.walk import Walker
from egops.xds.walk_replica import replica
from tests.envoy import traffic
from tests.envoy.compare import free_ports, to_request
from tests.xds.dumps import DUMPS, raw_dump

if TYPE_CHECKING:
    from pathlib import Path

    from egops.xds.config_dump import Listener

pytestmark = pytest.mark.envoy
RECORDED = sorted(path.name.removesuffix(".json.gz") for path in DUMPS.glob("eg*.json.gz"))
TRANSLATED = sorted(path.name.removesuffix(".json.gz") for path in DUMPS.glob("trans*.json.gz"))
EACH = 40


@pytest.fixture(scope="module", autouse=True)
def _needs_envoy() -> None:
    try:
        binary()
    except EgopsError as exc:
        if os.environ.get("EGOPS_REQUIRE_ALL") == "1":
            raise
        pytest.skip(f"{exc.message}: {exc.hint}")


def as_config(walker: Walker, name: str) -> dict[str, Any]:
    """Return the tables of a listener in the form that requests are made from."""
    hosts: list[dict[str, Any]] = []
    for listener in walker.listeners:
        if listener.name != name:
            continue
        for chain in listener.chains:
            way = walker.way(listener, chain)
            for host in way.table.hosts if way.manager is not None and way.table else []:
                entry = host.virtual_host
                routes = [{"match": plain(route.match)} for route in entry.routes]
                hosts.append({"domains": entry.domains, "routes": routes})
    return {"virtual_hosts": hosts}


@pytest.mark.parametrize("name", RECORDED)
def test_walker_and_envoy_agree_on_recorded_tables(name: str) -> None:
    walker = replaced(Walker(ConfigDump.parse(raw_dump(name))))
    differences = []

    for listener in walker.http_listeners:
        with proving(walker, listener.name) as (_, port):
            differences += compared(walker, listener, port, Random(name), EACH)

    assert differences == []


@pytest.mark.parametrize("name", TRANSLATED)
def test_walker_and_envoy_agree_on_all_that_envoy_gateway_translates(
    name: str, tmp_path: Path
) -> None:
    """All translations of a release run in one Envoy, each listener on a port of its own."""
    found = served(json.loads(raw_dump(name)))
    ports = free_ports(len(found))
    pipe, made = str(tmp_path / "echo"), certificate()
    boots = [
        replica(walker, listener.name, port, pipe, made)
        for (walker, listener), port in zip(found, ports, strict=True)
    ]
    differences, pairs = [], 0

    with running(merged(boots)):
        for (walker, listener), port in zip(found, ports, strict=True):
            differences += compared(walker, listener, port, Random(name), EACH // 4)
            pairs += EACH // 4

    assert differences == [], f"{len(differences)} of {pairs} differ"


def served(documents: dict[str, Any]) -> list[tuple[Walker, Listener]]:
    """Return the HTTP listeners of all translations that have routes."""
    found = []
    for document in documents.values():
        try:
            walker = replaced(Walker(ConfigDump.parse(json.dumps(document).encode())))
        except InputError:  # a translation without a listener
            continue
        found += [
            (walker, listener)
            for listener in walker.http_listeners
            if as_config(walker, listener.name)["virtual_hosts"]
            and listener.address.socket_address.protocol != "UDP"
        ]
    return found


def merged(boots: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one bootstrap with the listeners of all."""
    resources = [boot["static_resources"] for boot in boots]
    listeners = [resource["listeners"][0] for resource in resources]
    for number, listener in enumerate(listeners):
        listener["name"] = f"{number} {listener['name']}"
    echo = resources[0]["listeners"][1]
    return {"static_resources": {**resources[0], "listeners": [*listeners, echo]}}


def compared(walker: Walker, listener: Listener, port: int, rnd: Random, count: int) -> list[str]:
    """Return in what walker and replica differ."""
    if listener.address.socket_address.protocol == "UDP":
        return []
    config = as_config(walker, listener.name)
    tls = walker.chains(listener).takes_tls
    differences = []
    for _ in range(count):
        sent = traffic.request(rnd, config, listener.port)
        request = to_request(sent, listener.name)
        request = dataclasses.replace(request, scheme="https" if tls else "http")
        if tls and not ascii_host(request.authority):
            continue
        verdict = walker.walk(request, listener)
        if problem := difference(verdict, ask(request, port)):
            differences.append(f"{listener.name}: {sent}: {problem}")
    return differences


def ascii_host(authority: bytes | None) -> bool:
    """Return whether a client can put the host into TLS."""
    host = (authority or b"").partition(b":")[0].rstrip(b".")
    return bool(host) and all(part.replace(b"-", b"").isalnum() for part in host.split(b"."))


def replaced(walker: Walker) -> Walker:
    """Return the walker as it would judge for the newest Envoy."""
    walker.how = type(walker.how)(runtime=walker.how.runtime)
    return walker
