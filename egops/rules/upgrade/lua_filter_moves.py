"""EGU-1814 lua-filter-moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.certs import CertificateError, key_fault, secret_bytes
from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_GATEWAY, ENVOY_PATCH_POLICY, OURS, SECRET
from egops.pki import is_redacted, listener_secrets, pair
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.patches import operations
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from egops.snapshot import Resource, Snapshot

LUA = "envoy.filters.http.lua"


@rule(
    code="EGU-1814",
    severity=Severity.ERROR,
    optional=(ENVOY_GATEWAY, ENVOY_PATCH_POLICY, SECRET, *OURS),
    since="0.1",
    changed_in=(1, 8, 3),
    link=notes_link((1, 8, 3)),
    ok="no patch works on Lua filters, every certificate of a listener is valid and fits its key",
)
def lua_filter_moves(snapshot: Snapshot) -> Iterator[Problem]:
    """Lua filters move to the listener under other names, and broken certificates are refused.

    ## Why it matters
    Patches on `envoy.filters.http.lua/<n>` find nothing. A serving certificate whose chain holds an
    expired member, or that does not fit its key, is refused: the listener gets no certificate.
    Before, the member was left out, or Envoy refused the secret.

    ## How to fix it
    Rewrite the patches. Renew the certificate, with a chain that is valid as a whole.
    """
    upgrade_of(snapshot)
    for found in operations(snapshot):
        if LUA in f"{found.name}\n{found.whole}":
            yield change(
                snapshot,
                found.at(),
                "the patch works on a Lua filter, which moves and gets another name",
                evidence=(f"path: {found.path}",),
                today="envoy.filters.http.lua/<n>, switched on at the routes",
                after="Lua filters stand at the listener, with other names",
                keep=("rewrite the patch for the target and try it before the upgrade",),
                verify=f"EnvoyPatchPolicy {found.policy.name} is Programmed=True",
                severity=Severity.WARNING,
                possible="certain if the patched filter comes from an EnvoyExtensionPolicy",
            )
    for secret, users in listener_secrets(snapshot):
        fault = _fault(secret, snapshot.taken_at)
        if fault:
            yield change(
                snapshot,
                secret.at("data", "tls.crt"),
                f"the certificate is refused: {fault}",
                evidence=tuple(f"used by {user}" for user in users[:5]),
                today="it is sent to Envoy, without the members that are expired",
                after="the listener's reference is not resolved, it serves no TLS",
                keep=("renew the certificate, with a chain that is valid as a whole",),
                verify="the listener is ResolvedRefs=True",
            )


def _fault(secret: Resource, now: datetime) -> str:
    """Return why 1.8.3 refuses the serving certificate and the releases before did not."""
    found = pair(secret)
    if found.leaf is None:
        return ""
    for each in found.chain if len(found.chain) > 1 else ():
        if each.not_after <= now:
            return f"its chain holds {each.subject}, expired on {each.not_after:%Y-%m-%d}"
    try:
        key = secret_bytes(secret, "tls.key")
    except CertificateError:
        return ""
    return key_fault(key, found.leaf) if key and not is_redacted(key) else ""
