"""The files of a standalone Envoy Gateway: rotated, gone on with, put back."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from egops.certs import chain_to, read_chain
from egops.errors import EgopsError, InputError
from egops.rotation.engine import GateTimeoutError, Pace
from egops.rotation.files import Standalone
from egops.rotation.material import SECRETS, KeyPair, Wish, make_ca, make_leaves
from egops.rotation.world import Met
from tests.support.fleet import Fleet, Shape

if TYPE_CHECKING:
    from pathlib import Path

EC = Wish("ecdsa-p256")
PACE = Pace(gate=60, soak=2)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    now = datetime.now(UTC)
    ca = make_ca(EC, now)
    leaves = make_leaves(ca, dict.fromkeys(SECRETS, ("localhost", ("localhost",))), EC, now)
    for name, pair in leaves.items():
        folder = tmp_path / "certs" / name
        folder.mkdir(parents=True)
        for key, text in (("ca.crt", ca.certificate), ("tls.crt", pair.certificate)):
            (folder / key).write_bytes(text)
        (folder / "tls.key").write_bytes(pair.key)
        (folder / "tls.key").chmod(0o600)
    return tmp_path


def contents(home: Path) -> dict[str, bytes]:
    return {
        f"{name}/{key}": (home / "certs" / name / key).read_bytes()
        for name in SECRETS
        for key in ("ca.crt", "tls.crt", "tls.key")
    }


class Gateway:
    """An Envoy Gateway that reads its files at every handshake, and judges every pair then."""

    def __init__(self, home: Path) -> None:
        self.home, self.is_deaf, self.refused = home, False, 0

    def __call__(self, client: KeyPair | None) -> Met:
        held = contents(self.home)
        leaf = read_chain(held["envoy-gateway/tls.crt"])[0]
        trusted = read_chain(held["envoy-gateway/ca.crt"])
        envoys = read_chain(held["envoy/ca.crt"])
        if not chain_to(leaf, envoys):
            self.refused += 1
        if not chain_to(read_chain(held["envoy/tls.crt"])[0], trusted):
            self.refused += 1
        assert client is not None
        fits = chain_to(read_chain(client.certificate)[0], trusted) and not self.is_deaf
        return Met(leaf.fingerprint, bool(fits), "" if fits else "unknown ca")


def standalone(home: Path, gateway: Gateway) -> Standalone:
    fleet = Fleet(Shape((1, 3, 0)), checks=False)
    return Standalone(home, fleet, fleet, PACE, gateway)


def test_files_are_rotated_and_put_back_byte_for_byte(home: Path) -> None:
    gateway, before = Gateway(home), contents(home)

    standalone(home, gateway).rotate(EC)
    after = contents(home)
    standalone(home, gateway).roll_back()
    standalone(home, gateway).roll_back()

    assert all(after[name] != before[name] for name in before)
    assert contents(home) == before
    assert gateway.refused == 0


def test_keys_keep_their_mode_and_the_record_is_private(home: Path) -> None:
    standalone(home, Gateway(home)).rotate(EC)

    for path in ((home / "certs/envoy/tls.key"), (home / "certs/egops-rotation.json")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(home.rglob("*.egops"))


def test_a_gateway_that_does_not_follow_stops_it_and_it_can_go_on(home: Path) -> None:
    gateway = Gateway(home)
    leaf = contents(home)["envoy/tls.crt"]
    gateway.is_deaf = True

    with pytest.raises(GateTimeoutError, match="accept a client of the new CA"):
        standalone(home, gateway).rotate(EC)
    assert contents(home)["envoy/tls.crt"] == leaf
    gateway.is_deaf = False
    standalone(home, gateway).rotate(EC)

    assert contents(home)["envoy/tls.crt"] != leaf
    assert gateway.refused == 0


@pytest.mark.parametrize("step", range(1, 14))
def test_stopped_between_any_two_files_it_goes_on_or_back(
    home: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path as AnyPath

    gateway, before, count = Gateway(home), contents(home), 0
    really = AnyPath.replace

    def replace(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == step:
            raise KeyboardInterrupt
        return really(self, target)

    monkeypatch.setattr(AnyPath, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        standalone(home, gateway).rotate(EC)
    monkeypatch.undo()

    if step > 1:
        standalone(home, gateway).roll_back()
        assert contents(home) == before
    standalone(home, gateway).rotate(EC)
    assert all(contents(home)[name] != before[name] for name in before)


def test_a_second_process_is_kept_out(home: Path) -> None:
    inside = standalone(home, Gateway(home))

    with inside._locked(), pytest.raises(EgopsError, match="another process is rotating"):
        standalone(home, Gateway(home)).rotate(EC)


def test_a_wrong_folder_or_a_missing_file_is_bad_input(home: Path, tmp_path: Path) -> None:
    (home / "certs/envoy/tls.key").unlink()

    with pytest.raises(InputError, match=r"tls.key can't be read"):
        standalone(home, Gateway(home)).rotate(EC)
    with pytest.raises(InputError, match="can't be opened"):
        standalone(tmp_path / "nowhere", Gateway(home)).rotate(EC)
