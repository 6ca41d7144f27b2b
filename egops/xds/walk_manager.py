"""What the HTTP connection manager does to a request before the route is looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Raw, Struct

from egops.xds import paths
from egops.xds.config_dump import EMPTY, Filter, RouteConfiguration
from egops.xds.match_request import Seen
from egops.xds.match_specs import StringSpec  # noqa: TC001 - msgspec resolves it
from egops.xds.match_table import port_start
from egops.xds.match_text import string_test
from egops.xds.walk_codec import Message, Refusal
from egops.xds.walk_fields import sanitize, undetected

if TYPE_CHECKING:
    from collections.abc import Collection

    from egops.xds.match_version import Behaviour
    from egops.xds.walk_fields import Origin


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
    if refused := undetected(message.fields, manager):
        return refused
    upgrade = _upgrade(message, manager)
    fields, forwarded = sanitize(
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
