"""Routes whose backends are not there, not ready, or not allowed."""

from tests.e2e.cluster import gateway, kube
from tests.e2e.harness import demo, faults
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.story import Story, has_condition


def test_service_of_a_route_is_missing(eg: EnvoyGateway, story: Story) -> None:
    with story.fault(
        "the Service of a route is deleted", faults.deleted("service", "demo", "echo-green")
    ):
        unresolved = has_condition("httproute", "demo", "private", "ResolvedRefs=False")
        story.symptom("the route's condition", unresolved)
        finding = story.finds("EGD-241", where="HTTPRoute/demo/private")
        assert "echo-green" in finding["message"]
        story.finds("EGD-241", where="HTTPRoute/demo/canary")
    story.clears()


def test_route_names_a_port_the_service_lacks(eg: EnvoyGateway, story: Story) -> None:
    rules = [{"backendRefs": [{"name": "echo-blue", "port": 8081}]}]
    with story.fault(
        "a route names a port that the Service lacks",
        faults.objects(demo.http_route("wrong-port", "wrong-port.demo.test", rules)),
    ):
        unresolved = has_condition("httproute", "demo", "wrong-port", "ResolvedRefs=False")
        story.symptom("the route's condition", unresolved)
        story.symptom("answer", lambda: gateway.ask("wrong-port.demo.test") or None)
        finding = story.finds("EGD-241", where="HTTPRoute/demo/wrong-port")
        assert "8081" in finding["message"]
    story.clears()


def test_service_names_a_port_the_pods_lack(eg: EnvoyGateway, story: Story) -> None:
    server, service = demo.server("misnamed", "echo", {"port": 80, "targetPort": "webb"})
    rules = [{"backendRefs": [{"name": "misnamed", "port": 80}]}]
    route = demo.http_route("misnamed", "misnamed.demo.test", rules)
    with story.fault(
        "a Service's targetPort has a name that no container has",
        faults.objects(server, service, route),
    ):
        kube.rolled_out("demo", "deployment/misnamed")
        slices = ("endpointslice", "-n", "demo", "-l", "kubernetes.io/service-name=misnamed")
        story.symptom(
            "the EndpointSlices",
            lambda: [{k: s.get(k) for k in ("ports", "endpoints")} for s in kube.items(*slices)],
        )
        story.symptom("answer", lambda: gateway.ask("misnamed.demo.test") or None)
        story.finds("EGD-301", "EGD-300", "EGD-242", where="")
    story.clears()


def test_backend_without_ready_endpoints(eg: EnvoyGateway, story: Story) -> None:
    with story.fault(
        "the backend of a route is scaled to 0", faults.scaled("demo", "echo-blue", 0)
    ):
        story.symptom("answer", lambda: _failing("www.demo.test"))
        if eg.minor >= (1, 6):
            empty = has_condition("httproute", "demo", "plain", "BackendsAvailable=False")
            story.symptom("the route's condition", empty)
        story.finds("EGD-300", "EGD-242")
    story.clears()


def _failing(host: str) -> int:
    status = gateway.ask(host)
    return status if status >= 500 else 0


def test_backend_in_another_namespace_without_a_grant(eg: EnvoyGateway, story: Story) -> None:
    other = demo.namespace("other-team")
    server, service = demo.server("theirs", "echo", {"port": 80}, namespace="other-team")
    rules = [{"backendRefs": [{"name": "theirs", "namespace": "other-team", "port": 80}]}]
    route = demo.http_route("foreign", "foreign.demo.test", rules)
    with story.fault(
        "a route points into another namespace without a ReferenceGrant",
        faults.objects(other, server, service, route),
    ):
        refused = has_condition("httproute", "demo", "foreign", "ResolvedRefs=False")
        story.symptom("the route's condition", refused)
        finding = story.finds("EGD-241", where="HTTPRoute/demo/foreign")
        assert "ReferenceGrant" in str(finding)
    story.clears()
