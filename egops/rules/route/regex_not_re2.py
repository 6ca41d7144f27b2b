"""EGD-250 regex-not-re2."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egops.finding import Confidence, Problem, Severity
from egops.gatewayapi import (
    BACKEND_TRAFFIC_POLICY,
    GATEWAY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    HTTP_ROUTE_FILTER,
    OURS,
    our_routes,
    rules_of,
)
from egops.rules import rule
from egops.snapshot import Path, items, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from egops.snapshot import Resource, Snapshot


class Pattern(NamedTuple):
    """A regular expression, where it is written and what it is matched with."""

    resource: Resource
    path: Path
    text: str
    what: str


@rule(
    code="EGD-250",
    severity=Severity.WARNING,
    reads=(HTTP_ROUTE, GATEWAY),
    optional=(*OURS, GRPC_ROUTE, HTTP_ROUTE_FILTER, BACKEND_TRAFFIC_POLICY),
    since="0.1",
    ok="Envoy can compile every regular expression of a route",
)
def regex_not_re2(snapshot: Snapshot) -> Iterator[Problem]:
    """A regular expression is none that Envoy can compile, or is a shell pattern by mistake.

    ## Why it matters
    Envoy uses RE2: lookaround, backreferences and possessive quantifiers do not exist. Envoy
    Gateway refuses such a rule, and what it lets through Envoy refuses, the whole route table
    with it. A shell pattern such as `/api/*` compiles but means something else: `/api` and any
    number of slashes.

    ## How to fix it
    Write the expression in RE2 syntax. It must match the whole value: `/api/.*`, not `/api/*`.
    Where a prefix or an exact value is meant, use that type instead.
    """
    compiled: dict[str, str] = {}
    for pattern in _patterns(snapshot):
        if pattern.text not in compiled:
            compiled[pattern.text] = _error(pattern.text)
        if error := compiled[pattern.text]:
            yield Problem(
                pattern.resource.at(*pattern.path),
                f"Envoy cannot compile the {pattern.what} expression {pattern.text}",
                evidence=(f"RE2: {error}",),
                why=_cause(pattern.text, error),
                remedy=("rewrite it in RE2 syntax, or split it into several matches",),
                explains=("EGD-240", "EGD-441"),
                explains_refs=(str(pattern.resource.ref),),
            )
        elif _is_glob(pattern):
            yield Problem(
                pattern.resource.at(*pattern.path),
                f"the {pattern.what} expression {pattern.text} is a shell pattern",
                why=f"as an expression it matches {pattern.text[:-2]} and slashes, nothing below",
                remedy=(f"write {pattern.text[:-1]}.*, or use type PathPrefix",),
                confidence=Confidence.MEDIUM,
            )


def _patterns(snapshot: Snapshot) -> Iterator[Pattern]:
    for route in our_routes(snapshot, HTTP_ROUTE, GRPC_ROUTE):
        for _, entry in rules_of(route):
            for index, match in items(entry.body, "matches"):
                yield from _of_match(route, (*entry.path, "matches", index), match)
    for found in snapshot.all(HTTP_ROUTE_FILTER):
        path = ("urlRewrite", "path", "replaceRegexMatch", "pattern")
        if written := text(found.spec, *path):
            yield Pattern(found, ("spec", *path), written, "rewrite")
    for policy in snapshot.all(BACKEND_TRAFFIC_POLICY):
        yield from _of_rate_limits(policy)


def _of_match(route: Resource, path: Path, match: Any) -> Iterator[Pattern]:
    if text(match, "path", "type") == "RegularExpression":
        yield Pattern(route, (*path, "path", "value"), text(match, "path", "value"), "path")
    method = section(match, "method")
    if text(method, "type") == "RegularExpression":
        for field in ("service", "method"):
            if text(method, field):
                yield Pattern(route, (*path, "method", field), text(method, field), field)
    for field, what in (("headers", "header"), ("queryParams", "query parameter")):
        for index, entry in items(match, field):
            if text(entry, "type") == "RegularExpression":
                yield Pattern(route, (*path, field, index, "value"), text(entry, "value"), what)


def _of_rate_limits(policy: Resource) -> Iterator[Pattern]:
    for scope in ("global", "local"):
        for rule_index, limit in items(policy.spec, "rateLimit", scope, "rules"):
            for index, selector in items(limit, "clientSelectors"):
                for header, entry in items(selector, "headers"):
                    if text(entry, "type") == "RegularExpression":
                        path: Path = (
                            "spec", "rateLimit", scope, "rules", rule_index, "clientSelectors",
                            index, "headers", header, "value",
                        )  # fmt: skip
                        yield Pattern(policy, path, text(entry, "value"), "rate limit header")


def _error(pattern: str) -> str:
    """Return what RE2 says against a pattern, compiled as Envoy does; empty if nothing."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options=options)
    except re2.error as exc:
        raw = exc.args[0] if exc.args else exc
        return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    return ""


def _cause(pattern: str, error: str) -> str:
    for mark, what in (
        ("(?=", "lookahead"), ("(?!", "lookahead"), ("(?<=", "lookbehind"), ("(?<!", "lookbehind"),
        ("(?>", "atomic group"),
    ):  # fmt: skip
        if mark in pattern:
            return f"RE2 has no {what} ({mark})"
    if pattern.startswith("*"):
        return "it looks like a shell pattern: nothing stands before the *"
    if "escape sequence" in error:
        return "RE2 has no backreferences and not every escape"
    return "RE2 does not know this syntax"


def _is_glob(pattern: Pattern) -> bool:
    if pattern.what != "path" or not pattern.text.endswith("/*") or len(pattern.text) < 3:
        return False
    return not any(mark in pattern.text[:-1] for mark in "*+?[](){}|^$\\")
