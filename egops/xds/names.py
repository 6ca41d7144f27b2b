"""The names Envoy Gateway gives to xDS resources, read back into the objects they stand for.

Covers 1.2 to 1.9, both name schemes. Each `parse_*` returns a frozen value whose `str()` is the
very name again, or None for a name that Envoy Gateway does not give: it never guesses. A name alone
is ambiguous across positions (a listener `tcproute/a/b` is legal), so there is one parser for each
position in a dump.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

ROUTE_KINDS = {
    "httproute": "HTTPRoute",
    "grpcroute": "GRPCRoute",
    "tlsroute": "TLSRoute",
    "tcproute": "TCPRoute",
    "udproute": "UDPRoute",
}
BACKEND_KINDS = {"service": "Service", "serviceimport": "ServiceImport", "backend": "Backend"}
POLICY_KINDS = {
    "securitypolicy": "SecurityPolicy",
    "envoyextensionpolicy": "EnvoyExtensionPolicy",
    "backendtrafficpolicy": "BackendTrafficPolicy",
    "httproutefilter": "HTTPRouteFilter",
}

_NS = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_NAME = r"[a-z0-9](?:[-.a-z0-9]*[a-z0-9])?"
_INT = r"0|[1-9][0-9]*"
_HOST = r"\*|(?:\*_)?[A-Za-z0-9](?:[-_A-Za-z0-9]*[A-Za-z0-9])?"
_PORT = r"[1-9][0-9]{0,4}"


class ObjectName(NamedTuple):
    """A Kubernetes object."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Return `HTTPRoute shop/cart`."""
        return f"{self.kind} {self.namespace}/{self.name}".replace(" /", " ")


# ------------------------------------------------------------------ routes


class RouteName(NamedTuple):
    """One Envoy route: one match of one rule under one hostname.

    `match` is -1 for a rule without matches. From 1.7 on it counts rule matches times cookie
    matches. `preflight` marks the OPTIONS helper of a rule with a CORS filter (1.6 on).
    """

    kind: str
    namespace: str
    name: str
    rule: int
    match: int
    hostname: str
    preflight: bool = False

    def __str__(self) -> str:
        """Return the name as Envoy Gateway writes it."""
        helper = "/cors-preflight" if self.preflight else ""
        return (
            f"{self.kind.lower()}/{self.namespace}/{self.name}/rule/{self.rule}"
            f"/match/{self.match}{helper}/{underscored(self.hostname)}"
        )


_ROUTE = re.compile(
    rf"(httproute|grpcroute)/({_NS})/({_NAME})/rule/({_INT})/match/(-1|{_INT})"
    rf"(/cors-preflight)?/({_HOST})"
).fullmatch


def parse_route(name: str) -> RouteName | None:
    """Return what the name of a route in a virtual host says."""
    if (found := _ROUTE(name)) is None:
        return None
    kind, namespace, route, rule, match, helper, host = found.groups()
    return RouteName(
        ROUTE_KINDS[kind], namespace, route, int(rule), int(match), dotted(host), helper is not None
    )


@lru_cache(maxsize=256)
def is_host(text: str) -> bool:
    """Return whether a part of a name is a hostname; the routes of a host stand together."""
    return _IS_HOST(text) is not None


_IS_HOST = re.compile(_HOST).fullmatch


def dotted(host: str) -> str:
    """Return a hostname from a name: `*_shop_example_com` is `*.shop.example.com`."""
    return host.replace("_", ".")


def underscored(host: str) -> str:
    """Return a hostname as names spell it."""
    return host.replace(".", "_")


# ------------------------------------------------------------------ listeners, chains, hosts


class ListenerName(NamedTuple):
    """A Gateway's listener, or one of a ListenerSet attached to it (1.7 on).

    `quic` marks the UDP twin for HTTP/3.
    """

    namespace: str
    gateway: str
    section: str
    set_namespace: str = ""
    set_name: str = ""
    quic: bool = False

    def __str__(self) -> str:
        """Return the name as Envoy Gateway writes it."""
        between = f"{self.set_namespace}/{self.set_name}/" if self.set_name else ""
        quic = "-quic" if self.quic else ""
        return f"{self.namespace}/{self.gateway}/{between}{self.section}{quic}"


class PortName(NamedTuple):
    """A listener, or a plain HTTP route configuration, in XDSNameSchemeV2: only a Gateway port."""

    protocol: str  # tcp, udp; http for chains and route configurations
    port: int

    def __str__(self) -> str:
        """Return the name as Envoy Gateway writes it."""
        return f"{self.protocol}-{self.port}"


