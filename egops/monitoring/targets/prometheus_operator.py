"""Rules as a PrometheusRule (or VMRule) that the live Prometheus (or VMAlert) really selects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egops.apply import Api
from egops.errors import InputError
from egops.monitoring.targets.kubernetes import KubernetesTarget
from egops.monitoring.targets.selectors import matches, satisfying

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egops.apply import Cluster, Object
    from egops.monitoring.targets import Content

NAMESPACE = Api("v1", "Namespace", "namespaces")
NAME = "egops-envoy-gateway"


@dataclass(frozen=True, slots=True)
class Family:
    """An operator's kinds: the rule object, and who evaluates it."""

    rule: Api
    evaluator: Api
    operator: str
    nil_selects_all: str = ""  # a field of the evaluator that makes a missing selector mean all


PROMETHEUS = Family(
    Api("monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules"),
    Api("monitoring.coreos.com/v1", "Prometheus", "prometheuses"),
    "prometheus-operator",
)


@dataclass(frozen=True, slots=True)
class Fit:
    """Where a rule object must be and what it must carry for one evaluator."""

    evaluator: str
    labels: dict[str, str]
    namespaces: tuple[str, ...]  # empty: any


def fits(cluster: Cluster, family: Family, wanted: str = "") -> list[Fit]:
    """Return what each evaluator wants; raise InputError if there is none or it selects nothing."""
    evaluators = cluster.list(family.evaluator)
    if evaluators is None:
        raise InputError(f"the cluster has no {family.operator}: its CRDs are missing")
    chosen = [one for one in evaluators if not wanted or wanted in _names(one)]
    if not chosen:
        named = f" named {wanted}" if wanted else ""
        raise InputError(f"no {family.evaluator.kind} object{named} was found")
    namespaces = cluster.list(NAMESPACE) or []
    return [_fit(one, family, namespaces) for one in chosen]


def _names(thing: Object) -> tuple[str, str]:
    meta = thing["metadata"]
    return meta["name"], f"{meta['namespace']}/{meta['name']}"


def _fit(evaluator: Object, family: Family, namespaces: Sequence[Object]) -> Fit:
    spec, meta = evaluator.get("spec") or {}, evaluator["metadata"]
    name = f"{family.evaluator.kind} {meta['namespace']}/{meta['name']}"
    selector = spec.get("ruleSelector")
    all_by_default = bool(family.nil_selects_all and spec.get(family.nil_selects_all))
    if selector is None and not all_by_default:
        raise InputError(
            f"{name} has no ruleSelector, so it loads no rule objects",
            hint="set spec.ruleSelector to {}, or use --to files",
        )
    labels = satisfying(selector or {})
    if labels is None:
        raise InputError(f"the ruleSelector of {name} contradicts itself")
    where = spec.get("ruleNamespaceSelector")
    if where is None:
        allowed = () if all_by_default else (meta["namespace"],)
    else:
        allowed = (
            tuple(
                one["metadata"]["name"]
                for one in namespaces
                if matches(where, one["metadata"].get("labels") or {})
            )
            if where
            else ()
        )
        if where and not allowed:
            raise InputError(f"the ruleNamespaceSelector of {name} matches no namespace")
    return Fit(name, labels, allowed)


def target(
    cluster: Cluster, *, namespace: str = "", wanted: str = "", family: Family = PROMETHEUS
) -> KubernetesTarget:
    """Return the target that all chosen evaluators select.

    Raises InputError when two of them want labels or namespaces that do not go together.
    """
    found = fits(cluster, family, wanted)
    labels: dict[str, str] = {}
    for fit in found:
        clash = {key for key, value in fit.labels.items() if labels.get(key, value) != value}
        if clash:
            raise InputError(
                f"{found[0].evaluator} and {fit.evaluator} select rules by different values of "
                f"{', '.join(sorted(clash))}",
                hint="choose one with --evaluator NAMESPACE/NAME",
            )
        labels |= fit.labels
    notes = tuple(
        f"{fit.evaluator} selects "
        + (", ".join(f"{key}={value}" for key, value in fit.labels.items()) or "every rule object")
        + "."
        for fit in found
    )
    place = _namespace(found, namespace)
    return KubernetesTarget(cluster, family.rule, place, _objects, labels, notes=notes)


def _namespace(found: Sequence[Fit], wanted: str) -> str:
    """Return the namespace for the object: the wanted one if all look there, else the first fit."""
    for fit in found:
        if wanted and fit.namespaces and wanted not in fit.namespaces:
            raise InputError(
                f"{fit.evaluator} does not load rules from namespace {wanted}",
                hint=f"it does from: {', '.join(fit.namespaces)}",
            )
    if wanted:
        return wanted
    limited = [set(fit.namespaces) for fit in found if fit.namespaces]
    if not limited:
        return found[0].evaluator.partition(" ")[2].partition("/")[0]
    shared = set.intersection(*limited)
    if not shared:
        names = " and ".join(fit.evaluator for fit in found)
        raise InputError(
            f"no namespace is looked at by {names}", hint="choose one with --evaluator"
        )
    home = found[0].evaluator.partition(" ")[2].partition("/")[0]
    return home if home in shared else min(shared)


def _objects(content: Content) -> dict[str, dict[str, Any]]:
    return {NAME: {"spec": {"groups": list(content.groups)}}}
