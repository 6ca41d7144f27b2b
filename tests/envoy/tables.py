"""Route tables made by lot: every kind of matcher, as Envoy Gateway writes them and by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

API = "type.googleapis.com/envoy."
SEGMENTS = [
    "a",
    "b",
    "ab",
    "A",
    "foo",
    "v1",
    "x.y",
    "caf%C3%A9",
    "a-b",
    "~u",
    "a;p",
    "%2F",
    "1",
    "a=b",
]
NAMES = ["x-a", "x-b", "X-Mixed", "user-agent", "accept", "content-type", "cookie", "x-empty"]
VALUES = ["1", "2", "a", "A", "abc", "1,2", "1, 2", "", "a b", "-5", "10", "z" * 30, "é"]
REGEXES = [
    "[12]",
    "a.*",
    ".*",
    ".+",
    "(?i)ABC",
    "a|b",
    "^1$",
    "\\d+",
    "[^,]*",
    "a(b|c)?",
    "1|",
    "\\w+",
]
PARAMETERS = ["a", "b", "A", "page", "%61", "q"]
COOKIES = ["k", "s", "K"]
TEMPLATES = [
    "/a/*",
    "/a/**",
    "/a/{x}/b",
    "/{x}/{y}",
    "/a/{x=**}",
    "/*/b",
    "/a/**/end",
    "/v1/{x=a/*}/c",
    "/foo/*/bar",
]
PATH_REGEXES = [
    "/a.*",
    "/a|/b",
    "/[ab]/.*",
    "/(?i)foo/.+",
    "/v\\d+(/.*)?",
    ".*",
    "/a/b",
    "^/a$",
    "/.*\\.js",
    "/x?y*",
    "/a%2Fb",
    "/foo|bar",
    "/svc/(?i)get.*",
    "/a{2}",
    "/a+/b",
    "/\\Qa.b\\E",
]
DOMAINS = [
    "www.example.com",
    "example.com",
    "*.example.com",
    "*.b.example.com",
    "a.b.example.com",
    "api.*",
    "api.test.*",
    "*-dev.example.com",
    "localhost",
    "UPPER.example.com",
    "*.com",
    "host:8080",
    "[::1]",
    "*.example.com:80",
]


def path(rnd: Random) -> str:
    """Return a path of a few segments."""
    made = "/" + "/".join(rnd.choice(SEGMENTS) for _ in range(rnd.choice([0, 1, 1, 2, 2, 3])))
    return made + ("/" if rnd.random() < 0.15 and made != "/" else "")


def string_match(rnd: Random, values: list[str]) -> dict[str, Any]:
    """Return a StringMatcher."""
    if rnd.random() < 0.25:
        return {"safe_regex": {"regex": rnd.choice(REGEXES)}}
    kind = rnd.choice(["exact", "exact", "prefix", "suffix", "contains"])
    value = rnd.choice(values)
    if kind != "exact":
        value = value or "a"
    made: dict[str, Any] = {kind: value}
    if rnd.random() < 0.2:
        made["ignore_case"] = True
    return made


def header_match(rnd: Random) -> dict[str, Any]:  # noqa: C901, PLR0912 - a branch for each kind
    """Return a HeaderMatcher."""
    made: dict[str, Any] = {"name": rnd.choice(NAMES)}
    roll = rnd.random()
    if roll < 0.12:
        made["name"] = ":method"
        made["string_match"] = {"exact": rnd.choice(["GET", "POST", "PUT", "HEAD", "OPTIONS"])}
    elif roll < 0.16:
        made["name"] = ":path"
        made["string_match"] = {"suffix": rnd.choice(["/M", "/b", "=1", "foo"])}
    elif roll < 0.20:
        made["name"] = rnd.choice(["host", ":authority"])
        made["string_match"] = string_match(rnd, ["www.example.com", "example.com:80", "a"])
    elif roll < 0.22:
        made["name"] = ":scheme"
        made["string_match"] = {"exact": rnd.choice(["http", "https"])}
    elif roll < 0.26:
        made["name"] = "x-forwarded-proto"
        made["string_match"] = {"exact": rnd.choice(["http", "https"])}
    elif roll < 0.34:
        start = rnd.randint(-10, 10)
        made["range_match"] = {"start": str(start), "end": str(start + rnd.randint(0, 15))}
    elif roll < 0.44:
        made["present_match"] = rnd.random() < 0.7
    elif roll < 0.46:
        pass
    else:
        made["string_match"] = string_match(rnd, VALUES)
    if rnd.random() < 0.15:
        made["invert_match"] = True
    if rnd.random() < 0.12:
        made["treat_missing_header_as_empty"] = True
    return made


def query_match(rnd: Random) -> dict[str, Any]:
    """Return a QueryParameterMatcher."""
    made: dict[str, Any] = {"name": rnd.choice(PARAMETERS)}
    roll = rnd.random()
    if roll < 0.2:
        made["present_match"] = rnd.random() < 0.6
    elif roll < 0.9:
        made["string_match"] = string_match(rnd, ["1", "2", "a", "", "a%20b", "A"])
    return made


def route_match(rnd: Random, *, cookies: bool) -> dict[str, Any]:  # noqa: C901, PLR0912 - a branch for each kind
    """Return a RouteMatch."""
    made: dict[str, Any] = {}
    roll = rnd.random()
    if roll < 0.28:
        made["path_separated_prefix"] = path(rnd).rstrip("/") or "/a"
        for char in "?#":
            made["path_separated_prefix"] = made["path_separated_prefix"].replace(char, "")
    elif roll < 0.48:
        made["path"] = path(rnd)
    elif roll < 0.72:
        made["prefix"] = path(rnd) if rnd.random() < 0.7 else rnd.choice(["/", "", "/a", "/foo"])
    elif roll < 0.92:
        made["safe_regex"] = {"regex": rnd.choice(PATH_REGEXES)}
    elif roll < 0.98:
        made["path_match_policy"] = {
            "name": "envoy.path.match.uri_template.uri_template_matcher",
            "typed_config": {
                "@type": API + "extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                "path_template": rnd.choice(TEMPLATES),
            },
        }
    else:
        made["connect_matcher"] = {}
    if rnd.random() < 0.1:
        made["case_sensitive"] = False
    if rnd.random() < 0.45:
        made["headers"] = [header_match(rnd) for _ in range(rnd.choice([1, 1, 1, 2, 3]))]
    if rnd.random() < 0.25:
        made["query_parameters"] = [query_match(rnd) for _ in range(rnd.choice([1, 1, 2]))]
    if cookies and rnd.random() < 0.08:
        made["cookies"] = [
            {
                "name": rnd.choice(COOKIES),
                "string_match": string_match(rnd, ["1", "a", "", "a b"]),
                "invert_match": rnd.random() < 0.2,
            }
        ]
    if rnd.random() < 0.04:
        made["grpc"] = {}
    if rnd.random() < 0.03:
        made["tls_context"] = rnd.choice(
            [{"presented": False}, {"presented": True}, {"validated": False}]
        )
    if rnd.random() < 0.04:
        numerator = rnd.choice([0, 100, 100, 50])
        made["runtime_fraction"] = {"default_value": {"numerator": numerator}}
    if rnd.random() < 0.03:
        made["dynamic_metadata"] = [
            {
                "filter": "f",
                "path": [{"key": "k"}],
                "value": rnd.choice([{"present_match": True}, {"string_match": {"exact": "a"}}]),
                "invert": rnd.random() < 0.4,
            }
        ]
    if rnd.random() < 0.02:
        made["filter_state"] = [{"key": "k", "string_match": {"exact": "a"}}]
    return made


def action(rnd: Random, match: dict[str, Any]) -> dict[str, Any]:  # noqa: C901 - a branch for each kind
    """Return one of a route's actions."""
    roll = rnd.random()
    if roll < 0.45:
        return {"direct_response": {"status": rnd.choice([200, 201, 403, 404, 500, 503])}}
    rewritable = "path_match_policy" not in match and "connect_matcher" not in match
    if roll < 0.65:
        return {"redirect": _redirect(rnd, rewritable=rewritable)}
    made: dict[str, Any] = {"cluster": rnd.choice(["echo"] * 8 + ["missing", "empty"])}
    if rnd.random() < 0.2:
        made = {
            "weighted_clusters": {
                "clusters": [{"name": "echo", "weight": 90}, {"name": "echo", "weight": 10}]
            }
        }
    if rnd.random() < 0.15:
        made["upgrade_configs"] = [{"upgrade_type": "websocket", "enabled": rnd.random() < 0.7}]
    if rnd.random() < 0.1:
        made["cluster_not_found_response_code"] = rnd.choice(["NOT_FOUND", "INTERNAL_SERVER_ERROR"])
    roll = rnd.random()
    if roll < 0.2 and rewritable:
        made["prefix_rewrite"] = rnd.choice(["/", "/new", "/new/", "/a/b"])
    elif roll < 0.4:
        made["regex_rewrite"] = _regex_rewrite(rnd)
    roll = rnd.random()
    if roll < 0.1:
        made["host_rewrite_literal"] = "other.example.com"
    elif roll < 0.2:
        made["host_rewrite_header"] = "x-a"
    elif roll < 0.3:
        made["host_rewrite_path_regex"] = {
            "pattern": {"regex": "^/(\\w+)(/.*)?$"},
            "substitution": "\\1.internal",
        }
    return {"route": made}


