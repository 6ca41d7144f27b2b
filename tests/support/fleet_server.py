"""The simulated fleet's API over HTTP, so that the command line can be run against it."""

from __future__ import annotations

import json
import threading
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from egops.apply import Api, ConflictError, ObjectName
from egops.errors import AccessError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fleet import Fleet

KINDS = {"selfsubjectaccessreviews": "SelfSubjectAccessReview"}


class FleetServer:
    """Objects and reviews; pods have no ports here, so nothing answers for them."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.fleet = fleet
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                status, said = server.answer(self.command, self.path, body)
                text = json.dumps(said).encode()
                self.send_response_only(status)
                self.send_header("Date", format_datetime(fleet.time(), usegmt=True))
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PATCH = _do  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        address = f"http://127.0.0.1:{self.http.server_address[1]}"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "k", "cluster": {"server": address}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        }
        self.kubeconfig = folder / "config"
        self.kubeconfig.write_text(json.dumps(config), "utf-8")

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    def answer(self, verb: str, target: str, body: Any) -> tuple[int, Any]:
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        api, namespace, name = _parts(parts.path)
        dry_run = "dryRun" in query
        try:
            if verb == "POST":
                return 201, self.fleet.create(api, body, dry_run=dry_run)
            if verb == "PATCH":
                ref = ObjectName(namespace, name)
                return 200, self.fleet.merge(api, ref, body, dry_run=dry_run)
            if not name:
                labels = query.get("labelSelector", [""])[0]
                found = self.fleet.list(api, namespace=namespace, labels=labels)
                return (404, {}) if found is None else (200, {"items": list(found)})
            one = self.fleet.find(api, namespace, name)
        except ConflictError as exc:
            return 409, {"message": exc.message}
        except AccessError as exc:
            return 403, {"message": exc.message}
        return (404, {"message": "not found"}) if one is None else (200, one)


def _parts(path: str) -> tuple[Api, str, str]:
    """Return the API, namespace and name in a path."""
    words = path.strip("/").split("/")
    version = words[1] if words[0] == "api" else "/".join(words[1:3])
    rest = words[2:] if words[0] == "api" else words[3:]
    namespace = ""
    if len(rest) > 1 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    plural, name = (rest[0] if rest else ""), (rest[1] if len(rest) > 1 else "")
    return Api(version, KINDS.get(plural, plural), plural), namespace, name
