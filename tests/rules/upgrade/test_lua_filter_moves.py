"""Which serving certificates 1.8.3 refuses. Keys are made when the tests run."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any

from egops.finding import Problem, Severity
from egops.gatewayapi import GATEWAY, SECRET
from egops.rules.upgrade.lua_filter_moves import lua_filter_moves
from egops.snapshot import Kind, Resource
from tests.rules.snapshots import snapshot_of
from tests.support.certificates import Authority

ROOT = Authority("demo-ca")
LEAF = ROOT.issue("www.demo.test")
OVER = ROOT.issue(common_name="old-intermediate", left=timedelta(days=-1))


def found(certificate: bytes, key: bytes) -> list[Problem]:
    listener = {
        "name": "https",
        "port": 443,
        "protocol": "HTTPS",
        "tls": {"certificateRefs": [{"name": "tls"}]},
    }
    gateway: dict[str, Any] = {
        "apiVersion": GATEWAY.api_version,
        "kind": "Gateway",
        "metadata": {"name": "eg", "namespace": "demo"},
        "spec": {"gatewayClassName": "eg", "listeners": [listener]},
    }
    secret = {
        "kind": "Secret",
        "metadata": {"name": "tls", "namespace": "demo"},
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": b64encode(certificate).decode(), "tls.key": b64encode(key).decode()},
    }
    objects: dict[Kind, tuple[Resource, ...]] = {
        GATEWAY: (Resource(GATEWAY, gateway),),
        SECRET: (Resource(SECRET, secret),),
    }
    given = {"kind": "Snapshot", "source": "files", "upgrade": {"from": "1.8.2", "to": "1.8.3"}}
    said = lua_filter_moves.check(snapshot_of(objects, [given]))
    return [one for one in said if isinstance(one, Problem)]


def test_a_valid_chain_and_its_key_are_silent() -> None:
    assert found(LEAF.pem + ROOT.pem, LEAF.key_pem) == []


def test_an_expired_member_of_the_chain_is_told_as_an_error() -> None:
    (problem,) = found(LEAF.pem + OVER.pem, LEAF.key_pem)

    assert "old-intermediate" in problem.message
    assert problem.severity in (None, Severity.ERROR)


def test_a_key_of_another_certificate_is_told() -> None:
    (problem,) = found(LEAF.pem, OVER.key_pem)

    assert "key" in problem.message


def test_an_expired_certificate_alone_was_refused_before() -> None:
    assert found(OVER.pem, OVER.key_pem) == []
