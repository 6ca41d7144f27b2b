"""An installation before and after: the proxies that belong together, and what differs in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from egops.finding import CannotJudge, Unjudged
from egops.gatewayapi import (
    DAEMON_SET,
    DEPLOYMENT,
    KINDS,
    fleet_key,
    installs,
    is_proxy,
    per_snapshot,
)
from egops.proxies import location_of
from egops.snapshot import Location, Probe, Ref, items, section, text
from egops.upgrade.reach import CLAIMED, CLAIMS, Reach, explains, reach
from egops.xds.changes import compare
from egops.xds.effects import Effect, effects
from egops.xds.meaning import NOTHING, Part, meaning, rules
from egops.xds.names import ObjectName, parse_fleet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from egops.finding import Finding
    from egops.snapshot import Proxy, Resource, Snapshot


class Pair(NamedTuple):
    """One proxy of a fleet before, and one after."""

    fleet: str
    before: Proxy
    after: Proxy


def before(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot of before the upgrade.

    Raises:
        CannotJudge: none was given.
    """
    if snapshot.before is None:
        raise CannotJudge("no state before the upgrade is given (egops upgrade verify --snapshot)")
    return snapshot.before


@per_snapshot
def pairs(snapshot: Snapshot) -> tuple[Pair, ...]:
    """Return the fleets that have a readable configuration on both sides.

    Raises:
        CannotJudge: there is none.
    """
    old, new = _by_fleet(before(snapshot)), _by_fleet(snapshot)
    if len(old) == 1 and len(new) == 1 and not (set(old) & set(new)):
        (one,), (other,) = old.items(), new.items()
        # a saved dump does not always tell its fleet
        if not one[0] or not other[0]:
            return (Pair(one[0] or other[0], one[1], other[1]),)
    found = tuple(Pair(key, old[key], new[key]) for key in old if key in new)
    if not found:
        side = "before" if not old else "after" if not new else ""
        reason = f"no proxy's configuration was read {side} the upgrade" if side else ""
        raise CannotJudge(reason or "no fleet has proxies both before and after the upgrade")
    return found


def unpaired(snapshot: Snapshot) -> Iterator[Unjudged]:
    """Yield one reported skip for each fleet that can't be compared."""
    told = {pair.before.name for pair in pairs(snapshot)}
    for key, proxy in _by_fleet(before(snapshot)).items():
        if proxy.name not in told:
            yield Unjudged(f"fleet {key or proxy.name} not compared: no proxy of it was read now")


def _by_fleet(snapshot: Snapshot) -> dict[str, Proxy]:
    """Return one proxy with a configuration of each fleet: the youngest, which is up to date."""
    found: dict[str, Proxy] = {}
    for proxy in sorted(snapshot.proxies, key=_age):
        if proxy.has(Probe.CONFIG_DUMP):
            found[proxy.fleet] = proxy
    return dict(sorted(found.items()))


def _age(proxy: Proxy) -> str:
    return text(proxy.pod.metadata, "creationTimestamp") if proxy.pod is not None else ""


@per_snapshot
def all_effects(snapshot: Snapshot) -> tuple[Effect, ...]:
    """Return what differs in the configuration of the fleets, without Envoy Gateway's own."""
    return tuple(
        effect
        for pair in pairs(snapshot)
        for effect in effects(pair.before.config, pair.after.config)
        if not effect.part.own
    )


@per_snapshot
def rule_names(snapshot: Snapshot) -> tuple[str, ...]:
    """Return every route rule that Envoy has, before or after: `HTTPRoute/shop/cart/0`."""
    found: dict[str, None] = {}
    for pair in pairs(snapshot):
        parts = (meaning(proxy.config) for proxy in (pair.before, pair.after))
        found.update(dict.fromkeys(rules(*parts)))
    return tuple(sorted(found))


@per_snapshot
def _counts(snapshot: Snapshot) -> dict[str, int]:
    """Return how many parts of each section the proxies had before."""
    found: dict[str, int] = {}
    for pair in pairs(snapshot):
        for part in meaning(pair.before.config).values():
            if not part.own:
                found[part.section] = found.get(part.section, 0) + 1
    return found


def is_shared(snapshot: Snapshot, alike: list[Effect]) -> bool:
    """Return whether effects of one pattern are a new default: most parts of the kind show it."""
    if len(alike) < 2 or alike[0].change != "changed":
        return False
    return len(alike) * 2 > _counts(snapshot).get(alike[0].part.section, 0)


class Explained(NamedTuple):
    """An effect, and the predictions that account for it."""

    effect: Effect
    by: tuple[Finding, ...]


