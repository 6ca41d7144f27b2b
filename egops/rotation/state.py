"""Where a rotation stands, read from the certificates alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from egops.certs import Certificate, CertificateError, chain_to, read_chain
from egops.rotation.generation import unique
from egops.rotation.material import GATEWAY, PROXY, RATE_LIMIT, SECRETS

if TYPE_CHECKING:
    from collections.abc import Mapping

# who verifies whom: (whose leaf, by whose ca.crt, what breaks)
LINKS = (
    (GATEWAY, PROXY, "Envoy refuses Envoy Gateway's xDS server"),
    (PROXY, GATEWAY, "Envoy Gateway refuses Envoy"),
    (GATEWAY, RATE_LIMIT, "the rate limit service refuses Envoy Gateway's server"),
    (RATE_LIMIT, GATEWAY, "Envoy Gateway refuses the rate limit service"),
    (RATE_LIMIT, PROXY, "Envoy refuses the rate limit service"),
)


class Phase(StrEnum):
    """The phases, as people know them."""

    SETTLED = "one CA everywhere: no rotation is under way"
    TRUSTING = "trusting both CAs"
    SWAPPING = "swapping leaves"
    DROPPING = "dropping the old CA"
    INCONSISTENT = "inconsistent"


@dataclass(frozen=True)
class State:
    """The phase, how many of the three Secrets have reached it, and what is wrong."""

    phase: Phase
    reached: int = 0
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return `swapping leaves (2 of 3 Secrets)`."""
        if self.phase in {Phase.TRUSTING, Phase.SWAPPING, Phase.DROPPING}:
            return f"{self.phase} ({self.reached} of {len(SECRETS)} Secrets)"
        return str(self.phase)


@dataclass(frozen=True)
class Holding:
    """The leaf and the CAs of one Secret."""

    leaf: Certificate
    authorities: tuple[Certificate, ...]


def read_state(values: Mapping[str, tuple[bytes, bytes]]) -> State:
    """Return the state of `{secret: (tls.crt, ca.crt)}`.

    The newest CA is the one being rotated to; a Secret has dropped the old one when it holds the
    newest alone while another still holds more.
    """
    held: dict[str, Holding] = {}
    for name in SECRETS:
        try:
            certificate, bundle = values[name]
            held[name] = Holding(read_chain(certificate)[0], read_chain(bundle))
        except KeyError:
            return State(Phase.INCONSISTENT, problems=(f"Secret {name} is missing",))
        except CertificateError as exc:
            return State(Phase.INCONSISTENT, problems=(f"Secret {name}: {exc}",))
    problems = tuple(broken_links(held))
    if problems:
        return State(Phase.INCONSISTENT, problems=problems)
    return _phase(held)


def broken_links(held: Mapping[str, Holding]) -> list[str]:
    """Return which peers would refuse each other if they connected anew."""
    return [
        f"{what}: the leaf of Secret {leaf} does not verify under ca.crt of Secret {by}"
        for leaf, by, what in LINKS
        if not chain_to(held[leaf].leaf, held[by].authorities)
    ]


def _phase(held: Mapping[str, Holding]) -> State:
    authorities = unique(ca for one in held.values() for ca in one.authorities)
    if len(authorities) == 1:
        return State(Phase.SETTLED, len(SECRETS))
    newest = max(authorities, key=lambda ca: (ca.not_before, ca.not_after))
    trusting = [name for name in SECRETS if newest in held[name].authorities]
    swapped = [name for name in SECRETS if chain_to(held[name].leaf, [newest])]
    dropped = [name for name in SECRETS if held[name].authorities == (newest,)]
    if dropped:
        return State(Phase.DROPPING, len(dropped))
    if swapped:
        return State(Phase.SWAPPING, len(swapped))
    return State(Phase.TRUSTING, len(trusting))
