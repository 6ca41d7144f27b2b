"""Run a real Envoy with generated tables, ask both sides the same requests, list what differs."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from dataclasses import dataclass, field
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Any

from egops.envoy import Envoy, running
from egops.errors import EgopsError
from egops.xds.config_dump import ConfigDump, plain
from egops.xds.match_request import Request, decode, encode
from egops.xds.walk import Verdict, Walker
from egops.xds.walk_action import upstream_host, upstream_path
from tests.envoy import tables, traffic, unusual
from tests.envoy.binary import ask as binary_ask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.envoy.traffic import Answer, Sent

_ECHOES = itertools.count()
API = tables.API
ROUTER = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": API + "extensions.filters.http.router.v3.Router"},
}
ALWAYS = {
    "status_code_filter": {
        "comparison": {"op": "GE", "value": {"default_value": 0, "runtime_key": "none"}}
    }
}
DETAILS = {
    "mappers": [
        {
            "filter": ALWAYS,
            "headers_to_add": [
                {"header": {"key": "x-details", "value": "%RESPONSE_CODE_DETAILS%"}}
            ],
        }
    ]
}


def manager(route_config: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Return an HTTP connection manager as a network filter."""
    kind = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": API + kind,
            "stat_prefix": "test",
            "route_config": route_config,
            "http_filters": [ROUTER],
            "local_reply_config": DETAILS,
            **settings,
        },
    }


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, of a range that no other test process takes from."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 12_000 + 2_000 * (worker % 10)
    found: list[int] = []
    for port in SystemRandom().sample(range(first, first + 2_000), 2_000):
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError(f"no {count} free ports from {first} on")


def listener(
    name: str, route_config: dict[str, Any], settings: dict[str, Any], port: int = 0
) -> dict[str, Any]:
    """Return a listener on a loopback port."""
    return {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "enable_reuse_port": False,  # or two Envoys that chose one port would share its requests
        "filter_chains": [{"filters": [manager(route_config, settings)]}],
    }


