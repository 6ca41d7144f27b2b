"""Build the software that Envoy Gateway is run together with, from its public modules."""

import shutil
from pathlib import Path

from tests.e2e.cluster.build import (
    GoCommand,
    Recipe,
    build,
    compile_go,
    go_module,
    install_packages,
)
from tests.e2e.cluster.gateway import package_chart
from tests.e2e.cluster.settings import BIN, CACHE
from tests.e2e.cluster.shell import RigError, sh, write

KUBE_STATE_METRICS, OPERATOR, CERT_MANAGER = "2.13.0", "0.85.0", "1.11.5"
COLLECTOR, CONFMAP = "0.155.0", "1.61.0"  # CONFMAP: the stable modules that go with COLLECTOR
PROMETHEUS = "3.16.0"  # built: Debian's 2.42 lacks kubernetes_sd; its module says 0.316.0
RATELIMIT = "1.4.1-0.20260122083618-3fb702589d36"
RATELIMIT_MODULE = "github.com/envoyproxy/ratelimit"
KSM_MODULE = "k8s.io/kube-state-metrics/v2"
PROMETHEUS_MODULE = "github.com/prometheus/prometheus"
OPERATOR_MODULE = "github.com/prometheus-operator/prometheus-operator"
CERT_MANAGER_MODULE = "github.com/cert-manager/cert-manager"
CERT_MANAGER_COMMANDS = ("controller", "cainjector", "webhook")
DEBIAN = {"redis-server": "redis-server", "prometheus-alertmanager": "prometheus-alertmanager"}

# module -> its version, and binary -> its package below the module
SOURCES: dict[str, tuple[str, dict[str, str]]] = {
    RATELIMIT_MODULE: (RATELIMIT, {"ratelimit": "/src/service_cmd"}),
    KSM_MODULE: (KUBE_STATE_METRICS, {"kube-state-metrics": ""}),
    PROMETHEUS_MODULE: (PROMETHEUS.replace("3.", "0.3", 1), {"prometheus": "/cmd/prometheus"}),
    OPERATOR_MODULE: (
        OPERATOR,
        {
            "prometheus-operator": "/cmd/operator",
            "prometheus-config-reloader": "/cmd/prometheus-config-reloader",
        },
    ),
    CERT_MANAGER_MODULE: (
        CERT_MANAGER,
        {f"cert-manager-{command}": f"/cmd/{command}" for command in CERT_MANAGER_COMMANDS},
    ),
    "go.opentelemetry.io/collector/cmd/builder": (COLLECTOR, {"otelcol-builder": ""}),
    # these only run on this machine
    "github.com/cloudflare/pint": ("0.60.0", {"pint": "/cmd/pint"}),
    "sigs.k8s.io/gwctl": ("0.1.0", {"gwctl": ""}),
    "github.com/yannh/kubeconform": ("0.8.0", {"kubeconform": "/cmd/kubeconform"}),
}


def _go_commands() -> dict[str, GoCommand]:
    found: dict[str, GoCommand] = {}
    for module, (version, commands) in SOURCES.items():
        siblings = tuple(module + package for package in commands.values())
        # named after the module's first binary, whatever the module's path is
        folder = f"{next(iter(commands))}-{version[-12:]}"
        for name, package in commands.items():
            ldflags = ""
            flags: tuple[str, ...] = ()
            if name == "prometheus":
                # of its many service discoveries the rig needs one; the others' libraries are large
                flags = ("-buildvcs=false", "-tags=remove_all_sd,enable_kubernetes_sd")
                ldflags = f"-X github.com/prometheus/common/version.Version={PROMETHEUS}"
            found[name] = GoCommand(
                package=module + package,
                folder=folder,
                requirement=f"{module} v{version}",
                siblings=siblings,
                ldflags=ldflags,
                flags=flags,
            )
    return found


# for the collector's own builder, which writes a main package out of them
RECEIVERS = ("go.opentelemetry.io/collector/receiver/otlpreceiver",)
EXPORTERS = (
    "go.opentelemetry.io/collector/exporter/debugexporter",
    "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/prometheusexporter",
)
PROVIDERS = "go.opentelemetry.io/collector/confmap/provider"


def _build_collector(name: str) -> None:
    builder = "otelcol-builder"
    if not (BIN / builder).exists():
        compile_go(builder, _go_commands()[builder])
    out = CACHE / "src" / f"otelcol-{COLLECTOR}"

    def modules(paths: tuple[str, ...], version: str) -> list[dict[str, str]]:
        return [{"gomod": f"{path} v{version}"} for path in paths]

    # without the env provider it starts with `DefaultScheme not found`
    providers = (f"{PROVIDERS}/fileprovider", f"{PROVIDERS}/envprovider")
    dist = {"name": "otelcol", "description": "the rig's collector", "version": COLLECTOR}
    dist["output_path"] = str(out)
    config = write(
        CACHE / "src" / "otelcol.json",
        {
            "dist": dist,
            "receivers": modules(RECEIVERS, COLLECTOR),
            "exporters": modules(EXPORTERS, COLLECTOR),
            "providers": modules(providers, CONFMAP),
        },
    )
    sh(BIN / builder, f"--config={config}", "--ldflags=-s -w", env={"CGO_ENABLED": "0"})
    (out / "otelcol").rename(BIN / name)


def recipes() -> dict[str, Recipe]:
    """Return what makes each binary, by its name."""
    commands = _go_commands()

    def compiled(name: str) -> None:
        compile_go(name, commands[name])

    return {**dict.fromkeys(commands, compiled), "otelcol": _build_collector}


def need(*names: str) -> None:
    """Build these binaries where the cache lacks them."""
    build(names, recipes())


def debian(tool: str) -> Path:
    """Return a program out of a Debian package, which is installed if it lacks."""
    install_packages({tool: DEBIAN[tool]})
    if not (found := shutil.which(tool)):
        raise RigError(f"{DEBIAN[tool]} has no {tool}", component="apt")
    return Path(found).resolve()


def cert_manager_chart() -> Path:
    """Package the chart as its release does: version filled in, CRDs made into a template."""
    packed = CACHE / "charts" / f"cert-manager-v{CERT_MANAGER}.tgz"
    if packed.exists():
        return packed
    source, _ = go_module(CERT_MANAGER_MODULE, CERT_MANAGER)
    work = CACHE / "charts" / f"cert-manager-{CERT_MANAGER}"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(source / "deploy/charts/cert-manager", work)
    sh("chmod", "-R", "u+w", work)
    (work / "Chart.template.yaml").rename(work / "Chart.yaml")
    (work / "README.template.md").unlink()
    files = sorted((source / "deploy/crds").glob("*.yaml"))
    crds = "\n---\n".join(path.read_text().replace("# Generated labels ", "") for path in files)
    template = "{{- if .Values.installCRDs }}\n" + crds + "\n{{- end }}\n"
    write(work / "templates/crds.yaml", template)
    package_chart(work, CERT_MANAGER)
    return packed
