"""A Kubernetes API server of a few lines: discovery, lists in pages, and any misbehaviour."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import yaml

from egops.gather import SourceOptions
from egops.snapshot import Kind

Handler = Callable[["Request"], None]


@dataclass
class Request:
    """One request, and the means to answer it."""

    path: str
    all: dict[str, list[str]]
    headers: Any
    http: BaseHTTPRequestHandler = field(repr=False)

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in self.all.items()}

    def send(
        self, status: int, body: bytes, content: str = "application/json", **headers: str
    ) -> None:
        self.http.send_response(status)
        self.http.send_header("content-type", content)
        self.http.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.http.send_header(name.replace("_", "-"), value)
        self.http.end_headers()
        with contextlib.suppress(OSError):
            self.http.wfile.write(body)

    def json(self, value: Any, status: int = 200, **headers: str) -> None:
        self.send(status, orjson.dumps(value), **headers)

    def status(self, code: int, message: str = "", **headers: str) -> None:
        self.json(
            {"kind": "Status", "status": "Failure", "message": message, "code": code},
            code,
            **headers,
        )

    def drip(self, seconds: float) -> None:
        """Answer a byte at a time, for so long."""
        self.http.send_response(200)
        self.http.send_header("content-length", "100000")
        self.http.end_headers()
        end = time.monotonic() + seconds
        with contextlib.suppress(OSError):
            while time.monotonic() < end:
                self.http.wfile.write(b" ")
                self.http.wfile.flush()
                time.sleep(0.05)
        self.http.close_connection = True


@dataclass
class ApiServer:
    """What is served: objects by kind, and handlers for paths that answer otherwise."""

    url: str = ""
    objects: dict[Kind, list[dict[str, Any]]] = field(default_factory=dict)
    handlers: dict[str, Handler] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    aggregated: bool = True

    def kubeconfig(self, folder: Path, **user: Any) -> str:
        """Write a kubeconfig that leads here, and return its path."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": user or {"token": "t0"}}],
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
        }
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return str(path)

    def source(self, folder: Path, **options: Any) -> SourceOptions:
        """Return options that lead here."""
        options.setdefault("request_timeout", 5.0)
        return SourceOptions(kubeconfig=self.kubeconfig(folder), **options)

    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def handle(self, request: Request) -> None:
        self.requests.append(request)
        handler = self.handlers.get(request.path)
        if handler is not None:
            handler(request)
        elif request.path == "/apis":
            self._discovery(request)
        elif request.path == "/version":
            request.json({"major": "1", "minor": "32", "gitVersion": "v1.32.0"})
        else:
            self._list(request)

    def _discovery(self, request: Request) -> None:
        groups: dict[str, list[Any]] = {}
        for kind in self.objects:
            version = {"version": kind.versions[0], "resources": [{"resource": kind.plural}]}
            groups.setdefault(kind.group, []).append(version)
        if not self.aggregated:
            request.json(
                {"kind": "APIGroupList", "groups": [{"name": name} for name in groups if name]}
            )
            return
        entries = [
            {"metadata": {"name": name}, "versions": versions}
            for name, versions in groups.items()
            if name
        ]
        request.json({"kind": "APIGroupDiscoveryList", "items": entries})

    def _list(self, request: Request) -> None:
        for kind, objects in self.objects.items():
            root = f"/apis/{kind.group}/{kind.versions[0]}" if kind.group else "/api/v1"
            plain = f"{root}/{kind.plural}"
            namespace = request.path.removeprefix(f"{root}/namespaces/").removesuffix(
                f"/{kind.plural}"
            )
            if request.path == plain:
                self.page(request, kind, objects)
                return
            if request.path == f"{root}/namespaces/{namespace}/{kind.plural}":
                here = [each for each in objects if each["metadata"].get("namespace") == namespace]
                self.page(request, kind, here)
                return
        request.send(404, b"404 page not found\n", "text/plain")

    def page(self, request: Request, kind: Kind, objects: list[dict[str, Any]]) -> None:
        objects = [each for each in objects if _selected(each, request.query)]
        start = int(request.query.get("continue", "0"))
        limit = int(request.query.get("limit", "0")) or len(objects)
        rest = len(objects) - start - limit
        metadata = {"resourceVersion": "7"} | ({"continue": str(start + limit)} if rest > 0 else {})
        request.json(
            {
                "kind": f"{kind.name}List",
                "apiVersion": kind.api_version,
                "metadata": metadata,
                "items": objects[start : start + limit],
            }
        )


def _selected(item: dict[str, Any], query: dict[str, str]) -> bool:
    for part in filter(None, query.get("labelSelector", "").split(",")):
        name, _, value = part.partition("=")
        if item["metadata"].get("labels", {}).get(name) != value:
            return False
    for part in filter(None, query.get("fieldSelector", "").split(",")):
        name, _, value = part.partition("=")
        found: Any = item
        for key in name.removesuffix("!").split("."):
            found = found.get(key, "")
        if (found == value) == name.endswith("!"):
            return False
    return True


@contextlib.contextmanager
def serving(handle: Callable[[Request], None]) -> Iterator[str]:
    """Serve HTTP on a free loopback port, and yield the URL."""

    class Server(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = parse_qs(parts.query, keep_blank_values=True)
            with contextlib.suppress(OSError):
                handle(Request(parts.path, query, self.headers, self))

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def api_server(**options: Any) -> Iterator[ApiServer]:
    """Serve a Kubernetes API."""
    server = ApiServer(**options)
    with serving(server.handle) as url:
        server.url = url
        yield server


def named(name: str, namespace: str = "", **rest: Any) -> dict[str, Any]:
    """Return an object with this name."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"metadata": metadata | rest.pop("metadata", {}), **rest}
