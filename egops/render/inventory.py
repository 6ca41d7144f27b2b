"""The inventory of certificates: a table for people, plain values for JSON, Prometheus' text."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from egops.render.columns import columns
from egops.render.text import paint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from egops.certificate_rows import Row
    from egops.finding import Report
    from egops.render import Terminal
    from egops.snapshot import Expiry

HEADERS = ("  CERTIFICATE", "FOR", "LEFT", "SUBJECT", "NAMES")
BAR = 8  # marks of a full lifetime
MANY = 4  # names shown in the table; JSON has all


def table(rows: Sequence[Row], now: datetime, expiry: Expiry | None, terminal: Terminal) -> str:
    """Return the certificates by the object that holds them, with who uses and renews them."""
    if not rows:
        return "No certificates were read.\n"
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.owner, []).append(row)
    ordered = [row for group in groups.values() for row in group]
    cells = [
        (
            f"  {row.place}",
            row.role,
            left(row, now, terminal),
            row.subject or f"serial {row.serial}",
            _some(row.names),
        )
        for row in ordered
    ]
    text = "".join(columns(HEADERS, cells, width=terminal.width, unicode=terminal.unicode))
    head, *lines = text.splitlines()
    return paint(_lines(groups, head, lines, (now, expiry, terminal)), color=terminal.color)


def _lines(
    groups: dict[str, list[Row]],
    head: str,
    lines: list[str],
    screen: tuple[datetime, Expiry | None, Terminal],
) -> Iterator[tuple[tuple[str, str], ...]]:
    now, expiry, terminal = screen
    yield ((head, "dim"),)
    remaining = iter(lines)
    dot = terminal.mark("·", "-")
    for owner, group in groups.items():
        users = dict.fromkeys(user for row in group for user in row.users)
        renewers = dict.fromkeys(row.renewer for row in group)
        renewed = ", ".join(renewers)
        by = "renewer unknown" if renewed == "unknown" else f"renewed by {renewed}"
        parts = [part for part in (_some(list(users), 2), by) if part]
        about = "".join(f" {dot} {part}" for part in parts)
        yield ((owner, "bold"), (about, ""))
        for row in group:
            yield ((next(remaining), _style(row, now, expiry)),)


def _style(row: Row, now: datetime, expiry: Expiry | None) -> str:
    if row.not_after is None:
        return ""
    begin = row.not_before or row.not_after
    if row.not_after <= now or begin > now:
        return "bold red"
    if expiry is None:
        return ""
    rest, lifetime = row.not_after - now, row.not_after - begin
    for threshold, style in ((expiry.critical, "red"), (expiry.warn, "yellow")):
        limit = lifetime * threshold if isinstance(threshold, float) else threshold
        if rest <= limit:
            return style
    return ""


def _some(words: Sequence[str], count: int = MANY) -> str:
    more = len(words) - count
    return ", ".join(words[:count]) + (f" +{more}" if more > 0 else "")


def left(row: Row, now: datetime, terminal: Terminal) -> str:
    """Return `██████░░ 1,368 d`: the share of the lifetime that is left, and the days."""
    if row.not_after is None:
        return "unknown"
    rest = row.not_after - now
    days = rest / timedelta(days=1)
    begins = row.not_before
    full = 0
    if rest > timedelta(0) and begins is not None and row.not_after > begins:
        full = min(BAR, max(1, round(BAR * (rest / (row.not_after - begins)))))
    bar = terminal.mark("█", "#") * full + terminal.mark("░", "-") * (BAR - full)
    if rest <= timedelta(0):
        return f"{bar} ended {-days:,.0f} d ago"
    if begins is not None and begins > now:
        return f"{bar} from {begins:%Y-%m-%d} on"
    return f"{bar} {days:,.0f} d" if days >= 3 else f"{bar} {rest / timedelta(hours=1):.0f} h"


def plain(row: Row, now: datetime) -> dict[str, Any]:
    """Return a row as plain values, for JSON and YAML."""
    days = None if row.not_after is None else round((row.not_after - now) / timedelta(days=1), 2)
    return {
        "object": {"kind": row.kind, "namespace": row.namespace or None, "name": row.name},
        "key": row.key,
        "index": row.index,
        "role": row.role,
        "subject": row.subject,
        "issuer": row.issuer,
        "serial": row.serial,
        "fingerprint": row.fingerprint or None,
        "names": list(row.names),
        "notBefore": _time(row.not_before),
        "notAfter": _time(row.not_after),
        "daysLeft": days,
        "keyType": row.key_type,
        "usedBy": list(row.users),
        "renewedBy": row.renewer,
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


# ------------------------------------------------------------------ Prometheus


def prometheus(rows: Sequence[Row], report: Report) -> str:
    """Return metrics in the text format, for node exporter's textfile collector."""
    return "".join(f"{line}\n" for line in _metrics(rows, report))


def _metrics(rows: Sequence[Row], report: Report) -> Iterator[str]:
    dated = [row for row in rows if row.not_after is not None]
    yield "# HELP egops_certificate_expiry_seconds When the certificate ends, in Unix time."
    yield "# TYPE egops_certificate_expiry_seconds gauge"
    for row in dated:
        assert row.not_after is not None
        yield f"egops_certificate_expiry_seconds{_labels(row)} {row.not_after.timestamp():.0f}"
    yield "# HELP egops_certificate_start_seconds When the certificate begins, in Unix time."
    yield "# TYPE egops_certificate_start_seconds gauge"
    for row in dated:
        if row.not_before is not None:
            yield f"egops_certificate_start_seconds{_labels(row)} {row.not_before.timestamp():.0f}"
    yield "# HELP egops_certificate_findings What egops certs check found, by rule and severity."
    yield "# TYPE egops_certificate_findings gauge"
    for (code, name, severity), count in sorted(_counts(report).items()):
        labels = f'{{code="{code}",rule="{name}",severity="{severity}"}}'
        yield f"egops_certificate_findings{labels} {count}"
    yield "# HELP egops_certificate_check_timestamp_seconds When egops certs check ran."
    yield "# TYPE egops_certificate_check_timestamp_seconds gauge"
    yield f"egops_certificate_check_timestamp_seconds {report.taken_at.timestamp():.0f}"


def _counts(report: Report) -> dict[tuple[str, str, str], int]:
    counts: dict[tuple[str, str, str], int] = {}
    for finding in (*report.findings, *(fold.finding for fold in report.folded)):
        key = (finding.code, finding.name, str(finding.severity))
        counts[key] = counts.get(key, 0) + 1
    return counts


def _labels(row: Row) -> str:
    pairs = {
        "kind": row.kind,
        "namespace": row.namespace,
        "secret": row.name,
        "key": row.key,
        "index": str(row.index),
        "role": row.role,
        "subject": row.subject,
        "serial": row.serial,
    }
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
