"""Boards and rules as files in a folder, for a Prometheus or Grafana that reads files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.errors import AccessError, InputError
from egops.monitoring.targets import pretty
from egops.plan import Action, Change, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from egops.monitoring.targets import Content, What

RULES = "egops-rules.yaml"
PREFIX = "egops-"


class Files:
    """A folder. Only files that are named like ours are ever replaced or removed."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; it is made when something is written."""
        self.folder = folder
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is not a folder")

    def plan(self, content: Content, *, overwrite: bool) -> Plan:  # noqa: ARG002 - files are ours
        """Return which files would be written, and which of ours are left over."""
        wanted = _texts(content)
        changes = [self._change(name, text) for name, text in wanted.items()]
        over = [path for path in self._ours(content.what) if path.name not in wanted]
        changes += [] if content.partial else [self._gone(path) for path in over]
        return Plan(str(self.folder), tuple(changes), _advice(content.what, self.folder))

    def removal(self, what: What) -> Plan:
        """Return which files would be removed."""
        return Plan(str(self.folder), tuple(self._gone(path) for path in self._ours(what)))

    def carry_out(self, plan: Plan, *, overwrite: bool, dry_run: bool) -> Iterator[Change]:  # noqa: ARG002
        """Write and remove files; yield each change when it is done."""
        for change in plan.pending:
            path = self.folder / change.key
            try:
                if not dry_run and change.action is Action.DELETE:
                    path.unlink(missing_ok=True)
                elif not dry_run:
                    self.folder.mkdir(parents=True, exist_ok=True)
                    beside = path.with_suffix(".tmp")
                    beside.write_text(change.after, "utf-8")
                    beside.replace(path)
            except OSError as exc:
                raise AccessError(f"cannot write {path}: {exc.strerror}") from None
            yield change

    def _change(self, name: str, text: str) -> Change:
        path = self.folder / name
        try:
            before = path.read_text("utf-8") if path.exists() else None
        except (OSError, UnicodeDecodeError) as exc:
            raise AccessError(f"cannot read {path}: {exc}") from None
        action = Action.CREATE if before is None else Action.UPDATE
        if before == text:
            action = Action.NONE
        return Change(action, f"file {path}", before=before or "", after=text, key=name)

    def _ours(self, what: What) -> list[Path]:
        if not self.folder.is_dir():
            return []
        if what == "alerts":
            return [path for path in [self.folder / RULES] if path.exists()]
        return sorted(self.folder.glob(f"{PREFIX}*.json"))

    def _gone(self, path: Path) -> Change:
        return Change(
            Action.DELETE, f"file {path}", before=path.read_text("utf-8", "replace"), key=path.name
        )


def _texts(content: Content) -> dict[str, str]:
    if content.what == "dashboards":
        return {
            f"{PREFIX}{name}.json": pretty(board) + "\n" for name, board in content.boards.items()
        }
    from egops.monitoring.rulefile import rule_file  # noqa: PLC0415 - YAML only for alerts

    return {RULES: rule_file(list(content.groups), comment="Written by egops alerts install.")}


def _advice(what: What, folder: Path) -> tuple[str, ...]:
    if what == "alerts":
        return (
            f"Prometheus: name {folder / RULES} under rule_files, then send it SIGHUP or "
            "POST /-/reload.",
        )
    return ("Grafana: import each file by hand, or let a file provider read the folder.",)
