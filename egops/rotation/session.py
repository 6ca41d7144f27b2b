"""From the plan to the end: the lock, the record, the move. Every command that writes runs here."""

from __future__ import annotations

import secrets as random
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from egops.apply import ConflictError, ObjectName
from egops.certs import read_chain
from egops.errors import EgopsError, InputError
from egops.rotation import hmac, permissions
from egops.rotation import record as records
from egops.rotation.emit import write_backup
from egops.rotation.engine import Move, Pace
from egops.rotation.generation import Generation, found_generation, joined, value
from egops.rotation.installation import SECRET, proxy_config_maps
from egops.rotation.material import (
    SECRETS,
    KeyPair,
    Wish,
    expected_names,
    make_ca,
    make_leaves,
    names_of,
)
from egops.rotation.record import NEW, OLD, Record
from egops.rotation.restart import restart_patch
from egops.rotation.writes import Writes

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from egops.rotation.lock import Lock
    from egops.rotation.plan import Found
    from egops.rotation.world import World

Object = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """What the user chose for a rotation."""

    wish: Wish = field(default_factory=Wish)
    pace: Pace = field(default_factory=Pace)
    only_leaf: bool = False
    backup: Path | None = None  # a file for the old generation, besides the record
    new_hmac: bool = False
    ca_from: str = ""  # the name of a Secret with a CA and its key, such as cert-manager's


def refuse(found: Found, *, owns: bool, overwrite: bool = False) -> None:
    """Stop if something is in the way; `overwrite` is there to put just that right.

    Raises:
        InputError: it says what, and what to do instead.
    """
    if found.owners and not owns:
        first = found.owners[0]
        raise InputError(
            f"nothing was written: {'; '.join(map(str, found.owners))}",
            hint=f"{first.advice}; or --i-own-these-secrets",
        )
    if found.blockers and not found.is_under_way and not overwrite:
        raise InputError(f"nothing was written: {'; '.join(found.blockers)}")


def require_rights(world: World, found: Found, choice: Choice | None = None) -> None:
    """Stop if a write would be refused later on.

    Raises:
        AccessError: it names every missing right.
    """
    maps = [
        (one["metadata"].get("namespace", ""), one["metadata"]["name"])
        for one in proxy_config_maps(world.cluster, found.here)
    ]
    rights = permissions.needed(
        found.here, webhook=found.has_webhook, maps=maps, more=_more_secrets(choice)
    )
    permissions.require(world.cluster, rights)


def _more_secrets(choice: Choice | None) -> list[str]:
    """Return the Secrets that a choice reads or writes besides."""
    if choice is None:
        return []
    keeps = choice.wish.keeps_ca or choice.only_leaf
    return [records.CA_NAME] * keeps + [hmac.NAME] * choice.new_hmac


def given_ca(world: World, found: Found, choice: Choice) -> KeyPair:
    """Return the CA of a Secret that the user named.

    Raises:
        InputError: it is not there, or the CA in it is the one in use.
    """
    live = world.cluster.find(SECRET, found.here.namespace, choice.ca_from)
    if live is None:
        raise InputError(f"there is no Secret {choice.ca_from} in {found.here.namespace}")
    pair = KeyPair(value(live, "tls.crt"), value(live, "tls.key"))
    if not (pair.certificate and pair.key):
        raise InputError(f"Secret {choice.ca_from} lacks tls.crt or tls.key")
    return pair


def kept_ca(world: World, namespace: str) -> KeyPair | None:
    """Return the CA that an earlier `--keep-ca` kept, with its key."""
    found = world.cluster.find(SECRET, namespace, records.CA_NAME)
    if found is None:
        return None
    return KeyPair(value(found, "tls.crt"), value(found, "tls.key"))


