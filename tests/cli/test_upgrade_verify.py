"""`egops upgrade verify` from the outside: two bundles, exit codes, predictions."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from egops.cli import root
from egops.gatewayapi import DEPLOYMENT
from egops.gather.bundle import pack
from egops.snapshot import Probe, Proxy, Resource, Snapshot
from tests.rules.snapshots import load_fixture

SCHEMA = json.loads(Path("egops/schema/report.schema.json").read_text("utf-8"))
GONE = b'{"node": {"cluster": "other/gone"}}'
FIXTURES = Path(__file__).parents[1] / "rules" / "upgrade"


def egops(*words: str) -> Result:
    return CliRunner().invoke(root, [*words])


def running(snapshot: Snapshot, version: str) -> Snapshot:
    """Return the snapshot with a controller of this release."""
    labels = {"control-plane": "envoy-gateway"}
    container = {"name": "envoy-gateway", "image": f"envoyproxy/gateway:v{version}"}
    metadata = {"name": "envoy-gateway", "namespace": "envoy-gateway-system", "labels": labels}
    spec = {"template": {"spec": {"containers": [container]}}}
    controller = Resource(DEPLOYMENT, {"metadata": metadata, "spec": spec})
    return replace(snapshot, resources={**snapshot.resources, DEPLOYMENT: (controller,)})


def bundles(tmp_path: Path, fixture: str, *, after: str = "1.3.0") -> tuple[str, str]:
    """Return what was there before and after, as files."""
    found = load_fixture(FIXTURES / fixture)
    assert found.before is not None
    names = str(tmp_path / "before.zip"), str(tmp_path / "after.zip")
    pack(running(found.before, "1.2.8"), names[0])
    pack(running(found, after), names[1])
    return names


def test_a_prediction_that_came_true_is_told_with_its_proof(tmp_path: Path) -> None:
    before, after = bundles(tmp_path, "unexplained_translation_difference/one_of_two")

    result = egops("upgrade", "verify", "--snapshot", before, "-f", after, "-o", "json")

    report = json.loads(result.stdout)
    jsonschema.validate(report, SCHEMA)
    assert result.exit_code == 1
    outcomes = {(each["code"], each["object"]["name"]): each for each in report["predictions"]}
    came_true = outcomes["EGU-1311", "cart"]
    assert came_true["outcome"] == "happened"
    assert "route HTTPRoute/shop/cart/0" in came_true["because"]
    assert outcomes["EGU-1303", "edge"]["outcome"] == "did not happen"
    assert outcomes["EGU-1330", "envoy-gateway"]["outcome"] == "happened"
    lost = [f for f in report["findings"] if f["code"] == "EGU-0004"]
    assert [f["object"]["name"] for f in lost] == ["cart"]
    assert lost[0]["severity"] == "error"


def test_the_text_ends_with_the_predictions(tmp_path: Path) -> None:
    before, after = bundles(tmp_path, "unexplained_translation_difference/one_of_two")

    result = egops("upgrade", "verify", "--snapshot", before, "-f", after)

    tail = result.stdout.partition("PREDICTED: ")[2]
    assert "happened       EGU-1311 HTTPRoute shop/cart (rule 0)" in tail


def test_an_upgrade_that_changed_nothing_is_fine(tmp_path: Path) -> None:
    before, after = bundles(tmp_path, "request_changes_fate/names_v2")

    result = egops("upgrade", "verify", "--snapshot", before, "-f", after, "-o", "json")

    report = json.loads(result.stdout)
    assert result.exit_code == 0, result.stdout
    assert report["summary"]["error"] == 0


def test_a_saved_prediction_is_read_back(tmp_path: Path) -> None:
    before, after = bundles(tmp_path, "unexplained_translation_difference/one_of_two")
    saved = tmp_path / "predicted.json"
    words = ("upgrade-check", "-f", before, "--to", "1.3.0", "--only", "EGU-1311", "-o", "json")
    saved.write_text(egops(*words).stdout, "utf-8")

    result = egops(
        *("upgrade", "verify", "--snapshot", before, "-f", after, "--predicted", str(saved)),
        *("-o", "json"),
    )

    found = json.loads(result.stdout)["predictions"]
    assert {(each["code"], each["outcome"]) for each in found} == {("EGU-1311", "happened")}


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "is no JSON"), ('{"command": "doctor"}', "is no report of upgrade-check")],
)
def test_what_is_no_prediction_is_told(tmp_path: Path, content: str, words: str) -> None:
    before, after = bundles(tmp_path, "request_changes_fate/names_v2")
    saved = tmp_path / "predicted.json"
    saved.write_text(content, "utf-8")

    result = egops(
        "upgrade", "verify", "--snapshot", before, "-f", after, "--predicted", str(saved)
    )

    assert result.exit_code == 2
    assert words in result.stderr


def test_the_same_release_twice_is_no_upgrade(tmp_path: Path) -> None:
    before, after = bundles(tmp_path, "request_changes_fate/names_v2", after="1.2.8")

    result = egops("upgrade", "verify", "--snapshot", before, "-f", after)

    assert "nothing was upgraded yet" in result.stdout
    assert "PREDICTED" not in result.stdout


def test_a_release_that_was_not_reached_is_an_error(tmp_path: Path) -> None:
    before, after = bundles(tmp_path, "request_changes_fate/names_v2", after="1.2.8")

    result = egops(
        "upgrade", "verify", "--snapshot", before, "-f", after, "--to", "1.3.0", "-o", "name"
    )

    assert result.exit_code == 1
    assert "EGU-0005 Deployment/envoy-gateway-system/envoy-gateway" in result.stdout


@pytest.mark.parametrize("name", ["nowhere.zip", "objects.yaml"])
def test_only_a_bundle_is_a_state_before(tmp_path: Path, name: str) -> None:
    fixture = FIXTURES / "request_changes_fate/names_v2/objects.yaml"
    shutil.copy(fixture, tmp_path / "objects.yaml")

    result = egops("upgrade", "verify", "--snapshot", str(tmp_path / name), "-f", str(fixture))

    assert result.exit_code == 2
    assert "is no bundle" in result.stderr


def test_a_fleet_without_proxies_now_is_a_reported_skip(tmp_path: Path) -> None:
    found = load_fixture(FIXTURES / "request_changes_fate/names_v2")
    past = found.before
    assert past is not None
    (proxy,) = past.proxies
    gone = Proxy("eg/gone", None, {**proxy.documents, Probe.SERVER_INFO: GONE})
    pack(running(replace(past, proxies=(proxy, gone)), "1.2.8"), tmp_path / "before.zip")
    pack(running(found, "1.3.0"), tmp_path / "after.zip")
    names = str(tmp_path / "before.zip"), str(tmp_path / "after.zip")

    result = egops("upgrade", "verify", "--snapshot", names[0], "-f", names[1], "-o", "json")

    reasons = [skip["reason"] for skip in json.loads(result.stdout)["skipped"]]
    assert reasons.count("fleet other/gone not compared: no proxy of it was read now") == 2


def test_a_bundle_without_proxies_judges_the_objects(tmp_path: Path) -> None:
    before, after = bundles(tmp_path, "condition_lost/lost")

    result = egops("upgrade", "verify", "--snapshot", before, "-f", after, "-o", "json")

    report = json.loads(result.stdout)
    assert {finding["code"] for finding in report["findings"]} == {"EGU-0002"}
    reasons = {skip["code"]: skip["reason"] for skip in report["skipped"]}
    assert reasons["EGU-0004"]
    unknown = [p for p in report["predictions"] if p["outcome"] == "not observable"]
    assert any("no proxy's configuration" in each["because"] for each in unknown)
