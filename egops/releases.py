"""What each release of Envoy Gateway needs of the cluster's CRDs."""

from __future__ import annotations

from typing import NamedTuple

from egops.gatewayapi import EG, GWAPI, XGWAPI

Version = tuple[int, ...]

# the Gateway API bundles that a minor release is built and tested with, oldest first
BUNDLES: dict[tuple[int, int], tuple[Version, ...]] = {
    (1, 2): ((1, 2, 0), (1, 2, 1)),
    (1, 3): ((1, 2, 1),),
    (1, 4): ((1, 3, 0),),
    (1, 5): ((1, 3, 0),),
    (1, 6): ((1, 4, 0), (1, 4, 1)),
    (1, 7): ((1, 4, 1),),
    (1, 8): ((1, 5, 1),),
    (1, 9): ((1, 6, 1),),
}


class Need(NamedTuple):
    """A CRD version that some minors need. `last` is inclusive; None has no end."""

    crd: str
    version: str
    first: tuple[int, int]
    last: tuple[int, int] | None
    effect: str  # `fails`: it does not start; `ignores`: it skips the kind, and says so in its log

    def applies_to(self, running: Version | None) -> bool:
        """Return whether this release needs it; for an unknown one only what all need."""
        if running is None:
            return self.first == (1, 0) and self.last is None
        return running[:2] >= self.first and (self.last is None or running[:2] <= self.last)


FAILS, IGNORES = "fails", "ignores"
NEEDS: tuple[Need, ...] = (
    *(
        Need(f"{plural}.{GWAPI}", "v1", (1, 0), None, FAILS)
        for plural in ("gatewayclasses", "gateways", "httproutes")
    ),
    Need(f"referencegrants.{GWAPI}", "v1beta1", (1, 0), None, FAILS),
    *(
        Need(f"{plural}.{EG}", "v1alpha1", (1, 0), None, IGNORES)
        for plural in (
            "backends", "backendtrafficpolicies", "clienttrafficpolicies",
            "envoyextensionpolicies", "envoypatchpolicies", "envoyproxies", "securitypolicies",
        )
    ),
    Need(f"httproutefilters.{EG}", "v1alpha1", (1, 2), None, IGNORES),
    # 1.8 watches these without asking whether they exist
    *(
        Need(f"{plural}.{GWAPI}", "v1", (1, 8), (1, 8), FAILS)
        for plural in ("listenersets", "tlsroutes", "grpcroutes", "backendtlspolicies")
    ),
    Need(f"grpcroutes.{GWAPI}", "v1", (1, 2), (1, 7), IGNORES),
    Need(f"backendtlspolicies.{GWAPI}", "v1alpha3", (1, 2), (1, 5), IGNORES),
    Need(f"backendtlspolicies.{GWAPI}", "v1", (1, 6), (1, 7), IGNORES),
    Need(f"tlsroutes.{GWAPI}", "v1alpha2", (1, 2), (1, 5), IGNORES),
    Need(f"tlsroutes.{GWAPI}", "v1alpha3", (1, 6), (1, 7), IGNORES),
    Need(f"tcproutes.{GWAPI}", "v1alpha2", (1, 2), (1, 8), IGNORES),
    Need(f"udproutes.{GWAPI}", "v1alpha2", (1, 2), (1, 8), IGNORES),
    Need(f"xlistenersets.{XGWAPI}", "v1alpha1", (1, 7), (1, 7), IGNORES),
    *(
        Need(f"{plural}.{GWAPI}", "v1", (1, 9), None, IGNORES)
        for plural in (
            "backendtlspolicies", "grpcroutes", "listenersets", "tcproutes", "tlsroutes",
            "udproutes",
        )
    ),
)  # fmt: skip


def bundle_of(crd_annotation: str) -> Version | None:
    """Return (1, 2, 1) for a bundle-version annotation such as `v1.2.1`, None for others."""
    numbers = crd_annotation.removeprefix("v").partition("-")[0].split(".")
    if len(numbers) != 3 or not all(part.isdigit() for part in numbers):
        return None
    return tuple(int(part) for part in numbers)


def dotted(version: Version) -> str:
    """Return `1.2.1`."""
    return ".".join(map(str, version))
