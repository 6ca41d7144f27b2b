"""What Envoy's HTTP codec refuses before anybody looks for a route."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from egops.xds.match_request import Fields

if TYPE_CHECKING:
    from egops.xds.match_request import Headers, Request
    from egops.xds.match_version import Behaviour
    from egops.xds.walk_manager import Manager

METHODS = frozenset(
    b"ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL "
    b"MOVE MSEARCH NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT REBIND REPORT SEARCH "
    b"SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE".split()
)
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?::|$)")
_AUTHORITY = re.compile(rb"[A-Za-z0-9!$%&'()*+,\-.:;=@\[\]_~]*")
_TARGET = re.compile(rb"[!-~]+")
_ABSOLUTE = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://([^/?]*)(.*)", re.DOTALL)
_HOST_PORT = re.compile(rb"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d+))?")
_URL_HOST = re.compile(rb"[A-Za-z0-9!$%&'()*+,\-.:;=@\[\]_~]*")

# fields of which Envoy keeps a single value: several lines are joined at once
SINGLE = frozenset(
    b"accept accept-encoding authorization cache-control content-type expect grpc-timeout if-match "
    b"if-none-match origin pragma referer user-agent via x-client-trace-id x-forwarded-host "
    b"x-forwarded-port grpc-accept-encoding access-control-request-method "
    b"access-control-request-headers x-envoy-attempt-count content-encoding "
    b"x-envoy-is-timeout-retry x-envoy-downstream-service-cluster x-envoy-original-path "
    b"x-envoy-decorator-operation x-envoy-original-host x-envoy-downstream-service-node "
    b"x-envoy-external-address x-forwarded-for x-forwarded-proto x-request-id :authority "
    b"connection upgrade te content-length transfer-encoding keep-alive proxy-connection "
    b"x-forwarded-client-cert x-envoy-internal x-envoy-retry-on x-envoy-retry-grpc-on "
    b"x-envoy-max-retries x-envoy-force-trace x-envoy-ip-tags x-envoy-original-url "
    b"x-envoy-upstream-rq-timeout-ms x-envoy-upstream-rq-per-try-timeout-ms "
    b"x-envoy-upstream-alt-stat-name x-envoy-upstream-rq-timeout-alt-response "
    b"x-envoy-expected-rq-timeout-ms x-envoy-hedge-on-per-try-timeout "
    b"x-envoy-retriable-status-codes x-envoy-retriable-header-names".split()
)


class Refusal(NamedTuple):
    """An answer that Envoy gives by itself: the stage, its reason (Envoy's code), the status."""

    stage: str
    reason: str
    status: int | None
    location: str = ""


@dataclass
class Message:
    """A request that got through the codec."""

    method: bytes
    path: bytes  # empty for a plain CONNECT
    authority: bytes | None
    fields: Fields = field(default_factory=Fields)
    scheme: str = ""  # of an absolute target


def read(request: Request, manager: Manager, how: Behaviour, *, tls: bool) -> Message | Refusal:
    """Return the message that the codec hands on, or why it does not."""
    if request.protocol in ("h2", "h3"):
        return _read_binary(request, manager, how, tls=tls)
    refused = (
        _too_long(request, manager)
        or _characters(request)
        or _first_line(request, manager, how)
        or _malformed(request.headers)
        or _limits(request, manager)
    )
    if refused:
        return refused
    fields = _fields(request.headers, manager)
    hosts = fields.lines.pop(b"host", None)
    authority = request.authority
    if hosts is not None:
        authority = b",".join(filter(None, [authority, *hosts]))
    message = Message(request.method, request.target.strip(b" \t"), authority, fields)
    refused = (
        _framing(message, manager)
        or _nominated(message)
        or _target(message, manager, tls=tls)
        or _version(message, manager, request.protocol)
        or _host(message)
        or _query(message, how)
    )
    return refused or message


def _version(message: Message, manager: Manager, protocol: str) -> Refusal | None:
    options = manager.http_protocol_options
    if protocol not in ("http/1.0", "http/0.9"):
        return None
    if not options.accept_http_10:
        return Refusal("codec", "low_version", 426)
    if message.authority is None and options.default_host_for_http_10:
        message.authority = options.default_host_for_http_10.encode("utf-8")
    return None


def _host(message: Message) -> Refusal | None:
    if message.authority is None:
        return Refusal("host", "missing_host_header", 400)
    message.authority = message.authority.replace(b"\r", b"").strip(b" \t")
    if not _AUTHORITY.fullmatch(message.authority):
        return Refusal("codec", "http.invalid_authority", 400)
    return None


def _query(message: Message, how: Behaviour) -> Refusal | None:
    """Refuse a QUERY without a content type, once Envoy knows that method."""
    named = b"content-type" in message.fields.lines
    if message.method != b"QUERY" or not how.query_method or named:
        return None
    return Refusal("codec", "query_missing_content_type", 400)


def _characters(request: Request) -> Refusal | None:
    parts = [request.method, request.target, request.authority or b""]
    parts += [part for header in request.headers for part in header]
    if _CONTROL.search(b"".join(parts)):
        return Refusal("codec", "http1.invalid_characters", 400)
    return None


def _first_line(request: Request, manager: Manager, how: Behaviour) -> Refusal | None:
    method, target = request.method, request.target
    known = method in METHODS or (method == b"QUERY" and how.query_method)
    if manager.http_protocol_options.allow_custom_methods:
        known = _TOKEN.fullmatch(method) is not None
    if not known:
        return Refusal("codec", "http1.codec_error: unknown method", 400)
    if not _valid_target(target.strip(b" \t"), method):
        return Refusal("codec", "http1.codec_error: invalid request target", 400)
    return None


def _valid_target(target: bytes, method: bytes) -> bool:
    """Return whether the first line parses; whether the target makes sense is asked later."""
    if not _TARGET.fullmatch(target):
        return False
    if target[:1] in (b"/", b"*"):
        return True
    host, rest = target, b""
    if method != b"CONNECT":
        found = _ABSOLUTE.fullmatch(target)
        if found is None:
            return False
        host, rest = found[2], found[3]
    else:
        at = min((target.find(char) for char in (b"/", b"?") if char in target), default=-1)
        host, rest = (target, b"") if at < 0 else (target[:at], target[at:])
    return _URL_HOST.fullmatch(host) is not None and b"@@" not in host and b" " not in rest


def _too_long(request: Request, manager: Manager) -> Refusal | None:
    """Refuse a head that is longer than Envoy reads, whatever else is wrong with it."""
    limit = (manager.max_request_headers_kb or 60) * 1024
    size = len(request.method) + len(request.target) + len(request.protocol) + 6
    size += 0 if request.authority is None else len(request.authority) + 8
    size += sum(len(name) + len(value) + 4 for name, value in request.headers)
    return Refusal("codec", "http1.headers_too_large", 431) if size > limit else None


MOST_NOMINATED = 10
_KEPT = frozenset({b"close", b"http2-settings", b"keep-alive", b"upgrade", b"connection"})
_FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"})


def _nominated(message: Message) -> Refusal | None:
    """Take away the fields that the Connection header nominates; refuse to where that is abuse."""
    lines = message.fields.lines
    tokens = [token.strip(b" \t") for token in message.fields.one(b"connection").split(b",")]
    tokens = [token.lower() for token in tokens if token]
    if b"upgrade" in tokens and b"upgrade" in lines:
        return None
    refused = Refusal("codec", "http1.connection_header_rejected", 400)
    if len(tokens) >= MOST_NOMINATED:
        return refused
    for token in tokens:
        if token in _KEPT:
            continue
        if token in _FORWARDED or token.startswith(b":"):
            return refused
        if token == b"te" and b"te" in lines:
            continue  # what it holds is looked at later
        if token == b"host":
            message.authority = None
        lines.pop(token, None)
    return None


def _limits(request: Request, manager: Manager, pseudo: Headers = ()) -> Refusal | None:
    """Refuse too much, line by line: those of fields with a single value count once."""
    most = manager.common_http_protocol_options.max_headers_count or 100
    limit = (manager.max_request_headers_kb or 60) * 1024
    action = manager.common_http_protocol_options.headers_with_underscores_action
    size, count = 0 if pseudo else len(request.target), 0
    known: set[bytes] = set()
    given = [*pseudo]
    if request.authority is not None:
        given.append((b":authority", request.authority))
    for name, value in (*given, *request.headers):
        low = name.lower()
        low = b":authority" if low == b"host" else low
        if b"_" in low and action == "REJECT_REQUEST":
            return Refusal("codec", "http1.unexpected_underscore", 400)
        if b"_" in low and action == "DROP_HEADER":
            continue
        if size + len(name) + len(value) > limit:
            return Refusal("codec", "http1.headers_too_large", 431)
        if low in SINGLE and low in known:
            size += 1 + len(value)
            continue
        known.add(low)
        size, count = size + len(low) + len(value), count + 1
        if count > most:
            return Refusal("codec", "http1.too_many_headers", 431)
    return None


def _malformed(headers: Headers, blanks: bytes = b" \t") -> Refusal | None:
    lengths = [value.strip(blanks) for name, value in headers if name.lower() == b"content-length"]
    if len(lengths) > 1 or not all(value.isdigit() for value in lengths):
        return Refusal("codec", "http1.codec_error: invalid content-length", 400)
    if any(b"\n" in value or not _NAME.match(name) for name, value in headers):
        return Refusal("codec", "http1.codec_error: invalid header field", 400)
    return None


def _fields(headers: Headers, manager: Manager, *, strip: bool = True) -> Fields:
    lines: dict[bytes, list[bytes]] = {}
    action = manager.common_http_protocol_options.headers_with_underscores_action
    for written, value in headers:
        name, colon, rest = written.partition(b":")
        if colon:
            value = rest + b":" + value
        if b"_" in name and action == "DROP_HEADER":
            continue
        value = value.replace(b"\r", b"").strip(b" \t") if strip else value
        lines.setdefault(name.lower(), []).append(value)
    for name in SINGLE & lines.keys():
        if len(lines[name]) > 1 and name != b"content-length":
            lines[name] = [b",".join(filter(None, lines[name]))]
    return Fields(lines)


def _framing(message: Message, manager: Manager) -> Refusal | None:
    fields = message.fields
    if message.method == b"CONNECT" and fields.one(b"content-length") not in (b"", b"0"):
        return Refusal("codec", "http1.body_disallowed", 400)
    if b"transfer-encoding" in fields.lines:
        chunked = fields.one(b"transfer-encoding").lower() == b"chunked"
        if b"content-length" in fields.lines:
            if not (chunked and manager.http_protocol_options.allow_chunked_length):
                reason = "http1.content_length_and_chunked_not_allowed"
                return Refusal("codec", reason, 400)
            del fields.lines[b"content-length"]
        if not chunked:
            return Refusal("codec", "http1.invalid_transfer_encoding", 501)
    return None


def _target(message: Message, manager: Manager, *, tls: bool) -> Refusal | None:
    """Split an absolute target into path and authority, and check the others."""
    target = message.path
    if message.method == b"CONNECT":
        if not _valid_host(target) or not _HOST_PORT.fullmatch(target)[2]:  # type: ignore[index]
            return Refusal("codec", "http1.invalid_url", 400)
        message.authority, message.path = target, b""
        return None
    if target[:1] == b"/" or (message.method == b"OPTIONS" and target[:1] == b"*"):
        return None
    if manager.http_protocol_options.allow_absolute_url is False:
        return None
    return _absolute(message, manager, tls=tls)


def _absolute(message: Message, manager: Manager, *, tls: bool) -> Refusal | None:
    found = _ABSOLUTE.fullmatch(message.path)
    host = found[2].partition(b"@")[2] if found and b"@" in found[2] else found and found[2]
    if not found or not host or not _valid_host(host):
        return Refusal("codec", "http1.invalid_url", 400)
    scheme = found[1].lower()
    if scheme not in (b"http", b"https"):
        return Refusal("codec", "http1.invalid_scheme", 400)
    if scheme == b"https" and not tls and manager.validates_scheme:
        return Refusal("codec", "http1.https_url_on_plaintext_connection", 403)
    message.authority, message.scheme = host, scheme.decode()
    message.path = found[3] or b"/"
    return None


def _valid_host(host: bytes) -> bool:
    found = _HOST_PORT.fullmatch(host)
    return found is not None and int(found[2] or 0) <= 65535


# ------------------------------------------------------------------ HTTP/2 and HTTP/3

_H2_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_H2_PATH = re.compile(rb"[!-~\x80-\xff]+")
_H2_AUTHORITY = re.compile(rb"[A-Za-z0-9!$%&'()*+,\-.:;=\[\]_~]*")
_CONNECTION_FIELDS = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)


