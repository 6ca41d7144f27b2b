"""EGD-432 certgen-overwrites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import HELM_VALUES, JOB
from egops.rules import rule
from egops.snapshot import entries, items, section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Location, Snapshot

FLAGS = ("-o", "--overwrite")


@rule(
    code="EGD-432",
    severity=Severity.WARNING,
    optional=(JOB, HELM_VALUES),
    since="0.1",
    ok="certgen does not overwrite certificates with each upgrade",
)
def certgen_overwrites(snapshot: Snapshot) -> Iterator[Problem]:
    """Certgen is told to overwrite the certificates, with every upgrade.

    ## Why it matters
    `--overwrite` left in the chart's values makes a new CA with every `helm upgrade`, and with
    every sync of Argo CD: without an overlap, so new connections fail for a minute or two, rate
    limits fail until proxies restart, and every OIDC user has to log in again.

    ## How to fix it
    Take the flag out of `certgen.job.args`; rotate with `egops certs rotate`.
    """
    for job in snapshot.all(JOB):
        if "certgen" not in job.name:
            continue
        for index, container in items(job.spec, "template", "spec", "containers"):
            words = [*entries(container, "command"), *entries(container, "args")]
            if "certgen" in words and _overwrites(words):
                path = ("spec", "template", "spec", "containers", index)
                yield _problem(job.at(*path))
    for values in snapshot.all(HELM_VALUES):
        tree = section(values.body, "values")
        if _overwrites(entries(tree, "certgen", "job", "args")):
            yield _problem(values.at("values", "certgen", "job", "args"))


def _overwrites(words: list[object]) -> bool:
    return any(
        word in FLAGS or word == "--overwrite=true" for word in words if isinstance(word, str)
    )


def _problem(at: Location) -> Problem:
    return Problem(
        at,
        "certgen overwrites the certificates with every upgrade",
        impact="each upgrade replaces the CA at once: connections fail, OIDC users are logged out",
        remedy=("take --overwrite out of certgen.job.args",),
    )
