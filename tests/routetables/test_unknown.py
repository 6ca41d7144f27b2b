"""What manifests do not tell is told as unknown, with its reason."""

from __future__ import annotations

from typing import Any

import pytest

from egops.errors import InputError
from egops.routetables import GENERATIONS, Translation, generations_of, translate
from egops.xds.match_request import Request
from egops.xds.walk import Verdict, Walker
from tests.routetables.compare import snapshot_of

NEWEST = GENERATIONS[-1]
GATEWAY_API = "gateway.networking.k8s.io/v1"
EG_API = "gateway.envoyproxy.io/v1alpha1"


def body(kind: str, name: str, spec: Any, version: str = GATEWAY_API, created: str = "") -> Any:
    metadata = {"name": name, "namespace": "shop"}
    if created:
        metadata["creationTimestamp"] = created
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def base(**proxy: Any) -> list[Any]:
    spec: dict[str, Any] = {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"}
    listeners = [{"name": "http", "port": 80, "protocol": "HTTP"}]
    found = [
        body("GatewayClass", "eg", spec),
        body("Gateway", "edge", {"gatewayClassName": "eg", "listeners": listeners}),
        body("Service", "cart", {"ports": [{"port": 80}]}, "v1"),
    ]
    del found[0]["metadata"]["namespace"]
    if proxy:
        reference = {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "proxy"}
        spec["parametersRef"] = {**reference, "namespace": "shop"}
        found.append(body("EnvoyProxy", "proxy", proxy, EG_API))
    return found


def route(name: str, *rules: Any, created: str = "", parent: str = "edge") -> Any:
    spec = {"parentRefs": [{"name": parent}], "rules": list(rules)}
    return body("HTTPRoute", name, spec, created=created)


def rule(path: str, *backends: str, kind: str = "PathPrefix", **more: Any) -> Any:
    return {
        "matches": [{"path": {"type": kind, "value": path}}],
        "backendRefs": [{"name": name, "port": 80} for name in backends or ("cart",)],
        **more,
    }


def made_of(*objects: Any, generation: Any = NEWEST) -> Translation:
    return translate(snapshot_of(list(objects)), generation)[0]


def asked(made: Translation, path: str, **more: Any) -> Verdict:
    request = Request(target=path.encode(), authority=b"shop.example.com", scheme="http", **more)
    return made.judged(Walker(made.config).judge(request))


def name_of(verdict: Verdict) -> str:
    assert verdict.route is not None
    return verdict.route.route.name


def test_which_of_two_equal_routes_is_older_is_not_known_before_they_exist() -> None:
    made = made_of(*base(), route("a", rule("/cart")), route("b", rule("/cart")))

    verdict = asked(made, "/cart")

    assert verdict.outcome == "unknown"
    assert "do not tell their age" in verdict.reason


def test_the_older_of_two_equal_routes_wins() -> None:
    made = made_of(
        *base(),
        route("a", rule("/cart"), created="2026-02-01T00:00:00Z"),
        route("b", rule("/cart"), created="2026-01-01T00:00:00Z"),
    )

    verdict = asked(made, "/cart")

    assert verdict.outcome == "route"
    assert name_of(verdict) == "httproute/shop/b/rule/0/match/0/*"


def test_a_patch_makes_everything_uncertain() -> None:
    patch = body("EnvoyPatchPolicy", "fix", {"type": "JSONPatch"}, EG_API)

    verdict = asked(made_of(*base(), route("a", rule("/cart")), patch), "/cart")

    assert verdict.outcome == "unknown"
    assert "EnvoyPatchPolicy shop/fix" in verdict.reason


def test_the_order_of_the_object_is_kept_if_an_envoy_proxy_asks_for_it() -> None:
    rules = rule("/"), rule("/cart")

    kept = asked(made_of(*base(preserveRouteOrder=True), route("a", *rules)), "/cart")
    sorted_ = asked(made_of(*base(), route("a", *rules)), "/cart")

    assert name_of(kept) == "httproute/shop/a/rule/0/match/0/*"
    assert name_of(sorted_) == "httproute/shop/a/rule/1/match/0/*"


def test_one_bad_backend_is_judged_as_the_release_does() -> None:
    objects = (*base(), route("a", rule("/cart", "cart", "gone")))

    third = asked(made_of(*objects, generation=generations_of("1.3.0")[0]), "/cart")
    newest = asked(made_of(*objects), "/cart")

    assert (third.outcome, third.status) == ("direct_response", 500)
    assert newest.outcome == "route"


def test_services_that_were_not_given_at_all_are_taken_as_there() -> None:
    objects = [entry for entry in base() if entry["kind"] != "Service"]

    assert asked(made_of(*objects, route("a", rule("/cart"))), "/cart").outcome == "route"


def test_a_gateway_that_was_not_given_is_open_to_http_and_https() -> None:
    made = made_of(*base()[2:], route("a", rule("/cart"), parent="elsewhere"))

    assert made.name == "shop/elsewhere"
    assert asked(made, "/cart").outcome == "route"


def test_where_it_redirects_to_is_not_known_without_the_gateway() -> None:
    redirect = {"filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}]}
    made = made_of(route("a", {**rule("/cart"), **redirect}, parent="elsewhere"))

    verdict = asked(made, "/cart")

    assert verdict.outcome == "unknown"
    assert "was not given" in verdict.reason


def test_a_filter_that_was_not_given_leaves_the_action_open() -> None:
    reference = {"group": "gateway.envoyproxy.io", "kind": "HTTPRouteFilter", "name": "gone"}
    filters = [{"type": "ExtensionRef", "extensionRef": reference}]

    verdict = asked(made_of(*base(), route("a", rule("/cart", filters=filters))), "/cart")

    assert verdict.outcome == "unknown"
    assert "HTTPRouteFilter gone" in verdict.reason


def test_a_bad_regex_costs_the_whole_route_before_1_4_and_its_rule_since() -> None:
    objects = (*base(), route("a", rule("/[", kind="RegularExpression"), rule("/cart")))

    assert asked(made_of(*objects, generation=generations_of("1.3.0")[0]), "/cart").outcome == (
        "no_route"
    )
    assert asked(made_of(*objects), "/cart").outcome == "route"


def test_policies_are_named_as_steps() -> None:
    reference = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "a"}
    spec = {"targetRefs": [reference], "cors": {"allowOrigins": ["*"]}}
    policy = body("SecurityPolicy", "cors", spec, EG_API)

    made = made_of(*base(), route("a", rule("/cart")), policy)

    chain = made.document["configs"][0]["dynamic_listeners"][0]["active_state"]["listener"]
    manager = chain["default_filter_chain"]["filters"][0]["typed_config"]
    names = [entry["name"] for entry in manager["http_filters"]]
    assert names == ["envoy.filters.http.cors/securitypolicy/shop/cors"]


@pytest.mark.parametrize("text", ["1", "one", "1.1.0", "1.2.3.4"])
def test_a_release_must_be_one_that_is_known(text: str) -> None:
    with pytest.raises(InputError):
        generations_of(text)


def test_a_minor_release_stands_for_all_its_generations() -> None:
    assert [entry.name for entry in generations_of("1.3")] == ["1.3.0", "1.3.3"]
    assert [entry.name for entry in generations_of("1.3.0")] == ["1.3.0"]
    assert [entry.name for entry in generations_of("v1.9.2")] == ["1.9.0"]
    assert generations_of("") == GENERATIONS
