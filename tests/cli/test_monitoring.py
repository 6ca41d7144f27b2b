"""`egops dashboards` and `egops alerts` as people type them."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner

from egops.cli import root
from egops.cli.alerts import alerts
from egops.cli.dashboards import dashboards
from tests.monitoring.servers import TOKEN, Grafana, Ruler, Web
from tests.monitoring.stack import exposition, jobs_for, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result


def run(*arguments: str) -> Result:
    for group in (dashboards, alerts):
        if group.name not in root.commands:
            root.add_command(group)
    return CliRunner().invoke(root, list(arguments))


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web(Grafana(), Ruler())
    yield made
    made.close()


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def test_boards_are_listed() -> None:
    ran = run("dashboards", "list")

    assert ran.exit_code == 0
    assert [line.split()[0] for line in ran.stdout.splitlines()] == [
        "control-plane", "xds", "proxies", "certs", "ratelimit",
    ]  # fmt: skip


def test_a_board_is_rendered_as_the_json_that_is_shipped() -> None:
    ran = run("dashboards", "render", "egops-xds")

    assert json.loads(ran.stdout)["uid"] == "egops-xds"


def test_boards_are_rendered_as_config_maps_for_gitops() -> None:
    ran = run("dashboards", "render", "--as-objects", "sidecar", "--target-namespace", "boards")
    things = list(yaml.safe_load_all(ran.stdout))

    assert {thing["kind"] for thing in things} == {"ConfigMap"}
    assert {thing["metadata"]["namespace"] for thing in things} == {"boards"}
    assert things[0]["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_rules_are_rendered_with_values() -> None:
    ran = run("alerts", "render", "--set", "slo.availability=99.5", "--profile", "full")
    groups = yaml.safe_load(ran.stdout)["groups"]
    rules = {rule.get("record") or rule["alert"]: rule for g in groups for rule in g["rules"]}

    assert rules["gateway:envoy_http_error_budget:burn_rate5m"]["expr"].endswith("/ 0.005")


def test_values_come_from_files_and_the_command_line_wins(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text("certificates: {warning_days: 60}\ndisconnected: {share: 0.25}\n", "utf-8")
    ran = run("alerts", "render", "--values", str(path), "--set", "disconnected.share=0.75")

    assert "< 60" in ran.stdout
    assert "> 0.75" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("alerts", "render", "--set", "slo.avail=1"), "there is no value slo.avail"),
        (("alerts", "render", "--values", "/no/such/file"), "cannot read /no/such/file"),
        (("dashboards", "render", "nothing"), "there is no board nothing"),
        (("dashboards", "install", "--to", "files"), "--to files needs a folder"),
        (("dashboards", "show", "xds", "--var", "x"), "--var x has no value"),
        (
            ("alerts", "render", "--as-objects", "victoria-metrics", "--label", "x"),
            "is not a label",
        ),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(arguments: tuple[str, ...], said: str) -> None:
    ran = run(*arguments)

    assert ran.exit_code == 2
    assert ran.stdout == ""
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_runbook_is_printed_by_the_name_of_its_alert(tmp_path: Path) -> None:
    listed = run("alerts", "runbook")
    page = run("alerts", "runbook", "envoyproxydisconnected")
    wrong = run("alerts", "runbook", "EnvoyProxyDisconected")
    written = run("alerts", "runbook", "--dir", str(tmp_path / "pages"))

    assert len(listed.stdout.splitlines()) == 32
    assert page.stdout.startswith("# EnvoyProxyDisconnected\n")
    assert wrong.exit_code == 2
    assert "did you mean EnvoyProxyDisconnected?" in wrong.stderr
    assert written.exit_code == 0
    assert (tmp_path / "pages" / "EnvoyProxyDisconnected.md").read_text("utf-8") == page.stdout


def test_the_place_of_the_runbooks_reaches_boards_and_alerts() -> None:
    where = ("--set", "runbooks.base=https://wiki.example/runbooks")

    board = json.loads(run("dashboards", "render", "xds", *where).stdout)
    rules = run("alerts", "render", *where).stdout

    assert "https://wiki.example/runbooks" in {
        variable.get("query") for variable in board["templating"]["list"]
    }
    assert "runbook_url: https://wiki.example/runbooks/EnvoyProxyDisconnected.md" in rules


def test_without_a_cluster_auto_says_what_is_missing() -> None:
    ran = run("dashboards", "install")

    assert ran.exit_code == 2
    assert "no kubeconfig" in ran.stderr


def test_install_no_op_diff_and_uninstall_of_files(tmp_path: Path) -> None:
    where = ("--to", "files", "--dir", str(tmp_path))

    first = run("dashboards", "install", *where)
    again = run("dashboards", "install", *where)
    same = run("dashboards", "diff", *where)
    (tmp_path / "egops-xds.json").write_text("{}", "utf-8")
    differs = run("dashboards", "diff", *where, "-o", "json")
    gone = run("dashboards", "uninstall", *where)

    assert first.stdout.count("done: + create") == 5
    assert "done:" not in again.stdout
    assert same.exit_code == 0
    assert differs.exit_code == 1
    changes = json.loads(differs.stdout)["result"]["changes"]
    assert [change["what"] for change in changes if change["action"] == "update"] == [
        f"file {tmp_path / 'egops-xds.json'}"
    ]
    assert gone.stdout.count("done: - delete") == 5
    assert list(tmp_path.iterdir()) == []


def test_install_into_grafana_and_refusal_with_the_reason(web: Web) -> None:
    where = ("--to", "grafana", "--url", web.url, "--token", TOKEN)

    first = run("dashboards", "install", *where)
    web.grafana.boards["egops-xds"]["title"] = "Mine"
    refused = run("dashboards", "install", *where)
    differs = run("dashboards", "diff", *where)

    assert first.exit_code == 0
    assert TOKEN not in first.output
    assert refused.exit_code == 2
    assert "somebody edited it since egops wrote it" in refused.stderr
    assert differs.exit_code == 1
    assert '-  "title": "Mine"' in differs.stdout


def test_rules_go_to_a_ruler_by_tenant(web: Web) -> None:
    ran = run("alerts", "install", "--to", "mimir", "--url", web.url, "--tenant", "team")

    assert ran.exit_code == 0
    assert "egops-slo" in web.ruler.tenants["team"]


def test_promtool_is_run_over_rules_and_unit_tests() -> None:
    if shutil.which("promtool") is None and os.environ.get("EGOPS_REQUIRE_ALL") != "1":
        pytest.skip("promtool is not installed")
    ran = run("alerts", "test", "--set", "panic.loop=3")

    assert ran.exit_code == 0, ran.output
    assert ran.stdout.count("ok ") == 33


def test_without_promtool_nothing_is_said_to_be_tested() -> None:
    ran = run("alerts", "test", "--promtool", "no-such-promtool")

    assert ran.exit_code == 3
    assert "nothing was tested" in ran.stderr


def test_a_live_prometheus_is_verified_listed_and_drawn(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with exposition() as served:
        jobs = jobs_for(served, "1.9.0")
        with running(tmp_path_factory.mktemp("prometheus"), jobs) as url:
            where = ("--prometheus", url)
            verified = run(
                "dashboards", "verify", "xds", *where, "--eg-version", "1.9", "-o", "json"
            )
            text = run("dashboards", "verify", "xds", *where)
            states = run("alerts", "list", "--state", *where)
            drawn = run("dashboards", "show", "xds", *where, "--width", "90")
            page = tmp_path_factory.mktemp("page") / "xds.html"
            written = run("dashboards", "show", "xds", *where, "--html", str(page))

    assert verified.exit_code == 0, verified.output
    assert {one["verdict"] for one in json.loads(verified.stdout)["result"]} == {"data", "quiet"}
    assert "in all: " in text.stdout
    assert states.exit_code == 0
    assert "not loaded EnvoyProxyDisconnected" in states.stdout
    assert "connected" in drawn.stdout
    assert written.exit_code == 0
    assert page.read_text("utf-8").startswith("<!doctype html>")


def test_no_prometheus_is_exit_code_3() -> None:
    ran = run("dashboards", "verify", "--prometheus", "http://127.0.0.1:9")

    assert ran.exit_code == 3
    assert "connection refused" in ran.stderr


def test_help_of_the_groups_loads_nothing_heavy() -> None:
    import subprocess

    code = (
        "import sys; import egops.cli.alerts, egops.cli.dashboards;"
        "print([m for m in ('requests', 'yaml', 'kubernetes', 'rich') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"
