"""`egops certs check` on certificates that are healthy, and on some that are not."""

import base64
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import gateway, kube, pki
from tests.e2e.cluster.settings import EG_NAMESPACE, PKI
from tests.e2e.cluster.shell import wait_for
from tests.e2e.harness import access, faults
from tests.e2e.harness.command import Run, egops, place
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.story import Story

QUICK = ("certs", "check", "--strict", "--window", "0")
WEBHOOK = f"envoy-gateway-topology-injector.{EG_NAMESPACE}"


def checked(story: Story, code: str, where: str, within: float = 30) -> dict[str, Any]:
    """Run the check until it reports the code at the object; return the finding."""
    end = time.monotonic() + within
    while True:
        run = egops(*QUICK)
        # a finding that another one explains is one all the same
        everything = [*run.findings, *run.report.get("folded", [])]
        found = [f for f in everything if (f["code"], place(f)) == (code, where)]
        if found:
            story.record.codes = " ".join(filter(None, (story.record.codes, code)))
            story.record.where = " ".join(filter(None, (story.record.where, where)))
            story.note(f"{found[0]['severity']} {code} {where}: {found[0]['message']}")
            assert run.exit_code == (1 if _is_loud(run) else 0), run.told()
            assert not run.report["crashed"], run.told()
            return dict(found[0])
        assert time.monotonic() < end, f"no {code} at {where}; last\n{run.told()}"
        time.sleep(0.5)


def _is_loud(run: Run) -> bool:
    return any(f["severity"] == "error" for f in run.findings)


def foreign(name: str, common_name: str, *names: str) -> tuple[bytes, bytes]:
    """Return certificate and key of a CA that nobody in the cluster knows."""
    pki.make_ca("foreign-ca")
    pki.make_cert(name, common_name, sans=[f"DNS:{each}" for each in names], ca="foreign-ca")
    return pki.pem(name)


def secret(name: str, **values: bytes) -> Any:
    """Plant other values in a control plane Secret."""
    keys = {"crt": "tls.crt", "key": "tls.key", "ca": "ca.crt"}
    data = faults.secret_data({keys[key]: value for key, value in values.items()})
    return faults.patched("secret", EG_NAMESPACE, name, data)


def test_certificates_of_a_healthy_installation(eg: EnvoyGateway, story: Story) -> None:
    """Everything is in the inventory, nothing is wrong, and no key is shown."""
    run = egops(*QUICK)

    assert run.exit_code == 0, run.told()
    assert not run.loud(), run.told()
    rows = run.report["certificates"]
    held = {(row["object"]["name"], row["key"]) for row in rows}
    for name in ("envoy-gateway", "envoy", "envoy-rate-limit"):
        assert {(name, "tls.crt"), (name, "ca.crt")} <= held
    assert ("demo-tls", "tls.crt") in held
    assert eg.minor < (1, 4) or (WEBHOOK, "caBundle") in held
    assert {row["object"]["kind"] for row in rows} <= {"Secret", "MutatingWebhookConfiguration"}, (
        "what pods serve and hold is what the Secrets hold"
    )
    proved = {entry["code"] for entry in run.report["ok"]}
    assert {"EGD-408", "EGD-410", "EGD-425", "EGD-426"} <= proved, run.told()
    key = kube.get("secret", "-n", EG_NAMESPACE, "envoy")["data"]["tls.key"]
    assert key[80:160] not in run.stdout
    story.note(f"{len(rows)} certificates, {len(proved)} checks passed in {run.seconds:.1f} s")


def test_certificates_will_have_ended_one_day(eg: EnvoyGateway, story: Story) -> None:
    then = (datetime.now(UTC) + timedelta(days=1826)).date().isoformat()

    run = egops(*QUICK, "--at", then, "--only", "EGD-407")

    assert {place(f) for f in run.findings} == {
        f"Secret/{EG_NAMESPACE}/{name}" for name in ("envoy-gateway", "envoy", "envoy-rate-limit")
    }
    assert run.exit_code == 1
    story.note(run.findings[0]["message"])


def test_control_plane_refuses_what_the_proxies_secret_holds(
    eg: EnvoyGateway, story: Story
) -> None:
    """The Secrets tell it, and so does a handshake with the pod."""
    certificate, key = foreign("foreign-envoy", "*", f"*.{EG_NAMESPACE}")
    pod = kube.items("pods", "-n", EG_NAMESPACE, "-l", "control-plane=envoy-gateway")[0]
    name = pod["metadata"]["name"]
    with story.fault("Secret envoy is of another CA", secret("envoy", crt=certificate, key=key)):
        checked(story, "EGD-408", f"Secret/{EG_NAMESPACE}/envoy")
        checked(story, "EGD-434", f"Pod/{EG_NAMESPACE}/{name}")
    faults.wait_until_connected()


