"""Verdicts over queries: from a table of counts, and from a real Prometheus with real metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from egops.errors import InputError, UnreachableError
from egops.gather import SourceOptions
from egops.monitoring.facts import facts, parse_release
from egops.monitoring.metrics import known
from egops.monitoring.prometheus import connect_prometheus
from egops.monitoring.promql import expand, has_condition, selectors, windows
from egops.monitoring.questions import Question, board_questions, rule_questions
from egops.monitoring.rules import rule_groups
from egops.monitoring.shipped import boards
from egops.monitoring.values import values
from egops.monitoring.verify import Facts, Verdict, Verified, Verifier
from tests.monitoring.stack import ROOT, exposition, job, jobs_for, running

if TYPE_CHECKING:
    from collections.abc import Iterator

UP = {"watchable_depth": 2, "envoy_server_live": 1}


@dataclass
class Counts:
    """A Prometheus that knows how many series an expression has; others have none."""

    counts: dict[str, int]
    names: frozenset[str] = frozenset()
    active: list[dict[str, Any]] | None = field(default_factory=list)
    refused: dict[str, Exception] = field(default_factory=dict)

    def count(self, expr: str) -> int:
        if expr in self.refused:
            raise self.refused[expr]
        return self.counts.get(expr, 0)

    def metric_names(self) -> frozenset[str]:
        plain = {name for name in self.counts if name.replace("_", "").isalnum()}
        return self.names | plain

    def targets(self) -> list[dict[str, Any]] | None:
        return self.active


def verdict(
    expr: str, asked: Counts, *, alert: bool = False, known_facts: Facts | None = None
) -> Verified:
    verifier = Verifier(asked, known_facts or Facts())
    return next(iter(verifier.verify([Question("board", "panel", "A", expr, alert)])))


def test_series_are_data() -> None:
    found = verdict("sum(envoy_server_live)", Counts({"sum(envoy_server_live)": 1}))

    assert (found.verdict, found.series) == (Verdict.DATA, 1)


def test_an_alert_with_series_has_its_condition_met() -> None:
    found = verdict("up == 0", Counts({"up == 0": 2}), alert=True)

    assert (found.verdict, found.reason) == (Verdict.DATA, "its condition is met")


def test_an_alert_whose_condition_is_not_met_is_quiet() -> None:
    found = verdict("envoy_server_live == 0", Counts(UP), alert=True)

    assert (found.verdict, found.reason) == (Verdict.QUIET, "its condition is not met")


def test_a_counter_that_was_never_born_is_quiet_and_says_with_what_it_is_born() -> None:
    found = verdict("watchable_panics_recovered_total > 0", Counts(UP))

    assert found.verdict is Verdict.QUIET
    assert "born with the first recovered panic" in found.reason


def test_statistics_of_tls_that_only_the_control_plane_has_are_explained() -> None:
    name = "envoy_cluster_ssl_connection_error"
    expr = f'{name}{{envoy_cluster_name!~"xds_cluster"}}'
    found = verdict(f"sum({expr})", Counts({name: 1}))

    assert (found.verdict, found.reason) == (
        Verdict.QUIET,
        "no backend that is asked for is reached over TLS",
    )


def test_one_sample_in_the_window_is_told() -> None:
    ranged = "ratelimit_service_total_requests[5m]"
    asked = Counts({"ratelimit_service_total_requests": 1, f"count_over_time({ranged})": 1})
    found = verdict(f"rate({ranged}) > 0", asked)

    assert found.reason == "there are series, but not yet two samples in the window"


def test_a_counter_that_is_not_born_does_not_make_the_other_half_young() -> None:
    half = 'ratelimit_service_should_rate_limit_error{err_type="redis_error"}[5m]'
    asked = Counts({"ratelimit_redis_pool_cx_active": 1, "ratelimit_go_numGoroutine": 1})
    found = verdict(f"rate({half}) > 0 or ratelimit_redis_pool_cx_active == 0", asked, alert=True)

    assert (found.verdict, found.reason) == (Verdict.QUIET, "its condition is not met")


def test_a_release_that_lacks_the_metric_is_named() -> None:
    found = verdict("sum(xds_nack_total)", Counts(UP), known_facts=Facts(version=(1, 3, 0)))

    assert found.verdict is Verdict.QUIET
    assert found.reason == "Envoy Gateway 1.3.0 has it not (since 1.9)"


def test_a_source_that_nothing_scrapes_is_blind_with_the_fix() -> None:
    found = verdict("sum(kube_deployment_spec_replicas)", Counts(UP, active=[{"health": "up"}]))

    assert found.verdict is Verdict.BLIND
    assert found.reason == "kube-state-metrics is not scraped: none of 1 targets is one"
    assert "install kube-state-metrics" in found.fix


def test_a_target_that_is_down_is_named_with_its_error() -> None:
    down = {
        "health": "down",
        "scrapeUrl": "http://10.0.0.7:19001/stats/prometheus",
        "lastError": "connection refused",
    }
    found = verdict("sum(envoy_server_live)", Counts({}, active=[down]))

    assert found.verdict is Verdict.BLIND
    assert found.reason == (
        "the scrape of http://10.0.0.7:19001/stats/prometheus fails: connection refused"
    )


def test_a_source_that_was_scraped_and_is_gone_is_blind() -> None:
    asked = Counts({}, names=frozenset({"envoy_server_live"}), active=None)
    found = verdict("sum(envoy_server_live)", asked)

    assert found.verdict is Verdict.BLIND
    assert found.reason == "Envoy was scraped and is no longer"


def test_metrics_switched_off_in_an_envoy_proxy_are_named() -> None:
    off = Facts(switched_off=("demo/quiet",))
    found = verdict("sum(envoy_server_live)", Counts({}), known_facts=off)

    assert found.reason == "metrics are switched off in EnvoyProxy demo/quiet"


def test_a_statistic_that_every_envoy_has_and_this_one_lacks_is_filtered_out() -> None:
    matched = Facts(filtered=("demo/lean",))
    found = verdict("sum(envoy_server_state)", Counts(UP), known_facts=matched)

    assert found.verdict is Verdict.BLIND
    assert "filtered out" in found.reason
    assert "demo/lean" in found.fix


def test_a_label_that_the_scrape_does_not_add_is_blind() -> None:
    asked = Counts(UP | {'envoy_server_live{pod!=""}': 0})
    found = verdict('sum(envoy_server_live{pod=~".+"})', asked)

    assert found.verdict is Verdict.BLIND
    assert found.reason == "series of envoy_server_live have no label pod"
    assert found.fix == "make the scrape add the label pod"


def test_a_value_that_no_series_has_is_quiet() -> None:
    asked = Counts(UP | {'envoy_server_live{pod!=""}': 1})
    found = verdict('sum(envoy_server_live{pod=~"other"})', asked)

    assert found.verdict is Verdict.QUIET
    assert found.reason == 'no series of envoy_server_live has pod=~"other"'


def test_a_failure_that_was_never_counted_is_quiet() -> None:
    asked = Counts(UP | {"status_update_total": 3, 'status_update_total{pod=~".+"}': 3})
    expr = 'sum(status_update_total{status="failure", reason="error", pod=~".+"})'

    assert verdict(expr, asked).reason == (
        'no series of status_update_total has status="failure", reason="error": '
        "none was counted so far"
    )


def test_recording_rules_that_are_not_loaded_are_blind() -> None:
    found = verdict("gateway:envoy_http_error_budget:burn_rate5m > 6", Counts(UP))

    assert found.verdict is Verdict.BLIND
    assert found.fix == "load them: egops alerts install"


def test_one_spelling_is_enough() -> None:
    expr = "(increase(envoy_sds_key_rotation_failed[5m]) > 0) or (envoy_server_live == 0)"
    asked = Counts(UP | {"count_over_time(envoy_sds_key_rotation_failed[5m]) > 1": 0})
    found = verdict(expr, asked, alert=True)

    assert found.verdict is Verdict.QUIET


def test_rate_limiting_that_is_not_used_is_quiet() -> None:
    found = verdict("sum(ratelimit_service_total_requests)", Counts(UP))

    assert found.verdict is Verdict.QUIET


def test_a_refused_query_is_told_and_the_next_one_asked() -> None:
    asked = Counts({"a": 1}, refused={"b": UnreachableError("P: timeout: too slow")})
    verifier = Verifier(asked)
    found = list(verifier.verify([Question("b", "p", "A", expr) for expr in ("a", "b", "a")]))

    assert [one.verdict for one in found] == [Verdict.DATA, Verdict.ERROR, Verdict.DATA]
    assert found[1].reason == "P: timeout: too slow"


def test_a_prometheus_that_never_answers_stops_the_command() -> None:
    asked = Counts({}, refused={"a": UnreachableError("cannot reach it")})

    with pytest.raises(UnreachableError):
        list(Verifier(asked).verify([Question("b", "p", "A", "a")]))


def test_every_metric_that_is_asked_for_is_known() -> None:
    questions = [q for name, board in boards().items() for q in board_questions(name, board)]
    questions += rule_questions(rule_groups(values(), profile="full"))

    strangers = {
        selector.name or selector.pattern
        for question in questions
        for selector in selectors(question.expr)
        if known(selector.name or selector.pattern) is None
    }

    assert strangers == set()


def test_variables_are_replaced_and_capture_groups_are_not() -> None:
    text = 'label_replace(up{job=~"$job"}, "a", "$1", "pod", "(.+)")[${__range}]'

    assert expand(text, {"job": "x", "__range": "1h"}) == (
        'label_replace(up{job=~"x"}, "a", "$1", "pod", "(.+)")[1h]'
    )


def test_a_variable_of_the_user_cannot_leave_its_quotes() -> None:
    questions = list(board_questions("xds", boards(("xds",))["xds"], {"pod": 'a"} or up{b="\\d'}))

    for question in questions:
        selectors(question.expr)
    assert any('pod=~"a\\"} or up{b=\\"\\\\d"' in question.expr for question in questions)


def test_what_a_query_asks_for_is_seen() -> None:
    expr = 'sum(rate(a_total{b="c"}[5m])) / (sum(rate(a_total[1h] offset 5m)) > 0)'

    assert windows(expr) == ['a_total{b="c"}[5m]', "a_total[1h] offset 5m"]
    assert [str(selector) for selector in selectors(expr)] == ['a_total{b="c"}', "a_total"]
    assert has_condition(expr)
    assert has_condition("absent(up)")
    assert not has_condition("sum(up)")
    with pytest.raises(InputError, match="not PromQL"):
        selectors("sum(up")


def test_a_release_is_read_and_nonsense_is_not() -> None:
    assert parse_release("v1.3.0") == (1, 3, 0)
    with pytest.raises(InputError, match="is not a release"):
        parse_release("latest")


@pytest.fixture(scope="module")
def prometheus_1_3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Prometheus that scrapes a recorded 1.3 with rate limiting and a recovered panic."""
    with exposition() as served:
        jobs = jobs_for(served, "1.3.0")
        served.add("/eg/metrics", "gateway-panic-1.3.0")
        served.add("/envoy/stats/prometheus", "envoy-ratelimit-1.3.0")
        served.add("/rl/metrics", "ratelimit-1.3.0")
        served.add("/ksm/metrics", "kube-state-metrics-1.3.0")
        pod = {"namespace": "envoy-gateway-system", "pod": "envoy-ratelimit-1"}
        jobs += [
            job("ratelimit", served.address, "/rl/metrics", **pod),
            job("kube-state-metrics", served.address, "/ksm/metrics"),
            job("cadvisor", served.address, "/down/metrics/cadvisor"),
        ]
        rules = (ROOT / "alerts" / "full.yaml").read_text("utf-8").replace("30s", "1s")
        with running(tmp_path_factory.mktemp("prometheus"), jobs, rules) as url:
            yield url


