"""The fields of a request before it is routed: what Envoy takes away, adds and changes."""

from __future__ import annotations

import re
from http import HTTPStatus
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.json import decode as decode_json

from egops.xds.walk_codec import Refusal
from egops.xds.walk_mutation import mutate

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from egops.xds.match_request import Fields
    from egops.xds.match_version import Behaviour
    from egops.xds.walk_manager import Manager


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


def sanitize(
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
    else:
        decides = _deciding(lines, manager)
        if decides is not None and not decides.header_name and not decides.skip_xff_append:
            lines.setdefault(b"x-forwarded-for", [b""])
            unsure.add(b"x-forwarded-for")
        if manager.append_x_forwarded_port:
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


# ------------------------------------------------------------------ the client's address


class _Detection(Struct, frozen=True, gc=False):
    """The two extensions that tell the client's address.

    A custom header may refuse; x-forwarded-for refuses nothing, and is appended to on request.
    """

    header_name: str = ""
    reject_with_status: dict[str, str] | None = None
    skip_xff_append: bool = True


class _Extension(Struct, frozen=True, gc=False):
    """`core.v3.TypedExtensionConfig`."""

    typed_config: _Detection = _Detection()


def undetected(fields: Fields, manager: Manager) -> Refusal | None:
    """Refuse a request whose client's address a custom header does not tell, where that is set."""
    decides = _deciding(fields.lines, manager)
    if decides is None or decides.reject_with_status is None or _tells(decides, fields.lines):
        return None
    status = _status(decides.reject_with_status.get("code", ""))
    return Refusal("client address", "rejecting_because_detection_failed", status)


def _deciding(lines: Mapping[bytes, list[bytes]], manager: Manager) -> _Detection | None:
    """Return the extension after which no other is asked."""
    if manager.use_remote_address:
        return None
    for raw in manager.original_ip_detection_extensions:
        asked = decode_json(raw, type=_Extension).typed_config
        if not asked.header_name or asked.reject_with_status is not None or _tells(asked, lines):
            return asked
    return None


def _tells(asked: _Detection, lines: Mapping[bytes, list[bytes]]) -> bool:
    given = lines.get(asked.header_name.lower().encode())
    return bool(given and _is_address(given[0]))


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
