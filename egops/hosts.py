"""The endpoints Envoy balances to, as `/clusters` tells: addresses and why one gets no traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from egops.xds.admin import HostStatus

FLAGS = (
    "failed_active_health_check", "failed_outlier_check", "active_hc_timeout",
    "excluded_via_immediate_hc_fail", "pending_active_hc", "pending_dynamic_removal",
)  # fmt: skip


def health(host: HostStatus) -> str:
    """Return the flags of a host in words, or `healthy`."""
    status = host.health_status
    flags = [flag for flag in FLAGS if getattr(status, flag)]
    eds = status.eds_health_status
    if eds and eds != "HEALTHY":
        flags.append(eds)
    return ", ".join(flags) or "healthy"


def is_healthy(host: HostStatus) -> bool:
    """Return whether Envoy counts the host as healthy."""
    return health(host) == "healthy"


def is_draining(host: HostStatus) -> bool:
    """Return whether the host is on its way out: Envoy Gateway keeps terminating pods so."""
    status = host.health_status
    return status.eds_health_status in ("DRAINING", "UNHEALTHY") or status.pending_dynamic_removal
