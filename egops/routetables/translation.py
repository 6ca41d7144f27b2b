"""What one Gateway's Envoys would get, and what of it can be relied on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from egops.xds.config_dump import ConfigDump

if TYPE_CHECKING:
    from egops.routetables.generations import Generation
    from egops.xds.walk import Verdict


class Standing(NamedTuple):
    """What a route's place depends on: how specific it is, then the object and its age."""

    rank: tuple[int, ...]
    kind: str
    object: tuple[str, str]
    created: str
    shuffled: bool

    def tie(self, other: Standing, generation: Generation) -> str:
        """Return why nothing fixes the order of two routes of the same rank, or nothing."""
        if self.shuffled:
            return "releases before 1.5 mix equals where a listener has many routes"
        if self.kind != other.kind or self.object == other.object:
            return ""
        if self.kind not in generation.sorted_kinds:
            return f"Envoy Gateway {generation.name} does not order {self.kind}s by age"
        if not (self.created and other.created):
            return "the older object wins, and the manifests do not tell their age"
        if self.created == other.created and not generation.names_decide:
            return f"both were created at the same time, as Envoy Gateway {generation.name} sees it"
        return ""


@dataclass
class Translation:
    """The configuration of one Gateway's Envoys.

    `unclear` tells why the action of a route, by name, is not known; `standings` what its place
    among the others depends on; `doubt` concerns all requests.
    """

    name: str
    generation: Generation
    document: dict[str, Any] = field(default_factory=dict)
    unclear: dict[str, str] = field(default_factory=dict)
    standings: dict[tuple[str, str], Standing] = field(default_factory=dict)  # by virtual host
    doubt: str = ""

    def judged(self, verdict: Verdict) -> Verdict:
        """Return a verdict on these tables; unknown, with the reason, where they do not tell."""
        route, seen = verdict.route, verdict.seen
        reason = self.doubt
        if route is not None and not reason:
            reason = self.unclear.get(route.route.name, "") or self._contested(verdict)
        early = verdict.outcome == "rejected" and route is None
        if reason and seen is not None and not early and verdict.outcome != "closed":
            verdict.outcome, verdict.reason, verdict.status = "unknown", reason, None
            verdict.location = None
        return verdict

    def _contested(self, verdict: Verdict) -> str:
        """Return that another route stands as high, if nothing fixes the order of the two."""
        route, host, seen = verdict.route, verdict.host, verdict.seen
        assert route is not None
        if host is None or seen is None:
            return ""
        where = host.virtual_host.name
        mine = self.standings.get((where, route.route.name))
        if mine is None:
            return ""
        for other in host.index.candidates(seen):
            theirs = self.standings.get((where, other.route.name))
            if theirs is None or other is route or theirs.rank != mine.rank:
                continue
            why = mine.tie(theirs, self.generation)
            if why and other.matches(seen):
                verdict.maybe = (other,)
                return f"{other.route.name} matches too and stands as high: {why}"
        return ""

    @property
    def has_listener(self) -> bool:
        """Return whether there is anything to judge."""
        return bool(self.document["configs"][0]["dynamic_listeners"])

    @property
    def fingerprint(self) -> bytes:
        """Return what is the same for translations that judge alike."""
        generation = self.generation
        parts = (self.document, self.unclear, list(self.standings.values()), self.doubt)
        return msgspec.json.encode((parts, generation.sorted_kinds, generation.names_decide))

    @property
    def config(self) -> ConfigDump:
        """Return the config dump."""
        return ConfigDump.parse(msgspec.json.encode(self.document))
