"""`egops routes explain`: which rule serves a request, why, and why not the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from egops.cli.options import output_option, source_options
from egops.cli.routes.options import release_option
from egops.errors import InputError

if TYPE_CHECKING:
    from egops.gather import SourceOptions
    from egops.xds.match_request import Request

FEW, PLENTY = 20, 1_000  # near misses
PROTOCOLS = ("http/1.1", "http/1.0", "h2", "h3", "grpc")


@click.command("explain")
@click.argument("words", nargs=-1, metavar="[METHOD] [URL]")
@click.option("-X", "--request", "method", metavar="METHOD", help="The method, as with curl.")
@click.option("-I", "--head", is_flag=True, help="A HEAD request, as with curl.")
@click.option(
    "-H",
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="A header; repeatable.",
)
@click.option("--proto", type=click.Choice(PROTOCOLS), default="http/1.1", show_default=True, help="The protocol the client speaks.")  # fmt: skip  # noqa: E501
@click.option("--sni", metavar="NAME", help="The server name in TLS; the URL's host by default.")
@click.option("--listener", metavar="NAME", default="", help="The Envoy listener it arrives at.")
@click.option("--source-ip", metavar="IP", default="", help="The client's address.")
@click.option("--requests", "batch", metavar="FILE", help="Many requests, one JSON object a line; - for standard input.")  # fmt: skip  # noqa: E501
@click.option("--from-access-log", "log", metavar="FILE", help="The requests of an access log in Envoy Gateway's format.")  # fmt: skip  # noqa: E501
@click.option("--har", metavar="FILE", help="The requests of an HTTP archive saved by a browser.")
@click.option("--prove", is_flag=True, help="Send the request to a local Envoy with these tables, and compare.")  # fmt: skip  # noqa: E501
@click.option("--send", is_flag=True, help="Send the request to the proxy itself, and compare.")
@click.option("--brief", is_flag=True, help="Leave out steps and near misses.")
@release_option
@click.option("--near", type=click.IntRange(0), help="Tell at most so many near misses; by default 20, of one request in JSON all.")  # fmt: skip  # noqa: E501
@click.option("--proxy", metavar="NAME", default="", help="Only this proxy: NAMESPACE/POD, a fleet, or a glob.")  # fmt: skip  # noqa: E501
@output_option("text", "json", "jsonl")
@source_options
@click.pass_context
def explain(  # noqa: PLR0917 - options as they come
    ctx: click.Context,
    /,
    source: SourceOptions,
    words: tuple[str, ...],
    output: str,
    proxy: str,
    release: str,
    batch: str | None,
    log: str | None,
    har: str | None,
    **options: Any,
) -> None:
    """Explain which rule serves a request, exactly as Envoy would decide it.

    \b
    egops routes explain https://shop.example.com/cart?id=1 -H 'x-user: 7' -X POST
    egops routes explain GET http://10.0.0.1/ -H 'Host: shop.example.com' --config-dump dump.json
    egops routes explain --requests requests.jsonl --brief -o jsonl
    egops routes explain --from-access-log access.log
    egops routes explain https://shop.example.com/cart -f manifests/ --release 1.3.0
    """
    from egops.cli.routes.batch import answer_all, answer_log
    from egops.cli.routes.inputs import read_har, read_lines
    from egops.cli.routes.judge import Judges
    from egops.cli.routes.single import answer_one

    if sum(bool(given) for given in (words, batch, log, har)) != 1:
        raise InputError(
            "give one URL, or one of --requests, --from-access-log and --har",
            hint="egops routes explain https://shop.example.com/cart",
        )
    many = batch or log or har
    if many and (options["prove"] or options["send"]):
        raise InputError("--prove and --send take one request at a time")
    request = None if many else request_of(words, options)
    judges = Judges(source, proxy, release)
    near = options["near"]
    if near is None:
        near = FEW if many or output == "text" else PLENTY
    limits = {"brief": options["brief"], "near": near}
    if log:
        answer_log(judges, log, output)
    elif many:
        read = read_lines(batch) if batch else read_har(str(har))
        ctx.exit(answer_all(judges, read, output, **limits))
    else:
        assert request is not None
        ctx.exit(answer_one(judges, request, output, options["prove"], options["send"], **limits))


def request_of(words: tuple[str, ...], options: dict[str, Any]) -> Request:
    """Return the request that the command line describes, as curl would send it.

    Raises:
        InputError: URL, method or a header are not what they should be.
    """
    from egops.xds.match_input import PROTOCOLS as WIRE
    from egops.xds.match_input import bad_escapes, header_lines, port_of, split_url
    from egops.xds.match_request import Request, encode

    method, url = _words(words)
    scheme, authority, path = split_url(url)
    if bad_escapes(path):
        click.echo(
            "note: the path has a % that begins no escape; Envoy takes it as it is", err=True
        )
    headers, hosts = header_lines(options["headers"])
    grpc = options["proto"] == "grpc"
    if grpc and not any(name.lower() == b"content-type" for name, _ in headers):
        headers = (*headers, (b"content-type", b"application/grpc"))
    given = options["method"] or method
    sni = options["sni"]
    if sni is None and scheme == "https":
        sni = _host(authority)
    return Request(
        method=encode(given or ("HEAD" if options["head"] else "POST" if grpc else "GET")),
        target=encode(path),
        authority=encode(hosts[-1] if hosts else authority),
        headers=headers,
        scheme=scheme,
        listener=options["listener"],
        port=port_of(authority),
        sni=sni if scheme == "https" else None,
        source=options["source_ip"],
        protocol=WIRE[options["proto"]],
    )


def _words(words: tuple[str, ...]) -> tuple[str, str]:
    if len(words) == 1:
        return "", words[0]
    if len(words) == 2:
        first, second = words
        return (second, first) if "://" in first else (first, second)
    raise InputError(f"{' '.join(words)!r} is more than a method and a URL")


def _host(authority: str) -> str | None:
    """Return the server name a client puts into TLS; None lets the walk decide (addresses)."""
    host = authority.rpartition(":")[0] if authority.rpartition(":")[2].isdigit() else authority
    return None if host.startswith("[") or host.replace(".", "").isdigit() else host