def new_record(world: World, found: Found, choice: Choice, now: datetime) -> Record:
    """Make the new generation in memory.

    Raises:
        InputError: `--only leaf` and the CA's key is not here, or is of no use.
    """
    old = found_generation(found.secrets, found.webhook)
    if choice.only_leaf:
        ca = kept_ca(world, found.here.namespace)
        if ca is None:
            raise InputError(
                f"--only leaf needs the CA's key, and there is no Secret {records.CA_NAME}",
                hint="certgen throws the key away; rotate once with --keep-ca",
            )
        authority = read_chain(ca.certificate)[0]
        if authority not in old.authorities:
            raise InputError(f"the CA in Secret {records.CA_NAME} is not the one in use")
    elif choice.ca_from:
        ca = given_ca(world, found, choice)
    else:
        ca = make_ca(choice.wish, now)
    leaves = make_leaves(ca, names(found), choice.wish, now)
    # with one CA the bundles stay, byte for byte
    bundles = dict.fromkeys(SECRETS, ca.certificate)
    webhook = ca.certificate if found.webhook or found.has_webhook else b""
    if choice.only_leaf:
        bundles, webhook = dict(old.bundles), old.webhook
    new = Generation("new", leaves, bundles, webhook)
    keeps = choice.wish.keeps_ca and not (choice.only_leaf or choice.ca_from)
    identity = f"{now:%Y%m%dT%H%M%SZ}-{random.token_hex(2)}"
    return Record(identity, old, new, ca_key=ca.key if keeps else b"")


