"""Route tables: the virtual host of an authority, then the first route that matches.

Routes of a virtual host are found by their path, not one by one: exact paths and prefixes stand in
dictionaries, regular expressions under the literal text they start with. What the index offers is
still tested in full, in the order of the table, so the index can only save work.
"""

from __future__ import annotations

from bisect import insort
from functools import cached_property
from heapq import merge
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from egops.xds import paths
from egops.xds.match_predicates import Check, other_checks, path_check
from egops.xds.match_specs import MatchSpec
from egops.xds.match_tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egops.xds.config_dump import Route, RouteConfiguration, VirtualHost
    from egops.xds.match_request import Seen
    from egops.xds.match_version import Behaviour

_DECODE = msgspec.json.Decoder(MatchSpec)
NOTHING = MatchSpec()


def match_spec(route: Route) -> MatchSpec:
    """Return the decoded `match` of a route."""
    return _DECODE.decode(route.match) if route.match else NOTHING


class Compiled:
    """One route of a virtual host with its conditions, compiled when first tested."""

    __slots__ = ("_others", "how", "index", "path", "route", "spec")

    def __init__(self, index: int, route: Route, how: Behaviour) -> None:
        """Take the route and its place in the virtual host."""
        self.index = index
        self.route = route
        self.how = how
        self.path: Check | None = None
        try:
            self.spec = match_spec(route)
        except msgspec.MsgspecError as exc:
            self.spec, said = NOTHING, str(exc)
            self.path = Check("match", f"unreadable: {said}", _unknown, lambda seen: "")  # noqa: ARG005
        self._others: list[Check] | None = None

    @property
    def checks(self) -> Iterator[Check]:
        """Yield all conditions: the path first, then in Envoy's order."""
        if self.path is None:
            self.path = path_check(self.spec)
        yield self.path
        yield from self.others

    @property
    def others(self) -> list[Check]:
        """Return the conditions besides the path."""
        if self._others is None:
            self._others = other_checks(self.spec, self.how)
        return self._others

    def matches(self, seen: Seen) -> bool | None:
        """Return whether a request takes the route; None if only the running Envoy knows."""
        if self.path is None:
            self.path = path_check(self.spec)
        answer = self.path.test(seen)
        if answer is False:
            return False
        for check in self.others:
            one = check.test(seen)
            if one is False:
                return False
            if one is None:
                answer = None
        return answer

    def first_failure(self, seen: Seen) -> Check | None:
        """Return the first condition that does not hold, or None if the route matches."""
        return next((check for check in self.checks if check.test(seen) is False), None)


def _unknown(_seen: Seen) -> bool | None:
    return None


class Hit(NamedTuple):
    """What a table answers: the route that surely matches, and those before it that may.

    `unsure`: where a matcher tree leads to is not known, so any of its routes may.
    """

    route: Compiled | None
    maybe: tuple[Compiled, ...] = ()
    unsure: bool = False


class Host:
    """The routes of one virtual host, indexed when first asked."""

    def __init__(self, virtual_host: VirtualHost, how: Behaviour) -> None:
        """Take the virtual host; nothing is decoded yet."""
        self.virtual_host = virtual_host
        self.how = how
        self._built: _Index | None = None
        self._tree: Tree | None = None

    @property
    def index(self) -> _Index:
        """Return the index of its routes."""
        if self._built is None:
            self._built = _Index(self.virtual_host.routes, self.how)
        return self._built

    def find(self, seen: Seen) -> Hit:
        """Return the first route that matches; all that may match before it."""
        maybe: list[Compiled] = []
        if self.virtual_host.matcher:
            places = self._led_to(seen)
            if places is None:
                return Hit(None, tuple(self.index.compiled), unsure=True)
            candidates = iter([self.index.compiled[at] for at in places])
        else:
            candidates = self.index.candidates(seen)
        for route in candidates:
            answer = route.matches(seen)
            if answer:
                return Hit(route, tuple(maybe))
            if answer is None:
                maybe.append(route)
        return Hit(None, tuple(maybe))

    def _led_to(self, seen: Seen) -> tuple[int, ...] | None:
        """Return the places of the routes that the matcher tree leads to; None if not known."""
        if self._tree is None:
            self._tree = Tree(self.virtual_host.matcher)
        places = self._tree.places(seen)
        if places and places[-1] >= len(self.index.compiled):
            return None  # its routes could not be read
        return places


