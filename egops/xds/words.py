"""An Envoy route match in the words of the Gateway API.

What the Gateway API has no word for is kept in `other`, as Envoy names it.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, field

EMPTY = Raw()


class _Regex(Struct, gc=False):
    regex: str = ""


class _StringMatch(Struct, gc=False):
    exact: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    contains: str | None = None
    safe_regex: _Regex | None = None
    ignore_case: bool = False
    custom: Raw = EMPTY


class _HeaderMatch(Struct, gc=False):
    name: str = ""
    string_match: _StringMatch | None = None
    exact_match: str | None = None  # 1.33 and older print these
    prefix_match: str | None = None
    suffix_match: str | None = None
    contains_match: str | None = None
    safe_regex_match: _Regex | None = None
    range_match: Raw = EMPTY
    present_match: bool | None = None
    invert_match: bool = False


class _QueryMatch(Struct, gc=False):
    name: str = ""
    string_match: _StringMatch | None = None
    present_match: bool | None = None


class _CookieMatch(Struct, gc=False):
    name: str = ""
    string_match: _StringMatch | None = None
    invert_match: bool = False


class _RouteMatch(Struct, gc=False):
    prefix: str | None = None
    path: str | None = None
    path_separated_prefix: str | None = None
    safe_regex: _Regex | None = None
    connect_matcher: Raw = EMPTY
    path_match_policy: Raw = EMPTY
    case_sensitive: bool = True
    headers: list[_HeaderMatch] = []
    query_parameters: list[_QueryMatch] = []
    cookies: list[_CookieMatch] = []
    grpc: Raw = EMPTY
    runtime_fraction: Raw = EMPTY
    tls_context: Raw = EMPTY
    dynamic_metadata: Raw = EMPTY
    filter_state: Raw = EMPTY


_OTHER = (
    "connect_matcher", "path_match_policy", "grpc", "runtime_fraction", "tls_context",
    "dynamic_metadata", "filter_state",
)  # fmt: skip


class Value(Struct, frozen=True, gc=False):
    """A path, or the value of a header, query parameter or cookie, and how it is compared.

    `type` is Exact, RegularExpression or PathPrefix of the Gateway API, or Prefix, Suffix,
    Contains, Present, Range and Custom, which only Envoy has.
    """

    type: str
    value: str = ""
    name: str | UnsetType = UNSET
    invert: bool | UnsetType = UNSET
    ignore_case: bool | UnsetType = field(default=UNSET, name="ignoreCase")

    def __str__(self) -> str:
        """Return `x-user=7`, or the path with a mark of its kind."""
        mark = "!" if self.invert is True else ""
        if self.name is UNSET:
            return f"{_PATH_MARKS.get(self.type, self.type)}{self.value}"
        if self.type == "Present":
            return f"{mark}{self.name}"
        return f"{self.name}{mark}{_VALUE_MARKS.get(self.type, '=')}{self.value}"


_PATH_MARKS = {"Exact": "= ", "PathPrefix": "", "RegularExpression": "~ ", "Prefix": "^ "}
_VALUE_MARKS = {
    "RegularExpression": "~", "Prefix": "^=", "Suffix": "$=", "Contains": "*=", "Custom": "?",
}  # fmt: skip


class GrpcMethod(Struct, frozen=True, gc=False, omit_defaults=True):
    """The method of a GRPCRoute match; an empty part matches everything."""

    type: str
    service: str = ""
    method: str = ""

    def __str__(self) -> str:
        """Return `service/method`."""
        return f"{self.service or '*'}/{self.method or '*'}"


class Match(Struct, frozen=True, gc=False, omit_defaults=True):
    """What a request must be like, all of it."""

    path: Value | None = None
    method: str = ""
    grpc: GrpcMethod | None = None
    headers: tuple[Value, ...] = ()
    query_params: tuple[Value, ...] = field(default=(), name="queryParams")
    cookies: tuple[Value, ...] = ()
    other: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the match in one line."""
        if self.path is not None and not (
            self.method or self.headers or self.query_params or self.cookies or self.other
        ):
            return str(self.path)
        parts = [self.method] if self.method else []
        if self.grpc is not None:
            parts.append(str(self.grpc))
        elif self.path is not None:
            parts.append(str(self.path))
        parts += [str(header) for header in self.headers]
        parts += [f"?{parameter}" for parameter in self.query_params]
        parts += [f"cookie {cookie}" for cookie in self.cookies]
        parts += [f"({other})" for other in self.other]
        return " ".join(parts)


ANYTHING = Match(Value("PathPrefix", "/"))
_decode = msgspec.json.Decoder(_RouteMatch).decode


