"""EGD-459 proxy-admin-unreachable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import CannotJudge, Problem, Severity
from egops.proxies import fleets, is_saved, location_of, short_name
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Proxy, Snapshot

ADMIN = (
    Probe.CONFIG_DUMP, Probe.STATS, Probe.STATS_AGAIN, Probe.CLUSTERS, Probe.CERTS,
    Probe.SERVER_INFO, Probe.READY,
)  # fmt: skip


@rule(
    code="EGD-459",
    severity=Severity.WARNING,
    optional_probes=ADMIN,
    since="0.1",
    ok="the admin interface of every proxy answers",
)
def proxy_admin_unreachable(snapshot: Snapshot) -> Iterator[Problem]:
    """The admin interface of a proxy does not answer.

    ## Why it matters
    Without it nothing can be said of what the proxy really does, and the checks that need it are
    skipped. If it is reachable but silent, Envoy itself hangs.

    ## How to fix it
    If it is forbidden, grant `get` and `create` on `pods/portforward` in the namespace of the
    proxies. If it times out, look at the pod: a stopped or overloaded Envoy answers nothing.
    """
    asked = [proxy for proxy in snapshot.proxies if not is_saved(proxy)]
    if not asked:
        raise CannotJudge("no running Envoy was asked")
    for fleet in fleets(asked):
        by_reason: dict[str, list[Proxy]] = {}
        for proxy in fleet.proxies:
            failed = [probe for probe in ADMIN if probe in proxy.failures]
            if failed:
                reason = proxy.failures[failed[0]]
                by_reason.setdefault(reason.replace(short_name(proxy), "POD"), []).append(proxy)
        for reason, proxies in sorted(by_reason.items()):
            yield _problem(reason, proxies, len(fleet.proxies))


def _problem(reason: str, proxies: list[Proxy], total: int) -> Problem:
    first = proxies[0]
    asked = [probe for probe in ADMIN if probe in first.failures or first.has(probe)]
    failed = [probe for probe in ADMIN if probe in first.failures]
    told = reason.replace("POD", short_name(first))
    forbidden = "forbidden" in reason.lower()
    scope = "" if len(proxies) == 1 else f" ({len(proxies)} of {total} proxies)"
    part = "" if len(failed) == len(asked) else f" {len(failed)} of {len(asked)} requests"
    return Problem(
        location_of(first),
        f"the admin interface does not answer{part}{scope}: {told}",
        impact="checks of these proxies are skipped",
        evidence=tuple(f"{short_name(first)}: {p.value}: {first.failures[p]}" for p in failed),
        remedy=("grant get and create on pods/portforward in the namespace of the proxies",)
        if forbidden
        else ("see whether the pod is Ready and Envoy responds (EGD-448)",),
        related=tuple(location_of(proxy) for proxy in proxies[1:]),
    )
