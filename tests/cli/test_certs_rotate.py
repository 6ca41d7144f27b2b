"""`certs rotate`, `rollback` and `adopt` as users meet them, up to the first write."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner

from egops.cli import load_all
from egops.cli.certs.rotating import _is_gone, _place
from egops.rotation.session import write_record
from egops.rotation.world import World
from tests.rotation.test_move import LIMITED, forward, lock_of
from tests.support.fleet import NAMESPACE, Fleet, Shape
from tests.support.fleet_server import FleetServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

ROOT = load_all()


@pytest.fixture
def fleet() -> Fleet:
    return Fleet(LIMITED)


@pytest.fixture
def server(fleet: Fleet, tmp_path: Path) -> Iterator[FleetServer]:
    made = FleetServer(fleet, tmp_path)
    yield made
    made.close()


def run(server: FleetServer, *words: str) -> Result:
    given = ["--kubeconfig", str(server.kubeconfig), "--request-timeout", "5s"]
    return CliRunner().invoke(ROOT, ["certs", *words, *given])


def test_the_plan_tells_who_loads_what_and_writes_nothing(
    server: FleetServer, fleet: Fleet
) -> None:
    done = run(server, "rotate", "--plan")

    assert done.exit_code == 0, done.output
    assert "Envoy Gateway 1.9.0 in envoy-gateway-system" in done.stdout
    assert "one CA everywhere" in done.stdout
    assert "envoy-ratelimit (2 pods)" in done.stdout
    assert "PRIVATE" not in done.output
    assert fleet.writes == []


def test_the_plan_as_json_has_the_same_facts(server: FleetServer) -> None:
    done = run(server, "rotate", "--plan", "-o", "json")

    plan = json.loads(done.stdout)["result"]
    assert plan["state"]["phase"] == "settled"
    assert [phase["name"] for phase in plan["phases"]] == ["trust", "swap", "drop", "prove"]
    assert plan["secrets"]["envoy"]["names"] == [f"*.{NAMESPACE}"]


def test_without_a_yes_nothing_is_written(server: FleetServer, fleet: Fleet) -> None:
    done = run(server, "rotate")

    assert done.exit_code == 2
    assert "nothing was written: nobody can be asked" in done.stderr
    assert fleet.writes == []


def test_a_server_side_rehearsal_writes_nothing(server: FleetServer, fleet: Fleet) -> None:
    before = fleet.contents()

    done = run(server, "rotate", "--dry-run")

    assert done.exit_code == 0, done.output
    assert "would be written: tls.crt and tls.key of Secret envoy-rate-limit" in done.stderr
    assert fleet.contents() == before
    assert fleet.writes == []


def test_secrets_of_somebody_else_are_refused_with_advice(
    server: FleetServer, fleet: Fleet
) -> None:
    meta = fleet.objects["secrets", NAMESPACE, "envoy"]["metadata"]
    meta["annotations"] = {"cert-manager.io/certificate-name": "envoy"}

    done = run(server, "rotate", "--yes")

    assert done.exit_code == 2
    assert "Secret envoy belongs to cert-manager" in done.stderr
    assert "egops certs adopt cert-manager" in done.stderr
    assert fleet.writes == []


def test_every_missing_right_is_told_at_once(server: FleetServer, fleet: Fleet) -> None:
    fleet.denied = {("patch", "envoy"), ("patch", "envoy-eg")}

    done = run(server, "rotate", "--yes")

    assert done.exit_code == 3
    assert "patch secrets envoy in" in done.stderr
    assert "patch deployments.apps envoy-eg in" in done.stderr
    assert fleet.writes == []


@pytest.mark.parametrize(
    ("secret", "key", "said"),
    [
        ("envoy", "tls.key", "Secret envoy: tls.key is missing"),
        ("envoy-gateway", "ca.crt", "Secret envoy-gateway: ca.crt is missing"),
    ],
)
def test_a_missing_key_is_in_the_way(
    server: FleetServer, fleet: Fleet, secret: str, key: str, said: str
) -> None:
    del fleet.objects["secrets", NAMESPACE, secret]["data"][key]

    done = run(server, "rotate", "--yes")

    assert done.exit_code == 2
    assert said in done.stderr


def test_a_missing_secret_is_bad_input(server: FleetServer, fleet: Fleet) -> None:
    del fleet.objects["secrets", NAMESPACE, "envoy-rate-limit"]

    done = run(server, "rotate", "--plan")

    assert done.exit_code == 2
    assert "Secret envoy-rate-limit is not in namespace" in done.stderr


def test_a_wrong_namespace_names_the_right_one(server: FleetServer) -> None:
    done = run(server, "rotate", "--plan", "-n", "nowhere")

    assert done.exit_code == 2
    assert "no Envoy Gateway is in namespace nowhere" in done.stderr
    assert f"Envoy Gateway runs in: {NAMESPACE}" in done.stderr


def test_of_two_envoy_gateways_one_has_to_be_chosen(server: FleetServer, fleet: Fleet) -> None:
    labels = {"control-plane": "envoy-gateway"}
    body = fleet.objects["deployments", NAMESPACE, "envoy-gateway"]
    fleet.objects["deployments", "second", "envoy-gateway"] = {
        **body,
        "metadata": {"name": "envoy-gateway", "namespace": "second", "labels": labels},
    }

    several = run(server, "rotate", "--plan")
    chosen = run(server, "rotate", "--plan", "-n", NAMESPACE)

    assert several.exit_code == 2
    assert f"several Envoy Gateways are here: {NAMESPACE}, second" in several.stderr
    assert chosen.exit_code == 0
    assert "Envoy Gateways of other namespaces stay as they are: second" in chosen.stdout


def test_who_holds_the_lock_is_told(server: FleetServer, fleet: Fleet) -> None:
    lock_of(fleet, "ann@bastion pid 7").acquire()

    done = run(server, "rotate", "--yes")

    assert done.exit_code == 3
    assert "ann@bastion pid 7 is rotating these certificates" in done.stderr


def test_without_a_record_there_is_nothing_to_go_back_to(server: FleetServer) -> None:
    done = run(server, "rollback", "--yes")

    assert done.exit_code == 2
    assert "there is nothing to go back to" in done.stderr


def test_only_leaf_needs_a_kept_ca(server: FleetServer, fleet: Fleet) -> None:
    done = run(server, "rotate", "--yes", "--only", "leaf")

    assert done.exit_code == 2
    assert "--only leaf needs the CA's key" in done.stderr
    assert not any("egops-rotation" in write for write in fleet.writes)


@pytest.mark.parametrize("lifetime", ["5", "d", "-3d", "999y", "x"])
def test_a_lifetime_that_is_none_is_bad_usage(lifetime: str) -> None:
    done = CliRunner().invoke(ROOT, ["certs", "rotate", f"--lifetime={lifetime}"])

    assert done.exit_code == 2


def test_emitted_manifests_hold_each_phase_and_are_private(
    server: FleetServer, fleet: Fleet, tmp_path: Path
) -> None:
    folder = tmp_path / "phases"

    done = run(server, "rotate", "--emit", str(folder), "--key-type", "ecdsa-p256")
    again = run(server, "rotate", "--emit", str(folder))

    assert done.exit_code == 0, done.output
    assert again.exit_code == 2
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    trust, swap, drop = (
        list(yaml.safe_load_all((folder / f"{name}.yaml").read_text("utf-8")))
        for name in ("1-trust", "2-swap", "3-drop")
    )
    assert trust[1]["data"]["tls.crt"] == fleet.text("envoy", "tls.crt")
    assert trust[1]["data"]["ca.crt"] == swap[1]["data"]["ca.crt"] != drop[1]["data"]["ca.crt"]
    assert swap[1]["data"]["tls.crt"] == drop[1]["data"]["tls.crt"]
    assert "restart deployment/envoy-ratelimit" in (folder / "README.md").read_text("utf-8")
    assert fleet.writes == []


def test_adopting_cert_manager_prints_objects_and_their_order(
    server: FleetServer, fleet: Fleet
) -> None:
    done = run(server, "adopt", "cert-manager")

    assert done.exit_code == 0, done.output
    objects = [one for one in yaml.safe_load_all(done.stdout) if one]
    kinds = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert kinds[:3] == [
        ("Issuer", "egops-selfsigned"),
        ("Certificate", "envoy-gateway-ca"),
        ("Issuer", "eg-issuer"),
    ]
    leaf = next(one for one in objects if one["metadata"]["name"] == "envoy-gateway")
    assert "envoy-gateway" in leaf["spec"]["dnsNames"]
    assert "server auth" in leaf["spec"]["usages"]
    assert "--ca-from envoy-gateway-ca" in done.stdout
    assert fleet.writes == []


def test_adopting_with_an_issuer_of_ones_own_names_it(server: FleetServer) -> None:
    done = run(server, "adopt", "cert-manager", "--issuer", "ClusterIssuer/internal")

    objects = [one for one in yaml.safe_load_all(done.stdout) if one]
    assert [one["kind"] for one in objects] == ["Certificate"] * 3
    assert objects[0]["spec"]["issuerRef"] == {"name": "internal", "kind": "ClusterIssuer"}


def test_a_rotation_under_way_is_shown_by_the_plan(server: FleetServer, fleet: Fleet) -> None:
    from egops.rotation.plan import look
    from egops.rotation.session import Choice, new_record

    world = World(fleet, fleet, fleet, fleet)
    write_record(world, NAMESPACE, new_record(world, look(world), Choice(), world.now()))

    done = run(server, "rotate", "--plan")

    assert "under way, last towards the new certificates" in done.stdout


def test_a_finished_rotation_is_shown_by_the_plan(tmp_path: Path) -> None:
    fleet = Fleet(Shape((1, 3, 0)))
    forward(fleet)
    server = FleetServer(fleet, tmp_path)

    done = run(server, "rotate", "--plan")
    server.close()

    assert ", ended, last towards the new certificates" in done.stdout


def test_a_dead_process_of_this_machine_holds_no_lock() -> None:
    assert _is_gone(f"{_place()} pid 4194304")  # one more than Linux ever gives
    assert not _is_gone(f"{_place()} pid {os.getpid()}")
    assert not _is_gone(f"{_place()} pid 99999999999999")
    assert not _is_gone("ann@bastion pid 4194304")
