"""Whether a text is a CEL expression: its syntax, not its types."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>(?:[bB]?[rR]?|[rR][bB])(?:\"\"\"(?:.|\n)*?\"\"\"|'''(?:.|\n)*?'''
        |"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    |(?P<number>0x[0-9a-fA-F]+[uU]?|\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?
        |\d+[eE][+-]?\d+|\d+[uU]?)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign>&&|\|\||<=|>=|==|!=|[-+*/%<>!?:.,()\[\]{}]))""",
    re.VERBOSE,
)
_BINARY = {"&&", "||", "<", "<=", ">", ">=", "==", "!=", "+", "-", "*", "/", "%", "in"}
_RESERVED = {
    "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop",
    "namespace", "package", "return", "var", "void", "while",
}  # fmt: skip


class _NoExpressionError(Exception):
    """The text ends the grammar."""


def is_expression(text: str) -> bool:
    """Return whether the text parses as one CEL expression."""
    try:
        reader = _Reader(_tokens(text))
        reader.expression()
    except (_NoExpressionError, RecursionError):
        return False
    return reader.at_end


def _tokens(text: str) -> list[tuple[str, str]]:
    text = re.sub(r"//[^\n]*(?=\n|$)", "", text) if '"' not in text and "'" not in text else text
    found, end = [], 0
    while text[end:].strip():
        match = _TOKEN.match(text, end)
        if match is None or match.lastgroup is None:
            raise _NoExpressionError
        found.append((match.lastgroup, match.group(match.lastgroup)))
        end = match.end()
    return found


class _Reader:
    """Recursive descent; precedence does not matter for syntax."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens, self.index = tokens, 0

    @property
    def at_end(self) -> bool:
        return self.index == len(self.tokens)

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.index] if not self.at_end else ("end", "")

    def take(self, sign: str) -> bool:
        if self.peek() == ("sign", sign):
            self.index += 1
            return True
        return False

    def need(self, sign: str) -> None:
        if not self.take(sign):
            raise _NoExpressionError

    def expression(self) -> None:
        self.operands()
        if self.take("?"):
            self.operands()
            self.need(":")
            self.expression()

    def operands(self) -> None:
        self.unary()
        while self.peek()[1] in _BINARY and self.peek()[0] in ("sign", "name"):
            self.index += 1
            self.unary()

    def unary(self) -> None:
        if self.take("!"):
            while self.take("!"):
                pass
        elif self.take("-"):
            while self.take("-"):
                pass
        self.member()

    def member(self) -> None:
        self.primary()
        while True:
            if self.take("."):
                kind, _ = self.peek()
                if kind != "name":
                    raise _NoExpressionError
                self.index += 1
                if self.take("("):
                    self.arguments(")")
            elif self.take("["):
                self.expression()
                self.need("]")
            elif self.peek() == ("sign", "{") and self.tokens[self.index - 1][0] == "name":
                self.index += 1
                self.fields()
            else:
                return

    def primary(self) -> None:
        kind, value = self.peek()
        if kind in ("string", "number"):
            self.index += 1
        elif self.take("("):
            self.expression()
            self.need(")")
        elif self.take("["):
            self.arguments("]")
        elif self.take("{"):
            self.fields()
        else:
            self.take(".")
            self.name()
            if self.take("("):
                self.arguments(")")
        _ = value

    def name(self) -> None:
        kind, value = self.peek()
        if kind != "name" or value in _RESERVED or value == "in":
            raise _NoExpressionError
        self.index += 1

    def arguments(self, end: str) -> None:
        while not self.take(end):
            self.expression()
            if not self.take(","):
                self.need(end)
                return

    def fields(self) -> None:
        while not self.take("}"):
            self.expression()
            self.need(":")
            self.expression()
            if not self.take(","):
                self.need("}")
                return
