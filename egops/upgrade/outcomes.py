"""What became of each prediction, and how far the difference reaches: pure comparisons."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from egops.finding import CannotJudge, Severity
from egops.gatewayapi import (
    BACKEND,
    BACKEND_TLS_POLICY,
    EG_POLICY_KINDS,
    ENVOY_PROXY,
    GATEWAY,
    GATEWAY_CLASS,
    HTTP_ROUTE_FILTER,
    ROUTE_KINDS,
    SERVICE,
)
from egops.upgrade.compared import (
    all_effects,
    explain,
    explained,
    is_shared,
    pairs,
    predictions,
    rule_names,
    workload_effects,
)
from egops.upgrade.reach import CLAIMED, TOPICS, WORKLOADS, name_of
from egops.xds.meaning import meaning

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from egops.finding import Finding
    from egops.snapshot import Snapshot
    from egops.upgrade.reach import Reach
    from egops.xds.effects import Effect
    from egops.xds.names import ObjectName

# what rules of these codes tell is done by Kubernetes, by the controller's deployment or by Envoy
# itself: the configuration of proxies does not show it
_ELSEWHERE = {
    "EGU-1304": "how the extension server is called shows only when it fails",
    "EGU-1306": "whether a fleet is made at all, its conditions show",
    "EGU-1308": "the admin port is in the bootstrap",
    "EGU-1314": "how an address is resolved, Envoy's own DNS decides",
    "EGU-1315": "the autoscaler decides while it runs",
    "EGU-1323": "it is a support statement",
    "EGU-1326": "which addresses are internal, Envoy itself decides",
}
_SHOWN = (
    GATEWAY, *ROUTE_KINDS, *EG_POLICY_KINDS, BACKEND, BACKEND_TLS_POLICY, HTTP_ROUTE_FILTER,
    SERVICE,
)  # fmt: skip
_LOSSES = ("EGU-0002", "EGU-0003", "EGU-0004")
# the most telling part first
_TELLING = (
    "route", "virtual host", "filter chain", "listener", "endpoints", "cluster", "secret",
    "workload", "controller",
)  # fmt: skip
_GENERAL = (GATEWAY, GATEWAY_CLASS, ENVOY_PROXY)


class Outcome(Enum):
    """What became of a prediction."""

    HAPPENED = "happened"
    NOT = "did not happen"
    UNKNOWN = "not observable"


class Prediction(NamedTuple):
    """A finding of an upgrade rule, what became of it, and how that is known."""

    finding: Finding
    outcome: Outcome
    because: str


def outcomes(snapshot: Snapshot, observed: Iterable[Finding] = ()) -> tuple[Prediction, ...]:
    """Return what became of every prediction; `observed` are the findings of the comparison."""
    try:
        effects: tuple[Effect, ...] = all_effects(snapshot)
        seen = _seen(snapshot)
        blind = ""
    except CannotJudge as exc:
        effects, seen, blind = (), frozenset(), str(exc)
    if snapshot.before is None:
        return ()
    shown: dict[int, list[Effect]] = {}
    for effect, by in explain(snapshot, (*effects, *workload_effects(snapshot))):
        for finding in by:
            shown.setdefault(id(finding), []).append(effect)
    losses = [each for each in observed if each.code in _LOSSES]
    return tuple(
        _judge(finding, about, shown.get(id(finding), []), losses, seen, blind)
        for finding, about in predictions(snapshot)
    )


def _seen(snapshot: Snapshot) -> frozenset[ObjectName]:
    """Return the objects that the compared proxies have configuration of."""
    return frozenset(
        part.owner
        for pair in pairs(snapshot)
        for proxy in (pair.before, pair.after)
        for part in meaning(proxy.config).values()
        if part.owner is not None
    )


def _judge(
    finding: Finding,
    about: Reach,
    effects: list[Effect],
    losses: list[Finding],
    seen: frozenset[ObjectName],
    blind: str,
) -> Prediction:
    mine = sorted(
        (effect for effect in effects if _shows(finding, about, effect)),
        key=lambda effect: (
            effect.part.owner in about.gateways,
            _TELLING.index(effect.part.section),
        ),
    )
    if mine:
        more = f" (and {len(mine) - 1} more)" if len(mine) > 1 else ""
        return Prediction(finding, Outcome.HAPPENED, f"{mine[0]}{more}")
    if finding.code not in CLAIMED and finding.severity > Severity.INFO:
        for other in losses:
            if _is_of(other, about):
                text = f"{other.code} {other.at.ref}: {other.problem.message}"
                return Prediction(finding, Outcome.HAPPENED, text)
    if reason := _unseen(finding, about, seen, blind):
        return Prediction(finding, Outcome.UNKNOWN, reason)
    return Prediction(
        finding, Outcome.NOT, "the configuration of the proxies is the same for what it is about"
    )


def _shows(finding: Finding, about: Reach, effect: Effect) -> bool:
    """Return whether an effect that a finding accounts for is on an object of its own."""
    if finding.code not in CLAIMED or about.holds(effect):
        return True
    return finding.at.ref.kind not in _SHOWN and effect.part.section in WORKLOADS


def _is_of(observed: Finding, about: Reach) -> bool:
    """Return whether an observation is about one of the objects, by rule where both tell it."""
    name, path = name_of(observed.at.ref), observed.at.path
    if name in about.objects:
        return True
    numbers = {rule for owner, rule in about.rules if owner == name}
    if path[:2] == ("spec", "rules") and len(path) > 2:
        return path[2] in numbers
    return bool(numbers)


def _unseen(finding: Finding, about: Reach, seen: frozenset[ObjectName], blind: str) -> str:
    """Return why nothing can be said of a prediction, or an empty string."""
    kind = finding.at.ref.kind
    if reason := _ELSEWHERE.get(finding.code):
        return reason
    if kind not in _SHOWN:
        return f"what it changes in {kind.name}s is not in the configuration of the proxies"
    general = kind in _GENERAL and finding.severity == Severity.INFO
    if general and finding.code not in CLAIMED and finding.code not in TOPICS:
        return "it tells of the installation, not of one object's configuration"
    if blind:
        return blind
    if not about.names & seen:
        return "no compared proxy has configuration of it"
    return ""


# ------------------------------------------------------------------ blast radius


class Blast(NamedTuple):
    """How far the difference reaches."""

    rules: int  # route rules that Envoy has, before or after
    changed: Mapping[str, tuple[str, ...]]  # rule -> what differs, beyond what all share
    shared: Mapping[str, int]  # what many rules or listeners show alike -> how often
    codes: Mapping[str, tuple[str, ...]]  # rule, or shared difference -> codes that explain it
    others: tuple[str, ...]  # what differs and belongs to no rule


def blast(snapshot: Snapshot) -> Blast:
    """Return which rules behave otherwise, and which differences all of them share.

    Raises:
        CannotJudge: there are no two states to compare.
    """
    every = rule_names(snapshot)
    groups: dict[tuple[str, ...], list[tuple[Effect, tuple[str, ...]]]] = {}
    for effect, by in explained(snapshot):
        codes = tuple(dict.fromkeys(finding.code for finding in by))
        groups.setdefault(effect.pattern, []).append((effect, codes))
    changed: dict[str, list[str]] = {}
    shared: dict[str, int] = {}
    told: dict[str, tuple[str, ...]] = {}
    others: list[str] = []
    for (change, section, path, old, new), found in groups.items():
        claimed = any(set(codes) & CLAIMED for _, codes in found)
        if (claimed and len(found) > 1) or is_shared(snapshot, [effect for effect, _ in found]):
            text = f"{section}: {path}: {old} -> {new}" if path else f"{section} {change}"
            shared[text] = len(found)
            told[text] = _all_codes(found)
            continue
        for effect, codes in found:
            if name := effect.part.rule_name:
                changed.setdefault(name, []).append(str(effect))
                told[name] = tuple(dict.fromkeys((*told.get(name, ()), *codes)))
            else:
                others.append(str(effect))
                told[str(effect)] = codes
    return Blast(
        len(every), {k: tuple(v) for k, v in sorted(changed.items())}, shared, told, tuple(others)
    )


def _all_codes(found: list[tuple[Effect, tuple[str, ...]]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(code for _, codes in found for code in codes))
