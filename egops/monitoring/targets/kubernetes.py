"""What targets that write Kubernetes objects share: plan against the live object, apply, prune."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from egops.apply import Api, Cluster, is_ours
from egops.monitoring.targets import Content, What, ownership, pretty
from egops.plan import Action, Change, Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from egops.apply import Object

MOST_BYTES = 1_000_000  # etcd takes 1.5 MiB, the API server about 1 MiB for a ConfigMap
HASH = "egops/content-hash"


@dataclass(frozen=True)
class KubernetesTarget:
    """Objects of one kind in one namespace.

    `render` makes the objects' content: name to the fields beside metadata. `labels` and
    `annotations` are what the reader of the objects looks for.
    """

    cluster: Cluster
    api: Api
    namespace: str
    render: Callable[[Content], Mapping[str, dict[str, Any]]]
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def plan(self, content: Content, *, overwrite: bool) -> Plan:
        """Return what applying would change, object by object."""
        wanted = {name: self._object(content.what, name, body) for name, body in
                  self.render(content).items()}  # fmt: skip
        changes = [self._change(thing, overwrite=overwrite) for thing in wanted.values()]
        for thing in self._ours(content.what):
            meta = thing["metadata"]
            here = meta["name"] in wanted and meta.get("namespace") == self.namespace
            if not here and not content.partial:
                changes.append(self._gone(thing))
        return Plan(self.where, tuple(changes), self.notes)

    def removal(self, what: What) -> Plan:
        """Return which objects of ours would be deleted, in all namespaces."""
        return Plan(self.where, tuple(self._gone(thing) for thing in self._ours(what)))

    @property
    def where(self) -> str:
        """Return the place in words."""
        return f"{self.api.kind}s in namespace {self.namespace}"

    def carry_out(self, plan: Plan, *, overwrite: bool, dry_run: bool) -> Iterator[Change]:
        """Apply and delete; yield each change when it is done."""
        for change in plan.pending:
            if change.action is Action.DELETE:
                self.cluster.delete(self.api, change.payload, dry_run=dry_run)
            else:
                self.cluster.apply(self.api, change.payload, force=overwrite, dry_run=dry_run)
            yield change

    def manifests(self, content: Content) -> list[Object]:
        """Return the objects as they would be applied."""
        return [
            self._object(content.what, name, body) for name, body in self.render(content).items()
        ]

    def _object(self, what: What, name: str, body: dict[str, Any]) -> Object:
        labels, annotations = ownership(what, body)
        return {
            "apiVersion": self.api.version,
            "kind": self.api.kind,
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": dict(self.labels) | labels,
                "annotations": dict(self.annotations) | annotations,
            },
            **body,
        }

    def _change(self, thing: Object, *, overwrite: bool) -> Change:
        meta = thing["metadata"]
        what = f"{self.api.kind} {self.namespace}/{meta['name']}"
        after = pretty(_content(thing))
        if len(json.dumps(thing).encode()) > MOST_BYTES:
            return Change(Action.REFUSE, what, f"it has more than {MOST_BYTES} bytes")
        live = self.cluster.find(self.api, self.namespace, meta["name"])
        if live is None:
            return Change(Action.CREATE, what, after=after, payload=thing)
        before = pretty(_content(_projected(live, thing)))
        if is_ours(live) and _covers(live, thing):
            return Change(Action.NONE, what, before=before, after=before)
        reason = _objection(live, meta)
        if reason and not overwrite:
            return Change(Action.REFUSE, what, reason, before=before, after=after)
        return Change(Action.UPDATE, what, reason, before=before, after=after, payload=thing)

    def _ours(self, what: What) -> Sequence[Object]:
        found = self.cluster.list(
            self.api,
            labels=f"app.kubernetes.io/managed-by=egops,app.kubernetes.io/component={what}",
        )
        return found or []

    def _gone(self, thing: Object) -> Change:
        meta = thing["metadata"]
        what = f"{self.api.kind} {meta.get('namespace')}/{meta['name']}"
        return Change(Action.DELETE, what, before=pretty(_content(thing)), payload=thing)


def _objection(live: Object, wanted: dict[str, Any]) -> str:
    """Return why a live object is not simply replaced; empty if nothing speaks against it."""
    if not is_ours(live):
        return "it exists and was not made by egops"
    written = (live["metadata"].get("annotations") or {}).get(HASH)
    if written == wanted["annotations"][HASH] and _edited(live):
        return "somebody edited it since egops wrote it"
    return ""


def _edited(live: Object) -> bool:
    """Return whether the content is not the one its own hash was made of."""
    managers = {
        entry.get("manager")
        for entry in live["metadata"].get("managedFields") or []
        if any(key in (entry.get("fieldsV1") or {}) for key in ("f:spec", "f:data"))
    }
    return managers != {"egops"}


def _content(thing: Object) -> dict[str, Any]:
    kept = {
        key: _readable(value) for key, value in thing.items() if key not in {"metadata", "status"}
    }
    labels = (thing.get("metadata") or {}).get("labels") or {}
    return kept | ({"labels": labels} if labels else {})


def _readable(value: Any) -> Any:
    """Return a value with JSON in texts taken apart, so that a diff of it can be read."""
    if isinstance(value, dict):
        return {key: _readable(inner) for key, inner in value.items()}
    if isinstance(value, str) and value.startswith("{"):
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(value)
    return value


def _covers(live: Any, wanted: Any) -> bool:
    """Return whether everything wanted is there; defaults that the API server added don't count.

    Inside lists only empty fields may be added: a VMRule gets `record: ""` in each alert, but a
    label that somebody added to a rule is an edit.
    """
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            key in live and _covers(live[key], value) for key, value in wanted.items()
        )
    return bool(without_empty(live) == without_empty(wanted))


def without_empty(thing: Any) -> Any:
    """Return plain data without fields that say nothing."""
    if isinstance(thing, dict):
        kept = {key: without_empty(value) for key, value in thing.items()}
        return {key: value for key, value in kept.items() if value not in ("", None, {}, [])}
    return [without_empty(one) for one in thing] if isinstance(thing, list) else thing


def _projected(live: Any, wanted: Any) -> Any:
    """Return the part of a live object that is wanted, so that a diff shows nothing else."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        shown = {key: _projected(live[key], value) for key, value in wanted.items() if key in live}
        for key in ("data", "spec"):
            shown |= {key: live[key]} if key in live and key not in wanted else {}
        return shown
    return without_empty(live)
