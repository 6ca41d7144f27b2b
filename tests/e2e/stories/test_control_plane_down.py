"""The control plane is gone, or was just restarted."""

from tests.e2e.cluster import kube
from tests.e2e.cluster.settings import CONTROLLER_LABELS, EG_NAMESPACE
from tests.e2e.cluster.shell import wait_for
from tests.e2e.harness import faults
from tests.e2e.harness.command import NO_PAST, egops
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.story import Story

LEASE = ("lease", "-n", EG_NAMESPACE, "5b9825d2.gateway.envoyproxy.io")


def test_control_plane_scaled_to_zero_is_an_error(eg: EnvoyGateway, story: Story) -> None:
    with story.fault(
        "someone scaled the control plane to 0", faults.scaled(EG_NAMESPACE, "envoy-gateway", 0)
    ):
        pods = ("pods", "-n", EG_NAMESPACE, "-l", CONTROLLER_LABELS)
        story.symptom("no controller pods", lambda: not kube.items(*pods))
        story.finds("EGD-100", where=f"Deployment/{EG_NAMESPACE}/envoy-gateway")
    story.clears()
    faults.wait_until_connected()


def test_killed_control_plane_raises_no_alarm_while_it_settles(
    eg: EnvoyGateway, story: Story
) -> None:
    """The new controller waits some 15 s for the lease of the one that was killed."""
    holder = kube.get(*LEASE)["spec"]["holderIdentity"]
    controller = kube.running_pods(CONTROLLER_LABELS)[0]["metadata"]["name"]
    kill = ("delete", "pod", controller, "--grace-period=0", "--force")
    kube.kubectl("-n", EG_NAMESPACE, *kill)
    kube.rolled_out(EG_NAMESPACE, "deployment/envoy-gateway")
    assert kube.get(*LEASE)["spec"]["holderIdentity"] == holder, "the lease was taken over too soon"
    story.record.fault = "the control plane was killed; its lease is still held by the dead pod"

    run = egops("doctor", *NO_PAST)

    still = kube.get(*LEASE)["spec"]["holderIdentity"] == holder
    story.note(f"lease still held by the dead pod after doctor's run: {still}")
    assert run.exit_code == 0, run.told()
    assert not run.loud(), run.told()
    wait_for("the lease's new holder", lambda: kube.get(*LEASE)["spec"]["holderIdentity"] != holder)
    faults.wait_until_connected()
