"""What the HTTP connection manager does to a request before the route is looked up."""

from __future__ import annotations

import re
from http import HTTPStatus
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from msgspec import Raw, Struct
from msgspec.json import decode as decode_json

from egops.xds import paths
from egops.xds.config_dump import EMPTY, Filter, RouteConfiguration
from egops.xds.match_request import Seen
from egops.xds.match_specs import StringSpec  # noqa: TC001 - msgspec resolves it
from egops.xds.match_table import port_start
from egops.xds.match_text import string_test
from egops.xds.walk_codec import Message, Refusal
from egops.xds.walk_mutation import mutate

if TYPE_CHECKING:
    from collections.abc import Collection

    from egops.xds.match_request import Fields
    from egops.xds.match_version import Behaviour


class CommonOptions(Struct, frozen=True, gc=False):
    """`core.v3.HttpProtocolOptions`."""

    headers_with_underscores_action: str = "ALLOW"
    max_headers_count: int = 0


class Http1Options(Struct, frozen=True, gc=False):
    """`core.v3.Http1ProtocolOptions`."""

    accept_http_10: bool = False
    default_host_for_http_10: str = ""
    allow_absolute_url: bool | None = None
    allow_custom_methods: bool = False
    allow_chunked_length: bool = False
    ignore_http_11_upgrade: list[StringSpec] = []


class Rds(Struct, frozen=True, gc=False):
    """Where the route configuration comes from."""

    route_config_name: str = ""


class Upgrade(Struct, frozen=True, gc=False):
    """An upgrade that the manager, or a route, lets through."""

    upgrade_type: str = ""
    enabled: bool = True


class InternalAddress(Struct, frozen=True, gc=False):
    """`InternalAddressConfig`."""

    unix_sockets: bool = False
    cidr_ranges: list[Raw] = []


class SchemeTransformation(Struct, frozen=True, gc=False):
    """`core.v3.SchemeHeaderTransformation`."""

    scheme_to_overwrite: str = ""
    match_upstream: bool = False


class Manager(Struct, frozen=True, gc=False):
    """`HttpConnectionManager`: the fields that decide where a request goes."""

    stat_prefix: str = ""
    codec_type: str = "AUTO"
    rds: Rds | None = None
    route_config: RouteConfiguration | None = None
    scoped_routes: Raw = EMPTY
    http_filters: list[Filter] = []
    upgrade_configs: list[Upgrade] = []
    normalize_path: bool | None = None
    merge_slashes: bool = False
    path_with_escaped_slashes_action: str = "IMPLEMENTATION_SPECIFIC_DEFAULT"
    common_http_protocol_options: CommonOptions = CommonOptions()
    http_protocol_options: Http1Options = Http1Options()
    max_request_headers_kb: int | None = None
    strip_matching_host_port: bool = False
    strip_any_host_port: bool = False
    strip_trailing_host_dot: bool = False
    use_remote_address: bool = False
    skip_xff_append: bool = False
    xff_num_trusted_hops: int = 0
    preserve_external_request_id: bool = False
    generate_request_id: bool = True
    forward_client_cert_details: str = "SANITIZE"
    internal_address_config: InternalAddress | None = None
    scheme_header_transformation: SchemeTransformation | None = None
    early_header_mutation_extensions: list[Raw] = []
    original_ip_detection_extensions: list[Raw] = []
    add_user_agent: bool = False
    append_x_forwarded_port: bool = False
    via: str = ""
    proxy_100_continue: bool = False
    stream_idle_timeout: str = ""
    request_timeout: str = ""
    access_log: Raw = EMPTY
    local_reply_config: Raw = EMPTY
    route_config_name: str = ""

    @property
    def validates_scheme(self) -> bool:
        """Return whether an absolute https target over plain text is refused."""
        return self.use_remote_address and self.xff_num_trusted_hops == 0

    def enabled(self, how: Behaviour) -> bool:
        """Return whether paths are normalised: off by default, unless the runtime says so."""
        if self.normalize_path is not None:
            return self.normalize_path
        return how.runtime.get("http_connection_manager.normalize_path", 0) in (100, True, "true")


GATEWAY_DEFAULTS = Manager(
    normalize_path=True,
    merge_slashes=True,
    path_with_escaped_slashes_action="UNESCAPE_AND_REDIRECT",
    common_http_protocol_options=CommonOptions(headers_with_underscores_action="REJECT_REQUEST"),
    use_remote_address=True,
)
"""What Envoy Gateway sets unless a ClientTrafficPolicy says otherwise."""

