"""EGU-1807 sampling-fraction-grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import number, section
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PATH = ("spec", "telemetry", "tracing", "samplingFraction")


@rule(
    code="EGU-1807",
    severity=Severity.WARNING,
    reads=(ENVOY_PROXY,),
    optional=(*CORE,),
    since="0.1",
    changed_in=(1, 8, 0),
    link=notes_link((1, 8, 0)),
    ok="no EnvoyProxy samples traces by a fraction",
)
def sampling_fraction_grows(snapshot: Snapshot) -> Iterator[Problem]:
    """`samplingFraction` is taken at its word: a hundred times as many traces as before.

    ## Why it matters
    The fraction was handed to Envoy as a percentage: 1/100 sampled 0.01 % of requests. From 1.8 on
    it samples 1 %: the volume and the cost of traces grow.

    ## How to fix it
    Divide the fraction by 100 together with the upgrade, if the volume is to stay.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    used = [proxy for proxy, _ in joined.used_proxies.values()]
    for proxy in used if joined.is_whole else snapshot.all(ENVOY_PROXY):
        fraction = section(proxy.spec, *PATH[1:])
        top, bottom = number(fraction, "numerator"), number(fraction, "denominator", default=100)
        if top <= 0 or bottom <= 0:
            continue
        share = min(100 * top / bottom, 100)
        yield change(
            snapshot,
            proxy.at(*PATH),
            f"{share:g} % of requests are traced instead of {share / 100:g} %",
            today=f"{top}/{bottom} counts as {share / 100:g} %",
            after=f"{top}/{bottom} counts as {share:g} %",
            keep=(f"set denominator: {bottom * 100} together with the upgrade",),
            verify="random_sampling of the listeners in /config_dump",
            fix_patch=patch(proxy, (*PATH, "denominator"), bottom * 100),
        )
