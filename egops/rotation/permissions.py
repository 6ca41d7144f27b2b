"""Whether every write of a rotation is allowed, asked before the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from egops.apply import Api
from egops.errors import AccessError
from egops.rotation import lock, record
from egops.rotation.material import SECRETS
from egops.rotation.standby import leaves_by_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egops.apply import Editor
    from egops.rotation.installation import Installation

REVIEW = Api("authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews")


class Right(NamedTuple):
    """One thing to be allowed; `name` empty means any object."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str = ""

    def __str__(self) -> str:
        """Return `patch secrets/envoy in envoy-gateway-system`."""
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        what = f"{resource} {self.name}" if self.name else resource
        return f"{self.verb} {what}" + (f" in {self.namespace}" if self.namespace else "")


def needed(
    here: Installation, *, webhook: bool, maps: list[tuple[str, str]], more: Iterable[str] = ()
) -> Iterator[Right]:
    """Yield what a rotation needs, Events left out: it goes on without them.

    `more` names the Secrets that the user's choice adds.
    """
    place = here.namespace
    for name in (*SECRETS, record.NAME, *more):
        yield Right("get", "", "secrets", place, name)
        yield Right("patch", "", "secrets", place, name)
    yield Right("create", "", "secrets", place)
    for verb in ("get", "patch"):
        yield Right(verb, "coordination.k8s.io", "leases", place, lock.NAME)
    yield Right("create", "coordination.k8s.io", "leases", place)
    for workload in here.workloads:
        resource = workload.api.plural
        yield Right("patch", "apps", resource, workload.ref.namespace, workload.ref.name)
    if here.rate_limit is not None and leaves_by_label(here.rate_limit):
        for verb in ("create", "get", "patch", "delete"):
            yield Right(verb, "", "pods", here.rate_limit.ref.namespace)
    for namespace in dict.fromkeys(workload.ref.namespace for workload in here.workloads):
        yield Right("list", "", "pods", namespace)
        yield Right("create", "", "pods/portforward", namespace)
        # a WebSocket is opened with GET, which older API servers judge
        yield Right("get", "", "pods/portforward", namespace)
    if webhook:
        group = "admissionregistration.k8s.io"
        yield Right("patch", group, "mutatingwebhookconfigurations", "", here.webhook_name)
    for namespace, name in maps:
        yield Right("patch", "", "configmaps", namespace, name)


def missing(cluster: Editor, rights: Iterator[Right]) -> list[Right]:
    """Return what we are not allowed, as the API server reviews it."""
    return [right for right in dict.fromkeys(rights) if not _allowed(cluster, right)]


def require(cluster: Editor, rights: Iterator[Right]) -> None:
    """Stop before anything is written if a right is missing.

    Raises:
        AccessError: it names every one of them.
    """
    if lacking := missing(cluster, rights):
        raise AccessError(
            f"nothing was written: not allowed to {'; '.join(map(str, lacking))}",
            hint="docs/certs-rotation.md has the Role; the other phases would fail halfway",
        )


def _allowed(cluster: Editor, right: Right) -> bool:
    resource, _, subresource = right.resource.partition("/")
    attributes = {
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
        "subresource": subresource,
        "namespace": right.namespace,
        "name": right.name,
    }
    thing: dict[str, Any] = {
        "apiVersion": REVIEW.version,
        "kind": REVIEW.kind,
        "spec": {"resourceAttributes": {key: text for key, text in attributes.items() if text}},
    }
    answer = cluster.create(REVIEW, thing)
    return bool((answer.get("status") or {}).get("allowed"))
