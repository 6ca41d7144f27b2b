"""Policies and routes that Kubernetes takes and that do nothing, or something else."""

from tests.e2e.harness import demo, faults
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.story import Story, conditions


def test_policy_targets_a_route_that_does_not_exist(eg: EnvoyGateway, story: Story) -> None:
    spec = {"timeout": {"http": {"requestTimeout": "3s"}}}
    policy = demo.policy("BackendTrafficPolicy", "aimless", "HTTPRoute/plane", spec)
    with story.fault("a policy's target does not exist", faults.objects(policy)):
        finding = story.finds("EGD-341", where="BackendTrafficPolicy/demo/aimless")
        assert "plane" in finding["message"]
        story.note(f"conditions: {conditions('backendtrafficpolicy', 'demo', 'aimless')}")
    story.clears()


def test_two_routes_match_the_same_requests(eg: EnvoyGateway, story: Story) -> None:
    twin = demo.http_route("twin", "www.demo.test")
    with story.fault("a second route has the same host and path", faults.objects(twin)):
        story.symptom("the route's conditions", lambda: conditions("httproute", "demo", "twin"))
        story.finds("EGD-246")
    story.clears()
