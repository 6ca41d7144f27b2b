"""From what the user said to a target; `auto` looks what the cluster has."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from egops.errors import InputError
from egops.gather import SourceOptions

if TYPE_CHECKING:
    from egops.apply import Cluster
    from egops.monitoring.targets import Target, What
    from egops.monitoring.web import Server


@dataclass(frozen=True)
class TargetOptions:
    """Where to install, as the user said it. Empty means: find out, or what is usual."""

    to: str = "auto"
    folder: str = ""  # of files
    url: str = ""
    token: str = field(default="", repr=False)
    user: str = field(default="", repr=False)  # `user:password`
    tenant: str = ""
    headers: tuple[str, ...] = field(default=(), repr=False)  # `Name: value`
    ca: str = ""
    insecure: bool = False
    namespace: str = ""
    label: str = ""
    evaluator: str = ""
    folder_uid: str = ""
    datasource_uid: str = ""
    ruler_prefix: str = "/prometheus"
    source: SourceOptions = field(default_factory=SourceOptions)


def choose(what: What, options: TargetOptions, cluster: Cluster | None = None) -> Target:
    """Return the target. Raises InputError when something that it needs was not said."""
    name = options.to
    if name == "auto":
        name = detect(what, cluster or _cluster(options))
    match name:
        case "files":
            return _files(options)
        case "grafana" | "grafana-alerts" | "mimir":
            return _web(name, options)
        case _:
            return _in_cluster(name, options, cluster or _cluster(options))


def detect(what: What, cluster: Cluster) -> str:
    """Return the name of the first target that the cluster has.

    Raises InputError when it has none.
    """
    from egops.monitoring.targets import grafana_operator, prometheus_operator, sidecar  # noqa: PLC0415
    from egops.monitoring.targets.victoria_metrics import VICTORIA_METRICS  # noqa: PLC0415

    if what == "alerts":
        if cluster.list(prometheus_operator.PROMETHEUS.evaluator):
            return "prometheus-operator"
        if cluster.list(VICTORIA_METRICS.evaluator):
            return "victoria-metrics"
        hint = "use --to mimir or --to grafana-alerts with --url, or --to files with --dir"
        raise InputError("the cluster has no Prometheus or VMAlert object", hint=hint)
    if cluster.list(grafana_operator.GRAFANA):
        return "grafana-operator"
    if sidecar.sidecars(cluster):
        return "sidecar"
    hint = "use --to grafana with --url and --token, or --to files with --dir"
    raise InputError("the cluster has no grafana-operator and no Grafana sidecar", hint=hint)


def _files(options: TargetOptions) -> Target:
    from egops.monitoring.targets.files import Files  # noqa: PLC0415 - only the chosen target

    if not options.folder:
        raise InputError("--to files needs a folder", hint="name it with --dir")
    return Files(Path(options.folder).expanduser())


def _web(name: str, options: TargetOptions) -> Target:
    from egops.monitoring.targets import FOLDER_UID  # noqa: PLC0415 - only the chosen target
    from egops.monitoring.targets.grafana import Grafana  # noqa: PLC0415 - as above
    from egops.monitoring.targets.grafana_alerts import GrafanaAlerts  # noqa: PLC0415 - as above
    from egops.monitoring.targets.mimir import Mimir  # noqa: PLC0415 - as above

    if not options.url:
        raise InputError(f"--to {name} needs an address", hint="name it with --url")
    server = _server(options, "Mimir" if name == "mimir" else "Grafana")
    folder_uid = options.folder_uid or FOLDER_UID
    if name == "grafana":
        return Grafana(server, folder_uid)
    if name == "grafana-alerts":
        return GrafanaAlerts(server, options.datasource_uid, folder_uid)
    return Mimir(server, options.ruler_prefix.rstrip("/"))


def _server(options: TargetOptions, product: str) -> Server:
    from egops.monitoring.web import Access, Server  # noqa: PLC0415 - only the chosen target

    if options.ca and not Path(options.ca).is_file():
        raise InputError(f"the CA file {options.ca} does not exist")
    if options.ca and b"-----BEGIN" not in Path(options.ca).read_bytes():
        raise InputError(f"the CA file {options.ca} holds no certificate in PEM")
    user, _, password = options.user.partition(":")
    headers = {}
    for given in options.headers:
        name, colon, value = given.partition(":")
        if not colon or not name.strip():
            raise InputError("a header is written as `Name: value`")
        headers[name.strip()] = value.strip()
    access = Access(
        options.url,
        token=options.token,
        user=user,
        password=password,
        tenant=options.tenant,
        headers=headers,
        ca=options.ca,
        insecure=options.insecure,
        timeout=options.source.request_timeout,
    )
    access.shown  # noqa: B018 - raises for what is not a URL
    return Server(access, product)


def _cluster(options: TargetOptions) -> Cluster:
    from egops.apply import KubernetesCluster  # noqa: PLC0415 - with a client library behind it
    from egops.gather.kubeconfig import connect  # noqa: PLC0415 - as above

    return KubernetesCluster(connect(options.source), seconds=options.source.request_timeout)


def _in_cluster(name: str, options: TargetOptions, cluster: Cluster) -> Target:
    from egops.monitoring.targets import (  # noqa: PLC0415 - only the chosen target
        grafana_operator,
        prometheus_operator,
        sidecar,
        victoria_metrics,
    )

    place = options.namespace
    match name:
        case "sidecar":
            return sidecar.target(cluster, namespace=place, label=options.label)
        case "grafana-operator":
            return grafana_operator.target(cluster, namespace=place, label=options.label)
        case "prometheus-operator":
            return prometheus_operator.target(cluster, namespace=place, wanted=options.evaluator)
        case "victoria-metrics":
            return victoria_metrics.target(cluster, namespace=place, wanted=options.evaluator)
        case _:
            raise InputError(f"there is no target {name}")
