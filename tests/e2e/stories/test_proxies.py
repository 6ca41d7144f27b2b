"""Proxies that hang, that disagree, or that cannot reach their control plane."""

from tests.e2e.cluster import gateway, kube
from tests.e2e.cluster.settings import EG_NAMESPACE, PROXY_LABELS
from tests.e2e.cluster.shell import wait_for
from tests.e2e.harness import demo, faults
from tests.e2e.harness.command import NO_PAST, doctor
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.story import Story

STATE = "control_plane.connected_state"


def test_hung_proxy_is_reported_and_hangs_nobody(eg: EnvoyGateway, story: Story) -> None:
    with story.fault("Envoy hangs (SIGSTOP)", faults.stopped(PROXY_LABELS, "envoy")):
        finding = story.finds("EGD-459", "EGD-448")
        assert story.last
        assert story.last.seconds < 60, story.last.told()
        told = str(story.last.skipped) + str(finding)
        assert faults.proxy_name() in told, story.last.told()
    story.clears()
    wait_for("an answer", lambda: gateway.ask("www.demo.test") == 200)


def test_partitioned_proxy_is_reported(eg: EnvoyGateway, story: Story) -> None:
    pid = kube.container_pids(PROXY_LABELS, "envoy")[0]
    with story.fault(
        "packets between Envoy and the control plane are dropped",
        faults.partitioned(faults.proxy_address()),
    ):
        story.note(f"streams cut: {faults.cut_streams(pid).strip()}")
        story.symptom(STATE, lambda: kube.envoy_stat(STATE).get(STATE) == 0, 90)
        assert gateway.ask("www.demo.test") == 200, "it serves on with what it has"
        # while a connection attempt is under way, connected_state says 1 again: the log tells
        story.finds("EGD-440", args="--window 15s", within=120)
    story.clears()
    faults.wait_until_connected()


def test_two_replicas_that_disagree(eg: EnvoyGateway, story: Story) -> None:
    replicas = {"provider": {"kubernetes": {"envoyDeployment": {"replicas": 2}}}}
    with faults.patched("envoyproxy", EG_NAMESPACE, "rig", {"spec": replicas}):
        wait_for("two proxies", lambda: len(kube.running_pods(PROXY_LABELS)) == 2)
        kube.rolled_out(EG_NAMESPACE, f"deployment/{faults.proxy_name()}")
        faults.wait_until_connected()
        calm = doctor(*NO_PAST)
        assert not calm.loud(), calm.told()
        cut_off = kube.running_pods(PROXY_LABELS)[1]
        route = demo.http_route("new", "new.demo.test")
        with (
            story.fault(
                "one of two proxies is cut off and misses a new route",
                faults.partitioned(cut_off["status"]["podIP"]),
            ),
            faults.objects(route),
        ):
            finding = story.finds("EGD-444")
            assert cut_off["metadata"]["name"] in str(finding)
        faults.wait_until_connected(90)
        story.clears()
    wait_for("one proxy", lambda: len(kube.running_pods(PROXY_LABELS)) == 1)
