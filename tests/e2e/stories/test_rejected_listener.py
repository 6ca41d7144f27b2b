"""Envoy refuses a listener that an EnvoyPatchPolicy has broken."""

import json

from tests.e2e.cluster import kube
from tests.e2e.harness import demo, faults
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.story import Story, has_condition

LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"


def broken_patch() -> kube.Object:
    """Return a patch that Envoy Gateway applies gladly and Envoy cannot load."""
    operation = {
        "op": "add",
        "path": "/listener_filters",
        "value": [
            {
                "name": "egops.test/no-such-filter",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.listener."
                    "original_dst.v3.OriginalDst"
                },
            },
            {"name": "nothing-to-load"},
        ],
    }
    patch = {"type": LISTENER, "name": "demo/eg/http", "operation": operation}
    return {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyPatchPolicy",
        "metadata": {"name": "broken", "namespace": demo.NAMESPACE},
        "spec": {
            "targetRef": {"group": demo.GATEWAY_API, "kind": "Gateway", "name": "eg"},
            "type": "JSONPatch",
            "jsonPatches": [patch],
        },
    }


def rejection() -> str:
    """Return the reason Envoy gives in its config dump for refusing a listener."""
    dump = json.loads(kube.envoy_admin("config_dump?resource=dynamic_listeners"))
    errors = [c["error_state"]["details"] for c in dump.get("configs", []) if "error_state" in c]
    return " | ".join(errors)


def test_listener_broken_by_an_envoy_patch_policy(eg: EnvoyGateway, story: Story) -> None:
    with story.fault("an EnvoyPatchPolicy breaks the listener", faults.objects(broken_patch())):
        programmed = has_condition("envoypatchpolicy", "demo", "broken", "Programmed=True")
        story.symptom("the policy itself says Programmed", programmed)
        story.symptom("Envoy's error_state", rejection)
        story.finds("EGD-441", where="Gateway/demo/eg")
    story.clears()
