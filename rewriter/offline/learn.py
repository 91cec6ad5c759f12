"""learn(): the order of the steps from a log to an artefact, and nothing else."""

import math
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from rewriter.artefact.versions import Version
from rewriter.artefact.writer import Writer
from rewriter.config import Config
from rewriter.detect.select import BestDetector, is_kept
from rewriter.detect.word_risk import export_risk
from rewriter.engines.duckdb import DuckDB
from rewriter.model.detector import Detector
from rewriter.model.layer_slices import save_shares
from rewriter.model.rules import ContextRules, Rule, write_rules
from rewriter.offline.fit.ambiguity import learn_ambiguity
from rewriter.offline.fit.query_index import QueryIndex, build_query_index
from rewriter.offline.fit.ranker import defect_counts, fit
from rewriter.offline.lifecycle import layer_slices, transitions
from rewriter.offline.logs import reader
from rewriter.offline.logs.report import LogReport
from rewriter.offline.mining import pipeline
from rewriter.offline.mining.incremental import PARTED, Carried
from rewriter.offline.mining.small_tables import EvidenceStarts
from rewriter.offline.rules import chain, context, launch, votes
from rewriter.offline.rules.expected_outcome import Priors
from rewriter.offline.rules.launch import guard_of

STEPS = ("log", "mine", "chain", "launch", "encode", "fit", "artefact")
KEPT = ("users", "texts", "recent", *PARTED, "nodes", "edges", "queries")
"""Mined tables that go into the private state."""
DETECTOR = "detector"
"""The folder of the private state that keeps the detector between fits."""
Progress = Callable[[str], None]
Judge = Callable[[Path, Version], Sequence[str]]
"""(turns that were read, finished version) -> why it must not serve yet."""


@dataclass(frozen=True, slots=True)
class LearnReport:
    """What `learn` did, for people.

    Attributes:
        version: id of the artefact version that was written.
        held: why it is held back; empty where it serves.
        log: what was read.
        rules: launched rules by scope.
        refused: refused rules by reason.
        win: expected wins, had the rules served the log.
        loss: expected losses, had the rules served the log.
        detector: which detector found the restatements, and why.
        seconds: duration of each step, by its name.
    """

    version: str
    held: tuple[str, ...]
    log: LogReport
    rules: Mapping[str, int]
    refused: Mapping[str, int]
    win: float
    loss: float
    detector: str
    seconds: Mapping[str, float]

    def rows(self) -> list[tuple[str, str]]:
        """Return the report as rows of a table."""
        return [
            ("turns", f"{self.log.turns:,}"),
            ("restatements by", self.detector),
            *((f"{scope} rules", f"{n:,}") for scope, n in self.rules.items()),
            ("expected win/loss", f"{self.win / self.loss:.1f}" if self.loss else "no rule"),
            *((f"refused: {reason}", f"{n:,}") for reason, n in self.refused.items()),
            *(("held back", reason) for reason in self.held),
            *((f"seconds, {step}", f"{seconds:.1f}") for step, seconds in self.seconds.items()),
        ]