class OwnListenerName(NamedTuple):
    """A listener for probes and metrics, made for no Gateway: `ready` or `stats`."""

    purpose: str
    address: str
    port: int

    def __str__(self) -> str:
        """Return the name as Envoy Gateway writes it."""
        return f"envoy-gateway-proxy-{self.purpose}-{self.address}-{self.port}"


_LISTENER = re.compile(rf"({_NS})/({_NAME})/(?:({_NS})/({_NAME})/)?({_NAME})").fullmatch
_PORT_NAME = re.compile(rf"(tcp|udp)-({_PORT})").fullmatch
_HTTP_PORT = re.compile(rf"(http)-({_PORT})").fullmatch
_OWN_LISTENER = re.compile(
    rf"envoy-gateway-proxy-(ready|stats)-([0-9.]+|[0-9a-f:]+)-({_PORT})"
).fullmatch


def parse_listener(
    name: str, *, udp: bool = False
) -> ListenerName | PortName | OwnListenerName | None:
    """Return what the name of a listener says.

    A section may itself end in `-quic`, so only the socket's protocol tells the HTTP/3 twin. The
    UDP listener of a UDPRoute whose section ends so reads as a twin: see its filters.
    """
    if found := _PORT_NAME(name):
        return PortName(found[1], int(found[2]))
    if found := _OWN_LISTENER(name):
        return OwnListenerName(found[1], found[2], int(found[3]))
    return _gateway_listener(name, udp=udp)


def _gateway_listener(name: str, *, udp: bool = False) -> ListenerName | None:
    if (found := _LISTENER(name)) is None:
        return None
    namespace, gateway, set_namespace, set_name, section = found.groups()
    quic = udp and section.endswith("-quic")
    return ListenerName(
        namespace,
        gateway,
        section.removesuffix("-quic") if quic else section,
        set_namespace or "",
        set_name or "",
        quic,
    )


def parse_chain(name: str, *, http: bool) -> ListenerName | PortName | ObjectName | None:
    """Return what the name of a filter chain says.

    With an HTTP connection manager (`http`) it is a listener, without one a TCPRoute or TLSRoute:
    a namespace may be called `tcproute`, so the text alone does not tell.
    """
    if http:
        return parse_route_config(name)
    if found := _TCP_CHAIN(name):
        return ObjectName(ROUTE_KINDS[found[1]], found[2], found[3])
    return None


_TCP_CHAIN = re.compile(rf"(tcproute|tlsroute|udproute)/({_NS})/({_NAME})").fullmatch


def parse_route_config(name: str) -> ListenerName | PortName | None:
    """Return what the name of a route configuration says.

    It is the first listener's on the port, not that of every virtual host in it.
    """
    if found := _HTTP_PORT(name):
        return PortName("http", int(found[2]))
    return _gateway_listener(name)


class VirtualHostName(NamedTuple):
    """A hostname of a listener; in XDSNameSchemeV2 the listener is unknown (None)."""

    listener: ListenerName | None
    hostname: str

    def __str__(self) -> str:
        """Return the name as Envoy Gateway writes it."""
        host = underscored(self.hostname)
        return f"{self.listener}/{host}" if self.listener else host


_VHOST = re.compile(rf"(?:({_NS}/{_NAME}/(?:{_NS}/{_NAME}/)?{_NAME})/)?({_HOST})").fullmatch


def parse_virtual_host(name: str) -> VirtualHostName | None:
    """Return what the name of a virtual host says."""
    if (found := _VHOST(name)) is None:
        return None
    listener = _gateway_listener(found[1]) if found[1] else None
    return VirtualHostName(listener, dotted(found[2]))


class FleetName(NamedTuple):
    """The key of a proxy fleet: one Gateway, or the class of merged ones (`namespace` empty)."""

    namespace: str
    name: str

    @property
    def merged(self) -> bool:
        """Return whether many Gateways share the fleet."""
        return not self.namespace

    def __str__(self) -> str:
        """Return the key as Envoy Gateway writes it."""
        return f"{self.namespace}/{self.name}".lstrip("/")


_FLEET = re.compile(rf"(?:({_NS})/)?({_NAME})").fullmatch


def parse_fleet(name: str) -> FleetName | None:
    """Return what a node cluster (or `local_cluster_name`) says."""
    found = _FLEET(name)
    return FleetName(found[1] or "", found[2]) if found else None


# ------------------------------------------------------------------ clusters and localities


