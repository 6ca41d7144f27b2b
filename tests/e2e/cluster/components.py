"""Kubernetes' own programs: their command lines, their configuration, starting and finding them."""

import os
import subprocess
import time
from pathlib import Path

from tests.e2e.cluster.host import NETNS_FILE, tracker
from tests.e2e.cluster.settings import (
    BIN,
    BOX_IMAGE,
    CGROUP,
    DNS_IP,
    DOMAIN,
    LOG,
    NODE,
    NODE_IP,
    PKI,
    PODS,
    RUN,
    SERVICES,
    STATE,
)
from tests.e2e.cluster.shell import RigError, log_of, log_tail, write

NAMES = (
    "etcd",
    "containerd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
)


def command_line(name: str) -> list[str]:
    """Return how a component is started."""
    return [*map(str, _COMMANDS[name])]


_COMMANDS: dict[str, list[object]] = {
    "etcd": [
        "etcd",
        f"--data-dir={STATE}/etcd",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--log-level=warn",
        "--quota-backend-bytes=1073741824",
        "--unsafe-no-fsync",  # the state dies with the rig anyway
    ],
    "containerd": ["containerd", "--config", STATE / "containerd.toml"],
    "kube-apiserver": [
        BIN / "kube-apiserver",
        "--etcd-servers=http://127.0.0.1:2379",
        f"--advertise-address={NODE_IP}",
        "--secure-port=6443",
        f"--service-cluster-ip-range={SERVICES}",
        f"--client-ca-file={PKI}/ca.crt",
        f"--tls-cert-file={PKI}/apiserver.crt",
        f"--tls-private-key-file={PKI}/apiserver.key",
        f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
        f"--service-account-key-file={PKI}/sa.pub",
        f"--service-account-signing-key-file={PKI}/sa.key",
        f"--kubelet-client-certificate={PKI}/apiserver-kubelet.crt",
        f"--kubelet-client-key={PKI}/apiserver-kubelet.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        "--enable-admission-plugins=NodeRestriction",
    ],
    "kube-controller-manager": [
        BIN / "kube-controller-manager",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--kubeconfig={STATE}/controller-manager.kubeconfig",
        f"--root-ca-file={PKI}/ca.crt",
        f"--service-account-private-key-file={PKI}/sa.key",
        f"--cluster-signing-cert-file={PKI}/ca.crt",
        f"--cluster-signing-key-file={PKI}/ca.key",
    ],
    "kube-scheduler": [
        BIN / "kube-scheduler",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        f"--kubeconfig={STATE}/scheduler.kubeconfig",
    ],
    "kubelet": [
        BIN / "kubelet",
        f"--config={STATE}/kubelet.json",
        f"--kubeconfig={STATE}/kubelet.kubeconfig",
        f"--root-dir={STATE}/kubelet",
        f"--hostname-override={NODE}",
        f"--node-ip={NODE_IP}",
        # for its cAdvisor, which else looks at the default socket and knows no containers
        f"--containerd={RUN}/containerd.sock",
        "--containerd-namespace=k8s.io",
    ],
    "kube-proxy": [
        BIN / "kube-proxy",
        f"--config={STATE}/kube-proxy.json",
        f"--hostname-override={NODE}",
    ],
}

CONTAINERD = f"""\
version = 2
root = "{STATE}/containerd"
state = "{RUN}/containerd"
[grpc]
  address = "{RUN}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{STATE}/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{BOX_IMAGE}"
  restrict_oom_score_adj = true        # containers may not go below our own score
  netns_mounts_under_state_dir = true  # so that down finds them
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{STATE}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "{RUN}/runc"              # not beside another containerd's
"""


def write_configs() -> None:
    """Write the configuration files of the components."""
    write(STATE / "containerd.toml", CONTAINERD)
    addresses = {
        "type": "host-local",
        "dataDir": f"{STATE}/ipam",
        "ranges": [[{"subnet": PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    # ptp gives each pod its own routed veth: no bridge, so no br_netfilter is needed for services
    plugin = {"type": "ptp", "ipMasq": False, "ipam": addresses}
    network = {"cniVersion": "0.4.0", "name": "rig", "plugins": [plugin]}
    write(STATE / "cni/10-rig.conflist", network)
    write(STATE / "resolv.conf", "options ndots:1\n")
    write(STATE / "kubelet.json", _kubelet())
    unlimited = {"maxPerCore": 0, "min": 0}  # a namespace has no right to set them
    write(
        STATE / "kube-proxy.json",
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clientConnection": {"kubeconfig": f"{STATE}/proxy.kubeconfig"},
            "clusterCIDR": PODS,
            "oomScoreAdj": 0,
            "conntrack": {**unlimited, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        },
    )


def _kubelet() -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{RUN}/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "authentication": {
            "x509": {"clientCAFile": f"{PKI}/ca.crt"},
            "anonymous": {"enabled": False},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [DNS_IP],
        "clusterDomain": DOMAIN,
        "resolvConf": f"{STATE}/resolv.conf",
        "podLogsDir": f"{STATE}/pods",
        "volumePluginDir": f"{STATE}/volume-plugins",
        "oomScoreAdj": 0,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        # no registry could give a collected image back
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"imagefs.available": "0%", "nodefs.available": "0%"},
        # how soon a changed Secret reaches its pods; the kubelet's own default is 1m
        "syncFrequency": os.environ.get("EGOPS_RIG_SYNC", "5s"),
        "serializeImagePulls": False,
        "registerNode": True,
    }


def pid_of(name: str) -> int | None:
    """Return the component's process id while it lives and is really ours."""
    try:
        pid = int((RUN / f"{name}.pid").read_text())
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except (OSError, ValueError):
        return None
    ours = any(CGROUP in line.split("/") for line in groups.splitlines())
    return pid if ours else None


def forget_dead() -> None:
    """Remove the pid files that a reboot or a crash left."""
    for name in NAMES:
        if not pid_of(name):
            (RUN / f"{name}.pid").unlink(missing_ok=True)


def start(name: str) -> None:
    """Start a component in the rig's namespace and cgroup, unless it runs."""
    if pid_of(name):
        return
    LOG.mkdir(parents=True, exist_ok=True)
    enter = f'echo $$ > {tracker()}/sys/cgroup.procs && exec nsenter --net={NETNS_FILE} "$@"'
    with log_of(name).open("ab") as log:
        child = subprocess.Popen(
            ["sh", "-c", enter, "sh", *command_line(name)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us, not for them
            cwd="/",
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}:/usr/sbin:/sbin"},
        )
    write(RUN / f"{name}.pid", str(child.pid))
    end = time.monotonic() + 5
    while not pid_of(name) and child.poll() is None and time.monotonic() < end:
        time.sleep(0.01)  # until it is in its cgroup, it does not count as ours
    child.returncode = child.returncode or 0  # it outlives us on purpose: no ResourceWarning


def check_alive() -> None:
    """Raise, with the end of its log, when a component that was started has died."""
    for name in NAMES:
        if (RUN / f"{name}.pid").exists() and not pid_of(name):
            raise RigError(
                f"it died; its log ends:\n{log_tail(name)}",
                component=name,
                log=log_of(name),
                hint="mend what the log says, then run `up` again: it starts what is missing",
            )
