"""A snapshot in a file is judged like the cluster it was made of, and holds no secrets."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from egops.engine import run
from egops.errors import AccessError, InputError
from egops.gatewayapi import (
    BACKEND,
    CONFIG_MAP,
    DEPLOYMENT,
    GATEWAY,
    HELM_VALUES,
    HTTP_ROUTE,
    POD,
    SECRET,
    TLS_ROUTE,
)
from egops.gather import SourceOptions, Wanted, gather
from egops.gather.bundle import MANIFEST, pack
from egops.gather.draft import Draft
from egops.gather.redact import redacted
from egops.rules.registry import doctor_rules
from egops.snapshot import ControlPlane, Kind, Probe, Proxy, Resource, Snapshot, Source, SourceType
from tests.gather.api_server import named
from tests.rules.test_healthy_recordings import recorded

ADMIN = "type.googleapis.com/envoy.admin.v3."
TAKEN = datetime(2025, 1, 2, 3, 4, tzinfo=UTC)
PEM = "-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"


def resource(kind: Kind, body: dict[str, Any]) -> Resource:
    return Resource(kind, {"apiVersion": kind.api_version, "kind": kind.name, **body})


def snapshot() -> Snapshot:
    pod = resource(POD, named("proxy", "system", metadata={"labels": {"a": "b"}}))
    proxy = Draft("system/proxy", pod, failures={Probe.CERTS: "no answer"})
    proxy.keep(Probe.STATS, b'{"stats": [{"name": "server.live", "value": 1}]}')
    admin: dict[str, Any] = {
        "@type": f"{ADMIN}BootstrapConfigDump",
        "bootstrap": {"node": {"id": "n"}},
    }
    admin["bootstrap"]["x"] = {"password": {"inline_string": "s3cret"}, "address": "10.0.0.1"}
    proxy.keep(Probe.CONFIG_DUMP, orjson.dumps({"configs": [admin]}))
    proxy.keep(Probe.PROXY_LOG, b'GET / authorization: Bearer abcdefghijk cookie: sid=1; "x"\n')
    gateway = Draft("system/eg")
    gateway.keep(Probe.METRICS, b"up 1\n")
    secret = named("s", "shop", type="Opaque", data={"password": "czNjcmV0", "ca.crt": "eA=="})
    secret["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": "czNjcmV0",
        "cert-manager.io/issuer-name": "ours",
    }
    variables = [
        {"name": "DB_PASSWORD", "value": "s3cret"},
        {"name": "MODE", "value": "fast"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s"}}},
    ]
    template = {"spec": {"containers": [{"name": "c", "env": variables}]}}
    text = f"redis: redis://:s3cret@redis:6379\nkey: {PEM}\n"
    ref = {"group": "", "kind": "ConfigMap", "name": "c"}
    spec = {"tls": {"caCertificateRefs": [ref]}}
    values = {"redis": {"password": "s3cret", "secretName": "redis"}, "replicas": 2}
    return Snapshot(
        taken_at=TAKEN,
        source=Source(SourceType.CLUSTER, "prod", "https://api"),
        resources={
            SECRET: (resource(SECRET, secret),),
            DEPLOYMENT: (resource(DEPLOYMENT, named("d", "shop", spec={"template": template})),),
            CONFIG_MAP: tuple(
                resource(CONFIG_MAP, named(name, "shop", data={"a": text})) for name in "cd"
            ),
            BACKEND: (resource(BACKEND, named("b", "shop", spec=spec)),),
            HELM_VALUES: (resource(HELM_VALUES, named("v", spec=values)),),
        },
        unread={HTTP_ROUTE: "forbidden"},
        absent=frozenset({TLS_ROUTE}),
        proxies=(proxy.frozen(Proxy, ()),),
        control_planes=(gateway.frozen(ControlPlane, ()),),
        unprobed={Probe.PROMETHEUS: "none found"},
        notes=("a note",),
        kubernetes_version="v1.32.0",
        window_seconds=10.0,
        prometheus={"up": []},
    )


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "x.zip"
    pack(snapshot(), path)
    return path


def read(path: Path, **options: Any) -> Snapshot:
    return gather(SourceOptions(files=(str(path),), **options), Wanted())


def test_what_was_known_is_known_again(bundle: Path) -> None:
    found, original = read(bundle), snapshot()
    assert found.source == Source(
        SourceType.CLUSTER, f"prod in {bundle}", "https://api", str(bundle)
    )
    assert found.source.shown_type is SourceType.BUNDLE
    for field in (
        "taken_at", "absent", "unprobed", "notes", "kubernetes_version",
        "window_seconds", "timed_out", "prometheus",
    ):  # fmt: skip
        assert getattr(found, field) == getattr(original, field), field
    assert found.unread == {**original.unread, SECRET: "a bundle holds no secrets"}
    (proxy,) = found.proxies
    assert proxy.name == "system/proxy"
    assert proxy.pod is not None
    assert proxy.pod.labels == {"a": "b"}
    assert proxy.stats.get("server.live") == 1
    assert proxy.failures == {Probe.CERTS: "no answer"}
    assert found.control_planes[0].metrics.get("up") == 1
    assert found.all(DEPLOYMENT)[0].name == "d"


def test_the_clock_can_be_another_one(bundle: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert read(bundle, now=now).taken_at == now


def test_no_secret_is_in_the_file(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        everything = b"\n".join(archive.read(name) for name in archive.namelist())
    for secret in (b"s3cret", b"czNjcmV0", b"AAAA", b"abcdefghijk", b"sid=1"):
        assert secret not in everything, secret


def test_what_is_no_secret_stays(bundle: Path) -> None:
    found = read(bundle)
    with zipfile.ZipFile(bundle) as archive:
        (secret,) = orjson.loads(archive.read("objects/secrets.json"))
    assert "data" not in secret
    assert secret["metadata"]["annotations"] == {
        "cert-manager.io/issuer-name": "ours",
        "egops.dev/keys": "ca.crt, password",
    }
    (deployment,) = found.all(DEPLOYMENT)
    variables = deployment.spec["template"]["spec"]["containers"][0]["env"]
    assert [variable.get("value") for variable in variables] == ["[redacted]", "fast", None]
    ours, others = found.all(CONFIG_MAP)
    assert "redis:6379" in ours.body["data"]["a"]
    assert "data" not in others.body
    assert others.annotations == {"egops.dev/keys": "a"}
    (values,) = found.all(HELM_VALUES)
    assert values.spec["redis"] == {"password": "[redacted]", "secretName": "redis"}
    assert found.proxies[0].config.bootstrap["x"]["address"] == "10.0.0.1"


def test_only_its_owner_may_read_it(bundle: Path) -> None:
    assert bundle.stat().st_mode & 0o777 == 0o600


def test_half_a_bundle_is_removed(tmp_path: Path) -> None:
    whole = snapshot()
    path = tmp_path / "x.zip"

    with pytest.raises(TypeError):
        pack(replace(whole, notes=(object(),)), path)  # type: ignore[arg-type]

    assert not path.exists()


def test_a_list_that_was_empty_is_known_to_be_empty(tmp_path: Path) -> None:
    """A bundle of a cluster is judged as the cluster: what is not there does not exist."""
    whole = snapshot()
    path = tmp_path / "x.zip"
    pack(replace(whole, resources={**whole.resources, GATEWAY: ()}), path)

    found = read(path)

    assert found.knows(GATEWAY)
    assert found.knows(TLS_ROUTE)
    assert not found.knows(HTTP_ROUTE)
    assert not found.knows(SECRET)


def test_the_snapshot_itself_is_not_touched(tmp_path: Path) -> None:
    original, same = snapshot(), snapshot()
    pack(original, tmp_path / "y.zip")
    assert original.resources == same.resources


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f'"{PEM}"', '"[redacted]"'),
        ('"-----BEGIN RSA PRIVATE KEY-----\\nAAA"', '"[redacted]"'),
        ('"-----BEGIN CERTIFICATE-----"', '"-----BEGIN CERTIFICATE-----"'),
        ('"http://a:b@host/x"', '"http://[redacted]@host/x"'),
        ('"Authorization":"Basic dXNlcjpwdw=="', '"Authorization":"[redacted]"'),
        ('"authorization":true', '"authorization":true'),
        ('"cookie":{"name":"x"}', '"cookie":{"name":"x"}'),
        ('{"key":"Authorization","value":"abc"}', '{"key":"Authorization","value":"[redacted]"}'),
        ('"{\\"cookie\\":\\"sid=1; b=2\\"}"', '"{\\"cookie\\":\\"[redacted]\\"}"'),
        (f'"jwt {JWT} end"', '"jwt [redacted] end"'),
        ("GET /cb?a=1&code=abc%2Fd&b=2 ", "GET /cb?a=1&code=[redacted]&b=2 "),
        ("Bearer abc.def-123 x", "Bearer [redacted] x"),
        ("x-api-key: k3y", "x-api-key: [redacted]"),
        ('"mail me@example.com"', '"mail me@example.com"'),
        ("authorization: Basic abcdefgh, x", "authorization: [redacted], x"),
        ("Basic authentication failed", "Basic authentication failed"),
        ("basic auth: duplicate users", "basic auth: duplicate users"),
    ],
)
def test_secrets_in_text_are_gone_and_nothing_else(text: str, wanted: str) -> None:
    assert redacted(text.encode()).decode() == wanted


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.write_bytes(b"nonsense"), "damaged"),
        (lambda path: path.write_bytes(b""), "damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "damaged"),
        (lambda path: rewrite(path, b"{"), "damaged"),
        (lambda path: rewrite(path, b"[]"), "something else"),
        (lambda path: rewrite(path, orjson.dumps({"format": "egops.dev/bundle/v2"})), "v2"),
        (lambda path: rewrite(path, orjson.dumps({"format": "egops.dev/bundle/v1"})), "no bundle"),
    ],
)
def test_what_is_no_bundle_stops(change: Any, words: str, bundle: Path) -> None:
    change(bundle)
    with pytest.raises(InputError, match=words) as caught:
        read(bundle)
    assert "\n" not in caught.value.message


def rewrite(path: Path, manifest: bytes) -> None:
    path.unlink()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, manifest)


def test_a_bundle_is_not_combined(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be combined"):
        gather(SourceOptions(files=(str(bundle), str(tmp_path))), Wanted())


def test_a_file_that_is_there_is_not_overwritten(bundle: Path) -> None:
    with pytest.raises(AccessError, match="is there already"):
        pack(snapshot(), bundle)


@pytest.mark.parametrize("version", ["1.2.8", "1.9.0"])
def test_a_bundle_is_judged_as_the_cluster_it_was_made_of(version: str, tmp_path: Path) -> None:
    """All rules but those that need the values of Secrets say the same."""
    original = recorded(version)
    pack(original, tmp_path / "x.zip")
    rules = [rule for rule in doctor_rules() if SECRET not in (*rule.reads, *rule.optional)]

    live, saved = (run(rules, each) for each in (original, read(tmp_path / "x.zip")))

    assert len(rules) > 50
    assert [(f.code, f.at.ref) for f in saved.findings] == [
        (f.code, f.at.ref) for f in live.findings
    ]
    assert saved.ok == live.ok
    assert saved.skipped == live.skipped
