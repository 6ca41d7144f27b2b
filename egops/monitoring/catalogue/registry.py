"""All groups, in the order in which they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.monitoring.catalogue import Alert
from egops.monitoring.catalogue.certificates import CERTIFICATES
from egops.monitoring.catalogue.control_plane import CONTROL_PLANE
from egops.monitoring.catalogue.proxies import PROXIES, SLO
from egops.monitoring.catalogue.ratelimit import RATE_LIMIT
from egops.monitoring.catalogue.xds import XDS

if TYPE_CHECKING:
    from egops.monitoring.catalogue import Group

GROUPS: tuple[Group, ...] = (CONTROL_PLANE, XDS, CERTIFICATES, SLO, PROXIES, RATE_LIMIT)
ALERTS: dict[str, Alert] = {
    rule.name: rule for group in GROUPS for rule in group.rules if isinstance(rule, Alert)
}
