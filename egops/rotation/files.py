"""The same move for a standalone Envoy Gateway, whose certificates are files of one host.

Under `DIR/certs` stand three folders, named as the Secrets. A file is replaced by a rename, which
is what Envoy watches its folder for. Certificate and key are two files, so new handshakes of Envoy
Gateway fail between the two renames: for microseconds, or if we are killed just there until the
next run. The record is a file of mode 0600 beside the folders. Each run begins with `trust` again:
to trust more is never wrong, so there is nothing to know about the run before.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets as random
import socket
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from egops.errors import EgopsError, InputError
from egops.rotation import record as records
from egops.rotation.engine import POLL, GateTimeoutError, Pace
from egops.rotation.generation import CA, CRT, KEY, Generation, faults, joined
from egops.rotation.installation import XDS
from egops.rotation.material import SECRETS, KeyPair, Wish, make_ca, make_leaves, names_of
from egops.rotation.record import NEW, OLD, Record, from_object
from egops.rotation.world import Awaited, Met

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from egops.rotation.world import Clock, Listener

Object = dict[str, Any]

RECORD = "egops-rotation.json"
HOST = "127.0.0.1"


class Standalone:
    """The files below one `--config-home`, and the Envoy Gateway that reads them."""

    def __init__(
        self,
        home: Path,
        clock: Clock,
        listener: Listener,
        pace: Pace,
        handshake: Callable[[KeyPair | None], Met] | None = None,
    ) -> None:
        """Take the folder; `handshake` meets the xDS server, by default on 127.0.0.1:18000."""
        self._folder, self._clock, self._listener, self._pace = (
            home / "certs",
            clock,
            listener,
            pace,
        )
        self._handshake = handshake or _meet

    def rotate(self, wish: Wish) -> Record:
        """Rotate, or go on with what was begun.

        Raises:
            InputError: a file is missing or of no use.
            GateTimeoutError: Envoy Gateway did not follow.
        """
        with self._locked():
            record = self._read()
            if record is None or record.status == records.ENDED:
                record = self._new(wish)
                self._save(record)
                self._listener.done(f"{RECORD} has the backup and the new leaves")
            return self._move(record, NEW)

    def roll_back(self) -> Record:
        """Go back to the files from before.

        Raises:
            InputError: there is no record.
        """
        with self._locked():
            record = self._read()
            if record is None:
                raise InputError(f"there is nothing to go back to: no {RECORD} in {self._folder}")
            return self._move(record, OLD)

    def _move(self, record: Record, name: str) -> Record:
        record = replace(record, goal=name, status=records.RUNNING)
        self._save(record)
        goal, other = record.of(name), record.other(name)
        both = joined(goal, other)
        self._listener.phase("trust both CAs")
        self._write({secret: {CA: both} for secret in SECRETS})
        self._wait(lambda: self._trusts(goal))
        self._soak()
        self._listener.phase(f"swap leaves to the {name} ones")
        pairs = goal.pairs
        self._write({one: {CRT: pairs[one].certificate, KEY: pairs[one].key} for one in SECRETS})
        self._wait(lambda: self._serves(goal))
        self._soak()
        self._listener.phase(f"trust the {name} CA alone")
        self._write({secret: {CA: goal.bundles[secret]} for secret in SECRETS})
        self._wait(lambda: self._trusts(goal))
        record = replace(record, status=records.ENDED)
        self._save(record)
        return record

    def _new(self, wish: Wish) -> Record:
        old = Generation(
            OLD,
            {one: KeyPair(self._text(one, CRT), self._text(one, KEY)) for one in SECRETS},
            {one: self._text(one, CA) for one in SECRETS},
        )
        thing = Record("", old, old).to_object("")["data"]
        for one in SECRETS:
            data = {key: thing[f"{OLD}.{one}.{key}"] for key in (CA, CRT, KEY)}
            if found := faults({"metadata": {"name": one}, "data": data}):
                raise InputError(f"{self._folder / one}: {'; '.join(found)}")
        now = datetime.now(UTC)
        ca = make_ca(wish, now)
        names = {one: names_of(old.pairs[one].certificate) for one in SECRETS}
        leaves = make_leaves(ca, names, wish, now)
        new = Generation(NEW, leaves, dict.fromkeys(SECRETS, ca.certificate))
        return Record(f"{now:%Y%m%dT%H%M%SZ}-{random.token_hex(2)}", old, new)

    # -------------------------------------------------------------- files

    def _text(self, secret: str, key: str) -> bytes:
        path = self._folder / secret / key
        try:
            return path.read_bytes()
        except OSError as exc:
            raise InputError(
                f"{path} can't be read: {exc.strerror}",
                hint="DIR is what Envoy Gateway has as --config-home; `certs` is below it",
            ) from None

    def _write(self, wanted: dict[str, dict[str, bytes]]) -> None:
        for secret, files in wanted.items():
            changed = [key for key, text in files.items() if self._text(secret, key) != text]
            for key in changed:
                _replace(self._folder / secret / key, files[key])
            if changed:
                self._listener.done(f"{secret}/{', '.join(changed)}")

    def _read(self) -> Record | None:
        try:
            return from_object(orjson.loads((self._folder / RECORD).read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, orjson.JSONDecodeError):
            raise InputError(f"{self._folder / RECORD} can't be read") from None

    def _save(self, record: Record) -> None:
        _replace(self._folder / RECORD, orjson.dumps(record.to_object("")), mode=0o600)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            descriptor = os.open(self._folder, os.O_RDONLY)
        except OSError as exc:
            raise InputError(f"{self._folder} can't be opened: {exc.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EgopsError(f"another process is rotating {self._folder}") from None
        else:
            yield
        finally:
            os.close(descriptor)

    # -------------------------------------------------------------- gates

    def _wait(self, gate: Callable[[], list[Awaited]]) -> None:
        began = self._clock.monotonic()
        while awaited := gate():
            passed = self._clock.monotonic() - began
            self._listener.waiting(awaited, passed)
            if passed >= self._pace.gate:
                raise GateTimeoutError(
                    f"after {passed:.0f} s still awaited: {awaited[0]}",
                    hint="run it again to go on, or `egops certs rollback` with the same folder",
                )
            self._clock.sleep(POLL)

    def _soak(self) -> None:
        self._listener.waiting([Awaited("Envoy", "see the new files")], 0)
        self._clock.sleep(self._pace.soak)

    def _trusts(self, goal: Generation) -> list[Awaited]:
        seen = self._handshake(goal.pairs["envoy"])
        if seen.accepted or not seen.leaf:
            return self._unheard(seen)
        return [Awaited("Envoy Gateway", f"accept a client of the {goal.name} CA", seen.reason)]

    def _serves(self, goal: Generation) -> list[Awaited]:
        seen = self._handshake(goal.pairs["envoy"])
        if not seen.leaf or seen.leaf == goal.leaf("envoy-gateway").fingerprint:
            return self._unheard(seen)
        return [Awaited("Envoy Gateway", f"serve the {goal.name} leaf")]

    def _unheard(self, seen: Met) -> list[Awaited]:
        if not seen.leaf:
            self._listener.note(f"nothing is proved: no server on {HOST}:{XDS} ({seen.reason})")
        return []


def _replace(path: Path, text: bytes, *, mode: int | None = None) -> None:
    """Put a file in the place of another, in one step, with the other's mode."""
    try:
        kept = mode if mode is not None else path.stat().st_mode & 0o777
        draft = path.with_name(f".{path.name}.egops")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            os.fchmod(file.fileno(), kept)
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as exc:
        raise InputError(f"{path} can't be written: {exc.strerror}") from None


def _meet(client: KeyPair | None) -> Met:
    """Shake hands with the xDS server of this host."""
    from egops.gather.tls import ClientPair, shake  # noqa: PLC0415 - loads OpenSSL
    from egops.rotation.live import met  # noqa: PLC0415 - as above

    pair = ClientPair(client.certificate, client.key) if client else None
    try:
        with socket.create_connection((HOST, XDS), 5) as stream:
            return met(shake(stream, XDS, seconds=5, client=pair))
    except OSError as exc:
        return Met(reason=(exc.strerror or str(exc)).lower())
