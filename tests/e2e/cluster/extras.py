"""Add software that Envoy Gateway is run together with to a cluster that is up.

Each verb adds what lacks and waits until it answers; doing it again changes nothing, and `down`
removes it all.
"""

import json
import re
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from tests.e2e.cluster import extras_build as made
from tests.e2e.cluster import gateway, images, kube
from tests.e2e.cluster.build import build, go_module
from tests.e2e.cluster.extras_build import recipes
from tests.e2e.cluster.settings import BIN, CACHE, EG_NAMESPACE, ENVOY
from tests.e2e.cluster.shell import RigError, say, sh, wait_for

__all__ = ["VERBS", "query", "recipes", "service_url"]


def service_url(namespace: str, name: str, port: int) -> str:
    """Return a service's address as seen from this machine."""
    address = kube.get("service", "-n", namespace, name)["spec"]["clusterIP"]
    return f"http://{address}:{port}"


def query(url: str, expression: str) -> list[kube.Object]:
    """Return the result of an instant query."""
    found = kube.text_of(f"{url}/api/v1/query?query={urllib.parse.quote(expression)}")
    result: list[kube.Object] = json.loads(found)["data"]["result"]
    return result


def rate_limit_software() -> None:
    """Run Redis, and have the image of the rate limit service."""
    made.need("ratelimit")
    # every release asks for another tag; the one binary serves all of them
    tags = [images.default_image(version, "DefaultRateLimitImage") for version in ENVOY]
    redis = made.debian("redis-server")
    redis_tags = ["egops.test/redis:rig"]
    images.load([images.program("redis", redis_tags, redis, "/usr/bin/redis-server")])
    images.load([images.program("ratelimit", tags, BIN / "ratelimit", "/bin/ratelimit")])
    kube.apply("extras/redis.yaml")
    kube.rolled_out("redis-system", "deployment/redis")


def ratelimit() -> None:
    """Run Redis, the rate limit service and a demo route of five requests an hour per user."""
    rate_limit_software()
    backend = "config.envoyGateway.rateLimit.backend"
    url = "redis.redis-system.svc.cluster.local:6379"
    config = kube.get("configmap", "-n", EG_NAMESPACE, "envoy-gateway-config")["data"]
    if url not in json.dumps(config):
        chart = gateway.chart(gateway.installed_version())
        chosen = f"--set={backend}.type=Redis,{backend}.redis.url={url}"
        wait = ("--wait", "--timeout", "3m")
        gateway.helm("upgrade", "eg", chart, "-n", EG_NAMESPACE, "--reuse-values", *wait, chosen)
    limiter = ("deployment", "-n", EG_NAMESPACE, "envoy-ratelimit")
    wait_for("the rate limit deployment", lambda: kube.get(*limiter))
    kube.rolled_out(EG_NAMESPACE, "deployment/envoy-ratelimit")
    kube.apply("extras/ratelimit-demo.yaml")
    say(f"limited.demo.test, seven requests: {wait_for('a limit that holds', _limited, 60)}")


def _limited() -> str:
    asked = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}\n")
    headers = ("-H", "Host: limited.demo.test", "-H", f"x-user-id: {time.monotonic_ns()}")
    codes = sh(*asked, *headers, f"{gateway.addresses()[0]}/?[1-7]").split()
    return " ".join(codes) if codes == ["200"] * 5 + ["429"] * 2 else ""


def _prometheus_image() -> None:
    made.need("prometheus")
    binary = BIN / "prometheus"
    tags = ["egops.test/prometheus:rig"]
    images.load([images.program("prometheus", tags, binary, "/bin/prometheus")])


def prometheus() -> None:
    """Run Prometheus and Alertmanager that find their targets by pod annotations."""
    _prometheus_image()
    binary = made.debian("prometheus-alertmanager")
    # Debian's build reads its templates from disk
    templates = Path("/usr/share/prometheus/alertmanager").glob("*.tmpl")
    files: dict[str, Path | bytes | None] = {str(path): path for path in templates}
    tags = ["egops.test/alertmanager:rig"]
    images.load([images.program("alertmanager", tags, binary, "/bin/alertmanager", files)])
    kube.apply("extras/prometheus.yaml")
    kube.rolled_out("monitoring", "deployment/alertmanager", "deployment/prometheus")
    url = service_url("monitoring", "prometheus", 9090)
    targets = wait_for("a first scrape", lambda: query(url, "up == 1"))
    say(f"{url} scrapes {len(targets)} targets")