@per_snapshot
def explained(snapshot: Snapshot) -> tuple[Explained, ...]:
    """Return every effect with what was predicted of it."""
    return tuple(explain(snapshot, all_effects(snapshot)))


def explain(snapshot: Snapshot, found: Iterable[Effect]) -> Iterator[Explained]:
    """Yield effects with the predictions that account for them."""
    by_name, claiming = _index(snapshot)
    for effect in found:
        claimed = [claim.code for claim in CLAIMS if claim.covers(effect)]
        likely = [one for code in claimed for one in claiming.get(code, ())]
        if effect.part.owner is not None:
            likely += by_name.get(effect.part.owner, ())
        by = {id(one): one for one, about in likely if explains(one, about, effect)}
        yield Explained(effect, tuple(by.values()))


Predicted = tuple["Finding", Reach]


@per_snapshot
def _index(
    snapshot: Snapshot,
) -> tuple[dict[ObjectName, list[Predicted]], dict[str, list[Predicted]]]:
    """Return the predictions by the objects they are about, and those that claim something."""
    by_name: dict[ObjectName, list[Predicted]] = {}
    claiming: dict[str, list[Predicted]] = {}
    for finding, about in predictions(snapshot):
        if finding.code in CLAIMED:
            claiming.setdefault(finding.code, []).append((finding, about))
        for name in about.names:
            by_name.setdefault(name, []).append((finding, about))
    return by_name, claiming


@per_snapshot
def predictions(snapshot: Snapshot) -> tuple[tuple[Finding, Reach], ...]:
    """Return what the upgrade rules said of the state before, and which objects it is about."""
    past = before(snapshot)
    return tuple((finding, reach(past, finding)) for finding in snapshot.predicted or ())


# ------------------------------------------------------------------ what runs


@per_snapshot
def workload_effects(snapshot: Snapshot) -> tuple[Effect, ...]:
    """Return what differs in the pods of fleets and of the control plane, as they are written."""
    return (*_fleets(snapshot), *_controllers(snapshot))


def _fleets(snapshot: Snapshot) -> Iterator[Effect]:
    old, new = _workloads(before(snapshot)), _workloads(snapshot)
    for key, workload in old.items():
        if key in new:
            fleet = parse_fleet(key)
            kind = "GatewayClass" if fleet is None or fleet.merged else "Gateway"
            owner = ObjectName(kind, fleet.namespace if fleet else "", fleet.name if fleet else key)
            part = Part("workload", str(workload.ref), owner, None, NOTHING)
            yield from _of_pods(part, workload, new[key])


def _workloads(snapshot: Snapshot) -> dict[str, Resource]:
    found = (*snapshot.all(DEPLOYMENT), *snapshot.all(DAEMON_SET))
    return {fleet_key(each): each for each in found if is_proxy(each) and fleet_key(each)}


def _controllers(snapshot: Snapshot) -> Iterator[Effect]:
    old = {found.namespace: found.deployment for found in installs(before(snapshot))}
    for found in installs(snapshot):
        past = old.get(found.namespace)
        if past is not None and found.deployment is not None:
            owner = ObjectName("Deployment", past.namespace, past.name)
            yield from _of_pods(
                Part("controller", str(past.ref), owner, None, NOTHING), past, found.deployment
            )


def _of_pods(part: Part, old: Resource, new: Resource) -> Iterator[Effect]:
    for each in compare(_containers(old), _containers(new), ""):
        yield Effect("changed", part, each.path, each.old, each.new)


def _containers(workload: Resource) -> Mapping[str, Any]:
    template = section(workload.spec, "template", "spec")
    return {
        text(container, "name"): {
            key: container.get(key) for key in ("image", "ports", "args", "command", "resources")
        }
        for _, container in items(template, "containers")
    }


# ------------------------------------------------------------------ places


_BY_NAME = {kind.name: kind for kind in KINDS}


def location(
    snapshot: Snapshot,
    owner: ObjectName | None,
    rule: int | None = None,
    proxy: Proxy | None = None,
) -> Location:
    """Return where a finding about an object of Envoy's configuration points to.

    The object as it is, else as it was, else its name alone; without an object the proxy.
    """
    kind = _BY_NAME.get(owner.kind) if owner is not None else None
    if owner is None or kind is None:
        return location_of(proxy or pairs(snapshot)[0].after)
    path = () if rule is None else ("spec", "rules", rule)
    ref = Ref(kind, owner.namespace, owner.name)
    resource = snapshot.get(ref) or before(snapshot).get(ref)
    section_name = "" if rule is None else f"rule {rule}"
    if resource is None:
        return Location(ref, path, section=section_name)
    return resource.at(*path, section=section_name)
