"""The shipped alerts: sound by promtool, tested one by one, documented, adjustable."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from egops.errors import InputError
from egops.monitoring.catalogue.registry import ALERTS
from egops.monitoring.promql import Matcher, selectors
from egops.monitoring.rulefile import rule_file
from egops.monitoring.rules import rule_groups
from egops.monitoring.values import SETTINGS, values
from egops.rules.registry import doctor_rules

ROOT = Path(__file__).resolve().parents[2]
FILES = {path.stem: path for path in sorted((ROOT / "alerts").glob("*.yaml"))}
TESTS = {path.stem: path for path in sorted((ROOT / "alerts" / "tests").glob("*.yaml"))}
CASES = {
    alert: cases
    for path in sorted((ROOT / "tests" / "alerts" / "cases").glob("*.yaml"))
    for alert, cases in yaml.safe_load(path.read_text("utf-8")).items()
}
CODES = {rule.code for rule in doctor_rules()}
HEADINGS = [
    "What it means",
    "First command",
    "Causes, most likely first",
    "What to do",
    "When to wake somebody",
]


def promtool() -> str:
    found = shutil.which(os.environ.get("PROMTOOL", "promtool"))
    if found is None:
        reason = "promtool is not installed (Debian has it in the package prometheus)"
        if os.environ.get("EGOPS_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [promtool(), *map(str, arguments)], capture_output=True, text=True, check=False
    )


def rules(profile: str = "full") -> list[dict[str, Any]]:
    groups = yaml.safe_load(FILES[profile].read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts(profile: str = "full") -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules(profile) if "alert" in rule}


def test_the_files_are_what_the_generator_writes() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tools.alerts", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("profile", FILES)
def test_promtool_accepts_the_rules(profile: str) -> None:
    ran = run("check", "rules", FILES[profile])

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "duplicate" not in ran.stdout + ran.stderr


@pytest.mark.parametrize("alert", TESTS)
def test_promtool_sees_the_alert_fire_and_stay_silent(alert: str) -> None:
    ran = run("test", "rules", TESTS[alert])

    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_case_that_fires_and_one_that_is_silent(alert: str) -> None:
    fires = [any(expect["firing"] for expect in case["expect"]) for case in CASES[alert]]

    assert True in fires
    assert False in fires


@pytest.mark.parametrize(
    ("alert", "broken", "by"),
    [
        (
            "EnvoyGatewayPanicRecovered",
            "unless watchable_panics_recovered_total offset 10m) > 0",
            ") > 1000",
        ),
        ("EnvoyGatewayNoReadyReplica", "== 0\n    for: 3m", "== 7\n    for: 3m"),
        ("EnvoyProxyErrorBudgetBurnFast", "rq_5xx:increase1h >= 10)", "rq_5xx:increase1h >= 1)"),
        ("EnvoyProxyErrorBudgetBurnSlow", "rq_5xx:increase6h >= 10)", "rq_5xx:increase6h >= 1)"),
    ],
)
def test_a_broken_rule_fails_its_unit_test(
    tmp_path: Path, alert: str, broken: str, by: str
) -> None:
    text = FILES["full"].read_text("utf-8")
    assert broken in text
    (tmp_path / "tests").mkdir()
    (tmp_path / "full.yaml").write_text(text.replace(broken, by), "utf-8")
    shutil.copy(TESTS[alert], tmp_path / "tests")

    ran = run("test", "rules", tmp_path / "tests" / TESTS[alert].name)

    assert ran.returncode != 0


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_an_expression_parses_offline(rule: dict[str, Any]) -> None:
    promql_parser.parse(rule["expr"])


@pytest.mark.parametrize("alert", alerts().values(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_a_person_needs(alert: dict[str, Any]) -> None:
    assert re.fullmatch(r"Envoy(Gateway|Proxy|Cert|Xds|ControlPlane|RateLimit)\w+", alert["alert"])
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert re.fullmatch(r"EGD-\d{3}", alert["labels"]["egops_code"])
    assert not any("$" in text for text in alert["labels"].values())
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["description"].endswith((".", "`.", "which."))
    assert alert["annotations"]["runbook"] == f"egops alerts runbook {alert['alert']}"
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{alert['alert']}.md"
    assert "topk" not in alert["expr"]
    assert "<" not in re.sub(r"[<>]=? ", "", alert["expr"])


@pytest.mark.parametrize("alert", alerts().values(), ids=lambda rule: rule["alert"])
def test_a_description_uses_only_labels_that_the_alert_can_have(alert: dict[str, Any]) -> None:
    used = set(re.findall(r"\$labels\.(\w+)", alert["annotations"]["description"]))

    firing = [e for case in CASES[alert["alert"]] for e in case["expect"] if e["firing"]]
    known = {label for expect in firing for labels in expect["firing"] for label in labels}

    assert used <= known


def test_absent_always_waits() -> None:
    for alert in alerts().values():
        assert "absent(" not in alert["expr"] or alert["for"]


def test_the_default_profile_is_a_part_of_the_full_one() -> None:
    default, full = alerts("default"), alerts("full")

    assert default.items() <= full.items()
    assert len(default) < len(full)


@pytest.mark.parametrize("alert", ALERTS)
def test_a_runbook_has_all_parts_and_names_the_check(alert: str) -> None:
    page = (ROOT / "docs" / "runbooks" / f"{alert}.md").read_text("utf-8")

    assert page.startswith(f"# {alert}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == HEADINGS
    first = page.partition("## First command")[2].partition("## ")[0]
    assert ALERTS[alert].code in first


def test_every_runbook_belongs_to_an_alert_and_links_to_pages_that_exist() -> None:
    for page in (ROOT / "docs" / "runbooks").glob("*.md"):
        assert page.stem in ALERTS
        for link in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
            assert (page.parent / link).is_file()


@pytest.mark.parametrize("alert", ALERTS)
def test_the_check_that_an_alert_names_exists(alert: str) -> None:
    assert ALERTS[alert].code in CODES


@pytest.mark.parametrize(
    "path",
    [*(ROOT / "docs" / "runbooks").glob("*.md"), *(ROOT / "dashboards").glob("*.json")],
    ids=lambda path: path.stem,
)
def test_every_check_that_a_page_or_a_board_names_exists(path: Path) -> None:
    assert set(re.findall(r"EGD-\d+", path.read_text("utf-8"))) <= CODES


def test_values_reach_the_expressions() -> None:
    given = values(
        {"slo": {"availability": 99.95}, "labels": {"team": "edge"}},
        [
            "certificates.warning_days=45",
            "severity.EnvoyCertExpiringSoon=info",
            "for.EnvoyProxyDisconnected=15m",
            "disabled=EnvoyGatewayNoLeader",
            'match=cluster="a"',
            "runbooks.base=https://wiki.example/runbooks/",
        ],
    )

    made = {
        rule.get("alert") or rule["record"]: rule
        for group in rule_groups(given, profile="full")
        for rule in group["rules"]
    }

    assert "EnvoyGatewayNoLeader" not in made
    assert made["gateway:envoy_http_error_budget:burn_rate1h"]["expr"].endswith(" / 0.0005")
    assert made["EnvoyCertExpiringSoon"]["expr"].endswith('{cluster="a"}) < 45')
    assert made["EnvoyCertExpiringSoon"]["labels"] == {
        "severity": "info",
        "egops_code": "EGD-402",
        "team": "edge",
    }
    assert made["EnvoyProxyDisconnected"]["for"] == "15m"
    assert made["EnvoyProxyDisconnected"]["annotations"]["runbook_url"] == (
        "https://wiki.example/runbooks/EnvoyProxyDisconnected.md"
    )
    assert "99.95 %" in made["EnvoyProxyErrorBudgetBurnFast"]["annotations"]["description"]


def test_promtool_accepts_rules_with_other_values(tmp_path: Path) -> None:
    given = values(
        {}, ['match=cluster="a",env=~"prod|stage"', "panic.window=1h30m", "panic.loop=2"]
    )
    path = tmp_path / "rules.yaml"
    path.write_text(rule_file(rule_groups(given, profile="full")), "utf-8")

    ran = run("check", "rules", path)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    for rule in yaml.safe_load(path.read_text("utf-8"))["groups"][0]["rules"]:
        promql_parser.parse(rule["expr"])


def test_matchers_reach_every_selector() -> None:
    given = values({}, ['match=cluster="a"'])

    bare = [
        str(selector)
        for group in rule_groups(given, profile="full")
        for rule in group["rules"]
        for selector in selectors(rule["expr"])
        if ":" not in selector.name and Matcher("cluster", "=", "a") not in selector.matchers
    ]

    assert bare == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("slo.availability=100", "slo.availability is not between 50 and 100: 100"),
        ("slo.availability=high", "slo.availability is not a number: 'high'"),
        ("slo.avail=99", "there is no value slo.avail"),
        ("panic.window=soon", "panic.window is not a duration such as 5m or 1h: 'soon'"),
        ("severity.EnvoyProxyDisconnected=page", "is not one of critical, warning, info"),
        ("severity.EnvoyProxyDisconected=info", "there is no alert EnvoyProxyDisconected"),
        ("disabled=Nothing", "there is no alert Nothing"),
        ('match=cluster="a', "match is not a list of label matchers"),
        ("match=} or up{", "match is not a list of label matchers"),
        ('deployment=a"b', "deployment is not a plain name"),
        ("runbooks.base=ftp://x", "runbooks.base is not a URL"),
        ("slo.availability", "--set slo.availability has no value"),
        ("labels.a-b=c", "labels.a-b is not a label name"),
    ],
)
def test_a_wrong_value_is_told(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=re.escape(reason)):
        values({}, [text])


def test_a_misspelt_alert_gets_a_suggestion() -> None:
    with pytest.raises(InputError) as caught:
        values({"severity": {"EnvoyProxyDisconected": "info"}})

    assert caught.value.hint == "did you mean EnvoyProxyDisconnected?"


def test_every_setting_has_a_default_that_passes_its_own_check() -> None:
    assert {
        key: setting.check(setting.default) for key, setting in SETTINGS.items()
    } == dict.fromkeys(SETTINGS, "")
