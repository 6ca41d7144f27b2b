"""What lies in a folder beside manifests: charts, values, kustomizations, templates, other YAML.

It is recognised, counted and passed over with the reason; it is no mistake in a manifest.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from egops.gatewayapi import KINDS
from egops.snapshot import items, text

if TYPE_CHECKING:
    from collections.abc import Mapping

CHART = "the description of a Helm chart"
KUSTOMIZATION = "a kustomization (kustomize build gives its objects)"
VALUES = "Helm values, but not of the gateway-helm chart"
OTHER = "no Kubernetes object"
TEMPLATE = "a template that was not rendered (run helm template or kustomize build first)"

OUR_CHART = "gateway-helm"
_CHART_FILES = {"Chart.yaml", "Chart.lock", "requirements.yaml", "requirements.lock"}
_KUSTOMIZATIONS = {"kustomization.yaml", "kustomization.yml", "Kustomization"}
_VALUES = re.compile(r"(.*[._-])?values([._-].*)?\.ya?ml$")
_PLACEHOLDER = re.compile(r"\{\{|\{%")
_KIND_NAMES = {kind.name for kind in KINDS}


def recognised(file: str, value: Any, *, is_named: bool) -> str:
    """Return what a document is that is no object, nothing if it has to be told as a mistake.

    `is_named` says that the user named the file: then only what is known for sure is passed over.
    """
    name = PurePath(file).name
    if name in _CHART_FILES:
        return CHART
    if name in _KUSTOMIZATIONS:
        return KUSTOMIZATION
    if not isinstance(value, dict):
        return "" if is_named else OTHER
    if _VALUES.match(name) and "kind" not in value and "apiVersion" not in value:
        return VALUES
    is_begun = "apiVersion" in value or text(value, "kind") in _KIND_NAMES
    return "" if is_named or is_begun else OTHER


def is_template(written: str) -> bool:
    """Return whether a text that is no proper YAML has placeholders of Helm or Jinja."""
    lines = (line for line in written.splitlines() if not line.lstrip().startswith("#"))
    return any(_PLACEHOLDER.search(line) for line in lines)


def is_placeholder(value: Mapping[str, Any]) -> bool:
    """Return whether the name of an object is filled in by a template only."""
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return isinstance(name, str) and ("{{" in name or "{%" in name)


def folder(file: str) -> str:
    """Return the folder of a file, by which a chart and its values belong together."""
    return str(PurePath(file).parent)


def our_keys(chart: Mapping[str, Any]) -> tuple[str, ...]:
    """Return under which keys a chart's values hold those of gateway-helm; `` is the root."""
    found = [
        text(entry, "alias") or OUR_CHART
        for _, entry in items(chart, "dependencies")
        if text(entry, "name") == OUR_CHART
    ]
    return ("", *found) if text(chart, "name") == OUR_CHART else tuple(found)
