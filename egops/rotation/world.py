"""What a rotation needs of the world: a cluster, eyes on every pod, a clock, somebody to tell.

Tests give a simulated fleet; the command line gives the real one (`live`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from egops.apply import Editor
    from egops.rotation.material import KeyPair

Object = dict[str, Any]


class Pod(NamedTuple):
    """A pod by name, and what matters of it."""

    namespace: str
    name: str
    node: str = ""
    stamp: str = ""  # which Secret its restart was for
    is_ready: bool = True
    is_leaving: bool = False

    def __str__(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"


class Met(NamedTuple):
    """How a server met a client.

    `leaf` is the SHA-256 fingerprint of what it showed, in hex, or empty. `accepted` is None where
    nobody answered, so that nothing can be said; `reason` then says why.
    """

    leaf: str = ""
    accepted: bool | None = None
    reason: str = ""


class Context(NamedTuple):
    """One TLS context that an Envoy really holds: paths and serial numbers (hex)."""

    ca_path: str = ""
    ca_serial: str = ""
    leaf_path: str = ""
    leaf_serial: str = ""


class Observer(Protocol):
    """Eyes on pods. Everything raises EgopsError where nobody answers."""

    def handshake(self, pod: Pod, port: int, client: KeyPair | None = None) -> Met:
        """Return how a server in a pod meets a client with this certificate."""

    def contexts(self, pod: Pod) -> Sequence[Context]:
        """Return the TLS contexts of an Envoy."""

    def counters(self, pod: Pod) -> Mapping[str, float]:
        """Return the counters and gauges of an Envoy."""

    def each(self, ask: Callable[[Pod], list[Awaited]], pods: Iterable[Pod]) -> list[Awaited]:
        """Return what all pods are still awaited for, asked one after another or at once."""


class Clock(Protocol):
    """The time that a wait takes; certificates are judged by the API server's clock instead."""

    def monotonic(self) -> float:
        """Return seconds that only rise."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


class Awaited(NamedTuple):
    """What a gate waits for: who, to do what, and what was seen instead."""

    who: str
    what: str
    seen: str = ""

    def __str__(self) -> str:
        """Return `pod a/b: accept the new CA on 18000 (unknown ca)`."""
        return f"{self.who}: {self.what}" + (f" ({self.seen})" if self.seen else "")


class Listener(Protocol):
    """Told what happens; the command line shows it on stderr."""

    def phase(self, title: str) -> None:
        """Tell that a phase begins."""

    def done(self, text: str) -> None:
        """Tell that something was written or proved."""

    def waiting(self, awaited: Sequence[Awaited], seconds: float) -> None:
        """Tell what is being waited for, and since when."""

    def note(self, text: str) -> None:
        """Tell what the reader should know."""


@dataclass(frozen=True)
class World:
    """All of it."""

    cluster: Editor
    observer: Observer
    clock: Clock
    listener: Listener

    def now(self) -> datetime:
        """Return the API server's time."""
        return self.cluster.time()
