"""Run rules over a snapshot: gating, skips, crash isolation, settling, folding, suppression."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from egops import __version__
from egops.finding import (
    CannotJudge,
    Crash,
    Finding,
    Folded,
    Problem,
    Report,
    Severity,
    Skip,
    Suppressed,
    Unjudged,
)
from egops.gatewayapi import (
    CONFIG_MAP,
    DEPLOYMENT,
    ENVOY_GATEWAY,
    GATEWAY,
    GATEWAY_CLASS,
    NAMESPACE,
    REFERENCE_GRANT,
    installs,
    our_gateways,
    running_version,
)
from egops.snapshot import SourceType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from egops.rules import Rule
    from egops.snapshot import Snapshot


# Kinds that say whose an object is or what it may do; alone they give a rule nothing to judge.
CONTEXT = frozenset(
    {CONFIG_MAP, DEPLOYMENT, ENVOY_GATEWAY, GATEWAY_CLASS, NAMESPACE, REFERENCE_GRANT}
)


@dataclass(frozen=True)
class Options:
    """What the user asked of a run."""

    command: str = "doctor"
    min_severity: Severity = Severity.INFO
    suppress: Callable[[Finding, datetime], tuple[str, str] | None] | None = None
    baseline: frozenset[str] = frozenset()
    timed_out: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)


def run(rules: Iterable[Rule], snapshot: Snapshot, options: Options | None = None) -> Report:
    """Return what the rules say of the snapshot. Equal input gives an equal report."""
    options = options or Options()
    running = running_version(snapshot)
    found: list[Finding] = []
    skipped: list[Skip] = []
    crashed: list[Crash] = []
    ok: list[tuple[str, str]] = []
    judged = 0
    for rule in sorted(rules, key=lambda rule: rule.code):
        if reason := _blind(rule, snapshot, running):
            skipped.append(Skip(rule.code, reason))
            continue
        try:
            said = list(rule.check(snapshot))
        except CannotJudge as exc:
            skipped.append(Skip(rule.code, str(exc)))
            continue
        except Exception as exc:  # noqa: BLE001 - one broken rule must not hide what the others see
            error = f"{type(exc).__name__}: {exc}"
            crashed.append(Crash(rule.code, error, traceback.format_exc()))
            continue
        judged += 1
        unjudged = [Skip(rule.code, part.reason) for part in said if isinstance(part, Unjudged)]
        unjudged += [Skip(rule.code, reason) for reason in _half_blind(rule, snapshot)]
        findings = [
            _stamp(rule, problem)
            for problem in said
            if isinstance(problem, Problem) and (problem.settled or snapshot.strict)
        ]
        found += findings
        skipped += unjudged
        if not findings and not unjudged:
            ok.append((rule.code, rule.ok))
    report = _report(options, snapshot, found, skipped, crashed)
    return replace(report, ok=tuple(ok), judged=judged)


def _report(
    options: Options,
    snapshot: Snapshot,
    found: list[Finding],
    skipped: list[Skip],
    crashed: list[Crash],
) -> Report:
    kept, suppressed = _suppress(found, options, snapshot)
    shown, folded = _fold(kept)
    return Report(
        command=options.command,
        version=__version__,
        source=snapshot.source,
        taken_at=snapshot.taken_at,
        facts={**_facts(snapshot), **options.facts},
        findings=tuple(f for f in shown if f.severity >= options.min_severity),
        folded=tuple(f for f in folded if f.finding.severity >= options.min_severity),
        suppressed=suppressed,
        skipped=tuple(sorted(set(skipped), key=lambda skip: (skip.code, skip.reason))),
        crashed=tuple(crashed),
        broken=snapshot.broken,
        notes=snapshot.notes,
        timed_out=options.timed_out,
    )


def _blind(rule: Rule, snapshot: Snapshot, running: tuple[int, ...] | None) -> str:
    """Return why the rule can't judge this snapshot, or an empty string."""
    if not rule.applies_to(running):
        return "not applicable to this Envoy Gateway release"
    unread = sorted(kind for kind in rule.reads if kind in snapshot.unread)
    reasons = [f"{kind.plural}: {snapshot.unread[kind]}" for kind in unread]
    for probe in rule.probes:
        if probe in snapshot.unprobed:
            reasons.append(snapshot.unprobed[probe])
        elif probe.of_proxy and not snapshot.proxies:
            reasons.append("no Envoy was asked")
        elif probe.of_control_plane and not snapshot.control_planes:
            reasons.append("no Envoy Gateway pod was asked")
    if not reasons and snapshot.source.type is not SourceType.CLUSTER:
        reasons = _not_given(rule, snapshot)
    return "; ".join(dict.fromkeys(reasons))


