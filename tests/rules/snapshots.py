"""Snapshots out of literate fixtures.

A fixture is a YAML file of objects, or a folder of them. A comment `# finds: rule-name` marks the
line a rule must point to. What Envoy and Envoy Gateway answered comes as documents of two kinds of
our own, `Proxy` and `ControlPlane` (apiVersion `test.egops.dev/v1`):

    apiVersion: test.egops.dev/v1
    kind: Proxy
    metadata: {name: envoy-1, namespace: envoy-gateway-system}   # its Pod, if given, is joined
    answers:
      config_dump: {configs: [...]}        # or a path: "dumps/eg-1.3.0.json.gz"
      stats: {control_plane.connected_state: 0}
      stats_again: {…}
      clusters: {cluster_statuses: [...]}
      certs: …
      server_info: …
      ready: DRAINING
      proxy_log: |
        …
    failures: {stats: "timed out after 5 s"}

`RateLimitServer` and `Server` documents (a server by its address) likewise; their answer is `tls`,
`rate_limit_tls` or `server_tls`: a list of handshakes, certificates in base64 of DER.

`Snapshot` documents set what else is known: `taken_at`, `source: cluster` (default `cluster`, so
that absent objects do not exist), `unread: {Secret: forbidden}`, `absent: [TLSRoute]`,
`prometheus: {area.rule_module.QUERY: [{labels: {…}, value: 1}]}`, `kubernetes_version`, `strict`,
`unprobed: {config_dump: reason}`,
`upgrade: {from: 1.2.8, to: 1.3.0}`.

A folder `before` in a fixture is the same installation before the upgrade, with the same documents;
what the upgrade rules say of it is the prediction.
"""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson

from egops.engine import run
from egops.finding import Finding
from egops.gatewayapi import KINDS
from egops.gather.manifests import Manifests
from egops.gather.yaml_documents import DocumentError, documents
from egops.pki import SERVER
from egops.rules.registry import upgrade_rules
from egops.snapshot import (
    ControlPlane,
    Kind,
    Origin,
    Probe,
    Proxy,
    RateLimitServer,
    Resource,
    Server,
    Snapshot,
    Source,
    SourceType,
    Upgrade,
)
from egops.upgrade.select import rules_of

FIXTURES = Path(__file__).parents[1] / "fixtures"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TEXTS = {Probe.PROXY_LOG, Probe.EG_LOG, Probe.READY, Probe.METRICS, Probe.METRICS_AGAIN}


def load_fixture(path: Path) -> Snapshot:
    """Return the snapshot that a fixture describes."""
    manifests, ours = Manifests(), []
    for file in [path] if path.is_file() else sorted(path.glob("*.yaml")):
        text = file.read_text("utf-8")
        for document in documents(text):
            assert not isinstance(document, DocumentError), f"{file}: {document}"
            value = document.value
            if isinstance(value, dict) and value.get("apiVersion") == "test.egops.dev/v1":
                origin = _origin(text, str(file), document.line, document.end)
                ours.append({**value, "origin": origin} if value["kind"] == "Server" else value)
            else:
                manifests.add(value, _origin(text, str(file), document.line, document.end))
    assert not manifests.broken, manifests.broken
    found = snapshot_of(manifests.resources, ours)
    if (path / "before").is_dir():
        past = load_fixture(path / "before")
        found = replace(found, before=past, predicted=_predicted(past, found.upgrade))
    return found


def _predicted(past: Snapshot, step: Upgrade | None) -> tuple[Finding, ...] | None:
    if step is None:
        return None
    report = run(rules_of(upgrade_rules(), step), replace(past, upgrade=step))
    assert not report.crashed, report.crashed
    return report.findings


def _origin(text: str, file: str, start: int, end: int) -> Origin:
    from egops.gather.source_text import SourceText

    return SourceText(text).origin(file, start, end)


