"""What real, healthy clusters looked like: no rule may complain about one."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from egops.engine import run
from egops.finding import Severity
from egops.gatewayapi import DEPLOYMENT, KINDS, LEASE, SECRET, our_routes, timestamp
from egops.gather.manifests import load, ordered
from egops.rules.registry import doctor_rules
from egops.snapshot import Resource, Snapshot, Source, SourceType, section

if TYPE_CHECKING:
    from datetime import datetime

CLUSTERS = Path(__file__).parents[1] / "fixtures" / "clusters"
VERSIONS = ("1.2.8", "1.3.0", "1.9.0")


def recorded(version: str) -> Snapshot:
    """Return the snapshot of a recorded cluster, ten minutes after its newest object."""
    manifests = load([str(CLUSTERS / f"eg-{version}")])
    assert not manifests.broken, manifests.broken
    created = [
        timestamp(resource.metadata.get("creationTimestamp"))
        for resources in manifests.resources.values()
        for resource in resources
    ]
    newest = max(moment for moment in created if moment is not None)
    now = newest + timedelta(minutes=10)
    found = {
        kind: tuple(as_if_alive(resource, now) for resource in resources)
        for kind, resources in ordered(manifests.resources).items()
    }
    return Snapshot(
        taken_at=now,
        source=Source(SourceType.CLUSTER),
        resources={kind: found.get(kind, ()) for kind in KINDS},
    )


def as_if_alive(resource: Resource, now: datetime) -> Resource:
    """Return the object with what a recording can't hold: a lease just renewed, a private key."""
    if resource.kind == LEASE:
        spec = {**resource.spec, "renewTime": now.isoformat()}
        return Resource(resource.kind, {**resource.body, "spec": spec}, resource.origin)
    if resource.kind == SECRET and resource.name == "demo-tls":
        body = {**resource.body, "data": key_pair("*.demo.test", now)}
        return Resource(resource.kind, body, resource.origin)
    return resource


def key_pair(host: str, now: datetime) -> dict[str, str]:
    """Return the data of a TLS Secret: a throw-away key and its certificate for 90 days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "tls.crt": base64.b64encode(certificate.public_bytes(pem)).decode(),
        "tls.key": base64.b64encode(private).decode(),
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_recording_holds_a_gateway_with_routes(version: str) -> None:
    snapshot = recorded(version)

    assert len(our_routes(snapshot)) == 4
    assert any(deployment.name == "envoy-gateway" for deployment in snapshot.all(DEPLOYMENT))


@pytest.mark.parametrize("version", VERSIONS)
def test_recording_holds_no_private_key(version: str) -> None:
    secrets = load([str(CLUSTERS / f"eg-{version}")]).resources[SECRET]

    assert secrets
    assert not [secret for secret in secrets if "tls.key" in section(secret.body, "data")]


@pytest.mark.parametrize("version", VERSIONS)
def test_healthy_cluster_has_no_error_and_no_warning(version: str) -> None:
    report = run(doctor_rules(), recorded(version))

    loud = [
        f"{finding.severity} {finding.code} {finding.at.ref}: {finding.problem.message}"
        for finding in (*report.findings, *(folded.finding for folded in report.folded))
        if finding.severity >= Severity.WARNING
    ]
    assert not report.crashed
    assert not loud
    assert len(report.ok) > 40
