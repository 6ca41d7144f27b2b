"""EGU-1304 extension-fails-closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_GATEWAY, SECRET
from egops.rules import rule
from egops.snapshot import Resource, SourceType, entries, section, text
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

KNOWN = {
    "backendResources", "failOpen", "hooks", "maxMessageSize", "policyResources", "resources",
    "service",
}  # fmt: skip
MANAGER = ("extensionManager",)


@rule(
    code="EGU-1304",
    severity=Severity.ERROR,
    reads=(ENVOY_GATEWAY,),
    optional=(SECRET,),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="no extension server is called, or its errors are let pass (failOpen)",
)
def extension_fails_closed(snapshot: Snapshot) -> Iterator[Problem]:
    """An error of the extension server was ignored and now answers requests with 500.

    ## Why it matters
    A server that is down, slow or can't take a large configuration (4 MiB unless `maxMessageSize`
    says otherwise) turns its hook's routes, hosts or listeners into errors. From 1.4 on the whole
    configuration is held back instead.

    ## How to fix it
    Set `extensionManager.failOpen: true` (1.2 ignores the key), and `maxMessageSize` for large
    configurations.
    """
    upgrade_of(snapshot)
    for config in snapshot.all(ENVOY_GATEWAY):
        manager = section(config.body, *MANAGER)
        hooks = entries(manager, "hooks", "xdsTranslator", "post")
        unknown = sorted(set(manager) - KNOWN)
        if manager and unknown:
            yield change(
                snapshot,
                config.at(*MANAGER, unknown[0]),
                f"the key {unknown[0]} under extensionManager is unknown and ignored",
                today="ignored",
                after="ignored: a misspelt failOpen means that errors fail closed",
                keep=(f"correct the spelling; the keys are {', '.join(sorted(KNOWN))}",),
                severity=Severity.WARNING,
            )
        if not hooks or manager.get("failOpen") is True:
            continue
        yield _problem(snapshot, config, [str(hook) for hook in hooks])


def _problem(snapshot: Snapshot, config: Resource, hooks: list[str]) -> Problem:
    missing = _missing_certificate(snapshot, config)
    why = f"Secret {missing} does not exist, so every call fails" if missing else ""
    return change(
        snapshot,
        config.at(*MANAGER, "hooks", "xdsTranslator", "post"),
        f"errors of the extension server ({', '.join(hooks)}) answer requests with 500",
        evidence=(why,) if why else (),
        today="an error is logged and the unmodified configuration is published",
        after="what the hook was called for answers 500 (from 1.4 on: nothing new is published)",
        keep=("set extensionManager.failOpen: true before the upgrade",),
        verify="stop the extension server in a test cluster; requests keep working",
        severity=Severity.ERROR if missing else Severity.WARNING,
        possible="" if missing else "certain if the server ever answers with an error",
        fix_patch=patch(config, (*MANAGER, "failOpen"), True),  # noqa: FBT003 - the value
    )


def _missing_certificate(snapshot: Snapshot, config: Resource) -> str:
    ref = section(config.body, *MANAGER, "service", "tls", "certificateRef")
    if not ref or SECRET not in snapshot.resources:
        return ""
    namespace = text(ref, "namespace") or config.namespace
    here = any(found.namespace == namespace for found in snapshot.all(SECRET))
    if snapshot.source.type is not SourceType.CLUSTER and not here:
        return ""
    name = text(ref, "name")
    return "" if snapshot.find(SECRET, namespace, name) else f"{namespace}/{name}"
