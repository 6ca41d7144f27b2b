"""A cluster in memory: server-side apply with field managers, as far as our targets can tell."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from egops.apply import ConflictError

if TYPE_CHECKING:
    from egops.apply import Api, Object


@dataclass
class MemoryCluster:
    """Objects by kind, namespace and name. A kind that is not in `kinds` does not exist."""

    kinds: set[str] = field(default_factory=set)
    objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)

    def put(self, kind: str, namespace: str, name: str, /, **fields: Any) -> Object:
        """Make an object as another controller would."""
        meta = {"namespace": namespace, "name": name, "uid": f"{kind}-{name}"}
        meta |= fields.pop("metadata", {})
        self.kinds.add(kind)
        self.objects[kind, namespace, name] = {"kind": kind, "metadata": meta, **fields}
        return self.objects[kind, namespace, name]

    def edit(self, kind: str, namespace: str, name: str, /, **fields: Any) -> None:
        """Change fields as `kubectl edit` would, which makes kubectl their manager."""
        thing = self.objects[kind, namespace, name]
        thing |= fields
        entry = {"manager": "kubectl-edit", "fieldsV1": {f"f:{key}": {} for key in fields}}
        thing["metadata"].setdefault("managedFields", []).append(entry)

    def find(self, api: Api, namespace: str, name: str) -> Object | None:
        return copy.deepcopy(self.objects.get((api.kind, namespace, name)))

    def list(self, api: Api, *, namespace: str = "", labels: str = "") -> list[Object] | None:
        if api.kind not in self.kinds:
            return None
        wanted = dict(pair.split("=") for pair in labels.split(",") if pair)
        return [
            copy.deepcopy(thing)
            for (kind, place, _), thing in self.objects.items()
            if kind == api.kind
            and namespace in ("", place)
            and wanted.items() <= (thing["metadata"].get("labels") or {}).items()
        ]

    def apply(self, api: Api, thing: Object, *, force: bool, dry_run: bool) -> Object:
        meta = thing["metadata"]
        key = (api.kind, meta["namespace"], meta["name"])
        live = self.objects.get(key)
        if live is not None and not force:
            others = {entry["manager"] for entry in live["metadata"].get("managedFields") or []} - {
                "egops"
            }
            if others:
                raise ConflictError(f"conflict with {others}")
        if not dry_run:
            self.writes.append(f"apply {api.kind} {meta['name']}")
            made = copy.deepcopy(thing)
            made["metadata"]["uid"] = "u"
            fields: dict[str, Any] = {f"f:{part}": {} for part in thing if part in ("spec", "data")}
            made["metadata"]["managedFields"] = [{"manager": "egops", "fieldsV1": fields}]
            self.objects[key] = made
        return thing

    def delete(self, api: Api, thing: Object, *, dry_run: bool) -> None:
        meta = thing["metadata"]
        if not dry_run:
            self.writes.append(f"delete {api.kind} {meta['name']}")
            del self.objects[api.kind, meta["namespace"], meta["name"]]
