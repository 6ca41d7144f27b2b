"""The move between two generations, against a simulated fleet that checks every pair of peers."""

from __future__ import annotations

import contextlib
import os
import random
from typing import Any

import pytest

from egops.errors import AccessError, EgopsError
from egops.rotation.engine import GateTimeoutError, Move, Pace
from egops.rotation.lock import Lock, LockedError
from egops.rotation.material import Wish
from egops.rotation.plan import look
from egops.rotation.session import (
    Choice,
    new_record,
    require_rights,
    roll_back,
    rotate,
    write_record,
)
from egops.rotation.state import Phase, read_state
from egops.rotation.world import World
from egops.rotation.writes import ForeignChangeError
from tests.support.fleet import NAMESPACE, Fleet, Killed, Shape

PACE = Pace(gate=600, soak=4)
CHOICE = Choice(Wish("ecdsa-p256"), PACE)
SHAPES = [
    Shape((1, 3, 0)),
    Shape((1, 3, 0), rate_limit=True, wasm=True),
    Shape((1, 4, 2), rate_limit=True, gateway_namespace=True),
    Shape((1, 4, 2), rate_limit=True, checks_clients=True),
    Shape((1, 6, 0), rate_limit=True, wasm=True),
    Shape((1, 9, 0), rate_limit=True, wasm=True, checks_clients=True),
    Shape((1, 9, 0), rate_limit=True, gateway_namespace=True),
]
BY_NAME = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
MOST = (SHAPES[0], SHAPES[3], SHAPES[5])
LIMITED = Shape((1, 9, 0), rate_limit=True, wasm=True)


def world_of(fleet: Fleet) -> World:
    return World(fleet, fleet, fleet, fleet)


def lock_of(fleet: Fleet, holder: str = "test") -> Lock:
    return Lock(fleet, fleet, NAMESPACE, holder)


def forward(fleet: Fleet, choice: Choice = CHOICE) -> None:
    world = world_of(fleet)
    rotate(world, look(world), choice, lock_of(fleet))


def back(fleet: Fleet) -> None:
    world = world_of(fleet)
    roll_back(world, look(world), PACE, lock_of(fleet))


def phase(fleet: Fleet) -> Phase:
    return read_state(fleet.values()).phase


# ------------------------------------------------------------------ the whole way


@BY_NAME
def test_a_rotation_ends_with_new_certificates_and_nobody_was_ever_refused(shape: Shape) -> None:
    fleet = Fleet(shape)
    before = fleet.contents()

    forward(fleet)

    assert fleet.violations == []
    assert fleet.shortages == []
    after = fleet.contents()
    assert all(after[name] != before[name] for name in before)
    assert phase(fleet) is Phase.SETTLED


@BY_NAME
def test_a_rollback_restores_every_byte_and_nobody_was_ever_refused(shape: Shape) -> None:
    fleet = Fleet(shape)
    before = fleet.contents()
    forward(fleet)

    back(fleet)
    back(fleet)

    assert fleet.violations == []
    assert fleet.shortages == []
    assert fleet.contents() == before


def test_without_rate_limit_and_wasm_nothing_is_restarted() -> None:
    fleet = Fleet(Shape((1, 3, 0)))
    names = [one.name for one in fleet.processes]

    forward(fleet)

    assert [one.name for one in fleet.processes] == names


def test_rate_limit_pods_are_exchanged_and_nothing_of_it_is_left() -> None:
    fleet = Fleet(LIMITED)
    limiters = {one.name for one in fleet.processes if one.role == "limiter"}

    forward(fleet)

    left = {one.name for one in fleet.processes if one.role == "limiter"}
    assert len(left) == len(limiters)
    assert not left & limiters
    assert not any(one.is_standby or one.left is not None for one in fleet.processes)
    assert fleet.violations == []


def test_a_fleet_keeps_its_own_strategy() -> None:
    fleet = Fleet(Shape((1, 9, 0), rate_limit=True, envoys=5))  # 25 % of five is one pod too few

    forward(fleet)

    deployment = fleet.objects["deployments", NAMESPACE, "envoy-eg"]
    rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
    assert deployment["spec"]["strategy"] == {"type": "RollingUpdate", "rollingUpdate": rolling}
    assert "annotations" not in deployment["metadata"] or not deployment["metadata"]["annotations"]
    assert fleet.shortages == []


def test_rotating_again_makes_other_certificates() -> None:
    fleet = Fleet(Shape((1, 3, 0)))
    forward(fleet)
    first = fleet.contents()

    forward(fleet)

    assert all(fleet.contents()[name] != first[name] for name in first)
    assert fleet.violations == []


def test_leaves_alone_are_rotated_under_the_kept_ca() -> None:
    fleet = Fleet(LIMITED)
    forward(fleet, Choice(Wish("ecdsa-p256", keeps_ca=True), PACE))
    ca, leaf = fleet.held("envoy").ca, fleet.held("envoy").crt

    forward(fleet, Choice(Wish("ecdsa-p256"), PACE, only_leaf=True))

    assert fleet.held("envoy").ca == ca
    assert fleet.held("envoy").crt != leaf
    assert fleet.violations == []
    record = fleet.objects["secrets", NAMESPACE, "egops-rotation"]
    assert "new.ca.key" not in record["data"]


