"""The root of the command line. Errors become exit codes here, and nowhere else."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from egops import __version__
from egops.cli.alerts import alerts
from egops.cli.dashboards import dashboards
from egops.cli.demo import demo
from egops.cli.doctor import doctor
from egops.cli.inspect import inspect
from egops.cli.routes import routes
from egops.cli.rules import rule, rules
from egops.cli.upgrade_check import upgrade_check
from egops.errors import EgopsError, ExitCode, InputError


class Root(click.Group):
    """A group whose failures exit as promised: click's own would look like findings."""

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


COMMANDS = (
    alerts,
    dashboards,
    demo,
    doctor,
    inspect,
    routes,
    rule,
    rules,
    upgrade_check,
)
for command in COMMANDS:
    root.add_command(command)


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


name_variables(root)


def main() -> None:
    """Run egops; the entry point of the console script."""
    try:
        root(prog_name="egops")
    except KeyboardInterrupt:
        sys.exit(int(ExitCode.INTERRUPTED))
