"""EGD-429 control-plane-secret-immutable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import DEPLOYMENT, ENVOY_GATEWAY, SECRET
from egops.pki import control_plane_secrets
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGD-429",
    severity=Severity.WARNING,
    reads=(SECRET,),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    since="0.1",
    ok="the control plane's Secrets can be written",
)
def control_plane_secret_immutable(snapshot: Snapshot) -> Iterator[Problem]:
    """A Secret of the control plane is immutable.

    ## Why it matters
    The API server refuses every change of it, so its certificate can't be renewed. It would have to
    be deleted and made anew, and pods that start in between hang in `ContainerCreating`.

    ## How to fix it
    Make the Secret again without `immutable: true`, with the same content, in one step:
    `kubectl replace --force`.
    """
    judged = False
    for _, secrets in control_plane_secrets(snapshot):
        for secret in secrets.values():
            judged = True
            if secret.body.get("immutable") is True:
                yield Problem(
                    secret.at("immutable"),
                    "it is immutable",
                    impact="its certificate can't be renewed in place",
                    remedy=("replace it by the same Secret without immutable: true",),
                )
    if not judged:
        raise CannotJudge("none of the control plane's Secrets was read")
