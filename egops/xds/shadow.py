"""Routes that no request can reach, and routes that compete for the same requests.

Only what is proven is called unreachable: an earlier route takes every path and asks for no more
than the later one does. Everything is looked up in dictionaries, by path and by the set of
conditions, so the time grows with the number of routes and not with its square.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from egops.xds import paths
from egops.xds.match_predicates import share
from egops.xds.match_sample import samples
from egops.xds.match_table import literal_prefix
from egops.xds.match_text import regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egops.xds.match_specs import HeaderSpec, MatchSpec
    from egops.xds.match_table import Compiled
    from egops.xds.match_version import Behaviour
    from egops.xds.walk_manager import Manager

MOST_CONDITIONS = 8  # of one route, that all subsets are looked up of
MOST_REGEXES = 200  # earlier regular expressions that one path is tried on
MOST_RIVALS = 20  # routes with the same path that one route is compared with

KIND_ORDER = "Exact, then RegularExpression, then PathPrefix"

Condition = tuple[str, ...]
PathKey = tuple[str, str]


class Shadow(NamedTuple):
    """What stands in a route's way.

    `kind` is `never` (its own conditions can't be met), `equal`, `unreachable` (an earlier route
    takes all of its requests), `overlap` (some of them) or `may overlap`.
    """

    kind: str
    loser: Compiled
    winner: Compiled | None
    because: str


@dataclass(frozen=True)
class Facts:
    """A route's conditions in comparable form."""

    route: Compiled
    path: PathKey
    conditions: frozenset[Condition]
    opaque: bool  # has a condition that may fail for reasons no request shows


def facts(route: Compiled, how: Behaviour) -> Facts:
    """Return what a route asks for."""
    spec = route.spec
    conditions = {_header(header) for header in spec.headers}
    conditions |= {_encoded("query", parameter) for parameter in spec.query_parameters}
    conditions |= {_encoded("cookie", cookie) for cookie in spec.cookies}
    if spec.grpc:
        conditions.add(("grpc", "content-type"))
    opaque = bool(spec.dynamic_metadata or spec.filter_state or spec.tls_context)
    if spec.runtime_fraction is not None:
        opaque |= share(spec.runtime_fraction, how) < 1.0
    return Facts(route, path_key(spec), frozenset(conditions), opaque)


def path_key(spec: MatchSpec) -> PathKey:
    """Return the path condition as a kind and a value."""
    if spec.path is not None:
        kind, value = "path", spec.path
    elif spec.path_separated_prefix is not None:
        kind, value = "below", spec.path_separated_prefix
    elif spec.safe_regex is not None:
        return "regex", spec.safe_regex.regex
    elif spec.connect_matcher:  # the only one that takes requests without a path
        return "connect", ""
    elif spec.path_match_policy:
        return "other", bytes(spec.path_match_policy).decode()
    else:
        kind, value = "prefix", spec.prefix or ""
        if value in ("", "/"):  # every path begins so
            return "prefix", ""
    return (kind, value) if spec.case_sensitive else (f"{kind}, any case", value.lower())


def _header(spec: HeaderSpec) -> Condition:
    return _encoded("header", msgspec.structs.replace(spec, name=spec.name.lower()))


def _encoded(kind: str, spec: Any) -> Condition:
    return kind, spec.name, msgspec.json.encode(spec).decode()


def _weaker(condition: Condition) -> Iterator[Condition]:
    """Yield conditions that hold whenever this one does: a value means presence."""
    if len(condition) != 3:
        return
    kind, name, raw = condition
    spec = msgspec.json.decode(raw)
    if kind == "header" and not spec.get("treat_missing_header_as_empty"):
        inverted_presence = spec.get("invert_match") and spec.get("string_match") is None
        if spec.get("present_match") is not False and not inverted_presence:
            yield from _presence(kind, name)
    elif kind == "query" and spec.get("present_match") is not False:
        yield from _presence(kind, name)


def _presence(kind: str, name: str) -> Iterator[Condition]:
    from egops.xds.match_specs import HeaderSpec, QuerySpec  # noqa: PLC0415 - also a type above

    made = HeaderSpec if kind == "header" else QuerySpec
    yield _encoded(kind, made(name=name, present_match=True))
    yield _encoded(kind, made(name=name))


# ------------------------------------------------------------------ the analysis