def names(found: Found) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return common name and DNS names of each leaf: those of today and those needed."""
    wanted = {}
    for secret in SECRETS:
        common, needed = expected_names(secret, found.here.namespace, found.here.domain)
        _, today = names_of(found_certificate(found, secret))
        wanted[secret] = (common, tuple(dict.fromkeys((*needed, *today))))
    return wanted


def found_certificate(found: Found, secret: str) -> bytes:
    """Return the certificate that a Secret holds now."""
    return value(found.secrets[secret], "tls.crt")


def write_record(world: World, namespace: str, record: Record) -> None:
    """Write the record, over that of a rotation that has ended."""
    thing = record.to_object(namespace)
    live = world.cluster.find(SECRET, namespace, records.NAME)
    if live is None:
        try:
            world.cluster.create(SECRET, thing)
        except ConflictError:
            raise InputError("another rotation began at this moment; run it again") from None
        return
    if live.get("type") != records.TYPE:
        raise InputError(f"Secret {records.NAME} is there and was not made by egops")
    gone = dict.fromkeys(set(live.get("data") or {}) - set(thing["data"]))
    patch = {
        "metadata": {
            "resourceVersion": live["metadata"].get("resourceVersion"),
            "annotations": thing["metadata"]["annotations"],
        },
        "data": {**thing["data"], **gone},
    }
    world.cluster.merge(SECRET, ObjectName(namespace, records.NAME), patch)


def keep_ca(world: World, namespace: str, record: Record) -> None:
    """Put the CA and its key into a Secret of its own, mounted by nobody, for `--only leaf`."""
    if not record.ca_key:
        return
    data = {
        "tls.crt": b64encode(record.new.bundles["envoy-gateway"]).decode(),
        "tls.key": b64encode(record.ca_key).decode(),
    }
    live = world.cluster.find(SECRET, namespace, records.CA_NAME)
    if live is not None:
        world.cluster.merge(SECRET, ObjectName(namespace, records.CA_NAME), {"data": data})
    else:
        labels = {"app.kubernetes.io/managed-by": "egops"}
        meta = {"name": records.CA_NAME, "namespace": namespace, "labels": labels}
        thing = {"apiVersion": "v1", "kind": "Secret", "type": records.CA_TYPE, "metadata": meta}
        world.cluster.create(SECRET, {**thing, "data": data})
    patch = {"data": {records.CA_KEY: None}}
    world.cluster.merge(SECRET, ObjectName(namespace, records.NAME), patch)
    world.listener.done(f"the CA and its key are in Secret {records.CA_NAME}")


def rehearse(world: World, found: Found, choice: Choice) -> None:
    """Let the API server validate every write of a rotation, and write nothing.

    Raises:
        EgopsError: it would refuse one.
    """
    record = found.record if found.is_under_way else None
    record = record or new_record(world, found, choice, world.now())
    tell = world.listener.done
    if not found.is_under_way:
        thing = record.to_object(found.here.namespace)
        kept = world.cluster.find(SECRET, found.here.namespace, records.NAME)
        if kept is None:
            world.cluster.create(SECRET, thing, dry_run=True)
        else:
            patch = {"data": thing["data"]}
            ref = ObjectName(found.here.namespace, records.NAME)
            world.cluster.merge(SECRET, ref, patch, dry_run=True)
        tell(f"would be written: Secret {records.NAME}")
    writes = Writes(world, lambda: None, dry_run=True)
    old, new = record.old, record.new
    for bundle in dict.fromkeys((joined(new, old), new.bundles["envoy"])):
        for secret in SECRETS:
            writes.bundle(found.here.namespace, secret, bundle, (old, new))
            tell(f"would be written: ca.crt of Secret {secret}")
        for one in proxy_config_maps(world.cluster, found.here):
            meta = one["metadata"]
            writes.config_map(ObjectName(meta.get("namespace", ""), meta["name"]), bundle)
            tell(f"would be written: ca.crt of ConfigMap {meta['name']}")
        if found.has_webhook:
            writes.webhook(found.here.webhook_name, bundle)
            tell(f"would be written: caBundle of {found.here.webhook_name}")
    for secret in SECRETS:
        writes.leaf(found.here.namespace, secret, new, (old, new))
        tell(f"would be written: tls.crt and tls.key of Secret {secret}")
    for workload in found.here.workloads:
        writes.change(workload.api, workload.ref, lambda live: restart_patch(live, "rehearsal"))
        tell(f"would be restarted where needed: {workload}")


def rotate(world: World, found: Found, choice: Choice, lock: Lock) -> Record:
    """Rotate, or go on with a rotation that was interrupted. The lock is held until the end.

    Raises:
        EgopsError: it stopped; the message says where, and running it again goes on.
    """

    def work() -> Record:
        _require_unchanged(world, found)
        record = found.record if found.is_under_way else None
        if record is None:
            record = new_record(world, found, choice, world.now())
            if choice.backup:
                write_backup(choice.backup, record)
            write_record(world, found.here.namespace, record)
            world.listener.done(f"Secret {records.NAME} has the backup and the new leaves")
        move = Move(world, found.here, record, lock, choice.pace)
        move.run(NEW)
        keep_ca(world, found.here.namespace, move.record)
        if choice.new_hmac:
            move.new_hmac()
        return move.record

    return _locked(world, lock, work)


def roll_back(world: World, found: Found, pace: Pace, lock: Lock) -> Record:
    """Go back to what was there before the last rotation.

    Raises:
        InputError: there is no record of one.
        EgopsError: it stopped; the message says where.
    """
    record = found.record
    if record is None:
        raise InputError(
            f"there is nothing to go back to: no Secret {records.NAME} in {found.here.namespace}",
            hint="a rotation by egops makes it; `egops certs check` shows what is there",
        )

    def work() -> Record:
        _require_unchanged(world, found)
        move = Move(world, found.here, record, lock, pace)
        move.run(OLD)
        return move.record

    return _locked(world, lock, work)


def _require_unchanged(world: World, found: Found) -> None:
    """Stop if somebody rotated between our look and our lock."""
    live = world.cluster.find(SECRET, found.here.namespace, records.NAME)
    record = records.from_object(live) if live and (found.record or not found.afresh) else None
    if record != found.record:
        raise EgopsError(
            "somebody else went on with this rotation at the same moment", hint="run it again"
        )


def _locked(world: World, lock: Lock, work: Callable[[], Record]) -> Record:
    taken_from = lock.acquire()
    if taken_from:
        world.listener.note(f"{taken_from} held the lock and is gone")
    try:
        return work()
    finally:
        try:
            lock.release()
        except EgopsError as exc:
            world.listener.note(f"the lock was not released: {exc.message}")
