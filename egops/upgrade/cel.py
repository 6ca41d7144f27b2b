"""CEL: whether a text is an expression, and what one says of a value."""

from __future__ import annotations

from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Any:
    import cel  # noqa: PLC0415 - heavy

    try:
        return cel.compile(text)
    except (ValueError, TypeError):
        return None


def is_expression(text: str) -> bool:
    """Return whether the text parses as one CEL expression."""
    return _compiled(text) is not None


def holds(rule: str, value: Any) -> bool | None:
    """Return what a rule says of `self`, None if it can't be evaluated.

    A field that the rule needs and the value lacks is an error in the API server: it refuses.
    """
    program = _compiled(rule)
    if program is None:
        return None
    try:
        said = program.execute({"self": value})
    except KeyError:
        return False
    except Exception:  # noqa: BLE001 - the library raises whatever its functions do
        return None
    return said if isinstance(said, bool) else None
