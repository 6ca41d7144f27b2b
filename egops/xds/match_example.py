"""Requests that fulfil given route matches: what `shadowed`, `diff` and `test --record` show.

Nothing here decides: whoever asks verifies the example with the walker.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from egops.xds.config_dump import plain
from egops.xds.match_request import Request
from egops.xds.match_sample import samples
from egops.xds.match_template import template_regex

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egops.xds.match_specs import HeaderSpec, MatchSpec, StringSpec

LIMIT = 24


@dataclass
class Sketch:
    """A request in the making."""

    method: str = "GET"
    path: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    authority: str = ""

    def request(self, *, scheme: str, listener: str) -> Request:
        """Return the request."""
        query = "&".join(f"{name}={value}" for name, value in self.query.items())
        headers = dict(self.headers)
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        target = f"{self.path}?{query}" if query else self.path
        return Request(
            method=self.method.encode("utf-8"),
            target=target.encode("utf-8"),
            authority=self.authority.encode("utf-8"),
            headers=tuple((k.encode("utf-8"), v.encode("utf-8")) for k, v in headers.items()),
            scheme=scheme,
            listener=listener,
        )


def authority_of(domain: str) -> str:
    """Return a host that a domain of a virtual host takes."""
    if domain == "*":
        return "any.example"
    if domain.startswith("*"):
        return f"any{domain[1:]}" if domain[1:2] == "." else f"any-{domain[1:].lstrip('-')}"
    return f"{domain[:-1]}example" if domain.endswith("*") else domain


def sketches(specs: Sequence[MatchSpec], domain: str) -> Iterator[Sketch]:
    """Yield requests that may fulfil all of the matches at once, likeliest first."""
    authority = authority_of(domain)
    for path in itertools.islice(_paths(specs), LIMIT):
        sketch = Sketch(path=path, authority=authority)
        for spec in specs:
            _fulfil(spec, sketch)
        yield sketch


def _paths(specs: Sequence[MatchSpec]) -> Iterator[str]:
    """Yield paths, from the narrowest matcher to the widest."""
    exact = [spec.path for spec in specs if spec.path is not None]
    if exact:
        yield from exact
        return
    regexes = [spec.safe_regex.regex for spec in specs if spec.safe_regex is not None]
    prefixes = sorted(
        (spec.path_separated_prefix or spec.prefix or "" for spec in specs), key=len, reverse=True
    )
    longest = prefixes[0] if prefixes else ""
    for pattern in (*regexes, *_templates(specs)):
        for text in samples(pattern):
            yield text
            if longest and not text.startswith(longest):
                yield longest.rstrip("/") + text
    base = longest or "/"
    yield base if base.startswith("/") else f"/{base}"
    yield base.rstrip("/") + "/x"
    for header in itertools.chain.from_iterable(spec.headers for spec in specs):
        if header.name == ":path" and header.string_match and header.string_match.suffix:
            yield base.rstrip("/") + header.string_match.suffix


def _templates(specs: Sequence[MatchSpec]) -> Iterator[str]:
    for spec in specs:
        if not spec.path_match_policy:
            continue
        template = plain(spec.path_match_policy).get("typed_config", {}).get("path_template")
        if isinstance(template, str) and (made := template_regex(template)):
            yield re.sub(r"\?P<\w+>", "", made)


def _fulfil(spec: MatchSpec, sketch: Sketch) -> None:
    if spec.grpc:
        sketch.headers["content-type"] = "application/grpc"
        sketch.method = "POST"
    for header in spec.headers:
        _fulfil_header(header, sketch)
    for parameter in spec.query_parameters:
        if parameter.string_match is not None:
            sketch.query[parameter.name] = value_for(parameter.string_match)
        elif parameter.present_match is not False:
            sketch.query.setdefault(parameter.name, "1")
    for cookie in spec.cookies:
        if not cookie.invert_match and cookie.string_match is not None:
            sketch.cookies[cookie.name] = value_for(cookie.string_match)


def _fulfil_header(spec: HeaderSpec, sketch: Sketch) -> None:
    name = spec.name.lower()
    value = _header_value(spec)
    if name == ":method":
        _fulfil_method(spec, value, sketch)
    elif name in (":authority", "host"):
        if value is not None and not spec.invert_match:
            sketch.authority = value
    elif not name.startswith(":"):
        _fulfil_field(spec, name, value, sketch)


def _fulfil_method(spec: HeaderSpec, value: str | None, sketch: Sketch) -> None:
    if value is not None and not spec.invert_match:
        sketch.method = value
    elif spec.invert_match and sketch.method == value:
        sketch.method = "POST" if value != "POST" else "GET"


def _fulfil_field(spec: HeaderSpec, name: str, value: str | None, sketch: Sketch) -> None:
    if spec.invert_match:
        # absent fulfils only inverted presence; any other inverted matcher wants another value
        if value is not None and not spec.treat_missing_header_as_empty:
            sketch.headers.setdefault(name, f"not-{value}")
        elif spec.present_match is False:
            sketch.headers.setdefault(name, "1")
    elif value is not None:
        sketch.headers[name] = value
    elif spec.present_match is not False:
        sketch.headers.setdefault(name, "1")


def _header_value(spec: HeaderSpec) -> str | None:
    if spec.range_match is not None:
        return str(spec.range_match.start)
    if spec.string_match is not None:
        return value_for(spec.string_match)
    for value in (spec.exact_match, spec.prefix_match, spec.suffix_match, spec.contains_match):
        if value is not None:
            return value
    if spec.safe_regex_match is not None:
        return next(iter(samples(spec.safe_regex_match.regex)), "")
    return None


def value_for(spec: StringSpec) -> str:
    """Return a value that a StringMatcher takes."""
    for value in (spec.exact, spec.prefix, spec.suffix, spec.contains):
        if value is not None:
            return value
    if spec.safe_regex is not None:
        found = samples(spec.safe_regex.regex)
        return next((text for text in found if text), "" if found else "x")
    return ""
