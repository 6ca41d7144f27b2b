"""The mapper on what Envoy Gateway's own translators make, release by release."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from egops.xds import names
from egops.xds.names import PortName
from egops.xds.routemap import route_rows
from egops.xds.versions import version_hints
from egops.xds.view.clusters import cluster_rows, endpoint_rows
from egops.xds.view.filters import filter_rows
from egops.xds.view.listeners import listener_rows
from egops.xds.view.secrets import secret_rows
from tests.xds.dumps import parsed, raw_dump, routes, section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.xds.config_dump import ConfigDump
    from egops.xds.routemap import RouteRow

TRANSLATIONS = {
    name: json.loads(raw_dump(f"translated-{name}"))
    for name in (
        *("1.2.8", "1.3.0", "1.4.3", "1.5.9", "1.6.3", "1.7.1", "1.8.3", "1.9.0"),
        "1.9.0-names-v2",
    )
}
CASES = [
    pytest.param(release, name, id=f"{release} {name}")
    for release, found in TRANSLATIONS.items()
    for name in found
]


@pytest.fixture
def dump(release: str, name: str) -> ConfigDump:
    return parsed(TRANSLATIONS[release][name])


def raw_routes(document: Any) -> Iterator[tuple[Any, Any]]:
    for config in section(document, "Routes")["dynamic_route_configs"]:
        for host in config["route_config"].get("virtual_hosts", []):
            for route in host.get("routes", []):
                yield host, route


def owner(resource: Any) -> Any:
    return resource["metadata"]["filter_metadata"]["envoy-gateway"]["resources"][0]


@pytest.mark.parametrize(("release", "name"), CASES)
def test_every_route_is_the_one_that_metadata_and_name_say(
    dump: ConfigDump, release: str, name: str
) -> None:
    http: list[RouteRow] = [row for row in route_rows(dump) if not row.own and row.envoy.route]

    expected = list(raw_routes(TRANSLATIONS[release][name]))
    assert len(http) == len(expected)
    for row, (host, route) in zip(http, expected, strict=True):
        assert row.source is not None
        made_by, words = owner(route), route["name"].split("/")
        assert row.source.kind == made_by["kind"]
        assert (row.source.namespace, row.source.name) == (made_by["namespace"], made_by["name"])
        assert row.source.section_name == made_by.get("sectionName", "")
        assert row.source.rule == int(words[words.index("rule", 3) + 1])
        assert row.source.match == int(words[words.index("match", 3) + 1])
        assert row.source.hostname.replace(".", "_") == words[-1]
        assert row.gateway is not None
        gateway = owner(host)
        assert (row.gateway.namespace, row.gateway.name, row.gateway.listener) == (
            gateway["namespace"], gateway["name"], gateway["sectionName"],
        )  # fmt: skip
        assert row.envoy.listeners
        assert row.action.type in ("route", "redirect", "direct_response")


@pytest.mark.parametrize(("release", "name"), CASES)
def test_every_chain_cluster_endpoint_secret_and_filter_has_an_owner(
    dump: ConfigDump, release: str, name: str
) -> None:
    merged = any(row.name.startswith("service/") for row in cluster_rows(dump))
    for row in route_rows(dump):
        # a UDP listener whose cluster is shared by many routes tells none of them
        assert row.source or row.own or (merged and row.action.type == "udp"), row
    assert all(cluster.owner_text != "<none>" for cluster in cluster_rows(dump))
    assert all(endpoint.owner_text != "<none>" for endpoint in endpoint_rows(dump))
    assert all(secret.owner_text != "<none>" for secret in secret_rows(dump))
    for listener in listener_rows(dump):
        assert listener.owner_text != "<none>"
        assert not [chain for chain in listener.chains if chain.type not in ("http", "tcp", "udp")]
    for entry in filter_rows(dump):
        assert entry.owner or "/" not in entry.name or "bandwidth_limit" in entry.name


@pytest.mark.parametrize(("release", "name"), CASES)
def test_no_hint_tells_a_later_release(dump: ConfigDump, release: str, name: str) -> None:
    actual = tuple(int(part) for part in release.split("-")[0].split(".")[:2])

    assert all(hint.since <= actual for hint in version_hints(dump))


@pytest.mark.parametrize("release", TRANSLATIONS)
def test_the_weighted_shares_of_every_route_add_up(release: str) -> None:
    seen = 0
    for document in TRANSLATIONS[release].values():
        for row in route_rows(parsed(document)):
            if len(row.action.clusters) > 1:
                seen += 1
                assert sum(target.share for target in row.action.clusters) == pytest.approx(1.0)
    assert seen


def test_scheme_two_is_really_tested() -> None:
    found = [
        names.parse_listener(entry.name)
        for document in TRANSLATIONS["1.9.0-names-v2"].values()
        for entry in parsed(document).listeners
    ]

    assert any(isinstance(name, PortName) for name in found)


def test_a_route_of_a_translation_loses_its_source_with_its_name() -> None:
    document = next(
        document for document in TRANSLATIONS["1.3.0"].values() if list(routes(document))
    )
    edited = json.loads(json.dumps(document))
    for route in routes(edited):
        route["name"] = f"{route['name']}-patched/1"

    http = [row for row in route_rows(parsed(edited)) if row.envoy.route]

    assert http
    assert all(row.source is None and row.conflict for row in http)