def _read_binary(
    request: Request, manager: Manager, how: Behaviour, *, tls: bool
) -> Message | Refusal:
    """Read an HTTP/2 or HTTP/3 request: what HTTP/1 answers with 400 resets the stream here."""
    reset = Refusal("codec", f"{request.protocol}.invalid_header_field", None)
    if not _pseudo_are_valid(request) or not _binary_fields_are_valid(request):
        return reset
    if refused := _limits(request, manager, _pseudo(request)):
        return Refusal("codec", refused.reason.replace("http1", request.protocol), None)
    if _malformed(request.headers, blanks=b""):
        return reset
    fields = _fields(request.headers, manager, strip=False)
    authority = request.authority
    hosts = fields.lines.pop(b"host", None)
    if authority is None and hosts is not None:
        authority = b",".join(filter(None, hosts))
    if authority is None or not _H2_AUTHORITY.fullmatch(authority):
        return reset
    if not authority and how.refuses_empty_authority:
        return reset
    if cookies := fields.lines.pop(b"cookie", None):
        fields.lines |= {b"cookie": [b"; ".join(cookies)]} if any(cookies) else {}
    path = b"" if request.method == b"CONNECT" else request.target
    scheme = request.scheme or ("https" if tls else "http")  # the client's own word here
    message = Message(request.method, path, authority, fields, scheme)
    return _query(message, how) or message


def _pseudo(request: Request) -> Headers:
    """Return the pseudo fields besides the authority: Envoy counts them too."""
    method = (b":method", request.method)
    if request.method == b"CONNECT":
        return (method,)
    return method, (b":scheme", request.scheme.encode()), (b":path", request.target)


def _pseudo_are_valid(request: Request) -> bool:
    if not _TOKEN.fullmatch(request.method):
        return False
    if request.method == b"CONNECT":
        return True
    if not _H2_PATH.fullmatch(request.target):
        return False
    return request.target[:1] == b"/" or (request.method, request.target) == (b"OPTIONS", b"*")


def _binary_fields_are_valid(request: Request) -> bool:
    for name, value in request.headers:
        low = name.lower()
        if (
            not _H2_NAME.fullmatch(low)
            or _CONTROL.search(value)
            or b"\n" in value
            or b"\r" in value
        ):
            return False
        if low in _CONNECTION_FIELDS or (low == b"te" and value.lower() != b"trailers"):
            return False
    return True
