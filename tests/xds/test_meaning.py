"""What a dump means, whichever release wrote it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from egops.xds.changes import changes
from egops.xds.config_dump import ConfigDump
from egops.xds.effects import Effect, effects
from egops.xds.forms import Names, canonical
from egops.xds.meaning import meaning, rules
from tests.xds.dumps import RELEASES, load, parsed, routes, section


def told(old: Any, new: Any) -> list[str]:
    return [str(effect) for effect in effects(parsed(old), parsed(new)) if not effect.part.own]


@pytest.mark.parametrize("release", RELEASES)
def test_a_dump_means_the_same_as_itself(release: str) -> None:
    assert told(load(f"eg-{release}"), load(f"eg-{release}")) == []


def test_both_schemes_of_names_mean_the_same() -> None:
    """81 translations of 1.9.0, once with each scheme: every name differs, no meaning does."""
    old, new = load("translated-1.9.0"), load("translated-1.9.0-names-v2")
    common = sorted(set(old) & set(new))
    parts = renamed = 0
    for key in common:
        one, other = (ConfigDump.parse(json.dumps(each[key]).encode()) for each in (old, new))
        parts += len(meaning(one))
        renamed += sum(1 for _ in changes(one, other))

        assert effects(one, other) == [], key

    assert len(common) > 50
    assert parts > 500
    assert renamed > 500


def test_between_two_releases_only_what_differs_is_told() -> None:
    found = effects(parsed(load("eg-1.2.8")), parsed(load("eg-1.3.0")))

    ours = [effect for effect in found if not effect.part.own]
    assert {(e.part.section, e.path.rpartition(".")[2]) for e in ours} == {
        ("listener", "log_format"),
        ("filter chain", "log_format"),
        ("cluster", "outlier_detection"),
    }
    assert {e.part.rule_name for e in ours if e.part.section == "cluster"} == {
        "HTTPRoute/demo/plain/0",
        "HTTPRoute/demo/canary/0",
        "HTTPRoute/demo/private/0",
    }


def test_the_new_way_to_write_load_balancing_is_no_difference() -> None:
    found = effects(parsed(load("eg-1.3.0")), parsed(load("eg-1.9.0")))

    assert not [effect for effect in found if effect.part.section in ("cluster", "route")]


def test_addresses_and_certificates_are_no_part_of_the_meaning() -> None:
    new = load("eg-1.3.0")
    text = json.dumps(section(new, "Endpoints")).replace("198.18.", "198.19.")
    section(new, "Endpoints").update(json.loads(text))
    secrets = section(new, "Secrets")
    secrets.update(json.loads(json.dumps(secrets).replace("LS0t", "AAAA")))

    assert told(load("eg-1.3.0"), new) == []


def test_an_endpoint_list_that_went_empty_is_told() -> None:
    new = load("eg-1.3.0")
    for entry in section(new, "Endpoints")["dynamic_endpoint_configs"]:
        config = entry["endpoint_config"]
        if config["cluster_name"] == "httproute/demo/plain/rule/0":
            config["endpoints"][0]["lb_endpoints"] = []

    (line,) = told(load("eg-1.3.0"), new)

    assert 'endpoints httproute/demo/plain/rule/0: [0].endpoints: "some" -> "none"' in line


def test_a_route_that_went_takes_its_virtual_host_along() -> None:
    new = load("eg-1.3.0")
    for config in section(new, "Routes")["dynamic_route_configs"]:
        hosts = config["route_config"]["virtual_hosts"]
        hosts[:] = [host for host in hosts if host["domains"] != ["moved.demo.test"]]

    found = told(load("eg-1.3.0"), new)

    assert found == ["route HTTPRoute/demo/moved/0 match 0 on moved.demo.test removed"]


def two_routes(document: Any) -> Any:
    """Return a copy in which the canary's host has a second, wider route."""
    new = copy.deepcopy(document)
    for config in section(new, "Routes")["dynamic_route_configs"]:
        for host in config["route_config"]["virtual_hosts"]:
            if host["domains"] == ["canary.demo.test"]:
                second = copy.deepcopy(host["routes"][0])
                second["name"] = "httproute/demo/canary/rule/1/match/0/canary_demo_test"
                second["match"] = {"prefix": "/"}
                host["routes"].append(second)
    return new


def test_the_order_of_routes_counts_where_both_may_match() -> None:
    old = two_routes(load("eg-1.3.0"))
    new = copy.deepcopy(old)
    for config in section(new, "Routes")["dynamic_route_configs"]:
        for host in config["route_config"]["virtual_hosts"]:
            host["routes"].reverse()

    found = told(old, new)

    assert found
    assert all("comes after HTTPRoute/demo/canary/1" in line for line in found)


