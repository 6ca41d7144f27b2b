"""Container images, written by hand as docker-archives: no registry is asked for any."""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.cluster.build import box_name, eg_source
from tests.e2e.cluster.settings import BIN, BOX_IMAGE, CACHE, ENVOY, RUN
from tests.e2e.cluster.shell import RigError, sh

PASSWD = b"root:x:0:0::/:/\nnonroot:x:65532:65532::/:/\nnobody:x:65534:65534::/:/\n"
# path in the image -> file here, its bytes, or None for a world-writable folder
Files = Mapping[str, Path | bytes | None]


@dataclass(frozen=True, slots=True)
class Image:
    """One image of one layer: the names it answers to and what is in it."""

    archive: str  # name of the archive in the cache, without suffix
    tags: tuple[str, ...]
    files: Files
    entrypoint: tuple[str, ...]
    user: str = "65532:65532"
    arguments: tuple[str, ...] = ()

    def written(self) -> Path:
        """Write the archive if the cache lacks it, and return its path."""
        archive = CACHE / "images" / f"{self.archive}.tar"
        if archive.exists():
            return archive
        archive.parent.mkdir(parents=True, exist_ok=True)
        layer = archive.with_suffix(".layer")
        with tarfile.open(layer, "w") as tar:
            for inside, source in sorted(self.files.items()):
                _add(tar, inside, source)
        with layer.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
                "Entrypoint": list(self.entrypoint),
                "Cmd": list(self.arguments),
                "User": self.user,
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
        tags = list(self.tags)
        manifest = [{"Config": "config.json", "RepoTags": tags, "Layers": ["layer.tar"]}]
        part = archive.with_suffix(".part")
        with tarfile.open(part, "w") as tar:
            _add(tar, "config.json", json.dumps(config).encode())
            _add(tar, "manifest.json", json.dumps(manifest).encode())
            tar.add(layer, "layer.tar")
        layer.unlink()
        part.rename(archive)
        return archive


def _add(tar: tarfile.TarFile, inside: str, source: Path | bytes | None) -> None:
    entry = tarfile.TarInfo(inside.lstrip("/"))
    if source is None:
        entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, 0o1777, 65532, 65532
        tar.addfile(entry)
        return
    content = source.read_bytes() if isinstance(source, Path) else source
    entry.size, entry.mode = len(content), 0o755
    tar.addfile(entry, io.BytesIO(content))


def libraries(binary: Path) -> dict[str, Path]:
    """Return the shared libraries a binary is linked to, by the path it looks for."""
    linked = sh("ldd", binary, check=False)  # a static binary makes ldd fail, and needs none
    return {path: Path(path).resolve() for path in re.findall(r"(/lib\S+) \(0x", linked)}


def program(
    archive: str, tags: Iterable[str], binary: Path, entry: str, more: Files | None = None
) -> Image:
    """Return the image of one program at the path entry, with the libraries it needs."""
    files: dict[str, Path | bytes | None] = {entry: binary, "/etc/passwd": PASSWD, "/tmp": None}
    return Image(archive, tuple(tags), {**files, **libraries(binary), **(more or {})}, (entry,))


def base_images() -> Iterator[Image]:
    """Yield what a cluster needs before any other image: the sandbox's and CoreDNS's."""
    name = box_name()
    files: Files = {"/box": BIN / name, "/etc/passwd": PASSWD}
    # a sandbox is started without arguments, so `pause` must be the default
    yield Image(name, (BOX_IMAGE,), files, ("/box",), arguments=("pause",))
    dns: Files = {"/coredns": BIN / "coredns"}
    yield Image("coredns", ("egops.test/coredns:rig",), dns, ("/coredns",), user="0:0")


def default_image(version: str, constant: str) -> str:
    """Return the image that this release of Envoy Gateway names by default in its source."""
    api = (eg_source(version) / "api/v1alpha1/shared_types.go").read_text()
    if not (found := re.search(rf'{constant} = "(\S+)"', api)):
        raise RigError(f"{constant} is not in the source of {version}", component="images")
    return found.group(1)


def eg_images(version: str) -> Iterator[Image]:
    """Yield the two images this release's manifests name, made of the binaries in the cache."""
    files: Files = {
        "/usr/local/bin/envoy-gateway": BIN / f"envoy-gateway-{version}",
        "/etc/passwd": PASSWD,
        "/var/lib/eg": None,
        "/tmp": None,
    }
    tag = f"docker.io/envoyproxy/gateway:v{version}"
    yield Image(f"gateway-{version}", (tag,), files, ("/usr/local/bin/envoy-gateway",))
    envoy = BIN / f"envoy-{ENVOY[version]}"
    tag = default_image(version, "DefaultEnvoyProxyImage")
    yield program(f"envoy-{version}", [tag], envoy, "/usr/local/bin/envoy")


def ctr(*arguments: object) -> str:
    """Run containerd's own client on the cluster's images and containers."""
    return sh("ctr", "-a", RUN / "containerd.sock", "-n", "k8s.io", *arguments)


def load(images: Iterable[Image]) -> None:
    """Import the images that the node lacks."""
    present = set(ctr("images", "list", "-q").split())
    for image in images:
        if image.archive.startswith("box-") or not present.issuperset(_full(image.tags)):
            ctr("images", "import", image.written())


def _full(tags: Iterable[str]) -> set[str]:
    return {tag if "." in tag.split("/")[0] else f"docker.io/{tag}" for tag in tags}
