"""EGD-428 oidc-hmac-short."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.certs import CertificateError, secret_bytes
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import DEPLOYMENT, ENVOY_GATEWAY, SECRET, installs
from egops.pki import DEFAULT_NAMESPACE, is_redacted
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

NAME, KEY, LENGTH = "envoy-oidc-hmac", "hmac-secret", 32


@rule(
    code="EGD-428",
    severity=Severity.WARNING,
    reads=(SECRET,),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    since="0.1",
    ok="the key that signs OIDC cookies has its full length",
)
def oidc_hmac_short(snapshot: Snapshot) -> Iterator[Problem]:
    """The key that signs OIDC cookies is shorter than the 32 bytes of certgen.

    ## Why it matters
    Who guesses it forges sessions of any user. It is also the salt of the paths of Wasm modules.

    ## How to fix it
    Put 32 random bytes into the Secret: `egops certs rotate --rotate-hmac`. Every user has to log
    in again, and Envoy Gateway must be restarted if Wasm is in use.
    """
    judged = False
    for namespace in {install.namespace for install in installs(snapshot)} or {DEFAULT_NAMESPACE}:
        secret = snapshot.find(SECRET, namespace, NAME)
        if secret is None:
            continue
        fault = ""
        try:
            value = secret_bytes(secret, KEY)
            if value is None or is_redacted(value):
                continue
            if len(value) < LENGTH:
                fault = f"{KEY} has {len(value)} bytes, not {LENGTH}"
        except CertificateError as exc:
            fault = str(exc)
        judged = True
        if fault:
            yield Problem(
                secret.at("data", KEY),
                fault,
                impact="sessions of OIDC users are easier to forge",
                remedy=("egops certs rotate --rotate-hmac: every user logs in again",),
            )
    if not judged:
        raise CannotJudge(f"Secret {NAME} was not read")