def _not_given(rule: Rule, snapshot: Snapshot) -> list[str]:
    """Return the reason to skip a rule that finds nothing of its own in what was given."""
    asked = [*snapshot.proxies, *snapshot.control_planes]
    if rule.probes or (rule.optional_probes and asked):
        return []
    kinds = (*rule.reads, *rule.optional)
    judged = [kind for kind in kinds if kind not in CONTEXT] or kinds
    if rule.reads == (ENVOY_GATEWAY,):  # the configuration itself is judged
        judged = rule.reads
    if any(snapshot.all(kind) for kind in judged):
        return []
    if names := [kind.name for kind in rule.reads or judged]:
        more = f" or {len(names) - 3} other kinds" if len(names) > 3 else ""
        return [f"no {' or '.join(names[:3])}{more} in the input"]
    return ["no Envoy was asked"] if rule.optional_probes else []


def _half_blind(rule: Rule, snapshot: Snapshot) -> list[str]:
    unread = sorted(kind for kind in rule.optional if kind in snapshot.unread)
    return [f"{kind.plural} not judged: {snapshot.unread[kind]}" for kind in unread]


def _stamp(rule: Rule, problem: Problem) -> Finding:
    severity = rule.severity
    if problem.severity is not None:
        severity = min(problem.severity, rule.severity)
    return Finding(rule.code, rule.name, severity, problem, rule.docs)


def _suppress(
    found: list[Finding], options: Options, snapshot: Snapshot
) -> tuple[list[Finding], tuple[Suppressed, ...]]:
    kept, suppressed = [], []
    for finding in sorted(found, key=lambda finding: finding.order):
        if finding.fingerprint in options.baseline:
            suppressed.append(Suppressed(finding, "known before", "baseline"))
        elif options.suppress and (why := options.suppress(finding, snapshot.taken_at)):
            suppressed.append(Suppressed(finding, *why))
        else:
            kept.append(finding)
    return kept, tuple(suppressed)


def _fold(found: list[Finding]) -> tuple[list[Finding], list[Folded]]:
    """Hide the findings that another one explains, behind the topmost root."""
    explainers = _explainers(found)
    above: dict[int, Finding] = {}
    for finding in found:
        for key in ((finding.code, ""), (finding.code, str(finding.at.ref))):
            for root in explainers.get(key, ()):
                if root is not finding and root.severity >= finding.severity:
                    above.setdefault(id(finding), root)
    folded = []
    for finding in found:
        root, seen = finding, {id(finding)}
        while (up := above.get(id(root))) is not None and id(up) not in seen:
            seen.add(id(up))
            root = up
        # a root that is itself explained closes a circle: there nobody explains anybody
        if root is not finding and id(root) not in above:
            folded.append(Folded(finding, root))
    hidden = {id(fold.finding) for fold in folded}
    return [finding for finding in found if id(finding) not in hidden], folded


def _explainers(found: list[Finding]) -> dict[tuple[str, str], list[Finding]]:
    """Return who explains a code, for any object (`""`) or for one."""
    explainers: dict[tuple[str, str], list[Finding]] = {}
    for finding in found:
        problem = finding.problem
        for code in problem.explains:
            for ref in problem.explains_refs or ("",):
                explainers.setdefault((code, ref), []).append(finding)
    return explainers


def _facts(snapshot: Snapshot) -> dict[str, str]:
    """Return what the header tells of the installation."""
    facts = {}
    versions = {
        ".".join(map(str, install.version)) for install in installs(snapshot) if install.version
    }
    if versions:
        facts["egVersion"] = ", ".join(sorted(versions))
    if snapshot.knows(GATEWAY):
        facts["gateways"] = str(len(our_gateways(snapshot)))
    if snapshot.proxies:
        facts["proxies"] = str(len(snapshot.proxies))
    if snapshot.kubernetes_version:
        facts["kubernetesVersion"] = snapshot.kubernetes_version
    return facts
