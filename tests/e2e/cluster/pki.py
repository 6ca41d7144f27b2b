"""The cluster's certificates and kubeconfigs, and those that stories need."""

import base64
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.cluster.settings import API_IP, DOMAIN, KUBECONFIG, NODE, NODE_IP, PKI, STATE
from tests.e2e.cluster.shell import sh, write

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def make_ca(name: str) -> None:
    """Make a self-signed CA of ten years, unless it is there."""
    if (PKI / f"{name}.crt").exists():
        return
    PKI.mkdir(parents=True, exist_ok=True)
    files = ("-keyout", PKI / f"{name}.key", "-out", PKI / f"{name}.crt")
    sh("openssl", "req", "-x509", *KEY, "-days", "3650", "-subj", f"/CN={name}", *files)


def make_cert(
    name: str,
    common_name: str,
    organisation: str = "",
    *,
    sans: Sequence[str] = (),
    ca: str = "ca",
    days: int = 365,
) -> None:
    """Make a key and a certificate signed by the CA, unless it is there; -1 days: it has ended."""
    if (PKI / f"{name}.crt").exists():
        return
    subject = f"/O={organisation}/CN={common_name}" if organisation else f"/CN={common_name}"
    request = PKI / f"{name}.csr"
    sh("openssl", "req", *KEY, "-subj", subject, "-keyout", PKI / f"{name}.key", "-out", request)
    names = f"subjectAltName={','.join(sans)}\n" if sans else ""
    usage = "extendedKeyUsage=serverAuth,clientAuth\nkeyUsage=digitalSignature\n"
    extensions = write(PKI / f"{name}.ext", usage + names)
    signer = ("-CA", PKI / f"{ca}.crt", "-CAkey", PKI / f"{ca}.key", "-CAcreateserial")
    sh(
        *("openssl", "x509", "-req", "-in", request, *signer, "-days", days),
        *("-extfile", extensions, "-out", PKI / f"{name}.crt"),
    )


def pem(name: str) -> tuple[bytes, bytes]:
    """Return the certificate and the key of that name."""
    return (PKI / f"{name}.crt").read_bytes(), (PKI / f"{name}.key").read_bytes()


def encoded(content: bytes | str) -> str:
    """Return content as a Secret's data holds it."""
    raw = content.encode() if isinstance(content, str) else content
    return base64.b64encode(raw).decode()


def kubeconfig(name: str, path: Path | None = None, server: str = "") -> Path:
    """Write the kubeconfig of the user whose certificate has this name, and return its path."""
    server = server or f"https://{NODE_IP}:6443"
    cluster: dict[str, str] = {"server": server}
    if server.startswith("https"):
        cluster["certificate-authority-data"] = encoded((PKI / "ca.crt").read_bytes())
    certificate, key = pem(name)
    user = {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "rig",
        "clusters": [{"name": "rig", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": name}}],
    }
    return write(path or STATE / f"{name}.kubeconfig", content, 0o600)


def make_cluster_pki() -> None:
    """Make what the components need to trust each other, unless it is there."""
    make_ca("ca")
    api = [f"IP:{NODE_IP}", f"IP:{API_IP}", "IP:127.0.0.1", "DNS:localhost", "DNS:kubernetes"]
    api += ["DNS:kubernetes.default", "DNS:kubernetes.default.svc"]
    make_cert("apiserver", "kube-apiserver", sans=[*api, f"DNS:kubernetes.default.svc.{DOMAIN}"])
    make_cert("apiserver-kubelet", "kube-apiserver-kubelet", "system:masters")
    make_cert("admin", "rig-admin", "system:masters")
    make_cert("controller-manager", "system:kube-controller-manager")
    make_cert("scheduler", "system:kube-scheduler")
    make_cert("proxy", "system:kube-proxy")
    make_cert("kubelet", f"system:node:{NODE}", "system:nodes")
    signing, public = PKI / "sa.key", PKI / "sa.pub"
    if not signing.exists():
        sh("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", signing)
        sh("openssl", "ec", "-in", signing, "-pubout", "-out", public)
    for user in ("controller-manager", "scheduler", "proxy", "kubelet"):
        kubeconfig(user)
    kubeconfig("admin", KUBECONFIG)
