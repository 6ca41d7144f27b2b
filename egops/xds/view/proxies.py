"""Rows of `egops inspect proxies`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct, field

from egops.xds.versions import version_hints
from egops.xds.view.listeners import listener_rows

if TYPE_CHECKING:
    from egops.xds.admin import ServerInfo
    from egops.xds.config_dump import ConfigDump


class Counts(Struct, frozen=True, gc=False):
    """How much of each section a proxy holds, and how much of it is not in use."""

    listeners: int
    routes: int
    clusters: int
    endpoints: int
    secrets: int
    warming: int = 0
    rejected: int = 0


class ProxyRow(Struct, frozen=True, gc=False):
    """One Envoy. `gateways` are those whose listeners it has; `release` is told by the dump."""

    name: str
    fleet: str
    state: str
    envoy_version: str = field(name="envoyVersion")
    release: str  # Envoy Gateway's, at least
    release_because: str = field(name="releaseBecause")
    gateways: tuple[str, ...] = ()
    counts: Counts = Counts(0, 0, 0, 0, 0)

    HEADERS: ClassVar = (
        "NAME", "FLEET", "STATE", "ENVOY", "EG", "LISTENERS", "ROUTES", "CLUSTERS", "PENDING",
    )  # fmt: skip
    WIDE: ClassVar = ("ENDPOINTS", "SECRETS", "GATEWAYS", "EG-BECAUSE")

    def cells(self) -> tuple[str, ...]:
        """Return the columns of the table."""
        counts = self.counts
        pending = [f"{counts.warming} warming"] if counts.warming else []
        pending += [f"{counts.rejected} rejected"] if counts.rejected else []
        return (
            self.name,
            self.fleet,
            self.state,
            self.envoy_version,
            f">={self.release}" if self.release else "",
            str(counts.listeners),
            str(counts.routes),
            str(counts.clusters),
            ", ".join(pending),
        )

    def wide(self) -> tuple[str, ...]:
        """Return more columns."""
        return (
            str(self.counts.endpoints),
            str(self.counts.secrets),
            ",".join(self.gateways),
            self.release_because,
        )


def proxy_row(name: str, fleet: str, dump: ConfigDump, info: ServerInfo | None) -> ProxyRow:
    """Return the row of one Envoy; `info` is its `/server_info`, if that was read."""
    hints = version_hints(dump)
    listeners = list(listener_rows(dump))
    gateways = dict.fromkeys(
        f"{gateway.namespace}/{gateway.name}" for row in listeners for gateway in row.gateways
    )
    version = info.envoy_version if info else _built_as(dump)
    return ProxyRow(
        name,
        fleet or (next(iter(gateways)) if len(gateways) == 1 else ""),
        info.state if info else "",
        version,
        ".".join(map(str, hints[0].since)) if hints else "",
        hints[0].seen if hints else "",
        tuple(gateways),
        Counts(
            sum(row.state == "active" for row in listeners),
            sum(
                len(host.routes)
                for entry in dump.route_configs
                for host in entry.route_config.virtual_hosts
            ),
            len(dump.clusters),
            sum(
                len(locality.lb_endpoints)
                for entry in dump.endpoints
                for locality in entry.endpoints
            ),
            len(dump.secrets),
            sum(row.state == "warming" for row in listeners)
            + sum(entry.state == "warming" for entry in dump.clusters)
            + sum(entry.state == "warming" for entry in dump.secrets),
            sum(row.state == "rejected" for row in listeners),
        ),
    )


def _built_as(dump: ConfigDump) -> str:
    """Return the version that the bootstrap's node tells."""
    found: object = dump.bootstrap
    for key in ("node", "user_agent_build_version", "version"):
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        return ""
    return ".".join(str(found.get(key, 0)) for key in ("major_number", "minor_number", "patch"))
