"""Install, compare and remove: what the commands for boards and for alerts share. No printing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from egops.errors import EgopsError, InputError
from egops.monitoring.runbook import RUNBOOKS
from egops.monitoring.targets import Content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from egops.monitoring.prometheus import Prometheus
    from egops.monitoring.rules import Profile
    from egops.monitoring.targets import Target
    from egops.monitoring.values import Values
    from egops.plan import Change, Plan


class RefusedError(EgopsError):
    """Something of somebody else is in the way, so nothing was written."""

    exit_code = InputError.exit_code


def boards_content(names: tuple[str, ...], *, runbooks_at: str = RUNBOOKS) -> Content:
    """Return the boards of these names, or all, as content."""
    from egops.monitoring.shipped import boards  # noqa: PLC0415 - reads files

    chosen = boards(names, runbooks_at=runbooks_at)
    return Content("dashboards", boards=chosen, partial=bool(names))


def alerts_content(values: Values, profile: Profile) -> Content:
    """Return the rule groups of a profile as content."""
    from egops.monitoring.rules import rule_groups  # noqa: PLC0415 - the whole catalogue

    return Content("alerts", groups=rule_groups(values, profile=profile))


def carry_out(target: Target, plan: Plan, *, overwrite: bool, dry_run: bool) -> Iterator[Change]:
    """Carry out a plan, all of it or nothing.

    Raises RefusedError, before anything is written, when something is in the way.
    """
    if plan.refused:
        first = plan.refused[0]
        more = f" (and {len(plan.refused) - 1} more)" if len(plan.refused) > 1 else ""
        raise RefusedError(
            f"nothing was written: {first.what}: {first.reason}{more}",
            hint="see the difference with `diff`; --overwrite replaces what can be replaced",
        )
    yield from target.carry_out(plan, overwrite=overwrite, dry_run=dry_run)


def confirmed(
    prometheus: Prometheus,
    groups: Sequence[str],
    *,
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> list[str] | None:
    """Wait until a Prometheus has loaded these groups; return those it has not.

    Return None when it has no rules API. An empty list means that all are loaded.
    """
    end = clock() + seconds
    while True:
        loaded = prometheus.rule_groups()
        if loaded is None:
            return None
        names = {group.get("name") for group in loaded}
        missing = [group for group in groups if group not in names]
        if not missing or clock() >= end:
            return missing
        sleep(min(2.0, max(0.0, end - clock())))
