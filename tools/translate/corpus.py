"""The project's own corpus: every policy field, every condition of a rule, and negations.

Each input is the base (one Gateway with a listener of each protocol, Services, one route of each
kind) with one thing changed. CRD defaults are written out: translators alone don't fill them in.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import yaml

from tools.translate.cases import (
    BACKEND_TRAFFIC,
    CLIENT_TRAFFIC,
    ENVOY_PROXIES,
    EXTENSION,
    OBJECTS,
    ROUTE_RULES,
    SECURITY,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]
NAMESPACE = "edge"

BASE = """
- apiVersion: gateway.networking.k8s.io/v1
  kind: GatewayClass
  metadata: {name: eg}
  spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
- {apiVersion: v1, kind: Namespace, metadata: {name: edge}}
- {apiVersion: v1, kind: Namespace, metadata: {name: other}}
- apiVersion: gateway.networking.k8s.io/v1
  kind: Gateway
  metadata: {name: edge, namespace: edge, creationTimestamp: "2026-01-01T00:00:00Z"}
  spec:
    gatewayClassName: eg
    listeners:
    - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}
    - name: https
      port: 443
      protocol: HTTPS
      hostname: www.example.com
      tls: {mode: Terminate, certificateRefs: [{group: "", kind: Secret, name: site}]}
      allowedRoutes: {namespaces: {from: Same}}
    - {name: tcp, port: 5432, protocol: TCP, allowedRoutes: {namespaces: {from: Same}}}
    - name: tls
      port: 6443
      protocol: TLS
      tls: {mode: Passthrough}
      allowedRoutes: {namespaces: {from: Same}}
    - {name: udp, port: 53, protocol: UDP, allowedRoutes: {namespaces: {from: Same}}}
