"""EGU-1915 wasm-registry-without-tls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_EXTENSION_POLICY
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1915",
    severity=Severity.WARNING,
    reads=(ENVOY_EXTENSION_POLICY,),
    since="0.1",
    changed_in=(1, 9, 1),
    link=notes_link((1, 9, 1)),
    ok="no Wasm module comes from a registry",
)
def wasm_registry_without_tls(snapshot: Snapshot) -> Iterator[Problem]:
    """A Wasm module comes from a registry, which has to speak HTTPS.

    ## Why it matters
    A registry that refused HTTPS was asked in plain HTTP. The fallback is gone: the module does not
    load, and the routes of the policy fail.

    ## How to fix it
    Let the registry serve HTTPS, or configure it as insecure.
    """
    upgrade_of(snapshot)
    for policy in snapshot.all(ENVOY_EXTENSION_POLICY):
        for index, module in items(policy.spec, "wasm"):
            url = text(section(module, "code", "image"), "url")
            host = url.partition("://")[2].partition("/")[0] or url.partition("/")[0]
            if not url or not (":" in host or "." not in host or host.endswith((".local", ".svc"))):
                continue  # a public registry: it speaks HTTPS
            yield change(
                snapshot,
                policy.at("spec", "wasm", index, "code", "image", "url"),
                f"the registry {host} has to speak HTTPS",
                today="HTTPS is tried, then plain HTTP",
                after="HTTPS only: the module does not load from a registry without it",
                keep=("let the registry serve HTTPS, or configure it as insecure",),
                verify="the EnvoyExtensionPolicy is Accepted=True",
                possible="certain if the registry speaks plain HTTP",
            )
