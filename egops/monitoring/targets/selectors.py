"""Label selectors of Prometheus and VMAlert objects: what must an object carry to be picked?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Selector = dict[str, Any]


def satisfying(selector: Selector) -> dict[str, str] | None:
    """Return labels that a selector picks, or None if no set of added labels can do it.

    An empty selector picks everything. `NotIn` and `DoesNotExist` are kept by adding nothing.
    """
    labels = dict(selector.get("matchLabels") or {})
    for expression in selector.get("matchExpressions") or []:
        key, values = expression.get("key", ""), expression.get("values") or []
        match expression.get("operator"):
            case "In" if values:
                labels.setdefault(key, labels.get(key, values[0]))
            case "Exists":
                labels.setdefault(key, "egops")
            case _:
                pass
    return labels if matches(selector, labels) else None


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Return whether a selector picks an object with these labels."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    return all(_holds(one, labels) for one in selector.get("matchExpressions") or [])


def _holds(expression: dict[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression.get("key", ""), expression.get("values") or []
    match expression.get("operator"):
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return False
