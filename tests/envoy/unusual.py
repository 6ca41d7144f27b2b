"""Tables, settings and requests off the beaten track: what Envoy Gateway hardly ever sets.

They vary what `tables` and `traffic` make, so the usual stays in the mix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egops.xds.raw import tree_routes, tree_targets
from tests.envoy import tables, traffic

if TYPE_CHECKING:
    from random import Random

    from tests.envoy.traffic import Sent

API = tables.API
# fields that Envoy sets, changes or takes away before it looks for a route
MANAGED = [
    "x-forwarded-for",
    "x-forwarded-port",
    "x-forwarded-host",
    "x-forwarded-client-cert",
    "x-envoy-external-address",
    "x-envoy-internal",
    "x-envoy-original-path",
    "x-envoy-retry-on",
    "x-envoy-downstream-service-cluster",
    "x-request-id",
    "user-agent",
    "via",
    "te",
    "referer",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "keep-alive",
    "x-only-inside",
    "traceparent",
    "expect",
    "date",
]
ADDRESSES = [
    "10.0.0.1",
    "8.8.8.8",
    "127.0.0.1",
    "10.0.0.1, 8.8.8.8",
    "8.8.8.8,10.1.2.3",
    "::1",
    "x",
]
_SPACE = {"address_prefix": "10.0.0.0", "prefix_len": 8}
_LOOPBACK = {"address_prefix": "127.0.0.0", "prefix_len": 8}
_IP = API + "extensions.http.original_ip_detection."


def _some(rnd: Random, odds: float, choices: dict[str, Any]) -> dict[str, Any]:
    """Return some of the entries; a list stands for one of its members."""
    return {
        key: rnd.choice(value) if isinstance(value, list) else value
        for key, value in choices.items()
        if rnd.random() < odds
    }


def settings(rnd: Random) -> dict[str, Any]:
    """Return the settings of a connection manager."""
    made = tables.settings(rnd)
    made |= _some(
        rnd,
        0.15,
        {
            "add_user_agent": True,
            "append_x_forwarded_port": True,
            "skip_xff_append": True,
            "xff_num_trusted_hops": [1, 2],
            "internal_address_config": [
                {"cidr_ranges": [_LOOPBACK]},
                {"cidr_ranges": [_SPACE]},
                {"unix_sockets": True},
            ],
            "scheme_header_transformation": [
                {"scheme_to_overwrite": "https"},
                {"scheme_to_overwrite": "http"},
            ],
            "forward_client_cert_details": [
                "FORWARD_ONLY",
                "APPEND_FORWARD",
                "SANITIZE_SET",
                "ALWAYS_FORWARD_ONLY",
            ],
            "generate_request_id": False,
            "preserve_external_request_id": True,
            "max_request_headers_kb": [1, 2, 60],
            "proxy_100_continue": True,
            "via": "egress",
            "server_name": "me",
        },
    )
    options = made.setdefault("http_protocol_options", {})
    options = made["http_protocol_options"] = {
        **options,
        **_some(
            rnd,
            0.12,
            {
                "accept_http_10": True,
                "default_host_for_http_10": ["www.example.com", "old.test:80"],
                "allow_chunked_length": True,
                "enable_trailers": True,
                "send_fully_qualified_url": True,
                "ignore_http_11_upgrade": [[{"exact": "foo"}], [{"prefix": "web"}]],
                "allow_custom_methods": True,
                "allow_absolute_url": [False, True],
            },
        ),
    }
    common = made.setdefault("common_http_protocol_options", {})
    made["common_http_protocol_options"] = {
        **common,
        **_some(rnd, 0.1, {"max_headers_count": [3, 6]}),
    }
    if not made.get("use_remote_address") and rnd.random() < 0.2:
        made.pop("xff_num_trusted_hops", None)
        made["original_ip_detection_extensions"] = [rnd.choice([_xff(rnd), _custom(rnd)])]
    return made


def _xff(rnd: Random) -> dict[str, Any]:
    return {
        "name": "envoy.extensions.http.original_ip_detection.xff",
        "typed_config": {
            "@type": _IP + "xff.v3.XffConfig",
            "xff_num_trusted_hops": rnd.choice([0, 1]),
            "skip_xff_append": rnd.random() < 0.5,
        },
    }


def _custom(rnd: Random) -> dict[str, Any]:
    made: dict[str, Any] = {
        "@type": _IP + "custom_header.v3.CustomHeaderConfig",
        "header_name": "x-a",
    }
    if rnd.random() < 0.5:
        made["reject_with_status"] = {"code": rnd.choice(["Forbidden", "BadRequest"])}
    if rnd.random() < 0.3:
        made["allow_extension_to_set_address_as_trusted"] = True
    return {
        "name": "envoy.extensions.http.original_ip_detection.custom_header",
        "typed_config": made,
    }


# ------------------------------------------------------------------ tables


def route_config(rnd: Random) -> dict[str, Any]:
    """Return a RouteConfiguration."""
    made = tables.route_config(rnd, cookies=True)
    if rnd.random() < 0.25:
        made["internal_only_headers"] = ["x-only-inside", rnd.choice(["x-a", "X-Mixed", "accept"])]
    if rnd.random() < 0.08:
        made["vhost_header"] = rnd.choice(["x-a", "x-forwarded-host"])
    for host in made["virtual_hosts"]:
        for route in host["routes"]:
            _vary_match(rnd, route["match"])
            _vary_action(rnd, route)
        if host["routes"] and rnd.random() < 0.25:
            host["matcher"] = _tree(rnd, host.pop("routes"), 0)
    return made


def plain_routes(config: dict[str, Any]) -> dict[str, Any]:
    """Return a table with the routes of its matcher trees in lists, to make requests from."""
    hosts = [
        {**host, "routes": [r for t in tree_targets(host["matcher"]) for r in tree_routes(t)]}
        if "matcher" in host
        else host
        for host in config["virtual_hosts"]
    ]
    return {**config, "virtual_hosts": hosts}


_FIELDS = [":path", ":path", ":method", "x-a", "x-b", "accept", "host", ":authority", "x-empty"]


def _tree(rnd: Random, routes: list[dict[str, Any]], depth: int) -> dict[str, Any]:
    """Return a matcher tree that leads to all of these routes."""
    parts = _parts(rnd, routes, rnd.randint(1, 5))
    made: dict[str, Any] = {}
    if len(parts) > 1 and rnd.random() < 0.5:
        made["on_no_match"] = _target(rnd, parts.pop(), depth)
    if rnd.random() < 0.5:
        made["matcher_list"] = {
            "matchers": [
                {"predicate": _predicate(rnd, 0), "on_match": _target(rnd, part, depth)}
                for part in parts
            ]
        }
        return made
    kind = rnd.choice(["exact_match_map", "prefix_match_map"])
    name = rnd.choice(_FIELDS)
    entries = {_value(rnd, name, kind): _target(rnd, part, depth) for part in parts}
    made["matcher_tree"] = {"input": _input(name), kind: {"map": entries}}
    return made


def _parts(rnd: Random, routes: list[dict[str, Any]], count: int) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = [[] for _ in range(count)]
    for route in routes:
        rnd.choice(found).append(route)
    return [part for part in found if part]


def _target(rnd: Random, routes: list[dict[str, Any]], depth: int) -> dict[str, Any]:
    if depth < 3 and rnd.random() < 0.35:
        return {"matcher": _tree(rnd, routes, depth + 1)}
    if len(routes) == 1 and rnd.random() < 0.6:
        config = {"@type": API + "config.route.v3.Route", **routes[0]}
    else:
        config = {"@type": API + "config.route.v3.RouteList", "routes": routes}
    return {"action": {"name": "route", "typed_config": config}}


def _input(name: str) -> dict[str, Any]:
    kind = API + "type.matcher.v3.HttpRequestHeaderMatchInput"
    return {"name": "request", "typed_config": {"@type": kind, "header_name": name}}


def _value(rnd: Random, name: str, kind: str) -> str:
    if name == ":path":
        whole = tables.path(rnd)
        return whole if kind == "exact_match_map" else rnd.choice([whole[:2], whole[:4], "/", "/a"])
    if name in ("host", ":authority"):
        return rnd.choice(["www.example.com", "localhost", "x", "10.0.0.1", "[::1]"])
    return rnd.choice(["GET", "POST", "G"] if name == ":method" else ["1", "a", "ab", "2"])


def _predicate(rnd: Random, depth: int) -> dict[str, Any]:
    roll = rnd.random()
    if depth < 2 and roll < 0.4:
        parts = [_predicate(rnd, depth + 1) for _ in range(rnd.choice([2, 2, 3]))]
        return {rnd.choice(["or_matcher", "and_matcher"]): {"predicate": parts}}
    if depth < 2 and roll < 0.55:
        return {"not_matcher": _predicate(rnd, depth + 1)}
    name = rnd.choice(_FIELDS)
    matcher: dict[str, Any]
    if name in (":path", ":method", "host", ":authority"):
        matcher = {rnd.choice(["exact", "prefix"]): _value(rnd, name, "prefix_match_map")}
    else:
        matcher = tables.string_match(rnd, tables.VALUES)
        if "safe_regex" in matcher:  # another message than Envoy's own: it wants its engine
            matcher = {"safe_regex": {**matcher["safe_regex"], "google_re2": {}}}
    return {"single_predicate": {"input": _input(name), "value_match": matcher}}


def _vary_match(rnd: Random, match: dict[str, Any]) -> None:
    if rnd.random() < 0.2:
        header: dict[str, Any] = {"name": rnd.choice(MANAGED)}
        if rnd.random() < 0.5:
            header["present_match"] = rnd.random() < 0.8
        else:
            header["string_match"] = tables.string_match(
                rnd, [*ADDRESSES, "1", "trailers", "100-continue", "websocket", "true"]
            )
        if rnd.random() < 0.2:
            header["invert_match"] = True
        match.setdefault("headers", []).append(header)
    if rnd.random() < 0.05:
        name = rnd.choice(tables.NAMES)
        old = rnd.choice(["exact_match", "prefix_match", "suffix_match", "contains_match"])
        match.setdefault("headers", []).append({"name": name, old: rnd.choice(["1", "a", "abc"])})


def _vary_action(rnd: Random, route: dict[str, Any]) -> None:
    action = route.get("route")
    if action is None:
        return
    roll = rnd.random()
    if roll < 0.08:
        action.pop("weighted_clusters", None)
        action.pop("cluster", None)
        action["cluster_header"] = rnd.choice(["x-a", "x-cluster"])
    elif roll < 0.16:
        action.pop("cluster", None)
        action["weighted_clusters"] = {
            "clusters": [
                {"name": rnd.choice(["echo", "missing"]), "weight": rnd.choice([0, 1, 50])},
                {
                    "name": "echo",
                    "weight": rnd.choice([1, 99]),
                    "request_headers_to_add": [tables.added("x-b", "weighted")],
                    "response_headers_to_add": [tables.added("x-weighted", "1")],
                    "host_rewrite_literal": "weighted.example.com",
                }
                if not any(key.startswith("host_rewrite") for key in action)
                else {"name": "echo", "weight": 9},
            ]
        }
    if rnd.random() < 0.15:
        action["internal_redirect_policy"] = {"max_internal_redirects": 1}
    if rnd.random() < 0.1:
        action["append_x_forwarded_host"] = True
    if "path_match_policy" in route["match"] and rnd.random() < 0.5:
        for key in ("prefix_rewrite", "regex_rewrite"):
            action.pop(key, None)
        template = route["match"]["path_match_policy"]["typed_config"]["path_template"]
        names = [name for name in ("x", "y") if f"{{{name}" in template]
        action["path_rewrite_policy"] = {
            "name": "envoy.path.rewrite.uri_template.uri_template_rewriter",
            "typed_config": {
                "@type": API + "extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig",
                "path_template_rewrite": "/r/" + "/".join(f"{{{name}}}" for name in names),
            },
        }


# ------------------------------------------------------------------ requests

_HEX = "0123456789abcdefABCDEF"


def request(rnd: Random, config: dict[str, Any], port: int) -> Sent:
    """Return a request that some route of the table may just match, or just not."""
    sent = traffic.request(rnd, plain_routes(config), port)
    headers = list(sent.headers)
    if rnd.random() < 0.5:
        headers += _managed(rnd)
    if "cluster_header" in str(config) and rnd.random() < 0.3:
        headers.append(("x-cluster", rnd.choice(["echo", "missing", ""])))
    target, authority, version = sent.target, sent.authority, sent.version
    roll = rnd.random()
    if roll < 0.2 and target.startswith("/"):
        target = _escaped(rnd, target)
    elif roll < 0.23:
        target = target + "/" + "x" * rnd.choice([200, 1000, 1100, 2100, 8000])
    elif roll < 0.30:
        target = _absolute(rnd, target)
    elif roll < 0.33:
        target = rnd.choice(["", "?", "/?", "/;", ";", "/#", "/?#", "/&", "//?", "*", "**", "/*"])
    if rnd.random() < 0.15:
        authority = rnd.choice(_AUTHORITIES)
    if rnd.random() < 0.06:
        version = "HTTP/1.0"
    rnd.shuffle(headers)
    return sent._replace(target=target, authority=authority, headers=headers, version=version)


_AUTHORITIES = [
    None,
    "",
    "[::1]",
    "[::1]:80",
    "[::1]:",
    "[fe80::1%25eth0]",
    "::1",
    "[2001:DB8::1]:8080",
    "10.0.0.1:8080",
    "WWW.EXAMPLE.COM:80",
    "www.example.com.",
    "www.example.com.:80",
    "www..example.com",
    ".example.com",
    "x.example.com:0",
    "x.example.com:65536",
    "example.com:080",
    "user:pw@www.example.com",
    "www.example.com,second",
    "www%2Eexample.com",
    "xn--bcher-kva.example.com",
    "a" * 300 + ".example.com",
]


def _managed(rnd: Random) -> list[tuple[str, str]]:
    found = []
    for _ in range(rnd.choice([1, 1, 2, 3])):
        name = rnd.choice(MANAGED)
        values = {
            "x-forwarded-for": ADDRESSES,
            "x-request-id": ["1", "", "0f1e2d3c-0000-4000-8000-000000000000"],
            "te": ["trailers", "gzip", "gzip, trailers", "Trailers", ""],
            "referer": ["http://h/x", "/x", "h", "http://u@h/", "http://h/@", "", "ftp://h"],
            "content-length": ["0", "00", "+0", " 0"],
            "transfer-encoding": ["identity", "gzip", "Chunked,chunked"],
            "connection": ["close", "keep-alive", "x-a", "te", "Upgrade", "upgrade, x-a", ""],
            "upgrade": ["websocket", "foo", "h2c", "", "websocket, foo"],
            "expect": ["100-continue", "200-ok"],
        }.get(name, ["1", "a", "", "10.0.0.1", "true"])
        name = rnd.choice([name, name.title()])
        found.append((name, rnd.choice(values)))
    if any(name.lower() == "upgrade" for name, _ in found) and rnd.random() < 0.6:
        found.append(("connection", rnd.choice(["upgrade", "Upgrade", "keep-alive, Upgrade"])))
    return found


def _escaped(rnd: Random, target: str) -> str:
    """Return the target with some of it written as escapes, or odd escapes put in."""
    bare, mark, query = target.partition("?")
    for _ in range(rnd.choice([1, 1, 2, 4])):
        at = rnd.randint(1, len(bare))
        piece = f"%{rnd.choice(_HEX)}{rnd.choice(_HEX)}"
        if rnd.random() < 0.4 and at < len(bare) and ord(bare[at]) < 128:
            code = f"%{ord(bare[at]):02x}"
            bare = bare[:at] + rnd.choice([code, code.upper()]) + bare[at + 1 :]
        elif rnd.random() < 0.3:
            bare = (
                bare[:at] + rnd.choice(["%25", "%2525", "%252F", "%%", "%u0041", "%2"]) + bare[at:]
            )
        else:
            bare = bare[:at] + piece + bare[at:]
    return bare + mark + query


_HOSTS = ["www.example.com", "WWW.example.com:80", "[::1]:80", "[::1]", "u:p@h.test", "h:99999"]
_HOSTS += ["h:", "", "a_b.test", "h.test.", "h%41.test", "x y", "@", "1.2.3.4:0"]


def _absolute(rnd: Random, target: str) -> str:
    path = target if target.startswith("/") else f"/{target}"
    scheme = rnd.choice(["http", "http", "http", "HTTP", "https", "ws", "h_x", ""])
    host = rnd.choice(_HOSTS)
    return f"{scheme}://{host}{rnd.choice([path, path, '', '?a=1', '#f'])}"
