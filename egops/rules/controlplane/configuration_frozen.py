"""EGD-142 configuration-frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.eglog import failures
from egops.finding import CannotJudge, Problem, Severity
from egops.proxies import ago, control_plane_location, sample_rises
from egops.rules import rule
from egops.snapshot import Probe, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.eglog import Failure
    from egops.proxies import SampleRise
    from egops.snapshot import ControlPlane, Snapshot

MESSAGES = (
    "skipped publishing xds resources", "failed to translate xds ir",
    "failed to generate a snapshot",
)  # fmt: skip


@rule(
    code="EGD-142",
    severity=Severity.ERROR,
    optional_probes=(Probe.EG_LOG, Probe.METRICS, Probe.METRICS_AGAIN),
    since="0.1",
    ok="Envoy Gateway publishes what it translates",
)
def configuration_frozen(snapshot: Snapshot) -> Iterator[Problem]:
    """Envoy Gateway can't translate its configuration and publishes none.

    ## Why it matters
    The proxies keep the last good configuration; changes look accepted and do not arrive. From 1.4
    one failure stops the publication for that Gateway; before, parts are published.

    ## How to fix it
    The error names the cause: an extension server that does not answer (EGD-600), an
    EnvoyPatchPolicy (EGD-345), or an object that can't be expressed. Envoy Gateway tries again only
    with the next change.
    """
    _require_an_answer(snapshot)
    said = set()
    for failure in failures(snapshot, MESSAGES):
        if not failure.is_over:
            said.add(failure.pod.name)
            yield _logged(failure, _rises(failure.pod), snapshot)
    for pod in snapshot.control_planes:
        rises = _rises(pod)
        if rises and pod.name not in said:
            yield Problem(
                control_plane_location(pod),
                "Envoy Gateway fails to translate its configuration",
                impact="changes are accepted and do not reach the proxies",
                evidence=tuple(str(rise) for rise in rises),
                remedy=("read the errors of its runner xds in the log",),
                explains=EXPLAINED,
            )


EXPLAINED = ("EGD-144", "EGD-309", "EGD-406", "EGD-446", "EGD-445")


def _require_an_answer(snapshot: Snapshot) -> None:
    asked = (Probe.EG_LOG, Probe.METRICS_AGAIN)
    if not any(pod.has(probe) for pod in snapshot.control_planes for probe in asked):
        reasons = [snapshot.unprobed[p] for p in asked if p in snapshot.unprobed]
        reasons += [r for pod in snapshot.control_planes for r in pod.failures.values()]
        raise CannotJudge(reasons[0] if reasons else "no Envoy Gateway pod was asked")


def _rises(pod: ControlPlane) -> list[SampleRise]:
    return list(sample_rises(pod, "watchable_subscribe_total", runner="xds.*", status="failure"))


def _logged(failure: Failure, rises: list[SampleRise], snapshot: Snapshot) -> Problem:
    whose = next(
        (found for key in ("key", "irKey", "gateway") if (found := text(failure.last.fields, key))),
        "",
    )
    since = ago(failure.first.at, snapshot)
    error = failure.last.error or failure.last.message
    return Problem(
        control_plane_location(failure.pod),
        "Envoy Gateway publishes no configuration"
        + (f" for {whose}" if whose else "")
        + (f", {since}" if since else ""),
        impact="changes are accepted and do not reach the proxies; they keep the last good state",
        evidence=(
            f"{failure.times} times: {failure.last.message}",
            error,
            *(str(rise) for rise in rises),
        ),
        why=error,
        do_now=("do not restart Envoy Gateway: a fresh one has no good configuration to serve",),
        remedy=_remedy(error),
        explains=EXPLAINED,
    )


def _remedy(error: str) -> tuple[str, ...]:
    if "rpc error" in error or "extension" in error:
        return (
            "restore the extension server that extensionManager names (EGD-600)",
            "then change any object: Envoy Gateway tries again only with the next change",
        )
    return ("repair the object that the error names; the next change publishes again",)
