"""`egops demo`: the main job on one machine, with a real Envoy and a recorded cluster."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from egops.demo.world import World

REQUESTS = (
    ("www.demo.test", "/"),
    ("canary.demo.test", "/api/items"),
    ("moved.demo.test", "/old"),
    ("private.demo.test", "/"),
    ("shop.demo.test", "/checkout/42"),
    ("nobody.demo.test", "/"),
)


def run(*, keep: bool) -> None:
    """Show it, step by step, on stdout.

    Raises:
        EgopsError: there is no Envoy on this machine; the hint says how to get one.
    """
    from egops.demo.world import world  # noqa: PLC0415 - builds certificates, starts servers

    began = time.monotonic()
    click.echo("Starting a real Envoy with a configuration that Envoy Gateway 1.3.0 generated …")
    with world() as here:
        click.echo(f"Envoy answers on 127.0.0.1:{here.http} (HTTP) and :{here.https} (HTTPS).\n")
        for host, path in REQUESTS:
            click.echo(f"  GET http://{host}{path:<13} → {_status(here.http, host, path)}")
        cluster = ("-f", str(here.folder), "--admin", here.admin)
        _show("What does Envoy have, and who made it?", "inspect", "routes", "--admin", here.admin)
        _show("What is broken, and why?", "doctor", *cluster, "--window", "0")
        url = "http://shop.demo.test/checkout/42"
        _show("Which rule serves a request?", "routes", "explain", url, "--admin", here.admin)
        click.echo(f"\nDone in {time.monotonic() - began:.1f} s.")
        _next(here, keep=keep)


def _status(port: int, host: str, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path, headers={"host": host})
    answer = connection.getresponse()
    location = answer.getheader("location")
    connection.close()
    return f"{answer.status}{f' to {location}' if location else ''}"


def _show(question: str, *words: str) -> None:
    """Print a question, the command that answers it, and its answer."""
    click.echo(f"\n{click.style(question, bold=True)}\n$ egops {' '.join(words)}\n")
    sys.stdout.flush()
    subprocess.run([sys.executable, "-m", "egops", *words], check=False, env=os.environ)  # noqa: S603 - ourselves


def _next(here: World, *, keep: bool) -> None:
    if not keep:
        click.echo(
            "\nTry next:\n"
            "  egops demo --keep            leave Envoy running and try things on it\n"
            "  egops doctor                 on the cluster of your kubeconfig\n"
            "  egops doctor -f manifests/   before anything is applied\n"
            "  egops rules                  what the doctor knows"
        )
        return
    click.echo(
        "\nEnvoy stays up until Ctrl-C. In another terminal:\n"
        f"  egops inspect listeners --admin {here.admin}\n"
        f"  egops routes explain http://www.demo.test/ --admin {here.admin}\n"
        f"  egops doctor -v -f {here.folder} --admin {here.admin}"
    )
    while True:
        time.sleep(3600)
