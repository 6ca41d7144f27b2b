"""Install and upgrade Envoy Gateway with the release's own chart, and the demo gateway."""

import base64
import hashlib
import json
import shutil
import string
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.e2e.cluster import images, kube, pki
from tests.e2e.cluster.build import build, cache_lock, eg_source
from tests.e2e.cluster.settings import BIN, CACHE, EG_NAMESPACE, ENVOY, KUBECONFIG, NODE_IP, STATE
from tests.e2e.cluster.shell import RigError, say, sh, wait_for, write

OWNED = "gateway.envoyproxy.io/owning-gateway-name=eg"


def known(version: str) -> str:
    """Return the version if there is a recipe for it."""
    if version not in ENVOY:
        hint = f"there are: {', '.join(ENVOY)}"
        raise RigError(f"no recipe for {version}", component="Envoy Gateway", hint=hint)
    return version


def prepare(version: str) -> None:
    """Build or fetch all that this release needs."""
    build(["helm", f"envoy-gateway-{known(version)}", f"envoy-{ENVOY[version]}"])


def package_chart(folder: Path, version: str) -> None:
    """Package a chart that lies in the cache, as its release does."""
    numbers = ("--version", f"v{version}", "--app-version", f"v{version}")
    sh(BIN / "helm", "package", folder, *numbers, "-d", CACHE / "charts")


def chart(version: str) -> Path:
    """Return the release's own chart, packaged as its pipeline does: image and version set."""
    packed = CACHE / "charts" / f"gateway-helm-v{version}.tgz"
    if packed.exists():
        return packed
    with cache_lock():
        work = CACHE / "charts" / f"src-{version}"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(eg_source(version) / "charts", work)
        sh("chmod", "-R", "u+w", work)
        values = (work / "gateway-helm/values.tmpl.yaml").read_text()
        image = f"docker.io/envoyproxy/gateway:v{version}"
        filled = {"GatewayImage": image, "GatewayImagePullPolicy": "IfNotPresent"}
        template = string.Template(values).safe_substitute(filled)
        write(work / "gateway-helm/values.yaml", template)
        package_chart(work / "gateway-helm", version)
    return packed


def crd_files(version: str) -> tuple[Path, Path]:
    """Return the Gateway API bundle (a file) and Envoy Gateway's own CRDs (a folder)."""
    charts = eg_source(version) / "charts/gateway-helm"
    bundle = next(charts.rglob("gatewayapi-crds.yaml"))
    return bundle, bundle.parent / "generated"


def apply_crds(version: str) -> None:
    """Apply what the upgrade notes ask for, since helm never upgrades a chart's CRDs."""
    bundle, own = crd_files(version)
    kube.kubectl("apply", "--server-side", "--force-conflicts", "-f", bundle, "-f", own)


def helm(*arguments: object) -> str:
    """Run helm as the cluster's administrator."""
    home = str(STATE / "helm")
    env = {"HELM_CACHE_HOME": home, "HELM_CONFIG_HOME": home, "HELM_DATA_HOME": home}
    return sh(BIN / "helm", "--kubeconfig", KUBECONFIG, *arguments, env=env)


def installed_version() -> str:
    """Return the version of Envoy Gateway in the cluster, or nothing."""
    try:
        found = kube.get("deployment", "-n", EG_NAMESPACE, "envoy-gateway")
    except RigError:
        return ""
    image: str = found["spec"]["template"]["spec"]["containers"][0]["image"]
    return image.rpartition(":v")[2]


def apply_demo() -> None:
    """Apply the demo gateway's objects as they should be."""
    pki.make_ca("demo-ca")
    pki.make_cert("demo", "www.demo.test", sans=["DNS:*.demo.test"], ca="demo-ca")
    certificate, key = pki.pem("demo")
    digest = base64.b64encode(hashlib.sha1(b"rig").digest()).decode()  # htpasswd's own form
    kube.apply(
        "demo.yaml",
        HTPASSWD_SHA=digest,
        TLS_CRT=pki.encoded(certificate),
        TLS_KEY=pki.encoded(key),
    )


def wait_for_demo(version: str) -> tuple[str, str]:
    """Wait until this release's proxies serve the demo; return its HTTP and HTTPS addresses."""
    mine = ("deployment", "-n", EG_NAMESPACE, "-l", OWNED)
    # a new controller first waits for its predecessor's lease, so Programmed may be old news
    image = f"/gateway:v{version}"
    wait_for("this release's proxies", lambda: image in json.dumps(kube.get(*mine)), 180)
    kube.kubectl("rollout", "status", *mine, "--timeout=180s")
    programmed = ("wait", "--for=condition=Programmed", "gateway/eg", "--timeout=180s")
    kube.kubectl("-n", "demo", *programmed)
    kube.rolled_out("demo", "deployment/echo-blue", "deployment/echo-green")
    # each route has a cluster of its own, and Envoy may wait longer for the endpoints of one
    wait_for("every route of the demo answers", lambda: all(answers()))
    return addresses()


def answers() -> Iterator[bool]:
    """Yield for each route of the demo whether it answers as it should."""
    yield ask("www.demo.test") == 200
    yield ask("canary.demo.test", "/api") == 200
    yield ask("moved.demo.test") == 301
    yield ask("private.demo.test", "/", "-u", "rig:rig") == 200


def addresses() -> tuple[str, str]:
    """Return the demo gateway's HTTP and HTTPS addresses as seen from this machine."""
    service = kube.items("service", "-n", EG_NAMESPACE, "-l", OWNED)[0]
    ports = {port["port"]: port["nodePort"] for port in service["spec"]["ports"]}
    return f"http://{NODE_IP}:{ports[80]}", f"https://{NODE_IP}:{ports[443]}"


def ask(host: str, path: str = "/", *options: object) -> int:
    """Return the status the demo gateway answers on its HTTP port; 0 if it does not answer."""
    url = f"{addresses()[0]}{path}"
    command = ("curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}")
    return int(sh(*command, "-H", f"Host: {host}", *options, url, check=False) or 0)


def install(
    version: str, *, upgrade: bool = False, values: Sequence[str] = (), keep_crds: bool = False
) -> dict[str, float]:
    """Install or upgrade to this release and wait for an answer through its proxies.

    Returns the seconds until the controller was ready, and until the demo gateway answered.
    keep_crds: leave the CRDs as they are, as a plain `helm upgrade` does.
    """
    prepare(version)
    began = time.monotonic()
    images.load(images.eg_images(version))
    if upgrade and not keep_crds:
        apply_crds(version)
    helm(
        *("upgrade", "eg", chart(version), "--install", "--create-namespace"),
        *("-n", EG_NAMESPACE, "--wait", "--timeout", "3m"),
        *(f"--set={value}" for value in values),
    )
    kube.rolled_out(EG_NAMESPACE, "deployment/envoy-gateway", timeout=120)
    ready = time.monotonic() - began
    verb = "upgraded" if upgrade else "installed"
    say(f"Envoy Gateway {version} {verb} in {ready:.0f} s")
    apply_demo()
    http, https = wait_for_demo(version)
    answers = time.monotonic() - began
    say(f"demo gateway answers after {answers:.0f} s: {http} {https} (hosts *.demo.test)")
    return {"controller": ready, "answer": answers}
