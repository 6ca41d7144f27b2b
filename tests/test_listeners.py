"""Which routes attach to a listener, and on which hosts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from egops.gatewayapi import DEFAULT_CONTROLLER, GATEWAY, GATEWAY_CLASS, HTTP_ROUTE, NAMESPACE
from egops.listeners import attached_listeners, attempts, covers, intersection, selects
from egops.snapshot import Kind, Resource, Snapshot, Source, SourceType


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a.example.com", "a.example.com", "a.example.com"),
        ("a.example.com", "*.example.com", "a.example.com"),
        ("*.example.com", "a.b.example.com", "a.b.example.com"),
        ("*.b.example.com", "*.example.com", "*.b.example.com"),
        ("example.com", "*.example.com", ""),
        ("aexample.com", "*.example.com", ""),
        ("a.example.com", "b.example.com", ""),
    ],
)
def test_hostnames_meet_in_the_narrower_one(one: str, other: str, expected: str) -> None:
    assert intersection(one, other) == expected
    assert intersection(other, one) == expected


def test_wildcard_does_not_cover_itself() -> None:
    assert not covers("*.example.com", "*.example.com")


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"matchLabels": {"team": "a"}}, True),
        ({"matchLabels": {"team": "b"}}, False),
        ({"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]}, False),
        ({"matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["a"]}]}, True),
        ({"matchExpressions": [{"key": "env", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "env", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "Like"}]}, False),
    ],
)
def test_selector_reads_labels_as_kubernetes_does(selector: dict[str, Any], expected: bool) -> None:
    assert selects(selector, {"team": "a"}) is expected


def made(kind: Kind, name: str, spec: dict[str, Any], namespace: str = "edge") -> Resource:
    metadata = {"name": name, "namespace": namespace}
    return Resource(kind, {"metadata": metadata, "spec": spec})


def snapshot(*listeners: dict[str, Any], labels: dict[str, str] | None = None) -> Snapshot:
    gateway = made(GATEWAY, "edge", {"gatewayClassName": "eg", "listeners": list(listeners)})
    namespace = Resource(NAMESPACE, {"metadata": {"name": "shop", "labels": labels or {}}})
    return Snapshot(
        taken_at=datetime(2026, 11, 24, tzinfo=UTC),
        source=Source(SourceType.CLUSTER),
        resources={
            GATEWAY_CLASS: (made(GATEWAY_CLASS, "eg", {"controllerName": DEFAULT_CONTROLLER}),),
            GATEWAY: (gateway,),
            NAMESPACE: (namespace,),
        },
    )


def route(**spec: Any) -> Resource:
    parent = {"name": "edge", "namespace": "edge"}
    return made(HTTP_ROUTE, "shop", {"parentRefs": [parent], **spec}, "shop")


def test_only_the_own_namespace_is_admitted_by_default() -> None:
    found = snapshot({"name": "http", "protocol": "HTTP", "port": 80})

    assert not attached_listeners(route(), found)
    assert [str(a) for a in attempts(route(), found)] == [
        "listener http (HTTP 80): namespace: from Same admits edge only"
    ]


def test_selector_admits_the_namespace_by_its_labels() -> None:
    allowed = {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}}
    listener = {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": allowed}

    assert attached_listeners(route(), snapshot(listener, labels={"team": "a"}))
    assert not attached_listeners(route(), snapshot(listener, labels={"team": "b"}))


def test_every_failed_test_is_told() -> None:
    listener = {"name": "raw", "protocol": "TCP", "port": 90, "hostname": "a.example.com"}
    parent = {"name": "edge", "namespace": "edge", "sectionName": "http", "port": 80}
    wanted = route(parentRefs=[parent], hostnames=["b.example.com"])

    (attempt,) = attempts(wanted, snapshot(listener))

    assert [why.partition(":")[0] for why in attempt.failures] == [
        "sectionName",
        "port",
        "kind",
        "namespace",
        "hostname",
    ]