def bootstrap(listeners: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a bootstrap: these listeners, a backend that tells what it got, an empty cluster."""
    pipe = {"pipe": {"path": f"@egops-echo-{os.getpid()}-{next(_ECHOES)}"}}
    got = [
        {"header": {"key": "x-echo-path", "value": "%REQ(:PATH)%"}},
        {"header": {"key": "x-echo-host", "value": "%REQ(:AUTHORITY)%"}},
    ]
    table = {
        "name": "echo",
        "virtual_hosts": [
            {
                "name": "echo",
                "domains": ["*"],
                "response_headers_to_add": got,
                "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
            }
        ],
    }
    echo = {**listener("echo", table, {}), "address": pipe}
    endpoint = {"lb_endpoints": [{"endpoint": {"address": pipe}}]}
    return {
        "static_resources": {
            "listeners": [*listeners, echo],
            "clusters": [
                {
                    "name": "echo",
                    "load_assignment": {"cluster_name": "echo", "endpoints": [endpoint]},
                },
                {"name": "empty", "load_assignment": {"cluster_name": "empty"}},
            ],
        }
    }


@dataclass
class Tally:
    """What a run found."""

    pairs: int = 0
    tables: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)


def to_request(sent: Sent, name: str, protocol: str = "") -> Request:
    """Return what goes over the wire as the matcher's request."""
    return Request(
        method=encode(sent.method),
        target=encode(sent.target),
        authority=None if sent.authority is None else encode(sent.authority),
        headers=tuple((encode(key), encode(value)) for key, value in sent.headers),
        listener=name,
        scheme="http",
        source="127.0.0.1",
        protocol=protocol or sent.version.lower(),
    )


@contextlib.contextmanager
def serving(
    made: dict[str, tuple[dict[str, Any], dict[str, Any]]], envoy: Path | None
) -> Iterator[tuple[Envoy, dict[str, int]]]:
    """Run Envoy with the tables; again with other ports if somebody took one meanwhile."""
    for last in (False, False, True):
        ports = dict(zip(made, free_ports(len(made)), strict=True))
        listeners = [listener(name, *parts, ports[name]) for name, parts in made.items()]
        with contextlib.ExitStack() as stack:
            try:
                server = stack.enter_context(running(bootstrap(listeners), envoy=envoy))
            except EgopsError as exc:
                if last or "Address already in use" not in exc.message:
                    raise
                continue
            yield server, ports
            return


def run(
    seed: int,
    count: int,
    each: int,
    *,
    envoy: Path | None = None,
    cookies: bool = True,
    binary: bool = False,
    odd: bool = False,
) -> Tally:
    """Compare `each` requests on each of `count` tables made from `seed`; `binary` is HTTP/2."""
    rnd = Random(seed)
    made = {f"t{index}": _made(rnd, cookies=cookies, odd=odd) for index in range(count)}
    ask_for = unusual.request if odd else traffic.request
    tally = Tally(tables=count)
    with serving(made, envoy) as (server, ports):
        walker = Walker(ConfigDump.parse(server.config_dump()))
        by_name = {entry.name: entry for entry in walker.listeners}
        for name, (config, _) in made.items():
            client = traffic.Client(ports[name])
            for _ in range(each):
                sent = ask_for(rnd, config, ports[name])
                if binary and sent.method == "CONNECT":
                    continue  # Envoy sends GOAWAY before its 403, and h2 then reads no further
                if binary:
                    answer = binary_ask(ports[name], sent)
                    verdict = walker.walk(to_request(sent, name, "h2"), by_name[name])
                else:
                    answer = client.ask(sent)
                    verdict = walker.walk(to_request(sent, name), by_name[name])
                tally.pairs += 1
                tally.outcomes[verdict.outcome] = tally.outcomes.get(verdict.outcome, 0) + 1
                if problem := difference(verdict, answer):
                    tally.differences.append(f"seed {seed} {name}: {sent} -> {problem}; {answer}")
            client.close()
    return tally


def _made(rnd: Random, *, cookies: bool, odd: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    if odd:
        return unusual.route_config(rnd), unusual.settings(rnd)
    return tables.route_config(rnd, cookies=cookies), tables.settings(rnd)


def difference(verdict: Verdict, answer: Answer) -> str:  # noqa: PLR0911 - one for each outcome
    """Return in what a verdict and Envoy's answer differ, or nothing."""
    if answer.headers.get("x-echo-path") is not None:
        return _forwarded(verdict, answer)
    took = answer.headers.get("x-route")
    if verdict.outcome == "unknown":
        names = {route.route.name for route in (*verdict.maybe, verdict.route) if route}
        return "" if took is None or took in names else f"unknown, of {sorted(names)}"
    if verdict.status is None and verdict.outcome == "rejected":
        return "" if answer.status == 0 else f"reset {verdict.refusal}"
    if verdict.status is not None and verdict.status != answer.status:
        return f"status {verdict.status} ({verdict.outcome}, {verdict.refusal})"
    details = answer.headers.get("x-details", "")
    if verdict.outcome == "no_route" and details != "route_not_found":
        return "no_route"
    if verdict.outcome == "rejected":
        wanted = verdict.refusal.reason.partition(":")[0] if verdict.refusal else ""
        codec = wanted.startswith("http1.") and details.startswith("http1.")
        return "" if codec or wanted == details.partition("{")[0] else f"rejected {wanted}"
    if verdict.outcome == "redirect" and verdict.location != answer.headers.get("location"):
        return f"location {verdict.location}"
    expected = verdict.route.route.name if verdict.route else None
    if expected is not None and verdict.outcome != "route" and took != expected:
        return f"route {expected}"
    if verdict.outcome == "route" and took != expected and details != "no_healthy_upstream":
        return "" if verdict.status is not None else f"route {expected}"
    return ""


def _forwarded(verdict: Verdict, answer: Answer) -> str:
    if verdict.outcome == "unknown":
        return ""
    if verdict.outcome != "route" or verdict.route is None or verdict.seen is None:
        return f"{verdict.outcome} {verdict.refusal}"
    if answer.headers.get("x-route") != verdict.route.route.name:
        return f"route {verdict.route.route.name}"
    action = plain(verdict.route.route.route)
    path = decode(upstream_path(verdict.route, action, verdict.seen))
    if path != answer.headers["x-echo-path"]:
        return f"upstream path {path}"
    host = upstream_host(action, verdict.seen)
    if host is not None and decode(host) != answer.headers.get("x-echo-host", ""):
        return f"upstream host {decode(host)}"
    return ""
