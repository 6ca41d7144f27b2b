"""How to hand the control plane's certificates over to cert-manager: what to apply, in which order.

Printed, never applied: `ca.crt` belongs to cert-manager afterwards, and a CA that is renewed with
another key leaves the three Secrets with different CAs for as long as their leaves live.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from egops.rotation.material import GATEWAY, PROXY, RATE_LIMIT, SECRETS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egops.rotation.installation import Installation

Object = dict[str, Any]

API = "cert-manager.io/v1"
CA_YEARS, LEAF_DAYS, RENEW_DAYS = 10, 90, 30
USAGES = {
    GATEWAY: ["server auth"],
    PROXY: ["client auth"],
    RATE_LIMIT: ["server auth", "client auth"],
}
KEY_USAGES = ["digital signature", "key encipherment"]


def issuers(namespace: str, issuer: str = "") -> list[Object]:
    """Return what issues: a CA of its own, or nothing where an issuer is given."""
    if issuer:
        return []
    return [
        _object("Issuer", "egops-selfsigned", namespace, {"selfSigned": {}}),
        _object(
            "Certificate",
            "envoy-gateway-ca",
            namespace,
            {
                "isCA": True,
                "commonName": "envoy-gateway",
                "secretName": "envoy-gateway-ca",
                "duration": f"{CA_YEARS * 8760}h",
                "privateKey": {"algorithm": "RSA", "size": 2048, "rotationPolicy": "Never"},
                "issuerRef": {"name": "egops-selfsigned", "kind": "Issuer"},
            },
        ),
        _object("Issuer", "eg-issuer", namespace, {"ca": {"secretName": "envoy-gateway-ca"}}),
    ]


def certificates(
    namespace: str, names: Mapping[str, tuple[str, tuple[str, ...]]], issuer: str = ""
) -> list[Object]:
    """Return a Certificate for each of the three Secrets, with the names of today's leaves."""
    kind, _, name = (issuer or "Issuer/eg-issuer").rpartition("/")
    return [
        _object(
            "Certificate",
            secret,
            namespace,
            {
                "secretName": secret,
                "commonName": names[secret][0],
                "dnsNames": list(names[secret][1]),
                "duration": f"{LEAF_DAYS * 24}h",
                "renewBefore": f"{RENEW_DAYS * 24}h",
                "usages": [*KEY_USAGES, *USAGES[secret]],
                "privateKey": {"algorithm": "RSA", "size": 2048, "rotationPolicy": "Always"},
                "issuerRef": {"name": name, "kind": kind or "Issuer"},
            },
        )
        for secret in SECRETS
    ]


def steps(here: Installation, issuer: str = "") -> list[str]:
    """Return the order, in sentences."""
    webhook = (here.version or (9,)) >= (1, 4)
    found = []
    if issuer:
        found += [
            f"Wait until {issuer} is Ready.",
            "Put its CA beside the old one into ca.crt of the three Secrets, and wait until "
            "everybody has loaded it (phase trust in docs/certs-rotation.md). Its key is not here, "
            "so egops can't rotate to it: when cert-manager replaces ca.crt in the next step, new "
            "connections are refused until every node has all three, for a minute or two. Open "
            "streams stay.",
        ]
    else:
        found += [
            "Apply the Issuers and Certificate envoy-gateway-ca (the first three documents), and "
            "wait until it is Ready.",
            "`egops certs rotate --ca-from envoy-gateway-ca`: everybody moves to that CA, phase by "
            "phase, before cert-manager writes anything into the three Secrets.",
        ]
    found.append(
        "Apply the Certificates (the last three documents). cert-manager issues new leaves"
        + ("" if issuer else " under the CA that everybody trusts by now")
        + " and keeps the names of the Secrets."
    )
    if here.rate_limit is not None:
        found.append(
            "Restart the rate limit service: its xDS client presents the leaf of its start. Do so "
            "after each renewal, before the old leaf ends."
        )
    if webhook:
        found.append(
            f"Annotate {here.webhook_name} with cert-manager.io/inject-ca-from: "
            f"{here.namespace}/envoy-gateway, because each upgrade of the chart empties caBundle."
        )
    found.append("`egops certs check` finds nothing; Secret egops-rotation can be deleted.")
    return found


def traps(here: Installation) -> list[str]:
    """Return what goes wrong for others, in sentences."""
    found = [
        "Without `duration` a Certificate lasts 90 days. The CA's lasts "
        f"{CA_YEARS} years here, on purpose: leaves and CA must not end together.",
        "`rotationPolicy: Always` on the CA, the default of newer releases, gives it another key "
        "at its renewal, while each Secret keeps the old ca.crt until its own leaf is renewed. It "
        "is Never here.",
        "With any extended usage at all, envoy-gateway needs server auth, envoy client auth and "
        "envoy-rate-limit both; otherwise Envoy and Go refuse them.",
        "The short name `envoy-gateway` has to stay among the DNS names: Envoy and the rate limit "
        "service verify exactly it.",
        "certgen with --overwrite (Helm value certgen.job.args) writes over all of it.",
    ]
    if here.loads_xds_leaf_once:
        found.append(
            "This release reads its xDS leaf once in GatewayNamespace mode: restart Envoy Gateway "
            "after each renewal."
        )
    if here.is_gateway_namespace_mode:
        found.append("The proxies' CA is a copy in their ConfigMaps, which may grow stale.")
    return found


def text(
    here: Installation, names: Mapping[str, tuple[str, tuple[str, ...]]], issuer: str = ""
) -> str:
    """Return steps as comments, then the objects as YAML."""
    import yaml

    lines = [f"# How {here.namespace} moves to cert-manager. Nothing was applied.", "#"]
    for number, sentence in enumerate(steps(here, issuer), 1):
        lines += _wrapped(f"{number}. {sentence}", "   ")
    lines += ["#", "# Traps:"]
    for sentence in traps(here):
        lines += _wrapped(f"- {sentence}", "  ")
    objects = [*issuers(here.namespace, issuer), *certificates(here.namespace, names, issuer)]
    documents: str = yaml.safe_dump_all(objects, sort_keys=False)
    return "\n".join(lines) + "\n---\n" + documents


def _wrapped(sentence: str, indent: str) -> list[str]:
    first, rest = "# ", f"# {indent}"
    return textwrap.wrap(
        sentence, 96, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )


def _object(kind: str, name: str, namespace: str, spec: Object) -> Object:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": API, "kind": kind, "metadata": meta, "spec": spec}
