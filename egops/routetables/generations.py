"""What differs between releases of Envoy Gateway in how they turn routes into tables."""

from __future__ import annotations

from typing import NamedTuple

from egops.errors import InputError


class Generation(NamedTuple):
    """Releases that translate routes alike; `since` is the first of them."""

    since: tuple[int, int, int]
    exact_matches_first: bool = True  # among as many header or query matches
    stable: bool = True  # equals keep their order, however many routes a listener has
    any_fault_fails_rule: bool = False  # one bad backendRef: 500 for all of the rule
    quotes_prefixes: bool = True  # where a prefix becomes part of a regular expression
    shares_redirect_port: bool = False  # the first listener's port, on all listeners of a parent
    cookies: bool = True  # HTTPRouteFilters may match cookies
    sorted_kinds: tuple[str, ...] = ("HTTPRoute", "GRPCRoute")  # older objects stand first
    names_decide: bool = True  # among objects of the same age
    preserves_order: bool = True  # if an EnvoyProxy asks for it
    tries_apart: bool = True  # with retries `backendRequest` limits a try, not the request
    root_counts: bool = False  # the prefix `/` stands before a gRPC match without a path

    @property
    def name(self) -> str:
        """Return `1.3.0`."""
        return ".".join(str(part) for part in self.since)


_FIRST = Generation(
    (1, 2, 0),
    exact_matches_first=False,
    stable=False,
    quotes_prefixes=False,
    shares_redirect_port=True,
    cookies=False,
    sorted_kinds=(),
    names_decide=False,
    preserves_order=False,
    tries_apart=False,
    root_counts=True,
)
_THIRD = _FIRST._replace(
    since=(1, 3, 0),
    any_fault_fails_rule=True,
    sorted_kinds=("HTTPRoute",),
    preserves_order=True,
)
_FIXED = _THIRD._replace(since=(1, 3, 3), exact_matches_first=True)
GENERATIONS = (
    _FIRST,
    _THIRD,
    _FIXED,
    _FIXED._replace(since=(1, 4, 0), tries_apart=True),  # from 1.4.2 on
    Generation((1, 5, 0), cookies=False, shares_redirect_port=True),
    Generation((1, 7, 0), shares_redirect_port=True),
    Generation((1, 9, 0)),
)
FEW = 12  # so many routes at most keep the order of equals under every release


def generations_of(release: str) -> tuple[Generation, ...]:
    """Return the generations that a release (`1.3`, `1.3.0`, none for all) can belong to.

    Raises:
        InputError: it is no release from 1.2 on.
    """
    if not release:
        return GENERATIONS
    words = release.removeprefix("v").split(".")
    if not all(word.isdigit() for word in words) or not 2 <= len(words) <= 3:
        raise InputError(f"{release!r} is no release", hint="write it like 1.3.0")
    numbers = tuple(map(int, words))
    if numbers < GENERATIONS[0].since[: len(numbers)]:
        raise InputError(f"Envoy Gateway {release} is older than 1.2, the first that is known")
    low, high = (*numbers, 0, 0)[:3], (*numbers, 999, 999)[:3]
    last = [entry for entry in GENERATIONS if entry.since <= low][-1]
    return last, *(entry for entry in GENERATIONS if low < entry.since <= high)
