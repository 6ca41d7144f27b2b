"""Save what the running cluster shows, as data for unit tests.

envoy/ has the admin documents of the first proxy, controller/ the metrics, admin documents and log
of Envoy Gateway, kube/ one list per kind, egctl/ what egctl of the same release prints. Secrets
keep their names, types, keys and certificates; every other value in them becomes empty.
"""

import subprocess
from pathlib import Path

from tests.e2e.cluster import gateway, kube
from tests.e2e.cluster.settings import (
    BIN,
    CONTROLLER_LABELS,
    EG_NAMESPACE,
    KUBECONFIG,
    PROXY_LABELS,
)
from tests.e2e.cluster.shell import RigError, say, write

# file -> path, of a proxy's admin port
ENVOY = {
    "config_dump.json": "config_dump?include_eds",
    "clusters.json": "clusters?format=json",
    "clusters.txt": "clusters",
    "stats_prometheus.txt": "stats/prometheus",
    "stats.json": "stats?format=json",
    "server_info.json": "server_info",
    "certs.json": "certs",
    "listeners.json": "listeners?format=json",
    "ready.txt": "ready",
    "memory.json": "memory",
    "runtime.json": "runtime",
    "help.txt": "help",
}
ENVOY_STATS = {
    "port19001_stats_prometheus.txt": "stats/prometheus",
    "port19001_ready.txt": "ready",
}
CONTROLLER = {
    "admin_index.html": "",
    "pprof.html": "debug/pprof/",
    "admin_config_dump.json": "api/config_dump?resource=all",
    "admin_info.json": "api/server_info",
}
CORE = (
    *("deployments", "replicasets", "daemonsets", "pods", "services", "endpoints"),
    *("endpointslices", "events", "secrets", "configmaps", "jobs", "namespaces", "nodes"),
    *("serviceaccounts", "leases", "horizontalpodautoscalers", "poddisruptionbudgets"),
    *("mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
)


def _save_http(folder: Path, pod: str, port: int, paths: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with kube.port_forward(EG_NAMESPACE, f"pod/{pod}", port) as base:
        for name, path in paths.items():
            code, body = kube.fetch(f"{base}/{path}")
            say(f"{code} {len(body):8} {pod}:{port}/{path}")
            if code == 200:
                (folder / name).write_bytes(body)


def stripped(obj: kube.Object) -> kube.Object:
    """Return a Secret without what is secret in it; other objects as they are."""
    obj["metadata"].pop("managedFields", None)
    if obj.get("kind") != "Secret":
        return obj
    for field in ("data", "stringData"):
        for key in obj.get(field) or {}:
            if not key.endswith(".crt"):
                obj[field][key] = ""
    # kubectl's own copy of what was applied
    (obj["metadata"].get("annotations") or {}).pop(
        "kubectl.kubernetes.io/last-applied-configuration", None
    )
    return obj


def _save_kube(folder: Path) -> None:
    groups = ("gateway.networking.k8s.io", "gateway.envoyproxy.io")
    listed = "-o", "name", "--verbs=list"
    kinds = [
        kind
        for group in groups
        for kind in kube.kubectl("api-resources", "--api-group", group, *listed).split()
    ]
    for kind in (*kinds, *CORE):
        found = kube.get(kind, "-A")
        found["items"] = [stripped({"kind": item.get("kind"), **item}) for item in found["items"]]
        for item in found["items"] if kind == "nodes" else ():
            item["status"]["nodeInfo"].update(machineID="", systemUUID="", bootID="")
        write(folder / f"{kind}.json", found)
    crds = [_without_schema(crd) for crd in kube.items("customresourcedefinitions")]
    document = {"apiVersion": "v1", "kind": "List", "items": crds}
    write(folder / "customresourcedefinitions.json", document)
    write(folder / "version.json", kube.kubectl("version", "-o", "json"))
    write(folder / "api-resources.txt", kube.kubectl("api-resources", "-o", "wide"))


def _without_schema(crd: kube.Object) -> kube.Object:
    versions = [
        {key: version[key] for key in ("name", "served", "storage")}
        for version in crd["spec"]["versions"]
    ]
    spec = {key: crd["spec"][key] for key in ("group", "names", "scope")}
    spec["versions"] = versions
    return {**stripped(crd), "spec": spec}


def _save_egctl(folder: Path, version: str) -> None:
    egctl = BIN / f"egctl-{version}"
    if not egctl.exists():
        say(f"no egctl {version} in the cache: skipped")
        return
    folder.mkdir(parents=True, exist_ok=True)
    commands = {
        "version.json": ["version", "-o", "json"],
        "status.txt": ["x", "status", "all", "-A", "--verbose"],
        "config-all.json": ["config", "envoy-proxy", "all", "-A", "-o", "json"],
    }
    for name, arguments in commands.items():
        done = subprocess.run(
            [str(egctl), *arguments],
            capture_output=True,
            env={"KUBECONFIG": str(KUBECONFIG), "HOME": "/"},
            timeout=60,
            check=False,
        )
        say(f"egctl {' '.join(arguments)}: exit {done.returncode}, {len(done.stdout)} bytes")
        (folder / name).write_bytes(done.stdout)


def _first(selector: str) -> str:
    pods = kube.running_pods(selector)
    if not pods:
        hint = "python -m tests.e2e.cluster install 1.3.0"
        raise RigError(f"no running pod of {selector}", component="capture", hint=hint)
    return str(pods[0]["metadata"]["name"])


def capture(out: Path) -> None:
    """Save everything below the folder."""
    envoy, controller = _first(PROXY_LABELS), _first(CONTROLLER_LABELS)
    _save_http(out / "envoy", envoy, 19000, ENVOY)
    _save_http(out / "envoy", envoy, 19001, ENVOY_STATS)
    _save_http(out / "envoy", envoy, 19002, {"port19002_healthz.txt": "healthz"})
    _save_http(out / "controller", controller, 19001, {"metrics.txt": "metrics"})
    _save_http(out / "controller", controller, 19000, CONTROLLER)
    health = {"healthz.txt": "healthz", "readyz.txt": "readyz"}
    _save_http(out / "controller", controller, 8081, health)
    logs = {
        "controller/log.txt": (controller, "envoy-gateway", 400),
        "envoy/log.txt": (envoy, "envoy", 200),
        "envoy/shutdown-manager-log.txt": (envoy, "shutdown-manager", 50),
    }
    for name, (pod, container, lines) in logs.items():
        text = kube.kubectl("-n", EG_NAMESPACE, "logs", pod, "-c", container, f"--tail={lines}")
        write(out / name, text)
    _save_kube(out / "kube")
    _save_egctl(out / "egctl", gateway.installed_version())
