"""One route's conditions, compiled: the path first, then the rest in the order Envoy asks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from egops.xds.config_dump import plain
from egops.xds.match_request import decode
from egops.xds.match_specs import HeaderSpec, MatchSpec, StringSpec
from egops.xds.match_template import template_regex
from egops.xds.match_text import Test, describe, full_match, string_test
from egops.xds.paths import split_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from egops.xds.match_request import Seen
    from egops.xds.match_specs import CookieSpec, FractionSpec, QuerySpec, TlsSpec
    from egops.xds.match_version import Behaviour

DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}


class Check:
    """One condition: `test` tells True, False, or None for what only the running Envoy knows."""

    __slots__ = ("actual", "expected", "predicate", "test")

    def __init__(
        self,
        predicate: str,
        expected: str,
        test: Callable[[Seen], bool | None],
        actual: Callable[[Seen], str],
    ) -> None:
        """Take the condition's name, what it wants, the test, and what a request has instead."""
        self.predicate = predicate
        self.expected = expected
        self.test = test
        self.actual = actual


# ------------------------------------------------------------------ paths


def path_check(spec: MatchSpec) -> Check:
    """Return the condition on the path."""
    if spec.path is not None:
        return _exact(spec.path.encode("utf-8"), spec)
    if spec.path_separated_prefix is not None:
        return _separated(spec.path_separated_prefix.encode("utf-8"), spec)
    if spec.safe_regex is not None:
        return _regex("path regex", spec.safe_regex.regex)
    if spec.path_match_policy:
        return _policy(plain(spec.path_match_policy))
    if spec.connect_matcher:
        return Check("method", "is CONNECT", lambda seen: seen.method == b"CONNECT", _method)
    return _prefix((spec.prefix or "").encode("utf-8"), spec)


def _method(seen: Seen) -> str:
    return decode(seen.method)


def _bare(seen: Seen) -> str:
    return decode(seen.bare)


def _any_case(spec: MatchSpec) -> str:
    return "" if spec.case_sensitive else " (any case)"


def _exact(value: bytes, spec: MatchSpec) -> Check:
    if spec.case_sensitive:
        test: Callable[[Seen], bool] = lambda seen: bool(seen.path) and seen.bare == value  # noqa: E731
    else:
        low = value.lower()
        test = lambda seen: bool(seen.path) and seen.bare.lower() == low  # noqa: E731
    return Check("path", f"is {decode(value)}{_any_case(spec)}", test, _bare)


def _prefix(value: bytes, spec: MatchSpec) -> Check:
    if spec.case_sensitive:
        test: Callable[[Seen], bool] = lambda seen: bool(seen.path) and seen.bare.startswith(value)  # noqa: E731
    else:
        low = value.lower()
        test = lambda seen: bool(seen.path) and seen.bare.lower().startswith(low)  # noqa: E731
    return Check("path", f"starts with {decode(value)}{_any_case(spec)}", test, _bare)


def _separated(value: bytes, spec: MatchSpec) -> Check:
    size, want = len(value), value if spec.case_sensitive else value.lower()

    def test(seen: Seen) -> bool:
        bare = seen.bare if spec.case_sensitive else seen.bare.lower()
        return bare.startswith(want) and (len(bare) == size or bare[size] == 0x2F)

    return Check("path", f"is {decode(value)} or below it{_any_case(spec)}", test, _bare)


def _regex(name: str, pattern: str) -> Check:
    matches = full_match(pattern)

    def test(seen: Seen) -> bool | None:
        return matches(seen.bare) if seen.path else False

    return Check(name, f"matches the regex {pattern} as a whole", test, _bare)


def _policy(policy: Any) -> Check:
    config = policy.get("typed_config") if isinstance(policy, dict) else None
    template = config.get("path_template") if isinstance(config, dict) else None
    expression = template_regex(template) if isinstance(template, str) else None
    if expression is None:
        name = policy.get("name", "") if isinstance(policy, dict) else ""
        return Check("path", f"satisfies the extension {name}", lambda seen: None, _bare)  # noqa: ARG005
    matches = full_match(expression)

    def test(seen: Seen) -> bool | None:
        # templates look at the path as it is, even where a table ignores path parameters
        return matches(split_query(seen.path)[0]) if seen.path else False

    return Check("path template", f"fits the template {template}", test, _bare)


# ------------------------------------------------------------------ everything else