"""
ROUTES = {
    "HTTPRoute": ("http", "shop", "gateway.networking.k8s.io/v1"),
    "GRPCRoute": ("https", "calls", "gateway.networking.k8s.io/v1"),
    "TCPRoute": ("tcp", "shop", "gateway.networking.k8s.io/v1alpha2"),
    "TLSRoute": ("tls", "shop", "gateway.networking.k8s.io/v1alpha2"),
    "UDPRoute": ("udp", "names", "gateway.networking.k8s.io/v1alpha2"),
}
SERVICES = {
    "shop": [("http", 80, "TCP")],
    "shop-b": [("http", 80, "TCP")],
    "calls": [("grpc", 9000, "TCP")],
    "names": [("dns", 53, "UDP")],
    "auth": [("http", 80, "TCP"), ("grpc", 9000, "TCP")],
    "otel": [("grpc", 4317, "TCP")],
}
PORTS = {"shop": 80, "calls": 9000, "names": 53}


def base() -> list[Object]:
    """Return the objects that every input starts from."""
    found: list[Object] = yaml.safe_load(BASE)
    for name, ports in SERVICES.items():
        found += _service(NAMESPACE, name, ports)
    found += _service("other", "far", [("http", 80, "TCP")])
    certificate, key = _certificate()
    found.append(_secret("site", {"tls.crt": certificate, "tls.key": key}))
    for kind, (section, backend, version) in ROUTES.items():
        reference = {"group": "", "kind": "Service", "name": backend, "port": PORTS[backend]}
        spec: Object = {
            "parentRefs": [
                {
                    "group": "gateway.networking.k8s.io",
                    "kind": "Gateway",
                    "name": "edge",
                    "sectionName": section,
                }
            ],
            "rules": [{"backendRefs": [{**reference, "weight": 1}]}],
        }
        if kind == "HTTPRoute":
            spec["rules"][0]["matches"] = [{"path": {"type": "PathPrefix", "value": "/"}}]
        if kind == "TLSRoute":
            spec["hostnames"] = ["tls.example.com"]
        metadata = {"name": f"r-{kind.lower()}", "namespace": NAMESPACE}
        found.append({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
    return found


def _service(namespace: str, name: str, ports: list[tuple[str, int, str]]) -> list[Object]:
    listed = [{"name": n, "port": p, "targetPort": p, "protocol": q} for n, p, q in ports]
    metadata = {"name": name, "namespace": namespace}
    labels = {"kubernetes.io/service-name": name}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"clusterIP": "10.0.0.1", "ports": listed},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "name": f"{name}-1", "labels": labels},
            "addressType": "IPv4",
            "ports": [{k: port[k] for k in ("name", "port", "protocol")} for port in listed],
            "endpoints": [{"addresses": ["10.1.1.1"], "conditions": {"ready": True}}],
        },
    ]


def _secret(name: str, held: dict[str, bytes]) -> Object:
    import base64

    encoded = {key: base64.b64encode(value).decode() for key, value in held.items()}
    metadata = {"name": name, "namespace": NAMESPACE}
    kind = "kubernetes.io/tls" if "tls.crt" in held else "Opaque"
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": kind,
        "data": encoded,
    }


_MADE: dict[str, tuple[bytes, bytes]] = {}


def _certificate(name: str = "www.example.com", *, days: int = 365) -> tuple[bytes, bytes]:
    """Return a throw-away certificate and its key, made once per run."""
    label = f"{name} {days}"
    if label in _MADE:
        return _MADE[label]
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    end = datetime.now(UTC) + timedelta(days=days)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=730))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    text = certificate.public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.PKCS8
    written = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    _MADE[label] = (text, written)
    return _MADE[label]


def _helpers() -> list[Object]:
    """Return objects that policies refer to."""
    good, old = _certificate("ca")[0], _certificate("old", days=-10)[0]
    maps = {
        "ca-good": {"ca.crt": good.decode()},
        "ca-old": {"ca.crt": old.decode()},
        "ca-junk": {"ca.crt": "no pem"},
        "ca-none": {"tls.crt": "x"},
        "ca-empty": {"ca.crt": ""},
        "page": {"response.body": "gone"},
    }
    found = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "data": data,
        }
        for name, data in maps.items()
    ]
    found.append(_secret("ca-secret", {"ca.crt": good}))
    found.append(_secret("login", {"client-secret": b"s"}))
    found.append(_secret("users", {".htpasswd": b"a:{SHA}" + b"qUqP5cyxm6YcTAhz05Hph5gvu9M="}))
    hmac = _secret("envoy-oidc-hmac", {"hmac-secret": b"x" * 32})
    hmac["metadata"]["namespace"] = "envoy-gateway-system"
    found.append(hmac)
    return found


def _policy(kind: str, spec: Object, target: str) -> Object:
    name = target if target != "Gateway" else "edge"
    reference: Object = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway" if target == "Gateway" else target,
        "name": "edge" if target == "Gateway" else f"r-{name.lower()}",
    }
    return {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": "tried", "namespace": NAMESPACE},
        "spec": {"targetRefs": [reference], **spec},
    }


def corpus() -> dict[str, list[Object]]:
    """Return the inputs by name."""
    return {name.replace("/", "_"): objects for name, objects in _inputs()}


def _inputs() -> Iterator[tuple[str, list[Object]]]:
    yield "base", base()
    yield from _policies()
    yield from _rules()
    yield from _proxies()
    for name, text in OBJECTS.items():
        yield f"objects {name}", _with(yaml.safe_load(text))


def _policies() -> Iterator[tuple[str, list[Object]]]:
    for number, text in enumerate(CLIENT_TRAFFIC):
        for section in ("", "http", "https", "tcp"):
            policy = _policy("ClientTrafficPolicy", yaml.safe_load(text), "Gateway")
            if section:
                policy["spec"]["targetRefs"][0]["sectionName"] = section
            yield f"ctp {number} {section} {text[:40]}", _with([policy])
    for kind, cases, routes in (
        ("BackendTrafficPolicy", BACKEND_TRAFFIC, ("Gateway", "HTTPRoute", "TCPRoute")),
        ("SecurityPolicy", SECURITY, ("Gateway", "GRPCRoute")),
        ("EnvoyExtensionPolicy", EXTENSION, ("Gateway", "HTTPRoute")),
    ):
        for number, text in enumerate(cases):
            for target in routes:
                policy = _policy(kind, yaml.safe_load(text), target)
                yield f"{kind} {number} {target} {text[:40]}", _with([policy])


def _rules() -> Iterator[tuple[str, list[Object]]]:
    for kind, cases in ROUTE_RULES.items():
        for number, text in enumerate(cases):
            objects = base()
            extra = _changed(objects, kind, text)
            yield f"{kind} {number} {text[:40]}", _filled([*objects, *_helpers(), *extra])


def _changed(objects: list[Object], kind: str, text: str) -> list[Object]:
    """Change the route of a kind as a case says; return the objects the case brings along."""
    route = next(found for found in objects if found["kind"] == kind)
    changed = yaml.safe_load(text)
    extra: list[Object] = changed.pop("objects", [])
    route["spec"].update(changed.pop("spec", {}))
    if changed:
        original = copy.deepcopy(route["spec"]["rules"][0])
        route["spec"]["rules"] = [{**original, **changed}]
    return extra


def _proxies() -> Iterator[tuple[str, list[Object]]]:
    for number, text in enumerate(ENVOY_PROXIES):
        objects = _with([])
        _use_proxy(objects, yaml.safe_load(text))
        yield f"ep {number} {text[:40]}", objects


def _use_proxy(objects: list[Object], spec: Object) -> None:
    """Give the Gateway an EnvoyProxy of its own."""
    gateway = next(found for found in objects if found["kind"] == "Gateway")
    reference = {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "own"}
    gateway["spec"]["infrastructure"] = {"parametersRef": reference}
    metadata = {"name": "own", "namespace": NAMESPACE}
    head = {"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyProxy"}
    objects.append({**head, "metadata": metadata, "spec": spec})


def _with(extra: list[Object]) -> list[Object]:
    """Return the base and helpers with objects added; same kind and name replaces."""
    named = {(found["kind"], found["metadata"]["name"]) for found in extra}
    kept = [
        found
        for found in [*base(), *_helpers()]
        if (found["kind"], found["metadata"]["name"]) not in named
    ]
    return _filled([*kept, *(found for found in extra if "delete" not in found)])


def _filled(objects: list[Object]) -> list[Object]:
    """Return the objects with the CRDs' defaults that matter to a translator."""
    for found in objects:
        if found["kind"] in ("HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute"):
            for rule in found["spec"].get("rules", []):
                for backend in rule.get("backendRefs", []):
                    backend.setdefault("group", "")
                    backend.setdefault("kind", "Service")
                    backend.setdefault("weight", 1)
                for entry in rule.get("filters", []):
                    mirror = entry.get("requestMirror", {}).get("backendRef")
                    if mirror:
                        mirror.setdefault("group", "")
                        mirror.setdefault("kind", "Service")
        passive = found.get("spec", {}).get("healthCheck", {}).get("passive")
        if found["kind"] == "BackendTrafficPolicy" and passive is not None:
            for key, value in PASSIVE.items():
                passive.setdefault(key, value)
    return objects


