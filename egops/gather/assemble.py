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
    from egops.snapshot import Server


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
    servers, in_time_too = _servers(source)
    asked, unprobed = _prometheus(source, wanted)
    given = (*source.files, *source.config_dumps, *map(shown, source.admin), *source.servers)
    return Snapshot(
        taken_at=taken_at,
        source=Source(_type(source), context=", ".join(given)),
        resources=manifests.resources,
        broken=(*manifests.broken, *broken),
        proxies=proxies,
        servers=servers,
        unprobed=unprobed,
        notes=_notes(manifests) + (asked.notes if asked else ()),
        timed_out=not (in_time and in_time_too),
        prometheus=asked.results if asked else {},
        window_seconds=source.window,
        strict=source.strict,
    )


def _type(source: SourceOptions) -> SourceType:
    if source.files:
        return SourceType.FILES
    only = bool(source.servers) and not (source.config_dumps or source.admin)
    return SourceType.SERVER if only else SourceType.ENVOY


def _servers(source: SourceOptions) -> tuple[tuple[Server, ...], bool]:
    if not source.servers:
        return (), True
    from egops.gather.servers import parse_address, read_servers  # noqa: PLC0415 - only then

    return read_servers(
        {parse_address(text): () for text in source.servers},
        seconds=source.request_timeout,
        concurrency=source.concurrency,
        server_name=source.server_name,
        trust_file=source.trust_file,
        timeout=source.timeout,
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
    found = []
    if manifests.foreign:
        total = sum(manifests.foreign.values())
        kinds = sorted(manifests.foreign.items())[:5]
        names = ", ".join(f"{name} ({count})" for name, count in kinds)
        found.append(f"{total} objects of kinds that egops does not read: {names}")
    for reason, places in manifests.passed_over.items():
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""
        found.append(f"{len(places)} passed over, {reason}: {', '.join(places[:3])}{more}")
    return tuple(found)
