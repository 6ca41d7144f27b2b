"""Reading and judging certificates."""

from __future__ import annotations

from datetime import timedelta

import pytest

from egops.certs import (
    CertificateError,
    chain_to,
    days,
    key_fault,
    name_covers,
    read_chain,
    same_serial,
)
from tests.support.certificates import NOW, Authority

ROOT = Authority("root")
MIDDLE = Authority("middle", ROOT)


@pytest.mark.parametrize(
    ("name", "host", "covered"),
    [
        ("www.shop.test", "www.shop.test", True),
        ("WWW.shop.test", "www.SHOP.test.", True),
        ("*.shop.test", "www.shop.test", True),
        ("*.shop.test", "shop.test", False),
        ("*.shop.test", "a.b.shop.test", False),
        ("*.shop.test", "*.shop.test", True),
        ("*.test", "*.shop.test", False),
        ("www.shop.test", "*.shop.test", False),
        ("10.0.0.1", "10.0.0.1", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("*", "www.shop.test", False),
        ("", "", True),
    ],
)
def test_wildcard_stands_for_exactly_one_label(name: str, host: str, covered: bool) -> None:
    assert name_covers(name, host) is covered


def test_chain_is_read_in_its_order_with_names_and_dates() -> None:
    leaf = MIDDLE.issue("www.shop.test", "shop.test", left=timedelta(days=3))

    chain = read_chain(leaf.pem + MIDDLE.pem)

    assert [each.is_ca for each in chain] == [False, True]
    assert chain[0].names == ("www.shop.test", "shop.test")
    assert chain[0].remaining(NOW) == timedelta(days=3)
    assert chain[0].key_type == "EC secp256r1"
    assert same_serial(f"00{chain[0].serial.upper()}", chain[0].serial)


def test_leaf_verifies_through_an_intermediate_only_if_it_is_given() -> None:
    leaf, middle = (read_chain(pem)[0] for pem in (MIDDLE.issue("x").pem, MIDDLE.pem))
    roots = read_chain(ROOT.pem)

    assert [each.subject for each in chain_to(leaf, roots, [middle])] == [
        "CN=leaf", "CN=middle", "CN=root",
    ]  # fmt: skip
    assert chain_to(leaf, roots) == ()
    assert chain_to(leaf, [middle])
    assert chain_to(leaf, read_chain(Authority("root").pem), [middle]) == ()


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"garbage",
        b"-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n",
        b"\xff\xfe",
    ],
)
def test_what_is_no_certificate_is_told_without_quoting_it(pem: bytes) -> None:
    with pytest.raises(CertificateError) as caught:
        read_chain(pem)

    assert "bm8" not in str(caught.value)


def test_key_is_judged_and_never_told() -> None:
    leaf, other = ROOT.issue("x"), ROOT.issue("x")
    certificate = read_chain(leaf.pem)[0]

    assert key_fault(leaf.key_pem, certificate) == ""
    assert key_fault(other.key_pem, certificate) == "the key does not belong to the certificate"
    assert key_fault(b"x", certificate) == "the key is not a PEM private key"


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(days=5, hours=3), "in 5 days"),
        (timedelta(hours=30), "in 30 hours"),
        (timedelta(hours=-1), "1 hour ago"),
        (timedelta(days=-9), "9 days ago"),
    ],
)
def test_time_left_is_told_in_words(left: timedelta, words: str) -> None:
    assert days(left) == words