# ------------------------------------------------------------------ the simulation can fail


def test_what_certgen_does_is_seen_to_break_peers() -> None:
    old, new = Fleet(LIMITED), Fleet(LIMITED)

    for secret in ("envoy-gateway", "envoy", "envoy-rate-limit"):
        old.write(secret, new.objects["secrets", NAMESPACE, secret]["data"])
    old.pass_time(120)

    assert any("refuses envoy-gateway" in line for line in old.violations)


class NoLimiterRestart(Move):
    def _restart_limiter(self, why: str) -> None: ...


class NoFleetRestart(Move):
    def _seen(self, look: Any) -> list[Any]:
        return []


class NoGates(Move):
    def _wait(self, who: str, gate: Any) -> None: ...


class NoWordOutside(Move):
    def _outside(self, bundle: bytes, webhook: bytes | None = None) -> None: ...


class NoPause(Move):
    def _pause(self, seconds: float, why: str) -> None: ...


@pytest.mark.parametrize(
    ("careless", "shape"),
    [
        (NoLimiterRestart, LIMITED),
        (NoFleetRestart, LIMITED),
        (NoGates, LIMITED),
        (NoGates, Shape((1, 3, 0))),
        (NoPause, LIMITED),
        (NoWordOutside, Shape((1, 9, 0))),
        (NoWordOutside, Shape((1, 9, 0), gateway_namespace=True)),
    ],
)
def test_leaving_a_safeguard_out_is_noticed(careless: type[Move], shape: Shape) -> None:
    fleet = Fleet(shape)
    world, lock = world_of(fleet), lock_of(fleet)
    found = look(world)
    record = new_record(world, found, CHOICE, world.now())
    write_record(world, NAMESPACE, record)
    lock.acquire()

    with contextlib.suppress(GateTimeoutError):
        careless(world, found.here, record, lock, Pace(gate=200, soak=0)).run("new")
        fleet.pass_time(200)
        assert fleet.violations
        return
    assert phase(fleet) is Phase.TRUSTING, "a gate noticed it before a leaf was swapped"


# ------------------------------------------------------------------ killed, and what then


def killed_everywhere(shape: Shape) -> list[tuple[str, Fleet]]:
    """Return the world as a kill leaves it, at each write and at each wait of one rotation."""
    fleet, found = Fleet(shape), []
    waited: set[int] = set()

    def at_write(what: str) -> None:
        found.append((f"after write {len(fleet.writes)}, {what}", fleet.fork()))

    def at_wait() -> None:
        if len(fleet.writes) not in waited:  # the first poll of each wait
            waited.add(len(fleet.writes))
            found.append((f"waiting after {fleet.writes[-1]}", fleet.fork()))

    fleet.after_write, fleet.before_sleep = at_write, at_wait
    forward(fleet)
    return found


@BY_NAME
def test_killed_anywhere_it_goes_on_to_the_end_or_back_to_the_first_byte(shape: Shape) -> None:
    if shape not in MOST and os.environ.get("EGOPS_REQUIRE_ALL") != "1":
        pytest.skip("the other shapes cover it; EGOPS_REQUIRE_ALL=1 runs this one too")
    wrong: list[str] = []
    for at, fleet in (places := killed_everywhere(shape)):
        for then in (goes_on, goes_back):
            going = fleet.fork()
            try:
                wrong += [f"{at}: {line}" for line in then(going)]
            except EgopsError as exc:
                wrong.append(f"{at}: {exc}")
            wrong += [f"{at}: {line}" for line in (*going.violations, *going.shortages)]

    assert wrong == []
    assert len(places) > 20


def goes_on(fleet: Fleet) -> list[str]:
    forward(fleet)
    return [] if phase(fleet) is Phase.SETTLED else [str(phase(fleet))]


def goes_back(fleet: Fleet) -> list[str]:
    if ("secrets", NAMESPACE, "egops-rotation") not in fleet.objects:
        return []  # nothing of a rotation was written yet
    kept = fleet.objects["secrets", NAMESPACE, "egops-rotation"]["data"]
    back(fleet)
    return [
        f"{key} of {name} is another"
        for name in ("envoy-gateway", "envoy", "envoy-rate-limit")
        for key in ("ca.crt", "tls.crt", "tls.key")
        if fleet.text(name, key) != kept[f"old.{name}.{key}"]
    ]


@pytest.mark.parametrize("seed", range(4))
def test_killed_again_and_again_in_both_directions_it_ends_well(seed: int) -> None:
    shape = Shape((1, 6, 0), rate_limit=True, wasm=True, seed=seed, slowest=90)
    fleet, choose = Fleet(shape), random.Random(seed)
    for _ in range(12):
        fleet.writes.clear()
        fleet.sleeps = 0
        fleet.kill_at_write = choose.randint(2, 30)
        try:
            choose.choice([forward, forward, back])(fleet)
        except Killed:
            fleet.revive()
        except EgopsError:
            fleet.revive()

    fleet.kill_at_write = 0
    forward(fleet)

    assert fleet.violations == []
    assert fleet.shortages == []
    assert phase(fleet) is Phase.SETTLED