@pytest.fixture(scope="module")
def verified_1_3(prometheus_1_3: str) -> list[Verified]:
    source = SourceOptions(prometheus=prometheus_1_3, kubeconfig="/dev/null/none")
    prometheus = connect_prometheus(source)
    found, notes = facts(prometheus, source)
    questions = [q for name, board in boards().items() for q in board_questions(name, board)]
    questions += rule_questions(rule_groups(values(), profile="full"))
    assert notes
    return list(Verifier(prometheus, found).verify(questions))


def test_real_metrics_of_1_3_leave_nothing_without_a_true_reason(
    verified_1_3: list[Verified],
) -> None:
    blind = {one.question.what for one in verified_1_3 if one.verdict is Verdict.BLIND}

    assert not [one for one in verified_1_3 if one.verdict is Verdict.ERROR]
    assert blind == {"CPU of proxies"}
    assert sum(one.verdict is Verdict.DATA for one in verified_1_3) > 100


def test_the_running_release_is_known_from_the_image(verified_1_3: list[Verified]) -> None:
    reasons = {one.question.what: one.reason for one in verified_1_3}

    assert reasons["Rejections counted by Envoy Gateway"] == (
        "Envoy Gateway 1.3.0 has it not (since 1.9)"
    )


def test_the_target_that_is_down_is_told_of_cadvisor(verified_1_3: list[Verified]) -> None:
    found = next(one for one in verified_1_3 if one.question.what == "CPU of proxies")

    assert "/down/metrics/cadvisor fails: server returned HTTP status 503" in found.reason


