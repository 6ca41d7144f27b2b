"""EGD-103 control-plane-configuration-invalid."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

from egops.finding import Problem, Severity
from egops.gatewayapi import (
    CONFIG_MAP,
    CONFIG_NAME,
    DEPLOYMENT,
    EG,
    ENVOY_GATEWAY,
    PARSE_ERROR,
    Install,
    installs,
)
from egops.releases import dotted
from egops.rules import rule
from egops.rules.install.configuration_keys import HEAD, keys_of
from egops.snapshot import Location, Probe, Ref, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from egops.snapshot import Resource, Snapshot

KEY = "envoy-gateway.yaml"


class Unknown(NamedTuple):
    """A key that the running release does not know."""

    path: str
    close: str
    since: str  # the release that brought it, if a later one did


@rule(
    code="EGD-103",
    severity=Severity.ERROR,
    reads=(ENVOY_GATEWAY,),
    optional=(DEPLOYMENT,),
    optional_probes=(Probe.EG_LOG,),
    since="0.1",
    ok="Envoy Gateway can read its configuration, and knows every key of it",
)
def control_plane_configuration_invalid(snapshot: Snapshot) -> Iterator[Problem]:
    """The EnvoyGateway configuration can't be read, or has keys that the release does not know.

    ## Why it matters
    Envoy Gateway does not start with a configuration that is no YAML or of another kind, and keeps
    the old one if it runs. An unknown key is worse: it is ignored, so `ratelimit:` (instead of
    `rateLimit:`) leaves rate limiting off without a word.

    ## How to fix it
    Correct the ConfigMap `envoy-gateway-config`: letter case matters, and each key belongs to
    exactly one place. Envoy Gateway takes a change up by itself; if it does not, restart it.
    """
    for install in installs(snapshot):
        config = install.config_object
        if config is None:
            yield from _absent(install, snapshot)
            continue
        if error := text(config.annotations, PARSE_ERROR):
            yield _problem(config, f"{KEY} can't be read: {error}", ("correct the YAML",))
            continue
        yield from _wrong_kind(config)
        for unknown in unknown_keys(config.body, install.version):
            yield _unknown(config, unknown, install)
    yield from _hook_errors(snapshot)


def _absent(install: Install, snapshot: Snapshot) -> Iterator[Problem]:
    if install.deployment is not None and snapshot.knows(ENVOY_GATEWAY):
        yield Problem(
            install.deployment.at(),
            f"its ConfigMap {CONFIG_NAME} does not exist",
            remedy=(f"create ConfigMap {install.namespace}/{CONFIG_NAME} with the key {KEY}",),
        )


def _place(config: Resource, section: str = "") -> Location:
    """Return the place in the ConfigMap that holds the configuration."""
    ref = Ref(CONFIG_MAP, config.namespace, config.name)
    return Location(ref, ("data", KEY), config.origin, CONFIG_MAP.api_version, section)


def _problem(
    config: Resource, message: str, remedy: tuple[str, ...], *, section: str = "", why: str = ""
) -> Problem:
    return Problem(_place(config, section), message, why=why, remedy=remedy)


def _wrong_kind(config: Resource) -> Iterator[Problem]:
    kind, api_version = text(config.body, "kind"), text(config.body, "apiVersion")
    if kind != ENVOY_GATEWAY.name:
        message = f"{KEY} is of kind {kind or 'none'}, not {ENVOY_GATEWAY.name}"
        yield _problem(config, message, (f"set kind: {ENVOY_GATEWAY.name}",))
    elif api_version != f"{EG}/v1alpha1":
        message = f"{KEY} has the apiVersion {api_version or 'none'}"
        yield _problem(config, message, (f"set apiVersion: {EG}/v1alpha1",))


def unknown_keys(
    body: Mapping[str, Any], version: tuple[int, ...] | None, path: str = "."
) -> Iterator[Unknown]:
    """Yield the keys that a release does not know; for an unknown release those that none does."""
    known = keys_of().get(path)
    if known is None:
        return
    for key, value in body.items():
        if path == "." and key in HEAD:
            continue
        inner = key if path == "." else f"{path}.{key}"
        since = known.get(key)
        if since is None:
            close = next((k for k in known if k.lower() == str(key).lower()), "")
            close = close or next(iter(get_close_matches(str(key), known, n=1)), "")
            yield Unknown(inner, close, "")
            continue
        if version is not None and version[:2] < since:
            yield Unknown(inner, "", dotted(since))
            continue
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, dict):
                yield from unknown_keys(entry, version, inner)


def _unknown(config: Resource, unknown: Unknown, install: Install) -> Problem:
    release = f"Envoy Gateway {dotted(install.version)}" if install.version else "Envoy Gateway"
    name = unknown.path.rpartition(".")[2]
    if unknown.since:
        remedy = f"remove {unknown.path}, or upgrade: it came with {unknown.since}"
    elif unknown.close:
        remedy = f"write {unknown.close} instead of {name}"
    else:
        remedy = f"remove {unknown.path}, or move it to where it belongs"
    return _problem(
        config,
        f"{release} does not know {unknown.path}"
        + (f" (it came with {unknown.since})" if unknown.since else ""),
        (remedy,),
        section=unknown.path,
        why="unknown keys are ignored without a word",
    )


def _hook_errors(snapshot: Snapshot) -> Iterator[Problem]:
    for control_plane in snapshot.control_planes:
        if not control_plane.has(Probe.EG_LOG) or control_plane.pod is None:
            continue
        lines = [line for line in control_plane.log.splitlines() if "config-loader" in line]
        # only the last word counts: a later reload may have succeeded
        if lines and "error" in lines[-1].lower() and "hook" in lines[-1]:
            yield Problem(
                control_plane.pod.at(),
                "did not take its configuration up",
                evidence=(f"log: {lines[-1].strip()[:300]}",),
                remedy=(f"correct ConfigMap {CONFIG_NAME} as the log says",),
            )
