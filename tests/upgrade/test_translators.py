"""The upgrade rules against Envoy Gateway's own translators, and the yardstick they are held to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tools.translate.build import CACHE
from tools.translate.compare import compare
from tools.translate.corpus import corpus, mixed
from tools.translate.meaning import WITHHELD, differences, meaning
from tools.translate.tree import objects_of, tree_of

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"


def answer(*clusters: dict[str, Any], ir: str = "") -> dict[str, Any]:
    routes = [{"name": "r", "uses": [cluster["name"] for cluster in clusters if "name" in cluster]}]
    return {
        "xds": {"edge": {CLUSTER: list(clusters), ROUTES: routes}},
        "irErrors": {"edge": ir} if ir else {},
        "xdsErrors": {},
    }


def test_the_empty_outlier_detection_is_no_difference() -> None:
    before = meaning(answer({"name": "a", "outlier_detection": {}}))
    after = meaning(answer({"name": "a"}))

    assert not differences(before, after)


def test_a_lost_cluster_is_a_difference_only_if_something_leads_to_it() -> None:
    unused = answer({"name": "a"})
    unused["xds"]["edge"][CLUSTER].append({"name": "nobody-leads-here"})

    assert not differences(meaning(unused), meaning(answer({"name": "a"})))
    assert differences(
        meaning(answer({"name": "a"}, {"name": "b"})), meaning(answer({"name": "a"}))
    )


def test_what_does_not_validate_is_withheld() -> None:
    assert meaning(answer({"name": "a"}, ir="bad"))["edge"] == WITHHELD


def identity(body: dict[str, Any]) -> tuple[str, str, str]:
    metadata = body["metadata"]
    return body["kind"], metadata.get("namespace", ""), metadata["name"]


def test_objects_and_trees_are_the_same_thing() -> None:
    objects = corpus()["base"]

    again = objects_of(tree_of(objects))

    assert sorted(map(identity, again)) == sorted(map(identity, objects))


@pytest.mark.parametrize(("start", "end", "step"), [("1.2.8", "1.3.0", 8), ("1.8.3", "1.9.0", 4)])
def test_rules_say_what_the_translators_do(start: str, end: str, step: int, tmp_path: Path) -> None:
    missing = [v for v in (start, end) if not (CACHE / f"oracle-{v}").exists()]
    if missing:
        reason = f"no translator of {', '.join(missing)}: python -m tools.translate.build"
        if os.environ.get("EGOPS_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    several = {**corpus(), **mixed(80)}
    sample = dict(list(several.items())[::step])

    trees = {name: tree_of(objects) for name, objects in sample.items()}

    assert compare(trees, start, end, tmp_path, verbose=False) == 0