def learn(
    sources: Sequence[str | Path],
    *,
    out: str | Path,
    config: Config | None = None,
    mapping: Mapping[str, str] | None = None,
    sql: str | Path | None = None,
    detector: Detector | BestDetector | None = None,
    decisions: str | Path | None = None,
    afresh: bool = False,
    judge: Judge | None = None,
    progress: Progress | None = None,
) -> LearnReport:
    """Learn rewrites from dialogue logs and publish them as the next version of the artefact folder `out`.

    Where `out` has been learned into before, the logs are added to what it knows; files that it has read are left out.

    Args:
        sources: files, folders or globs: Parquet, JSON lines or CSV in the contract of `docs/log.md`.
        out: the artefact folder; made if it is missing. Whatever goes wrong, the version that served before serves on.
        config: settings; the defaults if None.
        mapping: contract column -> column of the log, where they differ.
        sql: file with one SELECT that yields the log, in place of `sources`.
        detector: scores candidates; if None, the one learned from the log or the documented rule, whichever finds more of what
            the log tells of itself (`rewriter.detect.select`).
        decisions: folder that a `rewriter.DecisionLog` filled; its decisions are joined to the turns of the log.
        afresh: whether everything that `out` knows is forgotten first, but for the key of its users.
        judge: asked about the finished version, and the turns that were read, why it must not serve yet; a version that it
            gives reasons against is held back (`artefact.switch.publish`). None to let every version serve.
        progress: told the name of each step of `STEPS` as it starts.

    Returns:
        What was read, mined, launched and refused.

    Raises:
        ConfigError, LogError, EngineError, ArtefactError: one line with the cause and the cure.

    Example:
        >>> import tempfile
        >>> report = learn(["data/sample.parquet"], out=tempfile.mkdtemp())
        >>> report.rules["global"] > 0
        True
    """
    config = config or Config()
    clock = _Clock(progress)
    with Writer(out) as writer:
        clock.start("log")
        known = None if afresh else writer.previous_state
        past, before = Carried.read(known), transitions.read(known)
        log = reader.read(
            sources,
            out=writer.work,
            key=writer.user_key,
            config=config.logs,
            mapping=mapping or {},
            sql=Path(sql) if sql else None,
            seen=frozenset(past.files),
            decisions=Path(decisions) if decisions else None,
            feedback=Path(out) / "state" / "feedback.jsonl",
            min_users=config.launch.min_users,
            rejected=lambda: Path(out) / "state" / "rejected.parquet",
        )
        turns = writer.work / "turns.parquet"
        clock.start("mine")
        due = past.due(log, config.loop)
        kept = known if config.loop.refit_days and not due else None
        best = _best(kept, config)
        mined = _mine(
            turns, detector or best, config, before.evidence_starts, past, whole=due or (detector is None and best.looks_back)
        )
        clock.start("chain")
        solved = chain.resolve(*chain.load(mined.nodes, mined.edges), config.chain, chain.read(known, config.chain))
        clock.start("launch")
        inputs, global_rules, settled, decided = _decide(mined, solved, config, Priors.open(kept))
        today, waiting = pipeline.last_day(mined), layer_slices.doubted(before.rules, before.evidence_starts)
        clock.start("encode")
        online = writer.folder / "online"
        if due:
            query_index = build_query_index(mined, global_rules.pairs, config, online)
            clock.start("fit")
            went = defect_counts(mined, best.pair, config.launch.min_users)
            export_risk(best.pair, went.risk(), config, online)
            promised = fit(mined, settled.global_rules, inputs.votes, query_index, went, mined.said, config, online, waiting)
            promised |= _ambiguity(mined, inputs, settled, query_index, config, online)
        else:
            promised = writer.take_over("online") if past.fitted_day is not None else {}
        clock.start("launch")
        layer = layer_slices.decided(promised, waiting, today, fitted=due)
        decided = pd.concat([decided, layer], ignore_index=True) if len(layer) else decided
        draw, k = config.loop.draw or decisions is not None, config.launch.min_users
        now = transitions.advance(decided, before, mined, today, config.loop, min_users=k, draw=draw, fitted=due)
        clock.start("artefact")
        launched, in_context = _write_served(now.rules, writer.folder)
        transitions.write(now, writer.state)
        for path in (*(getattr(mined, name) for name in KEPT), writer.work / "rejected.parquet"):
            shutil.move(path, writer.state / path.name)
        chain.write(solved, config.chain, writer.state)
        left = past.after(log, config, fitted=due)
        left.write(writer.state)
        if config.loop.refit_days:
            global_rules.priors.save(writer.state)
            best.save(writer.state / DETECTOR)
        rules = launched["scope"].value_counts().to_dict() | ({"context": in_context} if in_context else {})
        expected = {name: float((launched["turns"] * launched[name]).sum()) for name in ("win", "loss")}
        version = writer.publish(
            config=config,
            locales=mined.locales,
            counts={"turns": left.turns, **{f"{scope} rules": n for scope, n in rules.items()}},
            metrics=_metrics(expected) | promised | best.metrics(),
            judge=judge and partial(judge, turns),
        )
    clock.start("")
    return LearnReport(
        version=version,
        held=writer.reasons,
        log=log,
        rules={"global": 0, "personal": 0, **rules},
        refused=_refused(now.rules),
        win=expected["win"],
        loss=expected["loss"],
        detector=type(detector).__name__ if detector else str(best),
        seconds=clock.seconds,
    )


def _best(state: Path | None, config: Config) -> BestDetector:
    """Return the detector that is kept in a state, or one that is yet to learn."""
    kept = state / DETECTOR if state is not None and is_kept(state / DETECTOR) else None
    return BestDetector(config.seed, config.rephrases.reader, config.launch.min_users, kept)


