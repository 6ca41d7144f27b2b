"""Moving between versions as people do it in a hurry; `test_upgrade_story` does it by the book."""

import json
import time

from tests.e2e.cluster import gateway, kube
from tests.e2e.cluster.settings import CONTROLLER_LABELS, EG_NAMESPACE
from tests.e2e.harness import demo, faults
from tests.e2e.harness.installation import VALUES
from tests.e2e.harness.story import Story


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