PASSIVE = {
    "splitExternalLocalOriginErrors": False,
    "interval": "3s",
    "consecutiveLocalOriginFailures": 5,
    "consecutiveGatewayErrors": 0,
    "consecutive5XxErrors": 5,
    "baseEjectionTime": "30s",
    "maxEjectionPercent": 10,
}


def mixed(count: int, seed: int = 1) -> dict[str, list[Object]]:
    """Return inputs that hold several cases at once: one policy of each kind, routes, a proxy."""
    import random

    chance = random.Random(seed)  # the same corpus every time
    found = {}
    for number in range(count):
        objects = _with([])
        kinds = (
            ("ClientTrafficPolicy", CLIENT_TRAFFIC, ("Gateway",)),
            ("BackendTrafficPolicy", BACKEND_TRAFFIC, ("Gateway", "HTTPRoute", "GRPCRoute")),
            ("SecurityPolicy", SECURITY, ("Gateway", "GRPCRoute", "HTTPRoute")),
            ("EnvoyExtensionPolicy", EXTENSION, ("Gateway", "HTTPRoute")),
        )
        for kind, cases, targets in kinds:
            if chance.random() < 0.6:
                case, target = chance.choice(cases), chance.choice(targets)
                objects.append(_policy(kind, yaml.safe_load(case), target))
        for kind, texts in ROUTE_RULES.items():
            if chance.random() < 0.4:
                objects += _changed(objects, kind, chance.choice(texts))
        if chance.random() < 0.4:
            _use_proxy(objects, yaml.safe_load(chance.choice(ENVOY_PROXIES)))
        unique = {
            (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]): one
            for one in objects
        }
        found[f"mixed {seed} {number}"] = _filled(list(unique.values()))
    return found
