"""What is known of one pod, URL or file while it is being asked."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from egops.errors import EgopsError, InputError
from egops.gather.asker import CutError, said_in
from egops.handshakes import read
from egops.snapshot import Answers, Probe
from egops.xds.admin import Certificates, ClusterStatuses, ServerInfo, Stats
from egops.xds.config_dump import ConfigDump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from egops.gather.asker import Asker
    from egops.snapshot import Resource

A = TypeVar("A", bound=Answers)


def _json(raw: bytes) -> None:
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except msgspec.MsgspecError as exc:
        raise InputError(f"not JSON: {exc}") from None


# who parses a document, and the cached property of the snapshot that holds what came of it
PARSED: dict[Probe, tuple[str, Callable[[bytes], Any]]] = {
    Probe.CONFIG_DUMP: ("config", ConfigDump.parse),
    Probe.STATS: ("stats", Stats.parse),
    Probe.STATS_AGAIN: ("stats_again", Stats.parse),
    Probe.CLUSTERS: ("clusters", ClusterStatuses.parse),
    Probe.CERTS: ("certs", Certificates.parse),
    Probe.SERVER_INFO: ("server_info", ServerInfo.parse),
    Probe.METRICS: ("metrics", Stats.parse_prometheus),
    Probe.METRICS_AGAIN: ("metrics_again", Stats.parse_prometheus),
    Probe.EG_CONFIG_DUMP: ("", _json),
    Probe.LISTENER_TLS: ("handshakes", read),
    Probe.TLS: ("handshakes", read),
    Probe.RATE_LIMIT_TLS: ("handshakes", read),
    Probe.SERVER_TLS: ("handshakes", read),
}
AGAIN = {Probe.STATS_AGAIN: Probe.STATS, Probe.METRICS_AGAIN: Probe.METRICS}


@dataclass
class Draft:
    """The documents so far. Each of them is written by one thread."""

    name: str
    pod: Resource | None = None
    documents: dict[Probe, bytes] = field(default_factory=dict)
    failures: dict[Probe, str] = field(default_factory=dict)
    parsed: dict[str, Any] = field(default_factory=dict)
    asked_at: dict[Probe, float] = field(default_factory=dict)  # monotonic
    error: EgopsError | None = None  # why nobody was there

    def keep(self, probe: Probe, body: bytes) -> None:
        """Keep a document if it parses; it is parsed once, here."""
        if parser := PARSED.get(probe):
            name, parse = parser
            try:
                value = parse(body)
            except InputError as exc:
                self.failures[probe] = exc.message
                return
            if name:
                self.parsed[name] = value
        self.documents[probe] = body

    def fail(self, probes: Iterable[Probe], reason: str) -> None:
        """Say why these probes have no answer, unless they have one."""
        for probe in probes:
            if probe not in self.documents:
                self.failures.setdefault(probe, reason)

    def ask(self, asker: Asker, probes: Iterable[Probe]) -> None:
        """Ask for these documents one after the other; nobody there means none of the rest."""
        probes = [probe for probe in probes if probe not in self.failures]
        for index, probe in enumerate(probes):
            self.asked_at[probe] = time.monotonic()
            path = AGAIN.get(probe, probe).value
            try:
                answer = asker.ask(path)
            except CutError:
                raise
            except EgopsError as exc:
                self.fail(probes[index:], exc.message)
                self.error = exc
                return
            if answer.status == 200 or probe is Probe.READY:
                self.keep(probe, answer.body)
            else:
                said, status = said_in(answer.body), str(answer.status)
                said = said if said.startswith(status) else f"{status} {said}".strip()
                self.fail([probe], f"{path} answered {said}")

    def frozen(self, kind: type[A], probes: Iterable[Probe], late: str = "") -> A:
        """Return it as it is now; `probes` not answered yet fail with `late`."""
        documents, failures = self.documents.copy(), self.failures.copy()
        if late:
            for probe in probes:
                if probe not in documents:
                    failures.setdefault(probe, late)
        answers = kind(self.name, self.pod, documents, failures)
        # it was parsed to find out whether it parses: fill the cached properties with that
        vars(answers).update(self.parsed.copy())
        return answers