def _regex_rewrite(rnd: Random) -> dict[str, Any]:
    pattern, substitution = rnd.choice(
        [
            ("^/a/*", "/"),
            ("a", "bb"),
            ("/(\\w+)/(\\w+)", "/\\2/\\1"),
            ("x*", "-"),
            ("^(.*)$", "/p\\0"),
            ("[^/]+", "s"),
            ("/", "//"),
            ("$", "/end"),
        ]
    )
    return {"pattern": {"regex": pattern}, "substitution": substitution}


def _redirect(rnd: Random, *, rewritable: bool) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if rnd.random() < 0.3:
        made["host_redirect"] = "new.example.com"
    roll = rnd.random()
    if roll < 0.2:
        made["https_redirect"] = True
    elif roll < 0.4:
        made["scheme_redirect"] = rnd.choice(["https", "http"])
    if rnd.random() < 0.3:
        made["port_redirect"] = rnd.choice([80, 443, 8443])
    roll = rnd.random()
    if roll < 0.25:
        made["path_redirect"] = rnd.choice(["/n", "/n?q=1"])
    elif roll < 0.45 and rewritable:
        made["prefix_rewrite"] = rnd.choice(["/", "/new", "/new/"])
    elif roll < 0.6:
        made["regex_rewrite"] = _regex_rewrite(rnd)
    if rnd.random() < 0.2:
        made["strip_query"] = True
    made["response_code"] = rnd.choice(
        ["MOVED_PERMANENTLY", "FOUND", "SEE_OTHER", "TEMPORARY_REDIRECT", "PERMANENT_REDIRECT"]
    )
    return made


