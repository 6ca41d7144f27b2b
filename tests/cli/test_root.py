"""The command line as users and scripts meet it: real processes, exact exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from egops.cli import COMMANDS, load_all, root
from egops.errors import AccessError, EgopsError, InputError, TimeoutReached

FIXTURE = "tests/rules/gateway/gateway_class_not_found/typo.yaml"
HEAVY = {
    "kubernetes", "rich", "yaml", "ruamel", "cryptography", "re2", "prometheus_api_client",
    "opentelemetry", "requests", "urllib3", "asyncio", "http.client",
}  # fmt: skip


def egops(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "80", **variables}
    return subprocess.run(
        [sys.executable, "-m", "egops", *words],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def commands(command: click.Command, *path: str) -> list[tuple[tuple[str, ...], click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            found += commands(child, *path, name)
    return found


ALL = commands(load_all())


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['egops', '--help']\n"
        "from egops.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print(sorted(set(sys.modules) & {HEAVY!r}), file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_command_has_help_with_an_example(
    path: tuple[str, ...], command: click.Command
) -> None:
    result = CliRunner().invoke(root, [*path, "--help"])

    assert result.exit_code == 0
    assert command.help
    if not isinstance(command, click.Group) and path != ("demo",):
        assert f"egops {' '.join(path)}" in result.output.split("Options:")[0].split("\n", 1)[1]


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_option_has_help_and_a_variable(
    path: tuple[str, ...], command: click.Command
) -> None:
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name not in ("help", "version"):
            assert parameter.help, parameter.name
            assert str(parameter.envvar).startswith("EGOPS_"), parameter.name


def test_findings_exit_with_1_and_print_one_document() -> None:
    done = egops("doctor", "-f", FIXTURE, "-o", "json")

    assert done.returncode == 1
    assert json.loads(done.stdout)["summary"]["error"] == 1
    assert done.stderr == ""


def test_a_variable_is_an_option() -> None:
    done = egops("doctor", "-f", FIXTURE, EGOPS_FAIL_ON="never", EGOPS_OUTPUT="name")

    assert (done.returncode, done.stdout) == (0, "EGD-203 Gateway/edge/wrong\n")


def test_usage_errors_exit_with_2() -> None:
    done = egops("doctor", "--bogus")

    assert done.returncode == 2
    assert "--bogus" in done.stderr
    assert done.stdout == ""


def test_bad_input_exits_with_2_and_still_prints_a_document() -> None:
    done = egops("doctor", "-f", "nowhere.yaml", "-o", "json")

    assert done.returncode == 2
    assert done.stderr == "error: nowhere.yaml does not exist\n"
    assert json.loads(done.stdout)["errors"][0]["message"] == "nowhere.yaml does not exist"


def test_a_broken_document_exits_with_2_and_the_rest_is_judged(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [\n")

    done = egops("doctor", "-f", FIXTURE, "-f", str(broken))

    assert done.returncode == 2
    assert "EGD-203" in done.stdout
    assert f"{broken}:2:" in done.stdout


def test_nothing_to_judge_exits_with_3(tmp_path: Path) -> None:
    empty = tmp_path / "empty.yaml"
    empty.write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n")

    done = egops("doctor", "-f", str(empty))

    assert done.returncode == 3
    assert "skipped" in done.stdout


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("x", hint="y"), 2),
        (AccessError("x", hint="y"), 3),
        (EgopsError("x", hint="y"), 3),
        (TimeoutReached("x", hint="y"), 124),
        (click.ClickException("x"), 2),
        (KeyboardInterrupt(), 130),
        (RuntimeError("x"), 4),
    ],
)
def test_every_failure_has_its_exit_code(error: BaseException, code: int) -> None:
    @click.command()
    def fails() -> None:
        raise error

    class Failing(type(root)):  # type: ignore[misc]
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            return fails

    group = Failing("root")

    result = CliRunner().invoke(group, ["fails"])

    assert result.exit_code == code
    if isinstance(error, EgopsError):
        assert result.stderr == "error: x\n hint: y\n"


def test_targets_narrow_the_report() -> None:
    other = egops("doctor", "-f", FIXTURE, "-o", "name", "Gateway/edge/right")
    this = egops("doctor", "-f", FIXTURE, "-o", "name", "gateway/edge/*")

    assert (other.stdout, other.returncode) == ("", 0)
    assert this.stdout == "EGD-203 Gateway/edge/wrong\n"


def test_a_namespace_narrows_the_report() -> None:
    assert egops("doctor", "-f", FIXTURE, "-o", "name", "-n", "other").stdout == ""
    assert egops("doctor", "-f", FIXTURE, "-o", "name", "-n", "edge").stdout != ""


def test_a_report_is_the_next_runs_baseline(tmp_path: Path) -> None:
    baseline = tmp_path / "known.json"
    baseline.write_text(egops("doctor", "-f", FIXTURE, "-o", "json").stdout)

    done = egops("doctor", "-f", FIXTURE, "--baseline", str(baseline))

    assert done.returncode == 0
    assert "1 suppressed" in done.stdout


@pytest.mark.parametrize("content", ["", "[]", "{", '{"findings": [1]}'])
def test_a_baseline_that_is_no_report_is_told(tmp_path: Path, content: str) -> None:
    baseline = tmp_path / "known.json"
    baseline.write_text(content)

    done = egops("doctor", "-f", FIXTURE, "--baseline", str(baseline))

    assert done.returncode == 2
    assert "is no JSON report" in done.stderr


def test_colour_follows_the_variables() -> None:
    assert "\x1b[" in egops("doctor", "-f", FIXTURE, FORCE_COLOR="1").stdout
    assert "\x1b[" not in egops("doctor", "-f", FIXTURE, FORCE_COLOR="1", NO_COLOR="1").stdout


def test_an_ascii_locale_gets_ascii_marks() -> None:
    done = egops("doctor", "-f", FIXTURE, PYTHONIOENCODING="ascii")

    assert done.stdout.isascii()
    assert "x EGD-203" in done.stdout


def test_rule_pages_are_offline() -> None:
    done = egops("rule", "gateway-class-not-found")

    assert done.returncode == 0
    assert done.stdout.startswith("# EGD-203 gateway-class-not-found")
    assert egops("rule", "EGD-9*").returncode == 2


def test_every_command_keeps_its_promise_in_the_list() -> None:
    shown = CliRunner().invoke(root, ["--help"], terminal_width=100).output

    for name, (_, line) in COMMANDS.items():
        assert (
            line.removesuffix(".").split()[0] == root.commands[name].get_short_help_str().split()[0]
        )
        assert len(line) <= 80
        assert line in shown
