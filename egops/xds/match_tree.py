"""Virtual hosts that choose their routes with a matcher tree (`xds.type.matcher.v3.Matcher`).

A tree leads to routes, by a list of predicates or by a map of values; what it leads to must still
match like any other route. A branch that leads nowhere is left again, and the next one tried.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Any

import msgspec

from egops.xds.match_specs import StringSpec
from egops.xds.match_text import Test, string_test
from egops.xds.raw import plain, tree_routes, tree_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from msgspec import Raw

    from egops.xds.match_request import Seen

Places = tuple[int, ...]  # in the list of all routes of the tree
Found = Places | None  # None: only the running Envoy knows


class _Unknown(Exception):  # noqa: N818 - it ends a search, it is no error
    """Something in the tree depends on what no request shows."""


class Tree:
    """A matcher tree, ready to be asked."""

    def __init__(self, matcher: Raw) -> None:
        """Take the `matcher` of a virtual host."""
        self._root: Callable[[Seen], Places | None] = _unknown
        with contextlib.suppress(AttributeError, TypeError, msgspec.ValidationError):
            self._build(plain(matcher))  # one of another shape stays unknown

    def _build(self, body: Any) -> None:
        counter = itertools.count()
        self._places = {
            id(target): tuple(next(counter) for _ in tree_routes(target))
            for target in tree_targets(body)
        }
        self._body = body  # keeps the ids alive
        self._root = self._node(body)

    def places(self, seen: Seen) -> Found:
        """Return the places of the routes that a request is led to; none if it leads nowhere."""
        try:
            return self._root(seen) or ()
        except _Unknown:
            return None

    def _node(self, node: Any) -> Callable[[Seen], Places | None]:
        """Return the search below a node; it answers None for no match."""
        otherwise = self._target(node.get("on_no_match"))
        if isinstance(listed := node.get("matcher_list"), dict):
            branches = [
                (_predicate(entry.get("predicate")), self._target(entry.get("on_match")))
                for entry in listed.get("matchers", [])
            ]
            return lambda seen: next(_taken(branches, seen), None) or otherwise(seen)
        if isinstance(tree := node.get("matcher_tree"), dict):
            branch = self._map(tree)
            return lambda seen: branch(seen) or otherwise(seen)
        return otherwise

    def _map(self, tree: Any) -> Callable[[Seen], Places | None]:
        read = _input(tree.get("input"))
        kind = next((k for k in ("exact_match_map", "prefix_match_map") if k in tree), "")
        targets = {
            key.encode("utf-8"): self._target(target)
            for key, target in tree.get(kind, {}).get("map", {}).items()
        }

        def branch(seen: Seen) -> Places | None:
            value = read(seen)
            if not kind:
                raise _Unknown
            if value is None:
                return None
            if kind == "exact_match_map":
                target = targets.get(value)
                return target(seen) if target else None
            fits = sorted((key for key in targets if value.startswith(key)), key=len, reverse=True)
            return next(filter(None, (targets[key](seen) for key in fits)), None)

        return branch

    def _target(self, target: Any) -> Callable[[Seen], Places | None]:
        if not isinstance(target, dict):
            return lambda seen: None  # noqa: ARG005
        if target.get("keep_matching"):
            return _unknown
        if isinstance(nested := target.get("matcher"), dict):
            return self._node(nested)
        places = self._places.get(id(target))
        return (lambda seen: places) if places else _unknown  # noqa: ARG005


def _unknown(_seen: Seen) -> Places | None:
    raise _Unknown


def _taken(branches: list[tuple[Any, Any]], seen: Seen) -> Iterator[Places]:
    for holds, target in branches:
        if holds(seen) and (places := target(seen)):
            yield places


# ------------------------------------------------------------------ predicates


def _predicate(spec: Any) -> Callable[[Seen], bool]:
    spec = spec if isinstance(spec, dict) else {}
    if isinstance(one := spec.get("single_predicate"), dict):
        return _single(one)
    if isinstance(some := spec.get("or_matcher"), dict):
        parts = [_predicate(part) for part in some.get("predicate", [])]
        return lambda seen: any(part(seen) for part in parts)
    if isinstance(every := spec.get("and_matcher"), dict):
        parts = [_predicate(part) for part in every.get("predicate", [])]
        return lambda seen: all(part(seen) for part in parts)
    if isinstance(inner := spec.get("not_matcher"), dict):
        part = _predicate(inner)
        return lambda seen: not part(seen)
    return lambda seen: bool(_unknown(seen))


def _single(spec: Any) -> Callable[[Seen], bool]:
    read = _input(spec.get("input"))
    matcher = spec.get("value_match")
    test: Test | None = None
    if isinstance(matcher, dict):
        test = string_test(msgspec.convert(matcher, StringSpec))

    def holds(seen: Seen) -> bool:
        value = read(seen)
        if test is None:
            raise _Unknown
        answer = False if value is None else test(value)
        if answer is None:
            raise _Unknown
        return answer

    return holds


# ------------------------------------------------------------------ inputs


def _input(spec: Any) -> Callable[[Seen], bytes | None]:
    """Return what reads a value from a request; it answers None for what is absent.

    Envoy takes nothing but header fields here.
    """
    config = spec.get("typed_config") if isinstance(spec, dict) else None
    config = config if isinstance(config, dict) else {}
    kind = str(config.get("@type", "")).rpartition(".")[2]
    if kind == "HttpRequestHeaderMatchInput":
        return _header(str(config.get("header_name", "")).lower().encode("utf-8"))
    return lambda seen: bytes(_unknown(seen) or ())


def _header(name: bytes) -> Callable[[Seen], bytes | None]:
    name = b":authority" if name == b"host" else name

    def read(seen: Seen) -> bytes | None:
        if name in seen.fields.unsure:
            raise _Unknown
        lines = seen.fields.lines.get(name)
        return None if lines is None else b",".join(lines)

    return read
