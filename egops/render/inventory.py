"""The inventory of certificates: a table for people, plain values for JSON, Prometheus' text."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from egops.render.columns import columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from egops.finding import Report
    from egops.inventory import Row
    from egops.render import Terminal

HEADERS = ("CERTIFICATE", "FOR", "SUBJECT", "NAMES", "LEFT", "USED BY", "RENEWED BY")
BAR = 8  # marks of a full lifetime
MANY = 3  # names shown in the table; JSON has all


def table(rows: Sequence[Row], now: datetime, terminal: Terminal) -> str:
    """Return the table, or one line if there is nothing in it."""
    if not rows:
        return "No certificates were read.\n"
    cells = [
        (
            row.place,
            row.role,
            row.subject or f"serial {row.serial}",
            _some(row.names),
            left(row, now, terminal),
            _some(row.users, 1),
            row.renewer,
        )
        for row in rows
    ]
    return "".join(columns(HEADERS, cells, width=terminal.width, unicode=terminal.unicode))


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
