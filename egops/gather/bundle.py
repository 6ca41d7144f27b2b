"""A snapshot in a file: what was read, without its secrets, to be judged again elsewhere.

A zip with `egops-bundle.json` (what there is, and why not the rest), the objects of each kind, and
each pod's documents as they came.
"""

from __future__ import annotations

import os
import zipfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from egops.errors import AccessError, InputError
from egops.gatewayapi import BY_GROUP_KIND, CONFIG_MAP, SECRET
from egops.gather.draft import Draft
from egops.gather.redact import (
    named_config_maps,
    redacted,
    redacted_dump,
    redacted_object,
    without_data,
)
from egops.snapshot import (
    Broken,
    ControlPlane,
    Probe,
    Proxy,
    RateLimitServer,
    Resource,
    Snapshot,
    Source,
    SourceType,
    entries,
    section,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egops.snapshot import Answers, Kind

MANIFEST = "egops-bundle.json"
FORMAT = "egops.dev/bundle/v1"
NO_SECRETS = "a bundle holds no secrets"
MAX_BYTES = 1 << 30  # of all parts, unpacked


def pack(snapshot: Snapshot, path: str | Path) -> None:
    """Write the snapshot into a new file that only its owner may read.

    Raises:
        AccessError: the file can't be written, or is there already.
    """
    made = False
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        made = True
        with (
            os.fdopen(handle, "wb") as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            _write(snapshot, archive)
        made = False
    except FileExistsError:
        raise AccessError(f"{path} is there already", hint="choose another name") from None
    except OSError as exc:
        raise AccessError(f"cannot write {path}: {exc.strerror or exc}") from None
    finally:
        if made:  # half a bundle is none
            Path(path).unlink(missing_ok=True)


def _write(snapshot: Snapshot, archive: zipfile.ZipFile) -> None:
    for kind, found in snapshot.resources.items():
        bodies = [redacted_object(resource) for resource in found]
        if kind == CONFIG_MAP:
            ours = named_config_maps(snapshot)
            bodies = [
                body if resource.ref in ours else without_data(body)
                for resource, body in zip(found, bodies, strict=True)
            ]
        archive.writestr(f"objects/{kind.resource}.json", redacted(orjson.dumps(bodies)))
    pods = []
    for number, answers in enumerate(
        (*snapshot.proxies, *snapshot.control_planes, *snapshot.rate_limit_servers)
    ):
        for probe in kept(answers):
            document = answers.documents[probe]
            clean = redacted_dump(document) if probe is Probe.CONFIG_DUMP else redacted(document)
            archive.writestr(f"pods/{number}/{probe.name.lower()}", clean)
        pods.append(_pod(answers))
    manifest = {
        "format": FORMAT,
        "takenAt": snapshot.taken_at.isoformat(),
        "source": {
            "type": snapshot.source.type.value,
            "context": snapshot.source.context,
            "server": snapshot.source.server,
        },
        "kinds": [[kind.group, kind.name, kind.resource] for kind in snapshot.resources],
        "unread": [[kind.group, kind.name, why] for kind, why in snapshot.unread.items()],
        "absent": [[kind.group, kind.name] for kind in sorted(snapshot.absent)],
        "partly": [[kind.group, kind.name] for kind in sorted(snapshot.partly)],
        "unprobed": {probe.name: why for probe, why in snapshot.unprobed.items()},
        "pods": pods,
        "notes": list(snapshot.notes),
        "kubernetesVersion": snapshot.kubernetes_version,
        "windowSeconds": snapshot.window_seconds,
        "timedOut": snapshot.timed_out,
        "clockAhead": snapshot.clock_ahead,
        "broken": [[part.file, part.line, part.message] for part in snapshot.broken],
        "prometheus": dict(snapshot.prometheus),
    }
    archive.writestr(MANIFEST, redacted(orjson.dumps(manifest, option=orjson.OPT_INDENT_2)))


def _pod(answers: Answers) -> dict[str, Any]:
    return {
        "name": answers.name,
        "controlPlane": isinstance(answers, ControlPlane),
        "rateLimit": isinstance(answers, RateLimitServer),
        "object": redacted_object(answers.pod) if answers.pod else None,
        "documents": [probe.name for probe in kept(answers)],
        "failures": {probe.name: why for probe, why in answers.failures.items()},
    }


def kept(answers: Answers) -> list[Probe]:
    """Return the documents of a pod that go into a bundle: all but those full of secrets."""
    return [probe for probe in answers.documents if probe is not Probe.EG_CONFIG_DUMP]


def unpack(path: str, *, strict: bool = False, now: datetime | None = None) -> Snapshot:
    """Return the snapshot in a file, as it was when it was taken.

    Raises:
        InputError: it is no bundle, a newer one, damaged, or too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > MAX_BYTES:
                raise InputError(f"{path} is larger than {MAX_BYTES >> 30} GiB unpacked")
            return _Reader(archive, path).snapshot(strict=strict, now=now)
    except (zipfile.BadZipFile, orjson.JSONDecodeError, EOFError) as exc:
        raise InputError(f"{path} is no bundle, or a damaged one: {exc}") from None
    except (KeyError, ValueError, TypeError, NotImplementedError, RuntimeError) as exc:
        raise InputError(f"{path} is no bundle of egops: {exc}") from None
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror or exc}") from None


class _Reader:
    def __init__(self, archive: zipfile.ZipFile, path: str) -> None:
        self._archive, self._path = archive, path
        self._manifest = orjson.loads(archive.read(MANIFEST))
        found = text(self._manifest, "format")
        if found != FORMAT:
            raise InputError(
                f"{path} has the format {found or 'of something else'}, not {FORMAT}",
                hint="it was made by another release of egops",
            )

    def snapshot(self, *, strict: bool, now: datetime | None) -> Snapshot:
        manifest = self._manifest
        kinds = {(group, name): where for group, name, where in entries(manifest, "kinds")}
        known = {key: kind for key in kinds if (kind := BY_GROUP_KIND.get(key))}
        notes = [str(note) for note in entries(manifest, "notes")]
        if unknown := sorted(name for group, name in kinds.keys() - known.keys()):
            notes.append(f"kinds in the bundle that this egops does not know: {', '.join(unknown)}")
        pods = [self._answers(number, pod) for number, pod in enumerate(manifest["pods"])]
        # the names in the file are for people: to rules, a secret without values would be broken
        secrets = {SECRET: NO_SECRETS} if known.pop((SECRET.group, SECRET.name), None) else {}
        return Snapshot(
            taken_at=now or datetime.fromisoformat(manifest["takenAt"]),
            source=Source(
                SourceType(text(manifest, "source", "type")),
                f"{text(manifest, 'source', 'context')} in {self._path}",
                text(manifest, "source", "server"),
                self._path,
            ),
            resources={kind: self._objects(kind, kinds[key]) for key, kind in known.items()},
            unread={
                kind: str(why)
                for group, name, why in entries(manifest, "unread")
                if (kind := BY_GROUP_KIND.get((group, name)))
            }
            | secrets,
            absent=_kinds(entries(manifest, "absent")),
            partly=_kinds(entries(manifest, "partly")),
            proxies=tuple(pod for pod in pods if isinstance(pod, Proxy)),
            control_planes=tuple(pod for pod in pods if isinstance(pod, ControlPlane)),
            rate_limit_servers=tuple(pod for pod in pods if isinstance(pod, RateLimitServer)),
            unprobed=_by_probe(section(manifest, "unprobed")),
            broken=tuple(
                Broken(str(file), int(line), str(message))
                for file, line, message in entries(manifest, "broken")
            ),
            notes=tuple(notes),
            kubernetes_version=text(manifest, "kubernetesVersion"),
            window_seconds=float(manifest["windowSeconds"]),
            strict=strict,
            timed_out=manifest["timedOut"] is True,
            clock_ahead=float(manifest.get("clockAhead") or 0.0),
            prometheus=section(manifest, "prometheus"),
        )

    def _objects(self, kind: Kind, resource: str) -> tuple[Resource, ...]:
        name = f"objects/{resource}.json"
        bodies = orjson.loads(self._archive.read(name))
        return tuple(Resource(kind, body) for body in bodies if isinstance(body, dict))

    def _answers(self, number: int, pod: dict[str, Any]) -> Proxy | ControlPlane | RateLimitServer:
        body = pod["object"]
        kind = BY_GROUP_KIND["", "Pod"]
        draft = Draft(str(pod["name"]), Resource(kind, body) if isinstance(body, dict) else None)
        draft.failures.update(_by_probe(pod["failures"]))
        for name in pod["documents"]:
            if name in Probe.__members__:
                raw = self._archive.read(f"pods/{number}/{name.lower()}")
                draft.keep(Probe[name], raw)
        if pod.get("rateLimit"):
            return draft.frozen(RateLimitServer, ())
        if pod["controlPlane"]:
            return draft.frozen(ControlPlane, ())
        return draft.frozen(Proxy, ())


def _kinds(pairs: Iterable[Any]) -> frozenset[Kind]:
    return frozenset(kind for group, name in pairs if (kind := BY_GROUP_KIND.get((group, name))))


def _by_probe(reasons: Any) -> dict[Probe, str]:
    return {Probe[name]: str(why) for name, why in reasons.items() if name in Probe.__members__}
