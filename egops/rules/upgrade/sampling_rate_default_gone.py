"""EGU-1410 sampling-rate-default-gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1410",
    severity=Severity.INFO,
    reads=(ENVOY_PROXY,),
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="every tracing configuration names its sampling, or there is none",
)
def sampling_rate_default_gone(snapshot: Snapshot) -> Iterator[Problem]:
    """The CRD no longer fills in `tracing.samplingRate`; without it the controller samples 100 %.

    ## Why it matters
    Objects written from now on have no `samplingRate` where none was given. The rate stays 100 %,
    and `samplingFraction` can be used at last. Tools that read the field find nothing.

    ## How to fix it
    Nothing; write out `samplingRate` where a tool reads it.
    """
    upgrade_of(snapshot)
    for proxy in snapshot.all(ENVOY_PROXY):
        tracing = section(proxy.spec, "telemetry", "tracing")
        if tracing and not {"samplingRate", "samplingFraction"} & set(tracing):
            yield change(
                snapshot,
                proxy.at("spec", "telemetry", "tracing"),
                "samplingRate is no longer filled in; 100 % are sampled as before",
                today="the CRD writes samplingRate: 100 into the object",
                after="the field stays absent, the controller takes 100",
                keep=("write out samplingRate if a tool reads it",),
                verify="the traces arrive as before",
            )
