"""A Secret of users that Envoy will not take."""

from tests.e2e.cluster import gateway, kube
from tests.e2e.harness import demo, faults
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.story import Story


def test_duplicate_user_in_an_htpasswd_secret(eg: EnvoyGateway, story: Story) -> None:
    users = kube.get("secret", "-n", demo.NAMESPACE, "private-users")["data"][".htpasswd"]
    line = faults.decoded(users)
    doubled = faults.secret_data({".htpasswd": line + line})
    with story.fault(
        "a user stands twice in the htpasswd Secret",
        faults.patched("secret", demo.NAMESPACE, "private-users", doubled),
    ):
        story.symptom("Envoy or its control plane complains", faults.complaint)
        story.finds("EGD-352", "EGD-441", "EGD-340")
    story.clears()
    assert gateway.ask("private.demo.test", "/", "-u", "rig:rig") == 200
