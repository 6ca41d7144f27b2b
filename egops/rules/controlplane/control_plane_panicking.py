"""EGD-141 control-plane-panicking."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egops.eglog import failures
from egops.finding import Confidence, Problem, Severity
from egops.proxies import age, control_plane_location, sample_rises
from egops.rules import rule
from egops.snapshot import Probe, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.eglog import Failure
    from egops.finding import Unjudged
    from egops.snapshot import ControlPlane, Snapshot

METRIC = "watchable_panics_recovered_total"
FRAME = re.compile(
    r"github\.com/envoyproxy/gateway/(?:internal|api)/[^\s(]+(?:\([^)]*\)\.[^\s(]+)?"
)


@rule(
    code="EGD-141",
    severity=Severity.ERROR,
    probes=(Probe.METRICS,),
    optional_probes=(Probe.METRICS_AGAIN, Probe.EG_LOG),
    versions=((1, 3), None),
    since="0.1",
    ok="no panic was caught in Envoy Gateway since its start",
)
def control_plane_panicking(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """Envoy Gateway caught a panic: some object makes its translation fail.

    ## Why it matters
    The update that panicked is lost and the last configuration stays in place, while pods are
    Ready and Gateways Programmed. One object freezes the configuration of all Gateways: routes made
    later get no status, or say Accepted and are not served.

    ## How to fix it
    Remove or repair the object that the stack trace is about (usually the last one changed), and
    upgrade. Envoy Gateway recovers with the next change; the counter stays.
    """
    logged = {failure.pod.name: failure for failure in failures(snapshot, ("observed a panic",))}
    for pod in snapshot.control_planes:
        if not pod.has(Probe.METRICS):
            continue
        for sample in pod.metrics.of(METRIC):
            if sample.value > 0:
                runner = text(sample.labels, "runner")
                yield _problem(pod, runner, int(sample.value), logged.get(pod.name), snapshot)


def _problem(
    pod: ControlPlane, runner: str, count: int, failure: Failure | None, snapshot: Snapshot
) -> Problem:
    rising = [str(rise) for rise in sample_rises(pod, METRIC, runner=re.escape(runner))]
    over = not rising and failure is not None and failure.is_over
    unknown = not rising and failure is None
    frame = _frame(failure)
    last = failure.last.at if failure else None
    when = f", the last one {age(last, snapshot)} ago" if last else ""
    times = f"{count} time{'s' if count != 1 else ''}"
    return Problem(
        control_plane_location(pod),
        f"Envoy Gateway caught a panic in its runner {runner} {times} since its start{when}",
        impact="" if over else "the configuration is frozen: changes are accepted and not served",
        evidence=(f'{METRIC}{{runner="{runner}"}} {count}', *rising, *([frame] if frame else [])),
        why=frame or "the log does not reach back to it",
        do_now=() if over else ("do not restart proxies: they would come up with the old state",),
        remedy=("upgrade Envoy Gateway",)
        if over
        else (
            "repair or remove the object that was changed last (first suspect: a route "
            "without status), then upgrade Envoy Gateway",
            "report the stack trace of `observed a panic` in its log",
        ),
        severity=Severity.INFO if over else Severity.WARNING if unknown else None,
        confidence=Confidence.MEDIUM if unknown else Confidence.HIGH,
        explains=() if over else ("EGD-142", "EGD-144", "EGD-243", "EGD-446"),
    )


def _frame(failure: Failure | None) -> str:
    """Return the function that panicked: the first of Envoy Gateway's after the panic itself."""
    if failure is None:
        return ""
    trace = text(failure.last.fields, "stackTrace") or text(failure.last.fields, "stacktrace")
    _, _, after = trace.partition("\npanic(") if "\npanic(" in trace else trace.partition("\npanic")
    found = FRAME.search(after or trace)
    return f"in {found[0].rpartition('/')[2]}" if found else ""
