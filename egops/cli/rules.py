"""`egops rules` and `egops rule CODE`: the catalogue, offline."""

from __future__ import annotations

import click

from egops.cli.options import output_option


@click.command()
@click.argument("words", nargs=-1, metavar="[RULE]...")
@output_option("text", "json", "name")
def rules(words: tuple[str, ...], output: str) -> None:
    """List the rules: code, severity, area, name and what each proves.

    \b
    egops rules
    egops rules route 'EGD-44*'
    """
    from egops.config import choose
    from egops.render.catalogue import catalogue
    from egops.rules.registry import all_rules

    click.echo(catalogue(choose(all_rules(), words, ()), output), nl=False)


@click.command()
@click.argument("word", metavar="RULE")
def rule(word: str) -> None:
    """Explain one rule: what it finds, why it matters, how to fix it.

    \b
    egops rule EGD-241
    egops rule backend-not-found
    """
    from egops.config import choose
    from egops.errors import InputError
    from egops.render.catalogue import page
    from egops.rules.registry import all_rules

    found = choose(all_rules(), (word,), ())
    if len(found) > 1:
        names = ", ".join(rule.code for rule in found[:6])
        raise InputError(f"{word!r} names {len(found)} rules: {names}")
    click.echo(page(found[0]), nl=False)
