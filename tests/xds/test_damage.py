"""Damaged dumps: a wrong value anywhere costs at most its own resource."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from egops.errors import EgopsError
from egops.features.catalogue import FEATURES
from egops.features.evidence import EVERYTHING, Evidence
from egops.snapshot import Probe, Proxy
from egops.xds.changes import changes
from egops.xds.config_dump import ConfigDump
from egops.xds.routemap import route_rows
from egops.xds.view.clusters import cluster_rows, endpoint_rows
from egops.xds.view.filters import filter_rows
from egops.xds.view.listeners import listener_rows
from egops.xds.view.proxies import proxy_row
from egops.xds.view.secrets import secret_rows
from tests.xds.dumps import RELEASES, load, section

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = (route_rows, listener_rows, cluster_rows, endpoint_rows, secret_rows, filter_rows)
WRONG: tuple[Any, ...] = (None, [], {}, "x", 3, [None], {"a": None})
PLACES = 25  # of each dump, chosen at random with a fixed seed


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, entry in entries:
        yield (*above, key)
        if isinstance(entry, (dict, list)):
            yield from places(entry, (*above, key))


def use(raw: bytes, other: ConfigDump) -> int:
    """Look at everything that the commands show; return the number of routes."""
    proxy = Proxy("envoy", documents={Probe.CONFIG_DUMP: raw})
    dump = proxy.config
    for rows in ROWS:
        for row in rows(dump):
            msgspec.json.encode(row)
            assert row.cells()
            assert row.wide()
    proxy_row("envoy", "", dump, None)
    for change in changes(other, dump):
        assert change.cells()
    evidence = Evidence(proxy)
    for feature in FEATURES:
        if feature.live is not None:
            feature.live(evidence, EVERYTHING)
    return len(list(route_rows(dump)))


@pytest.mark.parametrize("release", RELEASES)
def test_a_wrong_value_anywhere_raises_nothing(release: str) -> None:
    document = load(f"eg-{release}")
    section(document, "Bootstrap")["bootstrap"] = {}
    base = ConfigDump.parse(msgspec.json.encode(document))
    assert use(msgspec.json.encode(document), base) >= 8
    chosen = random.Random(release).sample(list(places(document)), PLACES)

    for path in chosen:
        *above, last = path
        holder = document
        for key in above:
            holder = holder[key]
        good = holder[last]
        for wrong in WRONG:
            holder[last] = wrong
            # a section's own type may be hit: that is an error with a reason
            with contextlib.suppress(EgopsError):
                use(msgspec.json.encode(document), base)
        holder[last] = good
