"""`egops bundle`: save what egops sees, without its secrets, to be judged later or elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from egops.cli.options import output_option, source_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gather import SourceOptions, Wanted
    from egops.snapshot import Answers, Snapshot


@click.command()
@click.argument("file", metavar="[FILE.zip]", required=False, default="")
@click.option("--without-logs", is_flag=True, help="Leave out the logs, access logs among them.")
@output_option("text", "json")
@source_options
def bundle(source: SourceOptions, file: str, output: str, *, without_logs: bool) -> None:
    """Save all that egops reads into one file, without keys, tokens, cookies and passwords.

    Every command takes the file with -f, as if it were the cluster at that moment. Only its owner
    may read it: names of objects and hosts are still in it, and so are paths in logs.

    \b
    egops bundle before.zip                       what is there before an upgrade
    egops upgrade verify --snapshot before.zip    what has become of it
    egops bundle support.zip --without-logs
    egops doctor -f before.zip
    """
    from egops.errors import EgopsError
    from egops.gather import gather
    from egops.gather.bundle import pack
    from egops.gather.progress import progress_on

    with progress_on(sys.stderr) as progress:
        snapshot = gather(source, everything(with_logs=not without_logs), progress)
    if not any(snapshot.resources.values()) and not snapshot.proxies:
        raise EgopsError("nothing could be read, nothing is saved", hint=_reasons(snapshot))
    name = file or f"egops-{snapshot.taken_at:%Y%m%d-%H%M%S}.zip"
    pack(snapshot, name)
    if output == "json":
        import msgspec

        told = {"file": name, **contents(snapshot, with_logs=not without_logs)}
        click.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
    else:
        click.echo("\n".join(_lines(name, snapshot, with_logs=not without_logs)))
    if snapshot.timed_out or snapshot.broken:
        from egops.errors import ExitCode

        code = ExitCode.TIMEOUT if snapshot.timed_out else ExitCode.USAGE
        raise click.exceptions.Exit(int(code))


def everything(*, with_logs: bool = True) -> Wanted:
    """Return what all rules and commands read."""
    from dataclasses import replace

    from egops import gatewayapi as api
    from egops.gather import Wanted
    from egops.rules.registry import certificate_rules, doctor_rules, upgrade_rules
    from egops.snapshot import Probe

    wanted = Wanted.by((*doctor_rules(), *certificate_rules(), *upgrade_rules()))
    more = {api.CRD, api.HELM_RELEASE, api.APPLICATION, *api.ROUTE_KINDS, *api.EG_POLICY_KINDS}
    more |= {api.POD, api.DEPLOYMENT, api.DAEMON_SET, api.BACKEND_TLS_POLICY, api.ENVOY_PROXY}
    probes = wanted.probes | {Probe.CONFIG_DUMP, Probe.SERVER_INFO, Probe.CLUSTERS, Probe.STATS}
    probes |= {Probe.KUBERNETES_VERSION}
    if not with_logs:
        probes -= {Probe.PROXY_LOG, Probe.EG_LOG}
    return replace(wanted, kinds=wanted.kinds | more, probes=probes)


REDACTED = (
    "values of Secrets, private keys, credentials in headers, URLs, environment and settings",
    "values of ConfigMaps that no object of ours refers to",
)


def contents(snapshot: Snapshot, *, with_logs: bool) -> dict[str, Any]:
    """Return what a bundle of the snapshot holds and what it does not, as plain values."""
    from egops.gather.bundle import kept

    pods = (*snapshot.proxies, *snapshot.control_planes)
    left = {kind.resource: why for kind, why in snapshot.unread.items()}
    left |= {probe.value: why for probe, why in snapshot.unprobed.items()}
    left |= {f"{pod.name} {name}": why for pod in pods for name, why in _failures(pod)}
    if not with_logs:
        left["logs"] = "--without-logs"
    return {
        "takenAt": snapshot.taken_at.isoformat(),
        "source": snapshot.source.context,
        "objects": {kind.resource: len(found) for kind, found in sorted(_held(snapshot))},
        "pods": {pod.name: [probe.value for probe in kept(pod)] for pod in pods},
        "absentKinds": sorted(kind.resource for kind in snapshot.absent),
        "notRead": dict(sorted(left.items())),
        "redacted": list(REDACTED),
        "notes": list(snapshot.notes),
        "broken": [f"{part.file}:{part.line}: {part.message}" for part in snapshot.broken],
    }


def _held(snapshot: Snapshot) -> Iterator[tuple[Any, Any]]:
    return ((kind, found) for kind, found in snapshot.resources.items() if found)


def _failures(pod: Answers) -> Iterator[tuple[str, str]]:
    return ((probe.value, why) for probe, why in pod.failures.items())


def _lines(name: str, snapshot: Snapshot, *, with_logs: bool) -> Iterator[str]:
    from pathlib import Path

    told = contents(snapshot, with_logs=with_logs)
    total = sum(told["objects"].values())
    size = Path(name).stat().st_size
    yield f"{name}: {total} objects, {len(told['pods'])} pods, {size / 1024:.0f} KiB (mode 0600)"
    kinds = ", ".join(
        f"{count} {kind.partition('.')[0]}" for kind, count in told["objects"].items()
    )
    for word, text in (
        ("holds", kinds),
        *(("holds", f"{pod}: {', '.join(each)}") for pod, each in told["pods"].items()),
        ("redacted", "; ".join(told["redacted"])),
        ("no CRD", ", ".join(kind.partition(".")[0] for kind in told["absentKinds"])),
        *(("not read", f"{what}: {why}") for what, why in told["notRead"].items()),
        *(("note", text) for text in told["notes"]),
        *(("broken", text) for text in told["broken"]),
    ):
        if text:
            yield f"  {word:9} {text}"


def _reasons(snapshot: Snapshot) -> str:
    reasons = (*snapshot.unread.values(), *snapshot.unprobed.values())
    return "; ".join(dict.fromkeys(reasons)) or "the input holds nothing that egops reads"
