"""Names of certificates that two listeners share. Certificates are made when the tests run."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from egops.finding import Problem
from egops.gatewayapi import GATEWAY, SECRET
from egops.rules.upgrade.overlap_loses_http2 import overlap_loses_http2
from egops.snapshot import Resource
from tests.rules.snapshots import snapshot_of
from tests.support.certificates import Authority

ROOT = Authority("demo-ca")


def secret(name: str, *names: str) -> Resource:
    data = {"tls.crt": b64encode(ROOT.issue(*names).pem).decode()}
    head = {"metadata": {"name": name, "namespace": "demo"}, "type": "kubernetes.io/tls"}
    return Resource(SECRET, {"kind": "Secret", **head, "data": data})


def listener(name: str) -> dict[str, Any]:
    tls = {"certificateRefs": [{"name": name}]}
    host = f"{name}.demo.test"
    return {"name": name, "port": 443, "protocol": "HTTPS", "hostname": host, "tls": tls}


def found(release: str, *secrets: Resource) -> list[str]:
    gateway: dict[str, Any] = {
        "apiVersion": GATEWAY.api_version,
        "kind": "Gateway",
        "metadata": {"name": "eg", "namespace": "demo"},
        "spec": {"gatewayClassName": "eg", "listeners": [listener("one"), listener("two")]},
    }
    given = {"kind": "Snapshot", "source": "files", "upgrade": {"from": "1.3.3", "to": release}}
    objects = {GATEWAY: (Resource(GATEWAY, gateway),), SECRET: secrets}
    said = overlap_loses_http2.check(snapshot_of(objects, [given]))
    return [line for one in said if isinstance(one, Problem) for line in one.evidence[:1]]


@pytest.mark.parametrize("release", ["1.4.3", "1.9.0"])
def test_certificates_that_share_a_name_overlap(release: str) -> None:
    secrets = secret("one", "one.demo.test", "*.demo.test"), secret("two", "two.demo.test")

    assert found(release, *secrets) == [
        "two: certificate name two.demo.test",
        "one: certificate name two.demo.test",
    ]


def test_certificates_of_different_names_do_not_overlap() -> None:
    assert found("1.9.0", secret("one", "one.demo.test"), secret("two", "two.demo.test")) == []
