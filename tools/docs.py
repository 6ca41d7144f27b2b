"""Write what is generated: rule pages, the command reference, RBAC, the report schema.

python -m tools.docs            write
python -m tools.docs --check    fail if anything is stale
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

from egops.cli import load_all
from egops.gatewayapi import DERIVED, POD
from egops.render.catalogue import page
from egops.rotation.hmac import NAME
from egops.rotation.installation import DAEMON_SET, DEPLOYMENT, Installation, Workload
from egops.rotation.permissions import needed
from egops.rotation.record import CA_NAME
from egops.rules import AREAS
from egops.rules.registry import all_rules, certificate_rules, doctor_rules, upgrade_rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egops.rules import Rule
    from egops.snapshot import Kind

DOCS = Path(__file__).parents[1] / "docs"
WIDTH = 96
MADE = "<!-- Made by tools/docs.py from the code. -->\n\n"


def main() -> None:
    """Write or check every generated file."""
    wanted = dict(pages())
    stale = sorted(
        path
        for path, content in wanted.items()
        if not path.exists() or path.read_text("utf-8") != content
    )
    left = sorted(set((DOCS / "rules").glob("*.md")) - set(wanted))
    if "--check" in sys.argv:
        for path in (*stale, *left):
            print(f"stale: {path.relative_to(DOCS.parent)}")
        sys.exit("run: make docs" if stale or left else 0)
    for path in left:
        path.unlink()
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], "utf-8")
        print(f"wrote {path.relative_to(DOCS.parent)}")


def pages() -> Iterator[tuple[Path, str]]:
    """Yield path and content of each generated file."""
    rules = all_rules()
    for rule in rules:
        yield DOCS / "rules" / Path(rule.docs).name, MADE + page(rule)
    yield DOCS / "rules" / "README.md", MADE + index(rules)
    yield DOCS / "cli.md", MADE + command_reference()
    yield DOCS / "rbac.yaml", rbac((*doctor_rules(), *certificate_rules(), *upgrade_rules()))
    yield DOCS / "rbac-rotate.yaml", rotation_rbac()


def index(rules: Sequence[Rule]) -> str:
    """Return the list of all rules, by area."""
    lines = ["# Rules\n"]
    for area, title in AREAS.items():
        family = [rule for rule in rules if rule.area == area]
        if not family:
            continue
        lines += [f"\n## {title}\n", "| Code | Severity | Finds |", "|---|---|---|"]
        lines += [
            f"| [{rule.code}]({Path(rule.docs).name}) | {rule.severity} | {rule.summary} |"
            for rule in family
        ]
    return "\n".join(lines) + "\n"


def command_reference() -> str:
    """Return the help of every command."""
    parts = ["# Commands\n"]
    for name, command in _commands("egops", load_all()):
        context = click.Context(command, info_name=name, max_content_width=WIDTH)
        context.terminal_width = WIDTH
        parts.append(f"\n## {name}\n\n```\n{command.get_help(context).rstrip()}\n```\n")
    return "".join(parts)


def _commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for child in sorted(command.commands):
            yield from _commands(f"{name} {child}", command.commands[child])


def rbac(rules: Sequence[Rule]) -> str:
    """Return the ClusterRole that reads all that the rules declare, and nothing else."""
    kinds: set[Kind] = {POD}  # the proxies and the control plane are found by their pods
    for rule in rules:
        kinds |= {DERIVED.get(kind, kind) for kind in (*rule.reads, *rule.optional)}
    groups: dict[str, list[str]] = {}
    for kind in kinds:
        groups.setdefault(kind.group, []).append(kind.plural)
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "egops"},
        "rules": [
            {"apiGroups": [group], "resources": sorted(plurals), "verbs": ["get", "list"]}
            for group, plurals in sorted(groups.items())
        ]
        + [
            {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
        ],
    }
    head = (
        "# Made by tools/docs.py: what egops reads, and nothing else. It writes nothing.\n"
        "# Bind it: kubectl create clusterrolebinding egops --clusterrole egops --user NAME\n"
        "# Without Secrets or pods/portforward the checks that need them are reported skipped.\n"
        "# --via exec also needs create on pods/exec; a Prometheus behind the API server needs\n"
        "# get on services/proxy.\n"
    )
    return head + yaml.safe_dump(role, sort_keys=False)


def rotation_rbac() -> str:
    """Return the roles that `certs rotate` and `certs rollback` need, as they ask for them."""
    here = example()
    rules: dict[tuple[str, str, str, bool], set[str]] = {}
    for right in needed(here, webhook=True, maps=[], more=[CA_NAME, NAME]):
        name = "" if right.name == "FLEET" else right.name  # named after its Gateway
        key = (right.group, right.resource, name, bool(right.namespace))
        rules.setdefault(key, set()).add(right.verb)
    rules.setdefault(("", "events", "", True), set()).add("create")
    rules.setdefault(("", "configmaps", "", True), set()).add("get")
    rules.setdefault(("cert-manager.io", "certificates", "", True), set()).add("list")
    for plural in ("deployments", "daemonsets"):
        rules.setdefault(("apps", plural, "", False), set()).update({"get", "list"})
    webhooks = ("admissionregistration.k8s.io", "mutatingwebhookconfigurations")
    rules[*webhooks, here.webhook_name, False].add("get")
    namespaced = {"namespace": here.namespace}
    meta = {"name": "egops-rotate"}
    roles = [
        ("Role", meta | namespaced, True),
        ("ClusterRole", meta, False),
    ]
    head = (
        "# Made by tools/docs.py: what `egops certs rotate` and `rollback` need, no more.\n"
        "# The ClusterRole finds Envoy Gateway and its proxies, and patches the one webhook.\n"
    )
    return head + yaml.safe_dump_all(
        [
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": kind,
                "metadata": metadata,
                "rules": [
                    _rule(group, resource, name, verbs)
                    for (group, resource, name, is_namespaced), verbs in sorted(rules.items())
                    if is_namespaced is inside
                ],
            }
            for kind, metadata, inside in roles
        ],
        sort_keys=False,
    )


def _rule(group: str, resource: str, name: str, verbs: set[str]) -> dict[str, Any]:
    names = {"resourceNames": [name]} if name else {}
    return {"apiGroups": [group], "resources": [resource], **names, "verbs": sorted(verbs)}


def example() -> Installation:
    """Return an installation that has everything a rotation may have to write to."""
    place = "envoy-gateway-system"
    labels = {"app.kubernetes.io/managed-by": "envoy-gateway"}
    made = [
        {
            "metadata": {"namespace": place, "name": name},
            "spec": {"selector": {"matchLabels": labels}},
        }
        for name in ("envoy-gateway", "envoy-ratelimit", "FLEET", "FLEET")
    ]
    gateway, limiter, fleet, _ = (Workload(DEPLOYMENT, body) for body in made)
    fleets = (fleet, Workload(DAEMON_SET, made[3]))
    return Installation(place, gateway, (1, 9, 0), {}, fleets, limiter)


if __name__ == "__main__":
    main()
