"""The generated dumps of the benchmark are what they claim to be."""

from __future__ import annotations

import io

from egops.xds.config_dump import ConfigDump
from egops.xds.routemap import route_rows
from egops.xds.view.clusters import endpoint_rows
from tools.bench.make_dump import write


def test_every_route_of_a_generated_dump_has_a_rule_and_a_backend() -> None:
    out = io.StringIO()
    write(out, 40)

    dump = ConfigDump.parse(out.getvalue().encode())

    rows = list(route_rows(dump))
    assert len(rows) == 40
    assert all(row.source and row.gateway and row.action.clusters[0].owner for row in rows)
    clusters = {row.action.clusters[0].name for row in rows}
    assert clusters == {row.cluster for row in endpoint_rows(dump) if row.owner}
    assert len({row.envoy.route for row in rows}) == 40
