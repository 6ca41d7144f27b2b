"""The demo's world: a real Envoy, a backend on loopback, a recorded cluster with planted faults.

The configuration is one that Envoy Gateway 1.3.0 generated. Envoy gets listeners, routes, clusters,
endpoints and secrets from files as it would from Envoy Gateway, so its admin port answers just as
in a cluster. Addresses and ports are this machine's.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import tempfile
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from egops.demo.pki import Pair
from egops.envoy import running

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = files("egops.demo") / "data"
REDACTED = base64.b64encode(b"[redacted]").decode()
PORTS = {10080: "http", 10443: "https"}
CERTIFICATE_DAYS = 5.0  # soon enough for the doctor to say so


@dataclass(frozen=True)
class World:
    """What the demo's commands look at."""

    admin: str  # http://127.0.0.1:PORT
    folder: Path  # of the objects, for -f
    http: int
    https: int


class _Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"served {self.headers.get('host')}{self.path}\n".encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def backend() -> Iterator[int]:
    """Run a backend on loopback that answers every GET; give its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback address that nobody uses now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def world() -> Iterator[World]:
    """Bring the demo's world up; take it down when the block ends."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="egops-demo-")))
        target = stack.enter_context(backend())
        http, https = free_ports(2)
        ports = {10080: http, 10443: https}
        ca = Pair.make("demo CA", days=30)
        leaf = Pair.make("demo", ["*.demo.test"], days=CERTIFICATE_DAYS, issuer=ca)
        xds = _Xds(folder / "xds", ports, target, leaf)
        bootstrap = {
            "node": {"id": "envoy-demo-eg", "cluster": "demo/eg"},
            "dynamic_resources": {"lds_config": xds.source("lds"), "cds_config": xds.source("cds")},
        }
        (folder / "xds").mkdir()
        xds.write()
        envoy = stack.enter_context(running(bootstrap))
        xds.break_listener()
        objects = folder / "cluster"
        objects.mkdir()
        _write_objects(objects, ports, target, ca, leaf)
        yield World(f"http://{envoy.admin}", objects, http, https)


class _Xds:
    """Envoy's resources as files, in the recorded form."""

    def __init__(self, folder: Path, ports: dict[int, int], target: int, leaf: Pair) -> None:
        recorded = orjson.loads((DATA / "envoy.json").read_bytes())
        self.folder = folder
        self.listeners = self._local(recorded["listeners"], ports)
        self.routes = self._local(recorded["routes"], ports)
        self.clusters = recorded["clusters"]
        self.endpoints = recorded["endpoints"]
        self.target = target
        self.leaf = leaf

    def source(self, name: str) -> dict[str, Any]:
        return {"path_config_source": {"path": f"{self.folder}/{name}.json"}}

    def _local(self, value: Any, ports: dict[int, int]) -> Any:
        """Return a recorded value with this machine's ports and sources, and a known password."""
        users = b"demo:{SHA}" + base64.b64encode(hashlib.sha1(b"demo").digest())  # noqa: S324 - htpasswd's
        match value:
            case {"rds": {"route_config_name": name}, **rest}:
                rds = {"route_config_name": name, "config_source": self.source(_file(name))}
                return {"rds": rds, **{k: self._local(v, ports) for k, v in rest.items()}}
            case {"sds_config": _, "name": name}:
                return {"name": name, "sds_config": self.source("sds")}
            case {"port_value": port, **rest} if port in ports:
                return {**rest, "address": "127.0.0.1", "port_value": ports[port]}
            case {"inline_bytes": secret} if secret == REDACTED:
                return {"inline_bytes": base64.b64encode(users).decode()}
            case dict():
                return {key: self._local(entry, ports) for key, entry in value.items()}
            case list():
                return [self._local(entry, ports) for entry in value]
            case _:
                return value

    def _put(self, name: str, version: str, resources: list[Any]) -> None:
        path = self.folder / f"{name}.json"
        part = path.with_suffix(".part")
        part.write_bytes(orjson.dumps({"version_info": version, "resources": resources}))
        part.rename(path)  # Envoy watches for the move

    def write(self) -> None:
        for endpoints in self.endpoints:
            for locality in endpoints["endpoints"]:
                for endpoint in locality["lb_endpoints"]:
                    address = endpoint["endpoint"]["address"]["socket_address"]
                    address.update(address="127.0.0.1", port_value=self.target)
            self._put(_file(endpoints["cluster_name"]), "1", [endpoints])
        for cluster in self.clusters:
            eds = cluster["eds_cluster_config"]
            eds["eds_config"] = self.source(_file(eds["service_name"]))
        self._put("cds", "1", self.clusters)
        for route in self.routes:
            self._put(_file(route["name"]), "1", [with_planted_routes(route)])
        secret = {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": "demo/demo-tls",
            "tls_certificate": {
                "certificate_chain": {
                    "inline_bytes": base64.b64encode(self.leaf.certificate).decode()
                },
                "private_key": {"inline_bytes": base64.b64encode(self.leaf.key).decode()},
            },
        }
        self._put("sds", "1", [secret])
        (self.folder / "sds.json").chmod(0o600)
        self._put("lds", "1", self.listeners)

    def break_listener(self) -> None:
        """Send what the planted EnvoyPatchPolicy makes of the HTTPS listener: Envoy refuses it."""
        listeners = orjson.loads(orjson.dumps(self.listeners))
        for listener in listeners:
            for chain in listener.get("filter_chains", []):
                context = chain["transport_socket"]["typed_config"]["common_tls_context"]
                context["tls_params"]["cipher_suites"] = ["ECDHE-FOO"]
        self._put("lds", "2", listeners)


