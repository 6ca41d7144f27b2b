"""Rules as text: the list, and the page that is also `docs/rules/*.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from egops.rules import AREAS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egops.rules import Rule


def catalogue(rules: Sequence[Rule], output: str) -> str:
    """Return the list of rules as `text`, `json` or `name`."""
    if output == "name":
        return "".join(f"{rule.code}\n" for rule in rules)
    if output == "json":
        return orjson.dumps([_entry(rule) for rule in rules], option=orjson.OPT_INDENT_2).decode()
    width = max((len(rule.name) for rule in rules), default=0)
    return "".join(
        f"{rule.code:<9} {rule.severity!s:<8} {rule.area:<13} {rule.name:<{width}}  "
        f"{rule.summary}\n"
        for rule in rules
    )


def _entry(rule: Rule) -> dict[str, object]:
    return {
        "code": rule.code,
        "name": rule.name,
        "severity": str(rule.severity),
        "area": rule.area,
        "summary": rule.summary,
        "ok": rule.ok,
        "since": rule.since,
        "reads": [kind.resource for kind in rule.reads],
        "optional": [kind.resource for kind in rule.optional],
        "probes": [probe.value for probe in (*rule.probes, *rule.optional_probes)],
        "documentation": rule.documentation,
        "link": rule.link or None,
    }


def _dotted(versions: tuple[tuple[int, ...], ...]) -> str:
    return ", ".join(".".join(map(str, version)) for version in versions)


def page(rule: Rule) -> str:
    """Return a rule's page as Markdown."""
    facts = [
        f"- Severity: {rule.severity} (the worst it can say)",
        f"- Area: {AREAS[rule.area]}",
        f"- Since egops {rule.since}",
    ]
    first, last = rule.versions
    if first or last:
        low, high = (".".join(map(str, bound)) if bound else "" for bound in (first, last))
        facts.append(f"- Envoy Gateway: {low or 'any'} to {high or 'any'}")
    if rule.changed_in:
        facts.append(f"- Changed in Envoy Gateway {_dotted(rule.changed_in)}")
    if rule.fixed_in:
        facts.append(f"- Taken back in Envoy Gateway {_dotted(rule.fixed_in)}")
    if rule.reads or rule.optional:
        names = [kind.name for kind in rule.reads]
        names += [f"{kind.name} (if readable)" for kind in rule.optional]
        facts.append(f"- Reads: {', '.join(names)}")
    probes = [probe.value for probe in (*rule.probes, *rule.optional_probes)]
    if probes:
        facts.append(f"- Asks: {', '.join(f'`{probe}`' for probe in probes)}")
    if rule.link:
        facts.append(f"- Release note: {rule.link}")
    suppress = (
        "## How to accept it\n\n"
        "In `egops.toml`, or as an annotation on the object, with a reason and an end:\n\n"
        f'```\negops.dev/suppress: "{rule.code}: the reason until 2027-01-31"\n```\n'
    )
    body = rule.documentation.split("\n", 1)
    rest = body[1].strip() if len(body) > 1 else ""
    return (
        f"# {rule.code} {rule.name}\n\n{body[0]}\n\n"
        + "\n".join(facts)
        + f"\n- When it holds: {rule.ok}\n\n{rest}\n\n{suppress}"
    )
