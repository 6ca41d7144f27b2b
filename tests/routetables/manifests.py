"""Gateways and routes made by lot, with what they refer to, as Kubernetes objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

Object = dict[str, Any]
GATEWAY_API = "gateway.networking.k8s.io/v1"
EG_API = "gateway.envoyproxy.io/v1alpha1"
SPACE = "shop"
HOSTS = ["www.example.com", "*.example.com", "api.example.com", "a.b.example.com", "other.test"]
PATHS = ["/", "/a", "/a/", "/b", "/a/b", "/foo", "/foo/bar", "/x.y", "/aa", "/v1/z", "/A"]
REGEXES = ["/a.*", "/[ab]", "/(?i)foo/.+", "/v\\d+(/.*)?", "/.*"]
NAMES = ["x-a", "x-b", "accept"]
VALUES = ["1", "2", "a", "abc"]
METHODS = ["GET", "POST", "PUT"]


def objects(rnd: Random, *, cookies: bool = False) -> list[Object]:
    """Return a whole configuration; `cookies` lets HTTPRouteFilters match them."""
    made = _fixed(rnd)
    count = rnd.choice([1, 2, 3, 5, 8])
    for number in range(count):
        kind = "GRPCRoute" if rnd.random() < 0.15 else "HTTPRoute"
        made.append(_route(rnd, kind, f"r{number}", cookies=cookies))
    return made


def _object(kind: str, name: str, spec: Object, version: str = GATEWAY_API, **more: Any) -> Object:
    metadata = {"name": name, "namespace": SPACE, **more}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _fixed(rnd: Random) -> list[Object]:
    controller = "gateway.envoyproxy.io/gatewayclass-controller"
    spec: Object = {"controllerName": controller}
    made: list[Object] = []
    if rnd.random() < 0.2:
        spec["parametersRef"] = {
            "group": "gateway.envoyproxy.io",
            "kind": "EnvoyProxy",
            "name": "proxy",
            "namespace": SPACE,
        }
        made.append(_object("EnvoyProxy", "proxy", {"preserveRouteOrder": True}, EG_API))
    classed = {"apiVersion": GATEWAY_API, "kind": "GatewayClass", "metadata": {"name": "eg"}}
    made += [
        {**classed, "spec": spec},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}},
        _object("Gateway", "edge", {"gatewayClassName": "eg", "listeners": _listeners(rnd)}),
        *_service("one"),
        *_service("two"),
        *_filters(),
    ]
    if rnd.random() < 0.3:
        made.append(_client_policy(rnd))
    return made


def _listeners(rnd: Random) -> list[Object]:
    allowed = {"namespaces": {"from": "Same"}}
    found = [{"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": allowed}]
    if rnd.random() < 0.5:
        found[0]["hostname"] = rnd.choice(["*.example.com", "www.example.com"])
    if rnd.random() < 0.5:
        found.append({"name": "alt", "port": 8080, "protocol": "HTTP", "allowedRoutes": allowed})
    return found


def _service(name: str) -> list[Object]:
    port = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}
    service = _object("Service", name, {"ports": [port], "clusterIP": "10.0.0.1"}, "v1")
    piece = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-1",
            "namespace": SPACE,
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.1.0.1"], "conditions": {"ready": True}}],
    }
    return [service, piece]


def _filters() -> list[Object]:
    replace = {"pattern": "^/a/(.*)$", "substitution": "/\\1"}
    path = {"type": "ReplaceRegexMatch", "replaceRegexMatch": replace}
    answer = {"statusCode": 418, "contentType": "text/plain"}
    return [
        _object("HTTPRouteFilter", "answer", {"directResponse": answer}, EG_API),
        _object("HTTPRouteFilter", "rewrite", {"urlRewrite": {"path": path}}, EG_API),
    ]


def cookie_filter() -> Object:
    """Return an HTTPRouteFilter that matches cookies, as releases since 1.7 know them."""
    matches = [
        {"cookies": [{"name": "k", "value": "1", "type": "Exact"}]},
        {"cookies": [{"name": "s", "value": "a.*", "type": "RegularExpression"}]},
    ]
    return _object("HTTPRouteFilter", "cookies", {"matches": matches}, EG_API)


def _client_policy(rnd: Random) -> Object:
    target = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}
    spec: Object = {"targetRefs": [target]}
    if rnd.random() < 0.5:
        actions = ["KeepUnchanged", "RejectRequest", "UnescapeAndForward", "UnescapeAndRedirect"]
        spec["path"] = {
            "escapedSlashesAction": rnd.choice(actions),
            "disableMergeSlashes": rnd.random() < 0.5,
        }
    if rnd.random() < 0.5:
        spec["headers"] = {"withUnderscoresAction": rnd.choice(["Allow", "DropHeader"])}
        if rnd.random() < 0.5:
            header = {"name": "x-a", "value": rnd.choice(VALUES)}
            early = {rnd.choice(["add", "set"]): [header], "remove": ["x-b"]}
            spec["headers"]["earlyRequestHeaders"] = early
    if rnd.random() < 0.3:
        spec["clientIPDetection"] = rnd.choice(
            [
                {"xForwardedFor": {"numTrustedHops": 1}},
                {"customHeader": {"name": "x-a", "failClosed": True}},
            ]
        )
    return _object("ClientTrafficPolicy", "clients", spec, EG_API)


# ------------------------------------------------------------------ routes


def _route(rnd: Random, kind: str, name: str, *, cookies: bool) -> Object:
    parent: Object = {"name": "edge"}
    if rnd.random() < 0.4:
        parent["sectionName"] = rnd.choice(["http", "http", "alt"])
    spec: Object = {"parentRefs": [parent]}
    if rnd.random() < 0.7:
        spec["hostnames"] = rnd.sample(HOSTS, rnd.choice([1, 1, 2, 3]))
    build = _grpc_rule if kind == "GRPCRoute" else _http_rule
    spec["rules"] = [build(rnd, cookies=cookies) for _ in range(rnd.choice([1, 1, 2, 3, 6]))]
    created = f"2026-01-0{rnd.randint(1, 4)}T00:00:00Z"
    return _object(kind, name, spec, creationTimestamp=created)


def _http_rule(rnd: Random, *, cookies: bool) -> Object:
    rule: Object = {"matches": [_http_match(rnd) for _ in range(rnd.choice([1, 1, 1, 2, 3]))]}
    roll = rnd.random()
    if roll < 0.15:
        redirect = _redirect(rnd)
        rule["filters"] = [{"type": "RequestRedirect", "requestRedirect": redirect}]
        if "replacePrefixMatch" in redirect.get("path", {}):
            _only_prefixes(rule)
        return rule
    rule["backendRefs"] = _backends(rnd)
    if roll < 0.3:
        rewrite = _rewrite(rnd)
        rule["filters"] = [{"type": "URLRewrite", "urlRewrite": rewrite}]
        if "replacePrefixMatch" in rewrite.get("path", {}):
            _only_prefixes(rule)
    elif roll < 0.45:
        names = ["answer", "rewrite", *(["cookies"] * 3 if cookies else [])]
        reference = {"group": "gateway.envoyproxy.io", "kind": "HTTPRouteFilter"}
        reference["name"] = rnd.choice(names)
        rule["filters"] = [{"type": "ExtensionRef", "extensionRef": reference}]
    return rule


def _only_prefixes(rule: Object) -> None:
    """The API lets prefixes be replaced only where a rule has one match, by prefix."""
    rule["matches"] = [{**rule["matches"][0], "path": {"type": "PathPrefix", "value": "/a"}}]


def _http_match(rnd: Random) -> Object:
    roll = rnd.random()
    if roll < 0.5:
        path = {"type": "PathPrefix", "value": rnd.choice(PATHS)}
    elif roll < 0.8:
        path = {"type": "Exact", "value": rnd.choice(PATHS)}
    else:
        path = {"type": "RegularExpression", "value": rnd.choice(REGEXES)}
    made: Object = {"path": path}
    if rnd.random() < 0.35:
        names = rnd.sample(NAMES, rnd.choice([1, 1, 2]))
        made["headers"] = [_named(rnd, name) for name in names]
    if rnd.random() < 0.2:
        names = rnd.sample(["q", "page"], rnd.choice([1, 2]))
        made["queryParams"] = [_named(rnd, name) for name in names]
    if rnd.random() < 0.2:
        made["method"] = rnd.choice(METHODS)
    return made


def _named(rnd: Random, name: str) -> Object:
    if rnd.random() < 0.3:
        value = rnd.choice(["[12]", "a.*", ".+"])
        return {"name": name, "type": "RegularExpression", "value": value}
    return {"name": name, "type": "Exact", "value": rnd.choice(VALUES)}


def _backends(rnd: Random) -> list[Object]:
    names = rnd.choice([["one"]] * 6 + [["one", "two"], ["gone"], ["one", "gone"], []])
    return [
        {
            "group": "",
            "kind": "Service",
            "name": name,
            "port": 80,
            "weight": rnd.choice([1, 1, 1, 1, 0, 9]),
        }
        for name in names
    ]


def _redirect(rnd: Random) -> Object:
    made: Object = {"statusCode": rnd.choice([301, 302])}
    if rnd.random() < 0.4:
        made["scheme"] = rnd.choice(["http", "https"])
    if rnd.random() < 0.4:
        made["hostname"] = "new.example.com"
    if rnd.random() < 0.3:
        made["port"] = rnd.choice([80, 443, 8443])
    roll = rnd.random()
    if roll < 0.3:
        made["path"] = {"type": "ReplaceFullPath", "replaceFullPath": "/full"}
    elif roll < 0.6:
        made["path"] = {"type": "ReplacePrefixMatch", "replacePrefixMatch": rnd.choice(["/", "/p"])}
    return made


def _rewrite(rnd: Random) -> Object:
    made: Object = {}
    if rnd.random() < 0.5:
        made["hostname"] = "inner.example.com"
    roll = rnd.random()
    if roll < 0.4 or not made:
        value = rnd.choice(["/", "/p", "/p/"])
        made["path"] = {"type": "ReplacePrefixMatch", "replacePrefixMatch": value}
    elif roll < 0.7:
        made["path"] = {"type": "ReplaceFullPath", "replaceFullPath": "/full"}
    return made


def _grpc_rule(rnd: Random, **_: Any) -> Object:
    rule: Object = {"backendRefs": _backends(rnd)}
    if rnd.random() < 0.85:
        rule["matches"] = [_grpc_match(rnd) for _ in range(rnd.choice([1, 1, 2]))]
    return rule


def _grpc_match(rnd: Random) -> Object:
    made: Object = {}
    method: Object = {"type": "Exact"}
    if rnd.random() < 0.25:
        method["type"] = "RegularExpression"
    if rnd.random() < 0.7:
        method["service"] = rnd.choice(["a.b", "shop.Cart"])
    if rnd.random() < 0.6 or "service" not in method:
        method["method"] = rnd.choice(["Get", "Put"])
    made["method"] = method
    if rnd.random() < 0.3:
        made["headers"] = [_named(rnd, rnd.choice(NAMES))]
    return made
