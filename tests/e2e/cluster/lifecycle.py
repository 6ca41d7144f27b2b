"""Bring the cluster up, tell how it is, take it down."""

import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from tests.e2e.cluster import components, host, images, kube, pki
from tests.e2e.cluster.build import build, cluster_binaries, install_packages
from tests.e2e.cluster.settings import CGROUP, DNS_IP, KUBECONFIG, NODE, RUN, STATE
from tests.e2e.cluster.shell import RigError, say, wait_for


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Let a SIGTERM unwind like Ctrl-C, so that clean-up runs."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def is_up() -> bool:
    """Tell whether every component runs."""
    return all(components.pid_of(name) for name in components.NAMES)


def up() -> float:
    """Start what does not run and wait until the cluster is ready; return the seconds it took.

    Interrupted while it starts a cluster from nothing, it removes what it has made so far.
    """
    host.need_root()
    install_packages()
    build(cluster_binaries())
    fresh = not STATE.exists()
    began = time.monotonic()
    try:
        _start_all()
    except KeyboardInterrupt:
        if fresh:
            down()
        raise
    took = time.monotonic() - began
    say(f"cluster ready in {took:.0f} s: KUBECONFIG={KUBECONFIG}")
    return took


def _start_all() -> None:
    RUN.mkdir(parents=True, exist_ok=True)
    components.forget_dead()
    host.save_kernel_settings()
    pki.make_cluster_pki()
    components.write_configs()
    host.net_up()
    host.cgroup_up()
    components.start("etcd")
    components.start("containerd")
    alive = components.check_alive
    wait_for("containerd", lambda: images.ctr("version"), 30, alive)
    components.start("kube-apiserver")
    images.load(images.base_images())
    wait_for("kube-apiserver", lambda: "ok" in kube.kubectl("get", "--raw", "/readyz"), 120, alive)
    for name in components.NAMES:
        components.start(name)
    wait_for("the node", lambda: condition(kube.get("node", NODE), "Ready"), 120, alive)
    kube.apply("coredns.yaml", DNS_IP=DNS_IP)
    kube.rolled_out("kube-system", "deployment/coredns")


def condition(obj: kube.Object, kind: str) -> bool:
    """Tell whether the object's condition of this type is True."""
    conditions = obj.get("status", {}).get("conditions", [])
    return any(c["type"] == kind and c["status"] == "True" for c in conditions)


def down() -> float:
    """Stop and remove everything the rig made; return the seconds it took.

    Raises:
        RigError: something is still there, which it names.
    """
    host.need_root()
    began = time.monotonic()
    # first those that would start pods again
    for name in ("kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy"):
        if pid := components.pid_of(name):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    for pid in host.tracked():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)  # a story may have stopped it
    host.stop_tracked("kubepods", grace=1)
    host.stop_tracked("sys", grace=5)
    host.stop_tracked("")
    host.unmount_all()
    host.net_down()
    host.remove_shim_sockets()
    host.restore_kernel_settings()
    for folder in (STATE, RUN):
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(RigError):
        wait_for("the cgroups' end", _cgroups_gone, 10)
    if left := host.leftovers():
        hint = "run `make e2e-down` again; a process in state D ends only when the kernel lets it"
        raise RigError("still there: " + "; ".join(left), hint=hint)
    took = time.monotonic() - began
    say(f"down in {took:.0f} s")
    return took


def _cgroups_gone() -> bool:
    host.cgroup_down()
    return not any((tree / CGROUP).exists() for tree in host.hierarchies())


def memory() -> dict[str, int]:
    """Return the resident MiB of each component, and of the pods with their page cache."""
    found: dict[str, int] = {}
    for name in components.NAMES:
        if pid := components.pid_of(name):
            status = Path(f"/proc/{pid}/status").read_text()
            matched = re.search(r"VmRSS:\s+(\d+)", status)
            found[name] = int(matched.group(1)) // 1024 if matched else 0
    usage = Path("/sys/fs/cgroup/memory", CGROUP, "memory.usage_in_bytes")
    if not usage.exists():
        usage = Path("/sys/fs/cgroup", CGROUP, "memory.current")
    if usage.exists():
        found["pods"] = int(usage.read_text()) >> 20
    return found


def status() -> None:
    """Print the components with their memory, then node and pods."""
    sizes = memory()
    for name in components.NAMES:
        pid = components.pid_of(name)
        state = f"pid {pid}" if pid else "not running"
        sys.stdout.write(f"{name:26}{state:14}{sizes.get(name, 0):6} MiB\n")
    if "pods" in sizes:
        sys.stdout.write(f"{'pods':26}{'':14}{sizes['pods']:6} MiB with page cache\n")
    if components.pid_of("kube-apiserver"):
        sys.stdout.write(kube.kubectl("get", "nodes,pods", "-A", "-o", "wide", check=False))
