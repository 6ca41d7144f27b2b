"""EGU-0012 helm-release-unfinished."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import DEPLOYMENT, ENVOY_GATEWAY, SECRET
from egops.rules import rule
from egops.snapshot import Resource, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.world import world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

BAD = ("pending-install", "pending-upgrade", "pending-rollback", "failed", "uninstalling")


@rule(
    code="EGU-0012",
    severity=Severity.ERROR,
    reads=(SECRET,),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    since="0.1",
    changed_in=(1, 0, 0),
    link="https://helm.sh/docs/helm/helm_upgrade/",
    ok="the Helm release is deployed",
)
def helm_release_unfinished(snapshot: Snapshot) -> Iterator[Problem]:
    """The Helm release is in the middle of something, or its last operation failed.

    ## Why it matters
    Helm refuses to upgrade a pending release. After a failed one the objects can be of two
    releases.

    ## How to fix it
    Look at `helm history`, and roll back to the last deployed revision.
    """
    upgrade_of(snapshot)
    install = world(snapshot).install
    if install is None or install.deployment is None:
        return
    name = text(install.deployment.annotations, "meta.helm.sh/release-name")
    revisions = [
        secret
        for secret in snapshot.all(SECRET)
        if secret.namespace == install.namespace
        and text(secret.labels, "owner") == "helm"
        and text(secret.labels, "name") == name
    ]
    last = max(revisions, key=_revision, default=None)
    if last is None or text(last.labels, "status") not in BAD:
        return
    status = text(last.labels, "status")
    yield change(
        snapshot,
        last.at("metadata", "labels", "status"),
        f"revision {_revision(last)} of Helm release {name} is {status}",
        today=f"the release is {status}",
        after="helm upgrade refuses, or starts from a half-made release",
        keep=(f"helm history {name} -n {install.namespace}", f"helm rollback {name}"),
        verify=f"helm status {name} -n {install.namespace} says deployed",
        severity=Severity.WARNING if status == "failed" else Severity.ERROR,
    )


def _revision(secret: Resource) -> int:
    version = text(secret.labels, "version")
    return int(version) if version.isdigit() else 0