def other_checks(spec: MatchSpec, how: Behaviour) -> list[Check]:
    """Return the conditions besides the path, in the order Envoy asks them."""
    found: list[Check] = []
    if spec.runtime_fraction is not None:
        found.append(_fraction(spec.runtime_fraction, how))
    if spec.grpc:
        kind = "content-type is application/grpc"
        found.append(Check("grpc", kind, lambda seen: seen.is_grpc, _content_type))
    found += [header_check(header, each_line=how.each_header_line) for header in spec.headers]
    found += [_query(parameter) for parameter in spec.query_parameters]
    found += [_cookie(cookie) for cookie in spec.cookies]
    if spec.tls_context is not None:
        found.append(_tls(spec.tls_context))
    found += [_metadata(plain(entry)) for entry in spec.dynamic_metadata]
    found += [_filter_state(plain(entry)) for entry in spec.filter_state]
    return found


def _content_type(seen: Seen) -> str:
    return decode(seen.fields.one(b"content-type")) or "(absent)"


def share(spec: FractionSpec, how: Behaviour) -> float:
    """Return how much of the traffic a runtime fraction lets match, 0.0 to 1.0."""
    value = how.runtime.get(spec.runtime_key) if spec.runtime_key else None
    if isinstance(value, dict):
        numerator = value.get("numerator", 0)
        of = DENOMINATORS.get(value.get("denominator", "HUNDRED"), 100)
        return min(1.0, float(numerator) / of)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return min(1.0, value / 100)
    default = spec.default_value
    return min(1.0, default.numerator / DENOMINATORS.get(default.denominator, 100))


def _fraction(spec: FractionSpec, how: Behaviour) -> Check:
    part = share(spec, how)
    answer = True if part >= 1.0 else False if part <= 0.0 else None
    key = f" ({spec.runtime_key})" if spec.runtime_key else ""
    return Check(
        "runtime_fraction", f"{part:.4%} of requests{key}", lambda seen: answer, lambda seen: "by lot"  # noqa: ARG005, E501
    )  # fmt: skip


def header_check(spec: HeaderSpec, *, each_line: bool) -> Check:
    """Return the condition on a header field."""
    name = spec.name.lower().encode("utf-8")
    if name == b"host":
        name = b":authority"
    words, test = _header_value(spec)
    label = f"header {spec.name}"
    if test is None:
        wants = (spec.present_match is not False) != spec.invert_match
        if spec.treat_missing_header_as_empty:
            return Check(label, words, lambda seen: wants, _line(name))  # noqa: ARG005
        return Check(label, words, lambda seen: (name in seen.fields.lines) == wants, _line(name))
    return Check(label, words, _value_test(name, spec, test, each_line), _line(name))


def _value_test(
    name: bytes, spec: HeaderSpec, test: Test, each_line: bool  # noqa: FBT001 - private
) -> Callable[[Seen], bool | None]:  # fmt: skip
    invert = spec.invert_match
    missing = [b""] if spec.treat_missing_header_as_empty else None

    def check(seen: Seen) -> bool | None:
        fields = seen.fields
        lines = fields.lines.get(name, missing)
        if lines is None:
            return False
        if fields.unsure and name in fields.unsure:
            return None
        if len(lines) == 1:
            found = test(lines[0])
        elif each_line:
            found = _any(test, lines)
        else:
            found = test(b",".join(lines))
        return None if found is None else found != invert

    return check


def _any(test: Test, lines: list[bytes]) -> bool | None:
    answers = [test(line) for line in lines]
    return True if True in answers else None if None in answers else False


def _line(name: bytes) -> Callable[[Seen], str]:
    def actual(seen: Seen) -> str:
        lines = seen.fields.lines.get(name)
        if lines is None:
            return "(absent)"
        if name in seen.fields.unsure:
            return "(set by Envoy)"
        if name in SECRET_FIELDS:
            return "(hidden)"
        return decode(b", ".join(lines))

    return actual


SECRET_FIELDS = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"x-api-key"})


def _header_value(spec: HeaderSpec) -> tuple[str, Test | None]:
    """Return the condition in words and its test on a value; None if presence decides."""
    no = "not: " if spec.invert_match else ""
    empty = ", absent counts as empty" if spec.treat_missing_header_as_empty else ""
    if spec.range_match is not None:
        start, end = int(spec.range_match.start), int(spec.range_match.end)
        return f"{no}is a number from {start} to {end - 1}{empty}", _range(start, end)
    matcher = spec.string_match or _legacy(spec)
    if matcher is None:
        words = "absent" if (spec.present_match is False) != spec.invert_match else "present"
        return f"is {words}", None
    if spec.string_match is None and spec.exact_match == "":
        return f"{no}has any value{empty}", lambda text: True  # noqa: ARG005
    return f"{no}{describe(matcher)}{empty}", string_test(matcher)


