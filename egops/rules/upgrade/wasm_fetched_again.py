"""EGU-1822 wasm-fetched-again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_EXTENSION_POLICY
from egops.rules import rule
from egops.snapshot import items
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1822",
    severity=Severity.INFO,
    optional=(*ROUTES, ENVOY_EXTENSION_POLICY),
    since="0.1",
    changed_in=(1, 8, 3),
    link=notes_link((1, 8, 3)),
    ok="no policy has a Wasm extension",
)
def wasm_fetched_again(snapshot: Snapshot) -> Iterator[Problem]:
    """The fetch of a Wasm module is tried ten times.

    ## Why it matters
    A fetch that failed was tried once more after a second, and the extension stayed broken.
    From 1.8.3 on the proxy tries for minutes: an extension that was broken may come to life.

    ## How to fix it
    Look at EnvoyExtensionPolicies whose module could not be fetched.
    """
    upgrade_of(snapshot)
    for policy in snapshot.all(ENVOY_EXTENSION_POLICY):
        for index, _ in items(policy.spec, "wasm"):
            yield change(
                snapshot,
                policy.at("spec", "wasm", index),
                "the module is fetched with up to ten retries",
                today="one retry after a second",
                after="ten retries, 1 s to 30 s apart",
                verify="wasm.remote_load_fetch_failures stays 0",
            )
