"""`egops routes explain`, `test` and `shadowed` on manifests alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml
from click.testing import CliRunner

from egops.cli import root
from tests.routetables.test_unknown import base, body, route, rule

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

URL = "http://shop.example.com/cart/1"


def written(folder: Path, *objects: Any) -> str:
    path = folder / "objects.yaml"
    path.write_text(yaml.safe_dump_all(objects), "utf-8")
    return str(path)


def egops(*words: str) -> Result:
    return CliRunner().invoke(root, ["routes", *words])


def test_explain_tells_rule_line_and_policies(tmp_path: Path) -> None:
    reference = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "cart"}
    spec = {"targetRefs": [reference], "cors": {"allowOrigins": ["*"]}}
    policy = body("SecurityPolicy", "cors", spec, "gateway.envoyproxy.io/v1alpha1")
    file = written(tmp_path, *base(), route("cart", rule("/"), rule("/cart")), policy)

    result = egops("explain", URL, "-f", file, "-o", "json")

    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)["results"][0]
    assert told["outcome"] == "route"
    assert told["source"]["rule"] == 1
    assert told["source"]["file"] == file
    assert "CORS from SecurityPolicy shop/cors" in [step["text"] for step in told["steps"]]


def test_releases_that_differ_make_it_unknown_and_a_release_decides(tmp_path: Path) -> None:
    file = written(tmp_path, *base(), route("cart", rule("/cart", "cart", "gone")))

    every = egops("explain", URL, "-f", file, "-o", "json")
    third = egops("explain", URL, "-f", file, "-o", "json", "--release", "1.3.0")

    told = json.loads(every.stdout)["results"][0]
    assert told["outcome"] == "unknown"
    assert "releases of Envoy Gateway differ" in told["reason"]
    told = json.loads(third.stdout)["results"][0]
    assert (told["outcome"], told["status"]) == ("direct_response", 500)


def test_recorded_expectations_pass_and_fail_with_the_manifests(tmp_path: Path) -> None:
    file = written(tmp_path, *base(), route("cart", rule("/"), rule("/cart")))
    expected = str(tmp_path / "expected.yaml")

    recorded = egops("test", expected, "--record", "-f", file)
    passed = egops("test", expected, "-f", file)
    written(tmp_path, *base(), route("cart", rule("/"), rule("/basket")))
    failed = egops("test", expected, "-f", file)

    assert recorded.exit_code == 0, recorded.output
    assert passed.exit_code == 0, passed.output
    assert "2 passed" in passed.stdout
    assert failed.exit_code == 1


def test_shadowed_shows_an_example_that_both_match(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        *base(),
        route("a", rule("/cart/[0-9]+", kind="RegularExpression")),
        route("b", rule("/cart/[0-9a-f]+", kind="RegularExpression")),
    )

    result = egops("shadowed", "-f", file, "-o", "json")

    row = json.loads(result.stdout)["shadowed"][0]
    assert row["kind"] == "may overlap"
    assert row["example"]["path"].startswith("/cart/")


def test_shadowed_follows_preserve_route_order(tmp_path: Path) -> None:
    rules = rule("/"), rule("/cart")

    sorted_ = egops("shadowed", "-f", written(tmp_path, *base(), route("cart", *rules)))
    objects = (*base(preserveRouteOrder=True), route("cart", *rules))
    kept = egops("shadowed", "-f", written(tmp_path, *objects))

    assert sorted_.exit_code == 0
    assert kept.exit_code == 1
    assert "HTTPRoute shop/cart rule 1" in kept.stdout


def test_manifests_without_a_route_are_bad_input(tmp_path: Path) -> None:
    result = egops("explain", URL, "-f", written(tmp_path, *base()[:1]))

    assert result.exit_code == 2
    assert "no route" in result.stderr


def test_nothing_can_be_sent_to_manifests(tmp_path: Path) -> None:
    file = written(tmp_path, *base(), route("cart", rule("/cart")))

    result = egops("explain", URL, "-f", file, "--send")

    assert result.exit_code == 2
    assert "no proxy" in result.stderr


def test_manifests_can_be_proved(tmp_path: Path) -> None:
    file = written(tmp_path, *base(), route("cart", rule("/cart")))

    result = egops("explain", URL, "-f", file, "--prove", "-o", "json")

    assert json.loads(result.stdout)["results"][0]["proof"]["agrees"], result.output
