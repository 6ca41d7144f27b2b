"""New CAs and leaves: names, lifetimes, extensions, and what can't sign."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from egops.certs import chain_to, key_fault, read_chain
from egops.errors import InputError
from egops.rotation.material import (
    KeyPair,
    Wish,
    ca_fault,
    expected_names,
    make_ca,
    make_leaf,
    names_of,
)
from tests.support.certificates import Authority

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
EC = Wish("ecdsa-p256")


@pytest.mark.parametrize("key_type", ["rsa2048", "rsa4096", "ecdsa-p256"])
def test_a_leaf_of_every_key_type_verifies_as_server_and_fits_its_key(key_type: str) -> None:
    wish = Wish(key_type)
    ca = make_ca(wish, NOW)

    leaf = make_leaf(ca, "envoy-gateway", ["envoy-gateway", "envoy-gateway.eg.svc"], wish, NOW)

    found = read_chain(leaf.certificate)[0]
    assert chain_to(found, read_chain(ca.certificate))
    assert key_fault(leaf.key, found) == ""
    store = Store([read_chain(ca.certificate)[0].x509])
    verifier = PolicyBuilder().store(store).time(NOW)
    chain = verifier.build_server_verifier(x509.DNSName("envoy-gateway.eg.svc")).verify(
        found.x509, []
    )
    assert len(chain) == 2
    assert names_of(leaf.certificate) == (
        "envoy-gateway",
        ("envoy-gateway", "envoy-gateway.eg.svc"),
    )


def test_a_leaf_is_good_from_an_hour_ago_and_the_ca_outlives_it() -> None:
    wish = Wish("ecdsa-p256", timedelta(days=90))
    ca = make_ca(wish, NOW)

    leaf = read_chain(make_leaf(ca, "*", ["*.eg"], wish, NOW).certificate)[0]

    assert leaf.not_before == NOW - timedelta(hours=1)
    assert leaf.not_after == NOW + timedelta(days=90)
    assert read_chain(ca.certificate)[0].not_after > leaf.not_after


def test_a_kept_ca_lasts_for_several_leaves() -> None:
    ca = read_chain(make_ca(Wish("ecdsa-p256", timedelta(days=90), keeps_ca=True), NOW).certificate)

    assert ca[0].not_after >= NOW + timedelta(days=3650)


def test_two_cas_have_different_subjects_and_long_serials() -> None:
    one, two = (read_chain(make_ca(EC, NOW).certificate)[0] for _ in range(2))

    assert one.subject != two.subject
    assert one.serial != two.serial
    assert len(one.serial) > 24


def test_extensions_are_those_that_strict_peers_ask_for() -> None:
    ca = make_ca(Wish("rsa2048"), NOW)

    leaf = read_chain(make_leaf(ca, "*", ["*.eg"], Wish("rsa2048"), NOW).certificate)[0].x509
    root = read_chain(ca.certificate)[0].x509

    usage = root.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    own = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert issuer.key_identifier == own.digest
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(purposes) == {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    }


@pytest.mark.parametrize("key_type", ["ed25519", "rsa1024", "ecdsa-p521"])
def test_a_key_type_that_some_consumer_refuses_is_refused(key_type: str) -> None:
    with pytest.raises(InputError, match="choose rsa2048"):
        make_ca(Wish(key_type), NOW)


def test_a_ca_that_ends_before_its_leaves_is_refused() -> None:
    ca = make_ca(Wish("ecdsa-p256", timedelta(days=10)), NOW)

    with pytest.raises(InputError, match="before the leaves would"):
        make_leaf(ca, "*", ["*.eg"], Wish("ecdsa-p256", timedelta(days=365)), NOW)


def test_an_expired_ca_is_refused() -> None:
    ca = make_ca(Wish("ecdsa-p256", timedelta(days=1)), NOW - timedelta(days=90))

    assert "expired" in ca_fault(ca, NOW, NOW)


def test_a_ca_without_keycertsign_is_refused() -> None:
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=False, crl_sign=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    made = Authority("no signer")
    key = made.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(made.certificate.subject)
        .issuer_name(made.certificate.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=900))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    assert ca_fault(KeyPair(pem, _pem(key)), NOW, NOW) == "its keyUsage lacks keyCertSign"


def test_a_leaf_is_no_ca() -> None:
    issued = Authority("ca").issue("www.example.com")

    assert "no CA" in ca_fault(KeyPair(issued.pem, issued.key_pem), NOW, NOW)


def test_a_key_of_another_ca_is_refused_without_a_word_of_it() -> None:
    one, two = make_ca(EC, NOW), make_ca(EC, NOW)

    fault = ca_fault(KeyPair(one.certificate, two.key), NOW, NOW)

    assert fault == "the key does not belong to the certificate"
    assert "PRIVATE" not in repr(one)


def test_names_follow_namespace_and_domain() -> None:
    common, dns = expected_names("envoy-gateway", "eg", "corp.local")

    assert common == "envoy-gateway"
    assert dns[0] == "envoy-gateway"
    assert dns[-1] == "envoy-gateway.eg.svc.corp.local"
    assert expected_names("envoy", "eg", "corp.local") == ("*", ("*.eg",))


def _pem(key: object) -> bytes:
    found: bytes = key.private_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return found
