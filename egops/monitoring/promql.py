"""What a query asks for: its selectors, its metrics, its variables. Nothing is sent anywhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egops.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)(?::\w+)?\}|([A-Za-z_]\w*))")
_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


@dataclass(frozen=True)
class Matcher:
    """One label matcher of a selector; `op` is =, !=, =~ or !~."""

    label: str
    op: str
    value: str

    def __str__(self) -> str:
        """Return the matcher as PromQL."""
        value = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.label}{self.op}"{value}"'


@dataclass(frozen=True)
class Selector:
    """One selector; a metric chosen by a regular expression has it in `pattern`, without a name."""

    name: str
    pattern: str
    matchers: tuple[Matcher, ...]

    def without(self, *labels: str) -> Selector:
        """Return the selector without the matchers of these labels."""
        kept = tuple(matcher for matcher in self.matchers if matcher.label not in labels)
        return Selector(self.name, self.pattern, kept)

    def having(self, label: str) -> Selector:
        """Return the selector limited to series that have a label."""
        return Selector(self.name, self.pattern, (*self.matchers, Matcher(label, "!=", "")))

    def __str__(self) -> str:
        """Return the selector as PromQL."""
        matchers = [str(matcher) for matcher in self.matchers]
        if self.pattern:
            matchers.insert(0, f'__name__=~"{self.pattern}"')
        return f"{self.name}{{{', '.join(matchers)}}}" if matchers else self.name


def expand(expr: str, variables: Mapping[str, str]) -> str:
    """Return an expression with Grafana's variables replaced; unknown ones match everything."""
    return _VARIABLE.sub(lambda found: variables.get(found[1] or found[2], ".*"), expr)


def selectors(expr: str) -> list[Selector]:
    """Return the selectors of an expression in order, each once.

    Raises InputError when it does not parse.
    """
    return list(dict.fromkeys(_selector(node) for node in _tree(expr) if hasattr(node, "matchers")))


def windows(expr: str) -> list[str]:
    """Return the range selectors of an expression, such as `up{job="a"}[5m]`, each once."""
    return list(
        dict.fromkeys(node.prettify() for node in _tree(expr) if type(node).__name__ in _RANGES)
    )


def has_condition(expr: str) -> bool:
    """Return whether an expression compares or leaves out, so that nothing is a rightful answer."""
    return any(str(getattr(node, "op", "")) in _CONDITIONS for node in _tree(expr)) or any(
        str(getattr(getattr(node, "func", None), "name", "")).startswith("absent")
        for node in _tree(expr)
    )


def _tree(expr: str) -> Iterator[Any]:
    import promql_parser  # noqa: PLC0415 - only the commands that look into queries need it

    try:
        tree = promql_parser.parse(expr)
    except ValueError as exc:
        raise InputError(f"not PromQL: {exc}", hint=expr) from None
    yield from _walk(tree)


_RANGES = {"MatrixSelector", "SubqueryExpr"}
_CONDITIONS = {"==", "!=", ">", "<", ">=", "<=", "unless"}


def _walk(node: Any) -> Iterator[Any]:
    yield node
    for part in ("lhs", "rhs", "expr", "param", "vector_selector"):
        inner = getattr(node, part, None)
        if inner is not None:
            yield from _walk(inner)
    for argument in getattr(node, "args", None) or []:
        yield from _walk(argument)


def _selector(node: Any) -> Selector:
    name, pattern, matchers = node.name or "", "", []
    for matcher in node.matchers.matchers:
        op = _OPERATORS[str(matcher.op).rpartition(".")[2]]
        if matcher.name != "__name__":
            matchers.append(Matcher(matcher.name, op, matcher.value))
        elif op == "=":
            name = matcher.value
        else:
            pattern = matcher.value
    return Selector(name, pattern, tuple(matchers))
