"""A rotation that the cluster lets down, or that is killed and taken back, without restarts."""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.cluster import kube
from tests.e2e.cluster.settings import EG_NAMESPACE, PROXY_LABELS
from tests.e2e.cluster.shell import wait_for
from tests.e2e.harness import canary, faults
from tests.e2e.harness import rotation as rotating
from tests.e2e.harness.api_proxy import Answer, Write, between
from tests.e2e.harness.crashes import Killer, rotate_by_kills
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.process import FAST, KILLED, Running, run
from tests.e2e.harness.story import Story

pytestmark = [pytest.mark.full, pytest.mark.once]
ROTATE, ROLL_BACK = ("certs", "rotate"), ("certs", "rollback")
SECRETS = tuple(f"secrets/{name}" for name in rotating.MTLS)


def no_trace(run_: Running) -> None:
    """Assert that no run ended as a bug does."""
    assert run_.exit_code != 4, run_.told()
    assert "Traceback" not in run_.told(), run_.told()


def settles(story: Story, what: str, run_: Running) -> None:
    """Note how a run ended, which must be well."""
    story.note(f"{what}: exit {run_.exit_code} after {run_.seconds:.0f} s")
    assert run_.exit_code == 0, run_.told()


def test_a_conflict_and_a_lost_answer_are_only_a_reason_to_look_again(
    eg: EnvoyGateway, story: Story
) -> None:
    story.record.fault = "409 twice for each Secret, then the answer to a write is lost"
    refused: dict[str, int] = {}

    def busy(write: Write) -> Answer | None:
        if write.target in SECRETS and refused.setdefault(write.target, 0) < 2:
            refused[write.target] += 1
            return Answer(status=409, message="the object has been modified")
        return None

    slow: list[str] = []

    def late(write: Write, _status: int) -> None:
        if write.target == "secrets/envoy" and len(slow) < 1:
            slow.append(write.target)
            time.sleep(6)  # it is written, and who asked has given up

    with (
        rotating.under_load("conflicts", rotating.PLAIN) as watched,
        between(writes=busy, witness=late) as (kubeconfig, _),
    ):
        done = run(*ROTATE, *FAST, "--request-timeout", "3s", kubeconfig=kubeconfig)

    settles(story, "rotated", done)
    assert refused == dict.fromkeys(SECRETS, 2)
    assert slow
    assert not watched.broken(), "\n".join([*watched.broken(), watched.told()])


def test_a_secret_that_may_not_be_written_stops_it_and_it_goes_on_later(
    eg: EnvoyGateway, story: Story
) -> None:
    story.record.fault = "403 for one Secret, which no review had foretold"

    def forbid(write: Write) -> Answer | None:
        if write.target == "secrets/envoy-rate-limit":
            return Answer(status=403, message='User "ci" cannot patch resource "secrets"')
        return None

    with rotating.under_load("forbidden", rotating.PLAIN) as watched:
        with between(writes=forbid) as (kubeconfig, _):
            stopped = run(*ROTATE, *FAST, kubeconfig=kubeconfig)
        assert not canary.alone("forbidden")
        done = run(*ROTATE, *FAST)

    no_trace(stopped)
    assert stopped.exit_code == 3, stopped.told()
    assert "envoy-rate-limit" in stopped.told()
    settles(story, "went on", done)
    assert not watched.broken(), "\n".join([*watched.broken(), watched.told()])


def test_a_secret_that_somebody_else_changes_midway_stops_it(
    eg: EnvoyGateway, story: Story
) -> None:
    story.record.fault = "while it waits, somebody writes another certificate into Secret envoy"
    before = rotating.fingerprints()
    meddled: list[str] = []

    def meddle(_running: Running, line: str) -> None:
        if "Secret envoy trusts both" in line and not meddled:
            meddled.append(line)
            held = kube.get("secret", "-n", EG_NAMESPACE, "envoy")["data"]["ca.crt"]
            newest = base64.b64decode(held).split(b"-----END CERTIFICATE-----")[0]
            pem = newest + b"-----END CERTIFICATE-----\n"
            patch = json.dumps(faults.secret_data({"tls.crt": pem}))
            named = ("secret", "envoy", "-n", EG_NAMESPACE, "--type=merge", "-p", patch)
            kube.kubectl("patch", *named, "--field-manager=somebody")

    with rotating.under_load("meddled", rotating.PLAIN) as watched:
        stopped = run(*ROTATE, *FAST, on_line=meddle)
        asked = run(*ROLL_BACK, *FAST, "--overwrite")
        back = run(*ROLL_BACK, *FAST, "--overwrite", "--i-own-these-secrets")

    no_trace(stopped)
    assert meddled
    assert stopped.exit_code not in {0, 4, 130}, stopped.told()
    assert "somebody" in stopped.told()
    assert asked.exit_code == 2, asked.told()
    assert "somebody" in asked.told()
    settles(story, "rolled back", back)
    assert rotating.fingerprints() == before
    assert not watched.load.result().failed, watched.told()


@contextmanager
def stubborn_proxy() -> Iterator[str]:
    """Have an Envoy in the fleet whose files never change: they are mounted by subPath."""
    pod = kube.running_pods(PROXY_LABELS)[0]
    labels = {k: v for k, v in pod["metadata"]["labels"].items() if k != "pod-template-hash"}
    copied = canary.copy_of(pod, "stubborn")
    copied["metadata"]["labels"] = labels
    for container in copied["spec"]["containers"]:
        mounts = [m for m in container["volumeMounts"] if m["mountPath"] != "/certs"]
        keys = ("ca.crt", "tls.crt", "tls.key")
        files = [{"name": "certs", "subPath": k, "mountPath": f"/certs/{k}"} for k in keys]
        container["volumeMounts"] = mounts + files
    with faults.objects(copied):
        wait_for("the stubborn pod", lambda: canary.is_ready("stubborn"))
        yield "stubborn"


def test_a_pod_that_never_reloads_is_named_and_no_leaf_is_swapped(
    eg: EnvoyGateway, story: Story
) -> None:
    story.record.fault = "an Envoy mounts its certificates by subPath"
    before = rotating.fingerprints()

    with rotating.under_load("stubborn", rotating.PLAIN) as watched:
        with stubborn_proxy() as name:
            stopped = run(*ROTATE, *FAST, "--timeout", "20s")
            held = rotating.fingerprints()
        done = run(*ROTATE, *FAST)

    no_trace(stopped)
    assert stopped.exit_code == 124, stopped.told()
    assert name in stopped.lines[-2] + stopped.lines[-1], stopped.told()
    story.note(stopped.lines[-2])
    assert held["envoy/tls.crt"] == before["envoy/tls.crt"], "no leaf may be swapped yet"
    settles(story, "went on without it", done)
    assert not watched.load.result().failed, watched.told()


def test_killed_at_every_step_it_goes_on(eg: EnvoyGateway, story: Story) -> None:
    """SIGKILL after each write and at each wait, one after another, in a single rotation."""
    before = rotating.fingerprints()

    with rotating.under_load("onward", rotating.PLAIN) as watched:
        killer, done = rotate_by_kills(story, watched)

    assert done.exit_code == 0, done.told()
    assert len(killer.points) >= 12, killer.points
    assert before["envoy/tls.crt"] != rotating.fingerprints()["envoy/tls.crt"]
    assert not watched.broken(), "\n".join([*watched.broken(), watched.told()])


def test_killed_at_every_step_it_goes_back(eg: EnvoyGateway, story: Story) -> None:
    """SIGKILL after each write and at each wait, each time from the beginning; then rollback."""
    story.record.fault = "SIGKILL at each step, then rollback"
    before = rotating.fingerprints()
    killer = Killer(goes_on=False)

    with rotating.under_load("back", rotating.PLAIN) as watched:
        while (forward := killer.once(*ROTATE)).exit_code == KILLED:
            point = killer.points[-1]
            back = run(*ROLL_BACK, *FAST)
            nothing = "there is nothing to go back to" in back.told()
            assert back.exit_code == 0 or (nothing and back.exit_code == 2), (
                f"{point}\n{forward.told()}\n{back.told()}"
            )
            same = rotating.fingerprints() == before
            failed = watched.load.result().failed.total()
            story.note(
                f"| {point} | rollback exit {back.exit_code}, {back.seconds:.0f} s | "
                f"{'every byte as before' if same else 'DIFFERENT'} | {failed} failed |"
            )
            assert same, f"{point}\n{back.told()}"

    settles(story, "then rotated without a kill", forward)
    assert len(killer.points) >= 12, killer.points
    assert not watched.broken(), "\n".join([*watched.broken(), watched.told()])