def kube_state_metrics() -> None:
    """Run kube-state-metrics with the manifests of its own release."""
    made.need("kube-state-metrics")
    source, _ = go_module(made.KSM_MODULE, made.KUBE_STATE_METRICS)
    example = source / "examples/standard"
    tags = re.findall(r"image: (\S+)", (example / "deployment.yaml").read_text())[:1]
    binary = BIN / "kube-state-metrics"
    images.load([images.program("kube-state-metrics", tags, binary, "/kube-state-metrics")])
    parts = ("service-account", "cluster-role", "cluster-role-binding", "deployment", "service")
    for part in parts:
        path = example / f"{part}.yaml"
        kube.kubectl("apply", "--server-side", "--force-conflicts", "-f", path)
    kube.rolled_out("kube-system", "deployment/kube-state-metrics")
    label = "app.kubernetes.io/name=kube-state-metrics"
    pod = kube.items("pod", "-n", "kube-system", "-l", label)[0]
    url = f"http://{pod['status']['podIP']}:8080/metrics"  # its service is headless
    wait_for("its metrics", lambda: "kube_deployment_status_replicas" in kube.text_of(url))
    say(f"kube-state-metrics: {url}")


def operator() -> None:
    """Run prometheus-operator, a Prometheus that it runs, and two PrometheusRules."""
    made.need("prometheus-operator", "prometheus-config-reloader")
    source, _ = go_module(made.OPERATOR_MODULE, made.OPERATOR)
    text = (source / "bundle.yaml").read_text()
    bundle = text.replace("namespace: default", "namespace: monitoring")
    for name, entry in (
        ("prometheus-operator", "/bin/operator"),
        ("prometheus-config-reloader", "/bin/prometheus-config-reloader"),
    ):
        tags = re.findall(rf"=?([^\s=]+/{name}:v{made.OPERATOR})", bundle)[:1]
        images.load([images.program(name, tags, BIN / name, entry)])
    _prometheus_image()
    kube.apply_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: monitoring}\n")
    kube.apply_text(bundle)
    kube.rolled_out("monitoring", "deployment/prometheus-operator")
    kube.apply("extras/prometheus-cr.yaml", PROMETHEUS_VERSION=made.PROMETHEUS)
    stack = ("statefulset", "-n", "monitoring", "prometheus-stack")
    wait_for("the operator's StatefulSet", lambda: kube.get(*stack))
    kube.rolled_out("monitoring", "statefulset/prometheus-stack")
    pod = kube.get("pod", "-n", "monitoring", "prometheus-stack-0")["status"]["podIP"]
    url = f"http://{pod}:9090"

    def groups() -> list[str]:
        found = json.loads(kube.text_of(f"{url}/api/v1/rules"))["data"]["groups"]
        return [group["name"] for group in found]

    wait_for("the selected rule", lambda: "rig-selected" in groups(), 150)
    ignored = "also" if "rig-ignored" in groups() else "not"
    say(f"{url} has loaded rig-selected (and {ignored} rig-ignored)")


def cert_manager() -> None:
    """Run cert-manager and let it make Envoy Gateway's control-plane certificates.

    For certificates from the start it comes before `install`.
    """
    build(["helm"])
    made.need(*(f"cert-manager-{command}" for command in made.CERT_MANAGER_COMMANDS))
    chart = made.cert_manager_chart()
    values = (CACHE / f"charts/cert-manager-{made.CERT_MANAGER}/values.yaml").read_text()
    for command in made.CERT_MANAGER_COMMANDS:
        name = f"cert-manager-{command}"
        found = re.search(rf"^\s+repository: (\S+/{name})$", values, re.MULTILINE)
        assert found, name
        tags = [f"{found.group(1)}:v{made.CERT_MANAGER}"]
        images.load([images.program(name, tags, BIN / name, f"/app/cmd/{command}/{command}")])
    chosen = "--set=installCRDs=true,startupapicheck.enabled=false"
    wait = ("--wait", "--timeout", "3m")
    place = ("--install", "--create-namespace", "-n", "cert-manager")
    gateway.helm("upgrade", "cert-manager", chart, *place, *wait, chosen)
    # the webhook's own certificate may take some seconds more than its readiness
    wait_for("cert-manager's webhook", _certificates_applied, 90)
    ready = ("wait", "--for=condition=Ready", "certificate", "--all", "--timeout=90s")
    kube.kubectl("-n", EG_NAMESPACE, *ready)
    found_names = [c["metadata"]["name"] for c in kube.items("certificate", "-n", EG_NAMESPACE)]
    say(f"certificates: {', '.join(found_names)}")


