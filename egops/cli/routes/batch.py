"""Many requests at once: JSON, JSON lines or a line of text each; and access logs against now."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from egops.errors import ExitCode, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egops.accesslog import Entry
    from egops.cli.routes.inputs import Asked
    from egops.cli.routes.judge import Judges

UNREADABLE = "unknown"


def answer_all(judges: Judges, asked: Iterable[Asked], output: str, **limits: Any) -> int:
    """Answer every request that can be read, in order; return the exit code."""
    import msgspec

    encode = msgspec.json.Encoder().encode
    stream = sys.stdout.buffer
    errors: list[dict[str, Any]] = []
    results = _results(judges, asked, errors, **limits)
    if output == "json":
        stream.write(b'{"results":[')
        for number, result in enumerate(results):
            stream.write((b",\n" if number else b"\n") + encode(result))
        stream.write(b"\n]")
        if errors:
            stream.write(b',\n"errors":' + encode(errors))
        stream.write(b"}\n")
    else:
        for result in results:
            stream.write(encode(result) + b"\n" if output == "jsonl" else _line(result))
    return int(ExitCode.USAGE) if errors else int(ExitCode.OK)


def _results(
    judges: Judges, asked: Iterable[Asked], errors: list[dict[str, Any]], **limits: Any
) -> Iterator[dict[str, Any]]:
    for entry in asked:
        head = {"id": _id(entry), "request": entry.spec}
        problem = entry.problem
        if entry.request is not None:
            try:
                yield head | judges.judge(entry.request).told(hints=False, **limits)
                continue
            except InputError as exc:
                problem = exc.message
        errors.append({"line": entry.place, "id": head["id"], "error": problem})
        click.echo(f"error: line {entry.place}: {problem}", err=True)
        if entry.spec is not None:
            yield head | unreadable(problem)


def unreadable(problem: str) -> dict[str, Any]:
    """Return the result of a request that is not understood or fits no listener."""
    return {
        "outcome": UNREADABLE,
        "route": None,
        "virtual_host": None,
        "route_config": None,
        "status": None,
        "source": None,
        "rejected_by": None,
        "reason": problem,
        "steps": [],
        "near_misses": [],
    }


def _id(entry: Asked) -> Any:
    given = entry.spec.get("id") if isinstance(entry.spec, dict) else None
    return entry.place if given is None else given


def _line(result: dict[str, Any]) -> bytes:
    request = result["request"] if isinstance(result["request"], dict) else {}
    asked = (
        f"{request.get('method', 'GET')} {request.get('authority', '')}{request.get('path', '')}"
    )
    status = result["status"] if result["status"] is not None else "-"
    text = f"{result['id']}\t{result['outcome']}\t{status}\t{result['route'] or '-'}\t{asked}\n"
    return text.encode("utf-8", "backslashreplace")


# ------------------------------------------------------------------ access logs


def answer_log(judges: Judges, name: str, output: str) -> None:
    """Tell the rule that each logged request took, and where today's configuration differs."""
    import msgspec

    from egops.accesslog import parse
    from egops.cli.routes.inputs import read_bytes

    found = parse(read_bytes(name).decode("utf-8", "replace"))
    rows = [_logged(judges, entry) for entry in found.requests]
    counts = Counter(row["now"] for row in rows)
    summary = {
        "requests": len(rows),
        "same": counts["same"],
        "different": counts["different"],
        "unsure": counts["unsure"],
        "unknown_lines": found.unknown,
        "envoy_messages": found.messages,
    }
    stream = sys.stdout.buffer
    if output == "json":
        stream.write(msgspec.json.encode({"results": rows, "summary": summary}) + b"\n")
    else:
        for row in rows:
            stream.write(msgspec.json.encode(row) + b"\n" if output == "jsonl" else _log_line(row))
    text = ", ".join(f"{count} {word.replace('_', ' ')}" for word, count in summary.items())
    click.echo(text, err=True)


def _logged(judges: Judges, entry: Entry) -> dict[str, Any]:
    from egops.xds.match_request import Request, encode

    headers = ((b"user-agent", encode(entry.user_agent)),) if entry.user_agent else ()
    tls = bool(entry.server_name)
    request = Request(
        method=encode(entry.method or "GET"),
        target=encode(entry.path or "/"),
        authority=encode(entry.authority),
        headers=headers,
        scheme="https" if tls else "http",
        port=_port(entry.local_address),
        sni=entry.server_name if tls else None,
        source=entry.client.rpartition(":")[0].strip("[]"),
        protocol="h2" if entry.protocol == "HTTP/2" else "http/1.1",
    )
    try:
        told = judges.judge(request).told(brief=True, near=0)
    except InputError as exc:
        told = unreadable(exc.message)
    now = told["route"] or ""
    if told["outcome"] == UNREADABLE:
        verdict = "unsure"
    else:
        # without a route the answer is Envoy's own, so its status tells
        answers = bool(now) or told["status"] in (None, entry.code)
        verdict = "same" if now == entry.route and answers else "different"
    return {
        "method": entry.method,
        "authority": entry.authority,
        "path": entry.path,
        "logged": {"route": entry.route or None, "status": entry.code},
        "now": verdict,
        **{key: told[key] for key in ("outcome", "route", "status", "source")},
    }


def _port(address: str) -> int:
    port = address.rpartition(":")[2]
    return int(port) if port.isdigit() else 0


def _log_line(row: dict[str, Any]) -> bytes:
    was = row["logged"]["route"] or "-"
    text = f"{row['now']}\t{row['logged']['status']}\t{was}"
    if row["now"] != "same":
        text += f" -> {row['route'] or row['outcome']}"
    asked = f"{row['method']} {row['authority']}{row['path']}"
    return f"{text}\t{asked}\n".encode("utf-8", "backslashreplace")
