"""The names of the targets; apart from them because the command line needs nothing else."""

from __future__ import annotations

TARGETS = {
    "dashboards": ("auto", "files", "grafana", "sidecar", "grafana-operator"),
    "alerts": (
        "auto", "files", "prometheus-operator", "victoria-metrics", "mimir", "grafana-alerts",
    ),
}  # fmt: skip
