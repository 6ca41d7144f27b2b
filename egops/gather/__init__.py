"""The only way in: read the world once and freeze it into a Snapshot.

    snapshot = gather(source, Wanted(kinds, probes), progress)

Every source gives the same Snapshot: a cluster, files, an Envoy's admin port, saved dumps.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from egops.rules import Rule
    from egops.snapshot import Kind, Probe, Snapshot


@dataclass(frozen=True)
class SourceOptions:
    """Where to look, as the user said it. Nothing said means: the cluster of the kubeconfig.

    `files` may hold `-` for standard input, folders and globs, or be one bundle. `config_dumps`
    likewise are files or `-`. `admin` are URLs of Envoy admin ports. Files, dumps and URLs combine;
    with a cluster they don't.
    """

    files: tuple[str, ...] = ()
    config_dumps: tuple[str, ...] = ()
    admin: tuple[str, ...] = ()
    kubeconfig: str = ""
    context: str = ""
    as_user: str = ""
    as_groups: tuple[str, ...] = ()
    namespace: str = ""  # read alone where listing all namespaces is forbidden
    request_timeout: float = 10.0  # seconds, for each request
    timeout: float = 0.0  # seconds, for all of it; 0 for none
    via: str = "port-forward"  # or `exec`
    admin_port: int = 19000
    max_pods: int = 10
    concurrency: int = 8
    window: float = 10.0  # seconds between the two reads of counters
    log_lines: int = 2000
    strict: bool = False
    prometheus: str = ""  # its URL; in a cluster one is looked for if none is given
    prometheus_token: str = field(default="", repr=False)
    prometheus_user: str = field(default="", repr=False)  # `user:password`
    prometheus_ca: str = ""  # a file
    prometheus_headers: tuple[str, ...] = field(default=(), repr=False)  # `X-Scope-OrgID: team`
    now: datetime | None = None  # the clock, for tests and `--at`
    servers: tuple[str, ...] = ()  # TLS servers: `host:port`
    server_name: str = ""  # the name to ask them for; the host's if empty
    trust_file: str = ""  # the CAs to verify them against; the system's if empty

    @property
    def is_cluster(self) -> bool:
        """Return whether a cluster is to be asked."""
        return not (self.files or self.config_dumps or self.admin or self.servers)


@dataclass(frozen=True)
class Wanted:
    """What the chosen rules (or a command) declare they read; nothing else is asked for."""

    kinds: frozenset[Kind] = frozenset()
    probes: frozenset[Probe] = frozenset()
    proxies: frozenset[str] = frozenset()  # only these fleets or pods; empty for all
    queries: frozenset[str] = field(default_factory=frozenset)  # PromQL

    @classmethod
    def by(cls, rules: Iterable[Rule]) -> Wanted:
        """Return what these rules read."""
        rules = tuple(rules)
        return cls(
            frozenset(kind for rule in rules for kind in (*rule.reads, *rule.optional)),
            frozenset(probe for rule in rules for probe in (*rule.probes, *rule.optional_probes)),
            queries=frozenset(query for rule in rules for query in rule.queries),
        )


class Progress(Protocol):
    """Told what is being read; the command line shows it on stderr, tests ignore it."""

    def start(self, source: str, total: int | None = None) -> None:
        """Tell that a source (`httproutes`, `pod a/b`) is being read."""

    def advance(self, source: str, count: int = 1) -> None:
        """Tell that so many more parts of it are there."""

    def done(self, source: str, note: str = "") -> None:
        """Tell that it was read, or why not (`note`)."""


class Quiet:
    """Progress that nobody wants to see."""

    def start(self, source: str, total: int | None = None) -> None:
        """Say nothing."""

    def advance(self, source: str, count: int = 1) -> None:
        """Say nothing."""

    def done(self, source: str, note: str = "") -> None:
        """Say nothing."""


def gather(source: SourceOptions, wanted: Wanted, progress: Progress | None = None) -> Snapshot:
    """Return the frozen picture of what `source` names.

    Raises:
        InputError: a file or URL is not what it should be, and nothing else was given.
        UnreachableError, AccessError: the API server can't be asked at all.
        TimeoutReached: `source.timeout` ran out before anything could be judged.
    """
    from egops.gather.assemble import assemble  # noqa: PLC0415 - readers load heavy libraries

    with collector_paused():
        return assemble(source, wanted, progress or Quiet())


def is_bundle(file: str) -> bool:
    """Return whether a file is a saved snapshot, by its name."""
    return file.endswith(".zip") and Path(file).is_file()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector from walking millions of fresh values that all stay alive."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
