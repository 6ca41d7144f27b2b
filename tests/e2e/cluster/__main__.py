"""Command line of the rig: python -m tests.e2e.cluster VERB."""

import argparse
import os
import sys
import time
from pathlib import Path

from tests.e2e.cluster import build, capture, extras, gateway, kube, lifecycle, rotation
from tests.e2e.cluster.settings import BIN, ENVOY, KUBECONFIG
from tests.e2e.cluster.shell import RigError, say


def parser() -> argparse.ArgumentParser:
    """Return the parser of every verb."""
    top = argparse.ArgumentParser(prog="python -m tests.e2e.cluster", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    made = verbs.add_parser(
        "build", help="build or fetch every binary (or the named) into the cache"
    )
    made.add_argument("names", nargs="*")
    made.add_argument("--extras", action="store_true", help="those of `extra` too")
    verbs.add_parser("up", help="start the cluster, wait until it is ready")
    verbs.add_parser("down", help="stop and remove everything that up made")
    verbs.add_parser("status", help="components, memory, node, pods")
    verbs.add_parser("env", help="shell lines to eval (KUBECONFIG, PATH)")
    pid = verbs.add_parser("pid", help="process ids of a container, to stage faults with kill")
    pid.add_argument("selector")
    pid.add_argument("container")
    for verb, does in (("install", "helm-install"), ("upgrade", "apply new CRDs and helm-upgrade")):
        parsed = verbs.add_parser(
            verb, help=f"{does} Envoy Gateway, then wait for the demo gateway"
        )
        parsed.add_argument("version", choices=list(ENVOY))
        parsed.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
        parsed.add_argument("--keep-crds", action="store_true", help="leave the CRDs as they are")
    extra = verbs.add_parser("extra", help="add software that Envoy Gateway is run together with")
    extra.add_argument("name", choices=list(extras.VERBS))
    two = verbs.add_parser("rotation", help="two of each; rate limit, OIDC, Wasm")
    two.add_argument("--undo", action="store_true", help="one of each again, without them")
    two.add_argument("--age", default="1m", help="of the rate limit service's connections")
    saved = verbs.add_parser("capture", help="save what the cluster shows as data for unit tests")
    saved.add_argument("folder", type=Path)
    return top


def run(arguments: argparse.Namespace) -> None:
    """Carry out one verb."""
    match arguments.verb:
        case "build":
            build.install_packages()
            known = {**build.recipes(), **extras.recipes()}
            default = known if arguments.extras else build.recipes()
            build.build(arguments.names or default, known)
        case "install" | "upgrade":
            gateway.install(
                arguments.version,
                upgrade=arguments.verb == "upgrade",
                values=arguments.set,
                keep_crds=arguments.keep_crds,
            )
        case "extra":
            began = time.monotonic()
            extras.VERBS[arguments.name]()
            say(f"{arguments.name}: done in {time.monotonic() - began:.0f} s")
        case "rotation":
            rotation.undo() if arguments.undo else rotation.set_up(
                *rotation.max_connection_age(arguments.age)
            )
        case "capture":
            capture.capture(arguments.folder)
        case "pid":
            pids = kube.container_pids(arguments.selector, arguments.container)
            sys.stdout.write(" ".join(map(str, pids)) + "\n")
        case plain:
            PLAIN[plain]()


def env() -> None:
    """Print shell lines to eval."""
    path = f"{BIN}:{os.environ.get('PATH', '')}"
    sys.stdout.write(f"export KUBECONFIG={KUBECONFIG} PATH={path}\n")


PLAIN = {"up": lifecycle.up, "down": lifecycle.down, "status": lifecycle.status, "env": env}


def main() -> int:
    """Run the command line; 1 when something failed, 130 when interrupted."""
    arguments = parser().parse_args()
    try:
        with lifecycle.sigterm_as_interrupt():
            run(arguments)
    except RigError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `… status | head`
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