class RuleCluster(NamedTuple):
    """The backends of one rule, or one of them (`backend`, 1.4 on).

    `rule` is -1 for TCPRoute, TLSRoute and UDPRoute, which pool; `backend` is -1 where Envoy
    Gateway made the destination itself, None where the name is that of the whole rule.
    """

    kind: str
    namespace: str
    name: str
    rule: int
    backend: int | None = None

    @property
    def owner(self) -> ObjectName:
        """Return the route object."""
        return ObjectName(self.kind, self.namespace, self.name)

    def __str__(self) -> str:
        """Return the name as Envoy Gateway writes it."""
        base = f"{self.kind.lower()}/{self.namespace}/{self.name}/rule/{self.rule}"
        return base if self.backend is None else f"{base}/backend/{self.backend}"


class MirrorCluster(NamedTuple):
    """The target of a RequestMirror filter; `filter` is its index in the rule's filters."""

    kind: str
    namespace: str
    name: str
    rule: int
    filter: int
    backend: int | None = None

    @property
    def owner(self) -> ObjectName:
        """Return the route object."""
        return ObjectName(self.kind, self.namespace, self.name)

    def __str__(self) -> str:
        """Return the name as Envoy Gateway writes it."""
        base = (
            f"{self.kind.lower()}/{self.namespace}/{self.name}/rule/{self.rule}"
            f"-mirror-{self.filter}"
        )
        return base if self.backend is None else f"{base}/backend/{self.backend}"


class BackendCluster(NamedTuple):
    """A backend shared by many rules (`mergeBackends`, 1.9 on)."""

    kind: str
    namespace: str
    name: str
    port: int
    protocol: str = ""

    @property
    def owner(self) -> ObjectName:
        """Return the Service, ServiceImport or Backend."""
        return ObjectName(self.kind, self.namespace, self.name)

    def __str__(self) -> str:
        """Return the name as Envoy Gateway writes it."""
        base = f"{self.kind.lower()}/{self.namespace}/{self.name}/{self.port}"
        return f"{base}/{self.protocol}" if self.protocol else base


class PolicyCluster(NamedTuple):
    """A service that a policy calls: `extauth`, `jwt`, `oidc`, `extproc` and so on."""

    kind: str
    namespace: str
    name: str
    purpose: str
    number: int
    backend: int | None = None

    @property
    def owner(self) -> ObjectName:
        """Return the policy."""
        return ObjectName(self.kind, self.namespace, self.name)

    def __str__(self) -> str:
        """Return the name as Envoy Gateway writes it."""
        base = f"{self.kind.lower()}/{self.namespace}/{self.name}/{self.purpose}/{self.number}"
        return base if self.backend is None else f"{base}/backend/{self.backend}"


class UrlCluster(NamedTuple):
    """A host that policies reach by URL (JWKS, OIDC); who asks for it only the filters tell."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return the name as Envoy Gateway writes it."""
        return f"{underscored(self.host)}_{self.port}"


class OwnCluster(NamedTuple):
    """A cluster that Envoy Gateway makes for itself.

    `purpose` is one of `OWN_CLUSTERS`' values, or `access log`, `metrics sink`, `secrets`.
    """

    purpose: str
    name: str

    def __str__(self) -> str:
        """Return the name."""
        return self.name


INVALID_BACKEND = "invalid-backend-cluster"
"""The cluster that is only referenced, never defined: the share of broken backendRefs."""
EMPTY_CLUSTER = "EmptyCluster"
"""The cluster of a TCP or UDP listener without a route."""
OWN_CLUSTERS = {
    "xds_cluster": "control plane",
    "prometheus_stats": "metrics",
    "ratelimit_cluster": "rate limit service",
    "tracing": "tracing",
    "wasm_cluster": "Wasm modules",
    "local_cluster": "own fleet",
    EMPTY_CLUSTER: "no route attached",
    INVALID_BACKEND: "invalid backendRefs",
}

ClusterName = RuleCluster | MirrorCluster | BackendCluster | PolicyCluster | UrlCluster | OwnCluster

