"""EGU-1437 mixed-service-refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND, ENVOY_EXTENSION_POLICY, SECURITY_POLICY
from egops.rules import rule
from egops.snapshot import entries, items, section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.snapshot import Path, Resource, Snapshot


@rule(
    code="EGU-1437",
    severity=Severity.ERROR,
    optional=(*ROUTES, SECURITY_POLICY, ENVOY_EXTENSION_POLICY, BACKEND),
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="every external service has backends of one type",
)
def mixed_service_refused(snapshot: Snapshot) -> Iterator[Problem]:
    """An external service with backends of several types is refused.

    ## Why it matters
    External authorization or processing with both a host name and addresses (a Backend with
    `fqdn` beside a Service, or both kinds of endpoints) fails its policy from 1.4 on: the
    routes answer 500.

    ## How to fix it
    Use backends of one type for the service.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for kind, places in ((SECURITY_POLICY, _security), (ENVOY_EXTENSION_POLICY, _extension)):
        for policy, used in joined.in_use(kind):
            for place, body in places(policy):
                if len(_types(snapshot, policy, body)) > 1 and (used or not joined.is_whole):
                    yield change(
                        snapshot,
                        policy.at(*place, "backendRefs"),
                        "the policy fails: its service has both names and addresses",
                        today="the service is called",
                        after="the policy is Accepted=False, its routes answer 500",
                        keep=("use backends of one type",),
                        verify="the policy is Accepted=True",
                    )


def _security(policy: Resource) -> Iterator[tuple[Path, Mapping[str, object]]]:
    for kind in ("http", "grpc"):
        yield ("spec", "extAuth", kind), section(policy.spec, "extAuth", kind)


def _extension(policy: Resource) -> Iterator[tuple[Path, Mapping[str, object]]]:
    for index, body in items(policy.spec, "extProc"):
        yield ("spec", "extProc", index), body


def _types(snapshot: Snapshot, policy: Resource, body: object) -> set[str]:
    found = set()
    for _, ref in items(body, "backendRefs"):
        if text(ref, "kind") != "Backend":
            found.add("address")
            continue
        namespace = text(ref, "namespace") or policy.namespace
        backend = snapshot.find(BACKEND, namespace, text(ref, "name"))
        for endpoint in entries(backend.spec, "endpoints") if backend is not None else ():
            found.add("name" if section(endpoint, "fqdn") else "address")
    return found
