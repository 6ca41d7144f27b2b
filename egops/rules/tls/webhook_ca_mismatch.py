"""EGD-412 webhook-ca-mismatch."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from egops.certs import CertificateError, chain_to, read_chain
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import DEPLOYMENT, ENVOY_GATEWAY, MUTATING_WEBHOOK, SECRET
from egops.pki import control_plane_secrets, pair
from egops.rules import rule
from egops.snapshot import items, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.certs import Certificate
    from egops.snapshot import Snapshot

WEBHOOK = "envoy-gateway-topology-injector."


@rule(
    code="EGD-412",
    severity=Severity.WARNING,
    reads=(MUTATING_WEBHOOK, SECRET),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    since="0.1",
    ok="the topology webhook trusts the control plane's certificate",
)
def webhook_ca_mismatch(snapshot: Snapshot) -> Iterator[Problem]:
    """The topology webhook does not trust the certificate of Envoy Gateway.

    ## Why it matters
    The API server can't call the webhook, and its `failurePolicy: Ignore` hides it: new proxies
    get no zone, and zone-aware routing is silently off.

    ## How to fix it
    Copy `ca.crt` of Secret `envoy-gateway` into `caBundle` of the webhook; certgen does it too.
    """
    installed = dict(control_plane_secrets(snapshot))
    webhooks = [w for w in snapshot.all(MUTATING_WEBHOOK) if w.name.startswith(WEBHOOK)]
    if not webhooks:
        return
    for webhook in webhooks:
        secret = installed.get(webhook.name.removeprefix(WEBHOOK), {}).get("envoy-gateway")
        leaf = pair(secret).leaf if secret else None
        if secret is None or leaf is None:
            raise CannotJudge("Secret envoy-gateway of the control plane was not read")
        for index, body in items(webhook.body, "webhooks"):
            if fault := _fault(text(section(body, "clientConfig"), "caBundle"), leaf):
                yield Problem(
                    webhook.at("webhooks", index, "clientConfig", "caBundle"),
                    f"the API server does not trust Envoy Gateway's certificate: {fault}",
                    impact="new proxies get no zone: zone-aware routing is off for them",
                    evidence=(f"issuer of the certificate: {leaf.issuer}",),
                    remedy=(f"copy ca.crt of {secret.ref} into caBundle, or run certgen again",),
                    related=(secret.at("data", "ca.crt"),),
                )


def _fault(bundle: str, leaf: Certificate) -> str:
    if not bundle:
        return "caBundle is empty"
    try:
        authorities = read_chain(base64.b64decode(bundle, validate=True))
    except (CertificateError, binascii.Error, ValueError):
        return "caBundle holds no certificate"
    if chain_to(leaf, authorities):
        return ""
    return f"caBundle holds {authorities[0].subject}, serial {authorities[0].serial}"
