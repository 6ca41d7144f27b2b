"""`egops upgrade-check` from the outside: exit codes, detection, formats, fixes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from egops.cli import root

if TYPE_CHECKING:
    from pathlib import Path

GATEWAY = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: edge}
spec:
  gatewayClassName: eg
  listeners:
  - {name: https, port: 443, protocol: HTTPS}
"""
POLICY = """\
# who speaks what
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: ClientTrafficPolicy
metadata: {name: tls, namespace: edge}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  tls:
    minVersion: "1.2"   # old clients
    alpnProtocols: []
"""
CONTROLLER = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: envoy-gateway, namespace: envoy-gateway-system, labels: {%s}}
spec:
  template:
    spec:
      containers:
      - {name: envoy-gateway, image: "%s"}
"""


def egops(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(root, ["upgrade-check", *words], input=stdin)


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    (tmp_path / "gateway.yaml").write_text(GATEWAY, "utf-8")
    (tmp_path / "policy.yaml").write_text(POLICY, "utf-8")
    return tmp_path


def codes(result: Result) -> set[str]:
    return {finding["code"] for finding in json.loads(result.stdout)["findings"]}


def test_a_finding_names_file_and_line_and_both_behaviours(manifests: Path) -> None:
    result = egops("-f", str(manifests), "--from", "1.2.8", "--to", "1.3.0", "-o", "json")

    assert result.exit_code == 0
    report = json.loads(result.stdout)
    found = next(f for f in report["findings"] if f["code"] == "EGU-1302")
    assert found["location"]["line"] == 9
    assert found["location"]["file"].endswith("policy.yaml")
    text = json.dumps(found)
    assert "today (1.2.8)" in text
    assert "after (1.3.0)" in text
    assert report["plan"][0]["title"] == "Save what is there"


def test_the_exit_code_follows_fail_on(manifests: Path) -> None:
    words = ("-f", str(manifests), "--from", "1.2.8", "--to", "1.3.0", "-o", "name")

    assert egops(*words).exit_code == 0
    assert egops(*words, "--fail-on", "warning").exit_code == 1
    assert egops(*words, "--fail-on", "never").exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--from", "1.2.8", "--to", "1.33"), "1.33 is unknown"),
        (("--from", "1.3.0", "--to", "1.2.8"), "a downgrade"),
        (("--from", "1.3.0", "--to", "1.3.0"), "is installed already"),
        (("--from", "soon"), "is no Envoy Gateway release"),
    ],
)
def test_a_step_that_makes_no_sense_is_a_usage_error(
    manifests: Path, words: tuple[str, ...], message: str
) -> None:
    result = egops("-f", str(manifests), *words)

    assert result.exit_code == 2
    assert message in result.stderr
    assert not result.stdout


def test_files_that_do_not_tell_the_release_need_from(manifests: Path) -> None:
    result = egops("-f", str(manifests))

    assert result.exit_code == 3
    assert "--from 1.2.8" in result.stderr


def test_nothing_of_ours_is_no_clean_bill(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", "utf-8")

    result = egops("-f", str(tmp_path), "--from", "1.2.8")

    assert result.exit_code == 3
    assert "nothing of Envoy Gateway" in result.stderr


@pytest.mark.parametrize(
    ("labels", "image", "known"),
    [
        ("control-plane: envoy-gateway", "envoyproxy/gateway:v1.2.8", "1.2.8"),
        (
            "control-plane: envoy-gateway, app.kubernetes.io/version: v1.2.4",
            "envoyproxy/gateway@sha256:00",
            "1.2.4",
        ),
        (
            "control-plane: envoy-gateway, helm.sh/chart: gateway-helm-v1.2.6",
            "mirror.example.com/gateway:internal",
            "1.2.6",
        ),
    ],
)
def test_the_installed_release_is_read_off_the_controller(
    manifests: Path, labels: str, image: str, known: str
) -> None:
    (manifests / "controller.yaml").write_text(CONTROLLER % (labels, image), "utf-8")

    result = egops("-f", str(manifests), "-o", "json")

    assert json.loads(result.stdout)["source"]["from"] == known
    assert json.loads(result.stdout)["source"]["to"] == "1.3.3"


def test_a_helm_release_tells_the_installed_release(manifests: Path) -> None:
    (manifests / "release.yaml").write_text(
        "apiVersion: helm.toolkit.fluxcd.io/v2\n"
        "kind: HelmRelease\n"
        "metadata: {name: eg, namespace: flux}\n"
        "spec:\n"
        "  chart: {spec: {chart: gateway-helm, version: v1.2.8}}\n"
        "  values:\n"
        "    config:\n"
        "      envoyGateway:\n"
        "        extensionManager:\n"
        "          hooks:\n"
        "            xdsTranslator:\n"
        "              post: [Route]\n",
        "utf-8",
    )

    result = egops("-f", str(manifests), "--to", "1.3.0", "-o", "json")

    found = next(f for f in json.loads(result.stdout)["findings"] if f["code"] == "EGU-1304")
    assert found["location"]["line"] == 12


def test_values_of_an_umbrella_chart_are_recognised() -> None:
    values = "gateway-helm:\n  config:\n    envoyGateway:\n      rateLimit: {backend: {}}\n"

    result = egops("-f", "-", "--from", "1.2.8", "--to", "1.3.0", "-o", "json", stdin=values)

    assert "EGU-1328" in codes(result)


def test_standard_input_is_judged_like_a_file() -> None:
    result = egops(
        "-f", "-", "--from", "1.2.8", "--to", "1.3.0", "-o", "json", stdin=f"{GATEWAY}---\n{POLICY}"
    )

    assert "EGU-1302" in codes(result)


def test_only_limits_the_rules(manifests: Path) -> None:
    words = ("-f", str(manifests), "--from", "1.2.8", "--to", "1.3.0", "-o", "json")

    assert codes(egops(*words, "--only", "EGU-1302")) == {"EGU-1302"}


def test_rules_of_a_change_outside_of_the_step_do_not_run(manifests: Path) -> None:
    later = egops("-f", str(manifests), "--from", "1.3.0", "--to", "1.3.3", "-o", "json")

    assert "EGU-1302" not in codes(later)


def test_a_template_that_was_not_rendered_is_said_so(manifests: Path) -> None:
    (manifests / "template.yaml").write_text("kind: {{ .Values.kind }}\nname: x\n", "utf-8")

    result = egops("-f", str(manifests), "--from", "1.2.8", "--to", "1.3.0")

    assert result.exit_code == 0
    assert "1 passed over, a template that was not rendered" in result.output


def test_objects_of_other_controllers_are_counted_and_are_not_enough(manifests: Path) -> None:
    theirs = manifests / "theirs.yaml"
    theirs.write_text(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: other}\n"
        "spec: {controllerName: example.com/controller}\n---\n"
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: other}\n"
        "spec: {gatewayClassName: other, listeners: []}\n",
        "utf-8",
    )

    alone = egops("-f", str(theirs), "--from", "1.2.8", "--to", "1.3.0")
    mixed = egops("-f", str(manifests), "--from", "1.2.8", "--to", "1.3.0")

    told = "2 objects of other controllers left out: Gateway (1), GatewayClass (1)"
    assert alone.exit_code == 3
    assert f"nothing of Envoy Gateway is in the input: {told}" in alone.output
    assert told in mixed.output


def test_explain_and_list_need_no_input() -> None:
    page = egops("--explain", "EGU-1303")
    listing = egops("--list", "--from", "1.2.8", "--to", "1.3.0", "-o", "name")

    assert page.exit_code == 0
    assert "Why it matters" in page.output
    assert "EGU-1311" in listing.output
    assert egops("--explain", "EGU-9999").exit_code == 2


def test_markdown_is_a_change_request(manifests: Path) -> None:
    result = egops("-f", str(manifests), "--from", "1.2.8", "--to", "1.3.0", "-o", "markdown")

    assert result.stdout.startswith("# Upgrade Envoy Gateway 1.2.8 to 1.3.0")
    assert "## Changes in behaviour" in result.stdout
    assert "helm upgrade eg" in result.stdout


def test_skipping_minors_is_told_in_the_plan(manifests: Path) -> None:
    result = egops("-f", str(manifests), "--from", "1.2.8", "--to", "1.5.9", "-o", "text")

    assert "minor by minor: 1.3.3, 1.4.6, 1.5.9" in result.stdout


def test_fix_changes_the_one_value_and_keeps_the_rest(manifests: Path) -> None:
    words = ("-f", str(manifests), "--from", "1.2.8", "--to", "1.3.0", "-o", "name")

    result = egops(*words, "--fix", "--yes")

    expected = POLICY.replace("    alpnProtocols: []\n", "")
    assert (manifests / "policy.yaml").read_text("utf-8") == expected
    assert (manifests / "gateway.yaml").read_text("utf-8") == GATEWAY
    assert "-    alpnProtocols: []" in result.stderr
    assert "EGU-1302" not in egops(*words).stdout


def test_fix_asks_first(manifests: Path) -> None:
    words = ("-f", str(manifests), "--from", "1.2.8", "--to", "1.3.0", "-o", "name")

    egops(*words, "--fix", stdin="n\n")

    assert (manifests / "policy.yaml").read_text("utf-8") == POLICY


def test_write_fixes_makes_a_kustomization(manifests: Path, tmp_path: Path) -> None:
    folder = tmp_path / "fixes"
    words = ("-f", str(manifests / "policy.yaml"), "-f", str(manifests / "gateway.yaml"))

    egops(*words, "--from", "1.2.8", "--to", "1.3.0", "--write-fixes", str(folder))

    kustomization = (folder / "kustomization.yaml").read_text("utf-8")
    assert "- path: egu-1302" in kustomization
    patch = next(folder.glob("egu-1302*")).read_text("utf-8")
    assert "alpnProtocols: null" in patch
