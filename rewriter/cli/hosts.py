"""The verbs of hosts: `import` reads the log of a host, `export` writes rules that a host applies."""

from pathlib import Path

import click

from rewriter.cli import ARTEFACT, PATH, main, pairs_of, plainly


@main.command("import")
@click.argument("host", type=click.Choice(["ubi"]))
@click.argument("sources", nargs=-1, required=True, metavar="FILES...")
@click.option("--out", metavar="FILE", type=PATH, default=Path("log.parquet"), show_default=True, help="Log to write.")
@click.option(
    "--engaged",
    "shares",
    multiple=True,
    metavar="NAME=SHARE",
    help="What an action says of the search before it, 0 to 1; repeatable.  [click=0.5, add_to_cart=1, purchase=1]",
)
@click.option("--application", metavar="NAME", help="Read only the searches of this application.")
@plainly
def import_log(host: str, sources: tuple[str, ...], out: Path, shares: tuple[str, ...], application: str | None) -> None:
    """Make a log for `rewriter learn` of what HOST has logged in FILES (files, folders or patterns).

    HOST is ubi, the schema User Behavior Insights of site search: ubi_queries and ubi_events, in one file or more, as JSON lines
    or Parquet.

    \b
    Examples:
      rewriter import ubi ubi_queries.jsonl ubi_events.jsonl --out log.parquet
      rewriter import ubi exports/ --application shop --engaged watch=0.3
    """
    from rewriter import terminal
    from rewriter.connect.verbs import import_log as run

    engaged = {}
    for name, share in pairs_of(shares, "--engaged", "NAME=SHARE").items():
        try:
            engaged[name] = float(share)
        except ValueError:
            raise click.UsageError(f"--engaged takes NAME=SHARE, such as click=0.5, not {name}={share}") from None
    for text in run(host, sources, out, engaged=engaged, application=application).lines():
        terminal.line(text)


@main.command()
@click.argument("host", type=click.Choice(["solr", "elasticsearch", "opensearch", "querqy"]))
@ARTEFACT
@click.option("--out", metavar="FILE", type=PATH, required=True, help="File to write.")
@click.option("--locale", help="Locale (BCP 47) of the requests.  [default: the commonest of DIR]")
@plainly
def export(host: str, artefact: Path, out: Path, locale: str | None) -> None:
    """Write the rules that DIR serves to everybody as a file that HOST applies.

    What the format cannot say is counted. For elasticsearch, a file that ends in .json is the body of a request to its synonyms
    API.

    \b
    Examples:
      rewriter export solr artefact --out synonyms.txt
      rewriter export elasticsearch artefact --out synonyms.json
      rewriter export querqy artefact --out replace.txt --locale de
    """
    from rewriter import terminal
    from rewriter.connect.verbs import export as run

    for text in run(host, artefact, out, locale=locale).lines():
        terminal.line(text)
