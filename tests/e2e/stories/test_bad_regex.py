"""A path expression that RE2 cannot compile."""

from tests.e2e.harness import demo, faults
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.story import Story, conditions


def test_lookahead_in_a_path_expression(eg: EnvoyGateway, story: Story) -> None:
    match = {"path": {"type": "RegularExpression", "value": "/(?=secret).*"}}
    rules = [{"matches": [match], "backendRefs": [{"name": "echo-blue", "port": 8080}]}]
    route = demo.http_route("lookahead", "lookahead.demo.test", rules)
    with story.fault("a route matches paths with a lookahead", faults.objects(route)):
        seen = story.symptom(
            "the route's conditions", lambda: conditions("httproute", demo.NAMESPACE, "lookahead")
        )
        assert seen
        story.finds("EGD-250", "EGD-240", "EGD-441", where="HTTPRoute/demo/lookahead")
    story.clears()
