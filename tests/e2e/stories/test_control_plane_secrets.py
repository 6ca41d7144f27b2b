"""The Secrets that Envoy and its control plane trust each other by."""

from tests.e2e.cluster import kube, pki
from tests.e2e.cluster.settings import EG_NAMESPACE
from tests.e2e.cluster.shell import wait_for
from tests.e2e.harness import faults
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.story import Story

ROTATION_FAILED = "key_rotation_failed"


def test_secret_of_the_proxies_is_deleted(eg: EnvoyGateway, story: Story) -> None:
    with story.fault(
        "the Secret `envoy` is deleted", faults.deleted("secret", EG_NAMESPACE, "envoy")
    ):
        story.finds("EGD-101", where=f"Secret/{EG_NAMESPACE}/envoy")
        story.note(f"the running proxies stay connected: {faults.connected()}")
    story.clears()


def test_secret_of_the_proxies_is_signed_by_another_ca(eg: EnvoyGateway, story: Story) -> None:
    """It does no harm until the controller restarts, so it must be found before."""
    pki.make_ca("foreign-ca")
    pki.make_cert("foreign-envoy", "*", sans=[f"DNS:*.{EG_NAMESPACE}"], ca="foreign-ca")
    certificate, key = pki.pem("foreign-envoy")
    data = faults.secret_data({"tls.crt": certificate, "tls.key": key})
    with story.fault(
        "the Secret `envoy` is signed by another CA; nothing has restarted yet",
        faults.patched("secret", EG_NAMESPACE, "envoy", data),
    ):
        story.finds("EGD-408")
        assert faults.connected(), "it was to be found before it does harm"
    story.clears()
    faults.wait_until_connected()


def _failed_rotations() -> dict[str, float]:
    stats = kube.envoy_stat(ROTATION_FAILED)
    return {name: value for name, value in stats.items() if value}


def test_secret_of_the_proxies_is_garbage(eg: EnvoyGateway, story: Story) -> None:
    """Envoy keeps the old certificate; only a counter tells."""
    before = _failed_rotations()
    garbage = b"-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"
    with story.fault(
        "the certificate in the Secret `envoy` is garbage",
        faults.patched("secret", EG_NAMESPACE, "envoy", faults.secret_data({"tls.crt": garbage})),
    ):
        story.finds("EGD-408", "EGD-405", where=f"Secret/{EG_NAMESPACE}/envoy")
        wait_for("the counter", lambda: _failed_rotations() != before, 120)
        story.note(f"what tells it in Envoy: {_failed_rotations()}")
        assert faults.connected(), "the open stream goes on with the old certificate"
    story.clears()