def _mine(
    turns: Path, detector: Detector | BestDetector, config: Config, evidence_starts: EvidenceStarts, past: Carried, *, whole: bool
) -> pipeline.Mined:
    engine = DuckDB(turns.parent)
    try:
        return pipeline.mine(engine, turns, detector, config, evidence_starts=evidence_starts, carried=past, whole=whole)
    finally:
        engine.close()


def _decide(
    mined: pipeline.Mined, solved: chain.Absorption, config: Config, priors: Priors | None
) -> tuple[launch.LaunchInputs, launch.GlobalRules, context.Settled, pd.DataFrame]:
    """Weigh the rules for everybody, those of single context values, and those for single users."""
    inputs = launch.LaunchInputs.of(mined, votes.read(mined, solved.scores, solved.absorbed), solved, config.launch)
    guard = guard_of(mined.queries, mined.nodes, config.launch.min_users)
    global_rules = launch.everybody(inputs, guard, config.launch, config.seed, priors)
    settled = context.settle(inputs, solved.absorbed, global_rules, guard, config.launch, config.seed)
    every = [settled.global_rules.rules, settled.rules]
    if config.launch.personal:
        personal = launch.one_user(inputs, settled.global_rules, guard, config.launch, config.seed)
        every.append(context.explained(settled, personal, mined))
    return inputs, global_rules, settled, pd.concat(every, ignore_index=True)


def _ambiguity(
    mined: pipeline.Mined,
    inputs: launch.LaunchInputs,
    settled: context.Settled,
    query_index: QueryIndex,
    config: Config,
    online: Path,
) -> dict[str, float]:
    """Learn what texts of more than one meaning mean to whom, but for those whose meaning the context tells."""
    if not config.launch.personal:
        return {}
    by_context = settled.rules[settled.rules["verdict"] == launch.LAUNCHED].groupby(["locale", "source"])["state"].nunique()
    told = set(by_context.index[by_context > 1])
    return learn_ambiguity(mined, settled.global_rules, inputs.votes, query_index, told, config.launch, online)


def _write_served(rules: pd.DataFrame, folder: Path) -> tuple[pd.DataFrame, int]:
    """Write all that serves; return the rules for everybody and for single users, and how many there are for a context."""
    launched = rules[(rules["verdict"] == launch.LAUNCHED) & rules["scope"].isin(["global", "personal"])]
    in_context = context.serving(rules)
    write_rules(folder / "rules", _rules(launched))
    ContextRules(in_context).save(folder / "rules")
    save_shares(folder / "rules", layer_slices.shares(rules))
    launch.write(launched[launched["scope"] == "global"], folder / "rules.parquet")
    return launched, len(in_context)


def _rules(launched: pd.DataFrame) -> Iterable[Rule]:
    columns = (launched[name] for name in ("rule", "user_id", "locale", "source", "target", "win", "share"))
    return (Rule(*row) for row in zip(*columns, strict=True))


def _metrics(expected: Mapping[str, float]) -> dict[str, float]:
    decided = expected["win"] + expected["loss"]
    return {
        "expected wins": expected["win"],
        "expected losses": expected["loss"],
        "expected loss share": expected["loss"] / decided if decided else math.nan,
    }


def _refused(decided: pd.DataFrame) -> dict[str, int]:
    """Count the refused rules by reason, less those for the context: a text has as many of these as it has context values."""
    rows = decided[(decided["verdict"] != launch.LAUNCHED) & decided["scope"].isin(["global", "personal"])]
    return dict(Counter(map(_kind, rows["verdict"])))


def _kind(verdict: str) -> str:
    """Return the sort of a refusal: what the guardrail says in detail is told by `explain`."""
    return verdict.partition(":")[0]


class _Clock:
    """Tells how long each step took, and the caller when one starts."""

    def __init__(self, progress: Progress | None) -> None:
        self.seconds: dict[str, float] = {}
        self._progress, self._step, self._since = progress, "", 0.0

    def start(self, step: str) -> None:
        now = time.perf_counter()
        if self._step:
            self.seconds[self._step] = self.seconds.get(self._step, 0.0) + now - self._since
        self._step, self._since = step, now
        if step and self._progress:
            self._progress(step)
