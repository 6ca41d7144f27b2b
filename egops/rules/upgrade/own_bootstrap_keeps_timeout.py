"""EGU-1708 own-bootstrap-keeps-timeout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import text
from egops.upgrade.bootstrap import kind_of
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1708",
    severity=Severity.INFO,
    reads=(ENVOY_PROXY,),
    since="0.1",
    changed_in=(1, 7, 0),
    link=notes_link((1, 7, 0)),
    ok="no EnvoyProxy replaces the bootstrap",
)
def own_bootstrap_keeps_timeout(snapshot: Snapshot) -> Iterator[Problem]:
    """A proxy with a bootstrap of its own does not wait for its configuration without limit.

    ## Why it matters
    The bootstrap of 1.7 sets `initial_fetch_timeout: 0s` for xDS. A bootstrap that replaces it has
    Envoy's 15 seconds: such a proxy starts with what it has by then.

    ## How to fix it
    Set `initial_fetch_timeout` in your bootstrap as you want it.
    """
    upgrade_of(snapshot)
    for proxy in snapshot.all(ENVOY_PROXY):
        if kind_of(proxy) == "Replace":
            own = "initial_fetch_timeout" in text(proxy.spec, "bootstrap", "value")
            if not own:
                yield change(
                    snapshot,
                    proxy.at("spec", "bootstrap"),
                    "its own bootstrap lacks the initial_fetch_timeout of the default one",
                    today="a starting proxy waits 15 seconds for its configuration",
                    after="others wait without limit, these 15 seconds",
                    keep=("set initial_fetch_timeout: 0s in ads_config of the bootstrap",),
                    verify="the bootstrap in /config_dump",
                )