def _certificates_applied() -> bool:
    kube.apply("extras/cert-manager-eg.yaml")
    return True


def collector() -> None:
    """Run an OpenTelemetry collector: OTLP in, Prometheus and its own log out."""
    made.need("otelcol")
    tags = ["egops.test/otelcol:rig"]
    images.load([images.program("otelcol", tags, BIN / "otelcol", "/bin/otelcol")])
    kube.apply("extras/collector.yaml")
    kube.rolled_out("monitoring", "deployment/otel-collector")
    url = service_url("monitoring", "otel-collector", 8889)
    say(f"OTLP for pods: otel-collector.monitoring:4317; for Prometheus: {url}/metrics")


def panic() -> None:
    """Make the translation panic: 1.3.0 and 1.9.0 recover, 1.2.8 crashes."""
    old = not gateway.installed_version().startswith("1.9")
    if not old:
        _drop_default_status_code()
    kube.apply(PANICS[old])
    if gateway.installed_version().startswith("1.2"):  # which recovers from nothing
        wait_for("a crash of the controller", lambda: _restarts() > 0, 60)
        say(f"the controller crashed, restarts so far: {_restarts()}")
        return
    say("\n".join(wait_for("a recovered panic", _recovered_panics, 30)))


PANICS = {True: "panic-grpcroute-mirror.yaml", False: "panic-redirect-status.yaml"}


def calm() -> None:
    """Undo `panic`."""
    for manifest in PANICS.values():
        path = Path(__file__).parent / "manifests" / manifest
        kube.kubectl("delete", "--ignore-not-found", "-f", path)


def _drop_default_status_code() -> None:
    """Take the default out of the CRD that hides an unchecked pointer, as a stale CRD lacks it."""
    crd = kube.get("crd", "backendtrafficpolicies.gateway.envoyproxy.io")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    override = schema["properties"]["spec"]["properties"]["responseOverride"]
    code = override["items"]["properties"]["redirect"]["properties"]["statusCode"]
    if code.pop("default", None):
        kube.kubectl("replace", "-f", "-", stdin=json.dumps(crd))
        time.sleep(2)  # the API server takes a new schema up a little later, and does not say when


def _recovered_panics() -> list[str]:
    pod = kube.items("pod", "-n", EG_NAMESPACE, "-l", "control-plane=envoy-gateway")[0]
    metrics = kube.text_of(f"http://{pod['status']['podIP']}:19001/metrics")
    return re.findall(r"^watchable_panics_recovered_total\{.*", metrics, re.MULTILINE)


def _restarts() -> int:
    pods = kube.items("pod", "-n", EG_NAMESPACE, "-l", "control-plane=envoy-gateway")
    states = [state for pod in pods for state in pod["status"]["containerStatuses"]]
    return max(int(state["restartCount"]) for state in states)


def urls() -> None:
    """Say where what runs can be reached from this machine."""
    known = {"prometheus": ("monitoring", 9090), "alertmanager": ("monitoring", 9093)}
    known["redis"] = ("redis-system", 6379)
    for name, (namespace, port) in known.items():
        try:
            say(f"{name:22}{service_url(namespace, name, port)}")
        except RigError:
            say(f"{name:22}not there")


VERBS: dict[str, Callable[[], None]] = {
    "ratelimit": ratelimit,
    "prometheus": prometheus,
    "kube-state-metrics": kube_state_metrics,
    "operator": operator,
    "cert-manager": cert_manager,
    "collector": collector,
    "panic": panic,
    "calm": calm,
    "urls": urls,
}
