"""Each Envoy's admin documents: from pods, from URLs, from saved dumps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from egops.errors import EgopsError, InputError, TimeoutReached
from egops.gather.draft import Draft
from egops.gather.manifests import read_bytes
from egops.snapshot import PROXY_PROBES, Broken, Probe, Proxy
from egops.xds.config_dump import ConfigDump, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from egops.gather import Progress, SourceOptions, Wanted
    from egops.gather.asker import Asker
    from egops.gather.workers import Workers

FIRST = (
    Probe.SERVER_INFO, Probe.READY, Probe.STATS, Probe.CONFIG_DUMP, Probe.CLUSTERS, Probe.CERTS,
)  # fmt: skip
PROXIES = "proxies"  # the name under which progress hears of them


def wanted_of(wanted: Wanted, source: SourceOptions) -> frozenset[Probe]:
    """Return the probes of proxies to ask for: a second reading needs the first one, and time."""
    probes = wanted.probes & PROXY_PROBES
    if Probe.LISTENER_TLS in probes:
        probes |= {Probe.CONFIG_DUMP}  # it tells which listeners there are
    if Probe.STATS_AGAIN in probes:
        probes |= {Probe.STATS}
        if not source.window:
            probes -= {Probe.STATS_AGAIN}
    return probes


# ------------------------------------------------------------------ URLs and saved dumps


class Given(NamedTuple):
    """What URLs and files gave, what of it is no dump, and whether the time sufficed."""

    proxies: tuple[Proxy, ...] = ()
    broken: tuple[Broken, ...] = ()
    in_time: bool = True


def read_given(source: SourceOptions, wanted: Wanted, progress: Progress) -> Given:
    """Return the proxies in `--config-dump` files and behind `--admin` URLs, in the order given.

    A file that is no dump is broken input, a URL that does not answer is a proxy of failures only;
    where that is all there is, it stops the command.

    Raises:
        InputError: no file is a config dump, and nothing else was given.
        UnreachableError: no URL answered, and nothing else was given.
    """
    probes = wanted_of(wanted, source)
    proxies: list[Proxy] = []
    broken: list[Broken] = []
    stop: EgopsError | None = None
    for file in source.config_dumps:
        try:
            proxies += saved(file, probes, progress)
        except InputError as exc:
            stop = stop or exc
            broken.append(Broken(file, 0, exc.message))
    drafts: list[Draft] = []
    in_time = True
    if source.admin:
        drafts, in_time = _read_urls(source, probes, progress)
        stop = stop or next((draft.error for draft in drafts if draft.error), None)
    answered = proxies or any(draft.documents for draft in drafts)
    if stop is not None and not answered and not source.files:
        raise stop
    proxies += [draft.frozen(Proxy, ()) for draft in drafts]
    return Given(tuple(proxies), tuple(broken), in_time)


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


def _read_urls(
    source: SourceOptions, probes: frozenset[Probe], progress: Progress
) -> tuple[list[Draft], bool]:
    import urllib3  # noqa: PLC0415 - files alone need no HTTP

    from egops.gather.http import Calls, UrlAsker, watched  # noqa: PLC0415 - as above
    from egops.gather.workers import Workers  # noqa: PLC0415 - as above

    urls = [_admin_url(url) for url in source.admin]
    drafts = [Draft(shown(url)) for url in urls]
    pool = watched(urllib3.PoolManager(num_pools=len(urls), maxsize=4))
    calls = Calls()
    progress.start(PROXIES, len(urls))
    with Workers(source.concurrency) as workers:
        try:
            for url, draft in zip(urls, drafts, strict=True):
                asker = UrlAsker(url, pool, calls, source.request_timeout)
                workers.submit(reader(draft, asker, probes, source, workers, progress))
            in_time = workers.wait(source.timeout or None)
        finally:
            calls.cut()
    pool.clear()
    progress.done(PROXIES)
    late = "" if in_time else f"timed out after {source.timeout:g} s"
    if late and not any(draft.documents for draft in drafts):
        raise TimeoutReached(f"no answer from {drafts[0].name} within {source.timeout:g} s")
    for draft in drafts:
        draft.fail([Probe.PROXY_LOG], "an admin address has no log")
        if Probe.LISTENER_TLS in probes:
            draft.fail([Probe.LISTENER_TLS], "an admin address does not lead to the listeners")
        if late:
            draft.fail(probes, late)
    return drafts, in_time


def reader(
    draft: Draft,
    asker: Asker,
    probes: frozenset[Probe],
    source: SourceOptions,
    workers: Workers,
    progress: Progress,
) -> Callable[[], None]:
    """Return the work that reads one proxy; it queues its own second reading of the counters."""
    second = f"counters again, {source.window:g} s later"

    def again() -> None:
        try:
            draft.ask(asker, [Probe.STATS_AGAIN])
        finally:
            asker.close()
            progress.advance(second)

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
        progress.start(second)
        passed = time.monotonic() - draft.asked_at[Probe.STATS]
        workers.submit(again, max(0.0, source.window - passed))

    return first


def _admin_url(url: str) -> str:
    url = url if "://" in url else f"http://{url}"
    try:
        parsed = urlsplit(url)
        good = parsed.scheme in ("http", "https") and parsed.hostname and parsed.port != 0
    except ValueError:
        good = False
    if not good:
        raise InputError(f"{shown(url)} is no URL", hint="such as http://127.0.0.1:19000")
    return url.rstrip("/")


def shown(url: str) -> str:
    """Return a URL without user and password."""
    scheme, mark, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{mark}{authority.rpartition('@')[2]}{slash}{path}"
