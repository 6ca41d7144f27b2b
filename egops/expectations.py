"""Expectations of `routes test`: a request, what should become of it, and whether it does.

    tests:
      - name: the cart                       # optional
        request: {method: POST, url: "https://shop.example.com/cart", headers: {x-user: "7"}}
        expect: {route: HTTPRoute/shop/cart, rule: 0, status: 200, backend: "httproute/shop/cart/*"}

`request` may also be written as in `routes explain --requests`. `expect` takes `outcome`, `route`
(`[KIND/]NAMESPACE/NAME` or the name of an Envoy route), `rule` (its index or name), `match`,
`virtual_host`, `status`, `location`, `backend` (a cluster, globs allowed), `rejected_by` (a stage).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from egops.errors import InputError
from egops.xds.match_input import from_json, port_of, split_url
from egops.xds.walk import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from egops.xds.match_request import Request

ROUTES = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")


@dataclass(frozen=True)
class Case:
    """One expectation."""

    name: str
    request: Request
    expect: Mapping[str, Any]
    spec: Mapping[str, Any] = field(default_factory=dict)


def parse(document: Any) -> list[Case]:
    """Return the expectations of a document.

    Raises:
        InputError: it, or one of its tests, is not written as it should be.
    """
    tests = document.get("tests") if isinstance(document, dict) else document
    if not isinstance(tests, list) or not tests:
        raise InputError("the file has no `tests`", hint="make one with --record")
    return [_case(number, test) for number, test in enumerate(tests, 1)]


def _case(number: int, test: Any) -> Case:
    spec = test.get("request") if isinstance(test, dict) else None
    if not isinstance(spec, dict):
        raise InputError(f"test {number} has no `request`")
    expect = test.get("expect")
    if not isinstance(expect, dict) or not expect:
        raise InputError(f"test {number} has no `expect`")
    if unknown := sorted(set(expect) - set(CHECKS)):
        raise InputError(
            f"test {number} expects {unknown[0]!r}, which is not known",
            hint=f"it may expect {', '.join(CHECKS)}",
        )
    if expect.get("outcome") not in (None, *OUTCOMES):
        raise InputError(
            f"test {number}: there is no outcome {expect['outcome']!r}",
            hint=f"outcomes are {', '.join(OUTCOMES)}",
        )
    try:
        request = from_json(expand(spec))
    except InputError as exc:
        raise InputError(f"test {number}: {exc.message}", hint=exc.hint) from None
    name = str(test.get("name") or f"{spec.get('method', 'GET')} {_shown(spec)}")
    return Case(name, request, expect, spec)


def _shown(spec: Mapping[str, Any]) -> str:
    return str(spec.get("url") or f"{spec.get('authority', '')}{spec.get('path', '/')}")


def expand(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with `url` split into scheme, authority, port and path."""
    made = dict(spec)
    url = made.pop("url", None)
    if url is not None:
        scheme, authority, path = split_url(str(url))
        port = port_of(authority)
        made = {"scheme": scheme, "authority": authority, "path": path} | made
        if port:
            made.setdefault("port", port)
    headers = made.get("headers")
    if isinstance(headers, dict):  # YAML reads 7 and true as they look
        made["headers"] = {str(name): _strings(value) for name, value in headers.items()}
    return made


def _strings(value: Any) -> Any:
    if isinstance(value, list):
        return [_strings(entry) for entry in value]
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else str(value)


# ------------------------------------------------------------------ judging


def failures(case: Case, told: Mapping[str, Any]) -> list[str]:
    """Return in what a result (as `routes explain` tells it) is not as expected."""
    found = []
    for key, wanted in case.expect.items():
        holds, actual = CHECKS[key](wanted, told)
        if not holds:
            found.append(f"{key} is {_word(actual)}, not {_word(wanted)}")
    return found


def _word(value: Any) -> str:
    return "none" if value is None else str(value)


def _same(key: str) -> Callable[[Any, Mapping[str, Any]], tuple[bool, Any]]:
    return lambda wanted, told: (told.get(key) == wanted, told.get(key))


def _status(wanted: Any, told: Mapping[str, Any]) -> tuple[bool, Any]:
    """Compare a status; what the backend answers is not known, so 200 stands for reaching it."""
    actual = told.get("status")
    if actual is None and told.get("outcome") == "route":
        return wanted in (200, "backend"), "the backend's"
    return actual == wanted, actual


def _route(wanted: Any, told: Mapping[str, Any]) -> tuple[bool, Any]:
    source = told.get("source")
    if wanted is None or wanted == told.get("route"):
        return told.get("route") == wanted, told.get("route")
    if not source:
        return False, told.get("route")
    short = f"{source['namespace']}/{source['name']}"
    actual = f"{source['kind']}/{short}"
    return str(wanted) in (short, actual, f"{actual}/{source.get('rule')}"), actual


def _rule(wanted: Any, told: Mapping[str, Any]) -> tuple[bool, Any]:
    source = told.get("source") or {}
    index, name = source.get("rule"), source.get("sectionName")
    holds = wanted in (index, str(index)) or bool(name and wanted == name)
    return holds, name or index


def _match(wanted: Any, told: Mapping[str, Any]) -> tuple[bool, Any]:
    actual = (told.get("source") or {}).get("match")
    return actual == wanted, actual


def _backend(wanted: Any, told: Mapping[str, Any]) -> tuple[bool, Any]:
    names = [step["cluster"] for step in told.get("steps", []) if step.get("stage") == "backend"]
    wants = wanted if isinstance(wanted, list) else [wanted]
    holds = all(any(fnmatchcase(name, str(one)) for name in names) for one in wants)
    return holds, ", ".join(names) or None


def _stage(wanted: Any, told: Mapping[str, Any]) -> tuple[bool, Any]:
    actual = (told.get("rejected_by") or {}).get("stage")
    return actual == wanted, actual


CHECKS: dict[str, Callable[[Any, Mapping[str, Any]], tuple[bool, Any]]] = {
    "outcome": _same("outcome"),
    "route": _route,
    "rule": _rule,
    "match": _match,
    "virtual_host": _same("virtual_host"),
    "status": _status,
    "location": _same("location"),
    "backend": _backend,
    "rejected_by": _stage,
}


# ------------------------------------------------------------------ recording


def record(spec: Mapping[str, Any], told: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """Return the test that says: this request, and what holds now."""
    expect: dict[str, Any] = {"outcome": told["outcome"]}
    if source := told.get("source"):
        expect["route"] = f"{source['kind']}/{source['namespace']}/{source['name']}"
        if source.get("sectionName"):
            expect["rule"] = source["sectionName"]
        elif source.get("rule") is not None:
            expect["rule"] = source["rule"]
    elif told.get("route"):
        expect["route"] = told["route"]
    for key in ("status", "location"):
        if told.get(key) is not None:
            expect[key] = told[key]
    backends = [step["cluster"] for step in told.get("steps", []) if step["stage"] == "backend"]
    if backends:
        expect["backend"] = backends[0] if len(backends) == 1 else backends
    if told.get("rejected_by"):
        expect["rejected_by"] = told["rejected_by"]["stage"]
    test: dict[str, Any] = {"request": dict(spec), "expect": expect}
    return {"name": name, **test} if name else test
