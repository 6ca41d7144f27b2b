"""EGU-1914 replaced-bootstrap-keeps-cbc."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY, SECURITY_POLICY
from egops.rules import rule
from egops.snapshot import section, text
from egops.upgrade.bootstrap import kind_of
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

FLAG = "envoy.reloadable_features.oauth2_use_gcm_encryption"


@rule(
    code="EGU-1914",
    severity=Severity.WARNING,
    reads=(ENVOY_PROXY, SECURITY_POLICY),
    since="0.1",
    changed_in=(1, 9, 1),
    link=notes_link((1, 9, 1)),
    ok="no OIDC policy meets a bootstrap of its own",
)
def replaced_bootstrap_keeps_cbc(snapshot: Snapshot) -> Iterator[Problem]:
    """OIDC cookies are encrypted anew, which a bootstrap of one's own does not take part in.

    ## Why it matters
    1.9.1 turns on AES-256-GCM for session cookies in its bootstrap (CVE-2026-47775). Proxies whose
    bootstrap is replaced stay open to the attack. Everybody else logs in once more.

    ## How to fix it
    Add `envoy.reloadable_features.oauth2_use_gcm_encryption: true` and
    `envoy.reloadable_features.oauth2_legacy_cbc_decrypt_compat: false` to a `layered_runtime`.
    """
    upgrade_of(snapshot)
    policies = [one for one in snapshot.all(SECURITY_POLICY) if section(one.spec, "oidc")]
    for proxy in snapshot.all(ENVOY_PROXY) if policies else ():
        if kind_of(proxy) == "Replace" and FLAG not in text(proxy.spec, "bootstrap", "value"):
            yield change(
                snapshot,
                proxy.at("spec", "bootstrap"),
                "its own bootstrap leaves OIDC cookies in AES-256-CBC (CVE-2026-47775)",
                today="session cookies are encrypted with AES-256-CBC",
                after="only the default bootstrap turns AES-256-GCM on",
                keep=(f"set {FLAG}: true in a layered_runtime of the bootstrap",),
                verify="layered_runtime in the bootstrap of /config_dump",
                possible="certain if an OIDC policy counts for these proxies",
            )
    for policy in policies[:1]:
        yield change(
            snapshot,
            policy.at("spec", "oidc"),
            f"the sessions of {len(policies)} OIDC policies end: users log in once more",
            today="session cookies are encrypted with AES-256-CBC",
            after="they are encrypted with AES-256-GCM, the old ones are not read",
            verify="a login works after the upgrade",
            severity=Severity.INFO,
        )
