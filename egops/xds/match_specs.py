"""The parts of Envoy's route API that decide a match, as typed structs."""

from __future__ import annotations

from msgspec import Raw, Struct

from egops.xds.config_dump import EMPTY


class RegexSpec(Struct, frozen=True, gc=False, omit_defaults=True):
    """`type.matcher.v3.RegexMatcher`."""

    regex: str = ""


class StringSpec(Struct, frozen=True, gc=False, omit_defaults=True):
    """`type.matcher.v3.StringMatcher`: exactly one of the patterns is set."""

    exact: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    contains: str | None = None
    safe_regex: RegexSpec | None = None
    custom: Raw = EMPTY
    ignore_case: bool = False


class RangeSpec(Struct, frozen=True, gc=False, omit_defaults=True):
    """`type.v3.Int64Range`: start included, end not; protobuf writes int64 as strings."""

    start: int | str = 0
    end: int | str = 0


class HeaderSpec(Struct, frozen=True, gc=False, omit_defaults=True):
    """`config.route.v3.HeaderMatcher`, with its deprecated forms."""

    name: str = ""
    string_match: StringSpec | None = None
    present_match: bool | None = None
    range_match: RangeSpec | None = None
    exact_match: str | None = None
    prefix_match: str | None = None
    suffix_match: str | None = None
    contains_match: str | None = None
    safe_regex_match: RegexSpec | None = None
    invert_match: bool = False
    treat_missing_header_as_empty: bool = False


class QuerySpec(Struct, frozen=True, gc=False, omit_defaults=True):
    """`config.route.v3.QueryParameterMatcher`."""

    name: str = ""
    string_match: StringSpec | None = None
    present_match: bool | None = None


class CookieSpec(Struct, frozen=True, gc=False, omit_defaults=True):
    """`config.route.v3.CookieMatcher`."""

    name: str = ""
    string_match: StringSpec | None = None
    invert_match: bool = False


class TlsSpec(Struct, frozen=True, gc=False, omit_defaults=True):
    """`RouteMatch.TlsContextMatchOptions`."""

    presented: bool | None = None
    validated: bool | None = None


class PercentSpec(Struct, frozen=True, gc=False, omit_defaults=True):
    """`type.v3.FractionalPercent`."""

    numerator: int = 0
    denominator: str = "HUNDRED"


class FractionSpec(Struct, frozen=True, gc=False, omit_defaults=True):
    """`core.v3.RuntimeFractionalPercent`."""

    default_value: PercentSpec = PercentSpec()
    runtime_key: str = ""


class MatchSpec(Struct, frozen=True, gc=False, omit_defaults=True):
    """`config.route.v3.RouteMatch`."""

    prefix: str | None = None
    path: str | None = None
    safe_regex: RegexSpec | None = None
    path_separated_prefix: str | None = None
    connect_matcher: Raw = EMPTY
    path_match_policy: Raw = EMPTY
    case_sensitive: bool = True
    runtime_fraction: FractionSpec | None = None
    headers: list[HeaderSpec] = []
    query_parameters: list[QuerySpec] = []
    cookies: list[CookieSpec] = []
    grpc: Raw = EMPTY
    tls_context: TlsSpec | None = None
    dynamic_metadata: list[Raw] = []
    filter_state: list[Raw] = []
