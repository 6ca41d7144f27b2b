"""What the rig makes on the host: a network namespace, cgroups, mounts, kernel settings.

One cgroup holds every process the rig ever starts, pods included, so that `down` ends them by
membership and never by name.
"""

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from tests.e2e.cluster.settings import (
    CGROUP,
    HOST_IF,
    HOST_IP,
    NET,
    NETNS,
    NODE_IF,
    NODE_IP,
    RUN,
    SERVICES,
    STATE,
)
from tests.e2e.cluster.shell import RigError, sh, write

NETNS_FILE = Path("/run/netns") / NETNS
# the kubelet sets these for the whole machine
KERNEL_KEYS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def need_root() -> None:
    """Refuse to go on for anybody but root."""
    if os.geteuid():
        message = "it makes namespaces, mounts and cgroups"
        raise RigError(message, hint="run it as root, for instance: sudo make e2e-up")


def in_netns(*command: object, check: bool = True) -> str:
    """Run a command inside the cluster's network namespace."""
    return sh("nsenter", f"--net={NETNS_FILE}", *command, check=check)


def net_up() -> None:
    """Make the namespace and the one link that joins it to the host."""
    if NETNS_FILE.exists() and Path("/sys/class/net", HOST_IF).exists():
        return
    net_down()  # half of it may be there
    inside = ("ip", "-n", NETNS)
    sh("ip", "netns", "add", NETNS)
    sh(*("ip", "link", "add", HOST_IF, "type", "veth", "peer", "name", NODE_IF, "netns", NETNS))
    sh("ip", "address", "add", f"{HOST_IP}/24", "dev", HOST_IF)
    sh("ip", "link", "set", HOST_IF, "up")
    sh(*inside, "link", "set", "lo", "up")
    sh(*inside, "address", "add", f"{NODE_IP}/24", "dev", NODE_IF)
    sh(*inside, "link", "set", NODE_IF, "up")
    # a route so that a service's address leaves the routing table and meets kube-proxy's rules
    sh(*inside, "route", "add", SERVICES, "dev", NODE_IF, "src", NODE_IP)
    sh("ip", "route", "add", NET, "via", NODE_IP, "dev", HOST_IF)
    in_netns("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")


def net_down() -> None:
    """Remove the namespace with all that is in it: links, routes and iptables rules."""
    sh("ip", "link", "del", HOST_IF, check=False)
    sh("ip", "netns", "del", NETNS, check=False)


def hierarchies() -> list[Path]:
    """Return the roots of the cgroup trees: one of v2, several of v1."""
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        return [root]
    return [tree for tree in root.iterdir() if (tree / "cgroup.procs").exists()]


def tracker() -> Path:
    """Return the cgroup that holds every process of the rig."""
    root = Path("/sys/fs/cgroup")
    return (root if (root / "cgroup.controllers").exists() else root / "pids") / CGROUP


def cgroup_up() -> None:
    """Make the cgroup in every tree."""
    for tree in hierarchies():
        top = tree / CGROUP
        top.mkdir(exist_ok=True)
        for key in ("cpuset.cpus", "cpuset.mems"):
            if (top / key).exists() and not (top / key).read_text().strip():
                (top / key).write_text((tree / key).read_text())
        if tree.name == "cpuset":
            (top / "cgroup.clone_children").write_text("1")
    (tracker() / "sys").mkdir(exist_ok=True)


def tracked(group: str = "") -> list[int]:
    """Return the ids of the rig's processes, or of those below one group."""
    pids: list[int] = []
    for folder, _, _ in os.walk(tracker() / group):
        with suppress(OSError):
            pids += [int(pid) for pid in (Path(folder) / "cgroup.procs").read_text().split()]
    return pids


def stop_tracked(group: str, grace: float = 0.0) -> None:
    """End all that the rig started below the group: politely, and by force after grace seconds."""
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        end = time.monotonic() + patience
        while pids := tracked(group):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            if time.monotonic() > end:
                break
            time.sleep(0.2)


def cgroup_down() -> None:
    """Remove the emptied cgroups."""
    for tree in hierarchies():
        for folder, _, _ in os.walk(tree / CGROUP, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()


def mounts() -> list[str]:
    """Return the mount points below the rig's folders, in the order they were mounted."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [point for point in points if point.startswith((f"{STATE}/", f"{RUN}/"))]


def unmount_all() -> None:
    """Unmount what the kubelet and containerd left."""
    for point in reversed(mounts()):
        sh("umount", "-l", point, check=False)


def remove_shim_sockets() -> None:
    """Remove the sockets of our containers' shims: their folder is the same for everybody."""
    for note in RUN.glob("containerd/**/address"):
        Path(note.read_text().strip().removeprefix("unix://")).unlink(missing_ok=True)
    shared = Path("/run/containerd")
    for empty in (shared / "s", shared):
        with suppress(OSError):
            empty.rmdir()


def save_kernel_settings() -> None:
    """Remember the machine's settings before the kubelet changes them."""
    if (STATE / "kernel.json").exists():
        return
    values = {key: Path("/proc/sys", key) for key in KERNEL_KEYS}
    found = {key: path.read_text().strip() for key, path in values.items() if path.exists()}
    write(STATE / "kernel.json", found)


def restore_kernel_settings() -> None:
    """Put the machine's settings back."""
    if not (STATE / "kernel.json").exists():
        return
    for key, value in json.loads((STATE / "kernel.json").read_text()).items():
        Path("/proc/sys", key).write_text(value)


def leftovers() -> list[str]:
    """Return what of the rig is on this machine: nothing after `down`."""
    found = [f"process {pid}" for pid in tracked()] + [f"mount {point}" for point in mounts()]
    if NETNS_FILE.exists():
        found.append(f"network namespace {NETNS}")
    if Path("/sys/class/net", HOST_IF).exists():
        found.append(f"link {HOST_IF}")
    found += [f"cgroup {tree / CGROUP}" for tree in hierarchies() if (tree / CGROUP).exists()]
    return found + [f"folder {folder}" for folder in (STATE, RUN) if folder.exists()]