def test_key_of_the_rate_limit_service_is_of_another_certificate(
    eg: EnvoyGateway, story: Story
) -> None:
    _, key = foreign("foreign-envoy", "*", f"*.{EG_NAMESPACE}")
    with story.fault("the key does not fit", secret("envoy-rate-limit", key=key)):
        found = checked(story, "EGD-408", f"Secret/{EG_NAMESPACE}/envoy-rate-limit")
    assert "does not belong" in found["message"]


def test_secret_of_the_rate_limit_service_is_missing(eg: EnvoyGateway, story: Story) -> None:
    gone = faults.deleted("secret", EG_NAMESPACE, "envoy-rate-limit")
    with story.fault("Secret envoy-rate-limit is deleted", gone):
        checked(story, "EGD-101", f"Secret/{EG_NAMESPACE}/envoy-rate-limit")


def test_ca_of_one_secret_is_another(eg: EnvoyGateway, story: Story) -> None:
    """Only ca.crt was replaced: the proxies would refuse Envoy Gateway at their next connection."""
    pki.make_ca("foreign-ca")
    authority, _ = pki.pem("foreign-ca")
    with story.fault("Secret envoy trusts another CA", secret("envoy", ca=authority)):
        checked(story, "EGD-408", f"Secret/{EG_NAMESPACE}/envoy-gateway")
        checked(story, "EGD-419", f"Secret/{EG_NAMESPACE}/envoy")
    faults.wait_until_connected()


def test_webhook_trusts_an_old_ca(eg: EnvoyGateway, story: Story) -> None:
    if eg.minor < (1, 4):
        pytest.skip("this release has no webhook")
    pki.make_ca("foreign-ca")
    bundle = base64.b64encode(pki.pem("foreign-ca")[0]).decode()
    path = "/webhooks/0/clientConfig/caBundle"
    planted = faults.json_patched(
        "mutatingwebhookconfiguration", EG_NAMESPACE, WEBHOOK,
        [{"op": "replace", "path": path, "value": bundle}],
    )  # fmt: skip
    with story.fault("caBundle of the topology webhook is another CA", planted):
        checked(story, "EGD-412", f"MutatingWebhookConfiguration/{WEBHOOK}")


def test_listener_by_address(eg: EnvoyGateway, story: Story) -> None:
    """Any TLS server can be asked; here Envoy's own listener, by name and without one."""
    address = gateway.addresses()[1].removeprefix("https://")
    authority = _demo_ca()
    good = egops("certs", "check", address, "--sni", "www.demo.test", "--ca", str(authority))
    strange = egops("certs", "check", address, "--sni", "www.demo.test")
    other = egops("certs", "check", address, "--sni", "www.other.test", "--ca", str(authority))

    assert (good.exit_code, good.findings) == (0, []), good.told()
    assert [f["code"] for f in strange.findings] == ["EGD-436"], strange.told()
    assert {f["code"] for f in other.findings} <= {"EGD-435", "EGD-437"}, other.told()
    assert other.exit_code == 1
    story.note(f"without the name: {[f['message'] for f in other.findings]}")


def _demo_ca() -> Path:
    """Return the file of the CA that issued the demo's certificate."""
    return PKI / "demo-ca.crt"


def test_user_who_may_not_forward_ports_nor_read_secrets(eg: EnvoyGateway, story: Story) -> None:
    """What could not be judged is a reported skip with its reason, and nothing crashes."""
    rules = [
        rule
        for rule in access.published_rules()
        if rule["resources"][0] not in ("secrets", "pods/portforward")
    ]
    with access.user(rules) as kubeconfig:
        wait_for("the role's effect", lambda: access.allowed(rules[-1]))
        run = egops(*QUICK, kubeconfig=kubeconfig)

    assert run.exit_code == 0, run.told()
    assert not run.report["crashed"], run.told()
    reasons = {skip["code"]: skip["reason"] for skip in run.skipped}
    assert "forbidden: list secrets" in reasons["EGD-408"], run.told()
    assert "forbidden" in reasons["EGD-410"], run.told()
    assert "forbidden" in reasons["EGD-426"], run.told()