def _legacy(spec: HeaderSpec) -> StringSpec | None:
    if spec.safe_regex_match is not None:
        return StringSpec(safe_regex=spec.safe_regex_match)
    values = (spec.exact_match, spec.prefix_match, spec.suffix_match, spec.contains_match)
    if all(value is None for value in values):
        return None
    exact, prefix, suffix, contains = values
    return StringSpec(exact=exact, prefix=prefix, suffix=suffix, contains=contains)


def _range(start: int, end: int) -> Test:
    def test(text: bytes) -> bool:
        number = integer(text)
        return number is not None and start <= number < end

    return test


def integer(text: bytes) -> int | None:
    """Return the number that Envoy reads in a field: decimal, signed, 64 bits, blanks around."""
    text = text.strip(b" \t\n\v\f\r")
    digits = text[1:] if text[:1] in (b"-", b"+") else text
    if not digits.isdigit():
        return None
    number = int(text)
    return number if -(1 << 63) <= number < 1 << 63 else None


def _query(spec: QuerySpec) -> Check:
    name = spec.name.encode("utf-8")
    label = f"query parameter {spec.name}"

    def actual(seen: Seen) -> str:
        value = seen.query.get(name)
        return "(absent)" if value is None else decode(value)

    if spec.string_match is None:
        wants = spec.present_match is not False
        words = "is present" if wants else "is absent"
        return Check(label, words, lambda seen: (name in seen.query) == wants, actual)
    test = string_test(spec.string_match)

    def check(seen: Seen) -> bool | None:
        value = seen.query.get(name)
        return False if value is None else test(value)

    return Check(label, describe(spec.string_match), check, actual)


def _cookie(spec: CookieSpec) -> Check:
    name = spec.name.encode("utf-8")
    matcher = spec.string_match or StringSpec()
    test = string_test(matcher)

    def check(seen: Seen) -> bool | None:
        value = seen.cookies.get(name)
        found = False if value is None else test(value)
        return None if found is None else found != spec.invert_match

    no = "not: " if spec.invert_match else ""
    return Check(
        f"cookie {spec.name}",
        f"{no}{describe(matcher)}",
        check,
        lambda seen: "(other value)" if name in seen.cookies else "(absent)",
    )


def _tls(spec: TlsSpec) -> Check:
    def check(seen: Seen) -> bool | None:
        answer: bool | None = True
        for wanted in (spec.presented, spec.validated):
            if wanted is None:
                continue
            if seen.client_certificate is None:
                answer = None
            elif wanted != seen.client_certificate:
                return False
        return answer

    words = [
        f"{'' if wanted else 'not '}{name}"
        for name, wanted in (("presented", spec.presented), ("validated", spec.validated))
        if wanted is not None
    ]
    return Check("tls_context", f"client certificate {', '.join(words)}", check, _certificate)


def _certificate(seen: Seen) -> str:
    return "depends on the client" if seen.client_certificate is None else "no client certificate"


def _metadata(spec: Any) -> Check:
    spec = spec if isinstance(spec, dict) else {}
    empty = bool(spec.get("invert", False)) != _matches_nothing(spec.get("value"))
    label = f"dynamic_metadata {spec.get('filter', '')}"
    return Check(
        label, msgspec.json.encode(spec).decode(), lambda seen: empty if seen.metadata_empty else None, _nothing  # noqa: E501
    )  # fmt: skip


def _matches_nothing(value: Any) -> bool:
    """Return whether a ValueMatcher holds for a value that is not there."""
    if not isinstance(value, dict):
        return False
    if "null_match" in value:
        return False
    if "or_match" in value:
        return any(map(_matches_nothing, value["or_match"].get("value_matchers", [])))
    return value.get("present_match") is False


def _filter_state(spec: Any) -> Check:
    key = spec.get("key", "") if isinstance(spec, dict) else ""
    return Check(
        f"filter_state {key}",
        msgspec.json.encode(spec).decode(),
        lambda seen: False if seen.metadata_empty else None,
        _nothing,
    )


def _nothing(seen: Seen) -> str:
    return "(nothing set)" if seen.metadata_empty else "set by filters"
