"""EGD-441 configuration-rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PATCH_POLICY, OURS
from egops.proxies import (
    Fleet,
    age,
    ago,
    counted,
    fleet_refs,
    fleets,
    gateway_listener,
    location_of,
    sample_rises,
    short_name,
    unanswered,
    verb,
)
from egops.refusals import CLUSTER, LISTENER, ROUTES, SECRET, Refusal, kind_of_type, nacks, refusals
from egops.rules import rule
from egops.snapshot import Location, Probe, items, section, text
from egops.suspects import KINDS as SUSPECTS
from egops.suspects import suspects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Unjudged
    from egops.listeners import Listener
    from egops.snapshot import Snapshot


@rule(
    code="EGD-441",
    severity=Severity.ERROR,
    optional=(*OURS, ENVOY_PATCH_POLICY, *SUSPECTS),
    probes=(Probe.CONFIG_DUMP,),
    optional_probes=(
        Probe.STATS,
        Probe.STATS_AGAIN,
        Probe.PROXY_LOG,
        Probe.METRICS,
        Probe.METRICS_AGAIN,
        Probe.EG_LOG,
    ),
    since="0.1",
    ok="no proxy rejects its configuration",
)
def configuration_rejected(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A proxy rejects the configuration that Envoy Gateway sends it.

    ## Why it matters
    Envoy keeps serving the last configuration it accepted, so nothing seems wrong: pods stay Ready
    and the Gateway stays Programmed. But changes no longer arrive, and a proxy that starts now has
    no older configuration: it turns Ready without the rejected listener, route table or cluster.

    ## How to fix it
    Envoy's own words name what it cannot accept. Correct the object that made it: an
    EnvoyPatchPolicy, a Secret, a policy or a route. Until then do not restart, roll or scale the
    proxies. Rejected secrets are told by EGD-405.
    """
    for fleet in fleets(snapshot.proxies):
        for case in _cases(fleet, snapshot):
            yield _problem(case, snapshot)
    yield from unanswered(snapshot, Probe.CONFIG_DUMP)


class Case(NamedTuple):
    """One refused resource of a fleet, as all its proxies tell of it."""

    fleet: Fleet
    kind: str
    name: str
    refusals: tuple[Refusal, ...]
    said: tuple[str, ...]  # by the control plane
    said_reason: str

    @property
    def current(self) -> bool:
        """Return whether it is refused now, not only once."""
        return bool(self.said) or any(refusal.current for refusal in self.refusals)

    @property
    def reason(self) -> str:
        """Return Envoy's own words, or an empty string."""
        found = (r.reason for r in sorted(self.refusals, key=lambda r: not r.current) if r.reason)
        return next(found, self.said_reason)


def _cases(fleet: Fleet, snapshot: Snapshot) -> list[Case]:
    groups: Groups = {}
    for proxy in fleet.proxies:
        for refusal in refusals(proxy):
            if refusal.kind != SECRET:
                name = refusal.name if refusal.kind == LISTENER else ""
                groups.setdefault((refusal.kind, name), []).append(refusal)
    if sum(kind == LISTENER for kind, _ in groups) > 1:
        _drop_unnamed(groups)
    told = _told(fleet, snapshot)
    cases = []
    for (kind, name), found in sorted(groups.items(), key=_current_first):
        said, reason = told.pop(kind, ((), ""))
        cases.append(Case(fleet, kind, name, tuple(found), said, reason))
    cases += [
        Case(fleet, kind, "", (), said, reason)
        for kind, (said, reason) in sorted(told.items())
        if kind != SECRET
    ]
    return cases


Groups = dict[tuple[str, str], list[Refusal]]


def _drop_unnamed(groups: Groups) -> None:
    """Drop what only a counter tells of listeners if others tell their names."""
    if not any(refusal.current for refusal in groups.get((LISTENER, ""), [])):
        groups.pop((LISTENER, ""), None)


def _current_first(group: tuple[tuple[str, str], list[Refusal]]) -> tuple[bool, tuple[str, str]]:
    key, found = group
    return not any(refusal.current for refusal in found), key


def _told(fleet: Fleet, snapshot: Snapshot) -> dict[str, tuple[tuple[str, ...], str]]:
    """Return by kind what Envoy Gateway counted and logged of this fleet in the window."""
    nodes = {short_name(proxy) for proxy in fleet.proxies}
    found: dict[str, tuple[tuple[str, ...], str]] = {}
    for pod in snapshot.control_planes:
        logged = nacks(pod.log) if pod.has(Probe.EG_LOG) else []
        for rise in sample_rises(pod, "xds_nack_total"):
            node = rise.sample.labels.get("nodeID", "")
            kind = kind_of_type(rise.sample.labels.get("typeURL", ""))
            if node in nodes and kind:
                reasons = [nack.reason for nack in logged if nack.kind == kind]
                found[kind] = ((str(rise),), reasons[-1] if reasons else "")
    return found


