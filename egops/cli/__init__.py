"""The root of the command line. Errors become exit codes here, and nowhere else."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from egops import __version__
from egops.errors import EgopsError, ExitCode, InputError

# Where each command lives, and its line in `egops --help`. Commands are imported when they are run:
# all of them together take several times as long as click itself. A test holds the lines equal to
# the commands' own.
COMMANDS = {
    "alerts": ("egops.cli.alerts", "Alert rules for Envoy Gateway: list, test, install, verify."),
    "bundle": ("egops.cli.bundle", "Save all that egops reads into one file, without secrets."),
    "certs": ("egops.cli.certs", "Check the certificates of Envoy Gateway and its listeners."),
    "dashboards": ("egops.cli.dashboards", "Grafana boards: list, render, install, verify, show."),
    "demo": ("egops.cli.demo", "Show egops at work on a real Envoy and a recorded cluster."),
    "doctor": ("egops.cli.doctor", "Check an installation and explain what is wrong with it."),
    "inspect": ("egops.cli.inspect", "Show what Envoy really has, and which object made it."),
    "routes": (
        "egops.cli.routes",
        "Map routes to HTTPRoute rules; explain which serves a request.",
    ),
    "rule": ("egops.cli.rules", "Explain one rule: what it finds, why it matters, how to fix it."),
    "rules": ("egops.cli.rules", "List the rules: code, severity, area, name and what each finds."),
    "upgrade": ("egops.cli.upgrade", "Verify an upgrade: what it changed, and what was predicted."),
    "upgrade-check": ("egops.cli.upgrade_check", "Tell what the next release changes for objects."),
}


class Root(click.Group):
    """A group whose failures exit as promised: click's own would look like findings."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return sorted({*COMMANDS, *self.commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing it on first use."""
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            module = import_module(COMMANDS[cmd_name][0])
            command = getattr(module, cmd_name.replace("-", "_"))
            name_variables(command)
            self.add_command(command, cmd_name)
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            lines = [(name, COMMANDS[name][1]) for name in self.list_commands(ctx)]
            formatter.write_dl(lines)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; map every way it can fail to its exit code."""
        try:
            return super().invoke(ctx)
        except EgopsError as exc:
            fail(exc)
        except (click.UsageError, click.exceptions.Exit):
            raise
        except click.ClickException as exc:
            fail(InputError(exc.format_message()))
        except (KeyboardInterrupt, click.Abort):
            click.echo("interrupted", err=True)
            raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None
        except BrokenPipeError:
            # the reader (head, less) has seen enough; nothing more can be written to it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(ExitCode.OK) from None
        except Exception as exc:
            import traceback  # slow to load, and hardly ever needed

            traceback.print_exc()
            click.echo("error: this is a bug in egops; please report the lines above", err=True)
            raise click.exceptions.Exit(ExitCode.BUG) from exc


def fail(error: EgopsError) -> None:
    """Print an error and its hint on stderr and leave with its exit code."""
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(f" hint: {error.hint}", err=True)
    raise click.exceptions.Exit(int(error.exit_code)) from None


@click.group(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every option is also an environment variable: --fail-on is EGOPS_FAIL_ON.",
)
@click.version_option(__version__, prog_name="egops")
def root() -> None:
    """Find out what is wrong with Envoy Gateway, which rule serves a request, and what to do.

    \b
    egops doctor                              what is broken, and why
    egops routes explain https://shop/cart    which rule serves this request
    egops inspect routes                      what Envoy has, and which object made it
    egops upgrade-check --to 1.3.0            what the next version changes for these objects
    """


def name_variables(command: click.Command) -> None:
    """Give every option of a command tree its environment variable, `EGOPS_<NAME>`."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.envvar is None:
            longest = max(parameter.opts, key=len).lstrip("-")
            if longest not in ("help", "version"):
                parameter.envvar = f"EGOPS_{longest.upper().replace('-', '_')}"
    if isinstance(command, click.Group):
        for child in command.commands.values():
            name_variables(child)


def load_all() -> click.Group:
    """Return the root with every command imported, for documentation and tests."""
    context = click.Context(root)
    for name in root.list_commands(context):
        root.get_command(context, name)
    return root


def main() -> None:
    """Run egops; the entry point of the console script."""
    try:
        root(prog_name="egops")
    except KeyboardInterrupt:
        sys.exit(int(ExitCode.INTERRUPTED))