# set by Envoy alone: what a stranger sends is taken away
_FOREIGN = frozenset(
    b"x-envoy-retry-on x-envoy-max-retries x-envoy-upstream-rq-timeout-ms x-envoy-force-trace "
    b"x-envoy-ip-tags x-envoy-expected-rq-timeout-ms x-envoy-hedge-on-per-try-timeout "
    b"x-envoy-upstream-alt-stat-name x-envoy-upstream-rq-per-try-timeout-ms x-envoy-original-url "
    b"x-envoy-retry-grpc-on x-envoy-retriable-status-codes x-envoy-retriable-header-names "
    b"x-envoy-upstream-rq-timeout-alt-response".split()
)
_EDGE = frozenset(
    b"x-envoy-decorator-operation x-envoy-downstream-service-cluster x-envoy-original-path "
    b"x-envoy-original-host x-envoy-downstream-service-node".split()
)
_HOP = frozenset(b"x-envoy-internal keep-alive proxy-connection transfer-encoding".split())


def prepare(
    message: Message,
    manager: Manager,
    how: Behaviour,
    seen_from: Origin,
    internal_only: Collection[str] = (),
) -> Seen | Refusal:
    """Return the request as the route table sees it, or the answer Envoy gives instead.

    `internal_only` are the fields that the table keeps to requests of the own network.
    """
    if message.method != b"CONNECT" or message.path:
        if not message.path.startswith(b"/"):
            return Refusal("path", "absolute_path_rejected", 404)
        refused = _path(message, manager, how)
        if refused:
            return refused
    authority = _authority(message.authority or b"", manager, seen_from.port)
    if refused := _undetected(message.fields, manager):
        return refused
    upgrade = _upgrade(message, manager)
    fields, forwarded = _sanitize(
        message.fields, manager, how, seen_from, internal_only, upgrades=upgrade is not None
    )
    said = forwarded.lower()
    scheme = message.scheme or (said if said in ("http", "https") else seen_from.proto)
    change = manager.scheme_header_transformation
    if change is not None and change.scheme_to_overwrite:
        scheme = change.scheme_to_overwrite
    if upgrade is not None:
        fields.lines[b"upgrade"] = [upgrade]
        fields.lines[b"connection"] = [message.fields.one(b"connection")]
    lines = fields.lines
    lines[b":method"] = [message.method]
    lines[b":authority"] = [authority]
    lines[b":scheme"] = [scheme.encode()]
    if message.path:
        lines[b":path"] = [message.path]
    return Seen(
        message.method, message.path, authority, fields, scheme, forwarded, seen_from.tls
    )  # fmt: skip


class Origin(Struct, frozen=True):
    """Where a request came in: the connection's side of the story."""

    tls: bool = False
    port: int = 0  # of the listener
    source: str = ""  # the client's address, if known
    may_present: bool = False  # a client certificate

    @property
    def proto(self) -> str:
        """Return `https` or `http`."""
        return "https" if self.tls else "http"


class _Detection(Struct, frozen=True, gc=False):
    """The two extensions that tell the client's address; only one of them refuses."""

    header_name: str = ""
    reject_with_status: dict[str, str] | None = None


class _Extension(Struct, frozen=True, gc=False):
    """`core.v3.TypedExtensionConfig`."""

    typed_config: _Detection = _Detection()


def _undetected(fields: Fields, manager: Manager) -> Refusal | None:
    """Refuse a request whose client's address a custom header does not tell, where that is set."""
    if manager.use_remote_address:
        return None
    for raw in manager.original_ip_detection_extensions:
        wanted = decode_json(raw, type=_Extension).typed_config
        lines = fields.lines.get(wanted.header_name.lower().encode())
        if not wanted.header_name or (lines and _is_address(lines[0])):
            return None  # found, or the way of x-forwarded-for, which refuses nothing
        if wanted.reject_with_status is not None:
            status = _status(wanted.reject_with_status.get("code", ""))
            return Refusal("client address", "rejecting_because_detection_failed", status)
    return None


def _is_address(value: bytes) -> bool:
    try:
        ip_address(value.decode("latin-1"))
    except ValueError:
        return False
    return True


def _status(name: str) -> int:
    """Return the status that Envoy's enum names; a custom refusal is an error or 403."""
    found = next((s for s in HTTPStatus if s.name.replace("_", "").lower() == name.lower()), None)
    return int(found) if found is not None and found >= HTTPStatus.BAD_REQUEST else 403


