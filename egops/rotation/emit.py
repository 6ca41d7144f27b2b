"""The manifests of each phase, for those who keep their Secrets in a repository."""

from __future__ import annotations

import os
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from egops.errors import InputError
from egops.rotation.generation import CA, CRT, KEY, Generation, joined
from egops.rotation.material import SECRETS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from egops.rotation.plan import Found
    from egops.rotation.record import Record

Object = dict[str, Any]

APPLIED = "kubectl.kubernetes.io/"  # what kubectl notes there holds the old data


def manifests(found: Found, record: Record) -> dict[str, list[Object]]:
    """Return the objects of each phase, by the name of its file."""
    old, new = record.old, record.new
    both = joined(new, old)
    place = found.here.namespace
    steps = {
        "1-trust": (old, dict.fromkeys(SECRETS, both)),
        "2-swap": (new, dict.fromkeys(SECRETS, both)),
        "3-drop": (new, dict(new.bundles)),
    }
    return {
        name: [_secret(place, secret, leaves, bundles[secret], found) for secret in SECRETS]
        for name, (leaves, bundles) in steps.items()
    }


def _secret(namespace: str, name: str, leaves: Generation, bundle: bytes, found: Found) -> Object:
    meta = found.secrets[name]["metadata"]
    kept = {
        key: {name: text for name, text in meta[key].items() if not name.startswith(APPLIED)}
        for key in ("labels", "annotations")
        if meta.get(key)
    }
    pair = leaves.pairs[name]
    plain: Mapping[str, bytes] = {CA: bundle, CRT: pair.certificate, KEY: pair.key}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, **kept},
        "type": found.secrets[name].get("type") or "kubernetes.io/tls",
        "data": {key: b64encode(text).decode() for key, text in plain.items()},
    }


def instructions(found: Found) -> str:
    """Return what to do with the files, and what to wait for between them."""
    here = found.here
    lines = [
        "# Rotation by hand: commit one file at a time",
        "",
        "The files hold private keys. Keep them as you keep the Secrets: encrypted, or out of the",
        "repository. Going back is the same way backwards: 2-swap, 1-trust, then what was there.",
        "",
        "1. Apply `1-trust.yaml`. Every ca.crt holds both CAs.",
        "   Wait until every node has it (two minutes), and every Envoy shows the new CA first",
        "   in `/certs` of its admin port.",
    ]
    if here.rate_limit is not None:
        names = (
            ", ".join(f"{fleet.api.kind.lower()}/{fleet.ref.name}" for fleet in here.fleets)
            or "the proxies"
        )
        lines += [
            f"   Then restart {names}: the rate limit cluster reads the CA once.",
            "   Then restart deployment/envoy-ratelimit: its xDS client reads the CA once.",
        ]
    if found.has_webhook:
        lines.append(f"   Put the same bundle into caBundle of {here.webhook_name}.")
    if here.is_gateway_namespace_mode:
        lines.append("   Put it into ca.crt of every proxy's ConfigMap too.")
    lines += ["2. Apply `2-swap.yaml`. Every leaf is the new one. Wait as before."]
    if here.loads_xds_leaf_once:
        lines.append("   Restart Envoy Gateway: this release reads its leaf once.")
    if here.rate_limit is not None:
        lines.append("   Restart deployment/envoy-ratelimit: it still presents the old leaf.")
    lines += ["3. Apply `3-drop.yaml`. Only the new CA is trusted."]
    if found.has_webhook:
        lines.append("   Put the new CA alone into the webhook's caBundle.")
    lines += ["4. `egops certs check` finds nothing.", ""]
    return "\n".join(lines)


def write(folder: Path, found: Found, record: Record) -> list[Path]:
    """Write the files, readable by their owner alone.

    Raises:
        InputError: the folder can't be written, or a file is already there.
    """
    import yaml

    texts = {
        f"{name}.yaml": yaml.safe_dump_all(objects, sort_keys=False)
        for name, objects in manifests(found, record).items()
    }
    texts["README.md"] = instructions(found)
    written = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in texts.items():
            written.append(_write(folder / name, text.encode()))
    except FileExistsError as exc:
        raise InputError(f"{exc.filename} is already there", hint="name an empty folder") from None
    except OSError as exc:
        raise InputError(f"{folder} can't be written: {exc.strerror}") from None
    return written


def _write(path: Path, text: bytes) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
    return path


def write_backup(path: Path, record: Record) -> None:
    """Write the old generation into a file that its owner alone may read.

    Raises:
        InputError: it is already there, or can't be written.
    """
    import yaml

    plain = {
        secret: {
            CA: record.old.bundles[secret].decode("utf-8", "replace"),
            CRT: record.old.pairs[secret].certificate.decode("utf-8", "replace"),
            KEY: record.old.pairs[secret].key.decode("utf-8", "replace"),
        }
        for secret in SECRETS
    }
    try:
        _write(path, yaml.safe_dump({"rotation": record.id, "secrets": plain}).encode())
    except OSError as exc:
        raise InputError(f"the backup {path} can't be written: {exc.strerror}") from None