def with_planted_routes(config: dict[str, Any]) -> dict[str, Any]:
    """Return a route configuration with what Envoy Gateway makes of the planted HTTPRoutes."""
    gateway = config["virtual_hosts"][0]["metadata"]
    shop = {
        "name": f"{config['name']}/shop_demo_test",
        "domains": ["shop.demo.test"],
        "metadata": gateway,
        "routes": [
            {
                "name": "httproute/demo/checkout/rule/0/match/0/shop_demo_test",
                "match": {"path_separated_prefix": "/checkout"},
                "direct_response": {"status": 500},
                "metadata": _owner("checkout"),
            }
        ],
    }
    hosts = []
    for host in config["virtual_hosts"]:
        if host["domains"] == ["www.demo.test"]:
            second = {
                "name": "httproute/demo/plain-v2/rule/0/match/0/www_demo_test",
                "match": {"prefix": "/"},
                "route": {"cluster": "httproute/demo/plain/rule/0"},
                "metadata": _owner("plain-v2"),
            }
            host = {**host, "routes": [*host["routes"], second]}
        hosts.append(host)
    return {**config, "virtual_hosts": [*hosts, shop]}


def _owner(name: str) -> dict[str, Any]:
    resource = {"kind": "HTTPRoute", "namespace": "demo", "name": name}
    return {"filter_metadata": {"envoy-gateway": {"resources": [resource]}}}


def _file(name: str) -> str:
    return name.replace("/", "_")


def _write_objects(folder: Path, ports: dict[int, int], target: int, ca: Pair, leaf: Pair) -> None:
    """Write the recorded objects, as this machine's Envoy would have them, and the faults."""
    recorded = orjson.loads((DATA / "cluster.json").read_bytes())
    for item in recorded["items"]:
        if item["kind"] == "Service":
            for port in item["spec"]["ports"]:
                port["targetPort"] = ports.get(port.get("targetPort"), port.get("targetPort"))
        if item["kind"] == "EndpointSlice" and item["metadata"]["namespace"] == "demo":
            item["endpoints"][0]["addresses"] = ["127.0.0.1"]
            item["ports"][0]["port"] = target
    recorded["items"] += _secrets(ca, leaf)
    (folder / "recorded.json").write_bytes(orjson.dumps(recorded, option=orjson.OPT_INDENT_2))
    (folder / "recorded.json").chmod(0o600)
    (folder / "faults.yaml").write_bytes((DATA / "faults.yaml").read_bytes())


def _secrets(ca: Pair, leaf: Pair) -> list[dict[str, Any]]:
    """Return the Secrets that the recording leaves out, with certificates of today."""
    system = "envoy-gateway-system"
    control = ["envoy-gateway", f"envoy-gateway.{system}", f"envoy-gateway.{system}.svc"]
    control.append(f"envoy-gateway.{system}.svc.cluster.local")
    inside = Pair.make("envoy-gateway", days=1825)
    made = [_secret("demo", "demo-tls", leaf, None)]
    for name, sans in (
        ("envoy-gateway", control),
        ("envoy", [f"*.{system}"]),
        ("envoy-rate-limit", [f"*.{system}"]),
    ):
        pair = Pair.make(name, sans, days=1824, issuer=inside)
        made.append(_secret(system, name, pair, inside))
    hmac = _secret(system, "envoy-oidc-hmac", None, None)
    hmac["data"] = {"hmac-secret": base64.b64encode(ca.key[:32]).decode()}
    return [*made, hmac]


def _secret(namespace: str, name: str, pair: Pair | None, ca: Pair | None) -> dict[str, Any]:
    data = {}
    if pair is not None:
        data = {"tls.crt": pair.certificate, "tls.key": pair.key}
    if ca is not None:
        data["ca.crt"] = ca.certificate
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls" if pair else "Opaque",
        "metadata": {"name": name, "namespace": namespace},
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }
