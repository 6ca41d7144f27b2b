"""The control plane's certificates are rotated while every link of it is in use."""

import threading
import time
from collections.abc import Iterator

import pytest

from tests.e2e.cluster import gateway, kube, rotation
from tests.e2e.cluster.settings import EG_NAMESPACE
from tests.e2e.harness import canary
from tests.e2e.harness import crashes as crashing
from tests.e2e.harness import rotation as rotating
from tests.e2e.harness.crashes import Killer
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.process import FAST, Running, run
from tests.e2e.harness.story import Story

# stories before these have broken the Secrets with kubectl, which egops takes for another keeper
OURS = "--i-own-these-secrets"
ROTATE = ("certs", "rotate", OURS)
ROLL_BACK = ("certs", "rollback", OURS)


@pytest.fixture(scope="module")
def everything(eg: EnvoyGateway, cluster_stays: bool) -> Iterator[None]:
    """Two of each, with rate limit, OIDC and Wasm; undone only where the cluster stays."""
    rotation.set_up(*rotation.max_connection_age("20s"))
    foreign = ("team=edge", "demo.test/owner=edge")
    for verb, word in zip(("label", "annotate"), foreign, strict=True):
        kube.kubectl("-n", EG_NAMESPACE, verb, "--overwrite", "secret", "envoy", word)
    yield
    if cluster_stays:
        rotation.undo()


class Bystanders:
    """What happens at each phase of a rotation: canaries, and another operator."""

    def __init__(self) -> None:
        """Wait for the first phase."""
        self.found: list[str] = []
        self.threads: list[threading.Thread] = []
        self.second: Running | None = None

    def watch(self, _running: Running, line: str) -> None:
        """Act when a phase begins."""
        if " == " not in line:
            return
        name = f"phase-{len(self.threads)}"
        thread = threading.Thread(target=lambda: self.found.extend(canary.both(name)))
        thread.start()
        self.threads.append(thread)
        if self.second is None:
            self.second = run(*ROTATE, *FAST)

    def join(self) -> list[str]:
        """Return what the canaries could not do."""
        for thread in self.threads:
            thread.join()
        return self.found


@pytest.mark.once
def test_rotation_that_is_killed_goes_on_or_goes_back(eg: EnvoyGateway, story: Story) -> None:
    """SIGKILL in the middle of the leaves and of a wait; then resumed; then rolled back.

    Told before everything is in use: nothing has to restart, so it is quick.
    """
    before = rotating.fingerprints()
    forward = Killer(only=lambda point: "swap" in point.phase)
    back = Killer(only=lambda point: point.what.endswith("secrets/envoy"))

    with rotating.under_load(f"killed-{eg.version}", rotating.PLAIN) as watched:
        first = forward.chain(*ROTATE, most=8)
        rotated = rotating.fingerprints()
        second = back.chain(*ROLL_BACK, most=8)

    story.record.fault = f"SIGKILL {'; '.join(map(str, forward.points + back.points))}"
    story.note(watched.load.result().told())
    assert first.exit_code == 0, first.told()
    assert second.exit_code == 0, second.told()
    assert len(forward.points) >= 3, forward.points
    assert back.points
    assert not watched.broken(), "\n".join([*watched.broken(), watched.told()])
    assert rotated["envoy/tls.crt"] != before["envoy/tls.crt"]
    assert rotating.fingerprints() == before


@pytest.mark.long
def test_rotation_under_load(everything: None, eg: EnvoyGateway, story: Story) -> None:
    """Two hundred requests a second, and neither they nor a stream notice."""
    before = rotating.fingerprints()
    bystanders = Bystanders()

    with rotating.under_load(f"rotation-{eg.version}") as watched:
        finished = run(*ROTATE, *FAST, on_line=bystanders.watch)
        cannot = bystanders.join()
        watched.sees_reconnects()

    after = rotating.fingerprints()
    story.note(watched.load.result().told())
    for line in (*finished.lines, *watched.counters.told()):
        story.note(line)
    assert finished.exit_code == 0, finished.told()
    assert not watched.broken(), "\n".join([*watched.broken(), watched.told(), finished.told()])
    assert not cannot, cannot
    assert len(bystanders.threads) >= 3, finished.told()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {f"{n}/{k}" for n in rotating.MTLS for k in ("ca.crt", "tls.crt", "tls.key")}
    second = bystanders.second
    assert second, finished.told()
    assert second.exit_code not in {0, 4}, second.told()
    assert f"pid {finished.child.pid}" in second.told() if finished.child else False, second.told()


@pytest.mark.full
@pytest.mark.once
def test_killed_at_every_step_with_everything_in_use(
    everything: None, eg: EnvoyGateway, story: Story
) -> None:
    """SIGKILL after each write and at each wait, one after another, in a single rotation."""
    before = rotating.fingerprints()

    with rotating.under_load("onward") as watched:
        killer, done = crashing.rotate_by_kills(story, watched)

    assert done.exit_code == 0, done.told()
    assert len(killer.points) >= 20, killer.points
    assert before["envoy/tls.crt"] != rotating.fingerprints()["envoy/tls.crt"]
    assert not watched.broken(), "\n".join([*watched.broken(), watched.told()])


@pytest.mark.once
def test_certgen_overwrite_breaks_what_a_rotation_must_not(
    everything: None, eg: EnvoyGateway, cluster_stays: bool, story: Story
) -> None:
    """The twin of the first story: the same load and the same assertions, and they fail."""
    before = rotating.fingerprints()

    with rotating.under_load(f"certgen-{eg.version}") as watched:
        rotating.certgen_overwrite(eg.version)
        if eg.minor < (1, 5):
            # until the rate limit service's pod is another, Envoy resumes the TLS session and does
            # not look at the certificate; from 1.5 on a new context, by SDS, knows no session
            rotating.restart_rate_limiter()
        end = time.monotonic() + 60  # the rate limit service's connections live for 20 s
        while time.monotonic() < end and not watched.counters.risen("limiter refused"):
            time.sleep(1)
        time.sleep(3)
    broken = watched.broken()
    after = rotating.fingerprints()
    if cluster_stays:
        rotating.heal()

    for line in (*broken, *watched.counters.told()):
        story.note(line)
    story.record.fault = "envoy-gateway certgen --overwrite"
    failed = watched.load.result().failed
    assert failed["signed in: 302"] > 10, watched.told()
    assert failed["metered: 500"] > 10, watched.told()
    assert any(line.startswith("limiter refused") for line in broken), watched.told()
    assert before["envoy-oidc-hmac/hmac-secret"] != after["envoy-oidc-hmac/hmac-secret"]
    assert before["envoy metadata"] != after["envoy metadata"]
    assert gateway.installed_version() == eg.version