_RULE_CLUSTER = re.compile(
    rf"(httproute|grpcroute|tlsroute|tcproute|udproute)/({_NS})/({_NAME})/rule/(-1|{_INT})"
    rf"(?:-mirror-({_INT}))?(?:/backend/(-1|{_INT}))?"
).fullmatch
_BACKEND_CLUSTER = re.compile(
    rf"(service|serviceimport|backend)/({_NS})/({_NAME})/(0|{_PORT})"
    r"(?:/(http|https|grpc|http2|tcp|udp|tls))?"
).fullmatch
_POLICY_CLUSTER = re.compile(
    rf"(securitypolicy|envoyextensionpolicy|backendtrafficpolicy)/({_NS})/({_NAME})"
    rf"/([a-z]+)/({_INT})(?:/backend/(-1|{_INT}))?"
).fullmatch
_URL_CLUSTER = re.compile(
    rf"([a-z0-9](?:[-_a-z0-9]*[a-z0-9])?(?:_[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)+)_({_PORT})"
).fullmatch
_OWN_CLUSTER = (
    (re.compile(rf"accesslog_(?:als|otel)_(?:{_INT})_(?:{_INT})").fullmatch, "access log"),
    (re.compile(rf"otel_metric_sink_(?:{_INT})").fullmatch, "metrics sink"),
    (re.compile(r"sds_.+").fullmatch, "secrets"),
)


def parse_cluster(name: str, fleet: str = "") -> ClusterName | None:
    """Return what the name of a cluster says; `fleet` is the key that the own fleet is named by."""
    if found := _RULE_CLUSTER(name):
        kind, namespace, route, rule, mirror, backend = found.groups()
        index = None if backend is None else int(backend)
        if mirror is None:
            return RuleCluster(ROUTE_KINDS[kind], namespace, route, int(rule), index)
        return MirrorCluster(ROUTE_KINDS[kind], namespace, route, int(rule), int(mirror), index)
    if found := _BACKEND_CLUSTER(name):
        kind, namespace, backend, port, protocol = found.groups()
        return BackendCluster(BACKEND_KINDS[kind], namespace, backend, int(port), protocol or "")
    if found := _POLICY_CLUSTER(name):
        kind, namespace, policy, purpose, number, backend = found.groups()
        index = None if backend is None else int(backend)
        return PolicyCluster(POLICY_KINDS[kind], namespace, policy, purpose, int(number), index)
    return _own_cluster(name, fleet) or _url_cluster(name)


def _own_cluster(name: str, fleet: str) -> OwnCluster | None:
    if fleet and name == fleet:
        return OwnCluster("own fleet", name)
    if purpose := OWN_CLUSTERS.get(name):
        return OwnCluster(purpose, name)
    for matches, purpose in _OWN_CLUSTER:
        if matches(name):
            return OwnCluster(purpose, name)
    return None


def _url_cluster(name: str) -> UrlCluster | None:
    found = _URL_CLUSTER(name)
    return UrlCluster(dotted(found[1]), int(found[2])) if found else None


def parse_region(region: str) -> ClusterName | None:
    """Return what the region of a locality says: the backendRef, in its `backend`.

    Up to 1.3 `backend` counts only the backendRefs of non-zero weight.
    """
    found = parse_cluster(region)
    return found if getattr(found, "backend", None) is not None else None


# ------------------------------------------------------------------ secrets


class SecretName(NamedTuple):
    """What a secret in SDS is and whose.

    `purpose` is `certificate`, `client CA`, `CRL`, `frontend CA`, `backend CA`, `system CA`,
    `OIDC client secret`, `OIDC HMAC key`, `injected credential`, or `control plane …`. `owners`
    are the objects it may come from, one unless the name leaves it open.
    """

    purpose: str
    owners: tuple[ObjectName, ...]
    text: str

    def __str__(self) -> str:
        """Return the name."""
        return self.text


OWN_SECRETS = {
    "xds_certificate": "control plane client certificate",
    "xds_trusted_ca": "control plane CA",
    "jwt-sa-bearer": "control plane token",
    "system_ca_certificates": "system CA",
}
_CLIENT_CA = re.compile(rf"({_NS})/({_NAME})/ca\.(crt|crl)").fullmatch
_FRONTEND_CA = re.compile(rf"gateway/({_NS})/({_NAME})/(default|{_PORT})/ca\.crt").fullmatch
_OAUTH = re.compile(
    rf"oauth2/(client_secret|hmac_secret)/securitypolicy/({_NS})/({_NAME})"
).fullmatch
_CREDENTIAL = re.compile(
    rf"credential_injector/credential/httproutefilter/({_NS})/({_NAME})"
).fullmatch
_BACKEND_CA = re.compile(rf"({_NAME})/({_NS})-ca").fullmatch
_CERTIFICATE = re.compile(rf"({_NS})/({_NAME})").fullmatch


