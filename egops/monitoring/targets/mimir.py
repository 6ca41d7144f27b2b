"""Rules through the ruler API of Mimir and Cortex, one group at a time, in a namespace of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import yaml  # noqa: TID253 - the API speaks YAML, and the module is imported where it is used

from egops.errors import UnreachableError
from egops.monitoring.rulefile import to_yaml
from egops.plan import Action, Change, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.monitoring.targets import Content, What
    from egops.monitoring.web import Server

NAMESPACE = "egops"


@dataclass(frozen=True)
class Mimir:
    """One tenant of a ruler; `prefix` is the path of its Prometheus API."""

    server: Server
    prefix: str = "/prometheus"
    namespace: str = NAMESPACE

    def plan(self, content: Content, *, overwrite: bool) -> Plan:  # noqa: ARG002 - the namespace is ours
        """Return which groups would be written and which of ours removed."""
        live = self._groups()
        wanted = {group["name"]: group for group in content.groups}
        changes = [self._change(group, live.get(name)) for name, group in wanted.items()]
        if not content.partial:
            changes += [self._gone(name, live[name]) for name in live if name not in wanted]
        return Plan(self._where, tuple(changes))

    def removal(self, what: What) -> Plan:  # noqa: ARG002 - only rules are here
        """Return which groups would be removed: all of our namespace."""
        changes = tuple(self._gone(name, group) for name, group in self._groups().items())
        return Plan(self._where, changes)

    def carry_out(self, plan: Plan, *, overwrite: bool, dry_run: bool) -> Iterator[Change]:  # noqa: ARG002
        """Post and delete groups; yield each change when it is done."""
        for change in plan.pending:
            if not dry_run and change.action is Action.DELETE:
                self.server.call("DELETE", f"{self._path}/{quote(change.key)}", accept=(404,))
            elif not dry_run:
                self.server.call("POST", self._path, text=change.after)
            yield change

    @property
    def _where(self) -> str:
        return f"ruler {self.server.access.shown}{self.prefix}, namespace {self.namespace}"

    @property
    def _path(self) -> str:
        return f"{self.prefix}/config/v1/rules/{quote(self.namespace)}"

    def _groups(self) -> dict[str, dict[str, Any]]:
        """Return the live groups of our namespace by name."""
        status, body = self.server.call("GET", self._path, accept=(404,))
        if status == 404:
            # a ruler without rules says 404 too; one that is not there says it in other words
            if b"<html" in body.lower() or b"page not found" in body.lower():
                raise UnreachableError(
                    f"{self.server.access.shown} has no ruler API under {self.prefix}",
                    hint="the path is set by --ruler-prefix, such as /prometheus or /api/prom",
                )
            return {}
        try:
            found = yaml.safe_load(body) or {self.namespace: []}
            (groups,) = found.values()  # what is asked for is one namespace
            return {group["name"]: group for group in groups}
        except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
            shown = self.server.access.shown
            raise UnreachableError(
                f"{shown} does not answer as a ruler: not rules",
                hint="is it the address of Mimir itself, not of a Prometheus or a login page?",
            ) from None

    def _change(self, group: dict[str, Any], live: dict[str, Any] | None) -> Change:
        after, before = to_yaml(group), to_yaml(_ordered(live, group)) if live else ""
        action = Action.CREATE if live is None else Action.UPDATE
        if live is not None and _same(live, group):
            action, before = Action.NONE, after
        return Change(action, f"group {group['name']}", "", before, after, group["name"])

    def _gone(self, name: str, group: dict[str, Any]) -> Change:
        return Change(Action.DELETE, f"group {name}", before=to_yaml(group), key=name)


def _same(live: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Return whether two groups mean the same; empty fields and spaces of PromQL do not count."""
    return bool(_plain(live) == _plain(wanted))


def _plain(thing: Any) -> Any:
    if isinstance(thing, dict):
        kept = {key: _plain(value) for key, value in thing.items()}
        return {key: value for key, value in kept.items() if value not in ("", None, {}, [])}
    if isinstance(thing, list):
        return [_plain(value) for value in thing]
    return " ".join(thing.split()) if isinstance(thing, str) else thing


def _ordered(live: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the live group with its keys in our order, so that a diff shows only differences."""
    shown = {key: live[key] for key in wanted if key in live}
    return shown | {key: value for key, value in live.items() if key not in shown}
