"""What an Envoy Gateway pod says: metrics, its admin API, its log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from egops.errors import EgopsError
from egops.gather.api import Api, pod_path
from egops.gather.asker import CutError
from egops.snapshot import CONTROL_PLANE_PROBES, Probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from egops.gather import SourceOptions, Wanted
    from egops.gather.asker import Asker
    from egops.gather.draft import Draft
    from egops.gather.workers import Workers
    from egops.snapshot import Resource

GATEWAYS = "Envoy Gateway"  # the name under which progress hears of these pods
METRICS_PORT, ADMIN_PORT = 19001, 19000


def wanted_of(wanted: Wanted, source: SourceOptions) -> frozenset[Probe]:
    """Return the probes to ask for: a second reading needs the first one, and time."""
    probes = wanted.probes & CONTROL_PLANE_PROBES
    if Probe.METRICS_AGAIN in probes:
        probes |= {Probe.METRICS}
        if not source.window:
            probes -= {Probe.METRICS_AGAIN}
    return probes


def metrics_reader(
    draft: Draft,
    asker: Asker,
    probes: frozenset[Probe],
    source: SourceOptions,
    workers: Workers,
) -> Callable[[], None]:
    """Return the work that reads the metrics, and queues their second reading."""

    def again() -> None:
        try:
            draft.ask(asker, [Probe.METRICS_AGAIN])
        finally:
            asker.close()

    def first() -> None:
        draft.ask(asker, [Probe.METRICS])
        if Probe.METRICS_AGAIN not in probes:
            asker.close()
        elif reason := draft.failures.get(Probe.METRICS):
            draft.fail([Probe.METRICS_AGAIN], reason)
            asker.close()
        else:
            passed = time.monotonic() - draft.asked_at[Probe.METRICS]
            workers.submit(again, max(0.0, source.window - passed))

    return first


def config_reader(draft: Draft, asker: Asker) -> Callable[[], None]:
    """Return the work that reads the objects which Envoy Gateway has in memory (1.5 on)."""

    def read() -> None:
        try:
            draft.ask(asker, [Probe.EG_CONFIG_DUMP])
        finally:
            asker.close()
        reason = draft.failures.get(Probe.EG_CONFIG_DUMP, "")
        if " answered 404" in reason:
            draft.failures[Probe.EG_CONFIG_DUMP] = f"{reason}: Envoy Gateway has it from 1.5 on"

    return read


def read_log(
    api: Api, draft: Draft, pod: Resource, probe: Probe, container_lines: tuple[str, int]
) -> None:
    """Read the tail of a container's log."""
    container, lines = container_lines
    query = (("container", container), ("tailLines", str(lines)))
    try:
        draft.keep(probe, api.get(pod_path(pod.namespace, pod.name, "log"), query, accept="*/*"))
    except CutError:
        raise
    except EgopsError as exc:
        draft.fail([probe], exc.message)
