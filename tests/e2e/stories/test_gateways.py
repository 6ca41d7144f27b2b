"""Gateways that nobody serves, that get no address, or whose listeners collide."""

from tests.e2e.cluster import kube
from tests.e2e.cluster.settings import EG_NAMESPACE
from tests.e2e.harness import demo, faults
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.story import Story, conditions, has_condition


def test_gateway_names_a_class_that_does_not_exist(eg: EnvoyGateway, story: Story) -> None:
    lost = demo.gateway("lost", [{"name": "http", "protocol": "HTTP", "port": 80}], "eg-prod")
    with story.fault("a Gateway names a class that does not exist", faults.objects(lost)):
        story.note(f"conditions: {conditions('gateway', 'demo', 'lost')}")
        finding = story.finds("EGD-203", where="Gateway/demo/lost")
        assert "eg-prod" in finding["message"]
    story.clears()


def test_gateway_is_assigned_no_address(eg: EnvoyGateway, story: Story) -> None:
    spec = {"provider": {"kubernetes": {"envoyService": {"type": "LoadBalancer"}}}}
    with story.fault(
        "the proxies' Service asks for a load balancer and there is none",
        faults.patched("envoyproxy", EG_NAMESPACE, "rig", {"spec": spec}),
    ):
        unassigned = has_condition("gateway", "demo", "eg", "Programmed=False AddressNotAssigned")
        story.symptom("the Gateway's condition", unassigned)
        story.finds("EGD-207", where="Gateway/demo/eg")
    story.clears()
    kube.kubectl("-n", "demo", "wait", "--for=condition=Programmed", "gateway/eg", "--timeout=60s")


def test_two_listeners_want_the_same_port_and_host(eg: EnvoyGateway, story: Story) -> None:
    listener = {"name": "again", "protocol": "HTTPS", "port": 80, "hostname": "again.demo.test"}
    listener["tls"] = {"mode": "Terminate", "certificateRefs": [{"name": "demo-tls"}]}
    with story.fault(
        "a second listener wants the port with another protocol",
        faults.json_patched(
            "gateway", "demo", "eg", [{"op": "add", "path": "/spec/listeners/-", "value": listener}]
        ),
    ):
        story.symptom(
            "the listener's condition", has_condition("gateway", "demo", "eg", "Conflicted=True")
        )
        story.finds("EGD-210", where="Gateway/demo/eg")
    story.clears()
