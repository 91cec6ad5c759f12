"""The verbs that query an artefact: rewrite a text, explain it, show the history of its rules, describe the folder."""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rewriter.cli import ARTEFACT, PATH, main, pairs_of, plainly

if TYPE_CHECKING:
    from rewriter.result import Rewrite

USER = click.option("--user", metavar="ID", help="Id of the user who speaks, as in the log; adds personal rules and habits.")
LOCALE = click.option("--locale", help="Locale (BCP 47), for example en or de-DE; default: the commonest of the artefact.")
CONTEXT = click.option(
    "--context", "pairs", multiple=True, metavar="KEY=VALUE", help="Context value, as room=kitchen; repeatable."
)
AFTER_FAILURE = click.option("--after-failure", is_flag=True, help="The assistant has already refused TEXT as not understood.")


@main.command()
@ARTEFACT
@click.argument("text")
@USER
@LOCALE
@CONTEXT
@AFTER_FAILURE
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@plainly
def rewrite(
    artefact: Path, text: str, user: str | None, locale: str | None, pairs: tuple[str, ...], after_failure: bool, as_json: bool
) -> None:
    """Print the text to send to the assistant instead of TEXT.

    Without a safe rewrite it prints TEXT unchanged. On stderr it says why, and what to ask the user where a rewrite is only
    suggested. --json prints all of it.

    \b
    Examples:
      rewriter rewrite artefact "turn of the lamp"
      rewriter rewrite artefact "turn on the light" --context room=kitchen
      rewriter rewrite artefact "play my mix" --user ann --json
    """
    from rewriter import terminal
    from rewriter.online.rewriter import Rewriter

    context = pairs_of(pairs, "--context", "KEY=VALUE")
    answer = Rewriter.open(artefact).rewrite(text, user_id=user, locale=locale, context=context, after_failure=after_failure)
    if as_json:
        click.echo(terminal.as_json(dataclasses.asdict(answer)))
    else:  # a program that reads the pipe gets the text as it is
        click.echo(terminal.visible(answer.text) if sys.stdout.isatty() else answer.text)
        for told in _why(answer):
            click.echo(terminal.visible(told), err=True)


def _why(answer: "Rewrite") -> Iterator[str]:
    """Yield what the text alone does not tell: the reason, and a rewrite to ask about."""
    from rewriter.codes import Reason

    cure = " `rewriter info` lists its locales." if answer.reason == Reason.UNKNOWN_LOCALE else ""
    yield f"{'rewritten' if answer.applied else 'unchanged'} ({answer.reason}): {answer.reason.meaning}{cure}"
    if answer.suggestion is not None:
        yield f"did the user mean {answer.suggestion!r}? It is only suggested: too unsure to be sent without asking"


@main.command()
@ARTEFACT
@click.argument("text")
@USER
@LOCALE
@CONTEXT
@AFTER_FAILURE
@click.option("--graph", metavar="FILE", type=PATH, help="Also draw what people said next, as SVG or PNG.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
@plainly
def explain(
    artefact: Path,
    text: str,
    user: str | None,
    locale: str | None,
    pairs: tuple[str, ...],
    after_failure: bool,
    graph: Path | None,
    as_json: bool,
) -> None:
    """Explain why TEXT is rewritten or left alone.

    Shows the evidence in the log, every rule that was considered with its figures and verdict, and the candidates of the online
    layer. S_ij is the probability that people who start at TEXT end well at the target.

    \b
    Examples:
      rewriter explain artefact "turn of the lamp"
      rewriter explain artefact "turn of the lamp" --graph lamp.svg
      rewriter explain artefact "turn on the light" --user ann --context room=kitchen
    """
    from rewriter import terminal
    from rewriter.operate import explain as why

    context = pairs_of(pairs, "--context", "KEY=VALUE")
    found = why.explain(artefact, text, user_id=user, locale=locale, context=context, after_failure=after_failure)
    if graph is not None:
        why.draw(artefact, text, graph, locale=locale)
    if as_json:
        click.echo(terminal.as_json(dataclasses.asdict(found)))
        return
    for sentence in found.sentences():
        terminal.line(sentence)
    if found.rivals:
        terminal.table("rules considered", why.COLUMNS, found.rows(), right=why.FIGURES)
        terminal.meanings(why.COLUMNS)
    if found.context_rivals:
        terminal.table("rules for the context", why.CONTEXT_COLUMNS, found.context_rows(), right=why.CONTEXT_COLUMNS[2:5])
    if found.candidates:
        columns = why.CANDIDATE_COLUMNS
        terminal.table("candidates of the online layer", columns, found.candidate_rows(), right=columns[3:5])
        shown = ("feature", "weight", *(f"#{n + 1}" for n in range(min(why.SHOWN, len(found.candidates)))))
        if features := found.feature_rows():
            terminal.table("features of the first candidates", shown, features, right=shown[1:])
    if graph is not None:
        terminal.line(f"graph written to {graph}")


@main.command()
@ARTEFACT
@click.argument("text", required=False)
@USER
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
@plainly
def history(artefact: Path, text: str | None, user: str | None, as_json: bool) -> None:
    """Show the stages of the rules for TEXT: when each rule entered, moved on and left, and why.

    Stages are shadow (not sent), canary (on trial), live, probation (tested again) and retired. Without TEXT it shows the
    stages of the online layer, which is judged by slice: method, mode and scope.

    \b
    Examples:
      rewriter history artefact "turn of the lamp"
      rewriter history artefact "play my mix" --user ann --json
      rewriter history artefact
    """
    from rewriter import terminal
    from rewriter.operate import info as stages

    changes = stages.history(artefact, text, user_id=user)
    if as_json:
        click.echo(terminal.as_json([dataclasses.asdict(change) for change in changes]))
    elif changes:
        of = "the online layer" if text is None else f"rules of {text!r}"
        columns = stages.COLUMNS
        terminal.table(of, columns, [change.row() for change in changes], right=columns[3:4], whole=columns[: 2 - bool(text)])
    else:
        terminal.line("the online layer has never served" if text is None else f"no rule of {text!r} has ever served")


@main.command()
@ARTEFACT
@click.option("--verify", is_flag=True, help="Also compare the checksum of every file.")
@plainly
def info(artefact: Path, verify: bool) -> None:
    """Describe the artefact in DIR: version, rules, locales and what was measured when it was learned.

    \b
    Examples:
      rewriter info artefact
      rewriter info artefact --verify
    """
    from rewriter import terminal
    from rewriter.artefact import versions
    from rewriter.operate import info as stages

    found = stages.info(artefact)
    if verify:
        versions.load_current(artefact, versions.verify)
    terminal.table(f"artefact {artefact}", ("what", "figure"), found.rows())
    columns = found.locale_columns()
    if locales := found.locale_rows():
        terminal.table("locales", columns, locales, right=columns[1:-1], whole=columns[:1])
    if online := found.online_rows():
        terminal.table("evidence for the online layer", stages.ONLINE, online, right=stages.ONLINE[1:4])
    if words := found.word_rows():
        terminal.table("pairs of words that mean different things, or the same", stages.WORDS, words, right=("pairs",))
    if verify:
        terminal.line("the checksums of all files are right")
