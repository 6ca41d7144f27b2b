"""EGU-1910 sds-url-without-scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.certs import CertificateError, secret_bytes
from egops.finding import Problem, Severity
from egops.gatewayapi import SECRET
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

SDS = "gateway.envoyproxy.io/sds"


@rule(
    code="EGU-1910",
    severity=Severity.INFO,
    optional=(SECRET,),
    since="0.1",
    changed_in=(1, 9, 0),
    link=notes_link((1, 9, 0)),
    ok="every SDS reference names its socket with unix://",
)
def sds_url_without_scheme(snapshot: Snapshot) -> Iterator[Problem]:
    """A Secret that refers to a Secret Discovery Service names its socket without `unix://`.

    ## Why it matters
    Bare paths were accepted by the release candidates of 1.9 only: 1.9.0 refuses them. Releases
    before do not know such Secrets.

    ## How to fix it
    Write `unix:///path/to/socket`.
    """
    upgrade_of(snapshot)
    for secret in snapshot.all(SECRET):
        if secret.body.get("type") != SDS:
            continue
        try:
            url = secret_bytes(secret, "url")
        except CertificateError:
            continue
        if url is not None and url.startswith(b"/"):
            yield change(
                snapshot,
                secret.at(),
                "its url is a bare path, which 1.9 refuses",
                today="the Secret has no meaning, but to release candidates of 1.9",
                after="what refers to it is not resolved",
                keep=("write the url with unix:// before the path",),
                verify="the policy that refers to it is Accepted=True",
            )
