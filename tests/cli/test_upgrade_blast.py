"""`egops upgrade-check` with two states: dumps, bundles, two egctl binaries."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from egops.cli import root
from egops.gather.bundle import pack
from tests.cli.test_upgrade_verify import bundles
from tests.rules.snapshots import load_fixture
from tests.xds.dumps import DUMPS, load, made_by, routes, section

FIXTURES = Path(__file__).parents[1] / "rules" / "upgrade"
CLUSTERS = Path(__file__).parents[1] / "fixtures" / "clusters"
SCHEMA = json.loads(Path("egops/schema/report.schema.json").read_text("utf-8"))
OLD, NEW = str(DUMPS / "eg-1.2.8.json.gz"), str(DUMPS / "eg-1.3.0.json.gz")


def check(*words: str) -> Result:
    return CliRunner().invoke(root, ["upgrade-check", *words])


def report(*words: str) -> Any:
    result = check(*words, "-o", "json")
    assert result.exit_code in (0, 1), result.output
    found = json.loads(result.stdout)
    jsonschema.validate(found, SCHEMA)
    return found


def edited(tmp_path: Path) -> str:
    """Return a dump of 1.3.0 in which one rule answers 500."""
    document = load("eg-1.3.0")
    for entry in routes(document):
        if entry["name"].startswith("httproute/demo/plain/"):
            del entry["route"]
            entry["direct_response"] = {"status": 500}
    file = tmp_path / "new.json"
    file.write_text(json.dumps(document), "utf-8")
    return str(file)


def test_rules_explain_what_two_dumps_of_the_same_objects_show() -> None:
    words = ("--before", OLD, "--after", NEW, "-f", str(CLUSTERS / "eg-1.2.8"), "--to", "1.3.0")

    found = report(*words)

    radius = found["blastRadius"]
    assert (radius["rules"], radius["changed"], radius["unchanged"]) == (4, [], 4)
    shared = {each["difference"]: each for each in radius["shared"]}
    lost = shared["cluster: outlier_detection: {} -> nothing"]
    assert (lost["count"], lost["explainedBy"]) == (3, ["EGU-1303"])
    assert all(each["explainedBy"] for each in radius["shared"])
    assert not [f for f in found["findings"] if f["code"] == "EGU-0001"]


def test_a_difference_that_no_rule_explains_is_a_finding(tmp_path: Path) -> None:
    objects = str(CLUSTERS / "eg-1.2.8")

    found = report("--before", OLD, "--after", edited(tmp_path), "-f", objects, "--to", "1.3.0")

    unexplained = [f for f in found["findings"] if f["code"] == "EGU-0001"]
    assert {f["object"]["name"] for f in unexplained} == {"plain"}
    assert {f["severity"] for f in unexplained} == {"warning"}
    (changed,) = found["blastRadius"]["changed"]
    assert changed["rule"] == "HTTPRoute/demo/plain/0"
    fates = [f for f in found["findings"] if f["code"] == "EGU-0004"]
    assert {f["object"]["name"] for f in fates} == {"plain"}


def test_the_text_says_how_many_rules_change_and_how_many_do_not(tmp_path: Path) -> None:
    result = check("--before", OLD, "--after", edited(tmp_path))

    assert result.exit_code == 1
    assert "BLAST RADIUS: 1 rule changes behaviour, the other 3 do not" in result.stdout
    assert "HTTPRoute/demo/plain/0 (unexplained)" in result.stdout
    assert "no upgrade rule was asked" in check("--before", OLD, "--after", NEW, "-v").stdout


def test_many_requests_that_end_alike_are_told_once(tmp_path: Path) -> None:
    """A Gateway that loses its routes is no thousand findings."""
    files = []
    for status in (False, True):
        document = load("eg-1.3.0")
        for config in section(document, "Routes")["dynamic_route_configs"]:
            hosts = config["route_config"]["virtual_hosts"]
            plain = next((h for h in hosts if h["domains"] == ["www.demo.test"]), None)
            for number in range(40 if plain else 0):
                text = json.dumps(plain).replace("www.demo.test", f"h{number}.demo.test")
                host = json.loads(text.replace("demo/plain", f"demo/r{number}"))
                for entry in host["routes"]:
                    made_by(entry)["name"] = f"r{number}"
                    if status:
                        del entry["route"]
                        entry["direct_response"] = {"status": 500}
                hosts.append(host)
        files.append(str(tmp_path / f"{status}.json"))
        Path(files[-1]).write_text(json.dumps(document), "utf-8")

    found = report("--before", files[0], "--after", files[1], "--only", "EGU-0004")

    assert len(found["findings"]) == 31
    last = [f for f in found["findings"] if "more kinds of requests" in f["message"]]
    assert len(last) == 1
    assert last[0]["severity"] == "error"


def test_the_same_dump_twice_has_no_radius() -> None:
    result = check("--before", NEW, "--after", NEW)

    assert result.exit_code == 0
    assert "BLAST RADIUS: 0 rules change behaviour, the other 4 do not" in result.stdout


def test_a_bundle_before_is_compared_with_one_after(tmp_path: Path) -> None:
    before, after = bundles(tmp_path, "unexplained_translation_difference/one_of_two")

    found = report("--before", before, "--after", after)

    assert (found["source"]["from"], found["source"]["to"]) == ("1.2.8", "1.3.0")
    changed = {each["rule"]: each["explainedBy"] for each in found["blastRadius"]["changed"]}
    assert changed == {"HTTPRoute/shop/cart/0": ["EGU-1311"], "HTTPRoute/shop/stock/0": []}


def test_a_bundle_before_is_compared_with_what_is_there(tmp_path: Path) -> None:
    before, _ = bundles(tmp_path, "unexplained_translation_difference/one_of_two")
    later = load_fixture(FIXTURES / "unexplained_translation_difference/one_of_two")
    pack(later, tmp_path / "now.zip")

    found = report("--before", before, "-f", str(tmp_path / "now.zip"), "--to", "1.3.0")

    assert "HTTPRoute/shop/cart/0" in {each["rule"] for each in found["blastRadius"]["changed"]}


def test_only_the_comparison_can_be_asked_for(tmp_path: Path) -> None:
    words = ("--before", OLD, "--after", edited(tmp_path), "-f", str(CLUSTERS / "eg-1.2.8"))

    found = report(*words, "--to", "1.3.0", "--only", "EGU-0001")

    assert {f["code"] for f in found["findings"]} == {"EGU-0001"}
    assert {f["object"]["name"] for f in found["findings"]} == {"plain"}, "rules still explain"


def test_a_change_request_has_the_radius(tmp_path: Path) -> None:
    result = check("--before", OLD, "--after", NEW, "-o", "markdown")

    assert "BLAST RADIUS" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--after", NEW), "--after needs --before"),
        (("--before", OLD, "-f", "tests/rules/gateway"), "no later state"),
        (("--before", "nowhere.json", "--after", NEW), "nowhere.json"),
        (("--egctl-from", "a"), "go together"),
        (("--egctl-from", "a", "--egctl-to", "b"), "give them with -f"),
        (("--egctl-from", "a", "--egctl-to", "b", "--before", OLD), "without --before"),
        (
            ("--egctl-from", "/no/egctl", "--egctl-to", "b", "-f", "tests/rules/gateway"),
            "cannot run /no/egctl",
        ),
    ],
)
def test_states_that_make_no_sense_are_usage_errors(words: tuple[str, ...], message: str) -> None:
    result = check(*words)

    assert result.exit_code in (2, 3), result.output
    assert message in result.stderr


# ------------------------------------------------------------------ egctl


def egctl(folder: Path, version: str, dump: Any, status: int = 0) -> str:
    """Return a program that answers as egctl of a release does."""
    answer = folder / f"{version}.json"
    answer.write_text(json.dumps({"xds": {"demo/eg": dump}}), "utf-8")
    program = folder / f"egctl-{version}"
    program.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = version ] && {{ echo v{version}; exit; }}\n'
        f'for last; do :; done; cp "$last" {shlex.quote(str(folder))}/asked\n'
        f"[ {status} = 0 ] && cat {shlex.quote(str(answer))}\n"
        'echo "Error: refused" >&2\n'
        f"exit {status}\n",
        "utf-8",
    )
    program.chmod(0o755)
    return str(program)


def test_two_egctl_translate_the_same_objects(tmp_path: Path) -> None:
    one = egctl(tmp_path, "1.2.8", load("eg-1.2.8"))
    other = egctl(tmp_path, "1.3.0", load("eg-1.3.0"))
    objects = str(CLUSTERS / "eg-1.2.8" / "httproutes.gateway.networking.k8s.io.json")

    found = report("--egctl-from", one, "--egctl-to", other, "-f", objects)

    assert (found["source"]["from"], found["source"]["to"]) == ("1.2.8", "1.3.0")
    assert found["blastRadius"]["rules"] == 4
    assert any("egctl 1.2 loads Secrets" in note for note in found["notes"])
    asked = (tmp_path / "asked").read_text("utf-8")
    assert '"kind":"HTTPRoute"' in asked


def test_an_egctl_that_refuses_is_told_in_its_own_words(tmp_path: Path) -> None:
    one = egctl(tmp_path, "1.2.8", load("eg-1.2.8"), status=1)

    result = check("--egctl-from", one, "--egctl-to", one, "-f", str(CLUSTERS / "eg-1.2.8"))

    assert result.exit_code == 2
    assert "x translate failed: Error: refused" in result.stderr
