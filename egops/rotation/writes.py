"""Small writes that may be repeated: read, see whether it is already so, change just that.

Each carries the resourceVersion that was read, so nobody's change is overwritten unseen, and is a
merge patch, so everything that it does not name stays.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from egops.apply import Api, ConflictError, ObjectName
from egops.certs import CertificateError, read_chain
from egops.errors import EgopsError, InputError, UnreachableError
from egops.rotation.generation import CA, CRT, KEY, Generation, value
from egops.rotation.installation import CONFIG_MAP, SECRET, WEBHOOK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from egops.rotation.world import World

Object = dict[str, Any]
Patch = dict[str, Any]

TRIES = 6
FIRST_PAUSE = 0.5
KEEPER = (
    "find out who keeps it; then `egops certs rotate --afresh` starts from what is there now, or "
    "`egops certs rollback --overwrite` writes the backup over it"
)


class ForeignChangeError(EgopsError):
    """Somebody else wrote into what we are rotating."""


class Writes:
    """The writer of a rotation. `before` is called ahead of each write: it renews the lock."""

    def __init__(
        self,
        world: World,
        before: Callable[[], None],
        *,
        dry_run: bool = False,
        overwrite: bool = False,
    ) -> None:
        """Take the world; `overwrite` writes over what is of neither generation."""
        self._world, self._before, self._dry_run = world, before, dry_run
        self._overwrite = overwrite
        self._held: dict[str, tuple[bytes, bytes]] = {}  # what each Secret holds, as we left it

    def change(self, api: Api, ref: ObjectName, patch_of: Callable[[Object], Patch | None]) -> bool:
        """Bring an object to where `patch_of` wants it; return whether it had to be written.

        `patch_of` takes what is there and returns what to merge, or None if it is already so. A
        conflict or a lost answer only means: look again.

        Raises:
            InputError: the object is gone, or the API server refuses the change.
            AccessError: it may not be written.
            UnreachableError: the API server did not answer for a while.
        """
        wrote = False
        for attempt in range(1, TRIES + 1):
            try:
                live = self._world.cluster.find(api, *ref)
                if live is None:
                    raise InputError(f"{api.kind} {ref.name} is gone from {ref.namespace}")
                patch = patch_of(live)
                if patch is None:
                    return wrote
                self._before()
                meta = dict(patch.get("metadata") or {})
                meta["resourceVersion"] = live["metadata"].get("resourceVersion")
                wrote = True  # even if the answer is lost
                self._world.cluster.merge(
                    api, ref, {**patch, "metadata": meta}, dry_run=self._dry_run
                )
            except (ConflictError, UnreachableError):
                if attempt == TRIES:
                    raise
                self._world.clock.sleep(FIRST_PAUSE * 2 ** (attempt - 1))
                continue
            return True
        raise AssertionError("the last try returns or raises")

    def bundle(
        self, namespace: str, secret: str, wanted: bytes, known: Sequence[Generation]
    ) -> bool:
        """Write the CAs that a Secret trusts."""

        def patch_of(live: Object) -> Patch | None:
            self._refuse_foreign(live, secret, known)
            self._held[secret] = (value(live, CRT), wanted)
            return None if value(live, CA) == wanted else {"data": {CA: _text(wanted)}}

        return self.change(SECRET, ObjectName(namespace, secret), patch_of)

    def leaf(
        self, namespace: str, secret: str, goal: Generation, known: Sequence[Generation]
    ) -> bool:
        """Write certificate and key of a Secret, together."""
        pair = goal.pairs[secret]

        def patch_of(live: Object) -> Patch | None:
            self._refuse_foreign(live, secret, known)
            self._held[secret] = (pair.certificate, value(live, CA))
            if (value(live, CRT), value(live, KEY)) == (pair.certificate, pair.key):
                return None
            return {"data": {CRT: _text(pair.certificate), KEY: _text(pair.key)}}

        return self.change(SECRET, ObjectName(namespace, secret), patch_of)

    def refuse_changed(self, secrets: Mapping[str, Object]) -> None:
        """Stop if a Secret no longer holds what we left in it.

        Raises:
            ForeignChangeError: it says who wrote last.
        """
        for secret, held in self._held.items():
            live = secrets[secret]
            if (value(live, CRT), value(live, CA)) != held:
                raise ForeignChangeError(
                    f"Secret {secret} was changed by somebody else ({last_writer(live)}) while we "
                    "waited",
                    hint=KEEPER,
                )

    def _refuse_foreign(self, live: Object, secret: str, known: Sequence[Generation]) -> None:
        if not self._overwrite or live.get("immutable"):
            refuse_foreign(live, secret, known)

    def webhook(self, name: str, wanted: bytes) -> bool:
        """Write the CA that the API server trusts for every webhook of a configuration."""
        text = _text(wanted)

        def patch_of(live: Object) -> Patch | None:
            hooks = live.get("webhooks") or []
            if all((hook.get("clientConfig") or {}).get("caBundle") == text for hook in hooks):
                return None
            # a merge patch replaces lists, so the whole of it goes back, as it was read
            return {
                "webhooks": [
                    {**hook, "clientConfig": {**(hook.get("clientConfig") or {}), "caBundle": text}}
                    for hook in hooks
                ]
            }

        return self.change(WEBHOOK, ObjectName("", name), patch_of)

    def config_map(self, ref: ObjectName, wanted: bytes) -> bool:
        """Write the CA that proxies in other namespaces mount."""

        def patch_of(live: Object) -> Patch | None:
            same = (live.get("data") or {}).get(CA) == wanted.decode()
            return None if same else {"data": {CA: wanted.decode()}}

        return self.change(CONFIG_MAP, ref, patch_of)


def refuse_foreign(live: Object, secret: str, known: Sequence[Generation]) -> None:
    """Stop if a Secret holds what is of no generation of ours.

    Raises:
        ForeignChangeError: it says what, and who wrote last.
    """
    if live.get("immutable"):
        raise InputError(
            f"Secret {secret} is immutable", hint="delete it and create it without `immutable`"
        )
    leaves = {generation.pairs[secret].certificate for generation in known}
    authorities = {ca.fingerprint for generation in known for ca in generation.authorities}
    try:
        held = {ca.fingerprint for ca in read_chain(value(live, CA))}
    except CertificateError:
        held = {"unreadable"}
    if value(live, CRT) in leaves and held <= authorities:
        return
    part = CRT if value(live, CRT) not in leaves else CA
    raise ForeignChangeError(
        f"Secret {secret} was changed by somebody else ({last_writer(live)}): its {part} is "
        "neither the old nor the new one",
        hint=KEEPER,
    )


def last_writer(live: Object) -> str:
    """Return who wrote an object last, as its managedFields tell."""
    entries = (live.get("metadata") or {}).get("managedFields") or []
    latest: Object = max(entries, key=lambda entry: str(entry.get("time") or ""), default={})
    if not latest:
        return "unknown"
    return f"{latest.get('manager')} at {latest.get('time')}"


def _text(plain: bytes) -> str:
    return b64encode(plain).decode()
