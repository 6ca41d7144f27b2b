"""The OIDC HMAC: never part of a rotation, because a new one logs everybody out."""

from __future__ import annotations

import secrets
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egops.apply import Api, ObjectName
from egops.errors import InputError
from egops.rotation.installation import SECRET
from egops.rotation.writes import Writes

if TYPE_CHECKING:
    from egops.rotation.installation import Installation
    from egops.rotation.world import World

Object = dict[str, Any]

NAME = "envoy-oidc-hmac"
KEY = "hmac-secret"
POLICY = Api("gateway.envoyproxy.io/v1alpha1", "SecurityPolicy", "securitypolicies")
EXTENSION = Api("gateway.envoyproxy.io/v1alpha1", "EnvoyExtensionPolicy", "envoyextensionpolicies")


@dataclass(frozen=True)
class Effect:
    """Whom a new HMAC hits: policies as `namespace/name`."""

    oidc: tuple[str, ...]
    wasm: tuple[str, ...]
    replicas: int

    def lines(self) -> list[str]:
        """Return what will happen, in sentences."""
        found = [
            f"{len(self.oidc)} OIDC policies: every user who is logged in through them has to log "
            "in again, and logins under way fail"
            + (f": {', '.join(self.oidc)}" if self.oidc else "")
        ]
        if self.wasm:
            found.append(
                f"{len(self.wasm)} policies load Wasm: its download paths are salted with the HMAC "
                "at the start of Envoy Gateway, so all its pods are restarted"
            )
        return found


def effect(world: World, here: Installation) -> Effect:
    """Return whom a new HMAC hits. Reads only."""
    oidc = [
        _name(one)
        for one in world.cluster.list(POLICY) or ()
        if (one.get("spec") or {}).get("oidc")
    ]
    wasm = [
        _name(one)
        for one in world.cluster.list(EXTENSION) or ()
        if (one.get("spec") or {}).get("wasm")
    ]
    replicas = (here.gateway.body.get("spec") or {}).get("replicas")
    return Effect(tuple(sorted(oidc)), tuple(sorted(wasm)), 1 if replicas is None else replicas)


def write(world: World, here: Installation, before: Any) -> None:
    """Write a new HMAC of 32 random bytes.

    Raises:
        InputError: there is no Secret of that name.
    """
    fresh = b64encode(secrets.token_bytes(32)).decode()

    def patch_of(live: Object) -> Object | None:
        if live.get("immutable"):
            raise InputError(f"Secret {NAME} is immutable")
        return None if (live.get("data") or {}).get(KEY) == fresh else {"data": {KEY: fresh}}

    Writes(world, before).change(SECRET, ObjectName(here.namespace, NAME), patch_of)


def _name(body: Object) -> str:
    meta = body["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"
