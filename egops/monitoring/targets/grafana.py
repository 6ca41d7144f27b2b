"""Boards through Grafana's HTTP API: a folder of ours, stable uids, no-op when equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from egops.errors import UnreachableError
from egops.monitoring.targets import FOLDER, FOLDER_UID, digest, normalized, pretty
from egops.plan import Action, Change, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.monitoring.targets import Content, What
    from egops.monitoring.web import Server

Board = dict[str, Any]
MARK = "egops:"  # a tag with this prefix carries the hash of what egops wrote


@dataclass(frozen=True)
class Grafana:
    """One Grafana; boards go into one folder, found by its uid."""

    server: Server
    folder_uid: str = FOLDER_UID
    folder: str = FOLDER

    def plan(self, content: Content, *, overwrite: bool) -> Plan:
        """Return what would be written. A board that is provisioned or edited is refused."""
        folder = self._folder_change()
        if folder.action is Action.REFUSE:
            return Plan(self._where, (folder,))
        wanted = {str(board["uid"]): marked(board) for board in content.boards.values()}
        changes = [self._change(board, overwrite=overwrite) for board in wanted.values()]
        if not content.partial:
            changes += [gone for gone in self._ours() if gone.key not in wanted]
        return Plan(self._where, (folder, *changes))

    def removal(self, what: What) -> Plan:  # noqa: ARG002 - only boards are here
        """Return which boards of ours would be removed, and the folder if nothing else is in it."""
        boards = self._ours()
        changes: list[Change] = list(boards)
        others = self._found(folder=True)
        empty = {one["uid"] for one in others} <= {change.key for change in boards}
        if empty and self.server.thing(self._folder_path, "uid") is not None:
            changes.append(Change(Action.DELETE, f"folder {self.folder}", key="/folder"))
        return Plan(self._where, tuple(changes))

    def carry_out(self, plan: Plan, *, overwrite: bool, dry_run: bool) -> Iterator[Change]:
        """Write and remove; yield each change when it is done."""
        for change in plan.pending:
            if not dry_run:
                self._do(change, overwrite=overwrite)
            yield change

    @property
    def _where(self) -> str:
        return f"Grafana {self.server.access.shown}, folder {self.folder}"

    def _do(self, change: Change, *, overwrite: bool) -> None:
        if change.key == "/folder" and change.action is Action.DELETE:
            self.server.json("DELETE", f"/api/folders/{self.folder_uid}", accept=(404,))
        elif change.key == "/folder":
            body = {"uid": self.folder_uid, "title": self.folder}
            self.server.json("POST", "/api/folders", body=body)
        elif change.action is Action.DELETE:
            self.server.json("DELETE", f"/api/dashboards/uid/{quote(change.key)}", accept=(404,))
        else:
            self._save(change.payload, overwrite=overwrite)

    def _save(self, board: Board, *, overwrite: bool) -> None:
        body = {
            "dashboard": board,
            # left out, Grafana would move the board to the root
            "folderUid": self.folder_uid,
            "message": "written by egops",
            "overwrite": overwrite,
        }
        status, answer = self.server.json(
            "POST", "/api/dashboards/db", body=body, accept=(400, 409, 412)
        )
        if status >= 400:
            reason = (answer or {}).get("message") or (answer or {}).get("status") or status
            raise UnreachableError(
                f"Grafana refused the board {board['title']}: {reason}",
                hint="somebody changed it meanwhile: see `egops dashboards diff`",
            )

    @property
    def _folder_path(self) -> str:
        return f"/api/folders/{quote(self.folder_uid)}"

    def _folder_change(self) -> Change:
        what = f"folder {self.folder}"
        if self.server.thing(self._folder_path, "uid") is not None:
            return Change(Action.NONE, what, key="/folder")
        for folder in self.server.things("/api/folders?limit=1000"):
            if folder.get("title") == self.folder:
                reason = f"another folder has this title: --folder-uid {folder.get('uid')} uses it"
                return Change(Action.REFUSE, what, reason, key="/folder")
        return Change(Action.CREATE, what, key="/folder")

    def _change(self, wanted: Board, *, overwrite: bool) -> Change:
        what = f"board {wanted['uid']}"
        path = f"/api/dashboards/uid/{quote(str(wanted['uid']))}"
        answer = self.server.thing(path, "dashboard")
        after = pretty(normalized(wanted))
        if answer is None:
            return Change(Action.CREATE, what, after=after, key=wanted["uid"], payload=wanted)
        live, meta = answer["dashboard"], answer.get("meta") or {}
        before = pretty(normalized(live))
        moved = meta.get("folderUid", self.folder_uid) != self.folder_uid
        if before == after and not moved:
            return Change(Action.NONE, what, before=before, after=after, key=wanted["uid"])
        reason, final = _objection(live, meta)
        if reason and (final or not overwrite):
            return Change(Action.REFUSE, what, reason, before, after, wanted["uid"])
        if moved:
            reason = f"it is in the folder {meta.get('folderTitle') or meta.get('folderUid')!r}"
        sent = wanted | {"id": live.get("id"), "version": live.get("version")}
        return Change(Action.UPDATE, what, reason, before, after, wanted["uid"], sent)

    def _ours(self) -> list[Change]:
        return [
            Change(Action.DELETE, f"board {one['uid']}", key=one["uid"])
            for one in self._found(folder=False)
            if any(str(tag).startswith(MARK) for tag in one.get("tags") or [])
        ]

    def _found(self, *, folder: bool) -> list[dict[str, Any]]:
        """Return boards from Grafana's search: those with our tag, or all in our folder."""
        query = f"folderUIDs={quote(self.folder_uid)}" if folder else "tag=egops"
        path = f"/api/search?type=dash-db&limit=5000&{query}"
        return [one for one in self.server.things(path, accept=(404,)) if one.get("uid")]


def marked(board: Mapping[str, Any]) -> Board:
    """Return a board with a tag that carries the hash of the board without it."""
    plain = unmarked(board)
    return plain | {"tags": [*plain.get("tags", []), f"{MARK}{digest(normalized(plain))}"]}


def unmarked(board: Mapping[str, Any]) -> Board:
    """Return a board without our hash tag."""
    tags = [tag for tag in board.get("tags") or [] if not str(tag).startswith(MARK)]
    return dict(board) | {"tags": tags}


def _objection(live: Board, meta: Mapping[str, Any]) -> tuple[str, bool]:
    """Return why a live board is not replaced, and whether not even `--overwrite` may do it."""
    if meta.get("provisioned"):
        source = meta.get("provisionedExternalId") or "a file"
        return f"it is provisioned from {source}: change it there", True
    marks = [tag for tag in live.get("tags") or [] if str(tag).startswith(MARK)]
    if not marks:
        return "it exists and was not made by egops", False
    if marks[0] != f"{MARK}{digest(normalized(unmarked(live)))}":
        return "somebody edited it since egops wrote it", False
    return "", False
