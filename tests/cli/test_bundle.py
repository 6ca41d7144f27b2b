"""`egops bundle`, and every command that takes what it wrote."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from egops.cli import root
from tests.xds.dumps import DUMPS

DUMP = str(DUMPS / "eg-1.2.8.json.gz")
OBJECTS = """\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg, namespace: demo}
spec:
  gatewayClassName: eg
  listeners: [{name: https, port: 443, protocol: HTTPS}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: ClientTrafficPolicy
metadata: {name: tls, namespace: demo}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: eg}]
  tls: {alpnProtocols: []}
"""


def egops(*words: str) -> Result:
    return CliRunner().invoke(root, [*words])


@pytest.fixture
def saved(tmp_path: Path) -> str:
    manifests = tmp_path / "objects.yaml"
    manifests.write_text(OBJECTS, "utf-8")
    path = str(tmp_path / "before.zip")
    result = egops("bundle", path, "-f", str(manifests), "--config-dump", DUMP)
    assert result.exit_code == 0, result.output
    return path


def test_it_says_what_it_holds_and_what_it_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"

    result = egops("bundle", str(path), "--config-dump", DUMP, "-o", "json", "--without-logs")

    told = json.loads(result.stdout)
    assert told["file"] == str(path)
    assert told["pods"] == {DUMP: ["/config_dump?include_eds"]}
    assert told["notRead"]["logs"] == "--without-logs"
    assert told["redacted"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_of_ours_is_saved_as_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty.yaml"
    empty.write_text("apiVersion: v1\nkind: Foreign\nmetadata: {name: x}\n", "utf-8")

    result = egops("bundle", str(tmp_path / "x.zip"), "-f", str(empty))

    assert result.exit_code == 3
    assert "nothing is saved" in result.stderr
    assert not (tmp_path / "x.zip").exists()


def test_a_file_that_is_there_stays(saved: str) -> None:
    before = Path(saved).read_bytes()

    result = egops("bundle", saved, "--config-dump", DUMP)

    assert result.exit_code == 3
    assert "is there already" in result.stderr
    assert Path(saved).read_bytes() == before


def test_no_private_key_is_in_the_bundle(saved: str) -> None:
    with zipfile.ZipFile(saved) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())

    assert b"PRIVATE KEY" not in everything


def test_doctor_reads_a_bundle(saved: str) -> None:
    result = egops("doctor", "-f", saved, "-o", "json")

    report = json.loads(result.stdout)
    assert report["source"]["type"] == "bundle"
    assert report["summary"]["ok"] > 0


def test_upgrade_check_reads_a_bundle(saved: str) -> None:
    words = ("--from", "1.2.8", "--to", "1.3.0", "-o", "name")

    result = egops("upgrade-check", "-f", saved, *words)

    assert "EGU-1302 ClientTrafficPolicy/demo/tls" in result.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("inspect", "routes"), "HTTPRoute/demo/plain/0"),
        (("inspect", "listeners"), "demo/eg/http"),
        (("inspect", "clusters"), "httproute/demo/plain/rule/0"),
        (("inspect", "endpoints"), "httproute/demo/plain/rule/0"),
        (("inspect", "secrets"), "demo/demo-tls"),
        (("inspect", "filters"), "envoy.filters.http.router"),
        (("inspect", "proxies"), "demo/eg"),
        (("routes", "map", "-o", "json"), "httproute/demo/plain/rule/0/match/0/www_demo_test"),
        (("routes", "explain", "http://www.demo.test/"), "HTTPRoute demo/plain rule 0"),
        (("routes", "shadowed"), ""),
    ],
    ids=" ".join,
)
def test_what_asks_envoy_reads_a_bundle(saved: str, words: tuple[str, ...], expected: str) -> None:
    result = egops(*words, "-f", saved)

    assert result.exit_code in (0, 1), result.output
    assert expected in result.stdout


def test_expectations_are_recorded_and_checked_with_bundles(saved: str, tmp_path: Path) -> None:
    tests = str(tmp_path / "routes.yaml")

    assert egops("routes", "test", tests, "--record", "-f", saved).exit_code == 0
    checked = egops("routes", "test", tests, "-f", saved)

    assert checked.exit_code == 0
    assert "0 failed" in checked.stdout


@pytest.mark.parametrize("group", ["routes", "inspect"])
def test_bundles_are_compared_with_dumps(saved: str, group: str) -> None:
    assert egops(group, "diff", saved, DUMP).exit_code == 0
    assert egops(group, "diff", saved, str(DUMPS / "eg-1.9.0.json.gz")).exit_code == 1
