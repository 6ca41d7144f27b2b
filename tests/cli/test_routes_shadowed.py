"""`egops routes shadowed`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from egops.cli import root
from tests.xds.dumps import DUMPS

if TYPE_CHECKING:
    from pathlib import Path

ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: shop, creationTimestamp: "{created}"}}
spec:
  parentRefs: [{{name: eg}}]
  hostnames: [shop.example.com]
  rules: [{{matches: [{{path: {{type: PathPrefix, value: /cart}}}}]}}]
---
"""


def manifests(tmp_path: Path) -> str:
    file = tmp_path / "routes.yaml"
    younger = ROUTE.format(name="a-younger", created="2026-02-02T00:00:00Z")
    older = ROUTE.format(name="b-older", created="2026-01-01T00:00:00Z")
    file.write_text(younger + older, "utf-8")
    return str(file)


def test_the_younger_of_two_equal_routes_is_found_in_manifests(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        root, ["routes", "shadowed", "-f", manifests(tmp_path), "-o", "json"]
    )

    assert result.exit_code == 1, result.output
    (row,) = json.loads(result.stdout)["shadowed"]
    assert row["kind"] == "equal"
    assert row["source"]["name"] == "a-younger"
    assert row["winner"]["source"]["name"] == "b-older"
    assert "older object" in row["precedence"]


def test_healthy_tables_have_nothing_to_tell() -> None:
    dump = str(DUMPS / "eg-1.9.0.json.gz")

    result = CliRunner().invoke(root, ["routes", "shadowed", "--config-dump", dump])

    assert result.exit_code == 0, result.output
    assert result.stdout == "0 routes that no request reaches, 0 overlaps\n"
