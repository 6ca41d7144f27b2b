"""Custom resource definitions that are missing."""

from tests.e2e.cluster import gateway, kube
from tests.e2e.harness import faults
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.story import Story

NAME = "envoyextensionpolicies.gateway.envoyproxy.io"


def test_one_definition_is_missing(eg: EnvoyGateway, story: Story) -> None:
    with story.fault(
        "the CRD of one kind is deleted", faults.deleted("customresourcedefinition", "", NAME)
    ):
        story.finds("EGD-120", where=f"CustomResourceDefinition/{NAME}")
    story.clears()
    kube.kubectl("wait", "--for=condition=Established", f"crd/{NAME}", "--timeout=30s")
    assert gateway.ask("www.demo.test") == 200
