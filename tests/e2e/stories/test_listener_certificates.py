"""The certificate of an HTTPS listener is broken or over."""

from tests.e2e.cluster import pki
from tests.e2e.harness import faults
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.story import Story, conditions


def _listener() -> list[str]:
    return [text for text in conditions("gateway", "demo", "eg") if "=False" in text]


def test_key_does_not_match_the_certificate(eg: EnvoyGateway, story: Story) -> None:
    pki.make_cert("other", "www.demo.test", sans=["DNS:*.demo.test"], ca="demo-ca")
    _, key = pki.pem("other")
    with story.fault(
        "the key of the listener's Secret belongs to another certificate",
        faults.patched("secret", "demo", "demo-tls", faults.secret_data({"tls.key": key})),
    ):
        story.symptom("what is wrong by status or Envoy", lambda: _listener() or faults.complaint())
        story.finds("EGD-401", where="Secret/demo/demo-tls")
    story.clears()


def test_certificate_has_expired(eg: EnvoyGateway, story: Story) -> None:
    pki.make_cert("ended", "www.demo.test", sans=["DNS:*.demo.test"], ca="demo-ca", days=-1)
    certificate, key = pki.pem("ended")
    data = faults.secret_data({"tls.crt": certificate, "tls.key": key})
    with story.fault(
        "the listener's certificate ended yesterday",
        faults.patched("secret", "demo", "demo-tls", data),
    ):
        story.finds("EGD-401", "EGD-402")
        story.note(f"conditions that are False: {_listener()}")
    story.clears()
