"""What a dump means, whichever release wrote it: its parts by owner, free of names and of forms.

Releases name resources differently and write the same setting in several ways. A `Part` is one
listener, filter chain, virtual host, route, cluster, load assignment or secret, keyed by what it is
for; references between parts are told by owner as well. Addresses of endpoints and certificates
change by themselves and are no part of the meaning.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from egops.xds import names, owners, topology
from egops.xds.changes import resources
from egops.xds.config_dump import (
    Cluster,
    Listener,
    Route,
    SecretEntry,
    VirtualHost,
    lenient,
    plain,
)
from egops.xds.forms import SYSTEM_CA, Names, canonical, is_system_ca, requirements_of
from egops.xds.owners import Conflict, GatewayListener, Own, Owner, Source
from egops.xds.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from msgspec import Raw

    from egops.xds.changes import Found
    from egops.xds.config_dump import ConfigDump, FilterChain
    from egops.xds.names import ObjectName

Key = tuple[str, ...]
SECTIONS = ("listener", "filter chain", "virtual host", "route", "cluster", "endpoints", "secret")


class Body:
    """What a part says: as it was written, and in the one form when somebody asks.

    Most parts are written alike on both sides: only the others are worth the form.
    """

    __slots__ = ("_form", "_made", "written")

    def __init__(self, written: Any, form: Callable[[], Any]) -> None:
        """Take anything that is equal where the meaning is, and the way to the form."""
        self.written, self._form, self._made = written, form, None

    @property
    def plain(self) -> Any:
        """Return it as plain JSON in the one form."""
        if self._made is None:
            self._made = self._form()
        return self._made


NOTHING = Body(None, dict)


class Part(NamedTuple):
    """One part of the meaning: whose it is, how to call it, and what it says."""

    section: str
    name: str
    owner: ObjectName | None
    rule: int | None
    body: Body
    own: bool = False  # Envoy Gateway's own: readiness, metrics, control plane

    @property
    def rule_name(self) -> str:
        """Return `HTTPRoute/shop/cart/0`, or an empty string for what belongs to no rule."""
        if self.owner is None or self.rule is None:
            return ""
        return f"{self.owner.kind}/{self.owner.namespace}/{self.owner.name}/{self.rule}"


def meaning(dump: ConfigDump) -> dict[Key, Part]:
    """Return the parts of a dump by what they are for."""
    return read(dump).parts


@lru_cache(maxsize=64)
def read(dump: ConfigDump) -> Meaning:
    """Return the meaning of a dump, which several questions are asked about."""
    return Meaning(dump)


class Meaning:
    """One dump: first what its names stand for, then its parts."""

    def __init__(self, dump: ConfigDump) -> None:
        self.fleet = dump.local_cluster_name
        self.parts: dict[Key, Part] = {}
        self.routes: dict[Key, Raw] = {}  # as Envoy tries them
        found = resources(dump)
        static = {entry.name for entry in dump.listeners if entry.static}
        fixed = {each.cluster.name for each in dump.clusters if each.state == "static"}
        clusters = {k[0]: raw for k, raw in found["cluster"].items() if k[0] not in fixed}
        self.stands_for = {name: self._cluster_name(name) for name in clusters}
        listeners = [plain(raw) for raw in found["listener"].values()]
        self.names = Names(self.stands_for, dict(requirements_of(listeners)))
        system = [name for (name,), raw in found["secret"].items() if is_system_ca(plain(raw))]
        self.stands_for.update(dict.fromkeys(system, SYSTEM_CA))
        self.tables: dict[str, list[str]] = {}  # route configuration -> where it serves
        for (name,), raw in found["listener"].items():
            if name not in static and not name.endswith(" (rejected)"):
                self._listener(name.removesuffix(" (warming)"), raw)
        tables = {entry.route_config.name for entry in dump.route_configs if not entry.static}
        self._hosts(found["virtual host"], tables)
        self._routes(found["route"], found["virtual host"], tables)
        self._clusters(clusters, {k[0]: raw for k, raw in found["endpoints"].items()})
        for (name,) in found["secret"]:
            if name not in system:
                self._secret(name)

    def _put(self, key: Key, part: Part) -> None:
        """Add a part; a second one of that key is numbered."""
        number, wanted = 2, key
        while wanted in self.parts:
            wanted = (*key, f"#{number}")
            number += 1
        self.parts[wanted] = part

    def _body(self, raw: Raw, *without: str) -> Body:
        return Body(bytes(raw), lambda: self._plain(plain(raw), *without))

    def _plain(self, value: Any, *without: str) -> Any:
        if isinstance(value, dict):
            value = {k: v for k, v in value.items() if k not in without}
        made = redact(canonical(value, self.names))
        if isinstance(made, dict):
            made.pop("name", None)
        return made

    # -------------------------------------------------------------- listeners

    def _listener(self, name: str, raw: Raw) -> None:
        listener = lenient(raw, Listener)
        if listener is None:
            return
        name = name or listener.name
        protocol = listener.address.socket_address.protocol or "TCP"
        owner = owners.listener_owner(listener)
        gateway = owner if isinstance(owner, GatewayListener) else self._gateway()
        own = isinstance(owner, Own)
        key = str(owner) if own else f"{listener.port}/{protocol}"
        chains = ("filter_chains", "default_filter_chain")
        body = self._body(raw, *chains, "address", "stat_prefix")
        part = Part("listener", name, gateway.object if gateway else None, None, body, own)
        self._put(("listener", key), part)
        whole = plain(raw)
        bodies = [*(whole.get("filter_chains") or ()), whole.get("default_filter_chain")]
        for chain, one in zip(listener.chains, filter(None, bodies), strict=False):
            self._chain(key, chain, one, part)

    def _gateway(self) -> GatewayListener | None:
        fleet = names.parse_fleet(self.fleet) if self.fleet else None
        if fleet is None or fleet.merged:
            return None
        return GatewayListener(fleet.namespace, fleet.name)

    def _chain(self, key: str, chain: FilterChain, whole: Any, listener: Part) -> None:
        match = plain(chain.filter_chain_match)
        hosts = match.get("server_names", ()) if isinstance(match, dict) else ()
        whom = " ".join(sorted(map(str, hosts))) or "*"
        manager = topology.http_manager(chain)
        if manager is not None and manager.rds is not None:
            self.tables.setdefault(manager.rds.route_config_name, []).append(f"{key} {whom}")
        owner = owners.chain_owner(chain)
        whose = owner.object if isinstance(owner, (GatewayListener, Owner)) else listener.owner
        # TCP and TLS routes pool their rules: the chain is rule 0's
        rule = 0 if isinstance(owner, Owner) else None
        body = Body(whole, lambda: self._chain_body(whole))
        label = f"{listener.name} {whom}".removesuffix(" *")
        part = Part("filter chain", label, whose, rule, body, listener.own)
        self._put(("filter chain", key, whom), part)

    def _chain_body(self, whole: Any) -> Any:
        made = self._plain(whole)
        for config in _managers(made):
            for field in ("rds", "stat_prefix"):
                config.pop(field, None)
        return made

    # -------------------------------------------------------------- routes

    def _place(self, table: str) -> str:
        """Return where a route configuration serves: its name differs between releases."""
        return ", ".join(sorted(self.tables.get(table, ()))) or table

    def _hosts(self, found: Found, tables: set[str]) -> None:
        for (table, _), raw in found.items():
            host = lenient(raw, VirtualHost)
            if host is None or table not in tables:
                continue
            whose = owners.virtual_host_gateway(host)
            gateway = whose.object if isinstance(whose, GatewayListener) else None
            domains, place = " ".join(sorted(host.domains)), self._place(table)
            own = isinstance(whose, Own)
            part = Part("virtual host", domains, gateway, None, self._body(raw), own)
            self._put(("virtual host", place, domains), part)

    def _routes(self, found: Found, hosts: Found, tables: set[str]) -> None:
        known = {key: lenient(raw, VirtualHost) for key, raw in hosts.items()}
        for (table, name, _), raw in found.items():
            host, route = known.get((table, name)), lenient(raw, Route)
            if host is None or route is None or table not in tables:
                continue
            source = owners.route_source(route, host)
            made = source if isinstance(source, Source) else None
            whose = made.object if made else None
            spell = _spell(made) if made else route.name or str(plain(route.match))
            domains, own = " ".join(sorted(host.domains)), isinstance(source, Own)
            part = Part(
                "route",
                f"{spell} on {domains}",
                whose,
                made.rule if made else None,
                self._body(raw, "stat_prefix"),
                own,
            )
            key = ("route", self._place(table), domains, spell)
            self.routes[key] = raw
            self._put(key, part)

    # -------------------------------------------------------------- clusters

    def _cluster_name(self, name: str) -> str:
        owner = owners.cluster_name_owner(name, self.fleet)
        if not isinstance(owner, Owner):
            return f"cluster {owner or name}"
        backend = "" if owner.backend is None else f" backend {owner.backend}"
        role = "" if owner.role in ("rule", "backendRef") else f" {owner.role}"
        return f"cluster of {owner}{role}{backend}"

    def _clusters(self, found: dict[str, Raw], endpoints: dict[str, Raw]) -> None:
        for name, raw in found.items():
            cluster = lenient(raw, Cluster)
            owner = owners.cluster_owner(cluster, self.fleet) if cluster else None
            body = self._body(raw, "alt_stat_name", "load_assignment")
            self._of_cluster("cluster", name, owner, body)
            given = endpoints.get(name) or (cluster.load_assignment if cluster else None)
            if given:
                kept = _localities(plain(given))
                self._of_cluster("endpoints", name, owner, Body(kept, lambda kept=kept: kept))  # type: ignore[misc]

    def _of_cluster(
        self, section: str, name: str, owner: Owner | Conflict | Own | None, body: Body
    ) -> None:
        whose, rule = None, None
        if isinstance(owner, Owner):
            whose = owner.object
            rule = None if owner.rule is None else max(owner.rule, 0)
        part = Part(section, name, whose, rule, body, isinstance(owner, Own))
        self._put((section, self.stands_for[name]), part)

    # -------------------------------------------------------------- secrets

    def _secret(self, name: str) -> None:
        owner = owners.secret_owners(SecretEntry(name=name))
        whose = owner[0].object if isinstance(owner, tuple) else None
        part = Part("secret", name, whose, None, NOTHING, isinstance(owner, Own))
        self._put(("secret", name), part)


def _localities(body: Any) -> Any:
    """Return of a load assignment what no restart of a pod changes."""
    found = body.get("endpoints") if isinstance(body, dict) else None
    return [
        {
            "weight": locality.get("load_balancing_weight"),
            "priority": locality.get("priority"),
            "endpoints": "some" if locality.get("lb_endpoints") else "none",
        }
        for locality in found or ()
        if isinstance(locality, dict)
    ]


def _spell(source: Source) -> str:
    match = "" if source.match is None or source.match < 0 else f" match {source.match}"
    preflight = " preflight" if source.preflight is True else ""
    return f"{source}{match}{preflight}"


def _managers(chain: Any) -> Iterator[dict[str, Any]]:
    """Yield the typed configurations of the network filters of a chain."""
    for entry in chain.get("filters") or () if isinstance(chain, dict) else ():
        config = entry.get("typed_config") if isinstance(entry, dict) else None
        if isinstance(config, dict):
            yield config


def rules(*dumps: Mapping[Key, Part]) -> list[str]:
    """Return every rule that made something in one of these meanings, each once."""
    found = {part.rule_name: None for dump in dumps for part in dump.values() if part.rule_name}
    return list(found)
