"""One request, told to people or as JSON, with its proof if one is asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from egops.errors import ExitCode, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.cli.routes.judge import Answered, Judges
    from egops.xds.match_request import Request


def answer_one(
    judges: Judges,
    request: Request,
    output: str,
    prove: bool,
    send: bool,
    **limits: Any,
) -> int:
    """Answer one request; return the exit code: 1 if a proof contradicts."""
    import msgspec

    answered = judges.judge(request)
    result = {"id": 1, "request": spec_of(request), **answered.told(**limits)}
    agrees = True
    if prove:
        result["proof"] = _prove(answered)
        agrees &= bool(result["proof"]["agrees"])
    if send:
        result["sent"] = _send(judges, answered)
        agrees &= bool(result["sent"]["agrees"])
    if output == "text":
        click.echo("\n".join(_text(result, answered)))
    else:
        raw = msgspec.json.encode({"results": [result]} if output == "json" else result)
        sys.stdout.buffer.write(raw + b"\n")
    return int(ExitCode.OK if agrees else ExitCode.FINDINGS)


def _prove(answered: Answered) -> dict[str, Any]:
    from egops.prove import prove

    return prove(answered.bench.walker, answered.verdict)


def _send(judges: Judges, answered: Answered) -> dict[str, Any]:
    from egops.gather.send import send

    if answered.bench.proxy is None:
        raise InputError("manifests have no proxy to send to", hint="leave out --send, or -f")
    return send(judges.source, answered.bench.proxy, answered.verdict)


def spec_of(request: Request) -> dict[str, Any]:
    """Return a request in the form of the contract."""
    from egops.xds.match_request import decode

    headers: dict[str, Any] = {}
    for name, value in request.headers:
        known = headers.setdefault(decode(name), decode(value))
        if known != decode(value):
            headers[decode(name)] = [
                *(known if isinstance(known, list) else [known]),
                decode(value),
            ]
    spec = {
        "scheme": request.scheme,
        "method": decode(request.method),
        "authority": None if request.authority is None else decode(request.authority),
        "path": decode(request.target),
        "headers": headers,
        "protocol": request.protocol,
    }
    for key in ("listener", "port", "sni"):
        if value := getattr(request, key):
            spec[key] = value
    return spec


# ------------------------------------------------------------------ text

MARKS = {"route": "→", "redirect": "→", "direct_response": "→", "unknown": "?"}


def _text(result: dict[str, Any], answered: Answered) -> Iterator[str]:
    request = result["request"]
    asked = f"{request['scheme']}://{request['authority']}{request['path']}"
    yield f"{request['method']} {asked}"
    yield f"{MARKS.get(result['outcome'], '✗')} {headline(result)}"
    if source := result["source"]:
        yield f"  rule      {rule_words(source)}"
    if "conflict" in result:
        yield f"  rule      not certain: {result['conflict']}"
    if result["route"]:
        yield f"  route     {result['route']}"
    if result["virtual_host"]:
        yield f"  in        virtual host {result['virtual_host']}, table {result['route_config']}"
    yield f"  Envoy     {', '.join(answered.bench.names)}"
    yield from _unsure(result)
    yield from _sections(result)
    yield from _hints(result)
    for key, word in (("proof", "proved with a local Envoy"), ("sent", "sent to the proxy")):
        if key in result:
            yield f"\n{word}: {result[key]['text']}"


def headline(result: dict[str, Any]) -> str:
    """Return the outcome in one line."""
    status = result["status"]
    by = result["rejected_by"]
    match result["outcome"]:
        case "route":
            return "goes to the backend" if status is None else f"{status}: no cluster takes it"
        case "redirect":
            return f"redirect {status} to {result.get('location')}"
        case "direct_response":
            return f"answer {status} by Envoy itself"
        case "no_route":
            return f"no route: {status} by Envoy"
        case "rejected":
            where = f" to {result['location']}" if result.get("location") else ""
            return f"{status or 'reset'}{where} before routing: {by['reason']}"
        case "closed":
            return f"connection closed: {result.get('reason', '')}"
        case _:
            return f"not known: {result.get('reason', '')}"


def rule_words(source: dict[str, Any]) -> str:
    """Return a rule as people name it."""
    words = f"{source['kind']} {source['namespace']}/{source['name']}"
    if source.get("rule") is not None:
        words += f" rule {source['rule']}"
    if source.get("sectionName"):
        words += f" ({source['sectionName']})"
    if source.get("match") is not None and source["match"] >= 0:
        words += f" match {source['match']}"
    if source.get("file"):
        words += f"  {source['file']}:{source.get('line', 0)}"
    return words


def _unsure(result: dict[str, Any]) -> Iterator[str]:
    for candidate in result.get("candidates", []):
        depends = ", ".join(candidate["depends_on"]) or "nothing else matched before"
        yield f"  maybe     {candidate['route']}: {depends}"
    for other in result.get("other_listeners", []):
        yield f"  also      listener {other['listener']}: {other['outcome']} {other['route'] or ''}".rstrip()  # noqa: E501
    for other in result.get("other_proxies", []):
        yield f"  differs   {', '.join(other['proxies'])}: {other['outcome']} {other['route'] or ''}".rstrip()  # noqa: E501


def _sections(result: dict[str, Any]) -> Iterator[str]:
    if result.get("steps"):
        yield "\nwhat happens, in order"
        for number, step in enumerate(result["steps"], 1):
            late = "  (may change the route)" if step.get("may_change_route") else ""
            yield f"  {number:>2} {step['stage']:<13} {step['text']}{late}"
    if result.get("near_misses"):
        yield "\nnot taken"
        for miss in result["near_misses"]:
            failed = miss["failed"]
            who = rule_words(miss["source"]) if miss["source"] else ""
            yield f"  {miss['route'] or '(unnamed)'}{'  ' + who if who else ''}"
            yield f"     {failed['predicate']}: {failed['actual']} (wanted: {failed['expected']})"
        if left := result.get("near_misses_left_off"):
            yield f"  … and {left} more"


def _hints(result: dict[str, Any]) -> Iterator[str]:
    if result.get("did_you_mean"):
        yield f"\ndid you mean {', '.join(result['did_you_mean'])}?"
    if result.get("known_hosts"):
        yield f"\nhosts of this table: {', '.join(result['known_hosts'])}"