def test_ctrl_c_lets_go_of_the_lock() -> None:
    fleet = Fleet(LIMITED)
    fleet.interrupt_at_sleep = 8

    with pytest.raises(KeyboardInterrupt):
        forward(fleet)
    fleet.interrupt_at_sleep = 0
    world = world_of(fleet)
    rotate(world, look(world), CHOICE, lock_of(fleet, "another"))

    assert phase(fleet) is Phase.SETTLED
    assert fleet.violations == []


# ------------------------------------------------------------------ what goes wrong around us


def test_conflicts_and_lost_answers_are_only_a_reason_to_look_again() -> None:
    fleet = Fleet(LIMITED)
    fleet.conflicts = {"envoy": 2, "egops-certs-rotation": 1}
    fleet.lost = {"envoy-gateway": 2, "envoy-rate-limit": 1, "egops-rotation": 1}
    fleet.deaf = {"envoy-ratelimit": 1}

    try:
        forward(fleet)
    except EgopsError:  # the answer to the creation of the record was lost
        forward(fleet)

    assert phase(fleet) is Phase.SETTLED
    assert fleet.violations == []


def test_a_missing_right_is_told_before_anything_is_written() -> None:
    fleet = Fleet(LIMITED)
    fleet.denied = {("patch", "envoy-rate-limit")}
    world = world_of(fleet)

    with pytest.raises(AccessError, match="patch secrets envoy-rate-limit"):
        require_rights(world, look(world))

    assert fleet.writes == []


def test_a_right_that_is_taken_away_midway_stops_it_and_it_can_go_back() -> None:
    fleet = Fleet(LIMITED)
    before = fleet.contents()
    fleet.refused = {"envoy-rate-limit"}

    with pytest.raises(AccessError):
        forward(fleet)
    fleet.refused = set()
    back(fleet)

    assert fleet.contents() == before
    assert fleet.violations == []


def test_a_secret_that_somebody_else_changes_midway_stops_it() -> None:
    fleet, other = Fleet(LIMITED), Fleet(LIMITED)

    def meddle(what: str) -> None:
        if what == "merge Secret envoy":
            fleet.after_write = None
            fleet.write("envoy", other.objects["secrets", NAMESPACE, "envoy"]["data"])

    fleet.after_write = meddle

    with pytest.raises(ForeignChangeError, match="somebody at 2026"):
        forward(fleet)


def test_a_rollback_that_may_overwrite_puts_back_a_leaf_of_somebody_else() -> None:
    fleet, other = Fleet(LIMITED, checks=False), Fleet(Shape((1, 9, 0), seed=2), checks=False)
    before = fleet.contents()

    def meddle(what: str) -> None:
        if what == "merge Secret envoy":
            fleet.after_write = None
            fleet.write("envoy", {key: other.text("envoy", key) for key in ("tls.crt", "tls.key")})

    fleet.after_write = meddle
    with pytest.raises(ForeignChangeError):
        forward(fleet)

    world = world_of(fleet)
    pace = Pace(gate=600, soak=0, overwrite=True)
    roll_back(world, look(world), pace, lock_of(fleet))

    assert fleet.contents() == before


def test_a_pod_that_never_reloads_is_named_and_no_leaf_is_swapped() -> None:
    fleet = Fleet(Shape((1, 9, 0)))
    stuck = next(one for one in fleet.processes if one.role == "gateway")
    stuck.never_syncs = True
    leaf = fleet.held("envoy").crt

    with pytest.raises(GateTimeoutError, match=stuck.name):
        forward(fleet)

    assert fleet.held("envoy").crt == leaf
    back(fleet)
    assert fleet.violations == []


def test_a_node_that_lags_is_waited_for() -> None:
    fleet = Fleet(Shape((1, 9, 0), rate_limit=True, slowest=400))

    forward(fleet)

    assert fleet.violations == []
    assert phase(fleet) is Phase.SETTLED


def test_the_second_operator_is_told_who_holds_the_lock() -> None:
    fleet = Fleet(LIMITED)
    lock_of(fleet, "ann@bastion pid 7").acquire()
    world = world_of(fleet)

    with pytest.raises(LockedError, match="ann@bastion pid 7 is rotating"):
        rotate(world, look(world), CHOICE, lock_of(fleet, "bob@laptop pid 8"))


def test_who_lost_the_lock_stops() -> None:
    fleet = Fleet(LIMITED)

    def steal(what: str) -> None:
        if what == "merge Secret envoy":
            fleet.after_write = None
            lease = fleet.objects["leases", NAMESPACE, "egops-certs-rotation"]
            lease["spec"]["holderIdentity"] = "eve"
            lease["metadata"]["resourceVersion"] = "stolen"

    fleet.after_write = steal

    with pytest.raises(LockedError, match="eve"):
        forward(fleet)