def test_a_value_names_the_rule_it_belongs_to() -> None:
    new = load("eg-1.3.0")
    for entry in routes(new):
        if entry["name"].startswith("httproute/demo/canary/"):
            entry["route"]["timeout"] = "99s"

    found: list[Effect] = effects(parsed(load("eg-1.3.0")), parsed(new))

    assert {effect.part.rule_name for effect in found} == {"HTTPRoute/demo/canary/0"}
    assert {effect.path for effect in found} == {"route.timeout"}
    assert len({effect.pattern for effect in found}) == 1


def test_every_rule_is_counted_once() -> None:
    dump = parsed(load("eg-1.3.0"))

    assert sorted(rules(meaning(dump), meaning(dump))) == [
        f"HTTPRoute/demo/{name}/0" for name in ("canary", "moved", "plain", "private")
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            {"name": "h", "exact_match": "GET"},
            {"name": "h", "string_match": {"exact": "GET"}},
        ),
        (
            {"lb_policy": "LEAST_REQUEST", "common_lb_config": {"locality_weighted_lb_config": {}}},
            {
                "load_balancing_policy": {
                    "policies": [
                        {
                            "typed_extension_config": {
                                "name": "envoy.load_balancing_policies.least_request",
                                "typed_config": {
                                    "@type": "x",
                                    "locality_lb_config": {"locality_weighted_lb_config": {}},
                                },
                            }
                        }
                    ]
                }
            },
        ),
        (
            {"type": "EDS", "dns_lookup_family": "V4_ONLY"},
            {"type": "EDS", "dns_lookup_family": "V4_PREFERRED"},
        ),
        (
            {"validation_context": {"trusted_ca": {"filename": "/etc/ssl/ca.crt"}}},
            {
                "combined_validation_context": {
                    "validation_context_sds_secret_config": {"name": "system_ca_certificates"}
                }
            },
        ),
        (
            {"typed_per_filter_config": {"envoy.filters.http.basic_auth": {"a": 1}}},
            {
                "typed_per_filter_config": {
                    "envoy.filters.http.basic_auth/securitypolicy/a/b": {"a": 1}
                }
            },
        ),
        (
            {"http_filters": [{"name": "envoy.filters.http.basic_auth"}]},
            {"http_filters": [{"name": "envoy.filters.http.basic_auth/securitypolicy/a/b"}]},
        ),
        (
            {"direct_response": {"status": 500, "body": {"inline_string": "no"}}},
            {
                "direct_response": {
                    "status": 500,
                    "body_format": {"text_format_source": {"inline_string": "no"}},
                }
            },
        ),
        (
            {"@type": "x.LocalResponsePolicy", "body": {"inline_string": "gone"}},
            {"@type": "x.LocalResponsePolicy", "body_format": {"text_format": "gone"}},
        ),
        (
            {"body_format": {"text_format_source": {"inline_bytes": "b2s="}}},
            {"body_format": {"text_format_source": {"inline_string": "ok"}}},
        ),
        (
            {"type": "STRICT_DNS", "dns_refresh_rate": "5s"},
            {
                "cluster_type": {
                    "name": "envoy.cluster.dns",
                    "typed_config": {"@type": "x", "dns_refresh_rate": "5s"},
                }
            },
        ),
        (
            {"route": {"rate_limits": [{"a": 1}], "cluster": "c"}, "typed_per_filter_config": {}},
            {
                "route": {"cluster": "c"},
                "typed_per_filter_config": {
                    "envoy.filters.http.ratelimit/a/b": {"rate_limits": [{"a": 1}]}
                },
            },
        ),
        (
            {"a": 1, "metadata": {"filter_metadata": {"envoy-gateway": {"resources": []}}}},
            {"a": 1},
        ),
    ],
)
def test_two_ways_to_write_one_setting_are_one(old: Any, new: Any) -> None:
    assert canonical(old, Names()) == canonical(new, Names())


@pytest.mark.parametrize("value", [None, [], "x", 0, {"x": None}, [None], {"name": []}])
@pytest.mark.parametrize("name", ["Listeners", "Routes", "Clusters", "Endpoints", "Secrets"])
def test_damaged_sections_raise_nothing(name: str, value: Any) -> None:
    document = load("eg-1.3.0")
    part = section(document, name)
    for key in [key for key in part if key.startswith("dynamic")]:
        part[key] = [value, *part[key][:1]] if isinstance(part[key], list) else value

    assert isinstance(effects(parsed(load("eg-1.3.0")), parsed(document)), list)
