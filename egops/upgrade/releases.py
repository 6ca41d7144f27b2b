"""Envoy Gateway releases: when they came, what they bring, which fixes they carry.

Dates, images and ranges are facts of the published releases; `MATRIX` is the support matrix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from egops.errors import InputError

Version = tuple[int, ...]
SUPPORT = timedelta(days=183)


class Minor(NamedTuple):
    """One row of the support matrix."""

    envoy: str
    ratelimit: str
    gateway_api: str
    kubernetes: tuple[str, str]
    end_of_life: date


class Release(NamedTuple):
    """One release: its day, and the images its code defaults to."""

    day: date
    envoy: str
    ratelimit: str


def _day(text: str) -> date:
    return date.fromisoformat(text)


MATRIX: dict[Version, Minor] = {
    (1, 0): Minor("1.29.2", "19f2079f", "v1.0.0", ("1.26", "1.29"), _day("2024-09-13")),
    (1, 1): Minor("1.31.0", "91484c59", "v1.1.0", ("1.27", "1.30"), _day("2025-01-22")),
    (1, 2): Minor("1.32.1", "28b1629a", "v1.2.0", ("1.28", "1.31"), _day("2025-05-06")),
    (1, 3): Minor("1.33.0", "60d8e81b", "v1.2.1", ("1.29", "1.32"), _day("2025-07-30")),
    (1, 4): Minor("1.34.1", "3e085e5b", "v1.3.0", ("1.30", "1.33"), _day("2025-11-13")),
    (1, 5): Minor("1.35.0", "a90e0e5d", "v1.3.0", ("1.30", "1.33"), _day("2026-02-13")),
    (1, 6): Minor("1.36.2", "99d85510", "v1.4.0", ("1.30", "1.33"), _day("2026-05-13")),
    (1, 7): Minor("1.37.0", "3fb70258", "v1.4.1", ("1.32", "1.35"), _day("2026-08-05")),
    (1, 8): Minor("1.38.0", "ff287602", "v1.5.1", ("1.32", "1.35"), _day("2026-11-08")),
    (1, 9): Minor("1.39.0", "17b1956c", "v1.6.1", ("1.33", "1.36"), _day("2027-02-14")),
}

_TABLE = """
1.0.0 2024-03-13 1.29.2 19f2079f
1.0.1 2024-04-09 1.29.3 19f2079f
1.0.2 2024-06-12 1.29.5 19f2079f
1.1.0 2024-07-22 1.31.0 91484c59
1.1.1 2024-09-11 1.31.0 91484c59
1.1.2 2024-09-24 1.31.2 91484c59
1.1.3 2024-11-01 1.31.3 91484c59
1.1.4 2024-12-12 1.31.3 49af5cca
1.2.0 2024-11-06 1.32.1 28b1629a
1.2.1 2024-11-07 1.32.1 28b1629a
1.2.2 2024-11-28 1.32.1 49af5cca
1.2.3 2024-12-02 1.32.1 49af5cca
1.2.4 2024-12-13 1.32.2 49af5cca
1.2.5 2025-01-14 1.32.3 49af5cca
1.2.6 2025-01-23 1.32.3 49af5cca
1.2.7 2025-03-06 1.32.3 ae4cee11
1.2.8 2025-03-25 1.32.4 0141a24f
1.3.0 2025-01-30 1.33.0 60d8e81b
1.3.1 2025-03-04 1.33.0 ae4cee11
1.3.2 2025-03-24 1.33.1 0141a24f
1.3.3 2025-05-08 1.33.3 3e085e5b
1.4.0 2025-05-13 1.34.1 3e085e5b
1.4.1 2025-06-04 1.34.1 bb4dae24
1.4.2 2025-07-04 1.34.1 bb4dae24
1.4.3 2025-08-11 1.34.4 bb4dae24
1.4.4 2025-09-17 1.34.7 e74a664a
1.4.5 2025-10-17 1.34.10 e74a664a
1.4.6 2025-11-15 1.34.10 e74a664a
1.5.0 2025-08-08 1.35.0 a90e0e5d
1.5.1 2025-09-16 1.35.3 e74a664a
1.5.2 2025-10-02 1.35.3 e74a664a
1.5.3 2025-10-09 1.35.3 e74a664a
1.5.4 2025-10-20 1.35.6 e74a664a
1.5.5 2025-11-14 1.35.6 e74a664a
1.5.6 2025-12-04 1.35.7 e74a664a
1.5.7 2026-01-12 1.35.8 e74a664a
1.5.8 2026-01-26 1.35.8 e74a664a
1.5.9 2026-02-11 1.35.8 e74a664a
1.6.0 2025-11-10 1.36.2 99d85510
1.6.1 2025-12-05 1.36.3 99d85510
1.6.2 2026-01-12 1.36.3 99d85510
1.6.3 2026-01-26 1.36.4 3fb70258
1.6.4 2026-02-11 1.36.4 3fb70258
1.6.5 2026-03-12 1.36.5 c8765e89
1.6.6 2026-04-16 1.36.6 05c08d03
1.6.7 2026-04-27 1.36.6 05c08d03
1.7.0 2026-02-05 1.37.0 3fb70258
1.7.1 2026-03-12 1.37.1 c8765e89
1.7.2 2026-04-16 1.37.2 05c08d03
1.7.3 2026-05-09 1.37.2 05c08d03
1.7.4 2026-06-04 1.37.3 b8d893f3
1.7.5 2026-07-08 1.37.5 f2fb1577
1.8.0 2026-05-12 1.38.0 ff287602
1.8.1 2026-06-04 1.38.1 ff287602
1.8.2 2026-06-30 1.38.3 1e50889b
1.8.3 2026-07-22 1.38.3 1e50889b
1.9.0 2026-08-14 1.39.0 17b1956c
1.9.1 2026-08-28 1.39.1 8fe6ea42
"""


def _number(text: str) -> Version:
    return tuple(int(part) for part in text.split("."))


RELEASES: dict[Version, Release] = {
    _number(version): Release(_day(day), envoy, ratelimit)
    for version, day, envoy, ratelimit in (line.split() for line in _TABLE.split("\n") if line)
}


@dataclass(frozen=True)
class Fix:
    """A repair, and the first patch of each minor that has it."""

    what: str
    where: tuple[Version, ...]
    security: bool = False

    def is_in(self, version: Version) -> bool:
        """Return whether this release carries the fix."""
        return is_in_force(version, self.where)


FIXES: tuple[Fix, ...] = (
    Fix(
        "CVE-2025-24030: the admin interface is reachable through the metrics port",
        ((1, 2, 6), (1, 3, 0)),
        security=True,
    ),
    Fix(
        "CVE-2025-25294: log injection through the default access log",
        ((1, 2, 7), (1, 3, 1)),
        security=True,
    ),
    Fix(
        "CVE-2025-30157: Envoy crashes on a local reply to an ext_proc HTTP stream",
        ((1, 2, 8), (1, 3, 2)),
        security=True,
    ),
    Fix("backendSettings of extAuth are honoured", ((1, 2, 7), (1, 3, 1))),
    Fix("header filters that touch Host are refused", ((1, 2, 8), (1, 3, 2))),
    Fix("endpoint updates of mirror targets reach the proxy", ((1, 2, 8), (1, 3, 2))),
    Fix("the whole xDS snapshot is validated", ((1, 2, 7), (1, 3, 1))),
    Fix(
        "CVE-2026-22771: Lua in an EnvoyExtensionPolicy reads the proxy's files",
        ((1, 5, 7), (1, 6, 2)),
        security=True,
    ),
    Fix(
        "CVE-2026-33186: gRPC lets a request with an odd path round the authorization",
        ((1, 6, 7), (1, 7, 3), (1, 8, 0)),
        security=True,
    ),
    *(
        Fix(what, ((1, 7, 4), (1, 8, 1)), security=True)
        for what in (
            "GHSA-22xc-xg2r-9j7v: in mode GatewayNamespace the xDS server asks nobody who they are",
            "GHSA-wcrf-9vrr-854f: the validator of Lua reads files of the controller",
            "GHSA-8fv2-88gg-hm7q: the cache of Wasm modules is read without a lock",
            "GHSA-m2v6-2jmh-4c68: a SecurityPolicy on a TCPRoute crashes the translation",
            "GHSA-h7pq-86h8-rp5x: a Wasm image makes the controller take all memory",
            "GHSA-fcrp-7gc2-93g7: custom backends get round ReferenceGrants",
            "GHSA-cxpq-8v7q-cg56: a Wasm module unpacks without a limit",
        )
    ),
    Fix(
        "CVE-2026-47775: session cookies of OIDC are open to a padding oracle",
        ((1, 9, 1),),
        security=True,
    ),
    Fix(
        "GHSA-w42f-28h3-998w: an EnvoyProxy drops the security context of the proxies",
        ((1, 9, 1),),
        security=True,
    ),
)


EXT_AUTH, HEADERS = FIXES[3], FIXES[4]  # those whose objects can be told


def is_in_force(
    version: Version, changed: tuple[Version, ...], taken_back: tuple[Version, ...] = ()
) -> bool:
    """Return whether a change that came in `changed` and left in `taken_back` counts in a release.

    Both name the first patch of a minor that has it, or has it no more. Before the first one of its
    own minor a release is as if the opposite were so; a minor that neither names is as the nearest
    older one that they name ended.
    """
    turns = sorted([*((v, True) for v in changed), *((v, False) for v in taken_back)])
    own = [turn for turn in turns if turn[0][:2] == version[:2]]
    past = [counts for first, counts in own if first <= version]
    if past:
        return past[-1]
    if own:
        return not own[0][1]
    older = [counts for first, counts in turns if first < version]
    return bool(older) and older[-1]


def dotted(version: Version) -> str:
    """Return `1.3.0`."""
    return ".".join(str(part) for part in version)


def latest() -> Version:
    """Return the newest release that egops knows."""
    return max(RELEASES)


def last_patch(minor: Version) -> Version:
    """Return the newest patch of a minor such as (1, 3)."""
    return max(version for version in RELEASES if version[:2] == minor[:2])


def next_minor(version: Version) -> Version:
    """Return the newest patch of the minor after this one; of its own minor if there is none."""
    following = (version[0], version[1] + 1)
    return last_patch(following if following in MATRIX else version)


def steps(start: Version, end: Version) -> list[Version]:
    """Return the releases to pass through, one for each minor, ending with `end`."""
    between = [minor for minor in sorted(MATRIX) if start[:2] < minor < end[:2]]
    return [*(last_patch(minor) for minor in between), end]


def named(text: str, installed: Version | None = None) -> Version:
    """Return the release that `latest`, `next`, `1.3`, `v1.3.3` or `1.3.0` means.

    A minor alone means its newest patch.

    Raises:
        InputError: it is no version, or none that egops knows.
    """
    if text == "latest":
        return latest()
    if text == "next":
        if installed is None:
            raise InputError("`next` needs the installed release", hint="give it with --from")
        return next_minor(installed)
    found = re.fullmatch(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text.strip())
    if not found:
        raise InputError(
            f"{text!r} is no Envoy Gateway release",
            hint="give one such as 1.3.3, or `latest` or `next`",
        )
    numbers = tuple(int(part) for part in found.groups() if part is not None)
    if numbers[:2] not in MATRIX:
        known = f"{dotted(min(MATRIX))} to {dotted(max(MATRIX))}"
        raise InputError(
            f"Envoy Gateway {dotted(numbers)} is unknown", hint=f"egops knows the minors {known}"
        )
    if len(numbers) == 2:
        return last_patch(numbers)
    if numbers not in RELEASES:
        newest = dotted(last_patch(numbers))
        raise InputError(
            f"Envoy Gateway {dotted(numbers)} is unknown",
            hint=f"the newest {dotted(numbers[:2])} that egops knows is {newest}",
        )
    return numbers


def notes_link(version: Version) -> str:
    """Return the address of the release notes."""
    return f"https://gateway.envoyproxy.io/news/releases/notes/v{dotted(version)}/"
