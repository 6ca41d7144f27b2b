"""Values from YAML files and from the command line, later ones winning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml  # noqa: TID253 - this module reads YAML and is imported where it is used

from egops.errors import InputError
from egops.monitoring.values import values

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egops.monitoring.values import Values


def read_values(files: Iterable[str], sets: Iterable[str]) -> Values:
    """Return checked values. Raises InputError for a file that is not there or is no mapping."""
    given: dict[str, Any] = {}
    for name in files:
        given = _merged(given, _read(name))
    return values(given, sets)


def _read(name: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(Path(name).read_text("utf-8"))
    except OSError as exc:
        raise InputError(f"cannot read {name}: {exc.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise InputError(f"{name} is not YAML: {' '.join(str(exc).split())}") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InputError(f"{name} is not a mapping of values")
    return found


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    made = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(made.get(key), dict)
        made[key] = _merged(made[key], value) if both else value
    return made