def match_of(raw: Raw, *, grpc: bool = False) -> Match:
    """Return a route's match in words; `grpc` if a GRPCRoute made it."""
    if not raw:
        return Match(other=("no match",))
    try:
        found = _decode(raw)
    except msgspec.MsgspecError as exc:
        return Match(other=(f"unreadable: {exc}",))
    path = _path(found)
    if path is None and found.connect_matcher:
        return Match(None, "CONNECT", other=_other(found)[1:])
    if not (found.headers or grpc or found.query_parameters or found.cookies):
        return Match(path, other=_other(found))
    if len(found.headers) == 1 and not (grpc or found.query_parameters or found.cookies):
        only = _header(found.headers[0])
        if only.name == ":method" and only.type == "Exact" and only.invert is UNSET:
            return Match(path, only.value, other=_other(found))
    method, headers = "", []
    call = _grpc(found) if grpc else None
    for header in found.headers:
        value = _header(header)
        if value.name == ":method" and value.type == "Exact" and value.invert is UNSET:
            method = value.value
        elif not (call and value.name == ":path" and value.type == "Suffix"):
            headers.append(value)
    return Match(
        None if call else path,
        method,
        call,
        tuple(headers),
        tuple(
            _value(entry.name, entry.string_match, entry.present_match)
            for entry in found.query_parameters
        ),
        tuple(
            _value(entry.name, entry.string_match, invert=entry.invert_match)
            for entry in found.cookies
        ),
        _other(found),
    )


def _path(found: _RouteMatch) -> Value | None:
    fold = UNSET if found.case_sensitive else True
    if found.path_separated_prefix is not None:
        return Value("PathPrefix", found.path_separated_prefix, ignore_case=fold)
    if found.path is not None:
        return Value("Exact", found.path, ignore_case=fold)
    if found.prefix is not None:
        kind = "PathPrefix" if found.prefix == "/" else "Prefix"
        return Value(kind, found.prefix, ignore_case=fold)
    if found.safe_regex is not None:
        return Value("RegularExpression", found.safe_regex.regex)
    return None


def _other(found: _RouteMatch) -> tuple[str, ...]:
    # an absent field is the very default object: seven truth tests for each route are too slow
    if (
        found.connect_matcher is EMPTY
        and found.path_match_policy is EMPTY
        and found.grpc is EMPTY
        and found.runtime_fraction is EMPTY
        and found.tls_context is EMPTY
        and found.dynamic_metadata is EMPTY
        and found.filter_state is EMPTY
    ):
        return ()
    return tuple(name for name in _OTHER if getattr(found, name))


def _grpc(found: _RouteMatch) -> GrpcMethod | None:
    """Return the method a GRPCRoute asked for, from the path Envoy Gateway made of it."""
    for header in found.headers:
        value = _header(header)
        if value.name == ":path" and value.type == "Suffix":
            return GrpcMethod("Exact", "", value.value.strip("/"))
    if found.path is not None:
        service, _, method = found.path.removeprefix("/").rpartition("/")
        return GrpcMethod("Exact", service, method)
    if found.path_separated_prefix is not None:
        return GrpcMethod("Exact", found.path_separated_prefix.strip("/"))
    if found.safe_regex is not None:
        service, _, method = found.safe_regex.regex.removeprefix("/").rpartition("/")
        return GrpcMethod("RegularExpression", service, method)
    return None


def _header(entry: _HeaderMatch) -> Value:
    invert = True if entry.invert_match else UNSET
    if entry.string_match is not None:
        return _value(entry.name, entry.string_match, invert=entry.invert_match)
    old = (
        ("Exact", entry.exact_match),
        ("Prefix", entry.prefix_match),
        ("Suffix", entry.suffix_match),
        ("Contains", entry.contains_match),
        ("RegularExpression", entry.safe_regex_match.regex if entry.safe_regex_match else None),
    )
    for kind, text in old:
        if text is not None:
            return Value(kind, text, entry.name, invert)
    if entry.range_match:
        return Value(
            "Range", bytes(entry.range_match).decode("utf-8", "replace"), entry.name, invert
        )
    return _value(entry.name, entry.string_match, entry.present_match, invert=entry.invert_match)


def _value(
    name: str,
    matcher: _StringMatch | None,
    present: bool | None = None,  # noqa: FBT001 - Envoy's three-valued field
    *,
    invert: bool = False,
) -> Value:
    inverted = True if invert else UNSET
    if matcher is None:
        absent = present is False
        return Value("Present", "", name, UNSET if absent == invert else True)
    fold = True if matcher.ignore_case else UNSET
    if matcher.exact is not None:
        return Value("Exact", matcher.exact, name, inverted, fold)
    if matcher.safe_regex is not None:
        return Value("RegularExpression", matcher.safe_regex.regex, name, inverted, fold)
    others = (
        ("Prefix", matcher.prefix),
        ("Suffix", matcher.suffix),
        ("Contains", matcher.contains),
    )
    for kind, text in others:
        if text is not None:
            return Value(kind, text, name, inverted, fold)
    return Value("Custom" if matcher.custom else "Exact", "", name, inverted, fold)
