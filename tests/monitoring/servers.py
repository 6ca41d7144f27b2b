"""Servers of ours that follow documented APIs strictly: Grafana's, and the ruler of Mimir.

They refuse what the documentation says is refused: missing credentials, unknown fields, stale
versions, provisioned boards. No Grafana or Mimir is to be had as a test dependency.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "throw-away"


class RefusalError(Exception):
    def __init__(self, code: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.code = code
        self.body = {"message": message, **more}


@dataclass
class Grafana:
    """Folders, boards, data sources and provisioned rules of one organisation."""

    folders: dict[str, str] = field(default_factory=dict)
    boards: dict[str, dict[str, Any]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    provisioned: set[str] = field(default_factory=set)
    datasources: list[dict[str, Any]] = field(default_factory=list)
    groups: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)

    def answer(self, verb: str, path: str, query: dict[str, list[str]], body: Any) -> Any:
        if verb != "GET":
            self.writes.append(f"{verb} {path}")
        for pattern, handler in self._routes():
            found = re.fullmatch(pattern, f"{verb} {path}")
            if found:
                return handler(*map(unquote, found.groups()), query=query, body=body)
        raise RefusalError(404, "Not found")

    def _routes(self) -> Iterator[tuple[str, Any]]:
        yield r"GET /api/folders", self._folders
        yield r"POST /api/folders", self._make_folder
        yield r"GET /api/folders/([^/]+)", self._folder
        yield r"DELETE /api/folders/([^/]+)", self._drop_folder
        yield r"GET /api/search", self._search
        yield r"POST /api/dashboards/db", self._save
        yield r"GET /api/dashboards/uid/([^/]+)", self._board
        yield r"DELETE /api/dashboards/uid/([^/]+)", self._drop_board
        yield r"GET /api/datasources", self._sources
        yield r"GET /api/v1/provisioning/alert-rules", self._rules
        yield r"DELETE /api/v1/provisioning/alert-rules/([^/]+)", self._drop_rule
        yield r"GET /api/v1/provisioning/folder/([^/]+)/rule-groups/([^/]+)", self._group
        yield r"PUT /api/v1/provisioning/folder/([^/]+)/rule-groups/([^/]+)", self._put_group

    def _folders(self, **_: Any) -> Any:
        return [{"uid": uid, "title": title} for uid, title in self.folders.items()]

    def _make_folder(self, *, body: Any, **_: Any) -> Any:
        if set(body) - {"uid", "title", "parentUid"} or not body.get("title"):
            raise RefusalError(400, "bad request data")
        if body["uid"] in self.folders or body["title"] in self.folders.values():
            raise RefusalError(409, "a folder with the same name already exists")
        self.folders[body["uid"]] = body["title"]
        return {"uid": body["uid"], "title": body["title"]}

    def _folder(self, uid: str, **_: Any) -> Any:
        if uid not in self.folders:
            raise RefusalError(404, "folder not found")
        return {"uid": uid, "title": self.folders[uid]}

    def _drop_folder(self, uid: str, **_: Any) -> Any:
        self._folder(uid)
        del self.folders[uid]
        for board in [name for name, place in self.places.items() if place == uid]:
            del self.boards[board], self.places[board]
        return {}

    def _search(self, *, query: dict[str, list[str]], **_: Any) -> Any:
        tag = query.get("tag", [None])[0]
        places = query.get("folderUIDs")
        return [
            {"uid": uid, "title": board["title"], "tags": board.get("tags", []), "type": "dash-db"}
            for uid, board in self.boards.items()
            if (tag is None or tag in board.get("tags", []))
            and (places is None or self.places[uid] in places)
        ]

    def _save(self, *, body: Any, **_: Any) -> Any:
        if set(body) - {"dashboard", "folderUid", "message", "overwrite", "folderId"}:
            raise RefusalError(400, "bad request data")
        board = body["dashboard"]
        uid, folder = board.get("uid") or "", body.get("folderUid", "")
        if not board.get("title") or len(uid) > 40:
            raise RefusalError(400, "bad title, or uid of more than 40 characters")
        if folder and folder not in self.folders:
            raise RefusalError(400, "folder not found")
        if uid in self.provisioned:
            raise RefusalError(400, "Cannot save provisioned dashboard")
        live = self.boards.get(uid)
        if live is None and board.get("id"):
            raise RefusalError(404, "Dashboard not found", status="not-found")
        if live is not None and not body.get("overwrite"):
            if board.get("id") != live["id"]:
                raise RefusalError(
                    412, "A dashboard with the same uid exists", status="name-exists"
                )
            if board.get("version") != live["version"]:
                raise RefusalError(412, "The dashboard has been changed", status="version-mismatch")
        self._check_title(board["title"], uid, folder)
        version = live["version"] + 1 if live else 1
        number = live["id"] if live else len(self.boards) + 1
        self.boards[uid] = board | {"id": number, "version": version}
        self.places[uid] = folder
        return {"uid": uid, "version": version, "status": "success"}

    def _check_title(self, title: str, uid: str, folder: str) -> None:
        for name, other in self.boards.items():
            if other["title"] == title and self.places[name] == folder and name != uid:
                raise RefusalError(412, "A dashboard with this name exists", status="name-exists")

    def _board(self, uid: str, **_: Any) -> Any:
        if uid not in self.boards:
            raise RefusalError(404, "Dashboard not found")
        place = self.places[uid]
        meta: dict[str, Any] = {
            "folderUid": place,
            "folderTitle": self.folders.get(place, "General"),
        }
        if uid in self.provisioned:
            meta |= {"provisioned": True, "provisionedExternalId": f"{uid}.json"}
        return {"dashboard": self.boards[uid], "meta": meta}

    def _drop_board(self, uid: str, **_: Any) -> Any:
        self._board(uid)
        del self.boards[uid], self.places[uid]
        return {"title": uid}

    def _sources(self, **_: Any) -> Any:
        return self.datasources

    def _rules(self, **_: Any) -> Any:
        return [rule for group in self.groups.values() for rule in group["rules"]]

    def _drop_rule(self, uid: str, **_: Any) -> Any:
        for key, group in list(self.groups.items()):
            group["rules"] = [rule for rule in group["rules"] if rule["uid"] != uid]
            if not group["rules"]:
                del self.groups[key]
        return None

    def _group(self, folder: str, name: str, **_: Any) -> Any:
        if (folder, name) not in self.groups:
            raise RefusalError(404, "rule group not found")
        return self.groups[folder, name]

    def _put_group(self, folder: str, name: str, *, body: Any, **_: Any) -> Any:
        if folder not in self.folders:
            raise RefusalError(400, "folder does not exist")
        if body.get("title") != name or body.get("folderUid") != folder:
            raise RefusalError(400, "group does not fit the path")
        if not isinstance(body.get("interval"), int) or body["interval"] % 10:
            raise RefusalError(400, "interval must be a multiple of 10 seconds")
        for rule in body["rules"]:
            self._check_rule(rule)
        added = {"id": 7, "updated": "2026-01-01T00:00:00Z", "provenance": "api", "isPaused": False}
        kept = [rule | added for rule in body["rules"]]
        self.groups[folder, name] = body | {"rules": kept}
        return body

    def _check_rule(self, rule: dict[str, Any]) -> None:
        needed = {"uid", "title", "ruleGroup", "folderUID", "condition", "data", "for"}
        if needed - set(rule):
            raise RefusalError(400, f"missing {sorted(needed - set(rule))}")
        references = {query["refId"] for query in rule["data"]}
        known = {source["uid"] for source in self.datasources} | {"__expr__"}
        if rule["condition"] not in references:
            raise RefusalError(400, "condition is not a query")
        if {query["datasourceUid"] for query in rule["data"]} - known:
            raise RefusalError(400, "data source not found")
        if rule["noDataState"] not in {"OK", "NoData", "Alerting"} or len(rule["uid"]) > 40:
            raise RefusalError(400, "bad rule")


@dataclass
class Ruler:
    """The rules of tenants, by namespace and group."""

    tenants: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    prefix: str = "/prometheus"
    writes: list[str] = field(default_factory=list)

    def answer(self, verb: str, path: str, tenant: str, text: str) -> tuple[int, str]:
        found = re.fullmatch(rf"{self.prefix}/config/v1/rules/([^/]+)(?:/([^/]+))?", path)
        if found is None:
            return 404, "404 page not found"
        if not tenant:
            return 401, "no org id"
        if verb != "GET":
            self.writes.append(f"{verb} {path}")
        groups = self.tenants.setdefault(tenant, {})
        name = unquote(found[2] or "")
        match verb:
            case "GET":
                if not groups:
                    return 404, "no rule groups found"
                return 200, yaml.safe_dump({unquote(found[1]): list(groups.values())})
            case "POST":
                group = yaml.safe_load(text)
                if set(group) - {"name", "interval", "rules"} or not group.get("rules"):
                    return 400, "invalid rules config"
                groups[group["name"]] = group
                return 202, '{"status":"success"}'
            case "DELETE":
                return (202, "") if groups.pop(name, None) else (404, "group does not exist")
            case _:
                pass
        return 405, ""


class Web:
    """Serves a Grafana and a ruler on loopback; `wrong` makes every answer a fixed one."""

    def __init__(
        self, grafana: Grafana, ruler: Ruler, tls: tuple[Path, Path] | None = None
    ) -> None:
        self.grafana, self.ruler = grafana, ruler
        self.scheme = "https" if tls else "http"
        self.wrong: tuple[int, str] | None = None
        web = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                text = self.rfile.read(length).decode()
                status, said = web.answer(self.command, self.path, dict(self.headers), text)
                body = said.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                self._do()

            def do_POST(self) -> None:
                self._do()

            def do_PUT(self) -> None:
                self._do()

            def do_DELETE(self) -> None:
                self._do()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, verb: str, target: str, headers: dict[str, str], text: str) -> tuple[int, str]:
        if self.wrong is not None:
            return self.wrong
        parts = urlsplit(target)
        if not parts.path.startswith("/api/"):
            return self.ruler.answer(verb, parts.path, headers.get("X-Scope-OrgID", ""), text)
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, json.dumps({"message": "Invalid API key"})
        try:
            body = json.loads(text) if text else None
            said = self.grafana.answer(verb, parts.path, parse_qs(parts.query), body)
        except RefusalError as refusal:
            return refusal.code, json.dumps(refusal.body)
        return 200, json.dumps(said)
