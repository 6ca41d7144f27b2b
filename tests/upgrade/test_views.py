"""What rules stand on: hostnames, quantities, durations, URIs, CEL, CRD fingerprints."""

from __future__ import annotations

import pytest

from egops.apply_fixes import merge
from egops.gatewayapi import CRD
from egops.snapshot import Resource
from egops.upgrade.cel import holds, is_expression
from egops.upgrade.change import to_yaml
from egops.upgrade.crds import at_least
from egops.upgrade.jwt import is_mail, is_uri
from egops.upgrade.quantity import seconds, whole
from egops.upgrade.world import meet


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("", "a.example.com", "a.example.com"),
        ("*.example.com", "a.example.com", "a.example.com"),
        ("*.example.com", "example.com", ""),
        ("a.example.com", "b.example.com", ""),
        ("*.a.example.com", "*.example.com", "*.a.example.com"),
    ],
)
def test_hostnames_meet_as_the_gateway_api_says(one: str, other: str, both: str) -> None:
    assert meet(one, other) == both


@pytest.mark.parametrize(
    ("text", "number"),
    [("32Ki", 32768), ("8Gi", 8 << 30), ("1500m", None), ("1e3", 1000), ("x", None), (5, 5)],
)
def test_quantities_are_read_as_kubernetes_does(text: object, number: int | None) -> None:
    assert whole(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [("1m30s", 90.0), ("0s", 0.0), ("1.5s", 1.5), ("5", None), ("", None), ("1d", None)],
)
def test_durations_are_read_as_go_does(text: str, number: float | None) -> None:
    assert seconds(text) == number


def test_issuers_are_read_as_go_does() -> None:
    assert is_uri("team:mail@x.org")
    assert is_uri("/keys")
    assert not is_uri("keys.example.com")
    assert is_mail('"a:b"@x.org')
    assert not is_mail("my-issuer")


def test_cel_is_parsed_and_evaluated() -> None:
    assert is_expression("response.code >= 400 && 'x' in request.headers")
    assert not is_expression("response.code >= ")
    assert holds("self.all(x, x > 1)", [1, 2]) is False
    assert holds("isNothingWeKnow(self)", {}) is None


def test_a_field_that_a_rule_needs_and_the_value_lacks_refuses_it() -> None:
    assert holds("self.nothing.here == 1", {}) is False
    assert holds("self.list.all(one, one.kind == 'Service')", {"list": [{}]}) is False


def crd(plural: str, properties: dict[str, object]) -> Resource:
    schema = {"openAPIV3Schema": {"properties": {"spec": {"properties": properties}}}}
    names = {"group": "gateway.envoyproxy.io", "names": {"plural": plural}}
    versions = [{"name": "v1alpha1", "served": True, "schema": schema}]
    return Resource(CRD, {"metadata": {"name": plural}, "spec": {**names, "versions": versions}})


def test_crds_are_as_old_as_their_oldest() -> None:
    new, old = crd("securitypolicies", {"apiKeyAuth": {}}), crd("envoyproxies", {"ipFamily": {}})

    assert at_least([new]) == (1, 3)
    assert at_least([new, old]) == (1, 2)
    assert at_least([]) is None


def test_crds_whose_schema_was_cut_off_tell_nothing() -> None:
    names = {"group": "gateway.envoyproxy.io", "names": {"plural": "backends"}}
    spec = {**names, "versions": [{"name": "v1alpha1", "served": True}]}

    assert at_least([Resource(CRD, {"metadata": {"name": "backends"}, "spec": spec})]) is None


def test_a_merge_patch_deletes_one_entry_of_a_list() -> None:
    document = {"spec": {"rules": [{"a": 1}, {"b": 2}], "keep": True}}

    merge(document, {"spec": {"rules": [{"b": 2}]}})

    assert document == {"spec": {"rules": [{"b": 2}], "keep": True}}


def test_yaml_of_ours_quotes_what_could_be_misread() -> None:
    text = to_yaml({"a": "yes", "b": "10s", "c": ["x"], "d": None, "e": {}})

    assert text == 'a: "yes"\nb: "10s"\nc:\n  - x\nd: null\ne: {}\n'
