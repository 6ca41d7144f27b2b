"""Rule groups as the YAML text of a Prometheus rule file."""

from __future__ import annotations

from typing import Any

import yaml  # noqa: TID253 - this module is YAML and is imported where it is used


class _Dumper(yaml.SafeDumper):
    """A dumper that writes expressions of several lines as blocks, so that people can read them."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def rule_file(groups: list[dict[str, Any]], *, comment: str = "") -> str:
    """Return the text of a rule file with these groups, keys in the order given."""
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    return head + to_yaml({"groups": groups})


def to_yaml(thing: Any) -> str:
    """Return any plain data as YAML: stable, wide, in the order given."""
    text: str = yaml.dump(thing, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)
    return text
