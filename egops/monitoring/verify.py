"""Ask a live Prometheus every query that boards and alerts ask, and say why one has no data."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from egops.errors import EgopsError, InputError
from egops.monitoring.metrics import ALWAYS, Metric, known
from egops.monitoring.promql import Selector, has_condition, selectors, windows
from egops.monitoring.scrapes import failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egops.monitoring.metrics import Source
    from egops.monitoring.questions import Question


class Asked(Protocol):
    """What is needed of a Prometheus; `egops.monitoring.prometheus.Prometheus` is one."""

    def count(self, expr: str) -> int:
        """Return how many series an expression has now."""

    def metric_names(self) -> frozenset[str]:
        """Return the names of all metrics."""

    def targets(self) -> list[dict[str, Any]] | None:
        """Return the active scrape targets, or None if that is not known."""


class Verdict(StrEnum):
    """What became of a query."""

    DATA = "data"
    QUIET = "quiet"  # no data, and that is right: nothing happened, feature not used
    BLIND = "blind"  # no data, and something is missing that should be there
    ERROR = "error"  # the query was refused


@dataclass(frozen=True, slots=True)
class Verified:
    """One query and its verdict; `reason` and `fix` are clauses, `fix` may be empty."""

    question: Question
    verdict: Verdict
    series: int = 0
    reason: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Facts:
    """What the cluster can tell that Prometheus cannot; all of it may be unknown.

    `version` is the running Envoy Gateway's, such as (1, 3). `switched_off` names EnvoyProxies
    without Prometheus metrics, `filtered` those with a stats matcher.
    """

    version: tuple[int, ...] = ()
    switched_off: tuple[str, ...] = ()
    filtered: tuple[str, ...] = ()


@dataclass
class Verifier:
    """Verifies queries against one Prometheus; what it learns serves the next query."""

    prometheus: Asked
    facts: Facts = field(default_factory=Facts)
    _counts: dict[str, int] = field(default_factory=dict)

    def verify(self, questions: Iterable[Question]) -> Iterator[Verified]:
        """Yield a verdict for each query, in order. Only losing Prometheus itself raises."""
        for question in questions:
            yield self._verdict(question)

    def _verdict(self, question: Question) -> Verified:
        try:
            count = self._count(question.expr)
            if count:
                met = "its condition is met" if question.alert else ""
                return Verified(question, Verdict.DATA, count, met)
            return self._empty(question)
        except EgopsError as exc:
            # one query too heavy or refused is its own trouble; no answer at all is everybody's
            if not self._counts and not isinstance(exc, InputError):
                raise
            return Verified(question, Verdict.ERROR, reason=exc.message)

    def _empty(self, question: Question) -> Verified:
        asked = selectors(question.expr)
        missing = [selector for selector in asked if not self._count(str(selector))]
        if not missing:
            return Verified(question, Verdict.QUIET, reason=self._silent(question))
        reasons = [self._missing(selector) for selector in missing]
        verdict, reason, fix = max(reasons, key=lambda found: _RANK[found[0]])
        if len(missing) < len(asked) and _is_either_or(question.expr):
            # two spellings of one thing, or several causes: what is there has answered
            return Verified(question, Verdict.QUIET, reason=self._silent(question))
        return Verified(question, verdict, reason=reason, fix=fix)

    def _silent(self, question: Question) -> str:
        # a range without a sample is of a series that is not born, of which nothing is to be said
        ranges = [one for one in windows(question.expr) if self._count(f"count_over_time({one})")]
        if ranges and not any(self._count(f"count_over_time({one}) > 1") for one in ranges):
            return "there are series, but not yet two samples in the window"
        if has_condition(question.expr):
            return "its condition is not met" if question.alert else "nothing meets its condition"
        return "there are series, but none fits another"

    def _count(self, expr: str) -> int:
        if expr not in self._counts:
            self._counts[expr] = self.prometheus.count(expr)
        return self._counts[expr]

    def _missing(self, selector: Selector) -> tuple[Verdict, str, str]:
        """Return why a selector matches nothing: verdict, reason, fix."""
        name = selector.name or selector.pattern
        if self._exists(selector):
            return self._no_match(selector, known(name))
        metric = known(name)
        if metric is None:
            return Verdict.BLIND, f"nothing exports {name}", ""
        if not metric.source.markers:
            return self._no_rules(metric)
        if not self._scraped(metric.source):
            return self._not_scraped(metric.source)
        return self._not_born(metric)

    def _scraped(self, source: Source) -> bool:
        return any(self._count(marker) for marker in source.markers)

    def _exists(self, selector: Selector) -> bool:
        if selector.name:
            return selector.name in self._names
        pattern = re.compile(selector.pattern)
        return any(pattern.fullmatch(name) for name in self._names)

    @cached_property
    def _names(self) -> frozenset[str]:
        return self.prometheus.metric_names()

    def _no_match(self, selector: Selector, metric: Metric | None) -> tuple[Verdict, str, str]:
        """Explain a metric that exists and yet does not match: a label, a value, or the past."""
        name = selector.name or selector.pattern
        if not self._count(str(Selector(selector.name, selector.pattern, ()))):
            return self._gone(metric, name)
        for matcher in selector.matchers:
            without = selector.without(matcher.label)
            if self._count(str(without)):
                if matcher.label in _TARGET_LABELS and not self._has(without, matcher.label):
                    return self._unlabelled(name, [matcher.label], metric)
                return self._label(selector, matcher.label)
        counted = [one for one in selector.matchers if one.label in _COUNTED_LABELS]
        if counted and self._count(str(selector.without(*_COUNTED_LABELS))):
            shown = ", ".join(map(str, counted))
            return Verdict.QUIET, f"no series of {name} has {shown}: none was counted so far", ""
        bare = Selector(selector.name, selector.pattern, ())
        lacking = [one for one in _target_labels(selector) if not self._has(bare, one)]
        if lacking:
            return self._unlabelled(name, lacking, metric)
        shown = ", ".join(map(str, selector.matchers))
        return Verdict.QUIET, f"no series of {name} has {shown}", ""

    def _gone(self, metric: Metric | None, name: str) -> tuple[Verdict, str, str]:
        if metric is not None and metric.source.markers:
            down = failure(self._targets or [], metric.source)
            if not self._scraped(metric.source):
                gone = down or f"{metric.source.name} was scraped and is no longer"
                return Verdict.BLIND, gone, metric.source.fix
        if metric is not None and metric.birth != ALWAYS:
            since = f"not since the last start: born with {metric.birth}"
            return Verdict.QUIET, f"{name} existed, {since}", ""
        return Verdict.QUIET, f"{name} existed and has no series now", ""

    def _has(self, selector: Selector, label: str) -> bool:
        return bool(self._count(str(selector.having(label))))

    def _unlabelled(
        self, name: str, labels: list[str], metric: Metric | None
    ) -> tuple[Verdict, str, str]:
        word = "label" if len(labels) == 1 else "labels"
        shown = f"{word} {' and '.join(labels)}"
        if metric is not None and self._only_by_otlp(metric.source):
            reason = f"series of {name} come over OTLP, without the {shown}"
            return Verdict.BLIND, reason, metric.source.fix
        fix = f"make the scrape add the {shown}"
        return Verdict.BLIND, f"series of {name} have no {shown}", fix

    def _only_by_otlp(self, source: Source) -> bool:
        """Return whether a source's metrics come through a collector and not from itself."""
        return bool(source.otlp and self._count(source.otlp) and not self._count(source.markers[0]))

    def _label(self, selector: Selector, label: str) -> tuple[Verdict, str, str]:
        name = selector.name or selector.pattern
        if label == "envoy_cluster_name" and name.startswith("envoy_cluster_ssl_"):
            # only clusters with TLS have these; the control plane's own always do
            return Verdict.QUIET, "no backend that is asked for is reached over TLS", ""
        wanted = ", ".join(str(one) for one in selector.matchers if one.label == label)
        more = ": none was counted so far" if label in _COUNTED_LABELS else ""
        return Verdict.QUIET, f"no series of {name} has {wanted}{more}", ""

    def _no_rules(self, metric: Metric) -> tuple[Verdict, str, str]:
        name = metric.source.name
        if name.startswith("recording"):
            if self._count(f'{{__name__=~"{_OUR_RULES}"}}'):
                return Verdict.QUIET, f"born with {metric.birth}", ""
            return Verdict.BLIND, f"the {name} are not loaded, or never had data", metric.source.fix
        return Verdict.QUIET, f"{name} is not set up", metric.source.fix

    def _not_scraped(self, source: Source) -> tuple[Verdict, str, str]:
        if source.name == "the rate limit service" and not self._uses_global_limits:
            reason = "global rate limiting is not used, or its service is not scraped"
            return Verdict.QUIET, reason, source.fix
        if source.name == "Envoy" and self.facts.switched_off:
            which = ", ".join(self.facts.switched_off)
            fix = "remove telemetry.metrics.prometheus.disable"
            return Verdict.BLIND, f"metrics are switched off in EnvoyProxy {which}", fix
        if self._only_by_otlp(source):
            reason = f"{source.name}'s metrics come over OTLP, under other names ({source.otlp})"
            return Verdict.BLIND, f"{reason} and without a label for the pod", source.fix
        down = failure(self._targets or [], source)
        return Verdict.BLIND, down or self._untargeted(source), source.fix

    def _untargeted(self, source: Source) -> str:
        if self._targets is None:
            return f"{source.name} is not scraped"
        up = Counter(target.get("health") for target in self._targets)
        return f"{source.name} is not scraped: none of {sum(up.values())} targets is one"

    @cached_property
    def _targets(self) -> list[dict[str, Any]] | None:
        return self.prometheus.targets()

    @property
    def _uses_global_limits(self) -> bool:
        return any(name.startswith("envoy_cluster_ratelimit_") for name in self._names)

    def _not_born(self, metric: Metric) -> tuple[Verdict, str, str]:
        """Explain a metric whose exporter is scraped: release, feature, event, filter."""
        version = self.facts.version
        shown = ".".join(map(str, version[:3]))
        if metric.since and version and version < _numbers(metric.since):
            return Verdict.QUIET, f"Envoy Gateway {shown} has it not (since {metric.since})", ""
        if metric.until and (not version or version[:2] > _numbers(metric.until)):
            return Verdict.QUIET, f"its name up to {metric.until}; later releases have another", ""
        if _NOT_BY_OTLP.match(metric.name) and self._only_by_otlp(metric.source):
            reason = f"{metric.source.name}'s metrics come over OTLP, without {metric.name}"
            return Verdict.BLIND, reason, metric.source.fix
        if metric.birth != ALWAYS:
            before = (
                f", and Envoy Gateway before {metric.since} has it not"
                if (metric.since and not version)
                else ""
            )
            return Verdict.QUIET, f"born with {metric.birth}{before}", ""
        if metric.since and not version:
            reason = f"Envoy Gateway before {metric.since} has it not"
            return Verdict.QUIET, reason, "say which release runs: --eg-version"
        if metric.source.name == "Envoy":
            which = f" ({', '.join(self.facts.filtered)})" if self.facts.filtered else ""
            fix = f"let it through telemetry.metrics.matches of the EnvoyProxy{which}"
            return Verdict.BLIND, "Envoy is scraped, but this statistic is filtered out", fix
        return Verdict.BLIND, f"{metric.source.name} is scraped, but exports no such metric", ""


_RANK = {Verdict.QUIET: 0, Verdict.DATA: 0, Verdict.BLIND: 1, Verdict.ERROR: 2}
_TARGET_LABELS = frozenset({"job", "namespace", "pod", "instance", "container"})
# a counter gets a series with such a label when the first event of that kind is counted
_COUNTED_LABELS = frozenset({"status", "reason", "err_type", "envoy_response_code_class"})
_OUR_RULES = "gateway:envoy_.+|runner:watchable_.+"
# of libraries that register with Prometheus alone, which a sink for OTLP does not see, or renamed
_NOT_BY_OTLP = re.compile(
    r"(controller_runtime|leader_election|process|go|rest_client|workqueue)_|watchable_depth$"
)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _is_either_or(expr: str) -> bool:
    return re.search(r"\bor\b", expr) is not None


def _target_labels(selector: Selector) -> list[str]:
    """Return the labels of targets that a selector insists on, in order."""
    return [
        one.label
        for one in selector.matchers
        if one.label in _TARGET_LABELS and one.op in {"=", "=~"} and one.value not in {"", ".*"}
    ]
