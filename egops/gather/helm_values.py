"""Values of the gateway-helm chart, out of values files, HelmReleases and Applications.

Each gives a HelmValues object (`values` is the tree), and an EnvoyGateway made of the tree's
`config.envoyGateway`. Paths lead back to the lines of the file.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from egops.gatewayapi import APPLICATION, CONFIG_NAME, ENVOY_GATEWAY, HELM_VALUES
from egops.gather.beside import OUR_CHART
from egops.snapshot import Origin, Resource, items, section, text
from egops.upgrade.values import trees

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.snapshot import Path

NAMESPACE = "envoy-gateway-system"


def of_file(
    value: dict[str, Any], origin: Origin, known: tuple[str, ...] = ()
) -> Iterator[Resource]:
    """Yield what a values file holds, nothing if it is none of ours.

    `known` are the keys under which the chart beside the file puts our values.
    """
    name = PurePath(origin.file).name or "values"
    for path, tree in trees(value, known):
        yield from _objects(tree, origin, path, NAMESPACE, "/".join((name, *map(str, path))))


def of_release(resource: Resource) -> Iterator[Resource]:
    """Yield what the inline values of a HelmRelease or an Application hold."""
    spec = resource.spec
    if resource.kind == APPLICATION:
        namespace = text(spec, "destination", "namespace") or NAMESPACE
        sources: list[tuple[Path, Mapping[str, Any]]] = [
            (("spec", "source"), section(spec, "source"))
        ]
        sources += [(("spec", "sources", index), body) for index, body in items(spec, "sources")]
        for place, source in sources:
            chart = text(source, "chart") or text(source, "repoURL")
            known = ("",) if chart.rpartition("/")[2] == OUR_CHART else ()
            values = section(source, "helm", "valuesObject")
            at = (*place, "helm", "valuesObject")
            yield from _of_tree(values, known, resource, at, namespace)
            yield from _of_text(text(source, "helm", "values"), known, resource, namespace)
        return
    namespace = text(spec, "targetNamespace") or resource.namespace or NAMESPACE
    chart = text(spec, "chart", "spec", "chart")
    known = ("",) if chart.rpartition("/")[2] == OUR_CHART else ()
    yield from _of_tree(section(spec, "values"), known, resource, ("spec", "values"), namespace)


def _of_tree(
    values: Any, known: tuple[str, ...], resource: Resource, place: Path, namespace: str
) -> Iterator[Resource]:
    for path, tree in trees(values, known) if values else ():
        yield from _objects(tree, resource.origin, (*place, *path), namespace, resource.name)


def _of_text(
    inline: str, known: tuple[str, ...], resource: Resource, namespace: str
) -> Iterator[Resource]:
    if not inline:
        return
    from egops.gather.yaml_documents import Document, documents  # noqa: PLC0415 - yaml is heavy

    at = Origin(resource.origin.file, resource.origin.line)
    for document in documents(inline):
        if isinstance(document, Document):
            for path, tree in trees(document.value, known):
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
