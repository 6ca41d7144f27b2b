"""EGD-430 control-plane-secret-owned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import CERTIFICATE, DEPLOYMENT, ENVOY_GATEWAY, SECRET
from egops.pki import control_plane_secrets
from egops.renewal import owner_of
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGD-430",
    severity=Severity.INFO,
    reads=(SECRET,),
    optional=(CERTIFICATE, DEPLOYMENT, ENVOY_GATEWAY),
    since="0.1",
    ok="the control plane's Secrets belong to nobody else: egops may rotate them",
)
def control_plane_secret_owned(snapshot: Snapshot) -> Iterator[Problem]:
    """Another tool keeps Secrets of the control plane as it wants them.

    ## Why it matters
    What anybody else writes into them is undone: cert-manager, External Secrets, Sealed Secrets,
    Argo CD, Flux or Helm put their own content back, in the middle of a rotation too.

    ## How to fix it
    Nothing is broken. Renew the certificates with that tool; `egops certs rotate` refuses, and
    `--emit` writes manifests to commit instead.
    """
    judged = False
    for namespace, secrets in control_plane_secrets(snapshot):
        judged = judged or bool(secrets)
        owned = {
            name: owner for name, secret in secrets.items() if (owner := owner_of(secret, snapshot))
        }
        if owned:
            first = secrets[next(iter(owned))]
            yield Problem(
                first.at("metadata"),
                f"{', '.join(owned)} in {namespace} belong to "
                f"{', '.join(dict.fromkeys(owned.values()))}",
                impact="egops certs rotate leaves them alone",
                evidence=tuple(f"{name}: {owner}" for name, owner in owned.items()),
                remedy=("nothing: renew them with the tool that owns them",),
                related=tuple(secrets[name].at("metadata") for name in list(owned)[1:]),
            )
    if not judged:
        raise CannotJudge("none of the control plane's Secrets was read")
