"""The verbs that ask an artefact: what it does with a text, why, and what is inside."""

import dataclasses
from pathlib import Path

import click

from rewriter.cli.group import ARTEFACT, main, pairs_of, plainly


@main.command()
@ARTEFACT
@click.argument("text")
@click.option("--user", help="Pseudonym of the person who speaks.")
@click.option("--locale", help="BCP 47; the commonest of the artefact by default.")
@click.option("--after-failure", is_flag=True, help="The assistant has already said that it does not understand.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@plainly
def rewrite(artefact: Path, text: str, user: str | None, locale: str | None, after_failure: bool, as_json: bool) -> None:
    """Print what to send to the NLU instead of TEXT.

    \b
    Examples:
      rewriter rewrite artefact "turn of the lamp"
      rewriter rewrite artefact "play my mix" --user ann --json
    """
    from rewriter import terminal
    from rewriter.online.rewriter import Rewriter

    answer = Rewriter.open(artefact).rewrite(text, user_id=user, locale=locale, after_failure=after_failure)
    click.echo(terminal.as_json(dataclasses.asdict(answer)) if as_json else answer.text)


@main.command()
@ARTEFACT
@click.argument("text")
@click.option("--user", help="Whose personal rules are looked at too.")
@click.option("--locale", help="BCP 47; the commonest of the artefact by default.")
@click.option("--context", "said", multiple=True, metavar="KEY=VALUE", help="What the context says; repeatable.")
@click.option("--after-failure", is_flag=True, help="The assistant has already said that it does not understand.")
@click.option("--graph", metavar="FILE", type=click.Path(path_type=Path), help="Draw the rephrase graph as SVG or PNG.")
@click.option("--json", "as_json", is_flag=True, help="Print everything that is known as JSON.")
@plainly
def explain(
    artefact: Path,
    text: str,
    user: str | None,
    locale: str | None,
    said: tuple[str, ...],
    after_failure: bool,
    graph: Path | None,
    as_json: bool,
) -> None:
    """Say why TEXT is rewritten or left alone: evidence, S of the rivals, candidates, verdicts.

    \b
    Examples:
      rewriter explain artefact "turn of the lamp"
      rewriter explain artefact "turn of the lamp" --graph lamp.svg
      rewriter explain artefact "turn on the light" --user ann --context room=kitchen
    """
    from rewriter import terminal
    from rewriter.explanation import explain as why

    context = pairs_of(said, "--context", "KEY=VALUE")
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
    if found.context_rivals:
        terminal.table("rules for the context", why.CONTEXT_COLUMNS, found.context_rows(), right=why.CONTEXT_COLUMNS[2:5])
    if found.candidates:
        columns = why.CANDIDATE_COLUMNS
        terminal.table("candidates of the online layer", columns, found.candidate_rows(), right=columns[3:5])
        shown = ("measured", "weight", *(f"#{n + 1}" for n in range(min(why.SHOWN, len(found.candidates)))))
        terminal.table("what was measured of them", shown, found.feature_rows(), right=shown[1:])
    if graph is not None:
        terminal.line(f"graph written to {graph}")


@main.command()
@ARTEFACT
@click.argument("text", required=False)
@click.option("--user", help="Whose personal rules are told too.")
@click.option("--json", "as_json", is_flag=True, help="Print everything that is known as JSON.")
@plainly
def history(artefact: Path, text: str | None, user: str | None, as_json: bool) -> None:
    """Show the stages of the rules of TEXT: when each rule entered, moved on and left, and why.

    Without TEXT, show the stages of the online layer. It is judged by slice: method, mode and scope.

    \b
    Examples:
      rewriter history artefact "turn of the lamp"
      rewriter history artefact "play my mix" --user ann --json
      rewriter history artefact
    """
    from rewriter import terminal
    from rewriter.operate import history as stages

    changes = stages.history(artefact, text, user_id=user)
    if as_json:
        click.echo(terminal.as_json([dataclasses.asdict(change) for change in changes]))
    elif changes:
        of = "the online layer" if text is None else f"rules of {text!r}"
        terminal.table(of, stages.COLUMNS, [change.row() for change in changes], right=stages.COLUMNS[4:7])
    else:
        terminal.line("the online layer has never served" if text is None else f"no rule of {text!r} has ever served")


@main.command()
@ARTEFACT
@click.option("--verify", is_flag=True, help="Also compare the checksum of every file.")
@plainly
def info(artefact: Path, verify: bool) -> None:
    """Say what the artefact in DIR holds.

    \b
    Examples:
      rewriter info artefact
      rewriter info artefact --verify
    """
    from rewriter import terminal
    from rewriter.artefact import versions
    from rewriter.operate.info import info as describe

    found = describe(artefact)
    if verify:
        versions.load_current(artefact, versions.verify)
    terminal.table(f"artefact {artefact}", ("what", "figure"), found.rows(), right=("figure",))
    if verify:
        terminal.line("every checksum is right")