def added(name: str, value: str) -> dict[str, Any]:
    """Return a header to add, its percent signs escaped."""
    return {
        "header": {"key": name, "value": value.replace("%", "%%")},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }


def virtual_host(rnd: Random, name: str, domains: list[str], *, cookies: bool) -> dict[str, Any]:
    """Return a virtual host with routes."""
    routes = []
    count = rnd.choice([0, 1, 3, 6, 12, 25, 40])
    for index in range(count):
        match = route_match(rnd, cookies=cookies)
        if index == count - 1 and rnd.random() < 0.4:
            match = {"prefix": "/"}
        route = {"name": f"r{index}", "match": match, **action(rnd, match)}
        route["response_headers_to_add"] = [added("x-route", route["name"])]
        routes.append(route)
    made: dict[str, Any] = {"name": name, "domains": domains, "routes": routes}
    made["response_headers_to_add"] = [added("x-vhost", name)]
    if rnd.random() < 0.05:
        made["require_tls"] = rnd.choice(["ALL", "EXTERNAL_ONLY"])
    return made


def route_config(rnd: Random, *, cookies: bool) -> dict[str, Any]:
    """Return a RouteConfiguration."""
    domains = rnd.sample(DOMAINS, rnd.randint(0, 6))
    if rnd.random() < 0.7 or not domains:
        domains.append("*")
    hosts: list[dict[str, Any]] = []
    while domains:
        taken = [domains.pop() for _ in range(min(len(domains), rnd.choice([1, 1, 2])))]
        hosts.append(virtual_host(rnd, f"v{len(hosts)}", taken, cookies=cookies))
    made: dict[str, Any] = {"name": "rc", "virtual_hosts": hosts, "validate_clusters": False}
    if rnd.random() < 0.6:
        made["ignore_port_in_host_matching"] = True
    if rnd.random() < 0.08:
        made["ignore_path_parameters_in_path_matching"] = True
    return made


