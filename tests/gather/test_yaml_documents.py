"""YAML as Kubernetes reads it, and clear errors for what is not."""

from __future__ import annotations

import pytest

from egops.gather.yaml_documents import Document, DocumentError, documents, line_of


def value(text: str) -> object:
    (document,) = documents(text)
    assert isinstance(document, Document), document
    return document.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 2026-11-24", {"a": "2026-11-24"}),
        ("a: 2026-11-24T10:00:00Z", {"a": "2026-11-24T10:00:00Z"}),
        ("a: 12:30", {"a": "12:30"}),
        ("a: 80", {"a": 80}),
        ("a: -1", {"a": -1}),
        ("a: 0x1F", {"a": 31}),
        ("a: 0o17", {"a": 15}),
        ("a: 017", {"a": 15}),
        ("a: 1.5", {"a": 1.5}),
        ("a: 1e3", {"a": 1000.0}),
        ("a: 1.3.0", {"a": "1.3.0"}),
        ("a: 10.0.0.1", {"a": "10.0.0.1"}),
        ("a: .5", {"a": 0.5}),
        ("a:\n-\n", {"a": [None]}),
        ("a: '80'", {"a": "80"}),
        ("a: yes", {"a": True}),
        ("a: 'no'", {"a": "no"}),
        ("a: ~", {"a": None}),
        ("a:", {"a": None}),
        ("a: *x\n", None),
        ("a: &x 1\nb: *x", {"a": 1, "b": 1}),
        ("b: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}", {"b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}}),
        ("a: !custom text", {"a": "text"}),
        ("80: x", {"80": "x"}),
        ("a: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
    ],
)  # fmt: skip
def test_scalars_are_read_as_kubernetes_reads_them(text: str, expected: object) -> None:
    if expected is None:
        (error,) = documents(text)
        assert isinstance(error, DocumentError)
        return

    assert value(text) == expected


def test_a_broken_document_does_not_hide_the_others() -> None:
    text = "a: 1\n---\nb: [1\n---\nc: 3\n---\nd: {\n"

    first, broken, third, last = documents(text)

    assert isinstance(first, Document)
    assert isinstance(broken, DocumentError)
    assert broken.line in (3, 4)
    assert isinstance(third, Document)
    assert (third.value, third.line) == ({"c": 3}, 5)
    assert isinstance(last, DocumentError)


def test_empty_documents_are_no_documents() -> None:
    assert list(documents("---\n---\n# only a comment\n---\n")) == []


def test_a_duplicate_key_is_told_with_both_lines() -> None:
    (document,) = documents("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n")

    assert isinstance(document, Document)
    assert document.duplicates == (("c", 3, 5),)


def test_a_bomb_is_refused_without_expanding_it() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]

    (error,) = documents("\n".join(lines))

    assert isinstance(error, DocumentError)
    assert "expands to" in error.message


def test_an_anchor_that_contains_itself_is_refused() -> None:
    (error,) = documents("a: &a\n  b: *a\n")

    assert isinstance(error, DocumentError)
    assert error.message == "an anchor contains itself"


def test_deep_nesting_is_refused() -> None:
    found = list(documents("[" * 3000 + "]" * 3000))

    assert all(isinstance(error, DocumentError) for error in found)


def test_a_control_character_is_located() -> None:
    (error,) = documents("a: 1\nb: \x01\n")

    assert isinstance(error, DocumentError)
    assert error.line == 2


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("spec",), 2),
        (("spec", "rules", 1, "name"), 5),
        (("spec", "rules", 1, "missing"), 5),
        (("nothing",), 1),
    ],
)
def test_the_line_of_a_value_or_of_its_nearest_parent(
    path: tuple[str | int, ...], line: int
) -> None:
    text = "kind: X\nspec:\n  rules:\n  - name: a\n  - name: b\n"

    assert line_of(text, path) == line
