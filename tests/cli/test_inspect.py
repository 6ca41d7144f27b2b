"""`egops inspect`."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner, Result

from egops.cli import root
from tests.xds.dumps import (
    DUMPS,
    RELEASES,
    load,
    made_by,
    metadata,
    minimal,
    raw_dump,
    routes,
    section,
)

if TYPE_CHECKING:
    from pathlib import Path

EG_130 = str(DUMPS / "eg-1.3.0.json.gz")
LISTS = ("proxies", "listeners", "routes", "clusters", "endpoints", "secrets", "filters")
KIND = "type.googleapis.com/envoy.admin.v3"


def egops(*words: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(root, words, input=stdin)


def inspect(*words: str, dump: str = EG_130) -> Result:
    result = egops("inspect", *words, "--config-dump", dump)
    assert result.exit_code == 0, result.stderr
    return result


def write(path: Path, document: Any) -> str:
    path.write_text(json.dumps(document), "utf-8")
    return str(path)


# ------------------------------------------------------------------ every listing


@pytest.mark.parametrize("what", LISTS)
@pytest.mark.parametrize("release", RELEASES)
def test_every_listing_has_a_row_for_each_resource_in_every_format(what: str, release: str) -> None:
    dump = str(DUMPS / f"eg-{release}.json.gz")

    rows = json.loads(inspect(what, "-o", "json", dump=dump).stdout)[what]
    table = inspect(what, dump=dump).stdout.splitlines()
    wide = inspect(what, "-o", "wide", dump=dump).stdout.splitlines()
    names = inspect(what, "-o", "name", dump=dump).stdout.splitlines()

    assert rows
    assert len(table) == len(wide) == len(rows) + 1
    assert len(names) == len(rows)
    assert table[0].split()[0].isupper()
    assert len(wide[0]) > len(table[0])
    assert yaml.safe_load(inspect(what, "-o", "yaml", dump=dump).stdout) == {what: rows}


@pytest.mark.parametrize("what", LISTS)
def test_no_listing_shows_a_private_key(what: str) -> None:
    for output in ("table", "wide", "json", "yaml", "name"):
        assert "PRIVATE KEY" not in inspect(what, "-o", output).stdout


def test_egctls_form_shows_the_same_routes() -> None:
    egctl = str(DUMPS / "egctl-1.3.0.json.gz")

    assert inspect("routes", dump=egctl).stdout == inspect("routes").stdout


def test_a_dump_on_standard_input_is_read() -> None:
    result = egops("inspect", "routes", "--config-dump", "-", stdin=raw_dump("eg-1.3.0"))

    assert result.exit_code == 0
    assert "HTTPRoute/demo/canary/0" in result.stdout


def test_several_dumps_show_whose_a_row_is() -> None:
    both = inspect("clusters", "--config-dump", str(DUMPS / "eg-1.9.0.json.gz")).stdout

    assert both.splitlines()[0].split()[0] == "PROXY"
    assert "eg-1.3.0.json.gz" in both
    assert "eg-1.9.0.json.gz" in both


def test_a_proxy_is_chosen_by_name() -> None:
    more = ("--config-dump", str(DUMPS / "eg-1.9.0.json.gz"), "--proxy", "*1.9.0*")

    assert "wasm_cluster" not in inspect("clusters", *more).stdout
    result = egops("inspect", "clusters", "--config-dump", EG_130, "--proxy", "nobody")
    assert result.exit_code == 2
    assert "no proxy nobody" in result.stderr


# ------------------------------------------------------------------ what the rows say


def test_routes_show_rule_and_action() -> None:
    lines = inspect("routes").stdout.splitlines()

    moved = next(line for line in lines if "moved.demo.test" in line)
    assert moved.split() == [
        "demo/eg/http", "moved.demo.test", "/", "HTTPRoute/demo/moved/0", "redirect", "301",
        "https://www.demo.test",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "hosts"),
    [
        (("--host", "www.demo.test"), {"www.demo.test", "*"}),
        (("--host", "WWW.demo.test", "--port", "80"), {"www.demo.test"}),
        (("--port", "10443"), {"canary.demo.test", "private.demo.test", "www.demo.test"}),
        (("--port", "443"), {"canary.demo.test", "private.demo.test", "www.demo.test"}),
        (("--path-prefix", "/api"), {"canary.demo.test"}),
        (("--route", "demo/plain"), {"www.demo.test"}),
        (("--route", "HTTPRoute/demo/plain/0"), {"www.demo.test"}),
        (("--route", "GRPCRoute/demo/plain"), set()),
        (("--route", "demo/plain/1"), set()),
        (("--cluster", "httproute/demo/canary/*"), {"canary.demo.test"}),
        (("--cluster", "nothing"), set()),
    ],
)
def test_routes_are_filtered(words: tuple[str, ...], hosts: set[str]) -> None:
    rows = json.loads(inspect("routes", "-o", "json", *words).stdout)["routes"]

    assert {domain for row in rows for domain in row["envoy"]["domains"]} == hosts


def test_nothing_found_is_said_on_stderr() -> None:
    result = inspect("routes", "--path-prefix", "/nowhere")

    assert result.stdout == ""
    assert "No routes found" in result.stderr


def test_endpoints_name_their_backend_ref() -> None:
    rows = json.loads(inspect("endpoints", "-o", "json", "--route", "demo/canary").stdout)

    assert [row["owner"]["backend"] for row in rows["endpoints"]] == [0, 1]
    assert [row["localityWeight"] for row in rows["endpoints"]] == [90, 10]


def test_an_unhealthy_endpoint_is_found(tmp_path: Path) -> None:
    document = load("eg-1.3.0")
    for entry in section(document, "Endpoints")["dynamic_endpoint_configs"]:
        config = entry["endpoint_config"]
        if config["cluster_name"] == "httproute/demo/canary/rule/0":
            config["endpoints"][1]["lb_endpoints"][0]["health_status"] = "UNHEALTHY"
    dump = write(tmp_path / "dump.json", document)

    endpoints = json.loads(inspect("endpoints", "--unhealthy", "-o", "json", dump=dump).stdout)
    clusters = json.loads(inspect("clusters", "--unhealthy", "-o", "json", dump=dump).stdout)

    assert [row["owner"]["backend"] for row in endpoints["endpoints"]] == [1]
    (cluster,) = clusters["clusters"]
    assert (cluster["healthy"], cluster["endpoints"]) == (1, 2)


def test_endpoints_of_a_dump_without_eds_are_missed_aloud(tmp_path: Path) -> None:
    document = load("eg-1.3.0")
    document["configs"].remove(section(document, "Endpoints"))

    result = inspect("endpoints", dump=write(tmp_path / "dump.json", document))

    assert "include_eds" in result.stderr


def test_secrets_show_subject_names_and_dates() -> None:
    rows = json.loads(inspect("secrets", "-o", "json").stdout)["secrets"]

    (row,) = (row for row in rows if row["name"] == "demo/demo-tls")
    (certificate,) = row["certificates"]
    assert certificate["subject"] == "CN=www.demo.test"
    assert certificate["sans"] == ["*.demo.test"]
    assert certificate["notAfter"] == "2027-11-23T08:55:54Z"
    assert row["owners"][0]["kind"] == "Secret"


def test_a_certificate_that_does_not_parse_is_shown_as_such(tmp_path: Path) -> None:
    document = load("eg-1.3.0")
    for entry in section(document, "Secrets")["dynamic_active_secrets"]:
        if "tls_certificate" in entry["secret"]:
            chain = entry["secret"]["tls_certificate"]["certificate_chain"]
            chain["inline_bytes"] = "bm90IGEgY2VydGlmaWNhdGU="

    text = inspect("secrets", dump=write(tmp_path / "dump.json", document)).stdout

    assert text.count("no certificate in PEM") == 2


def test_filters_show_who_wants_them() -> None:
    rows = json.loads(
        inspect("filters", "-o", "json", dump=str(DUMPS / "eg-1.9.0.json.gz")).stdout
    )["filters"]

    auth = [row for row in rows if row["name"].startswith("envoy.filters.http.basic_auth/")]
    assert auth
    for row in auth:
        assert row["owner"]["kind"] == "SecurityPolicy"
        assert row["routes"] == 1
        assert row["disabled"]


def test_a_refused_listener_is_shown_with_envoys_reason(tmp_path: Path) -> None:
    document = load("eg-1.3.0")
    refused = {
        "error_state": {
            "failed_configuration": {
                "name": "demo/eg/tls",
                "address": {"socket_address": {"address": "0.0.0.0", "port_value": 10444}},
            },
            "details": "unknown cipher",
        }
    }
    section(document, "Listeners")["dynamic_listeners"].append(refused)
    dump = write(tmp_path / "dump.json", document)

    (row,) = json.loads(inspect("listeners", "--warming", "-o", "json", dump=dump).stdout)[
        "listeners"
    ]

    assert (row["name"], row["state"], row["error"]) == (
        "demo/eg/tls",
        "rejected",
        "unknown cipher",
    )
    assert row["port"] == 10444
    assert row["owner"]["listener"] == "tls"
    assert "1 rejected" in inspect("proxies", dump=dump).stdout


def test_listeners_sharing_a_port_are_told(tmp_path: Path) -> None:
    manager = f"{KIND.replace('admin.v3', 'extensions.filters.network.http_connection_manager.v3')}"
    config = {
        "@type": f"{manager}.HttpConnectionManager",
        "rds": {"route_config_name": "default/eg/a"},
    }
    listener = {
        "name": "default/eg/a",
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": 8080}},
        "default_filter_chain": {"filters": [{"name": "hcm", "typed_config": config}]},
    }
    hosts = [
        {"name": f"default/eg/{name}/*", "domains": ["*"], "routes": [],
         "metadata": metadata("Gateway", "default", "eg", name)}
        for name in ("a", "b")
    ]  # fmt: skip
    from egops.xds.view.listeners import listener_rows

    (row,) = listener_rows(minimal(*hosts, listeners=[listener], config="default/eg/a"))

    assert [gateway.listener for gateway in row.gateways] == ["a", "b"]
    assert "Gateway/default/eg/b" in row.wide()


# ------------------------------------------------------------------ raw


def test_raw_prints_a_dump_that_reads_again(tmp_path: Path) -> None:
    again = tmp_path / "again.json"
    again.write_text(inspect("raw").stdout, "utf-8")

    result = egops("inspect", "diff", EG_130, str(again))

    assert result.exit_code == 0, result.output


def test_raw_prints_one_section() -> None:
    for word in ("secrets", "SecretsConfigDump"):
        (only,) = json.loads(inspect("raw", word).stdout)["configs"]
        assert only["@type"] == f"{KIND}.SecretsConfigDump"


def test_raw_takes_out_what_envoy_leaves(tmp_path: Path) -> None:
    key = "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----\n"
    document = load("eg-1.3.0")
    bootstrap = section(document, "Bootstrap")["bootstrap"]
    bootstrap["static_resources"]["secrets"] = [
        {"name": "inline", "tls_certificate": {"private_key": {"inline_string": key}}},
        {"name": "odd", "generic_secret": {"secret": {"inline_bytes": "aHVudGVyMg=="}}},
    ]
    bootstrap["note"] = f"before {key} after"
    next(routes(document))["request_headers_to_add"] = [
        {"header": {"key": "Authorization", "value": "Bearer abcdefgh12345"}},
        {"header": {"key": "x-team", "value": "blue"}},
        {"header": {"key": "x-link", "value": "https://user:hunter2@example.com/"}},
    ]

    text = inspect("raw", dump=write(tmp_path / "dump.json", document)).stdout

    for secret in ("c2VjcmV0", "hunter2", "aHVudGVyMg", "abcdefgh12345", "PRIVATE KEY"):
        assert secret not in text
    for kept in ("blue", "before [redacted]", "@example.com", "certificate_chain"):
        assert kept in text


def test_raw_of_a_section_that_is_not_there_says_what_is() -> None:
    result = egops("inspect", "raw", "ecds", "--config-dump", EG_130)

    assert result.exit_code == 2
    assert "secrets" in result.stderr
    assert egops("inspect", "raw", "nonsense", "--config-dump", EG_130).exit_code == 2


# ------------------------------------------------------------------ diff


def diff(tmp_path: Path, document: Any, *words: str) -> tuple[int, list[Any]]:
    other = write(tmp_path / "other.json", document)
    result = egops("inspect", "diff", EG_130, other, "-o", "json", *words)
    return result.exit_code, json.loads(result.stdout)["changes"]


def test_diff_ignores_order_versions_and_times(tmp_path: Path) -> None:
    document = load("eg-1.3.0")
    document["configs"].reverse()
    for entry in document["configs"]:
        for key, value in entry.items():
            if isinstance(value, list):
                value.reverse()
                for item in value:
                    item["version_info"] = "other"
                    item["last_updated"] = "2030-01-01T00:00:00Z"
            if key == "version_info":
                entry[key] = "99"
    for config in section(document, "Routes")["dynamic_route_configs"]:
        config["route_config"]["virtual_hosts"].reverse()

    assert diff(tmp_path, document) == (0, [])


def test_diff_tells_added_removed_and_changed(tmp_path: Path) -> None:
    document = load("eg-1.3.0")
    clusters = section(document, "Clusters")["dynamic_active_clusters"]
    clusters[0]["cluster"]["connect_timeout"] = "1s"
    removed = clusters.pop()["cluster"]["name"]
    clusters.append({"cluster": {"name": "httproute/new/one/rule/0"}})

    code, changes = diff(tmp_path, document)

    assert code == 1
    found = {(change["change"], change["name"]): change for change in changes}
    assert set(found) == {
        ("changed", clusters[0]["cluster"]["name"]),
        ("removed", removed),
        ("added", "httproute/new/one/rule/0"),
    }
    changed = found["changed", clusters[0]["cluster"]["name"]]
    assert changed["differences"] == [{"path": "connect_timeout", "old": "10s", "new": "1s"}]
    assert found["added", "httproute/new/one/rule/0"]["owner"] == "HTTPRoute/new/one/0"


def test_diff_tells_a_change_of_order_only_where_it_matters(tmp_path: Path) -> None:
    def dump(*paths: Any) -> Any:
        found = [
            {"name": f"httproute/a/b/rule/{index}/match/0/*", "match": path, "route": {}}
            for path, index in paths
        ]
        host = {"name": "default/eg/http/*", "domains": ["*"], "routes": found}
        config = {"name": "default/eg/http", "virtual_hosts": [host]}
        body = {"@type": f"{KIND}.RoutesConfigDump"}
        return {"configs": [{**body, "dynamic_route_configs": [{"route_config": config}]}]}

    apart = ({"path": "/a"}, 0), ({"path": "/b"}, 1)
    nested = ({"path_separated_prefix": "/a/b"}, 0), ({"path_separated_prefix": "/a"}, 1)
    for pair, code in ((apart, 0), (nested, 1)):
        one = write(tmp_path / "one.json", dump(*pair))
        other = write(tmp_path / "other.json", dump(*reversed(pair)))

        result = egops("inspect", "diff", one, other, "-o", "json")

        assert result.exit_code == code
        assert [change["change"] for change in json.loads(result.stdout)["changes"]] == (
            ["reordered"] * code
        )


def test_diff_never_prints_a_key(tmp_path: Path) -> None:
    document = load("eg-1.3.0")
    header = {"header": {"key": "authorization", "value": "Basic c2VjcmV0c2VjcmV0"}}
    next(routes(document))["request_headers_to_add"] = [header]
    other = write(tmp_path / "other.json", document)

    result = egops("inspect", "diff", EG_130, other, "-o", "json")

    assert result.exit_code == 1
    assert "c2VjcmV0" not in result.stdout


def test_diff_of_a_file_that_is_not_there_is_an_error() -> None:
    result = egops("inspect", "diff", EG_130, "nowhere/at/all.json")

    assert result.exit_code == 2
    assert "nowhere/at/all.json" in result.stderr


# ------------------------------------------------------------------ bad input


def test_a_truncated_dump_is_refused_with_its_size(tmp_path: Path) -> None:
    (tmp_path / "dump.json").write_bytes(raw_dump("eg-1.3.0")[:20_000])

    assert_refused(tmp_path / "dump.json", "cut off after 20,000 bytes")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (b"<!doctype html><html>503</html>", "HTML page"),
        (b"no healthy upstream", "not JSON"),
        (b"[]", "no Envoy config dump"),
        (b'{"configs": {}}', "no Envoy config dump"),
        (b'{"configs": []}', "no section"),
        (b'{"kind": "List"}', "no Envoy config dump"),
        (b"\x1f\x8b\x08\x00garbage", "cannot read"),
        (gzip.compress(b"garbage"), "not JSON"),
        (gzip.compress(raw_dump("eg-1.3.0"))[:3000], "cannot read"),
    ],
    ids=[
        "empty",
        "html",
        "text",
        "list",
        "no-list",
        "no-sections",
        "other",
        "broken-gzip",
        "gzipped-text",
        "cut-gzip",
    ],
)
def test_what_is_no_dump_is_refused_with_the_reason(
    tmp_path: Path, raw: bytes, reason: str
) -> None:
    (tmp_path / "dump.json").write_bytes(raw)

    assert_refused(tmp_path / "dump.json", reason)


def assert_refused(path: Path, reason: str) -> None:
    for command in (("inspect", "routes"), ("routes", "map")):
        result = egops(*command, "--config-dump", str(path))

        assert result.exit_code == 2
        assert result.stdout == ""
        assert reason in result.stderr
        assert "Traceback" not in result.stderr


def test_unknown_sections_and_odd_resources_are_told_and_the_rest_is_shown(tmp_path: Path) -> None:
    document = load("eg-1.3.0")
    document["configs"].append({"@type": "type.googleapis.com/envoy.admin.v9.NewConfigDump"})
    clusters = section(document, "Clusters")["dynamic_active_clusters"]
    clusters.insert(0, {"cluster": {"name": ["not", "a", "name"]}})
    clusters[1]["cluster"]["brand_new_field"] = {"any": "thing"}

    result = inspect("clusters", dump=write(tmp_path / "dump.json", document))

    assert "NewConfigDump" in result.stderr
    assert "dynamic_active_clusters[0]" in result.stderr
    assert result.stdout == inspect("clusters").stdout


def test_another_control_planes_dump_is_nobodys() -> None:
    document = load("eg-1.3.0")
    for config in section(document, "Routes")["dynamic_route_configs"]:
        for host in config["route_config"]["virtual_hosts"]:
            host["name"] = "inbound|http|80"
            host.pop("metadata")
            for route in host["routes"]:
                route["name"] = "default"
                route.pop("metadata")

    result = egops("inspect", "routes", "--config-dump", "-", stdin=json.dumps(document).encode())

    assert result.exit_code == 0
    assert result.stdout.count("<none>") == 7


def test_a_conflict_is_shown(tmp_path: Path) -> None:
    document = load("eg-1.3.0")
    made_by(next(routes(document)))["name"] = "elsewhere"

    assert "<conflict>" in inspect("routes", dump=write(tmp_path / "d.json", document)).stdout


def test_an_odd_port_or_route_is_a_usage_error() -> None:
    for words in (("--port", "0"), ("--route", "nonsense"), ("-o", "xml")):
        assert egops("inspect", "routes", "--config-dump", EG_130, *words).exit_code == 2


def test_a_route_configuration_that_is_not_loaded_is_told(tmp_path: Path) -> None:
    document = load("eg-1.3.0")
    configs = section(document, "Routes")["dynamic_route_configs"]
    missing = configs.pop()["route_config"]["name"]
    dump = write(tmp_path / "dump.json", document)

    for words in (("inspect", "routes"), ("routes", "map")):
        assert f"waits for the route configuration {missing}" in (
            egops(*words, "--config-dump", dump).stderr
        )
    document["configs"].remove(section(document, "Routes"))
    none = inspect("routes", dump=write(tmp_path / "none.json", document))
    assert "no section of routes" in none.stderr
    assert "No routes found" in none.stderr
