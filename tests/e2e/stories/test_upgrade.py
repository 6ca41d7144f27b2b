"""Moving between versions, as the upgrade notes say, and as people do it in a hurry."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.cluster import gateway, kube
from tests.e2e.cluster.settings import CONTROLLER_LABELS, EG_NAMESPACE
from tests.e2e.harness import demo, faults
from tests.e2e.harness.command import doctor
from tests.e2e.harness.installation import VALUES
from tests.e2e.harness.story import Story


@contextmanager
def steady_requests() -> Iterator[list[int]]:
    """Send ten requests a second and give the statuses, one list for the whole block."""
    statuses: list[int] = []
    done = threading.Event()

    def send() -> None:
        while not done.wait(0.1):
            statuses.append(gateway.ask("www.demo.test"))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield statuses
    finally:
        done.set()
        thread.join()


def test_upgrade_keeps_serving_and_ends_healthy(fresh: None, story: Story) -> None:
    story.record.version = "1.2.8 → 1.3.0"
    gateway.install("1.2.8", values=VALUES)
    faults.wait_until_connected()
    before = doctor()
    assert not before.loud(), before.told()

    with steady_requests() as statuses:
        took = gateway.install("1.3.0", upgrade=True, values=VALUES)
    faults.wait_until_connected()
    after = doctor()

    story.note(f"{len(statuses)} requests, {statuses.count(200)} of them 200; {took}")
    assert set(statuses) == {200}, sorted(set(statuses))
    assert not after.loud(), after.told()
    assert after.report["source"]["egVersion"].lstrip("v") == "1.3.0"


def test_upgrade_that_leaves_the_old_crds(fresh: None, story: Story) -> None:
    """`helm upgrade` alone succeeds and all looks well; a TLSRoute is then silently ignored."""
    story.record.version = "1.3.0 → 1.9.0"
    gateway.install("1.3.0", values=VALUES)
    faults.wait_until_connected()
    route = demo.http_route("passthrough", "pass.demo.test")
    route |= {"apiVersion": f"{demo.GATEWAY_API}/v1alpha2", "kind": "TLSRoute"}
    listener = {"name": "tls", "protocol": "TLS", "port": 8443, "hostname": "pass.demo.test"}
    listener["tls"] = {"mode": "Passthrough"}
    route["spec"]["parentRefs"] = [{"name": "eg", "sectionName": "tls"}]
    add = [{"op": "add", "path": "/spec/listeners/-", "value": listener}]

    gateway.install("1.9.0", upgrade=True, values=VALUES, keep_crds=True)
    faults.wait_until_connected()
    kube.kubectl(
        *("-n", demo.NAMESPACE, "patch", "gateway", "eg", "--type=json"),
        *("-p", json.dumps(add)),
    )
    with story.fault("helm upgrade left the old CRDs; a TLSRoute is made", faults.objects(route)):
        log = ("-n", EG_NAMESPACE, "logs", "-l", CONTROLLER_LABELS, "--tail=-1")
        story.symptom(
            "the controller's log",
            lambda: [line for line in kube.kubectl(*log).splitlines() if "CRD not found" in line],
        )
        story.finds("EGD-120", "EGD-121", where="CustomResourceDefinition")
        story.finds("EGD-129", "EGD-243", "EGD-120", "EGD-144")
        gateway.apply_crds("1.9.0")
        faults.restart_controller()
        faults.wait_until_connected(120)
    began = time.monotonic()
    run = story.clears(within=150)
    story.note(f"healthy again {time.monotonic() - began:.0f} s after the CRDs were applied")
    assert not [finding for finding in run.findings if finding["severity"] == "error"], run.told()
