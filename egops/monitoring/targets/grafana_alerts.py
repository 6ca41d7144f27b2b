"""Alerts as Grafana-managed rules through the provisioning API, for those without a ruler.

Grafana has no recording rules here: what an alert reads from one is written into its query. An
alert on a rule that reads its own past cannot be had this way and is left out, with a note.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from egops.errors import InputError
from egops.monitoring.targets import FOLDER, FOLDER_UID, digest, pretty
from egops.plan import Action, Change, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from egops.monitoring.targets import Content, What
    from egops.monitoring.web import Server

ROOT = "/api/v1/provisioning"
HASH = "egops_content_hash"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class GrafanaAlerts:
    """One Grafana; groups go into one folder, rules have uids of ours."""

    server: Server
    datasource: str = ""
    folder_uid: str = FOLDER_UID
    folder: str = FOLDER

    def plan(self, content: Content, *, overwrite: bool) -> Plan:
        """Return which groups would be written. Groups that somebody edited are refused."""
        source = self.datasource or self._datasource()
        converted, left_out = convert(content.groups, source, self.folder_uid)
        changes = [self._folder_change()]
        changes += [self._change(group, overwrite=overwrite) for group in converted]
        names = {group["title"] for group in converted}
        live = self._live_groups()
        changes += [self._gone(name, live[name]) for name in live if name not in names]
        notes = tuple(f"{name} is left out: it needs recording rules." for name in left_out)
        return Plan(self._where, tuple(changes), (f"Queries go to data source {source}.", *notes))

    def removal(self, what: What) -> Plan:  # noqa: ARG002 - only alerts are here
        """Return which groups would be removed."""
        live = self._live_groups()
        return Plan(self._where, tuple(self._gone(name, rules) for name, rules in live.items()))

    def carry_out(self, plan: Plan, *, overwrite: bool, dry_run: bool) -> Iterator[Change]:  # noqa: ARG002
        """Write and remove; yield each change when it is done."""
        for change in plan.pending:
            if not dry_run:
                self._do(change)
            yield change

    @property
    def _where(self) -> str:
        return f"Grafana {self.server.access.shown}, alert rules in folder {self.folder}"

    def _do(self, change: Change) -> None:
        if change.key == "/folder":
            body = {"uid": self.folder_uid, "title": self.folder}
            self.server.json("POST", "/api/folders", body=body)
        elif change.action is Action.DELETE:
            for uid in change.payload:
                self.server.json("DELETE", f"{ROOT}/alert-rules/{quote(uid)}", accept=(404,))
        else:
            self.server.json("PUT", self._path(change.key), body=change.payload)

    def _path(self, group: str) -> str:
        return f"{ROOT}/folder/{quote(self.folder_uid)}/rule-groups/{quote(group)}"

    def _folder_change(self) -> Change:
        path = f"/api/folders/{quote(self.folder_uid)}"
        action = Action.CREATE if self.server.thing(path, "uid") is None else Action.NONE
        return Change(action, f"folder {self.folder}", key="/folder")

    def _datasource(self) -> str:
        sources = self.server.things("/api/datasources")
        found = [one for one in sources if one.get("type") == "prometheus"]
        chosen = [one for one in found if one.get("isDefault")] or found
        if len(chosen) != 1:
            names = ", ".join(f"{one.get('name')} ({one.get('uid')})" for one in found) or "none"
            raise InputError(
                f"Grafana has no one Prometheus data source to choose: {names}",
                hint="choose with --datasource-uid",
            )
        return str(chosen[0]["uid"])

    def _live_groups(self) -> dict[str, list[str]]:
        """Return the uids of our rules by the name of their group."""
        groups: dict[str, list[str]] = {}
        for rule in self.server.things(f"{ROOT}/alert-rules"):
            if str(rule.get("uid", "")).startswith("egops-"):
                groups.setdefault(str(rule.get("ruleGroup")), []).append(str(rule["uid"]))
        return groups

    def _change(self, wanted: dict[str, Any], *, overwrite: bool) -> Change:
        name, what = wanted["title"], f"group {wanted['title']}"
        live = self.server.thing(self._path(name), "rules")
        after = pretty(wanted)
        if live is None or not live["rules"]:
            return Change(Action.CREATE, what, after=after, key=name, payload=wanted)
        shown = _projected(live, wanted)
        before = pretty(shown)
        if shown == wanted:
            return Change(Action.NONE, what, before=before, after=after, key=name)
        if _is_edited(live["rules"]) and not overwrite:
            reason = "somebody edited it since egops wrote it"
            return Change(Action.REFUSE, what, reason, before, after, name)
        return Change(Action.UPDATE, what, "", before, after, name, wanted)

    def _gone(self, name: str, uids: list[str]) -> Change:
        return Change(Action.DELETE, f"group {name}", key=name, payload=uids)


def convert(
    groups: Sequence[Mapping[str, Any]], datasource: str, folder: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return groups for the provisioning API, and the names of alerts that cannot be had."""
    records = {
        rule["record"]: rule["expr"]
        for group in groups
        for rule in group["rules"]
        if "record" in rule
    }
    made, left_out = [], []
    for group in groups:
        rules = []
        for rule in group["rules"]:
            if "alert" not in rule:
                continue
            expr = inlined(rule["expr"], records)
            if expr is None:
                left_out.append(rule["alert"])
            else:
                rules.append(_rule(rule, expr, datasource, group["name"], folder))
        if rules:
            interval = _seconds(group.get("interval", "1m"))
            made.append({"title": group["name"], "folderUid": folder, "interval": interval,
                         "rules": rules})  # fmt: skip
    return made, left_out


