"""What differs between two dumps, by resource and meaning.

The order of resources, versions and times of update do not count. The order of routes in a virtual
host does, but only where a request could match both of the routes that changed places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from msgspec import Raw, Struct

from egops.xds import owners, words
from egops.xds.config_dump import Cluster, Route, SecretEntry, VirtualHost, lenient
from egops.xds.overlap import may_both_match
from egops.xds.owners import Source
from egops.xds.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egops.xds.config_dump import ConfigDump

Key = tuple[str, ...]
"""The names from the outside in: `("default/eg/http", "default/eg/http/*", "httproute/…")`."""


class Difference(Struct, frozen=True, gc=False):
    """One value that differs; `old` or `new` is None where there is none."""

    path: str
    old: Any = None
    new: Any = None


class Change(Struct, frozen=True, gc=False):
    """A resource that was `added`, `removed`, `changed` or `reordered`."""

    change: str
    section: str
    name: str
    inside: str = ""  # the route configuration and virtual host of a route
    owner: str = ""
    differences: tuple[Difference, ...] = ()

    HEADERS: ClassVar = ("CHANGE", "SECTION", "NAME", "OWNER", "WHAT")
    WIDE: ClassVar = ("INSIDE", "OLD", "NEW")

    def cells(self) -> tuple[str, ...]:
        """Return the columns of the table."""
        paths = ", ".join(difference.path for difference in self.differences[:3])
        more = f" and {len(self.differences) - 3} more" if len(self.differences) > 3 else ""
        return self.change, self.section, self.name, self.owner, paths + more

    def wide(self) -> tuple[str, ...]:
        """Return more columns: the values of the first difference."""
        if not self.differences:
            return self.inside, "", ""
        first = self.differences[0]
        return self.inside, _short(first.old), _short(first.new)


def _short(value: Any) -> str:
    text = "" if value is None else msgspec.json.encode(value).decode()
    return text if len(text) <= 120 else f"{text[:117]}..."


def changes(old: ConfigDump, new: ConfigDump) -> Iterator[Change]:
    """Yield the changes from one dump to another, by section and name."""
    before, after = dict(resources(old)), dict(resources(new))
    for section in SECTIONS:
        one, other = before.get(section, {}), after.get(section, {})
        for key, body in one.items():
            if key not in other:
                yield _change("removed", section, key, body)
        for key, body in other.items():
            if key not in one:
                yield _change("added", section, key, body)
            elif found := tuple(differences(one[key], body)):
                yield _change("changed", section, key, body, found)
    yield from reordered(before.get("route", {}), after.get("route", {}))


def _change(
    change: str, section: str, key: Key, body: Raw, found: tuple[Difference, ...] = ()
) -> Change:
    owner = owner_of(section, key, body)
    return Change(change, section, key[-1], " ".join(key[:-1]), owner, found)


# ------------------------------------------------------------------ reading


SECTIONS = (
    "bootstrap", "listener", "route config", "virtual host", "route", "cluster", "endpoints",
    "secret",
)  # fmt: skip


class _Versioned(Struct, gc=False):
    listener: Raw = Raw()


class _Item(Struct, gc=False):
    name: str = ""
    cluster: Raw = Raw()
    endpoint_config: Raw = Raw()
    listener: Raw = Raw()
    route_config: Raw = Raw()
    secret: Raw = Raw()
    active_state: _Versioned | None = None
    warming_state: _Versioned | None = None
    error_state: Raw = Raw()


class _Named(Struct, gc=False):
    name: str = ""
    cluster_name: str = ""


Found = dict[Key, Raw]


def resources(dump: ConfigDump) -> dict[str, Found]:
    """Return the raw resources of a dump by section and name."""
    found: dict[str, Found] = {section: {} for section in SECTIONS}
    for name, raw in dump.raw_sections():
        if name == "BootstrapConfigDump":
            body = lenient(raw, dict[str, Raw]) or {}
            _put(found["bootstrap"], ("bootstrap",), body.get("bootstrap", Raw()))
        elif "." in name:  # a bare item of `?resource=`
            if (item := lenient(raw, _Item)) is not None:
                _sort_in(found, item)
        else:
            for entries in (lenient(raw, dict[str, Raw]) or {}).values():
                for item in lenient(entries, list[_Item]) or ():
                    _sort_in(found, item)
    return found


def _put(found: Found, key: Key, body: Raw) -> None:
    """Add a resource; a second one of that name is numbered."""
    number = 2
    wanted = key
    while wanted in found:
        wanted = (*key[:-1], f"{key[-1]} #{number}")
        number += 1
    found[wanted] = body


def _sort_in(found: dict[str, Found], item: _Item) -> None:
    for section, body in (
        ("cluster", item.cluster),
        ("endpoints", item.endpoint_config),
        ("listener", item.listener),
        ("secret", item.secret),
    ):
        if body:
            named = lenient(body, _Named) or _Named()
            _put(found[section], (named.name or named.cluster_name or item.name,), body)
    for state in (item.active_state, item.warming_state):
        if state is not None and state.listener:
            name = item.name if state is item.active_state else f"{item.name} (warming)"
            _put(found["listener"], (name,), state.listener)
    if item.error_state:
        _put(found["listener"], (f"{item.name} (rejected)".strip(),), item.error_state)
    if item.route_config:
        _open_route_config(found, item.route_config)


def _open_route_config(found: dict[str, Found], raw: Raw) -> None:
    config = lenient(raw, dict[str, Raw]) or {}
    name = (lenient(raw, _Named) or _Named()).name
    hosts = lenient(config.pop("virtual_hosts", Raw()), list[Raw]) or []
    _put(found["route config"], (name,), Raw(msgspec.json.encode(config)))
    for host in hosts:
        body = lenient(host, dict[str, Raw]) or {}
        host_name = (lenient(host, _Named) or _Named()).name
        routes = lenient(body.pop("routes", Raw()), list[Raw]) or []
        _put(found["virtual host"], (name, host_name), Raw(msgspec.json.encode(body)))
        for route in routes:
            route_name = (lenient(route, _Named) or _Named()).name or "(unnamed)"
            _put(found["route"], (name, host_name, route_name), route)


# ------------------------------------------------------------------ comparing


IGNORED = frozenset({"version_info", "last_updated", "last_update_attempt", "node"})
# lists whose order has no meaning
UNORDERED = frozenset(
    {
        "domains", "lb_endpoints", "endpoints", "server_names", "filter_chains", "clusters",
        "resources", "policies", "request_headers_to_remove", "response_headers_to_remove",
        "listeners", "secrets", "match_typed_subject_alt_names", "application_protocols",
    }
)  # fmt: skip


def differences(old: Raw, new: Raw) -> Iterator[Difference]:
    """Yield what differs between two resources, without key material."""
    if bytes(old) == bytes(new):
        return
    yield from compare(redact(_plain(old)), redact(_plain(new)), "")


def _plain(raw: Raw) -> Any:
    return msgspec.json.decode(raw) if raw else None


def compare(old: Any, new: Any, path: str) -> Iterator[Difference]:
    """Yield what differs between two plain values at and below a path."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in (*old, *(name for name in new if name not in old)):
            if name not in IGNORED:
                yield from compare(old.get(name), new.get(name), f"{path}.{name}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _compare_lists(old, new, path)
    elif old != new:
        yield Difference(path, old, new)


def _compare_lists(old: list[Any], new: list[Any], path: str) -> Iterator[Difference]:
    one, other = _by_name(old), _by_name(new)
    unordered = path.rpartition(".")[2] in UNORDERED
    if one is not None and other is not None:
        for name in (*one, *(name for name in other if name not in one)):
            yield from compare(one.get(name), other.get(name), f"{path}[{name}]")
        common = [name for name in one if name in other]
        if not unordered and common != [name for name in other if name in one]:
            yield Difference(f"{path} (order)", list(one), list(other))
        return
    if unordered:
        old, new = sorted(old, key=_order), sorted(new, key=_order)
    for index in range(max(len(old), len(new))):
        before = old[index] if index < len(old) else None
        after = new[index] if index < len(new) else None
        yield from compare(before, after, f"{path}[{index}]")


def _order(value: Any) -> bytes:
    """Return what to sort by: addresses and weights before states that change by themselves."""
    if isinstance(value, dict) and "health_status" in value:
        value = {name: entry for name, entry in value.items() if name != "health_status"}
    return msgspec.json.encode(value, order="sorted")


def _by_name(values: list[Any]) -> dict[str, Any] | None:
    """Return the entries by name, or None if they don't all have one of their own."""
    found = {}
    for value in values:
        name = value.get("name") if isinstance(value, dict) else None
        if not isinstance(name, str) or not name or name in found:
            return None
        found[name] = value
    return found


# ------------------------------------------------------------------ order of routes


def reordered(old: Found, new: Found) -> Iterator[Change]:
    """Yield the pairs of routes that changed places where a request may match both."""
    ranks = {key: rank for rank, key in enumerate(new)}
    hosts: dict[Key, list[Key]] = {}
    for key in old:
        if key in ranks:
            hosts.setdefault(key[:-1], []).append(key)
    for inside, keys in hosts.items():
        for first, second in swapped(keys, [ranks[key] for key in keys]):
            if may_both_match(match_of(new[first]), match_of(new[second])):
                difference = Difference("before", second[-1], None)
                after = Difference("after", None, second[-1])
                owner = owner_of("route", first, new[first])
                yield Change(
                    "reordered", "route", first[-1], " ".join(inside), owner, (difference, after)
                )


def swapped(keys: Sequence[Key], ranks: Sequence[int]) -> Iterator[tuple[Key, Key]]:
    """Yield the pairs that stood in order and no longer do."""
    if list(ranks) == sorted(ranks):
        return
    for index, rank in enumerate(ranks):
        for other in range(index + 1, len(ranks)):
            if ranks[other] < rank:
                yield keys[index], keys[other]


def match_of(body: Raw) -> words.Match:
    """Return the match of a route, as far as it can be read."""
    route = lenient(body, Route)
    return words.match_of(route.match) if route else words.Match()


# ------------------------------------------------------------------ owners


def owner_of(section: str, key: Key, body: Raw) -> str:
    """Return the owner of a resource in one word, or an empty string."""
    found: object = None
    if section == "route" and (route := lenient(body, Route)) is not None:
        found = owners.route_source(route)
        return str(found) if isinstance(found, Source) else ""
    if section == "virtual host" and (host := lenient(body, VirtualHost)) is not None:
        found = owners.virtual_host_gateway(host)
    elif section == "cluster" and (cluster := lenient(body, Cluster)) is not None:
        found = owners.cluster_owner(cluster)
    elif section == "endpoints":
        found = owners.cluster_name_owner(key[-1])
    elif section == "secret":
        whose = owners.secret_owners(SecretEntry(name=key[-1]))
        found = whose[0] if isinstance(whose, tuple) else whose
    elif section in ("listener", "route config"):
        name = key[-1].removesuffix(" (warming)").removesuffix(" (rejected)")
        found = owners.listener_name_owner(name)
    return "" if found is None or isinstance(found, owners.Conflict) else str(found)