def _path(message: Message, manager: Manager, how: Behaviour) -> Refusal | None:
    path = message.path
    if b"#" in path:
        if how.rejects_fragment:
            return Refusal("path", "path_normalization_failed: fragment in the path", 400)
        path = path.partition(b"#")[0]
    redirect = False
    action = manager.path_with_escaped_slashes_action
    if action not in ("KEEP_UNCHANGED", "IMPLEMENTATION_SPECIFIC_DEFAULT"):
        unescaped = paths.unescape_slashes(path)
        if unescaped != path:
            if action == "REJECT_REQUEST":
                return Refusal("path", "path_normalization_failed: escaped slash", 400)
            redirect = action == "UNESCAPE_AND_REDIRECT"
        path = unescaped
    if manager.enabled(how):
        normal = paths.normalize(path, dot_parameters=how.dot_parameters)
        if normal is None:
            return Refusal("path", "path_normalization_failed: %00 in the path", 400)
        path = normal
    if manager.merge_slashes:
        path = paths.merge_slashes(path)
    message.path = path
    if redirect:
        return Refusal("path", "path_normalization_failed: escaped slash, redirected", 307, path.decode("latin-1"))  # fmt: skip  # noqa: E501
    return None


def _authority(authority: bytes, manager: Manager, port: int) -> bytes:
    if manager.strip_trailing_host_dot:
        authority = _without_dot(authority)
    if not (manager.strip_any_host_port or manager.strip_matching_host_port):
        return authority
    at = port_start(authority)
    digits = authority[at + 1 :]
    if at < 0 or not digits.isdigit() or int(digits) >= 1 << 32:
        return authority
    if manager.strip_any_host_port or int(digits) == port:
        return authority[:at]
    return authority


def _without_dot(authority: bytes) -> bytes:
    at = authority.rfind(b".")
    if at < 0:
        return authority
    if at == len(authority) - 1:
        return authority[:-1]
    return authority[:at] + authority[at + 1 :] if authority[at + 1 : at + 2] == b":" else authority


def _upgrade(message: Message, manager: Manager) -> bytes | None:
    """Return the protocol that an HTTP/1.1 request wants to change to; it may be empty."""
    tokens = [token.strip().lower() for token in message.fields.one(b"connection").split(b",")]
    if b"upgrade" not in tokens or b"upgrade" not in message.fields.lines:
        return None
    wanted = message.fields.one(b"upgrade")
    if wanted.lower() == b"h2c":  # Envoy drops offers of HTTP/2
        return None
    ignored = [string_test(spec) for spec in manager.http_protocol_options.ignore_http_11_upgrade]
    if not ignored:
        return wanted
    offers = [token.strip(b" \t") for token in wanted.split(b",")]
    kept = [offer for offer in offers if offer and not any(test(offer) for test in ignored)]
    return b",".join(kept) if kept else None


def _sanitize(
    received: Fields,
    manager: Manager,
    how: Behaviour,
    origin: Origin,
    internal_only: Collection[str],
    *,
    upgrades: bool,
) -> tuple[Fields, str]:
    """Return the fields that are left with those Envoy sets, and x-forwarded-proto."""
    lines = {name: value for name, value in received.lines.items() if name not in _HOP}
    if not manager.proxy_100_continue and received.one(b"expect").lower() == b"100-continue":
        del lines[b"expect"]  # Envoy answers it itself
    unsure: set[bytes] = set()
    if manager.early_header_mutation_extensions:
        mutate(lines, unsure, manager.early_header_mutation_extensions)
    lines.pop(b"connection", None)
    lines.pop(b"upgrade", None)
    if b"te" in lines and not upgrades and not _keeps_te(lines):
        del lines[b"te"]
    if b"referer" in lines and not _referer_is_valid(lines[b"referer"][0]):
        del lines[b"referer"]
    internal = _is_internal(lines, manager, origin)
    _drop_foreign(lines, manager, how, internal=internal)
    if not internal:
        for name in internal_only:
            lines.pop(name.lower().encode(), None)
    _forward_certificate(lines, manager, unsure, may_present=origin.may_present)
    if manager.add_user_agent:
        _add_user_agent(lines, unsure)
    edge = manager.use_remote_address and not internal
    if edge:
        lines[b"x-envoy-external-address"] = [origin.source.encode()]
        unsure.add(b"x-envoy-external-address")
    forwarded = _forwarded(lines, manager, origin, unsure)
    _request_id(lines, manager, unsure, edge=edge)
    if manager.via:
        known = [value for value in lines.get(b"via", ()) if value]
        lines[b"via"] = [b", ".join([*known, manager.via.encode()])]
    made = type(received)(lines, frozenset(unsure))
    return made, forwarded


def _forward_certificate(
    lines: dict[bytes, list[bytes]], manager: Manager, unsure: set[bytes], *, may_present: bool
) -> None:
    """Take away what a client says of its certificate, unless it may have presented one."""
    details, name = manager.forward_client_cert_details, b"x-forwarded-client-cert"
    if details == "ALWAYS_FORWARD_ONLY":
        return
    if details == "SANITIZE" or not may_present:
        lines.pop(name, None)
    elif details == "FORWARD_ONLY":
        unsure.add(name)
    else:
        lines.setdefault(name, [b""])
        unsure.add(name)


