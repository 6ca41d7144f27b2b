"""Tables made of manifests against those of Envoy Gateway's own translators, release by release."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from egops.routetables import generations_of
from tests.routetables.compare import compare
from tools.translate.build import CACHE

if TYPE_CHECKING:
    from pathlib import Path

FIXED = 20_250_130
REQUIRED = ("1.2.8", "1.3.0")
RELEASES = (*REQUIRED, "1.3.3", "1.4.3", "1.5.9", "1.6.3", "1.7.1", "1.8.3", "1.9.0")
INPUTS, EACH = 30, 35


def needs(version: str) -> None:
    """Skip without the translator of a release; fail where all must be there."""
    if (CACHE / f"oracle-{version}").exists():
        return
    reason = f"no translator of {version}: python -m tools.translate.build {version}"
    if version in REQUIRED and os.environ.get("EGOPS_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.mark.parametrize("version", RELEASES)
def test_manifests_decide_as_what_envoy_gateway_makes_of_them(version: str, tmp_path: Path) -> None:
    needs(version)
    seed = FIXED if version == "1.2.8" else random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails

    tally = compare(version, generations_of(version)[0], seed, INPUTS, EACH, tmp_path)

    assert tally.differences == [], f"seed {seed}: {len(tally.differences)} of {tally.pairs} differ"
    assert tally.pairs >= 1_000
    assert tally.unknown < tally.pairs / 10
    assert tally.shadows
    assert {"route", "redirect", "direct_response", "no_route", "rejected"} <= tally.outcomes.keys()
