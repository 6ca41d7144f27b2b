"""The matcher against the real Envoy: generated tables, requests aimed at their edges."""

from __future__ import annotations

import os
import random

import pytest

from egops.envoy import binary
from egops.errors import EgopsError
from tests.envoy import chains
from tests.envoy.compare import run

pytestmark = pytest.mark.envoy
FIXED = 20_250_130
TABLES, EACH = 20, 140  # 2,800 pairs a seed


@pytest.fixture(scope="module", autouse=True)
def _needs_envoy() -> None:
    try:
        binary()
    except EgopsError as exc:
        if os.environ.get("EGOPS_REQUIRE_ALL") == "1":
            raise
        pytest.skip(f"{exc.message}: {exc.hint}")


@pytest.mark.parametrize(
    "seed", [FIXED, random.SystemRandom().randrange(10**9)], ids=["fixed", "fresh"]
)
def test_matcher_and_envoy_agree_on_every_request(seed: int) -> None:
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails

    tally = run(seed, TABLES, EACH)

    assert tally.differences == [], f"seed {seed}: {len(tally.differences)} of {tally.pairs} differ"
    assert tally.pairs == TABLES * EACH
    assert {"route", "redirect", "direct_response", "no_route", "rejected"} <= tally.outcomes.keys()


@pytest.mark.parametrize(
    "seed", [FIXED, random.SystemRandom().randrange(10**9)], ids=["fixed", "fresh"]
)
def test_matcher_and_envoy_agree_off_the_beaten_track(seed: int) -> None:
    """Matcher trees, fields that Envoy manages, limits, odd targets and rarely used settings."""
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails

    tally = run(seed, TABLES, EACH, odd=True)

    assert tally.differences == [], f"seed {seed}: {len(tally.differences)} of {tally.pairs} differ"
    assert {"route", "redirect", "direct_response", "no_route", "rejected"} <= tally.outcomes.keys()


def test_matcher_and_envoy_agree_on_http2() -> None:
    tally = run(FIXED, 12, 25, binary=True)

    assert tally.differences == [], f"{len(tally.differences)} of {tally.pairs} differ"


@pytest.mark.parametrize(
    "seed", [FIXED, random.SystemRandom().randrange(10**9)], ids=["fixed", "fresh"]
)
def test_walker_and_envoy_pick_the_same_filter_chain(seed: int) -> None:
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails

    pairs, differences = chains.run(seed, 12, 25)

    assert differences == [], f"seed {seed}: {len(differences)} of {pairs} differ"
