"""The path as Envoy sees it; each line was observed on a real Envoy."""

from __future__ import annotations

import pytest

from egops.xds import paths


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("/a/../b", "/b"),
        ("/..", "/"),
        ("/x/..", "/"),
        ("/x/.", "/x/"),
        ("/...", "/..."),
        ("/a/%2e%2E/b", "/b"),
        ("/a\\..\\b", "/b"),
        ("/%41%7E%2D%5F", "/A~-_"),
        ("/%3b%3B%20%C3%A9", "/%3b%3B%20%C3%A9"),
        ('/|"<>{}^`', "/%7C%22%3C%3E%7B%7D%5E%60"),
        ("/[]!'*();:=+,@", "/[]!'*();:=+,@"),
        ("/%", "/%"),
        ("/%4", "/%4"),
        ("/%zz", "/%zz"),
        ("/%%43", "/%C"),
        ("/%%41a", "/%25Aa"),
        ("/%4%31", "/%2541"),
        ("/%%30%31", "/%2501"),
        ("/a?y=/../z&%41", "/a?y=/../z&%41"),
        ("/%252F", "/%252F"),
    ],
)
def test_normalisation_is_envoys(sent: str, seen: str) -> None:
    assert paths.normalize(sent.encode(), dot_parameters=True) == seen.encode()


def test_a_null_byte_is_refused() -> None:
    assert paths.normalize(b"/a%00", dot_parameters=True) is None


@pytest.mark.parametrize(
    ("sent", "newer", "older"),
    [
        ("/..;/a", "/a", "/..;/a"),
        ("/a/.;x/b", "/a/b", "/a/.;x/b"),
        ("/a/%2e%2e;/b", "/a/..;/b", "/a/..;/b"),
    ],
)
def test_dot_segments_with_parameters_depend_on_the_version(
    sent: str, newer: str, older: str
) -> None:
    assert paths.normalize(sent.encode(), dot_parameters=True) == newer.encode()
    assert paths.normalize(sent.encode(), dot_parameters=False) == older.encode()


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("/a//b", "/a/b"),
        ("//h/x", "/h/x"),
        ("//", "//"),
        ("///", "//"),
        ("/a//", "/a/"),
        ("/?//", "/?//"),
    ],
)
def test_slashes_are_merged_but_for_a_path_of_nothing_else(sent: str, seen: str) -> None:
    assert paths.merge_slashes(sent.encode()) == seen.encode()


def test_only_escaped_slashes_are_unescaped_and_not_in_the_query() -> None:
    assert paths.unescape_slashes(b"/a%2Fb%5cc%252F?x=%2F") == b"/a/b\\c%252F?x=%2F"


def test_parameters_are_stripped_per_segment_or_from_the_first_on() -> None:
    assert paths.strip_parameters(b"/a;x/b;y", per_segment=True) == b"/a/b"
    assert paths.strip_parameters(b"/a;x/b;y", per_segment=False) == b"/a"
