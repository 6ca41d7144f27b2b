"""EGD-146 infrastructure-apply-failing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.eglog import failures
from egops.finding import CannotJudge, Problem, Severity
from egops.proxies import ago, control_plane_location, sample_rises
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.eglog import Failure
    from egops.proxies import SampleRise
    from egops.snapshot import ControlPlane, Snapshot

MESSAGES = (
    "failed to create new infra",
    "failed to create or update",
    "failed to create ratelimit infra",
)


@rule(
    code="EGD-146",
    severity=Severity.ERROR,
    optional_probes=(Probe.EG_LOG, Probe.METRICS, Probe.METRICS_AGAIN),
    since="0.1",
    ok="Envoy Gateway creates and updates the proxies it wants",
)
def infrastructure_apply_failing(snapshot: Snapshot) -> Iterator[Problem]:
    """Envoy Gateway can't create or update the proxies of a Gateway.

    ## Why it matters
    New Gateways get no proxy, and existing ones keep their old Deployment or Service: ports,
    replicas and images do not change.

    ## How to fix it
    The API server's words tell: a quota, a permission, Pod Security, an admission webhook, or a
    field that can't be changed in place; then delete that one Deployment or Service, and Envoy
    Gateway makes it anew.
    """
    asked = (Probe.EG_LOG, Probe.METRICS_AGAIN)
    if not any(pod.has(probe) for pod in snapshot.control_planes for probe in asked):
        raise CannotJudge("neither log nor metrics of Envoy Gateway were read")
    logged = {failure.pod.name: failure for failure in failures(snapshot, MESSAGES)}
    for pod in snapshot.control_planes:
        rises = list(sample_rises(pod, "resource_apply_total", status="failure"))
        failure = logged.get(pod.name)
        if rises or (failure is not None and not failure.is_over):
            yield _problem(pod, rises, failure, snapshot)


def _problem(
    pod: ControlPlane, rises: list[SampleRise], failure: Failure | None, snapshot: Snapshot
) -> Problem:
    names = sorted(
        {
            f"{rise.sample.labels.get('kind', '')} {rise.sample.labels.get('namespace', '')}/"
            f"{rise.sample.labels.get('name', '')}"
            for rise in rises
        }
    )
    error = failure.last.error if failure else ""
    since = ago(failure.first.at, snapshot) if failure else ""
    return Problem(
        control_plane_location(pod),
        f"Envoy Gateway can't write {', '.join(names) or 'the proxies it wants'}"
        + (f", {since}" if since else ""),
        impact="new Gateways get no proxy, existing ones keep their old Deployment and Service",
        evidence=(*(str(rise) for rise in rises), *([error] if error else [])),
        why=error,
        remedy=_remedy(error.lower()),
        explains=("EGD-206", "EGD-216", "EGD-223", "EGD-571"),
    )


def _remedy(error: str) -> tuple[str, ...]:
    if "immutable" in error:
        return ("delete that object once: Envoy Gateway makes it anew (its proxies restart)",)
    if "forbidden" in error and "quota" in error:
        return ("raise the ResourceQuota of that namespace",)
    if "forbidden" in error:
        return ("grant Envoy Gateway's service account what the error names (EGD-108)",)
    if "webhook" in error:
        return ("see what the admission webhook objects to",)
    return ("remove what the API server objects to",)
