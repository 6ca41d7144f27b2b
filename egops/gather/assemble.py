"""Put one Snapshot together from whatever the user named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egops.gather.manifests import Manifests, load, ordered
from egops.snapshot import Snapshot, Source, SourceType

if TYPE_CHECKING:
    from egops.gather import Progress, SourceOptions, Wanted
    from egops.snapshot import Proxy


def assemble(source: SourceOptions, wanted: Wanted, progress: Progress) -> Snapshot:
    """Return the snapshot of a cluster, or of files, dumps and admin URLs together."""
    taken_at = source.now or datetime.now(UTC)
    if source.is_cluster:
        from egops.gather.cluster import read_cluster  # noqa: PLC0415 - the client is heavy

        return read_cluster(source, wanted, progress, taken_at)
    manifests = Manifests()
    if source.files:
        progress.start("files")
        manifests = load(source.files)
        progress.done("files", f"{manifests.documents} documents")
    proxies: tuple[Proxy, ...] = ()
    if source.config_dumps or source.admin:
        from egops.gather.envoy import read_given  # noqa: PLC0415 - only when asked

        proxies = read_given(source, wanted, progress)
    given = (*source.files, *source.config_dumps, *source.admin)
    return Snapshot(
        taken_at=taken_at,
        source=Source(
            SourceType.FILES if source.files else SourceType.ENVOY, context=", ".join(given)
        ),
        resources=ordered(manifests.resources),
        broken=tuple(manifests.broken),
        proxies=proxies,
        notes=_notes(manifests),
        window_seconds=source.window,
        strict=source.strict,
    )


def _notes(manifests: Manifests) -> tuple[str, ...]:
    if not manifests.foreign:
        return ()
    total = sum(manifests.foreign.values())
    names = ", ".join(f"{name} ({count})" for name, count in sorted(manifests.foreign.items())[:5])
    return (f"{total} objects of kinds that egops does not read: {names}",)
