"""Who calls a cluster that is named after a URL."""

from __future__ import annotations

import json

import msgspec
import pytest

from egops.xds.config_dump import Cluster
from egops.xds.names import UrlCluster, parse_cluster
from egops.xds.owners import cluster_owner
from egops.xds.view.clusters import ClusterRow, cluster_rows
from tests.xds.dumps import parsed, raw_dump


def url_clusters(release: str) -> dict[str, ClusterRow]:
    documents = json.loads(raw_dump(f"translated-{release}"))
    return {
        f"{name}: {row.name}": row
        for name, document in documents.items()
        for row in cluster_rows(parsed(document))
        if isinstance(parse_cluster(row.name), UrlCluster)
    }


@pytest.mark.parametrize("release", ["1.2.8", "1.3.0", "1.7.1", "1.9.0", "1.9.0-names-v2"])
def test_every_url_of_a_real_translation_has_a_caller(release: str) -> None:
    found = url_clusters(release)

    assert found
    for name, row in found.items():
        assert row.callers, name
        assert isinstance(row.own, str)
        assert row.own.startswith("URL ")
        assert {caller.kind for caller in row.callers} <= {
            "HTTPRoute", "GRPCRoute", "SecurityPolicy", "EnvoyExtensionPolicy",
        }  # fmt: skip


def test_a_name_like_a_urls_is_nobodys_if_the_cluster_goes_elsewhere() -> None:
    body = {"name": "my_service_8080", "load_assignment": {"address": "10.0.0.1"}}

    assert cluster_owner(msgspec.json.decode(json.dumps(body), type=Cluster)) is None
