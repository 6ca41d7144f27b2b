"""A verdict told: the JSON contract of `routes explain`, with steps and near misses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from egops.xds.actions import action_of
from egops.xds.match_request import decode
from egops.xds.owners import Conflict, Source, route_source
from egops.xds.walk_effects import Step, action_steps, filter_steps, rewrite_steps
from egops.xds.walk_misses import known_hosts, near_misses, similar_hosts, similar_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from egops.xds.match_request import Seen
    from egops.xds.match_table import Compiled
    from egops.xds.walk import Verdict, Walker

NEAR = 20


class Story:
    """Tells verdicts of one walker; what does not depend on the request is told once."""

    def __init__(
        self, walker: Walker, locate: Callable[[Source], dict[str, Any]] | None = None
    ) -> None:
        """Take the walker that reached the verdicts, and what knows where rules are written."""
        self.walker = walker
        self._locate = locate
        self._fixed: dict[tuple[int, int], tuple[list[Step], list[Step]]] = {}
        self._sources: dict[int, tuple[dict[str, Any] | None, str]] = {}

    def tell(
        self, verdict: Verdict, *, brief: bool = False, near: int = NEAR, hints: bool = True
    ) -> dict[str, Any]:
        """Return the result of a request, without `id` and `request`.

        `hints` adds what may have been meant by a request that no route takes; slow in batches.
        """
        host, route, refusal = verdict.host, verdict.route, verdict.refusal
        unsure = verdict.outcome == "unknown"
        source, conflict = self.source(verdict, None if unsure else route)
        told: dict[str, Any] = {
            "outcome": verdict.outcome,
            "route": route.route.name if route is not None and not unsure else None,
            "virtual_host": host.virtual_host.name if host is not None else None,
            "route_config": verdict.table.config.name if verdict.table is not None else None,
            "status": verdict.status,
            "source": source,
            "rejected_by": (
                {"stage": refusal.stage, "reason": refusal.reason} if refusal is not None else None
            ),
            "listener": verdict.listener.name if verdict.listener is not None else None,
        }
        if conflict:
            told["conflict"] = conflict
        if verdict.location is not None:
            told["location"] = verdict.location
        if verdict.reason:
            told["reason"] = verdict.reason
        if unsure:
            maybe = [*verdict.maybe, *([route] if route is not None else [])]
            told["candidates"] = [self._candidate(verdict, entry) for entry in maybe]
        if verdict.others:
            told["other_listeners"] = [_other(entry) for entry in verdict.others]
        if not brief:
            told["steps"] = list(self.steps(verdict))
            told["near_misses"], left = self.misses(verdict, near)
            if left:
                told["near_misses_left_off"] = left
            told |= suggestions(verdict) if hints else {}
        return told

    def source(self, verdict: Verdict, route: Compiled | None) -> tuple[dict[str, Any] | None, str]:
        """Return the match of a rule that made a route, and why there is none if that is odd."""
        if route is None or verdict.host is None:
            return None, ""
        found = self._sources.get(id(route))
        if found is None:
            made_by = route_source(route.route, verdict.host.virtual_host)
            known = msgspec.to_builtins(made_by) if isinstance(made_by, Source) else None
            if isinstance(made_by, Source) and known is not None and self._locate is not None:
                known |= self._locate(made_by)
            reason = made_by.reason if isinstance(made_by, Conflict) else ""
            found = self._sources[id(route)] = (known, reason)
        return found

    def _candidate(self, verdict: Verdict, route: Compiled) -> dict[str, Any]:
        seen = verdict.seen
        assert seen is not None
        open_ = [check.predicate for check in route.checks if check.test(seen) is None]
        source, _ = self.source(verdict, route)
        return {"route": route.route.name, "source": source, "depends_on": open_}

    def misses(self, verdict: Verdict, limit: int) -> tuple[list[dict[str, Any]], int]:
        """Return the near misses, and how many were left off."""
        seen = verdict.seen
        if seen is None:
            return [], 0
        found, left = near_misses(verdict, limit)
        told = [
            {
                "route": miss.route.route.name,
                "source": self.source(verdict, miss.route)[0],
                "failed": {
                    "predicate": miss.check.predicate,
                    "expected": miss.check.expected,
                    "actual": miss.check.actual(seen),
                },
            }
            for miss in found
        ]
        return told, left

    # -------------------------------------------------------------- steps

    def steps(self, verdict: Verdict) -> Iterator[Step]:
        """Yield what happens to the request, in order."""
        yield from _arrival(verdict)
        seen, route = verdict.seen, verdict.route
        if verdict.refusal is not None and verdict.refusal.stage != "upgrade":
            yield {"stage": verdict.refusal.stage, "text": _refusal(verdict)}
            return
        if seen is None:
            return
        yield from _normalised(verdict, seen)
        if verdict.table is None:
            yield {"stage": "route_config", "text": verdict.reason}
            return
        yield _host_step(verdict)
        if verdict.outcome == "unknown":
            yield {"stage": "route", "text": verdict.reason}
        elif route is not None:
            how = "is the first that matches"
            if verdict.host is not None and verdict.host.virtual_host.matcher:
                how = "is where the matcher tree leads to"
            text = f"route {route.route.name or '(unnamed)'} {how}"
            yield {"stage": "route", "text": text, "place": route.index}
            yield from self._after(verdict, route, seen)
        elif verdict.outcome == "redirect":
            yield {"stage": "answer", "text": f"301 to {verdict.location}: TLS is required"}
        elif verdict.host is not None:
            count = len(verdict.host.virtual_host.routes)
            yield {"stage": "route", "text": f"none of {count} routes matches: 404"}

    def _after(self, verdict: Verdict, route: Compiled, seen: Seen) -> Iterator[Step]:
        if verdict.refusal is not None:
            yield {"stage": verdict.refusal.stage, "text": _refusal(verdict)}
            return
        filters, actions = self._fixed_steps(verdict, route)
        yield from filters
        if verdict.outcome == "route":
            yield from rewrite_steps(route, seen)
            yield from actions
            if verdict.status is not None:
                yield {"stage": "answer", "text": f"{verdict.status} by Envoy: no cluster takes it"}
            return
        yield {"stage": "answer", "text": _answer(verdict)}

    def _fixed_steps(self, verdict: Verdict, route: Compiled) -> tuple[list[Step], list[Step]]:
        way = verdict.way
        assert way is not None
        assert way.manager is not None
        key = (id(way), id(route))
        found = self._fixed.get(key)
        if found is None:
            found = self._fixed[key] = (
                list(filter_steps(way.manager, route)),
                list(action_steps(route, self.walker.endpoints, self.walker.clusters)),
            )
        return found


def _other(verdict: Verdict) -> dict[str, Any]:
    return {
        "listener": verdict.listener.name if verdict.listener is not None else None,
        "outcome": verdict.outcome,
        "route": verdict.route.route.name if verdict.route is not None else None,
        "status": verdict.status,
    }


def _arrival(verdict: Verdict) -> Iterator[Step]:
    if verdict.listener is not None:
        at = f"{verdict.listener.name} ({verdict.listener.address})"
        yield {"stage": "listener", "text": f"listener {at}"}
    if verdict.chain is not None:
        way = verdict.way
        tls = ", terminates TLS" if way is not None and way.tls else ""
        yield {"stage": "filter_chain", "text": f"filter chain {verdict.chain.name or '-'}{tls}"}
    if verdict.outcome == "closed" or (verdict.way is not None and verdict.way.manager is None):
        yield {"stage": "filter_chain", "text": verdict.reason}


def _refusal(verdict: Verdict) -> str:
    refusal = verdict.refusal
    assert refusal is not None
    status = verdict.status if verdict.status is not None else "stream reset"
    where = f" to {verdict.location}" if verdict.location else ""
    return f"{status}{where}: {refusal.reason}"


def _normalised(verdict: Verdict, seen: Seen) -> Iterator[Step]:
    sent = verdict.request.target
    if seen.path != sent:
        text = f"path {decode(sent)} becomes {decode(seen.path)}"
        yield {"stage": "path", "text": text, "path": decode(seen.path)}
    asked = verdict.request.authority
    if asked is not None and seen.authority != asked:
        yield {"stage": "host", "text": f"host {decode(asked)} becomes {decode(seen.authority)}"}


def _host_step(verdict: Verdict) -> Step:
    seen = verdict.seen
    assert seen is not None
    assert verdict.table is not None
    asked = decode(verdict.table.host_name(seen.authority))
    if verdict.host is None:
        return {"stage": "virtual_host", "text": f"no virtual host takes {asked!r}: 404"}
    entry = verdict.host.virtual_host
    domains = ", ".join(entry.domains)
    return {
        "stage": "virtual_host",
        "text": f"virtual host {entry.name} ({domains}) takes {asked!r}",
    }


def _answer(verdict: Verdict) -> str:
    if verdict.location is not None:
        return f"{verdict.status} to {verdict.location}"
    why = verdict.reason
    if not why and verdict.route is not None:
        answer = action_of(verdict.route.route).direct_response
        if answer is not None:
            why = answer.reason or (f"asked for by {answer.by}" if answer.by else "")
    return f"{verdict.status} by Envoy itself{f' ({why})' if why else ''}"


def suggestions(verdict: Verdict) -> dict[str, Any]:
    """Return what may have been meant by a request that no route takes."""
    seen, table = verdict.seen, verdict.table
    if verdict.outcome != "no_route" or seen is None or table is None:
        return {}
    if verdict.host is None:
        return {
            "known_hosts": known_hosts(table),
            "did_you_mean": similar_hosts(table, seen.authority),
        }
    return {"did_you_mean": similar_paths(verdict.host, seen)}