class _Index:
    """Routes by their path. Lists hold places in the table, in order."""

    def __init__(self, routes: list[Route], how: Behaviour) -> None:
        self.compiled = [Compiled(index, route, how) for index, route in enumerate(routes)]
        self.exact: dict[bytes, list[int]] = {}
        self.separated: dict[bytes, list[int]] = {}
        self.prefixes: dict[bytes, list[int]] = {}
        self.lengths: list[int] = []
        self.rest: list[int] = []
        for entry in self.compiled:
            self._file(entry)

    def _file(self, entry: Compiled) -> None:
        spec, at = entry.spec, entry.index
        if not spec.case_sensitive and spec.safe_regex is None:
            self.rest.append(at)
        elif spec.path is not None:
            self.exact.setdefault(spec.path.encode("utf-8"), []).append(at)
        elif spec.path_separated_prefix is not None:
            self.separated.setdefault(spec.path_separated_prefix.encode("utf-8"), []).append(at)
        elif spec.prefix is not None:
            self._file_prefix(spec.prefix.encode("utf-8"), at)
        elif spec.safe_regex is not None and (literal := literal_prefix(spec.safe_regex.regex)):
            self._file_prefix(literal, at)
        else:
            self.rest.append(at)

    def _file_prefix(self, prefix: bytes, at: int) -> None:
        if prefix not in self.prefixes:
            self.prefixes[prefix] = []
            if len(prefix) not in self.lengths:
                insort(self.lengths, len(prefix))
        self.prefixes[prefix].append(at)

    @cached_property
    def by_path(self) -> list[tuple[str, int]]:
        """Return path values with their places, sorted by path."""
        return sorted(
            (spec.path or spec.path_separated_prefix or spec.prefix or "", entry.index)
            for entry in self.compiled
            for spec in (entry.spec,)
        )

    def candidates(self, seen: Seen) -> Iterator[Compiled]:
        """Yield the routes whose path may match, in the order of the table."""
        bare = seen.bare
        lists = [self.rest] if self.rest else []
        if found := self.exact.get(bare):
            lists.append(found)
        if self.separated:
            lists += self._below(bare)
        size = len(bare)
        for length in self.lengths:
            if length > size:
                break
            if found := self.prefixes.get(bare[:length]):
                lists.append(found)
        ordered: Iterable[int] = lists[0] if len(lists) == 1 else merge(*lists)
        compiled = self.compiled
        for at in ordered:
            yield compiled[at]

    def _below(self, bare: bytes) -> list[list[int]]:
        lists = []
        at = len(bare)
        while at >= 0:
            if found := self.separated.get(bare[:at]):
                lists.append(found)
            at = bare.rfind(b"/", 0, at)
        return lists


_META = frozenset("\\^$.|?*+()[]{}")


def literal_prefix(pattern: str) -> bytes:
    """Return text that every full match of an expression must start with; may be empty."""
    pattern = pattern.removeprefix("^")
    if "|" in pattern or "(?" in pattern:
        return b""
    at, out = 0, []
    while at < len(pattern):
        char = pattern[at]
        if char == "\\" and at + 1 < len(pattern) and not pattern[at + 1].isalnum():
            char, at = pattern[at + 1], at + 1
        elif char in _META:
            break
        out.append(char)
        at += 1
    if at < len(pattern) and pattern[at] in "?*+{" and out:
        out.pop()
    return "".join(out).encode("utf-8")


class Table:
    """One route configuration: virtual hosts by domain."""

    def __init__(self, config: RouteConfiguration, how: Behaviour) -> None:
        """Take the configuration; the routes stay undecoded until a host is asked."""
        self.config = config
        self.how = how
        self.exact: dict[bytes, Host] = {}
        self.suffixes: dict[int, dict[bytes, Host]] = {}
        self.prefixes: dict[int, dict[bytes, Host]] = {}
        self.default: Host | None = None
        self.hosts = [Host(virtual_host, how) for virtual_host in config.virtual_hosts]
        for host in self.hosts:
            for domain in host.virtual_host.domains:
                self._file(domain.lower().encode("utf-8"), host)
        self._suffix_lengths = sorted(self.suffixes, reverse=True)
        self._prefix_lengths = sorted(self.prefixes, reverse=True)

    def _file(self, domain: bytes, host: Host) -> None:
        if domain == b"*":
            self.default = self.default or host
        elif domain.startswith(b"*"):
            self.suffixes.setdefault(len(domain) - 1, {}).setdefault(domain[1:], host)
        elif domain.endswith(b"*"):
            self.prefixes.setdefault(len(domain) - 1, {}).setdefault(domain[:-1], host)
        else:
            self.exact.setdefault(domain, host)

    @property
    def only_default(self) -> bool:
        """Return whether the table has no named host, so that the authority is never looked at."""
        return not (self.exact or self.suffixes or self.prefixes)

    def host_for(self, authority: bytes) -> Host | None:
        """Return the virtual host of an authority."""
        if self.only_default:
            return self.default
        host = self.host_name(authority)
        if found := self.exact.get(host):
            return found
        size = len(host)
        for length in self._suffix_lengths:
            if length < size and (found := self.suffixes[length].get(host[size - length :])):
                return found
        for length in self._prefix_lengths:
            if length < size and (found := self.prefixes[length].get(host[:length])):
                return found
        return self.default

    def host_name(self, authority: bytes) -> bytes:
        """Return what the virtual hosts' domains are compared with."""
        if self.config.ignore_port_in_host_matching:
            authority = without_port(authority)
        return authority.lower()

    def bare_path(self, path: bytes) -> bytes:
        """Return what path matchers compare: no query, no parameters if the table says so."""
        bare = paths.split_query(path)[0]
        if self.config.ignore_path_parameters_in_path_matching:
            return paths.strip_parameters(bare, per_segment=self.how.segment_parameters)
        return bare


def port_start(authority: bytes) -> int:
    """Return where `:port` begins, or -1; whether digits follow does not matter."""
    at = authority.rfind(b":")
    return at if at >= 0 and authority.rfind(b"]") < at else -1


def without_port(authority: bytes) -> bytes:
    """Return the authority without `:port`."""
    at = port_start(authority)
    return authority if at < 0 else authority[:at]
