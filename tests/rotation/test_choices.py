"""What a user may choose besides: a CA that is there, a backup file, a new HMAC, reconnecting."""

from __future__ import annotations

import stat
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from egops.errors import InputError
from egops.rotation.engine import Pace
from egops.rotation.hmac import effect
from egops.rotation.installation import find_installation
from egops.rotation.material import Wish, make_ca
from egops.rotation.plan import look
from egops.rotation.session import Choice
from tests.rotation.test_move import CHOICE, PACE, forward, world_of
from tests.support.fleet import NAMESPACE, START, Fleet, Shape

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = Shape((1, 9, 0))
EC = Wish("ecdsa-p256")


def test_the_ca_of_an_issuer_is_rotated_to() -> None:
    fleet = Fleet(PLAIN)
    ca = make_ca(Wish("ecdsa-p256", keeps_ca=True), START)
    plain = {"tls.crt": ca.certificate, "tls.key": ca.key}
    data = {key: b64encode(text).decode() for key, text in plain.items()}
    fleet._put("secrets", NAMESPACE, "envoy-gateway-ca", {"data": data})

    forward(fleet, Choice(EC, PACE, ca_from="envoy-gateway-ca"))

    assert fleet.held("envoy").ca == ca.certificate
    assert fleet.violations == []
    record = fleet.objects["secrets", NAMESPACE, "egops-rotation"]
    assert "new.ca.key" not in record["data"]


@pytest.mark.parametrize("data", [None, {}, {"tls.crt": b64encode(b"x").decode()}])
def test_a_ca_that_is_not_there_is_told_before_anything_is_written(
    data: dict[str, str] | None,
) -> None:
    fleet = Fleet(PLAIN)
    before = fleet.contents()
    if data is not None:
        fleet._put("secrets", NAMESPACE, "mine", {"data": data})

    with pytest.raises(InputError, match="mine"):
        forward(fleet, Choice(EC, PACE, ca_from="mine"))

    assert fleet.contents() == before


def test_a_backup_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    fleet, path = Fleet(PLAIN), tmp_path / "old.yaml"
    leaf = fleet.held("envoy").crt.decode()
    choice = Choice(EC, PACE, backup=path)

    forward(fleet, choice)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert leaf.splitlines()[1] in path.read_text("utf-8")
    with pytest.raises(InputError, match="can't be written"):
        forward(fleet, choice)


def hmac_fleet(*, wasm: bool) -> Fleet:
    fleet = Fleet(PLAIN)
    old = b64encode(b"0" * 32).decode()
    fleet._put("secrets", NAMESPACE, "envoy-oidc-hmac", {"data": {"hmac-secret": old}})
    fleet._put("securitypolicies", "shop", "login", {"spec": {"oidc": {"provider": {}}}})
    fleet._put("securitypolicies", "shop", "cors", {"spec": {"cors": {}}})
    if wasm:
        fleet._put("envoyextensionpolicies", "shop", "filter", {"spec": {"wasm": [{}]}})
    return fleet


@pytest.mark.parametrize("wasm", [False, True])
def test_a_new_hmac_restarts_envoy_gateway_only_where_wasm_is_loaded(wasm: bool) -> None:
    fleet = hmac_fleet(wasm=wasm)
    old = fleet.text("envoy-oidc-hmac", "hmac-secret")
    names = {one.name for one in fleet.processes if one.role == "gateway"}

    forward(fleet, Choice(EC, PACE, new_hmac=True))

    assert fleet.text("envoy-oidc-hmac", "hmac-secret") != old
    stayed = {one.name for one in fleet.processes if one.role == "gateway"} & names
    assert bool(stayed) is not wasm
    assert fleet.violations == []


def test_the_hmac_stays_unless_asked_for() -> None:
    fleet = hmac_fleet(wasm=True)
    old = fleet.text("envoy-oidc-hmac", "hmac-secret")

    forward(fleet, CHOICE)

    assert fleet.text("envoy-oidc-hmac", "hmac-secret") == old


def test_whom_a_new_hmac_hits_is_counted() -> None:
    fleet = hmac_fleet(wasm=True)
    world = world_of(fleet)

    hit = effect(world, find_installation(fleet))

    assert hit.oidc == ("shop/login",)
    assert hit.lines()[0].startswith("1 OIDC policies: every user")
    assert "1 policies load Wasm" in hit.lines()[1]


def test_reconnecting_replaces_every_envoy_gateway_one_by_one() -> None:
    fleet = Fleet(PLAIN)
    names = {one.name for one in fleet.processes if one.role == "gateway"}

    forward(fleet, Choice(EC, Pace(soak=0, reconnect=True)))

    assert not names & {one.name for one in fleet.processes}
    assert fleet.shortages == []
    assert fleet.violations == []


def test_the_api_servers_clock_tells_what_has_expired() -> None:
    fleet = Fleet(PLAIN)
    fleet.now += 6 * 365 * 86400

    warnings = look(world_of(fleet)).warnings

    assert any("tls.crt of Secret envoy expired" in line for line in warnings)
    assert any("ca.crt of Secret envoy-gateway expired" in line for line in warnings)


def test_a_release_that_does_not_tell_itself_is_treated_with_most_care() -> None:
    fleet = Fleet(PLAIN)
    body = fleet.objects["deployments", NAMESPACE, "envoy-gateway"]
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "gateway@sha256:0123"

    found = look(world_of(fleet))

    assert found.here.version is None
    assert any("--eg-version" in line for line in found.warnings)
