"""Put one Snapshot together from whatever the user named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egops.errors import EgopsError, InputError
from egops.gather import is_bundle
from egops.gather.envoy import Given, read_given, shown
from egops.gather.manifests import Manifests, load
from egops.snapshot import Probe, Snapshot, Source, SourceType

if TYPE_CHECKING:
    from egops.gather import Progress, SourceOptions, Wanted
    from egops.gather.prometheus import Asked


def assemble(source: SourceOptions, wanted: Wanted, progress: Progress) -> Snapshot:
    """Return the snapshot of a cluster, or of files, dumps and admin URLs together."""
    taken_at = source.now or datetime.now(UTC)
    if source.is_cluster:
        from egops.gather.cluster import read_cluster  # noqa: PLC0415 - the client is heavy

        return read_cluster(source, wanted, progress, taken_at)
    bundles = [file for file in source.files if is_bundle(file)]
    if bundles:
        if (*source.files, *source.config_dumps, *source.admin) != (bundles[0],):
            raise InputError(
                f"{bundles[0]} is a bundle: it can't be combined", hint="name it alone"
            )
        from egops.gather.bundle import unpack  # noqa: PLC0415 - only for bundles

        return unpack(bundles[0], strict=source.strict, now=source.now)
    manifests = Manifests()
    if source.files:
        progress.start("files")
        manifests = load(source.files)
        progress.done("files", f"{manifests.documents} documents")
    proxies, broken, in_time = Given()
    if source.config_dumps or source.admin:
        proxies, broken, in_time = read_given(source, wanted, progress)
    asked, unprobed = _prometheus(source, wanted)
    given = (*source.files, *source.config_dumps, *map(shown, source.admin))
    return Snapshot(
        taken_at=taken_at,
        source=Source(
            SourceType.FILES if source.files else SourceType.ENVOY, context=", ".join(given)
        ),
        resources=manifests.resources,
        broken=(*manifests.broken, *broken),
        proxies=proxies,
        unprobed=unprobed,
        notes=_notes(manifests) + (asked.notes if asked else ()),
        timed_out=not in_time,
        prometheus=asked.results if asked else {},
        window_seconds=source.window,
        strict=source.strict,
    )


def _prometheus(source: SourceOptions, wanted: Wanted) -> tuple[Asked | None, dict[Probe, str]]:
    """Return what the Prometheus that the user named says, or why none was asked."""
    if not wanted.queries and Probe.PROMETHEUS not in wanted.probes:
        return None, {}
    if not source.prometheus:
        return None, {Probe.PROMETHEUS: "no Prometheus was given (--prometheus)"}
    from egops.gather.http import Calls  # noqa: PLC0415 - only when asked
    from egops.gather.prometheus import ask, named  # noqa: PLC0415 - its client is heavy

    try:
        return ask(named(source, Calls()), wanted.queries), {}
    except InputError:
        raise
    except EgopsError as exc:
        return None, {Probe.PROMETHEUS: exc.message}


def _notes(manifests: Manifests) -> tuple[str, ...]:
    if not manifests.foreign:
        return ()
    total = sum(manifests.foreign.values())
    names = ", ".join(f"{name} ({count})" for name, count in sorted(manifests.foreign.items())[:5])
    return (f"{total} objects of kinds that egops does not read: {names}",)
