"""learn(): the order of the steps from a log to an artefact."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from rewriter.artefact.versions import Version
from rewriter.artefact.writer import Writer
from rewriter.codes import RuleVerdict
from rewriter.config import Config
from rewriter.detect.select import BestDetector
from rewriter.engines import DUCKDB, EngineChoice
from rewriter.errors import running
from rewriter.model.detector import Detector
from rewriter.model.layer_slices import Promise, open_promises
from rewriter.model.query_store import query_texts
from rewriter.offline import verdict
from rewriter.offline.catalog import CatalogReport, Sources
from rewriter.offline.catalog_layer import KeptCatalog
from rewriter.offline.lifecycle.transitions import Lifecycle
from rewriter.offline.logs.report import LogReport
from rewriter.offline.run import Clock, Judge, Published, Run, RunInputs
from rewriter.offline.verdict import LogVerdict
from rewriter.progress import Cost, Progress

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COSTS: Final[Mapping[str, Cost]] = {
    "log": Cost(0.22, 3.56),
    "mine": Cost(7.6, 46.04),
    "chain": Cost(0.08, 0.04),
    "launch": Cost(1.57, 4.73),
    "encode": Cost(0.15, 14.31),
    "fit": Cost(15.48, 7.4),
    "artefact": Cost(0.71, 1.48),
}
"""Seconds of the processor of each step, as `benchmarks/learn_cost.py` finds them from its sizes; for the time that is left."""
STEPS = tuple(COSTS)


@dataclass(frozen=True, slots=True)
class LearnReport:
    """What `learn` did.

    Attributes:
        version: id of the artefact version that was written; of the newest one if nothing was new.
        nothing_new: whether all files had been learned before under the same settings, so that no version was written.
        held: reasons why the version is held back; empty if it serves.
        log: what was read.
        rules: launched rules by scope.
        refused: refused rules by verdict (`codes.RuleVerdict`).
        win: expected wins, had the rules served the log.
        loss: expected losses, had the rules served the log.
        verdict: how much of the log is enough for what, and what to do next.
        detector: the detector that found the rephrases, and why it was chosen.
        seconds: duration of each step, by its name.
        catalog_texts: texts of the catalog that serve beside what the log has taught.
        catalog: what became of the rows of the catalog; None if none was given.
    """

    version: str
    nothing_new: bool
    held: tuple[str, ...]
    log: LogReport
    rules: Mapping[str, int]
    refused: Mapping[str, int]
    win: float
    loss: float
    verdict: LogVerdict
    detector: str
    seconds: Mapping[str, float]
    catalog_texts: int = 0
    catalog: CatalogReport | None = None


@running("learning")
def learn(
    sources: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    config: Config | None = None,
    mapping: Mapping[str, str] | None = None,
    sql: str | Path | None = None,
    detector: Detector | BestDetector | None = None,
    decisions: str | Path | None = None,
    afresh: bool = False,
    catalog: Sources | None = None,
    channel: str = "spoken",
    complete: bool = False,
    judge: Judge | None = None,
    progress: Progress | None = None,
    engine: "str | SparkSession" = DUCKDB,
    master: str | None = None,
    memory_gb: float | None = None,
) -> LearnReport:
    """Learn rewrites from dialogue logs and publish them as the next version of the artefact folder `out`.

    If `out` has been learned into before, the logs are added to what it knows, and files that it has read are skipped. If all
    files were read before under the same settings, nothing is published.

    Args:
        sources: files, folders or globs: Parquet, JSON lines or CSV in the contract of `docs/log.md`.
        out: the artefact folder; made if it is missing. If anything fails, the version that served before serves on.
        config: settings; the defaults if None.
        mapping: contract column -> column of the log, where they differ.
        sql: file with one SELECT that yields the log, in place of `sources`.
        detector: scores candidates. If None, the detector learned from the log or the documented rule, whichever finds more of
            the rephrases that the log confirms (`rewriter.detect.select`).
        decisions: folder that a `rewriter.DecisionLog` filled; its decisions are joined to the turns of the log.
        afresh: whether to forget everything that `out` knows first, except the key under which users are hashed.
        catalog: texts that the assistant understands (`rewriter.offline.catalog`). They answer refusals for which the online
            layer of the log sends nothing, and are kept until another catalog is given. None for the one that `out` keeps.
        channel: ``spoken`` or ``typed``: how requests reach the assistant, for the shipped prior.
        complete: with a catalog: whether the assistant understands nothing else.
        judge: called with the turns that were read and the finished version; returns reasons why the version must not serve yet.
            A version with reasons is held back (`artefact.switch.publish`). If None, every version serves.
        progress: called with the name of each step of `STEPS` as it starts. One that has the methods of
            `rewriter.progress.Follows` is told counts, too.
        engine: what mines: ``duckdb``, ``spark``, or a Spark session. The rules are the same (docs/scale.md).
        master: of ``spark``, such as ``local[2]`` or ``spark://host:7077``; None for all threads of this machine.
        memory_gb: memory to use. DuckDB gets half of it and spills to the disk beyond; below 3 a detector learns from and scores
            smaller parts of a large log. Where the tables that stay in memory need more, nothing is mined. None for DuckDB's own
            limit.

    Returns:
        What was read, mined, launched and refused.

    Raises:
        ConfigError, LogError, EngineError, ArtefactError: one line with the cause and the cure. An ArtefactError is raised, too,
            if the private state of `out` is missing or lacks a file.

    Example:
        >>> import tempfile
        >>> report = learn(["data/sample.parquet"], out=tempfile.mkdtemp())  # doctest: +SKIP
        >>> report.rules["global"] > 0  # doctest: +SKIP
        True
    """
    config, clock, choice = Config.given(config), Clock(progress), EngineChoice(engine, master, memory_gb)
    given = None if catalog is None else KeptCatalog.given(catalog, config, channel=channel, complete=complete)
    draw = config.loop.draw or decisions is not None
    with choice.limited(), Writer(out) as writer:
        run = Run(writer, Path(out), config, clock, detector, given, draw, afresh, channel, choice)
        day = run.read(sources, mapping or {}, sql, decisions)
        if (old := run.unchanged(day)) is not None:
            return _nothing_new(old, day.log, day.before.rules, config)
        best = run.detector_of(day)
        mined = run.mine(day, best)
        decided = run.launch(day, mined)
        promises = run.fit(day, mined, decided, best)
        now = run.advance(day, mined, decided, promises)
        published = run.publish(day, mined, decided, promises, now, best, judge)
    clock.start("")
    return _report(run, day, promises, now, best, published)


def _report(
    run: Run, day: RunInputs, promises: Mapping[str, Promise], now: Lifecycle, best: BestDetector, published: Published
) -> LearnReport:
    turns = day.past.turns + day.log.turns
    texts = query_texts(run.out / "versions" / published.version)
    return LearnReport(
        version=published.version,
        nothing_new=False,
        held=run.writer.reasons,
        log=day.log,
        rules={"global": 0, "personal": 0, **published.counts},
        refused=_refused(now.rules),
        win=published.expected["win"],
        loss=published.expected["loss"],
        verdict=verdict.of_learned(day.log, turns, now.rules, promises, texts, run.config),
        detector=type(run.detector).__name__ if run.detector else str(best),
        seconds=run.clock.seconds,
        catalog_texts=published.n_texts,
        catalog=None if run.given is None else run.given.report,
    )


def _refused(rules: pd.DataFrame) -> dict[str, int]:
    """Count refused rules by verdict, without those for a context value: a text has as many of these as it has context values."""
    rows = rules[(rules["verdict"] != RuleVerdict.LAUNCHED) & rules["scope"].isin(["global", "personal"])]
    return dict(Counter(rows["verdict"]))


def _nothing_new(old: Version, log: LogReport, ruled: pd.DataFrame, config: Config) -> LearnReport:
    """Report that all files were known; the figures are those of the version that was learned last."""
    counts, metrics = old.manifest.counts, old.manifest.metrics
    rules = {name.removesuffix(" rules"): n for name, n in counts.items() if name.endswith(" rules")}
    win, loss = (metrics.get(f"expected {name}") or 0.0 for name in ("wins", "losses"))
    found = verdict.of_learned(
        log, counts.get("turns", 0), ruled, open_promises(old.folder / "online"), query_texts(old.folder), config
    )
    return LearnReport(old.id, True, (), log, rules, {}, win, loss, found, "none: nothing new", {})
