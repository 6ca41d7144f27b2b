"""Counters in a window, words for time, and fleets."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest

from egops.proxies import age, counted, fleets, rises, sample_rises, verb
from egops.snapshot import ControlPlane, Probe, Proxy, Snapshot, Source, SourceType
from tests.rules.snapshots import NOW

EMPTY = Snapshot(taken_at=NOW, source=Source(SourceType.ENVOY))


def stats(**values: float) -> bytes:
    return orjson.dumps({"stats": [{"name": k, "value": v} for k, v in values.items()]})


def proxy(first: bytes | None, again: bytes | None, name: str = "envoy") -> Proxy:
    reads = {Probe.STATS: first, Probe.STATS_AGAIN: again}
    return Proxy(name, None, {probe: raw for probe, raw in reads.items() if raw is not None})


@pytest.mark.parametrize(
    ("first", "again", "grown"),
    [
        (stats(a_rejected=1), stats(a_rejected=3), 2),
        (stats(a_rejected=3), stats(a_rejected=3), 0),
        (stats(other=1), stats(a_rejected=2), 2),  # made when first touched
        (stats(a_rejected=3), stats(other=1), 0),
        (stats(a_rejected=1), None, 0),  # read once
        (None, None, 0),
        (
            stats(a_rejected=0, **{"server.uptime": 500}),
            stats(a_rejected=3, **{"server.uptime": 4}),
            0,
        ),  # restarted in between
    ],
)
def test_counter_accuses_only_by_its_growth(
    first: bytes | None, again: bytes | None, grown: int
) -> None:
    assert sum(rise.growth for rise in rises(proxy(first, again), r".+_rejected")) == grown


def test_metrics_are_compared_by_their_labels() -> None:
    one = b'xds_nack_total{nodeID="a"} 1\nxds_nack_total{nodeID="b"} 1'
    two = (
        b'xds_nack_total{nodeID="a"} 1\nxds_nack_total{nodeID="b"} 3\nxds_nack_total{nodeID="c"} 1'
    )
    pod = ControlPlane("eg", None, {Probe.METRICS: one, Probe.METRICS_AGAIN: two})

    grown = {
        rise.sample.labels["nodeID"]: rise.growth for rise in sample_rises(pod, "xds_nack_total")
    }
    named = list(sample_rises(pod, "xds_nack_total", nodeID="b|c"))

    assert grown == {"b": 2, "c": 1}
    assert len(named) == 2


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (1860, "31 min"), (7300, "2 h"), (200000, "2 d")],
)
def test_age_is_told_in_one_unit(seconds: int, words: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), EMPTY) == words


def test_verbs_agree_with_the_count() -> None:
    two = [proxy(None, None, "a"), proxy(None, None, "b")]

    several, single = counted(two[:1], two), counted(two[:1], two[:1])

    assert f"{several} {verb(several, 'reject')}" == "1 of 2 proxies reject"
    assert f"{single} {verb(single, 'reject')}" == "the proxy rejects"
    assert verb(single, "have", "has") == "has"


def test_envoys_of_an_unknown_fleet_stand_alone() -> None:
    found = fleets([proxy(None, None, "a"), proxy(None, None, "b")])

    assert [(fleet.key, len(fleet.proxies)) for fleet in found] == [("", 1), ("", 1)]