def snapshot_of(
    resources: dict[Kind, tuple[Resource, ...]], ours: list[dict[str, Any]]
) -> Snapshot:
    """Return a snapshot of objects and of documents of our own kinds."""
    facts: dict[str, Any] = {}
    proxies, control_planes = [], []
    limits, servers = [], []
    for document in ours:
        if document["kind"] == "Snapshot":
            facts.update(document)
            continue
        pod = _pod(resources, document["metadata"])
        name = f"{document['metadata'].get('namespace', 'default')}/{document['metadata']['name']}"
        answers = {
            _probe(key): _answer(_probe(key), value)
            for key, value in document.get("answers", {}).items()
        }
        failures = {_probe(key): value for key, value in document.get("failures", {}).items()}
        if document["kind"] == "Proxy":
            proxies.append(Proxy(name, pod, answers, failures))
        elif document["kind"] == "RateLimitServer":
            limits.append(RateLimitServer(name, pod, answers, failures))
        elif document["kind"] == "Server":
            address = document["metadata"]["name"]
            place = Resource(SERVER, document, document.pop("origin"))
            servers.append(Server(address, place, answers, failures))
        else:
            control_planes.append(ControlPlane(name, pod, answers, failures))
    by_name = {kind.name: kind for kind in KINDS}
    source = SourceType(facts.get("source", "cluster"))
    known = (
        {kind: resources.get(kind, ()) for kind in KINDS}
        if source is SourceType.CLUSTER
        else resources
    )
    unread = {by_name[name]: reason for name, reason in facts.get("unread", {}).items()}
    return Snapshot(
        taken_at=datetime.fromisoformat(facts["taken_at"]) if "taken_at" in facts else NOW,
        source=Source(source),
        resources={kind: found for kind, found in known.items() if kind not in unread},
        unread=unread,
        absent=frozenset(by_name[name] for name in facts.get("absent", [])),
        proxies=tuple(proxies),
        control_planes=tuple(control_planes),
        rate_limit_servers=tuple(limits),
        servers=tuple(servers),
        unprobed={_probe(key): value for key, value in facts.get("unprobed", {}).items()},
        kubernetes_version=facts.get("kubernetes_version", ""),
        window_seconds=facts.get("window_seconds", 10.0),
        strict=facts.get("strict", False),
        prometheus=_prometheus(facts.get("prometheus", {})),
        upgrade=_upgrade(facts.get("upgrade")),
    )


def _upgrade(step: dict[str, str] | None) -> Upgrade | None:
    if step is None:
        return None
    return Upgrade(*(tuple(map(int, step[end].split("."))) for end in ("from", "to")))


def _prometheus(answers: dict[str, Any]) -> dict[str, Any]:
    """Return answers by query; a fixture names a query `module.NAME` of a rule's module."""
    found = {}
    for name, series in answers.items():
        module, _, constant = name.rpartition(".")
        query = getattr(import_module(f"egops.rules.{module}"), constant)
        found[query] = [
            {"metric": one["labels"], "value": [0, str(one["value"])]} for one in series
        ]
    return found


def _pod(resources: dict[Kind, tuple[Resource, ...]], metadata: dict[str, str]) -> Resource | None:
    for kind, found in resources.items():
        if kind.name == "Pod":
            for pod in found:
                if (pod.namespace, pod.name) == (
                    metadata.get("namespace", "default"),
                    metadata["name"],
                ):
                    return pod
    return None


def _probe(key: str) -> Probe:
    return Probe[key.upper()]


def _answer(probe: Probe, value: Any) -> bytes:
    if isinstance(value, str) and "\n" not in value and (FIXTURES / value).is_file():
        raw = (FIXTURES / value).read_bytes()
        return gzip.decompress(raw) if value.endswith(".gz") else raw
    if probe in TEXTS:
        return str(value).encode()
    if probe in (Probe.STATS, Probe.STATS_AGAIN):
        value = {"stats": [{"name": name, "value": number} for name, number in value.items()]}
    return orjson.dumps(value)
