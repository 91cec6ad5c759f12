"""The verbs of hosts: `import` reads, `export` writes what they apply or load, `synonyms` lists, `wyoming` stands between."""

from pathlib import Path

import click

from rewriter.cli import ARTEFACT, PATH, main, pairs_of, plainly


@main.command("import")
@click.argument("host", type=click.Choice(["ubi", "ovos", "rasa"]))
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
@click.option("--user", default="home", show_default=True, help="Whose requests they are, where the log does not say (ovos).")
@plainly
def import_log(
    host: str, sources: tuple[str, ...], out: Path, shares: tuple[str, ...], application: str | None, user: str
) -> None:
    """Make a log for `rewriter learn` of what HOST has logged in FILES (files, folders or patterns).

    HOST is ubi, the schema User Behavior Insights of site search: ubi_queries and ubi_events, in one file or more, as JSON lines
    or Parquet; ovos, the log files of Open Voice OS; or rasa, a tracker store of Rasa, as an SQLite file or
    as events in JSON lines.

    \b
    Examples:
      rewriter import ubi ubi_queries.jsonl ubi_events.jsonl --out log.parquet
      rewriter import ubi exports/ --application shop --engaged watch=0.3
      rewriter import ovos ~/.local/state/mycroft/skills.log
      rewriter import rasa rasa.db
    """
    from rewriter import terminal
    from rewriter.connect.verbs import import_log as run

    engaged = {}
    for name, share in pairs_of(shares, "--engaged", "NAME=SHARE").items():
        try:
            engaged[name] = float(share)
        except ValueError:
            raise click.UsageError(f"--engaged takes NAME=SHARE, such as click=0.5, not {name}={share}") from None
    for text in run(host, sources, out, engaged=engaged, application=application, user_id=user).lines():
        terminal.line(text)


@main.command()
@ARTEFACT
@click.option("--locale", help="Only of this locale (BCP 47).  [default: all]")
@click.option("--misheard", is_flag=True, help="With mishearings and typing errors.")
@click.option("--out", metavar="FILE", type=PATH, help="File to write for a host.")
@click.option(
    "--host",
    type=click.Choice(["solr", "elasticsearch", "opensearch", "home-assistant"]),
    default="solr",
    show_default=True,
    help="Whose file it is.",
)
@plainly
def synonyms(artefact: Path, locale: str | None, misheard: bool, out: Path | None, host: str) -> None:
    """List what people call things in other words than the assistant knows, as their restatements show in DIR.

    \b
    Examples:
      rewriter synonyms artefact
      rewriter synonyms artefact --locale en-GB --out synonyms.txt
      rewriter synonyms artefact --out aliases.yaml --host home-assistant
    """
    from rewriter import terminal
    from rewriter.connect.synonyms import COLUMNS, FIGURES
    from rewriter.connect.synonyms import synonyms as run

    found = run(artefact, locale=locale, with_misheard=misheard, out=out, host=host)
    if found:
        terminal.table(f"synonyms in {artefact}", COLUMNS, (each.row() for each in found), right=FIGURES)
    else:
        terminal.line("no synonyms: none of the rewrites exchanges one phrase; --misheard also lists mishearings")
    if out is not None:
        terminal.line(f"{len(found):,} pairs in {out}")


@main.command()
@click.argument("host", type=click.Choice(["solr", "elasticsearch", "opensearch", "querqy", "ovos", "home-assistant", "rasa"]))
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--out", metavar="FILE", type=PATH, help="File to write.  [for rules; required]")
@click.option("--locale", help="Locale (BCP 47) of the requests.  [for rules; default: the commonest of DIR]")
@plainly
def export(host: str, folder: Path, out: Path | None, locale: str | None) -> None:
    """Write what HOST reads.

    The rules that the artefact DIR serves to everybody, as a file. What the format cannot say is counted. For elasticsearch, a
    file that ends in .json is the body of a request to its synonyms API. For ovos, name the file corrections.json, or
    regex_corrections.json for rules that change exactly these requests.

    For home-assistant: the custom component, laid out in DIR as HACS expects it. For rasa: component, channel and actions,
    laid out in the project DIR.

    \b
    Examples:
      rewriter export solr artefact --out synonyms.txt
      rewriter export elasticsearch artefact --out synonyms.json
      rewriter export querqy artefact --out replace.txt --locale de
      rewriter export ovos artefact --out regex_corrections.json
      rewriter export home-assistant hacs
      rewriter export rasa project
    """
    from rewriter import terminal

    if host in ("home-assistant", "rasa") and (folder / "CURRENT").exists():
        raise click.UsageError(f"{folder} is an artefact; name another folder for the files of {host}, for example {host}")
    if host == "home-assistant":
        from rewriter.connect.home_assistant import lay_out

        told = lay_out(folder).lines()
    elif host == "rasa":
        from rewriter.connect.rasa import lay_out as lay_out_rasa

        told = lay_out_rasa(folder).lines()
    elif out is None:
        raise click.UsageError("name the file to write, for example --out synonyms.txt")
    else:
        from rewriter.connect.verbs import export as run

        told = run(host, folder, out, locale=locale).lines()
    for text in told:
        terminal.line(text)


@main.command()
@ARTEFACT
@click.option("--upstream", metavar="URI", required=True, help="The service, as tcp://HOST:PORT or unix:///PATH.")
@click.option(
    "--uri", default="tcp://127.0.0.1:10390", show_default=True, help="Where to listen; anybody who reaches it may ask."
)
@click.option("--turns", metavar="DIR", type=PATH, help="Folder to keep every turn in, for `learn`.")
@click.option("--user", default="home", show_default=True, help="Whose requests they are, where the client does not say.")
@click.option("--user-key", metavar="KEY", default="user_id", show_default=True, help="Key of an event's context that says it.")
@plainly
def wyoming(artefact: Path, upstream: str, uri: str, turns: Path | None, user: str, user_key: str) -> None:
    """Stand before a service of the Wyoming protocol, until it is stopped, and rewrite with the artefact in DIR.

    What a service for speech recognition hears is rewritten. A service for intents, or one that handles requests, is asked again
    in other words where it refuses. All else passes unchanged. It needs the extra `wyoming`.

    \b
    Examples:
      rewriter wyoming artefact --upstream tcp://127.0.0.1:10300 --turns turns
      rewriter wyoming artefact --upstream tcp://127.0.0.1:10500 --uri tcp://0.0.0.0:10501 --user kitchen
    """
    from rewriter import terminal
    from rewriter.connect.wyoming import serve as run

    def ready(address: str) -> None:
        terminal.line(f"before {upstream} at {address}; Ctrl-C ends it")

    run(artefact, upstream=upstream, uri=uri, turns=turns, user_id=user, user_key=user_key, ready=ready)