def test_the_first_panic_fires_in_a_real_prometheus(verified_1_3: list[Verified]) -> None:
    states = {one.question.what: one for one in verified_1_3 if one.question.alert}

    assert states["EnvoyGatewayPanicRecovered"].reason == "its condition is met"
    assert states["EnvoyProxyDisconnected"].reason == "its condition is not met"


@pytest.mark.parametrize("release", ["1.2.8", "1.9.0"])
def test_other_releases_are_seen_too(
    release: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nothing that Envoy or Envoy Gateway exports is blind, whatever the release calls it."""
    with exposition() as served:
        jobs = jobs_for(served, release)
        with running(tmp_path_factory.mktemp("prometheus"), jobs) as url:
            source = SourceOptions(prometheus=url)
            numbers = tuple(int(part) for part in release.split("."))
            verifier = Verifier(connect_prometheus(source), Facts(version=numbers))
            chosen = boards(("control-plane", "xds", "proxies", "certs"))
            questions = [q for name, board in chosen.items() for q in board_questions(name, board)]
            found = list(verifier.verify(questions))

    blind = [one for one in found if one.verdict in {Verdict.BLIND, Verdict.ERROR}]
    assert all("kube-state-metrics" in one.reason or "cAdvisor" in one.reason
               or "recording rules" in one.reason for one in blind)  # fmt: skip


def test_metrics_that_came_by_a_collector_are_told_as_such(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Recorded of 1.9.0: both sinks, a collector with its defaults, its Prometheus exporter."""
    with exposition() as served:
        served.add("/metrics", "collector-otlp-1.9.0")
        jobs = [job("otel-collector", served.address, "/metrics") | {"honor_labels": True}]
        with running(tmp_path_factory.mktemp("prometheus"), jobs) as url:
            client = connect_prometheus(SourceOptions(prometheus=url))
            chosen = boards(("control-plane", "xds", "proxies"))
            questions = [q for name, board in chosen.items() for q in board_questions(name, board)]
            found = list(Verifier(client, Facts(version=(1, 9, 0))).verify(questions))

    reasons = {one.question.what: one.reason for one in found}
    assert reasons["Envoys connected"] == (
        "Envoy's metrics come over OTLP, under other names (server_live) and without a label for "
        "the pod"
    )
    assert reasons["Updates handled, by runner and result"] == (
        "series of watchable_subscribe_total come over OTLP, without the labels namespace and pod"
    )
    assert reasons["Scraped replicas"] == (
        "Envoy Gateway's metrics come over OTLP, without watchable_depth"
    )
    assert not [one for one in found if "is not scraped" in one.reason and "Envoy " in one.reason]
    assert all(one.fix for one in found if "OTLP" in one.reason)