def inlined(expr: str, records: Mapping[str, str]) -> str | None:
    """Return an expression with recorded names written out, or None if one reads itself."""
    for _ in range(len(records) + 1):
        used = [name for name in records if re.search(_whole(name), expr)]
        if not used:
            return expr
        if any(re.search(_whole(name), records[name]) for name in used):
            return None
        for name in used:
            body = f"({records[name]})".replace("\\", "\\\\")
            expr = re.sub(_whole(name), body, expr)
    return None


def _whole(name: str) -> str:
    return rf"(?<![\w:]){re.escape(name)}(?![\w:])"


def _rule(
    rule: Mapping[str, Any], expr: str, datasource: str, group: str, folder: str
) -> dict[str, Any]:
    """Return one rule: the query, and a condition that any value meets, as Prometheus has it."""
    query = {
        "refId": "A",
        "datasourceUid": datasource,
        "relativeTimeRange": {"from": 600, "to": 0},
        "model": {"refId": "A", "expr": expr, "instant": True, "range": False},
    }
    met = {
        "refId": "B",
        "datasourceUid": "__expr__",
        "relativeTimeRange": {"from": 0, "to": 0},
        "model": {
            "refId": "B",
            "type": "math",
            "expression": "is_number($A) || is_nan($A) || is_inf($A)",
        },
    }
    made = {
        "uid": f"egops-{digest(rule['alert'])}",
        "title": rule["alert"],
        "ruleGroup": group,
        "folderUID": folder,
        "condition": "B",
        "data": [query, met],
        "for": rule.get("for", "0s"),
        # no series means that the condition is not met, as in Prometheus
        "noDataState": "OK",
        "execErrState": "Error",
        "labels": dict(rule["labels"]),
        "annotations": dict(rule["annotations"]),
    }
    made["annotations"] |= {HASH: digest(made)}
    return made


def _is_edited(rules: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a rule is not what its own hash was made of."""
    for rule in rules:
        annotations = dict(rule.get("annotations") or {})
        written = annotations.pop(HASH, None)
        keys = ("uid", "title", "ruleGroup", "folderUID", "condition", "data", "for",
                "noDataState", "execErrState", "labels")  # fmt: skip
        if written != digest({key: rule.get(key) for key in keys} | {"annotations": annotations}):
            return True
    return False


def _projected(live: Any, wanted: Any) -> Any:
    """Return the part of a live group that is wanted: Grafana adds ids, times and provenance."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        return {key: _projected(live.get(key), value) for key, value in wanted.items()}
    if isinstance(wanted, list) and isinstance(live, list) and len(live) == len(wanted):
        return [_projected(one, other) for one, other in zip(live, wanted, strict=True)]
    return live


def _seconds(duration: str) -> int:
    return sum(
        int(number) * _SECONDS[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration)
    )
