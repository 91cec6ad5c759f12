"""The command line: each verb parses, calls one function and prints what it returns."""

import dataclasses
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

try:
    import click
except ImportError:  # pragma: no cover - the serving tier has no command line
    sys.exit("the command line needs the learning tier: pip install 'rewriter[learn]'")

from rewriter import __version__
from rewriter.errors import RewriterError

P = ParamSpec("P")
T = TypeVar("T")

ARTEFACT = click.argument("artefact", metavar="DIR", type=click.Path(path_type=Path))

SEED = click.option("--seed", default=0, show_default=True, help="Of the world, its people and their days.")
SETTING = click.option(
    "--setting", type=click.Choice(["quiet", "normal", "noisy"]), default="normal", show_default=True, help="Of the channel."
)
MAP = click.option("--map", "pairs", multiple=True, metavar="OURS=THEIRS", help="A column under another name; repeatable.")


def _plainly(command: Callable[P, T]) -> Callable[P, T]:
    """Turn our errors, and those of the disk, into one line on stderr and exit code 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except BrokenPipeError:  # the reader has had enough, as in `rewriter info DIR | head -1`; click knows what to do
            raise
        except (RewriterError, OSError) as error:
            cause = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.filename else error
            click.echo(f"rewriter: {_inert(cause)}", err=True)
            sys.exit(1)

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="rewriter")
def main() -> None:
    """Learn from dialogue logs which requests fail and what works instead; rewrite the next one.

    \b
    Examples:
      rewriter learn logs/ --out artefact
      rewriter rewrite artefact "turn of the lamp"
      rewriter explain artefact "turn of the lamp"
    """


@main.command()
@click.argument("logs", nargs=-1, metavar="LOGS...")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Artefact folder to write.")
@MAP
@click.option("--sql", metavar="FILE", type=click.Path(path_type=Path), help="File with one SELECT that yields the log.")
@click.option("--config", "toml", metavar="FILE", type=click.Path(path_type=Path), help="Settings as TOML.")
@click.option("--check", is_flag=True, help="Only say what would be read, what is missing and what that costs.")
@_plainly
def learn(
    logs: tuple[str, ...],
    out: Path | None,
    pairs: tuple[str, ...],
    sql: Path | None,
    toml: Path | None,
    check: bool,
) -> None:
    """Learn rewrites from dialogue LOGS (files, folders or globs) and publish them in DIR.

    \b
    Examples:
      rewriter learn logs/*.parquet --out artefact
      rewriter learn calls.csv --map user_id=caller --map utterance=heard --out artefact
      rewriter learn --sql export.sql --out artefact
      rewriter learn logs/ --check
    """
    from rewriter import terminal
    from rewriter.config import Config
    from rewriter.offline import learn as job
    from rewriter.offline import logs as reader

    if not logs and sql is None:
        raise click.UsageError("name at least one log, or give --sql FILE")
    config = Config.from_toml(toml) if toml else Config()
    mapping = _mapping(pairs)
    if check:
        for text in reader.check(list(logs), config=config.logs, mapping=mapping, sql=sql).lines():
            terminal.line(text)
        return
    if out is None:
        raise click.UsageError("say where the artefact goes: --out DIR")
    with terminal.steps(job.STEPS) as progress:
        report = job.learn(list(logs), out=out, config=config, mapping=mapping, sql=sql, progress=progress)
    for text in report.log.lines():
        terminal.line(text)
    terminal.table(f"learned version {report.version}", ("what", "figure"), report.rows(), right=("figure",))


@main.command()
@ARTEFACT
@click.argument("text")
@click.option("--user", help="Pseudonym of the person who speaks.")
@click.option("--locale", help="BCP 47; the commonest of the artefact by default.")
@click.option("--after-failure", is_flag=True, help="The assistant has already said that it does not understand.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@_plainly
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
@click.option("--graph", metavar="FILE", type=click.Path(path_type=Path), help="Draw the rephrase graph as SVG or PNG.")
@click.option("--json", "as_json", is_flag=True, help="Print everything that is known as JSON.")
@_plainly
def explain(artefact: Path, text: str, user: str | None, locale: str | None, graph: Path | None, as_json: bool) -> None:
    """Say why TEXT is rewritten or left alone: evidence, S of the rivals, verdicts.

    \b
    Examples:
      rewriter explain artefact "turn of the lamp"
      rewriter explain artefact "turn of the lamp" --graph lamp.svg
    """
    from rewriter import explain as why
    from rewriter import terminal

    found = why.explain(artefact, text, user_id=user, locale=locale)
    if graph is not None:
        why.draw(artefact, text, graph, locale=locale)
    if as_json:
        click.echo(terminal.as_json(dataclasses.asdict(found)))
        return
    for sentence in found.sentences():
        terminal.line(sentence)
    if found.rivals:
        terminal.table("rules considered", why.COLUMNS, found.rows(), right=why.FIGURES)
    if graph is not None:
        terminal.line(f"graph written to {graph}")


@main.command()
@ARTEFACT
@click.option("--verify", is_flag=True, help="Also compare the checksum of every file.")
@_plainly
def info(artefact: Path, verify: bool) -> None:
    """Say what the artefact in DIR holds.

    \b
    Examples:
      rewriter info artefact
      rewriter info artefact --verify
    """
    from rewriter import terminal
    from rewriter.artefact import versions
    from rewriter.online.info import info as describe

    found = describe(artefact)
    if verify:
        versions.load_current(artefact, versions.verify)
    terminal.table(f"artefact {artefact}", ("what", "figure"), found.rows(), right=("figure",))
    if verify:
        terminal.line("every checksum is right")


@main.command()
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Folder to write."
)
@SEED
@SETTING
@_plainly
def demo(out: Path, seed: int, setting: str) -> None:
    """Simulate a home, learn from its log, rewrite, judge on later days and write DIR/report.html.

    \b
    Examples:
      rewriter demo
      rewriter demo --out noisy --setting noisy --seed 7
    """
    from rewriter import demo as show
    from rewriter import terminal
    from rewriter.evaluate.summary import asked, brief

    with terminal.steps(show.STEPS) as progress:
        found = show.demo(out, seed=seed, setting=setting, progress=progress)
    for mode, rows in found.rows.items():
        columns, lines = brief(rows)
        terminal.table(f"judged {mode}", columns, lines, right=columns[1:])
        terminal.line(asked(rows[1]))
    for name, share in found.ceilings.items():
        terminal.line(f"ceiling of {name}: {100 * share:.1f} % of the defects")
    terminal.table("ten rewrites", show.EXAMPLES, show.told(found.examples), right=show.EXAMPLES[2:])
    terminal.line(f"report: {found.report}")


@main.command()
@click.option(
    "--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help="Log to write: .parquet, .jsonl or .csv."
)
@click.option(
    "--world", type=click.Choice(["home", "phrases"]), default="home", show_default=True, help="Whose parser understands."
)
@click.option("--days", default=10, show_default=True, help="Days of the log.")
@click.option("--users", default=120, show_default=True, help="People; a fifth of them never enters the log.")
@SEED
@SETTING
@_plainly
def simulate(out: Path, world: str, days: int, users: int, seed: int, setting: str) -> None:
    """Write the log of a simulated world, with the truth in the columns goal and said.

    \b
    Examples:
      rewriter simulate --out log.parquet
      rewriter simulate --out noisy.jsonl --setting noisy --days 30 --users 300
    """
    from datetime import date

    from rewriter import terminal
    from rewriter.simulate.logs import simulate_log

    names = [str(n + 1) for n in range(days)]
    with terminal.steps(["a world", *names]) as progress:
        progress("a world")
        done = iter(names)

        def on_day(_day: date, _turns: int) -> None:
            progress(next(done))

        rows = simulate_log(world, out, days=days, users=users, seed=seed, setting=setting, on_day=on_day)
    terminal.line(f"{rows:,} turns of {days} days in {out}")


@main.command()
@ARTEFACT
@click.argument("log", metavar="LOG...", nargs=-1, required=True)
@click.option("--truth", metavar="COLUMN", help="Column of the log that names what was meant (a hypothesis).")
@click.option("--after-failure", is_flag=True, help="Ask only where the assistant did not understand.")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Folder for outcomes.parquet, figures and curve.")
@MAP
@_plainly
def evaluate(
    artefact: Path, log: tuple[str, ...], truth: str | None, after_failure: bool, out: Path | None, pairs: tuple[str, ...]
) -> None:
    """Replay later logs through the artefact in DIR: wins, losses and what was broken, with intervals.

    \b
    Examples:
      rewriter evaluate artefact later.parquet
      rewriter evaluate artefact later.parquet --truth goal --out figures
    """
    from rewriter import terminal
    from rewriter.evaluate.evaluation import evaluate as judge
    from rewriter.evaluate.summary import asked, brief

    found = judge(artefact, list(log), truth=truth, mapping=_mapping(pairs), out=out, after_failure=after_failure)
    for text in (*found.log.lines(), *(f"careful: {warning}" for warning in found.warnings)):
        terminal.line(text)
    columns, lines = brief(found.rows)
    terminal.table(f"replayed {'after a refusal' if after_failure else 'before the NLU'}", columns, lines, right=columns[1:])
    terminal.line(asked(found.rows[0]))
    if out is not None:
        terminal.line(f"outcomes, table and curve are in {out}")


def _inert(value: object) -> str:
    """Return one line that no terminal obeys: an error may quote a log."""
    from rewriter import terminal

    return terminal.visible(value)


def _mapping(pairs: tuple[str, ...]) -> dict[str, str]:
    """Read OURS=THEIRS pairs."""
    mapping = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not (ours and equals and theirs):
            raise click.UsageError(f"--map takes OURS=THEIRS, not {pair!r}")
        mapping[ours.strip()] = theirs.strip()
    return mapping


if __name__ == "__main__":
    main()