class Seen:
    """The routes looked at so far: by path, and then by their conditions."""

    def __init__(self) -> None:
        """Start with none."""
        self.by_path: dict[PathKey, dict[frozenset[Condition], Facts]] = {}
        self.regexes: dict[bytes, list[Facts]] = {}
        self.lengths: set[int] = set()

    def add(self, entry: Facts) -> None:
        """Remember a route, unless an equal one came before."""
        if entry.opaque:
            return
        self.by_path.setdefault(entry.path, {}).setdefault(entry.conditions, entry)
        if entry.path[0] == "regex":
            self.regexes.setdefault(literal_prefix(entry.path[1]), []).append(entry)
        elif entry.path[0] == "prefix":
            self.lengths.add(len(entry.path[1]))

    def container(self, entry: Facts) -> Facts | None:
        """Return the first route that takes every request this one could take."""
        found: Facts | None = None
        wanted = _subsets(entry.conditions)
        for key in self._wider(entry.path):
            known = self.by_path.get(key)
            if not known:
                continue
            for subset in wanted if len(wanted) <= len(known) else list(known):
                other = known.get(subset)
                if other is None or not _implied(other.conditions, entry.conditions):
                    continue
                if found is None or other.route.index < found.route.index:
                    found = other
        return self._regex_container(entry, found)

    def _wider(self, path: PathKey) -> Iterator[PathKey]:
        """Yield the path conditions that hold for every path this one takes."""
        kind, value = path
        yield path
        if path != ("prefix", "") and kind != "connect":
            yield ("prefix", "")
        if kind in ("other", "connect") or kind.endswith("any case"):
            return
        fixed = literal_prefix(value).decode() if kind == "regex" else value
        for length in sorted(self.lengths):
            if 0 < length <= len(fixed) and ("prefix", fixed[:length]) != path:
                yield ("prefix", fixed[:length])
        if kind == "path":
            yield ("path, any case", value.lower())
        yield from _above(kind, fixed)

    def _regex_container(self, entry: Facts, found: Facts | None) -> Facts | None:
        """Return an earlier route whose regular expression takes the one path of this route."""
        kind, value = entry.path
        if kind != "path" or not self.regexes:
            return found
        raw = value.encode("utf-8")
        tried = 0
        for length in range(len(raw) + 1):
            for other in self.regexes.get(raw[:length], ()):
                if found is not None and other.route.index > found.route.index:
                    break
                tried += 1
                if tried > MOST_REGEXES:
                    return found
                compiled = regex(other.path[1])
                takes = compiled is not None and compiled.fullmatch(raw) is not None
                if takes and _implied(other.conditions, entry.conditions):
                    found = other
        return found


def _above(kind: str, fixed: str) -> Iterator[PathKey]:
    """Yield the path-separated prefixes that hold for a path condition."""
    at = len(fixed)
    if kind in ("path", "below"):
        if kind == "path":
            yield ("below", fixed)
    else:  # what follows the fixed text may still belong to its last segment
        at = fixed.rfind("/")
        if at > 0:
            yield ("below", fixed[:at])
    while (at := fixed.rfind("/", 0, max(at, 0))) > 0:
        yield ("below", fixed[:at])


def _subsets(conditions: frozenset[Condition]) -> list[frozenset[Condition]]:
    """Return the sets of conditions that these conditions imply."""
    pool = list(conditions)
    for condition in conditions:
        pool += [weak for weak in _weaker(condition) if weak not in pool]
    if len(pool) > MOST_CONDITIONS:
        pool = list(conditions)[:MOST_CONDITIONS]
    return [
        frozenset(chosen)
        for size in range(len(pool) + 1)
        for chosen in itertools.combinations(pool, size)
    ]


def _implied(wanted: frozenset[Condition], given: frozenset[Condition]) -> bool:
    if wanted <= given:
        return True
    weaker = {weak for condition in given for weak in _weaker(condition)}
    return wanted <= given | weaker


def shadows(
    routes: Iterable[Compiled], manager: Manager | None, how: Behaviour
) -> Iterator[Shadow]:
    """Yield what stands in the way of the routes of one virtual host, in the order of the table."""
    seen = Seen()
    rivals: dict[PathKey, list[Facts]] = {}
    for route in routes:
        entry = facts(route, how)
        if why := never(route.spec, manager, how):
            yield Shadow("never", route, None, why)
            continue
        winner = seen.container(entry)
        if winner is not None:
            same = (winner.path, winner.conditions) == (entry.path, entry.conditions)
            kind = "equal" if same else "unreachable"
            yield Shadow(kind, route, winner.route, _because(winner, entry))
            continue
        if not entry.opaque:
            yield from _rivals(entry, rivals.setdefault(entry.path, []))
            rivals[entry.path].append(entry)
        seen.add(entry)
    yield from _regex_rivals([e for entries in rivals.values() for e in entries])


def _because(winner: Facts, loser: Facts) -> str:
    if winner.path == loser.path:
        path = "it matches the same path"
    else:
        path = "it takes every path of this one"
    if winner.conditions == loser.conditions:
        return path + (" under the same conditions" if winner.conditions else "")
    return f"{path} and asks for less"


def _rivals(entry: Facts, others: list[Facts]) -> Iterator[Shadow]:
    """Yield earlier routes on the same path whose conditions can hold at the same time."""
    for other in others[:MOST_RIVALS]:
        if not _exclude(other.conditions, entry.conditions):
            yield Shadow("overlap", entry.route, other.route, "both match the same path")


