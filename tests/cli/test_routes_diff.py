"""`egops routes diff`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner, Result

from egops.cli import root
from tests.xds.dumps import DUMPS, load, routes, section

if TYPE_CHECKING:
    from pathlib import Path

EG_190 = str(DUMPS / "eg-1.9.0.json.gz")


def diff(old: str, new: str, *args: str) -> Result:
    return CliRunner().invoke(root, ["routes", "diff", old, new, *args])


def edited(tmp_path: Path, document: Any) -> str:
    file = tmp_path / "new.json"
    file.write_text(json.dumps(document), "utf-8")
    return str(file)


def told(result: Result) -> list[Any]:
    assert result.exit_code in (0, 1), result.output
    found: list[Any] = json.loads(result.stdout)["changes"]
    return found


def test_a_dump_does_not_differ_from_itself() -> None:
    result = diff(EG_190, EG_190)

    assert (result.exit_code, result.stdout) == (0, "0 changes\n")


def test_a_narrower_match_shows_the_requests_that_lose_their_rule(tmp_path: Path) -> None:
    document = load("eg-1.9.0")
    for entry in routes(document):
        if entry["match"].get("path_separated_prefix") == "/api":
            entry["match"] = {"path": "/api"}

    found = told(diff(EG_190, edited(tmp_path, document), "-o", "json"))

    (change,) = [c for c in found if c["new"]["outcome"] == "no_route"]
    assert change["old"]["rule"] == "HTTPRoute/demo/canary/0"
    assert change["new"]["status"] == 404
    assert change["request"]["path"].startswith("/api/")
    assert change["request"]["authority"] == "canary.demo.test"


def test_other_weights_are_a_change_of_backends(tmp_path: Path) -> None:
    document = load("eg-1.9.0")
    for entry in routes(document):
        if entry["name"].startswith("httproute/demo/plain/") and "route" in entry:
            entry["route"]["cluster"] = "httproute/demo/private/rule/0"

    found = told(diff(EG_190, edited(tmp_path, document), "-o", "json"))

    assert [c["differs"] for c in found] == [["backends"]]


def test_a_setting_of_the_listener_is_noticed(tmp_path: Path) -> None:
    document = load("eg-1.9.0")
    raw = json.dumps(section(document, "Listeners"))
    kept = json.loads(raw.replace("UNESCAPE_AND_REDIRECT", "KEEP_UNCHANGED"))
    section(document, "Listeners").update(kept)

    found = told(diff(EG_190, edited(tmp_path, document), "-o", "json"))

    assert all("%2F" in change["request"]["path"] for change in found)
    assert {change["old"]["status"] for change in found} == {307}


def test_a_host_that_is_gone_is_found(tmp_path: Path) -> None:
    document = load("eg-1.9.0")
    for config in section(document, "Routes")["dynamic_route_configs"]:
        hosts = config["route_config"]["virtual_hosts"]
        hosts[:] = [host for host in hosts if host["domains"] != ["moved.demo.test"]]

    found = told(diff(EG_190, edited(tmp_path, document), "-o", "json"))

    assert {c["old"]["outcome"] for c in found} <= {"redirect", "rejected"}
    assert any(c["old"]["rule"] == "HTTPRoute/demo/moved/0" for c in found)


def test_a_file_with_several_dumps_is_refused(tmp_path: Path) -> None:
    result = diff(EG_190, str(tmp_path / "none.json"))

    assert result.exit_code != 0
    assert "Traceback" not in result.stderr