def _add_user_agent(lines: dict[bytes, list[bytes]], unsure: set[bytes]) -> None:
    """Set what tells Envoy's own name: its command line has it, a dump does not."""
    told = [b"x-envoy-downstream-service-cluster", b"x-envoy-downstream-service-node"]
    for name in told if b"user-agent" in lines else [*told, b"user-agent"]:
        lines[name] = [b""]
        unsure.add(name)


def _drop_foreign(
    lines: dict[bytes, list[bytes]], manager: Manager, how: Behaviour, *, internal: bool
) -> None:
    """Take away the `x-envoy-` fields that only requests of the own network may bring."""
    if internal:
        lines[b"x-envoy-internal"] = [b"true"]
        return
    gone = _FOREIGN | _EDGE if manager.use_remote_address else _FOREIGN
    for name in gone & lines.keys():
        del lines[name]
    if not how.keeps_stream_duration:
        lines.pop(b"x-envoy-upstream-stream-duration-ms", None)


def _keeps_te(lines: dict[bytes, list[bytes]]) -> bool:
    if not any(lines[b"te"]):
        return True
    tokens = [token.strip() for token in b",".join(lines[b"te"]).split(b",")]
    if b"trailers" not in tokens:
        return False
    lines[b"te"] = [b"trailers"]
    return True


_REFERER_URL = re.compile(
    rb"[A-Za-z]+://(?P<user>[^@/?#]*@)?(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])"
    rb"(?::\d+)?(?:[/?][!-\"$-~\x80-\xff]*)?(?P<fragment>#.*)?"
)
_REFERER_PATH = re.compile(rb"[!$%&'()*+,\-./0-9;=?@A-Z_a-z~]*")


def _referer_is_valid(value: bytes) -> bool:
    """Return whether Envoy keeps a referer: a URL without user and fragment, or a path."""
    url = _REFERER_URL.fullmatch(value)
    if url is not None:
        return url["user"] is None and url["fragment"] is None
    first, slash, rest = value.partition(b"/")
    path = first + slash + rest.replace(b":", b"")
    return _REFERER_PATH.fullmatch(path) is not None


# what Envoy takes for its own network where ranges are not given
_PRIVATE = tuple(
    map(
        ip_network,
        ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.1/32", "fc00::/7", "::1/128"],
    )
)


def _is_internal(lines: dict[bytes, list[bytes]], manager: Manager, origin: Origin) -> bool:
    """Return whether Envoy takes the request for one of its own network; nobody is by default."""
    config = manager.internal_address_config
    if config is None:
        return False
    from egops.xds.match_chains import Cidr  # noqa: PLC0415 - rarely needed

    address = origin.source
    if not manager.use_remote_address:
        address = lines.get(b"x-forwarded-for", [b""])[0].decode("latin-1").strip()
        if "," in address:
            return False
    elif b"x-forwarded-for" in lines:
        return False
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if not config.cidr_ranges:
        return any(ip in network for network in _PRIVATE)
    networks = (decode_json(raw, type=Cidr).network for raw in config.cidr_ranges)
    return any(network is not None and ip in network for network in networks)


def _forwarded(
    lines: dict[bytes, list[bytes]], manager: Manager, origin: Origin, unsure: set[bytes]
) -> str:
    """Set x-forwarded-for and x-forwarded-proto; return the latter."""
    if manager.use_remote_address:
        if not manager.skip_xff_append:
            lines.setdefault(b"x-forwarded-for", [b""])
            unsure.add(b"x-forwarded-for")
        trusts = manager.xff_num_trusted_hops > 0
        if not (trusts and b"x-forwarded-proto" in lines):
            lines[b"x-forwarded-proto"] = [origin.proto.encode()]
        if manager.append_x_forwarded_port and not (trusts and b"x-forwarded-port" in lines):
            lines[b"x-forwarded-port"] = [str(origin.port).encode()]
    elif manager.append_x_forwarded_port:
        lines.setdefault(b"x-forwarded-port", [str(origin.port).encode()])
    change = manager.scheme_header_transformation
    if change is not None and change.scheme_to_overwrite:
        lines[b"x-forwarded-proto"] = [change.scheme_to_overwrite.encode()]
    if b"x-forwarded-proto" not in lines:
        lines[b"x-forwarded-proto"] = [origin.proto.encode()]
    return lines[b"x-forwarded-proto"][0].decode("latin-1")


def _request_id(
    lines: dict[bytes, list[bytes]], manager: Manager, unsure: set[bytes], *, edge: bool
) -> None:
    if not manager.generate_request_id:
        return
    given = lines.get(b"x-request-id")
    if given is None or (edge and not manager.preserve_external_request_id):
        lines[b"x-request-id"] = [b""]
        unsure.add(b"x-request-id")
