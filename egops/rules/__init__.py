"""What a rule is. One rule, one module, one code; `registry.py` lists them all.

A rule is a pure generator over a Snapshot:

    @rule(
        code="EGD-241",
        severity=Severity.ERROR,
        reads=(HTTP_ROUTE, SERVICE),
        ok="every backendRef names a Service that exists",
        since="0.1",
    )
    def backend_not_found(snapshot: Snapshot) -> Iterator[Problem]:
        \"\"\"A route sends traffic to a Service that does not exist.

        ## Why it matters
        …

        ## How to fix it
        …
        \"\"\"

Name and documentation come from the function; the name is the module's name and names the fault.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from egops.finding import Problem, Severity, Unjudged
from egops.snapshot import Kind, Probe, Snapshot

Check = Callable[[Snapshot], Iterator[Problem | Unjudged]] | Callable[[Snapshot], Iterator[Problem]]
Version = tuple[int, ...]

AREAS = {
    "install": "Install",
    "crd": "CRDs",
    "controlplane": "Control plane",
    "gateway": "Gateways and listeners",
    "route": "Routes",
    "backend": "Backends",
    "policy": "Policies",
    "tls": "TLS and certificates",
    "xds": "xDS and proxies",
    "traffic": "Traffic",
    "ratelimit": "Rate limiting",
    "extension": "Extensions",
    "observability": "Observability",
    "capacity": "Capacity",
    "upgrade": "Upgrades",
}


@dataclass(frozen=True)
class Rule:
    """A rule and all that is known about it without running it.

    `reads` are kinds it cannot do without: if one could not be read, the rule is skipped.
    `optional` are kinds it looks at too: if one could not be read, that part is a reported skip.
    `probes` work the same: all of them are needed, `optional_probes` only add.
    `versions` limits doctor rules to Envoy Gateway releases: (first, last), both inclusive, each a
    tuple such as (1, 6); an unknown running version is judged.
    Upgrade rules say in which releases the change came (`changed_in`: one, or the first of each
    minor that has it where it was backported), in which it was taken back (`fixed_in`), and link
    the release note.
    """

    code: str
    name: str
    area: str
    severity: Severity
    check: Check = field(compare=False)
    reads: tuple[Kind, ...]
    optional: tuple[Kind, ...]
    probes: tuple[Probe, ...]
    optional_probes: tuple[Probe, ...]
    since: str
    ok: str
    summary: str
    documentation: str
    versions: tuple[Version | None, Version | None] = (None, None)
    changed_in: tuple[Version, ...] = ()
    fixed_in: tuple[Version, ...] = ()
    link: str = ""
    queries: tuple[str, ...] = ()  # PromQL; asked only if a Prometheus is given or found

    @property
    def docs(self) -> str:
        """Return the page of this rule inside the project's documentation."""
        return f"docs/rules/{self.code}-{self.name}.md"

    def applies_to(self, running: Version | None) -> bool:
        """Return whether the rule judges this Envoy Gateway release; unknown ones are judged."""
        first, last = self.versions
        if running is None:
            return True
        if first is not None and running[: len(first)] < first:
            return False
        return last is None or running[: len(last)] <= last


def rule(  # noqa: PLR0913 - a rule's metadata, each by name
    *,
    code: str,
    severity: Severity,
    ok: str,
    since: str,
    reads: Iterable[Kind] = (),
    optional: Iterable[Kind] = (),
    probes: Iterable[Probe] = (),
    optional_probes: Iterable[Probe] = (),
    versions: tuple[Version | None, Version | None] = (None, None),
    changed_in: Version | tuple[Version, ...] = (),
    fixed_in: Version | tuple[Version, ...] = (),
    link: str = "",
    queries: Iterable[str] = (),
) -> Callable[[Check], Rule]:
    """Make a Rule of a check; its name, area and documentation come from the function."""

    def decorate(check: Check) -> Rule:
        documentation = inspect.cleandoc(check.__doc__ or "")
        return Rule(
            code=code,
            name=check.__name__.replace("_", "-"),
            area=check.__module__.split(".")[-2],
            severity=severity,
            check=check,
            reads=tuple(reads),
            optional=tuple(optional),
            probes=tuple(probes),
            optional_probes=tuple(optional_probes),
            since=since,
            ok=ok,
            summary=documentation.split("\n", 1)[0].removesuffix("."),
            documentation=documentation,
            versions=versions,
            changed_in=_versions(changed_in),
            fixed_in=_versions(fixed_in),
            link=link,
            queries=tuple(queries),
        )

    return decorate


def _versions(given: Version | tuple[Version, ...]) -> tuple[Version, ...]:
    """Return one version as a tuple of versions, and several as they are."""
    several = tuple(part for part in given if isinstance(part, tuple))
    one = tuple(part for part in given if isinstance(part, int))
    return several or ((one,) if one else ())


def parse_version(text: str) -> Version | None:
    """Return (1, 3, 0) for `v1.3.0`, `1.3` or `docker.io/envoyproxy/gateway:v1.3.0`; else None."""
    found = re.search(r"(?:^|[:@v])v?(\d+)\.(\d+)(?:\.(\d+))?(?:[-+].*)?$", text)
    if not found:
        return None
    return tuple(int(part) for part in found.groups() if part is not None)
