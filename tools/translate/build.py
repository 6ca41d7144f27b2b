"""Build Envoy Gateway's translator of a release as a command: `oracle OUTDIR INPUT.yaml…`.

    python -m tools.translate.build 1.2.8 1.3.0

The module's source comes through the Go toolchain's own proxy settings; the command that drives the
translators is ours (`oracle/main.go.in`), with what differs between releases filled in.

From 1.4 on every release is built with the modules that one release asks for, the Gateway API's own
excepted: Kubernetes' and Envoy's packages take minutes to compile, Envoy Gateway's own seconds.
They are types and protocol buffers here; what is translated, and into what, is the release's code.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
MODULE = "github.com/envoyproxy/gateway"
CACHE = Path(os.environ.get("EGOPS_ORACLE_CACHE", Path.home() / ".cache" / "egops-oracle"))


SHARED, SHARED_SINCE = "1.9.0", (1, 4)  # whose modules, and from which release on
GATEWAY_API = "sigs.k8s.io/gateway-api"
EXTENSIONS = Path("internal", "xds", "extensions", "extensions.gen.go")
GONE = "contrib/envoy/extensions/filters/http/squash"  # a package that the modules have no more


def module_folder(version: str) -> Path:
    """Return the read-only source folder of a release, downloaded if need be."""
    command = ["go", "mod", "download", "-json", f"{MODULE}@v{version}"]
    got = subprocess.run(command, check=True, capture_output=True, text=True, cwd="/")
    return Path(json.loads(got.stdout)["Dir"])


def source_of(version: str) -> str:
    """Return the Go source of the oracle for a release."""
    minor = tuple(int(part) for part in version.split(".")[:2])
    return _fill((HERE / "oracle" / "main.go.in").read_text("utf-8"), minor)


def _fill(text: str, minor: tuple[int, ...]) -> str:
    extra, xds, imports = "", "", ""
    namespace = "Namespace"
    if minor >= (1, 4):
        namespace = "ControllerNamespace"
        logger = "logging.NewLogger(io.Discard, egv1a1.DefaultEnvoyGatewayLogging())"
        extra = f"Logger: {logger}," if minor >= (1, 6) else ""
        xds = f"Logger: {logger},"
        imports = '"io"\n\t"github.com/envoyproxy/gateway/internal/logging"'
    if minor >= (1, 5):
        xds += ' ControllerNamespace: "envoy-gateway-system",'
        xds += " RuntimeFlags: &egv1a1.RuntimeFlags{},"
        text = text.replace("_ wasm.GetOptions", "_ *wasm.GetOptions")
    text = text.replace("@NAMESPACE@", namespace).replace("@GATEWAYAPI@", extra)
    return text.replace("@XDS@", xds).replace("@IMPORTS@", imports)


def oracle(version: str) -> Path:
    """Return the oracle of a release, built if it is not there."""
    binary = CACHE / f"oracle-{version}"
    source = source_of(version)
    stamp = CACHE / f"oracle-{version}.go"
    if binary.exists() and stamp.exists() and stamp.read_text("utf-8") == source:
        return binary
    folder = CACHE / f"gateway-{version}"
    if not folder.exists():
        shutil.copytree(module_folder(version), folder, copy_function=shutil.copyfile)
        for path in folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
    if tuple(int(part) for part in version.split(".")[:2]) >= SHARED_SINCE and version != SHARED:
        _share_modules(folder)
    main = folder / "cmd" / "oracle" / "main.go"
    main.parent.mkdir(parents=True, exist_ok=True)
    main.write_text(source, "utf-8")
    command = ["go", "build", "-mod=mod", "-ldflags=-s -w", "-o", str(binary), "./cmd/oracle"]
    subprocess.run(command, check=True, cwd=folder, env={**os.environ, "CGO_ENABLED": "0"})
    stamp.write_text(source, "utf-8")
    return binary


def _share_modules(folder: Path) -> None:
    """Give the folder the shared release's modules, but for the Gateway API's of its own."""
    kept = folder / "go.mod.own"
    if kept.exists():
        return
    wanted = re.search(rf"{GATEWAY_API} (\S+)", (folder / "go.mod").read_text("utf-8"))
    assert wanted, f"{folder} asks for no Gateway API"
    sums = [
        line
        for line in (folder / "go.sum").read_text("utf-8").splitlines(keepends=True)
        if line.startswith(f"{GATEWAY_API} ")
    ]
    shared = module_folder(SHARED)
    text = (shared / "go.mod").read_text("utf-8")
    shutil.copyfile(folder / "go.mod", kept)
    text = re.sub(rf"{GATEWAY_API} \S+", f"{GATEWAY_API} {wanted.group(1)}", text)
    (folder / "go.mod").write_text(text, "utf-8")
    (folder / "go.sum").write_text((shared / "go.sum").read_text("utf-8") + "".join(sums), "utf-8")
    listed = (folder / EXTENSIONS).read_text("utf-8").splitlines(keepends=True)
    (folder / EXTENSIONS).write_text("".join(li for li in listed if GONE not in li), "utf-8")


if __name__ == "__main__":
    CACHE.mkdir(parents=True, exist_ok=True)
    for wanted in sys.argv[1:] or ["1.2.8", "1.3.0"]:
        print(oracle(wanted))
