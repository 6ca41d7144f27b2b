"""Values of the gateway-helm chart, out of values files, HelmReleases and Applications.

Each gives a HelmValues object (`values` is the tree), and an EnvoyGateway made of the tree's
`config.envoyGateway`. Paths lead back to the lines of the file.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from egops.gatewayapi import APPLICATION, CONFIG_NAME, ENVOY_GATEWAY, HELM_VALUES
from egops.snapshot import Origin, Resource, section, text
from egops.upgrade.values import trees

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path

NAMESPACE = "envoy-gateway-system"


def of_file(value: dict[str, Any], origin: Origin) -> Iterator[Resource]:
    """Yield what a values file holds, nothing if it is none of ours."""
    name = PurePath(origin.file).name or "values"
    for path, tree in trees(value):
        yield from _objects(tree, origin, path, NAMESPACE, "/".join((name, *map(str, path))))


def of_release(resource: Resource) -> Iterator[Resource]:
    """Yield what the inline values of a HelmRelease or an Application hold."""
    if resource.kind == APPLICATION:
        places: tuple[Path, ...] = (("spec", "source", "helm", "valuesObject"),)
        namespace = text(resource.spec, "destination", "namespace")
    else:
        places = (("spec", "values"),)
        namespace = text(resource.spec, "targetNamespace") or resource.namespace
    for place in places:
        value = section(resource.body, *(str(part) for part in place))
        for path, tree in trees(value):
            where = (*place, *path)
            yield from _objects(tree, resource.origin, where, namespace or NAMESPACE, resource.name)
    inline = text(resource.spec, "source", "helm", "values")
    if inline:
        yield from _of_text(inline, resource, namespace or NAMESPACE)


def _of_text(inline: str, resource: Resource, namespace: str) -> Iterator[Resource]:
    from egops.gather.yaml_documents import Document, documents  # noqa: PLC0415 - yaml is heavy

    at = Origin(resource.origin.file, resource.origin.line)
    for document in documents(inline):
        if isinstance(document, Document):
            for path, tree in trees(document.value):
                yield from _objects(tree, at, path, namespace, resource.name)


def _objects(
    tree: dict[str, Any], origin: Origin, path: Path, namespace: str, name: str
) -> Iterator[Resource]:
    head = {"metadata": {"name": name, "namespace": namespace}}
    values = {"apiVersion": "egops.dev/v1", "kind": "HelmValues", **head, "values": tree}
    yield Resource(HELM_VALUES, values, _inside(origin, path, ("values",)))
    config = section(tree, "config").get("envoyGateway")
    if isinstance(config, dict):
        where = (*path, "config", "envoyGateway")
        body = {**config, "metadata": {"name": CONFIG_NAME, "namespace": namespace}}
        yield Resource(ENVOY_GATEWAY, body, _inside(origin, where, ()))


def _inside(origin: Origin, path: Path, drop: Path) -> Origin:
    """Return an origin that finds lines of the part at `path`; `drop` starts our own paths."""

    def locate(inner: Path) -> int:
        inner = inner[len(drop) :] if inner[: len(drop)] == drop else inner
        return origin.line_of((*path, *inner))

    return Origin(origin.file, origin.line_of(path), locate)