def parse_secret(name: str, *, is_certificate: bool | None = None) -> SecretName | None:
    """Return what the name of a secret says.

    `shop/team-ca` is a certificate in `shop` or the CA of a policy `shop` in `team`: say with
    `is_certificate` which of the two the secret holds, else both are named as owners.
    """
    if purpose := OWN_SECRETS.get(name):
        return SecretName(purpose, (), name)
    if found := _FRONTEND_CA(name):
        return SecretName("frontend CA", (ObjectName("Gateway", found[1], found[2]),), name)
    if found := _OAUTH(name):
        purpose = "OIDC client secret" if found[1] == "client_secret" else "OIDC HMAC key"
        return SecretName(purpose, (ObjectName("SecurityPolicy", found[2], found[3]),), name)
    if found := _CREDENTIAL(name):
        owner = ObjectName("HTTPRouteFilter", found[1], found[2])
        return SecretName("injected credential", (owner,), name)
    if found := _CLIENT_CA(name):
        owner = ObjectName("ClientTrafficPolicy", found[1], found[2])
        return SecretName("client CA" if found[3] == "crt" else "CRL", (owner,), name)
    return _secret_or_ca(name, is_certificate)


def _secret_or_ca(name: str, is_certificate: bool | None) -> SecretName | None:  # noqa: FBT001 - private
    owners: tuple[ObjectName, ...] = ()
    found = _BACKEND_CA(name)
    if found and is_certificate is not True:
        namespace, owner = found[2], found[1]
        owners = tuple(ObjectName(kind, namespace, owner) for kind in _CA_OWNERS)
    if is_certificate is not False and (found := _CERTIFICATE(name)):
        secret = ObjectName("Secret", found[1], found[2])
        purpose = "certificate" if not owners else "certificate or backend CA"
        return SecretName(purpose, (secret, *owners), name)
    return SecretName("backend CA", owners, name) if owners else None


_CA_OWNERS = ("BackendTLSPolicy", "Backend")

# ------------------------------------------------------------------ filters


class FilterName(NamedTuple):
    """An HTTP filter: its base name, and the object it was made for, if the name says so.

    `detail` is the rest: `extproc/0`, `gzip`, a rate limit's policy, a Lua slot.
    """

    base: str
    owner: ObjectName | None = None
    detail: str = ""

    @property
    def short(self) -> str:
        """Return the base name without Envoy's prefix: `ext_authz`."""
        return self.base.removeprefix("envoy.filters.http.")

    def __str__(self) -> str:
        """Return the name as Envoy Gateway writes it."""
        owner = self.owner
        if owner is None:
            return f"{self.base}/{self.detail}" if self.detail else self.base
        whose = f"{owner.namespace}/{owner.name}"
        if self.base.startswith(_FORWARD_PROXY):
            return f"{self.base}-{whose}"
        if self.base != _RATE_LIMIT:
            whose = f"{owner.kind.lower()}/{whose}"
        return f"{self.base}/{whose}/{self.detail}" if self.detail else f"{self.base}/{whose}"


_RATE_LIMIT = "envoy.filters.http.ratelimit"
_FORWARD_PROXY = "envoy.filters.http.dynamic_forward_proxy."
_DNS_CACHE = re.compile(
    rf"({re.escape(_FORWARD_PROXY)}envoy-gateway-dfp-cache-[a-z0-9]+-[0-9]+ms)-({_NS})/({_NAME})"
).fullmatch
_OWNED = re.compile(
    r"(securitypolicy|envoyextensionpolicy|backendtrafficpolicy|httproutefilter)"
    rf"/({_NS})/({_NAME})(?:/(.+))?"
).fullmatch


def parse_filter(name: str) -> FilterName:
    """Return what the name of an HTTP filter says."""
    base, _, rest = name.partition("/")
    if not rest:
        return FilterName(base)
    if found := _DNS_CACHE(name):  # DNS settings of a policy, 1.7 on
        return FilterName(found[1], ObjectName("BackendTrafficPolicy", found[2], found[3]))
    if owned := parse_owned(rest):
        return FilterName(base, *owned)
    if base == _RATE_LIMIT and (found := _CERTIFICATE(rest)):  # shared rules, 1.4 on
        return FilterName(base, ObjectName("BackendTrafficPolicy", found[1], found[2]))
    return FilterName(base, None, rest)


def parse_owned(name: str) -> tuple[ObjectName, str] | None:
    """Return owner and rest of a `securitypolicy/NS/NAME[/…]` name (filters, RBAC rules, …)."""
    if (found := _OWNED(name)) is None:
        return None
    return ObjectName(POLICY_KINDS[found[1]], found[2], found[3]), found[4] or ""
