"""Where a rotation stands, read from certificates alone; records and generations as Secrets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from egops.errors import InputError
from egops.rotation import record as records
from egops.rotation.generation import (
    Generation,
    faults,
    found_generation,
    joined,
    value,
)
from egops.rotation.material import SECRETS, Wish, make_ca, make_leaves
from egops.rotation.record import Record, from_object
from egops.rotation.state import Phase, read_state

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
EC = Wish("ecdsa-p256")
NAMES = dict.fromkeys(SECRETS, ("x", ("envoy-gateway",)))


def generation(name: str, born: datetime) -> Generation:
    ca = make_ca(EC, born)
    bundles = dict.fromkeys(SECRETS, ca.certificate)
    return Generation(name, make_leaves(ca, NAMES, EC, born), bundles, ca.certificate)


OLD, NEW = generation("old", NOW - timedelta(days=100)), generation("new", NOW)
BOTH = joined(NEW, OLD)


def values(leaves: str, bundles: str) -> dict[str, tuple[bytes, bytes]]:
    """Return Secrets from a letter for each: leaf old/new, bundle old/both/new."""
    found = {}
    for name, leaf, bundle in zip(SECRETS, leaves, bundles, strict=True):
        pair = (NEW if leaf == "n" else OLD).pairs[name]
        ca = {"o": OLD.bundles[name], "n": NEW.bundles[name], "b": BOTH}[bundle]
        found[name] = (pair.certificate, ca)
    return found


@pytest.mark.parametrize(
    ("leaves", "bundles", "phase", "reached"),
    [
        ("ooo", "ooo", Phase.SETTLED, 3),
        ("ooo", "boo", Phase.TRUSTING, 1),
        ("ooo", "bbo", Phase.TRUSTING, 2),
        ("ooo", "bbb", Phase.TRUSTING, 3),
        ("noo", "bbb", Phase.SWAPPING, 1),
        ("nno", "bbb", Phase.SWAPPING, 2),
        ("nnn", "bbb", Phase.SWAPPING, 3),
        ("nnn", "nbb", Phase.DROPPING, 1),
        ("nnn", "nnb", Phase.DROPPING, 2),
        ("nnn", "nnn", Phase.SETTLED, 3),
    ],
)
def test_every_step_of_a_rotation_is_read_from_the_secrets(
    leaves: str, bundles: str, phase: Phase, reached: int
) -> None:
    state = read_state(values(leaves, bundles))

    assert (state.phase, state.reached) == (phase, reached)


@pytest.mark.parametrize(("leaves", "bundles"), [("noo", "ooo"), ("onn", "nnn"), ("nnn", "nno")])
def test_a_mixture_in_which_peers_refuse_each_other_is_inconsistent(
    leaves: str, bundles: str
) -> None:
    state = read_state(values(leaves, bundles))

    assert state.phase is Phase.INCONSISTENT
    assert any("refuses" in problem for problem in state.problems)


def test_what_is_missing_or_no_pem_is_told() -> None:
    found = values("ooo", "ooo")
    broken: dict[str, Any] = {**found, "envoy": (b"no", b"pem")}

    assert "Secret envoy" in read_state(broken).problems[0]
    del found["envoy-rate-limit"]
    assert read_state(found).problems == ("Secret envoy-rate-limit is missing",)


# ------------------------------------------------------------------ as Secrets


def test_a_record_comes_back_as_it_was_written() -> None:
    record = Record("id-1", OLD, NEW, goal="old", trusted=frozenset({"old", "new"}))

    assert from_object(record.to_object("eg")) == record


def test_a_record_never_shows_a_key() -> None:
    record = Record("id-1", OLD, NEW, ca_key=b"secret stuff")

    assert "PRIVATE" not in repr(record)
    assert "secret stuff" not in repr(record)


def test_without_its_annotations_a_record_is_read_most_cautiously() -> None:
    thing = Record("id-1", OLD, NEW, trusted=frozenset({"old", "new"})).to_object("eg")
    del thing["metadata"]["annotations"]

    record = from_object(thing)

    assert record.trusted == frozenset()
    assert record.presented == {"old", "new"}


def test_a_damaged_record_or_one_of_somebody_else_is_refused() -> None:
    thing = Record("id-1", OLD, NEW).to_object("eg")
    del thing["data"]["new.envoy.tls.key"]

    with pytest.raises(InputError, match="damaged"):
        from_object(thing)
    with pytest.raises(InputError, match="not made by egops"):
        from_object({**thing, "type": "Opaque"})
    assert records.NAME == "egops-rotation"


def secret(**changes: str) -> dict[str, Any]:
    from base64 import b64encode

    pair = OLD.pairs["envoy"]
    plain = {"ca.crt": OLD.bundles["envoy"], "tls.crt": pair.certificate, "tls.key": pair.key}
    data = {key: b64encode(text).decode() for key, text in plain.items()} | changes
    return {"metadata": {"name": "envoy"}, "data": {key: one for key, one in data.items() if one}}


@pytest.mark.parametrize(
    ("thing", "fault"),
    [
        (secret(**{"tls.key": ""}), "tls.key is missing"),
        (secret(**{"ca.crt": ""}), "ca.crt is missing"),
        (secret(**{"tls.crt": "bm8gcGVt"}), "tls.crt: it holds no PEM certificate"),
        (secret(**{"ca.crt": "bm8gcGVt"}), "ca.crt: it holds no PEM certificate"),
        (secret(**{"tls.key": "bm8gcGVt"}), "tls.key: the key is not a PEM private key"),
        ({**secret(), "immutable": True}, "it is immutable: nothing in it can be changed"),
    ],
)
def test_a_secret_that_cannot_be_the_start_is_told(thing: dict[str, Any], fault: str) -> None:
    assert fault in faults(thing)


def test_a_good_secret_has_no_fault() -> None:
    assert faults(secret()) == []


def test_text_that_is_not_base64_is_bad_input() -> None:
    with pytest.raises(InputError, match="not base64"):
        value({"metadata": {"name": "envoy"}, "data": {"ca.crt": "%%%"}}, "ca.crt")


def test_the_goals_ca_comes_first_in_a_bundle_and_none_twice() -> None:
    assert BOTH.startswith(NEW.bundles["envoy"])
    assert joined(NEW, NEW) == NEW.bundles["envoy"]
    assert joined(OLD, NEW).startswith(OLD.bundles["envoy"])


def test_what_is_found_is_kept_byte_for_byte() -> None:
    things = {name: secret() for name in SECRETS}

    found = found_generation(things, b"webhook")

    assert found.bundles["envoy"] == value(things["envoy"], "ca.crt")
    assert found.webhook == b"webhook"