GATEWAY = {
    "normalize_path": True,
    "merge_slashes": True,
    "path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT",
    "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"},
    "use_remote_address": True,
}


def _early(rnd: Random) -> dict[str, Any]:
    """Return header mutations that Envoy makes before it looks for a route."""
    actions = [
        "APPEND_IF_EXISTS_OR_ADD",
        "ADD_IF_ABSENT",
        "OVERWRITE_IF_EXISTS_OR_ADD",
        "OVERWRITE_IF_EXISTS",
    ]
    mutations: list[dict[str, Any]] = []
    for _ in range(rnd.randint(1, 3)):
        name = rnd.choice(["x-a", "x-b", "X-Mixed", "accept", "x-empty", "x-forwarded-proto"])
        if rnd.random() < 0.3:
            mutations.append({"remove": name})
            continue
        header = {"key": name, "value": rnd.choice(["1", "2", "a", "", "abc", "100%%", "https"])}
        mutations.append({"append": {"header": header, "append_action": rnd.choice(actions)}})
    kind = "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {"@type": API + kind, "mutations": mutations},
    }


def settings(rnd: Random) -> dict[str, Any]:
    """Return the settings of a connection manager: Envoy Gateway's, or any."""
    if rnd.random() < 0.4:
        return dict(GATEWAY)
    made: dict[str, Any] = {}
    if rnd.random() < 0.7:
        made["normalize_path"] = rnd.random() < 0.8
    made["merge_slashes"] = rnd.random() < 0.5
    if rnd.random() < 0.8:
        made["path_with_escaped_slashes_action"] = rnd.choice(
            ["KEEP_UNCHANGED", "REJECT_REQUEST", "UNESCAPE_AND_REDIRECT", "UNESCAPE_AND_FORWARD"]
        )
    underscores = rnd.choice(["ALLOW", "REJECT_REQUEST", "DROP_HEADER"])
    made["common_http_protocol_options"] = {"headers_with_underscores_action": underscores}
    made["use_remote_address"] = rnd.random() < 0.5
    if rnd.random() < 0.2:
        made["strip_any_host_port"] = True
    elif rnd.random() < 0.2:
        made["strip_matching_host_port"] = True
    if rnd.random() < 0.2:
        made["strip_trailing_host_dot"] = True
    if rnd.random() < 0.1:
        made["http_protocol_options"] = rnd.choice(
            [
                {"accept_http_10": True},
                {"allow_absolute_url": False},
                {"allow_custom_methods": True},
            ]
        )
    if rnd.random() < 0.25:
        made["early_header_mutation_extensions"] = [_early(rnd)]
    if rnd.random() < 0.15:
        made["upgrade_configs"] = [{"upgrade_type": rnd.choice(["CONNECT", "websocket"])}]
    return made