def _problem(case: Case, snapshot: Snapshot) -> Problem:
    rejecting = [r for r in case.refusals if r.current] or list(case.refusals)
    container_port = next((r.port for r in rejecting if r.port), 0)
    listener = None
    if case.kind == LISTENER:
        listener = gateway_listener(snapshot, case.fleet, case.name, container_port)
    who = counted({r.proxy.name: r.proxy for r in rejecting}.values(), case.fleet.proxies)
    if not rejecting:
        who = "a proxy"
    what = _what(case, listener, container_port)
    since = min((r.since for r in rejecting if r.since), default=None)
    if not case.current:
        total = sum(r.count for r in rejecting)
        message = f"{who} rejected {what} {total} time{'s' if total != 1 else ''} since its start"
        last = max((r.since for r in rejecting if r.since), default=None)
        message += f", the last one {age(last, snapshot)} ago" if last else ""
    else:
        message = f"{who} {verb(who, 'reject')} {what}" + (
            f", {ago(since, snapshot)}" if since else ""
        )
    patches = _patches(case, listener, snapshot)
    blamed = [] if patches else suspects(case.reason, snapshot)
    return Problem(
        _location(case, listener, snapshot),
        message,
        impact=_impact(case, rejecting, what) if case.current else "",
        evidence=_evidence(case, rejecting),
        why=_why(case, patches, blamed),
        do_now=("do not restart, roll or scale these proxies",) if case.current else (),
        remedy=_remedy(case, patches, blamed),
        severity=None if case.current else Severity.INFO,
        related=(*(location_of(r.proxy) for r in rejecting), *(p for p, _ in patches), *blamed),
        explains=EXPLAINED if case.current else (),
        explains_refs=fleet_refs(case.fleet, snapshot),
    )


EXPLAINED = ("EGD-442", "EGD-444", "EGD-445", "EGD-446", "EGD-520")


def _what(case: Case, listener: Listener | None, container_port: int) -> str:
    if case.kind != LISTENER:
        names = sorted({r.name for r in case.refusals if r.name})
        plural = "" if case.kind == "endpoints" else "s"
        return f"{case.kind}{plural}" + (f" ({', '.join(names[:3])})" if names else "")
    if listener is not None:
        return f"the listener on port {listener.port}"
    if container_port:
        return f"the listener on port {container_port}"
    return f"listener {case.name}" if case.name else "a listener"


def _location(case: Case, listener: Listener | None, snapshot: Snapshot) -> Location:
    if listener is not None:
        return listener.at()
    at = case.fleet.location(snapshot)
    return Location(at.ref, at.path, at.origin, at.api_version, case.name or case.kind)


def _impact(case: Case, rejecting: list[Refusal], what: str) -> str:
    if rejecting and not any(refusal.serving for refusal in rejecting):
        if case.kind == LISTENER:
            return f"{what.removeprefix('the ')} refuses connections although the pods are Ready"
        return "these proxies never accepted any; requests that need them fail"
    without = what.rpartition(" on ")[2] if case.kind == LISTENER else "them"
    return (
        "Envoy keeps serving the old configuration; a proxy that restarts now comes up "
        f"without {without}"
    )


def _evidence(case: Case, rejecting: list[Refusal]) -> tuple[str, ...]:
    found = [
        f"{short_name(r.proxy)}: {r.evidence}" + (f": {r.reason}" if r.reason else "")
        for r in rejecting
    ]
    return (*found, *case.said)


def _why(case: Case, patches: list[tuple[Location, str]], blamed: list[Location]) -> str:
    reason = f'"{case.reason}"' if case.reason else ""
    whose = " and ".join(told for _, told in patches) or " or ".join(map(_spelled, blamed))
    if whose and reason:
        return f"{whose}: {reason}"
    return reason or whose


def _spelled(at: Location) -> str:
    """Return `HTTPRoute shop/cart spec.rules[0].matches[1].path.value`."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at.path)
    return f"{at.ref} {path.lstrip('.')}".strip()


def _remedy(
    case: Case, patches: list[tuple[Location, str]], blamed: list[Location]
) -> tuple[str, ...]:
    if patches and case.current:
        return (f"correct {_spelled(patches[0][0])}, or delete that patch",)
    if blamed and case.current:
        return (f"correct {' or '.join(map(_spelled, blamed))}",)
    if not case.current and all(refusal.is_over for refusal in case.refusals):
        return ("nothing: it was accepted since",)
    if not case.current:
        return (
            "see whether the last change arrived (egops inspect routes): whether the proxy still "
            "rejects it is not known, its log does not reach back to that time",
        )
    return (
        "correct the object that Envoy's words name; the last change to the Gateway, its policies "
        "and Secrets is the first suspect",
        "then run egops doctor again: the rejection ends with the next accepted update",
    )


TYPE_NAMES = {LISTENER: "Listener", CLUSTER: "Cluster", ROUTES: "RouteConfiguration"}


def _patches(
    case: Case, listener: Listener | None, snapshot: Snapshot
) -> list[tuple[Location, str]]:
    """Return the patches of EnvoyPatchPolicies that change the refused resource."""
    kinds = {
        LISTENER: "Listener",
        "cluster": "Cluster",
        "route configuration": "RouteConfiguration",
    }
    wanted = kinds.get(case.kind, "ClusterLoadAssignment")
    names = {r.name for r in case.refusals if r.name} | ({case.name} if case.name else set())
    gateways = {(g.namespace, g.name) for g in case.fleet.gateways(snapshot)}
    if listener is not None:
        gateways.add((listener.gateway.namespace, listener.gateway.name))
    found = []
    for policy in snapshot.all(ENVOY_PATCH_POLICY):
        target = section(policy.spec, "targetRef")
        whose = (policy.namespace, text(target, "name"))
        if gateways and text(target, "kind") == "Gateway" and whose not in gateways:
            continue
        for index, patch in items(policy.spec, "jsonPatches"):
            right_type = text(patch, "type").rpartition(".")[2] == wanted
            if right_type and (not names or text(patch, "name") in names):
                where = policy.at("spec", "jsonPatches", index)
                found.append((where, f"{policy.ref}, patch {index}"))
    return found
