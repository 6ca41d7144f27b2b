"""Which release of Envoy Gateway made a dump, as far as the dump alone tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egops.xds import names
from egops.xds.config_dump import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.xds.config_dump import ConfigDump


class Hint(NamedTuple):
    """The release is at least `since`, because `seen` is in the dump."""

    since: tuple[int, int]
    seen: str


def version_hints(dump: ConfigDump) -> list[Hint]:
    """Return what tells the release, the latest first.

    Absence proves nothing: a feature shows only where somebody uses it. An EnvoyPatchPolicy or a
    bootstrap of one's own can put any of it there.
    """
    return sorted({hint.since: hint for hint in _hints(dump)}.values(), reverse=True)


def version_at_least(dump: ConfigDump) -> tuple[int, int] | None:
    """Return the earliest release that the dump can be from, or None if nothing tells."""
    found = version_hints(dump)
    return found[0].since if found else None


def _hints(dump: ConfigDump) -> Iterator[Hint]:
    yield from _from_listeners(dump)
    yield from _from_clusters(dump)
    yield from _from_routes(dump)
    yield from _from_secrets(dump)


def _from_listeners(dump: ConfigDump) -> Iterator[Hint]:
    for entry in dump.listeners:
        match names.parse_listener(entry.name):
            case names.OwnListenerName(purpose="ready", port=19003):
                yield Hint((1, 4), f"listener {entry.name}")
            case names.PortName():
                yield Hint((1, 5), f"listener {entry.name}")
            case names.ListenerName(set_name=name) if name:
                yield Hint((1, 7), f"listener {entry.name}")
            case _:
                pass


def _from_clusters(dump: ConfigDump) -> Iterator[Hint]:
    fleet = dump.local_cluster_name
    if fleet:
        yield Hint((1, 5), f"own fleet cluster {fleet}")
    for entry in dump.clusters:
        cluster = entry.cluster
        match names.parse_cluster(cluster.name):
            case names.RuleCluster(backend=backend) if backend is not None:
                yield Hint((1, 4), f"cluster {cluster.name}")
            case names.BackendCluster():
                yield Hint((1, 9), f"cluster {cluster.name}")
            case _:
                pass
        if cluster.metadata.resource is not None:
            yield Hint((1, 5), f"metadata of cluster {cluster.name}")
        if cluster.load_balancing_policy and entry.state != "static":
            yield Hint((1, 4), f"load_balancing_policy of cluster {cluster.name}")
        if b"envoy.cluster.dns" in bytes(cluster.cluster_type):
            yield Hint((1, 9), f"DnsCluster {cluster.name}")
        if b"dummy.transport_socket" in bytes(cluster.transport_socket_matches):
            yield Hint((1, 6), f"dummy.transport_socket of cluster {cluster.name}")


def _from_routes(dump: ConfigDump) -> Iterator[Hint]:
    for entry in dump.route_configs:
        for host in entry.route_config.virtual_hosts:
            for route in host.routes:
                made_by = route.metadata.resource
                if made_by is not None and made_by.section_name:
                    yield Hint((1, 3), f"rule name of route {route.name}")
                if route.metadata.policies:
                    yield Hint((1, 7), f"policies of route {route.name}")
                if "/cors-preflight/" in route.name:
                    yield Hint((1, 6), f"route {route.name}")
                if b"compressor" in bytes(route.typed_per_filter_config):
                    yield Hint((1, 3), f"compressor of route {route.name}")


def _from_secrets(dump: ConfigDump) -> Iterator[Hint]:
    for entry in dump.secrets:
        if entry.name == "system_ca_certificates":
            yield Hint((1, 9), f"secret {entry.name}")
            continue
        found = names.parse_secret(entry.name, is_certificate=False)
        if found is not None and found.purpose == "backend CA":
            body = plain(entry.secret)
            context = body.get("validation_context") if isinstance(body, dict) else None
            trusted = context.get("trusted_ca") if isinstance(context, dict) else None
            if isinstance(trusted, dict) and trusted.get("filename"):
                yield Hint((1, 3), f"secret {entry.name} read from a file")
