"""The entries of a config dump's sections: a resource, its version and its state."""

from __future__ import annotations

from msgspec import Raw, Struct

from egops.xds.raw import EMPTY
from egops.xds.resources import Cluster, Listener, LoadAssignment, RouteConfiguration


class ErrorState(Struct, frozen=True, gc=False):
    """Why Envoy refused a listener: it keeps serving the old one, if there was one."""

    failed_configuration: Raw = EMPTY
    last_update_attempt: str = ""
    details: str = ""
    version_info: str = ""


class ListenerVersion(Struct, frozen=True, gc=False):
    """A listener in one of its states."""

    version_info: str = ""
    listener: Listener = Listener()
    last_updated: str = ""


class DynamicListener(Struct, frozen=True, gc=False):
    """A listener entry as the dump has it; a refused one may have no name."""

    name: str = ""
    active_state: ListenerVersion | None = None
    warming_state: ListenerVersion | None = None
    draining_state: ListenerVersion | None = None
    error_state: ErrorState | None = None
    client_status: str = ""


class ListenerEntry(Struct, frozen=True, gc=False):
    """A listener with its states. A refused new listener has only `error`.

    `static` listeners come from the bootstrap and are active.
    """

    name: str
    static: bool
    active: ListenerVersion | None = None
    warming: ListenerVersion | None = None
    draining: ListenerVersion | None = None
    error: ErrorState | None = None


class RouteConfigEntry(Struct, frozen=True, gc=False):
    """A route configuration: static ones are written inline in a listener."""

    version_info: str = ""
    route_config: RouteConfiguration = RouteConfiguration()
    last_updated: str = ""
    static: bool = False


class ClusterEntry(Struct, frozen=True, gc=False):
    """A cluster and its state: `static`, `active` or `warming`."""

    version_info: str = ""
    cluster: Cluster = Cluster()
    last_updated: str = ""
    state: str = "active"


class Versioned(Struct, frozen=True, gc=False):
    """The version of a section."""

    version_info: str = ""


class EndpointEntry(Struct, frozen=True, gc=False):
    """A load assignment as Envoy's runtime sees it."""

    endpoint_config: LoadAssignment = LoadAssignment()


class SecretEntry(Struct, frozen=True, gc=False):
    """A secret and its state: `static`, `active` or `warming`. Keys are redacted by Envoy."""

    name: str = ""
    version_info: str = ""
    last_updated: str = ""
    secret: Raw = EMPTY
    state: str = "active"
