"""What differs in meaning between two dumps: parts that came or went, and values of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from egops.xds.changes import compare, match_of, swapped
from egops.xds.meaning import SECTIONS, read
from egops.xds.overlap import may_both_match

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.xds.changes import Difference
    from egops.xds.config_dump import ConfigDump
    from egops.xds.meaning import Key, Meaning, Part


class Effect(NamedTuple):
    """A difference between two meanings: a part that came or went, or one value of it."""

    change: str  # `added`, `removed`, `changed`
    part: Part  # as it was, or as it is if it was not there
    path: str = ""
    old: Any = None
    new: Any = None

    @property
    def pattern(self) -> tuple[str, str, str, str, str]:
        """Return what is the same for effects of one cause on many parts."""
        return (
            self.change,
            self.part.section,
            _generic(self.path),
            _brief(self.old),
            _brief(self.new),
        )

    def __str__(self) -> str:
        """Return it in one line."""
        where = f"{self.part.section} {self.part.name}"
        if self.change != "changed":
            return f"{where} {self.change}"
        return f"{where}: {self.path}: {_brief(self.old)} -> {_brief(self.new)}"


def _generic(path: str) -> str:
    """Return a path without the names in its brackets."""
    out, depth = [], 0
    for char in path:
        depth += char == "["
        if not depth:
            out.append(char)
        depth -= char == "]"
    return "".join(out)


def _brief(value: Any) -> str:
    if value is None:
        return "nothing"
    text = msgspec.json.encode(value, order="sorted").decode()
    return text if len(text) <= 80 else f"{text[:77]}..."


def effects(old: ConfigDump, new: ConfigDump) -> list[Effect]:
    """Return all that differs in meaning from one dump to another, in the order of `SECTIONS`.

    What follows from another difference is not told again: the virtual host of a route that came
    or went, the endpoints of a cluster that did.
    """
    one, other = read(old), read(new)
    before, after = one.parts, other.parts
    found: list[tuple[Key, Effect]] = []
    # what is written alike means the same, unless it names a JWT requirement that is another one
    alike = one.names.requirements == other.names.requirements
    for key, part in before.items():
        if key not in after:
            found.append((key, Effect("removed", part)))
            continue
        if alike and part.body.written == after[key].body.written:
            continue
        found += [
            (key, Effect("changed", part, each.path, each.old, each.new))
            for each in differences(part.body.plain, after[key].body.plain)
        ]
    found += [(key, Effect("added", part)) for key, part in after.items() if key not in before]
    causes = {key[:3] for key, each in found if each.part.section == "route"}
    causes |= {key for key, each in found if each.part.section == "cluster"}
    kept = [each for key, each in found if each.change == "changed" or _cause(key) not in causes]
    if any(_takes_secrets(each) for each in kept):  # a secret comes and goes with who uses it
        kept = [each for each in kept if each.part.section != "secret"]
    kept += _reordered(one, other)
    return sorted(kept, key=lambda each: SECTIONS.index(each.part.section))


def _takes_secrets(effect: Effect) -> bool:
    """Return whether a difference may bring or end the use of a secret."""
    if effect.part.section not in ("listener", "filter chain", "cluster"):
        return False
    return effect.change != "changed" or effect.path.startswith("transport_socket")


def _cause(key: Key) -> Key:
    """Return the key of what a part came or went with."""
    if key[0] == "virtual host":
        return ("route", *key[1:3])
    return ("cluster", *key[1:]) if key[0] == "endpoints" else ()


def _reordered(old: Meaning, new: Meaning) -> Iterator[Effect]:
    """Yield the pairs of routes that changed places where a request may match both."""
    ranks = {key: rank for rank, key in enumerate(new.routes)}
    hosts: dict[Key, list[Key]] = {}
    for key in old.routes:
        if key in ranks:
            hosts.setdefault(key[:3], []).append(key)
    for keys in hosts.values():
        for first, second in swapped(keys, [ranks[key] for key in keys]):
            if may_both_match(match_of(new.routes[first]), match_of(new.routes[second])):
                path = f"comes after {second[3]}"
                yield Effect("changed", old.parts[first], path, "before", "after")


def differences(old: Any, new: Any) -> Iterator[Difference]:
    """Yield what differs between two bodies."""
    if old != new:
        yield from compare(old, new, "")
