"""One operator at a time: a Lease beside the Secrets, renewed while we work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from egops.apply import ConflictError, ObjectName
from egops.errors import EgopsError
from egops.gatewayapi import timestamp
from egops.rotation.installation import LEASE

if TYPE_CHECKING:
    from collections.abc import Callable

    from egops.apply import Editor
    from egops.rotation.world import Clock

Object = dict[str, Any]

NAME = "egops-certs-rotation"
SECONDS = 60  # a lock that was not renewed for so long is free
RENEW = 10.0


class LockedError(EgopsError):
    """Somebody else holds the lock, or took it from us."""


class Lock:
    """The Lease `egops-certs-rotation`."""

    def __init__(
        self,
        cluster: Editor,
        clock: Clock,
        namespace: str,
        holder: str,
        is_gone: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Take who we are, and how to tell that a holder can't come back (a dead process here)."""
        self._cluster, self._clock = cluster, clock
        self._ref, self._holder, self._is_gone = ObjectName(namespace, NAME), holder, is_gone
        self._version = ""
        self._renewed = 0.0

    def acquire(self) -> str:
        """Take the lock; return the holder from whom an abandoned one was taken, or nothing.

        Raises:
            LockedError: somebody holds it.
        """
        live = self._cluster.find(LEASE, *self._ref)
        if live is None:
            thing: Object = {
                "apiVersion": LEASE.version,
                "kind": LEASE.kind,
                "metadata": {"name": self._ref.name, "namespace": self._ref.namespace},
                "spec": self._spec(new=True),
            }
            try:
                self._keep(self._cluster.create(LEASE, thing))
            except ConflictError:
                return self.acquire()
            return ""
        holder = self.holder_of(live)
        if holder and holder != self._holder and not self._is_gone(holder):
            self._refuse_if_held(live, holder)
        self._version = str(live["metadata"].get("resourceVersion") or "")
        self._write(self._spec(new=True), "took the lock at the same moment")
        return "" if holder in ("", self._holder) else holder

    def holder_of(self, live: Object | None) -> str:
        """Return who holds a Lease; empty if nobody."""
        return str(((live or {}).get("spec") or {}).get("holderIdentity") or "")

    def renew(self) -> None:
        """Say that we are still here, every few seconds.

        Raises:
            LockedError: somebody took the lock.
        """
        if self._clock.monotonic() - self._renewed >= RENEW:
            self._write({"renewTime": self._now()}, "took the lock meanwhile")

    def release(self) -> None:
        """Let go; nobody has to wait until the lock runs out."""
        if self._version:
            self._write({"holderIdentity": "", "renewTime": self._now()}, "took the lock")
            self._version = ""

    def _refuse_if_held(self, live: Object, holder: str) -> None:
        spec = live.get("spec") or {}
        renewed = timestamp(spec.get("renewTime")) or datetime.min.replace(tzinfo=UTC)
        lasts = timedelta(seconds=int(spec.get("leaseDurationSeconds") or SECONDS))
        now = self._cluster.time()
        if renewed + lasts > now:
            ago = max(0, int((now - renewed).total_seconds()))
            left = int((renewed + lasts - now).total_seconds()) + 1
            raise LockedError(
                f"{holder} is rotating these certificates (seen {ago} s ago)",
                hint=f"if it is dead, its lock is free in {left} s",
            )

    def _write(self, spec: Object, what: str) -> None:
        patch = {"metadata": {"resourceVersion": self._version}, "spec": spec}
        try:
            self._keep(self._cluster.merge(LEASE, self._ref, patch))
        except ConflictError:
            live = self._cluster.find(LEASE, *self._ref)
            holder = self.holder_of(live)
            if live is not None and holder == self._holder:  # our own answer was lost
                self._version = str(live["metadata"].get("resourceVersion") or "")
                self._renewed = self._clock.monotonic()
                return
            raise LockedError(f"{holder or 'somebody'} {what}") from None

    def _keep(self, live: Object) -> None:
        self._version = str(live["metadata"].get("resourceVersion") or "")
        self._renewed = self._clock.monotonic()

    def _spec(self, *, new: bool) -> Object:
        spec: Object = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": SECONDS,
            "renewTime": self._now(),
        }
        return spec | ({"acquireTime": self._now()} if new else {})

    def _now(self) -> str:
        return self._cluster.time().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