def _exclude(first: frozenset[Condition], second: frozenset[Condition]) -> bool:
    """Return whether two sets of conditions can't hold together: one field, two exact values."""
    exact: dict[tuple[str, str], str] = {}
    for kind, name, *rest in first:
        if rest and (value := _exact_value(rest[0])) is not None:
            exact[kind, name] = value
    for kind, name, *rest in second:
        if (kind, name) in exact and (value := _exact_value(rest[0])) is not None:
            repeated = kind == "header" and not name.startswith(":")
            if value != exact[kind, name] and not repeated:
                return True
    return False


def _exact_value(raw: str) -> str | None:
    spec = msgspec.json.decode(raw)
    matcher = spec.get("string_match") or {}
    if spec.get("invert_match") or matcher.get("ignore_case"):
        return None
    value = matcher.get("exact")
    return value if isinstance(value, str) else None


def _regex_rivals(entries: list[Facts]) -> Iterator[Shadow]:
    """Yield pairs of regular expressions that some text matches both of."""
    found = [entry for entry in entries if entry.path[0] == "regex"]
    found.sort(key=lambda entry: entry.route.index)
    for number, entry in enumerate(found):
        texts = samples(entry.path[1])
        for other in found[max(0, number - MOST_RIVALS) : number]:
            if other.path == entry.path or _exclude(other.conditions, entry.conditions):
                continue
            compiled = regex(other.path[1])
            if compiled is None:
                continue
            for text in texts:
                if compiled.fullmatch(text.encode("utf-8")) is not None:
                    yield Shadow("may overlap", entry.route, other.route, f"both match {text}")
                    break


# ------------------------------------------------------------------ never


def never(spec: MatchSpec, manager: Manager | None, how: Behaviour) -> str:
    """Return why no request can fulfil a match at all, or nothing."""
    if spec.runtime_fraction is not None and share(spec.runtime_fraction, how) <= 0.0:
        return "its runtime_fraction lets nothing through"
    if manager is None:
        return ""
    action = manager.common_http_protocol_options.headers_with_underscores_action
    for header in spec.headers:
        needed = not header.invert_match and header.present_match is not False
        needed = needed and not header.treat_missing_header_as_empty
        if needed and "_" in header.name and action in ("REJECT_REQUEST", "DROP_HEADER"):
            return f"header {header.name} has an underscore, and Envoy lets none through"
    return _impossible_path(spec, manager, how)


def _impossible_path(spec: MatchSpec, manager: Manager, how: Behaviour) -> str:
    value = spec.path
    tails: tuple[str, ...] = ("",)
    if value is None:
        value, tails = spec.path_separated_prefix, ("", "/x")
    if value is None:
        value, tails = spec.prefix, ("", "x", "/x", "1")
    if value is None or not spec.case_sensitive:
        return ""
    if "?" in value or "#" in value:
        return f"no path has {'?' if '?' in value else '#'} in it"
    if any(_survives(f"{value}{tail}", manager, how) for tail in tails):
        return ""
    return f"Envoy changes the path before matching, so none is or starts with {value}"


def _survives(path: str, manager: Manager, how: Behaviour) -> bool:
    """Return whether a path can come out of Envoy's normalisation; true where it is not clear."""
    raw = path.encode("utf-8")
    if not raw.startswith(b"/"):
        return not raw  # an empty prefix
    if b";" in raw and b".." in raw:
        return True
    keep = ("KEEP_UNCHANGED", "IMPLEMENTATION_SPECIFIC_DEFAULT")
    if manager.path_with_escaped_slashes_action not in keep and paths.unescape_slashes(raw) != raw:
        return False
    if manager.enabled(how) and paths.normalize(raw, dot_parameters=how.dot_parameters) != raw:
        return False
    return not manager.merge_slashes or paths.merge_slashes(raw) == raw


# ------------------------------------------------------------------ precedence


def precedence(winner: Compiled, loser: Compiled) -> str:
    """Return the rule of the Gateway API by which one route stands before another."""
    for (name, better), (_, worse) in zip(_rank(winner.spec), _rank(loser.spec), strict=True):
        if better > worse:
            return f"the winner has {name}"
        if better < worse:
            return (
                f"none: the loser has {name}; the table is in user order (preserveRouteOrder), "
                "or somebody patched it"
            )
    return "equally specific: the older object first, then by namespace and name, then rule order"


def _rank(spec: MatchSpec) -> list[tuple[str, int]]:
    kinds = {"path": 3, "regex": 2, "below": 1, "prefix": 1}
    kind, value = path_key(spec)
    kind = kind.partition(",")[0]
    return [
        (f"the more specific kind of path ({KIND_ORDER})", kinds.get(kind, 0)),
        ("the longer path", len(value)),
        ("more header matches", len(spec.headers)),
        ("more cookie matches", len(spec.cookies)),
        ("more query parameter matches", len(spec.query_parameters)),
    ]  # fmt: skip
