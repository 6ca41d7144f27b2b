"""EGU-1503 xds-names-of-version-two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_GATEWAY, ENVOY_PATCH_POLICY
from egops.rules import rule
from egops.snapshot import entries, section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1503",
    severity=Severity.INFO,
    reads=(ENVOY_GATEWAY,),
    optional=(ENVOY_PATCH_POLICY,),
    since="0.1",
    changed_in=(1, 5, 0),
    link=notes_link((1, 5, 0)),
    ok="the runtime flag XDSNameSchemeV2 is off, or nothing depends on names",
)
def xds_names_of_version_two(snapshot: Snapshot) -> Iterator[Problem]:
    """The configuration turns on the second scheme of xDS names, and something depends on names.

    ## Why it matters
    With `XDSNameSchemeV2` listeners and virtual hosts have other names: patches and extension
    servers that look for the old ones find nothing. The flag is off by default up to 1.9.

    ## How to fix it
    Rewrite the patches for the new names, or leave the flag off.
    """
    upgrade_of(snapshot)
    for config in snapshot.all(ENVOY_GATEWAY):
        flags = entries(config.body, "runtimeFlags", "enabled")
        patches = len(snapshot.all(ENVOY_PATCH_POLICY))
        server = bool(section(config.body, "extensionManager"))
        for index, flag in enumerate(flags):
            if flag == "XDSNameSchemeV2" and (patches or server):
                what = f"{patches} EnvoyPatchPolicies" if patches else "the extension server"
                yield change(
                    snapshot,
                    config.at("runtimeFlags", "enabled", index),
                    f"listeners and virtual hosts get other names, on which {what} may depend",
                    today="the flag is unknown and ignored",
                    after="names are made by the second scheme",
                    keep=("rewrite what looks for names, or remove the flag",),
                    verify="the names in /config_dump",
                    possible="certain if a patch or the server looks for a name",
                )
