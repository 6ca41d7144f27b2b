"""Backends that are resolved by DNS, and how the address family changes for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.gatewayapi import BACKEND
from egops.snapshot import items, section, text
from egops.upgrade.change import change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Problem
    from egops.snapshot import Snapshot


def prefers_ipv4(snapshot: Snapshot) -> Iterator[Problem]:
    """Yield the Backends with names, which may be resolved to IPv6 from 1.2.2 on."""
    for backend in snapshot.all(BACKEND):
        names = [
            text(endpoint, "fqdn", "hostname")
            for _, endpoint in items(backend.spec, "endpoints")
            if section(endpoint, "fqdn")
        ]
        if names:
            yield change(
                snapshot,
                backend.at("spec", "endpoints"),
                f"{', '.join(names)} may be resolved to IPv6 where there is no IPv4 address",
                today="V4_ONLY: IPv6 addresses are not asked for",
                after="V4_PREFERRED: IPv6 is taken where IPv4 gives nothing",
                verify="the addresses in /clusters",
                possible="certain if the name has no IPv4 address",
            )
