"""What a rotation leaves in the cluster so that anybody can go on with it, or undo it.

It is one Secret beside the three, `egops-rotation`, of a type of its own. It is written before
anything else and holds both generations: the old one is the backup, the new one has to outlive us,
because between two writes half of the Secrets have the new leaves and nobody else has their keys.
The CA's key is not in it unless `--keep-ca` asks for it. A Secret was chosen over a file because
whoever goes on may sit at another machine, and because those who may read it may read the three
Secrets with the same keys anyway.

Where the rotation stands is read from the three Secrets. What cannot be read there is what pods
hold in memory, so two sets are kept as annotations: the generations that every consumer was *seen*
to trust, and those that some consumer may still present. A set is narrowed before the writes that
may falsify it and widened only after a gate has proved it; so a crash at any point leaves it true,
at worst too cautious. If the annotations are lost, the most cautious reading of the Secrets serves.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Any

from egops.apply import MANAGED_BY, MANAGER
from egops.errors import InputError
from egops.rotation.generation import Generation

Object = dict[str, Any]

NAME = "egops-rotation"
TYPE = "egops.dev/rotation"
PREFIX = "egops.dev/"
OLD, NEW = "old", "new"
RUNNING, ENDED = "running", "ended"
CA_KEY = "new.ca.key"
CA_NAME, CA_TYPE = "egops-certs-ca", "egops.dev/ca"  # where --keep-ca keeps the CA's key


@dataclass(frozen=True)
class Record:
    """Both generations and what is known of those who use them."""

    id: str
    old: Generation
    new: Generation
    goal: str = NEW  # where the last command wanted to go
    status: str = RUNNING
    trusted: frozenset[str] = frozenset({OLD})
    presented: frozenset[str] = frozenset({OLD})
    ca_key: bytes = field(default=b"", repr=False)  # only with --keep-ca

    def of(self, name: str) -> Generation:
        """Return a generation by name."""
        return self.new if name == NEW else self.old

    def other(self, name: str) -> Generation:
        """Return the other generation."""
        return self.old if name == NEW else self.new

    def annotations(self) -> dict[str, str]:
        """Return what is known as annotations."""
        return {
            f"{PREFIX}id": self.id,
            f"{PREFIX}goal": self.goal,
            f"{PREFIX}status": self.status,
            f"{PREFIX}trusted": ",".join(sorted(self.trusted)),
            f"{PREFIX}presented": ",".join(sorted(self.presented)),
        }

    def to_object(self, namespace: str) -> Object:
        """Return it as a Secret."""
        data = self.old.to_data() | self.new.to_data()
        if self.ca_key:
            data[CA_KEY] = b64encode(self.ca_key).decode()
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": TYPE,
            "metadata": {
                "name": NAME,
                "namespace": namespace,
                "labels": {MANAGED_BY: MANAGER},
                "annotations": self.annotations(),
            },
            "data": data,
        }


def from_object(thing: Object) -> Record:
    """Return the record in a Secret.

    Raises:
        InputError: somebody has changed it, or another thing has its name.
    """
    if thing.get("type") != TYPE:
        raise InputError(f"Secret {NAME} is there and was not made by egops")
    data = thing.get("data") or {}
    old, new = Generation.from_data(OLD, data), Generation.from_data(NEW, data)
    if old is None or new is None:
        raise InputError(
            f"Secret {NAME} is damaged: a part of a generation is missing",
            hint="`egops certs rotate --afresh` starts another rotation from what the Secrets hold",
        )
    notes = (thing.get("metadata") or {}).get("annotations") or {}
    return Record(
        id=str(notes.get(f"{PREFIX}id") or "unknown"),
        old=old,
        new=new,
        goal=OLD if notes.get(f"{PREFIX}goal") == OLD else NEW,
        status=str(notes.get(f"{PREFIX}status") or RUNNING),
        trusted=_set(notes.get(f"{PREFIX}trusted"), frozenset()),
        presented=_set(notes.get(f"{PREFIX}presented"), frozenset({OLD, NEW})),
        ca_key=b64decode(data.get(CA_KEY) or ""),
    )


def _set(text: Any, unknown: frozenset[str]) -> frozenset[str]:
    if not isinstance(text, str):
        return unknown
    return frozenset(text.split(",")) & {OLD, NEW}
