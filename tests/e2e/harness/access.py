"""People with few rights: users of the cluster bound to a role of our making."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from egops.rules.registry import doctor_rules
from tests.e2e.cluster import kube, pki
from tests.e2e.cluster.settings import PKI, STATE
from tests.e2e.harness import faults

USER = "story-viewer"
RBAC = "rbac.authorization.k8s.io"
PUBLISHED = Path(__file__).resolve().parents[3] / "docs/rbac.yaml"

Rule = dict[str, Any]


def published_roles() -> list[kube.Object]:
    """Return the ClusterRoles of docs/rbac.yaml."""
    import yaml

    documents = [d for d in yaml.safe_load_all(PUBLISHED.read_text()) if d]
    return [d for d in documents if d["kind"] == "ClusterRole"]


def published_rules() -> list[Rule]:
    """Return the rules of every published role, one resource each."""
    return [
        {**rule, "apiGroups": [group], "resources": [resource]}
        for role in published_roles()
        for rule in role["rules"]
        for group in rule.get("apiGroups", [])
        for resource in rule.get("resources", [])
    ]


def is_missed(rule: Rule) -> bool:
    """Tell whether doctor reads the rule's resource and this cluster has it."""
    group, resource = rule["apiGroups"][0], rule["resources"][0]
    kinds = {kind for each in doctor_rules() for kind in (*each.reads, *each.optional)}
    if "/" not in resource and (group, resource) not in {(k.group, k.plural) for k in kinds}:
        return False
    listed = kube.kubectl("api-resources", f"--api-group={group}", "-o", "name").split()
    return "/" in resource or any(name.split(".")[0] == resource for name in listed)


@contextmanager
def user(rules: list[Rule]) -> Iterator[Path]:
    """Give the kubeconfig of a user who may do exactly this, everywhere."""
    if not (PKI / f"{USER}.crt").exists():
        pki.make_cert(USER, USER)
    role = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": USER},
        "rules": rules,
    }
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": USER},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": USER},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": USER}],
    }
    with faults.objects(role, binding):
        yield pki.kubeconfig(USER, STATE / f"{USER}.kubeconfig")


def grant(rules: list[Rule]) -> None:
    """Change what the user of the running block may do."""
    role = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": USER},
        "rules": rules,
    }
    kube.apply_objects(role)


def allowed(rule: Rule) -> bool:
    """Tell whether the API server lets the user list the rule's resource by now."""
    group, resource = rule["apiGroups"][0], rule["resources"][0]
    verb = "list" if "list" in rule["verbs"] else rule["verbs"][0]
    name, _, sub = resource.partition("/")
    target = f"{name}.{group}" if group else name
    options = ["-A", "--as", USER] + ([f"--subresource={sub}"] if sub else [])
    return kube.kubectl("auth", "can-i", verb, target, *options, check=False).strip() == "yes"


def refused(rule: Rule) -> bool:
    """Tell whether the API server refuses the user the rule's resource by now."""
    return not allowed(rule)
