"""Each Envoy's admin documents: from pods, from URLs, from saved dumps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import urllib3

from egops.errors import InputError, TimeoutReached
from egops.gather.draft import Draft
from egops.gather.http import Calls, watched
from egops.gather.manifests import read_bytes
from egops.gather.portforward import UrlAsker
from egops.gather.workers import Workers
from egops.snapshot import PROXY_PROBES, Probe, Proxy
from egops.xds.config_dump import ConfigDump, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from egops.gather import Progress, SourceOptions, Wanted
    from egops.gather.portforward import Asker

FIRST = (
    Probe.SERVER_INFO, Probe.READY, Probe.STATS, Probe.CONFIG_DUMP, Probe.CLUSTERS, Probe.CERTS,
)  # fmt: skip
PROXIES = "proxies"  # the name under which progress hears of them


def wanted_of(wanted: Wanted, source: SourceOptions) -> frozenset[Probe]:
    """Return the probes of proxies to ask for: a second reading needs the first one, and time."""
    probes = wanted.probes & PROXY_PROBES
    if Probe.STATS_AGAIN in probes:
        probes |= {Probe.STATS}
        if not source.window:
            probes -= {Probe.STATS_AGAIN}
    return probes


# ------------------------------------------------------------------ URLs and saved dumps


def read_given(source: SourceOptions, wanted: Wanted, progress: Progress) -> tuple[Proxy, ...]:
    """Return the proxies behind `--admin` URLs and in `--config-dump` files, in the order given.

    A file that is no dump stops the command; a URL that does not answer is a proxy of failures
    only, unless nothing else was given.

    Raises:
        InputError: a file is no config dump.
        UnreachableError: no URL answered, and nothing else was given.
    """
    probes = wanted_of(wanted, source)
    proxies = [proxy for file in source.config_dumps for proxy in saved(file, probes, progress)]
    drafts: list[Draft] = []
    if source.admin:
        drafts = _read_urls(source, probes, progress)
        if not (source.files or source.config_dumps or any(draft.documents for draft in drafts)):
            for draft in drafts:
                if draft.error is not None:
                    raise draft.error
    return (*proxies, *(draft.frozen(Proxy, ()) for draft in drafts))


def saved(file: str, probes: Iterable[Probe], progress: Progress) -> list[Proxy]:
    """Return the proxies in a saved dump: one, or one for each pod of egctl's output."""
    name = "standard input" if file == "-" else file
    progress.start(name)
    raw = read_bytes(file)
    try:
        found = [_from_dump(name, raw)]
    except InputError as single:
        found = _from_several(raw, name, single)
    for draft in found:
        draft.fail(probes, f"{name} is a saved config dump and holds nothing else")
    progress.done(name)
    return [draft.frozen(Proxy, ()) for draft in found]


def _from_dump(name: str, raw: bytes) -> Draft:
    return Draft(
        name,
        documents={Probe.CONFIG_DUMP: raw},
        parsed={"config": ConfigDump.parse(raw)},
    )


def _from_several(raw: bytes, name: str, error: InputError) -> list[Draft]:
    try:
        parts = split(raw)
    except InputError:
        parts = []
    if len(parts) < 2:
        raise InputError(f"{name}: {error.message}", hint=error.hint)
    drafts = []
    for pod, sections in parts:
        dump = b'{"configs":[' + b",".join(bytes(section) for section in sections) + b"]}"
        drafts.append(_from_dump(pod, dump))
    return drafts


def _read_urls(source: SourceOptions, probes: frozenset[Probe], progress: Progress) -> list[Draft]:
    urls = [_admin_url(url) for url in source.admin]
    drafts = [Draft(url) for url in urls]
    pool = watched(urllib3.PoolManager(num_pools=len(urls), maxsize=4))
    calls = Calls()
    progress.start(PROXIES, len(urls))
    with Workers(source.concurrency) as workers:
        try:
            for draft in drafts:
                asker = UrlAsker(draft.name, pool, calls, source.request_timeout)
                workers.submit(reader(draft, asker, probes, source, workers, progress))
            in_time = workers.wait(source.timeout or None)
        finally:
            calls.cut()
    pool.clear()
    progress.done(PROXIES)
    late = "" if in_time else f"timed out after {source.timeout:g} s"
    if late and not any(draft.documents for draft in drafts):
        raise TimeoutReached(f"no answer from {urls[0]} within {source.timeout:g} s")
    for draft in drafts:
        draft.fail([Probe.PROXY_LOG], "an admin address has no log")
        if late:
            draft.fail(probes, late)
    return drafts


def reader(
    draft: Draft,
    asker: Asker,
    probes: frozenset[Probe],
    source: SourceOptions,
    workers: Workers,
    progress: Progress,
) -> Callable[[], None]:
    """Return the work that reads one proxy; it queues its own second reading of the counters."""

    def again() -> None:
        try:
            draft.ask(asker, [Probe.STATS_AGAIN])
        finally:
            asker.close()

    def first() -> None:
        waits = Probe.STATS_AGAIN in probes
        try:
            draft.ask(asker, [probe for probe in FIRST if probe in probes])
        finally:
            if not waits:
                asker.close()
        progress.advance(PROXIES)
        if not waits:
            return
        if Probe.STATS in draft.failures:
            draft.fail([Probe.STATS_AGAIN], draft.failures[Probe.STATS])
            asker.close()
            return
        passed = time.monotonic() - draft.asked_at[Probe.STATS]
        workers.submit(again, max(0.0, source.window - passed))

    return first


def _admin_url(url: str) -> str:
    if "://" not in url:
        url = f"http://{url}"
    try:
        parsed = urllib3.util.parse_url(url)
    except urllib3.exceptions.LocationParseError:
        raise InputError(f"{url} is no URL", hint="such as http://127.0.0.1:19000") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InputError(f"{url} is no URL", hint="such as http://127.0.0.1:19000")
    return url.rstrip("/")
