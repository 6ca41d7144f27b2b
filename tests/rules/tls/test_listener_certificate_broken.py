"""Keys are made when the tests run: none is kept in the repository."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from egops.finding import Problem
from egops.gatewayapi import GATEWAY, SECRET
from egops.rules.tls.listener_certificate_broken import listener_certificate_broken
from egops.snapshot import Kind, Resource
from tests.rules.snapshots import snapshot_of
from tests.support.certificates import Authority

GOOD = Authority("demo-ca")


def found(secret: dict[str, Any]) -> list[str]:
    gateway = {
        "apiVersion": GATEWAY.api_version,
        "kind": "Gateway",
        "metadata": {"name": "eg", "namespace": "demo"},
        "spec": {
            "gatewayClassName": "eg",
            "listeners": [
                {
                    "name": "https",
                    "port": 443,
                    "protocol": "HTTPS",
                    "tls": {"certificateRefs": [{"name": "tls"}]},
                }
            ],
        },
    }
    body = {"kind": "Secret", "metadata": {"name": "tls", "namespace": "demo"}, **secret}
    objects: dict[Kind, tuple[Resource, ...]] = {
        GATEWAY: (Resource(GATEWAY, gateway),),
        SECRET: (Resource(SECRET, body),),
    }
    snapshot = snapshot_of(objects, [{"kind": "Snapshot", "source": "files"}])
    return [
        said.message
        for said in listener_certificate_broken.check(snapshot)
        if isinstance(said, Problem)
    ]


def tls(certificate: bytes, key: bytes) -> dict[str, Any]:
    data = {"tls.crt": b64encode(certificate).decode(), "tls.key": b64encode(key).decode()}
    return {"type": "kubernetes.io/tls", "data": data}


def test_fitting_pair_is_silent() -> None:
    leaf = GOOD.issue("www.demo.test")

    assert found(tls(leaf.pem, leaf.key_pem)) == []


def test_key_of_another_certificate_is_found() -> None:
    leaf, other = GOOD.issue("www.demo.test"), GOOD.issue("www.demo.test")

    assert found(tls(leaf.pem, other.key_pem)) == ["the key does not belong to the certificate"]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (ed25519.Ed25519PrivateKey.generate(), "not Ed25519"),
        (rsa.generate_private_key(65537, 1024), "not 1024"),
        (ec.generate_private_key(ec.SECP256K1()), "not secp256k1"),
    ],
)
def test_key_types_that_envoy_refuses_are_found(key: Any, words: str) -> None:
    leaf = GOOD.issue("www.demo.test", key=key)

    messages = found(tls(leaf.pem, leaf.key_pem))

    assert len(messages) == 1
    assert words in messages[0]


def test_encrypted_key_is_found_and_never_told() -> None:
    leaf = GOOD.issue("www.demo.test")
    locked = leaf.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )

    messages = found(tls(leaf.pem, locked))

    assert messages == ["the key is encrypted with a password"]
