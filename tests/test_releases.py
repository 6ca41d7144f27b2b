"""What releases need of CRDs, know of configuration keys, and lack in fixes."""

from __future__ import annotations

import pytest

from egops.releases import BUNDLES, NEEDS, bundle_of
from egops.rules.install.control_plane_configuration_invalid import unknown_keys
from egops.rules.install.defects import DEFECTS, HOLES, Defect


def versions(crd: str, release: tuple[int, ...] | None) -> set[str]:
    return {need.version for need in NEEDS if need.crd.startswith(crd) and need.applies_to(release)}


@pytest.mark.parametrize(
    ("crd", "release", "expected"),
    [
        ("tlsroutes.", (1, 3, 0), {"v1alpha2"}),
        ("tlsroutes.", (1, 7, 1), {"v1alpha3"}),
        ("tlsroutes.", (1, 9, 0), {"v1"}),
        ("backendtlspolicies.", (1, 5, 9), {"v1alpha3"}),
        ("backendtlspolicies.", (1, 8, 3), {"v1"}),
        ("tcproutes.", (1, 8, 0), {"v1alpha2"}),
        ("listenersets.", (1, 7, 0), set()),
        ("listenersets.", (1, 8, 0), {"v1"}),
        ("gateways.", None, {"v1"}),
        ("tlsroutes.", None, set()),
    ],
)
def test_release_needs_this_version_of_a_crd(
    crd: str, release: tuple[int, ...] | None, expected: set[str]
) -> None:
    assert versions(crd, release) == expected


def test_bundle_annotation_is_read_or_refused() -> None:
    assert bundle_of("v1.2.1") == (1, 2, 1)
    assert bundle_of("v1.5.0-rc.1") == (1, 5, 0)
    assert bundle_of("main") is None
    assert bundle_of("") is None


def test_bundles_are_ordered_oldest_first() -> None:
    assert all(list(bundles) == sorted(bundles) for bundles in BUNDLES.values())


@pytest.mark.parametrize(
    ("body", "release", "expected"),
    [
        ({"ratelimit": {}}, (1, 5, 0), [("ratelimit", "rateLimit", "")]),
        ({"rateLimit": {"backend": {}}}, (1, 5, 0), []),
        ({"runtimeFlags": {}}, (1, 3, 0), [("runtimeFlags", "", "1.4")]),
        ({"runtimeFlags": {}}, None, []),
        ({"kind": "EnvoyGateway", "apiVersion": "x"}, (1, 2, 0), []),
        (
            {"extensionManagers": [{"hooks": {"xdsTranslator": {"Post": []}}}]},
            (1, 9, 0),
            [("extensionManagers.hooks.xdsTranslator.Post", "post", "")],
        ),
        ({"provider": {"kubernetes": {"rateLimitDeployment": {"patch": {"value": {"x": 1}}}}}},
         (1, 2, 0), []),
    ],
)  # fmt: skip
def test_key_that_a_release_does_not_know_is_found_with_the_right_one(
    body: dict[str, object], release: tuple[int, ...] | None, expected: list[tuple[str, str, str]]
) -> None:
    assert [tuple(unknown) for unknown in unknown_keys(body, release)] == expected


def named(words: str) -> Defect:
    return next(defect for defect in (*DEFECTS, *HOLES) if words in defect.name)


@pytest.mark.parametrize(
    ("words", "release", "expected"),
    [
        ("ExternalName", (1, 7, 4), True),
        ("ExternalName", (1, 7, 5), False),
        ("ExternalName", (1, 8, 1), True),
        ("ExternalName", (1, 8, 2), False),
        ("one backendRef", (1, 2, 8), False),
        ("one backendRef", (1, 3), True),
        ("one backendRef", (1, 6, 1), False),
        ("CVE-2025-24030", (1, 2, 5), True),
        ("CVE-2025-24030", (1, 2, 8), False),
        ("winning ListenerSet", (1, 9, 0), True),
        ("winning ListenerSet", (1, 12, 4), True),
    ],
)
def test_defect_affects_exactly_its_releases(
    words: str, release: tuple[int, ...], expected: bool
) -> None:
    assert named(words).affects(release) is expected
