"""The verbs that learn, `learn` and `label`, and `settings`, which lists what steers them."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rewriter.cli import PATH, Where, main, mines, plainly, reads_log

if TYPE_CHECKING:
    from rewriter.config import Config
    from rewriter.offline.learn import LearnReport


@main.command()
@click.argument("logs", nargs=-1, metavar="LOGS...")
@click.option("--out", metavar="DIR", type=PATH, help="Folder to write the artefact to.")
@click.option("--sql", metavar="FILE", type=PATH, help="File with one SELECT whose rows are the log.")
@click.option("--config", "toml", metavar="FILE", type=PATH, help="Settings, a TOML file.")
@click.option("--decisions", metavar="DIR", type=PATH, help="Folder that rewriter.DecisionLog wrote.")
@click.option("--afresh", is_flag=True, help="Start anew: drop what DIR has learned before.")
@click.option("--check", is_flag=True, help="Only say how the log is understood, what is missing, and what to run.")
@click.option("--save-mapping", "keep", metavar="FILE", type=PATH, help="With --check: write the pairs of --map it found.")
@click.option(
    "--catalog",
    "catalogs",
    multiple=True,
    metavar="FILE",
    type=PATH,
    help="Texts the assistant understands; with LOGS, or alone.",
)
@click.option("--catalog-is-complete", is_flag=True, help="The assistant understands nothing but the catalog.")
@click.option("--typed", is_flag=True, help="Requests are typed, not spoken: they may be misspelled, not misheard.")
@mines
@plainly
@reads_log
def learn(
    logs: tuple[str, ...],
    out: Path | None,
    mapping: dict[str, str],
    sql: Path | None,
    toml: Path | None,
    decisions: Path | None,
    afresh: bool,
    check: bool,
    keep: Path | None,
    catalogs: tuple[Path, ...],
    catalog_is_complete: bool,
    typed: bool,
    where: Where,
) -> None:
    """Learn rewrites from dialogue LOGS (files, folders or patterns) and publish them in DIR.

    A new version that does worse on a replay of the log, is much smaller, or changes too many rules is held back: the version
    before keeps serving, and the exit code is 3.

    \b
    Examples:
      rewriter learn logs/*.parquet --out artefact
      rewriter learn calls.csv --map user_id=caller --map utterance=heard --out artefact
      rewriter learn --sql export.sql --out artefact
      rewriter learn today.parquet --decisions decisions --out artefact
      rewriter learn export.json --check --save-mapping export.toml
      rewriter learn export.json --mapping export.toml --out artefact
      rewriter learn --catalog phrases.jsonl --out artefact
      rewriter learn logs/ --out artefact --engine spark --master local[4]
      rewriter learn logs/ --catalog phrases.jsonl --check
    """
    from rewriter import terminal
    from rewriter.config import Config
    from rewriter.engines import EngineChoice
    from rewriter.evaluation.replay import Guard
    from rewriter.offline import learn as job

    config, _ = Config.from_toml(toml) if toml else Config(), EngineChoice(**where)
    channel = "typed" if typed else "spoken"
    if catalogs and not logs and sql is None:
        _learn_catalog(catalogs, out, config, check=check, channel=channel, complete=catalog_is_complete)
        return
    if not logs and sql is None:
        raise click.UsageError("name at least one log, for example logs/*.parquet, or give --sql FILE")
    if check:
        inspect = partial(_answerable, catalogs=catalogs, config=config, channel=channel, complete=catalog_is_complete)
        given = [f"--config {shlex.quote(str(toml))}"] if toml else []
        given += [f"--catalog {shlex.quote(str(path))}" for path in catalogs]
        given += ["--catalog-is-complete"] * catalog_is_complete + ["--typed"] * typed
        _check(logs, config, mapping, sql, inspect if catalogs else None, keep, given)
        return
    if out is None:
        raise click.UsageError("name the folder to write the artefact to, for example --out artefact")
    judge = Guard(config.publish, config.seed) if config.publish.guard else None
    with terminal.steps(job.COSTS, plain=True) as progress:
        report = job.learn(
            list(logs),
            out=out,
            config=config,
            mapping=mapping,
            sql=sql,
            decisions=decisions,
            afresh=afresh,
            catalog=catalogs or None,
            channel=channel,
            complete=catalog_is_complete,
            judge=judge,
            progress=progress,
            **where,
        )
    _tell(report, out)


def _check(
    logs: Sequence[str],
    config: "Config",
    mapping: Mapping[str, str],
    sql: Path | None,
    ask: Callable[[Path], list[str]] | None,
    keep: Path | None,
    given: Sequence[str],
) -> None:
    """Print how a log is understood, what can be learned from it, and what to run; `ask` gives lines about its turns."""
    from rewriter import terminal
    from rewriter.errors import LogError
    from rewriter.offline.logs import examine, layout, reader
    from rewriter.offline.verdict import forecast

    looked = examine.examine(logs, mapping) if sql is None else None
    if looked is not None and looked.is_new:
        terminal.table(f"{looked.file}, as it seems to be laid out", examine.COLUMNS, looked.rows(), right=("sure",))
        for text in looked.lines():
            terminal.line(text)
        mapping = looked.proposal.mapping
        if lacks := looked.proposal.lacks:
            raise LogError(f"{looked.file}: no column looks like {', '.join(lacks)}; name it, such as --map {lacks[0]}=COLUMN")
    answered: list[str] = []
    shown: list[tuple[str, ...]] = []

    def inspect(turns: Path) -> None:
        shown.extend(examine.three_rows(turns))
        answered.extend(ask(turns) if ask is not None else [])

    found = reader.check(
        list(logs),
        config=config.logs,
        mapping=mapping,
        sql=sql,
        min_users=config.launch.min_users,
        window_ms=config.rephrases.window_ms,
        inspect=inspect,
        plain=True,
    )
    if shown:
        terminal.table("as understood", examine.ROWS, shown, whole=("time",))
    for text in [*found.lines(), *answered]:
        terminal.line(text)
    terminal.heading("is the data enough? A forecast; rewriter try measures it")
    for text in forecast(found, config).lines():
        terminal.line(text)
    mapping = {**mapping, **({"dates": str(found.dates)} if found.dates else {})}
    if keep is not None:
        layout.save_mapping(mapping, keep)
    if not found.stop:
        _say_what_to_run(shlex.join(logs) if sql is None else f"--sql {shlex.quote(str(sql))}", mapping, keep, given)


def _say_what_to_run(log: str, mapping: Mapping[str, str], keep: Path | None, given: Sequence[str]) -> None:
    """Print the commands that read a log by the pairs that were found.

    Args:
        log: as on the command line.
        mapping: the pairs.
        keep: the file that holds these, if one does.
        given: the other options for learning.
    """
    from rewriter import terminal
    from rewriter.offline.logs.layout import as_options

    options = f" --mapping {shlex.quote(str(keep))}" if keep is not None else f" {as_options(mapping)}" if mapping else ""
    terminal.heading("what to run")
    terminal.line(f"try it:  rewriter try {log}{options}")
    terminal.line(" ".join([f"learn:   rewriter learn {log}{options}", *given, "--out artefact"]))
    if mapping and keep is None:
        terminal.line("shorter: --check --save-mapping FILE.toml keeps these pairs, then --mapping FILE.toml is enough")


def _tell(report: "LearnReport", out: Path) -> None:
    """Print what `learn` did, and leave with exit code 3 if the version is held back."""
    from rewriter import terminal

    for text in report.log.lines():
        terminal.line(text)
    if report.nothing_new:
        terminal.line(f"nothing new: all files were learned before; {report.version} is the newest version, and none was written")
        return
    if report.catalog is not None:
        terminal.line(str(report.catalog))
    terminal.table(f"learned version {report.version}", ("what", "figure"), _rows(report), right=("figure",))
    terminal.heading("is the data enough?")
    for text in report.verdict.lines():
        terminal.line(text)
    if report.catalog_texts:
        terminal.line(f"catalog: {report.catalog_texts:,} texts answer refusals where the online layer of the log sends nothing")
    if report.held:
        terminal.line(
            f"this version is held back and the version before keeps serving; to publish it: rewriter publish {out} --force"
        )
        sys.exit(3)


def _learn_catalog(
    catalogs: tuple[Path, ...], out: Path | None, config: "Config", *, check: bool, channel: str, complete: bool
) -> None:
    """Publish an artefact from catalogs alone, or only say what would be read."""
    from rewriter import terminal
    from rewriter.offline.catalog_layer import learn_catalog, read_served

    if check:
        terminal.line(str(read_served(catalogs, config)[1]))
        return
    if out is None:
        raise click.UsageError("name the folder to write the artefact to, for example --out artefact")
    version, report = learn_catalog(catalogs, out=out, config=config, channel=channel, complete=complete)
    terminal.line(str(report))
    terminal.line(f"learned version {version}; it answers refused requests (after_failure=True) and leaves all others alone")


def _answerable(turns: Path, catalogs: tuple[Path, ...], config: "Config", *, channel: str, complete: bool) -> list[str]:
    """Say what was read of catalogs, and how many refused turns of a log they could answer."""
    from rewriter.evaluation.evaluate import answerable
    from rewriter.offline.catalog_layer import read_served

    catalog, report = read_served(catalogs, config)
    return [str(report), str(answerable(turns, catalog, config, channel=channel, complete=complete))]


@main.command()
@click.argument("logs", nargs=-1, metavar="LOGS...")
@click.option(
    "--out",
    required=True,
    metavar="FILE",
    type=PATH,
    help="Parquet file of labels to write; it is private.",
)
@click.option("--train", metavar="FILE", type=PATH, help="Also write NLU training data: .jsonl, or .yml for Rasa.")
@click.option("--sql", metavar="FILE", type=PATH, help="File with one SELECT whose rows are the log.")
@click.option("--config", "toml", metavar="FILE", type=PATH, help="Settings, a TOML file.")
@mines
@plainly
@reads_log
def label(
    logs: tuple[str, ...],
    out: Path,
    train: Path | None,
    mapping: dict[str, str],
    sql: Path | None,
    toml: Path | None,
    where: Where,
) -> None:
    """Label every turn of dialogue LOGS.

    A label says whether the turn went wrong, which goal it belongs to, whether that goal was reached, and what was meant.

    \b
    Examples:
      rewriter label logs/ --out labels.parquet
      rewriter label logs/ --out labels.parquet --train nlu.yml
    """
    from rewriter import terminal
    from rewriter.config import Config
    from rewriter.operate import label as job

    if not logs and sql is None:
        raise click.UsageError("name at least one log, for example logs/*.parquet, or give --sql FILE")
    config = Config.from_toml(toml) if toml else Config()
    with terminal.steps(job.COSTS, plain=True) as progress:
        report = job.label(list(logs), out=out, train=train, config=config, mapping=mapping, sql=sql, progress=progress, **where)
    for text in report.log.lines():
        terminal.line(text)
    terminal.table(f"labels in {out}", ("what", "figure"), report.rows(), right=("figure",))


@main.command()
@click.option("--config", "toml", metavar="FILE", type=PATH, help="Show the values of this TOML file, not the defaults.")
@click.option("--markdown", is_flag=True, help="Print the page docs/settings.md.")
@plainly
def settings(toml: Path | None, markdown: bool) -> None:
    """List every setting of `learn`: its value, its bounds and what it does.

    \b
    Examples:
      rewriter settings
      rewriter settings --config settings.toml
    """
    from rewriter import terminal
    from rewriter.config import Config, as_markdown, reference

    if markdown:
        click.echo(as_markdown(), nl=False)
        return
    rows = (row.row() for row in reference(Config.from_toml(toml) if toml else Config()))
    terminal.table("settings", ("setting", "value", "bounds", "meaning"), rows, whole=("setting", "value"))


def _rows(report: "LearnReport") -> list[tuple[str, str]]:
    """Return what `learn` did as rows of a table."""
    from rewriter.messages import verdict_kind

    return [
        ("turns", f"{report.log.turns:,}"),
        ("rephrases found by", report.detector),
        *((f"{scope} rules", f"{n:,}") for scope, n in report.rules.items()),
        ("expected win/loss", f"{report.win / report.loss:.1f}" if report.loss else "no rule"),
        *((f"refused: {verdict_kind(verdict)}", f"{n:,}") for verdict, n in report.refused.items()),
        *(("held back", reason) for reason in report.held),
        *((f"seconds, {step}", f"{seconds:.1f}") for step, seconds in report.seconds.items()),
    ]


@main.command()
@click.argument("logs", nargs=-1, metavar="LOGS...")
@click.option("--out", metavar="FILE", type=PATH, required=True, help="Parquet file to write; private.")
@click.option("--report", metavar="FILE", type=PATH, help="HTML page to write.")
@click.option("--rules-only", is_flag=True, help="Let the documented rules decide, not the learned model.")
@click.option("--artefact", metavar="DIR", type=PATH, help="Artefact whose console is to show the clusters.")
@click.option("--catalog", metavar="FILE", type=PATH, multiple=True, help="Texts that the assistant should understand.")
@click.option("--sql", metavar="FILE", type=PATH, help="File with one SELECT whose rows are the log.")
@click.option("--config", "toml", metavar="FILE", type=PATH, help="Settings, a TOML file.")
@mines
@plainly
@reads_log
def diagnose(
    logs: tuple[str, ...],
    out: Path,
    report: Path | None,
    rules_only: bool,
    catalog: tuple[Path, ...],
    artefact: Path | None,
    mapping: dict[str, str],
    sql: Path | None,
    toml: Path | None,
    where: Where,
) -> None:
    """Say where each turn of dialogue LOGS broke, and what to do about it.

    The stages are false wake, recognition, understanding, entity and result; or nothing failed.

    \b
    Examples:
      rewriter diagnose logs/ --out failures.parquet
      rewriter diagnose logs/ --out failures.parquet --report failures.html
      rewriter diagnose logs/ --out failures.parquet --catalog phrases.txt
    """
    from rewriter import terminal
    from rewriter.config import Config
    from rewriter.operate import diagnose as job

    if not logs and sql is None:
        raise click.UsageError("name at least one log, for example logs/*.parquet, or give --sql FILE")
    config = Config.from_toml(toml) if toml else Config()
    with terminal.steps(job.COSTS, plain=True) as progress:
        found = job.diagnose(
            list(logs),
            out=out,
            report=report,
            rules_only=rules_only,
            config=config,
            mapping=mapping,
            sql=sql,
            catalog=list(catalog) or None,
            artefact=artefact,
            progress=progress,
            **where,
        )
    for text in found.log.lines():
        terminal.line(text)
    terminal.table(f"where requests break, by {found.by}", job.STAGES, found.rows(), right=job.STAGES[1:])
    terminal.line("turns are counted by the likeliest stage of each, here and below; expected: the sums of all probabilities")
    rows = [cluster.row() for cluster in found.clusters["intent"][:10]]
    if rows:
        terminal.table("the largest clusters by intent", job.COLUMNS, rows, right=job.FIGURES)
    else:
        terminal.line(f"no intent failed for {config.launch.min_users} users or more")
    terminal.line(f"every turn: {out}" + (f"; report: {report}" if report else ""))
