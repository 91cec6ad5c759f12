"""learn(): the order of the steps from a log to an artefact."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from rewriter.artefact.versions import Version, open_version
from rewriter.artefact.writer import Writer
from rewriter.codes import RuleVerdict
from rewriter.config import Config
from rewriter.detect.select import BestDetector, is_kept
from rewriter.detect.word_risk import export_risk
from rewriter.engines import DuckDB
from rewriter.errors import running
from rewriter.guardrail.contrasts import save_contrasts
from rewriter.model.detector import Detector
from rewriter.model.layer_slices import Promise, open_promises, save_promises, save_shares
from rewriter.offline import verdict
from rewriter.offline.catalog import CatalogReport, Sources
from rewriter.offline.catalog_layer import KeptCatalog
from rewriter.offline.fit.ambiguity import learn_ambiguity
from rewriter.offline.fit.query_index import build_query_index, contrasts
from rewriter.offline.fit.ranker import defect_counts, fit
from rewriter.offline.lifecycle import evidence, transitions
from rewriter.offline.lifecycle.transitions import Lifecycle
from rewriter.offline.logs import reader
from rewriter.offline.logs.report import LogReport
from rewriter.offline.mining import pipeline
from rewriter.offline.mining.incremental import PARTED, Carried
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.rules import chain, context, launch
from rewriter.offline.rules.launch import Decided
from rewriter.offline.rules.priors import Priors
from rewriter.offline.verdict import LogVerdict

STEPS = ("log", "mine", "chain", "launch", "encode", "fit", "artefact")
_KEPT = ("users", "texts", "recent", *PARTED, "nodes", "edges", "queries")
"""Mined tables that go into the private state."""
_DETECTOR = "detector"
"""Folder of the private state that keeps the detector between fits."""
Progress = Callable[[str], None]
Judge = Callable[[Path, Version], Sequence[str]]
"""(turns that were read, finished version) -> reasons why it must not serve yet."""


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
        catalog: texts that the assistant understands (`rewriter.offline.catalog`). They answer refusals where the online layer of
            the log is off, and are kept until another catalog is given. None for the one that `out` keeps.
        channel: with a catalog: ``spoken`` or ``typed``, how requests reach the assistant.
        complete: with a catalog: whether the assistant understands nothing else.
        judge: called with the turns that were read and the finished version; returns reasons why the version must not serve yet.
            A version with reasons is held back (`artefact.switch.publish`). If None, every version serves.
        progress: called with the name of each step of `STEPS` as it starts.

    Returns:
        What was read, mined, launched and refused.

    Raises:
        ConfigError, LogError, EngineError, ArtefactError: one line with the cause and the cure. An ArtefactError is raised, too,
            if the private state of `out` is missing or lacks a file.

    Example:
        >>> import tempfile
        >>> report = learn(["data/sample.parquet"], out=tempfile.mkdtemp())
        >>> report.rules["global"] > 0
        True
    """
    config, clock = config or Config(), _Clock(progress)
    given = None if catalog is None else KeptCatalog.given(catalog, config, channel=channel, complete=complete)
    with Writer(out) as writer:
        clock.start("log")
        known = None if afresh else writer.whole_state()
        past, before = Carried.read(known), Lifecycle.read(known)
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
        k_raised = known is not None and _min_users(out, known.name) < config.launch.min_users
        due = past.due(log, config.loop) or (k_raised and config.loop.refit_days > 0)
        if known is not None and not log.files and not due and given is None and (old := _same_settings(out, known.name, config)):
            return _nothing_new(old, log, before.rules, config)
        turns = writer.work / "turns.parquet"
        clock.start("mine")
        kept = known if config.loop.refit_days and not due else None
        best = _best(kept, config)
        whole = due or (detector is None and best.looks_back)
        mined = _mine(turns, detector or best, config, before, past, whole=whole)
        clock.start("chain")
        solved = chain.solve(*chain.load(mined.nodes, mined.edges), config.chain)
        clock.start("launch")
        decided = launch.decide(mined, solved, config, Priors.open(kept), contrasts(mined, config.launch.min_users))
        today, doubted = pipeline.last_day(mined), evidence.withdrawn_slices(before.rules, before.evidence_starts)
        online = writer.folder / "online"
        promises: dict[str, Promise] = {}
        if due:
            promises = _fit(mined, decided, best, doubted, config, online, clock)
            save_promises(online, promises)
        elif past.fitted_day is not None and not k_raised:  # else the layer holds texts of fewer than k users
            writer.take_over("online")
            promises = open_promises(online)
        clock.start("launch")
        slices = evidence.assess_slices(promises, doubted, today, fitted=due)
        rules = pd.concat([decided.rules, slices], ignore_index=True) if len(slices) else decided.rules
        draw, k = config.loop.draw or decisions is not None, config.launch.min_users
        now = transitions.advance(rules, before, mined, today, config.loop, min_users=k, draw=draw, fitted=due, k_raised=k_raised)
        clock.start("artefact")
        launched, n_in_context = launch.write_served(now.rules, writer.folder, config.trigger.suggest_loss_share)
        save_shares(writer.folder / "rules", evidence.slice_shares(now.rules))
        left = past.after(log, config, fitted=due)
        n_texts = _serve_catalog(given, writer, config, afresh=afresh)
        now.write(writer.state)
        left.write(writer.state)
        if config.loop.refit_days:
            decided.in_context.global_rules.priors.save(writer.state)
            best.save(writer.state / _DETECTOR)
        writer.finish_state([*(getattr(mined, name) for name in _KEPT), writer.work / "rejected.parquet"])
        counts = launched["scope"].value_counts().to_dict() | ({"context": n_in_context} if n_in_context else {})
        expected = {name: float((launched["turns"] * launched[name]).sum()) for name in ("win", "loss")}
        version = writer.publish(
            config=config,
            locales=mined.locales,
            counts={"turns": left.turns, **{f"{scope} rules": n for scope, n in counts.items()}}
            | ({"catalog texts": n_texts} if n_texts else {}),
            metrics=_metrics(expected) | evidence.slice_figures(promises) | best.metrics(),
            judge=judge and partial(judge, turns),
        )
    clock.start("")
    return LearnReport(
        version=version,
        nothing_new=False,
        held=writer.reasons,
        log=log,
        rules={"global": 0, "personal": 0, **counts},
        refused=_refused(now.rules),
        win=expected["win"],
        loss=expected["loss"],
        verdict=verdict.of_learned(log, left.turns, now.rules, promises, config),
        detector=type(detector).__name__ if detector else str(best),
        seconds=clock.seconds,
        catalog_texts=n_texts,
        catalog=None if given is None else given.report,
    )


def _serve_catalog(given: KeptCatalog | None, writer: Writer, config: Config, *, afresh: bool) -> int:
    """Serve and keep the catalog that was given, else the one that is kept; return the number of its texts."""
    served = given or (None if afresh else KeptCatalog.open(writer.previous_state, config))
    if served is None:
        return 0
    served.save(writer.state)
    return sum(served.write(writer.folder / "catalog", config).values())


def _best(kept: Path | None, config: Config) -> BestDetector:
    """Return the detector that is kept in a state, or one that is yet to be learned."""
    folder = kept / _DETECTOR if kept is not None and is_kept(kept / _DETECTOR) else None
    return BestDetector(config.seed, config.rephrases.reader, config.launch.min_users, folder)


def _mine(
    turns: Path, detector: Detector | BestDetector, config: Config, before: Lifecycle, past: Carried, *, whole: bool
) -> Mined:
    engine, starts = DuckDB(turns.parent), before.evidence_starts
    try:
        return pipeline.mine(engine, turns, detector, config, evidence_starts=starts, carried=past, whole=whole)
    finally:
        engine.close()


def _fit(
    mined: Mined,
    decided: Decided,
    best: BestDetector,
    doubted: Mapping[str, int],
    config: Config,
    online: Path,
    clock: "_Clock",
) -> dict[str, Promise]:
    """Fit the online layer into its folder, and return what held-out evidence promises of each slice."""
    inputs, in_context = decided.inputs, decided.in_context
    query_index, guardrails = build_query_index(mined, in_context.global_rules.pairs, config, online), decided.guardrails
    save_contrasts(online, guardrails.contrasts)
    clock.start("fit")
    risk = defect_counts(mined, best.pair, config.launch.min_users)
    export_risk(best.pair, risk.risk(), config, online)
    promises = fit(
        mined, in_context.global_rules, inputs.votes, query_index, risk, mined.said, config, online, doubted, guardrails
    )
    if config.launch.personal:
        known = context.known_by_context(in_context)
        promises |= learn_ambiguity(mined, in_context.global_rules, inputs.votes, query_index, known, config, online, guardrails)
    return promises


def _metrics(expected: Mapping[str, float]) -> dict[str, float]:
    win, loss = expected["win"], expected["loss"]
    share = loss / (win + loss) if win + loss else math.nan
    return {"expected wins": win, "expected losses": loss, "expected loss share": share}


def _refused(rules: pd.DataFrame) -> dict[str, int]:
    """Count refused rules by verdict, without those for a context value: a text has as many of these as it has context values."""
    rows = rules[(rules["verdict"] != RuleVerdict.LAUNCHED) & rules["scope"].isin(["global", "personal"])]
    return dict(Counter(rows["verdict"]))


def _min_users(root: str | Path, version_id: str) -> int:
    """Return k of the version that was learned last."""
    return Config.from_dict(dict(open_version(root, version_id).manifest.config)).launch.min_users


def _same_settings(root: str | Path, version_id: str, config: Config) -> Version | None:
    """Return the version that was learned last if it was learned under these settings, else None."""
    version = open_version(root, version_id)
    return version if version.manifest.config == config.to_dict() else None


def _nothing_new(old: Version, log: LogReport, ruled: pd.DataFrame, config: Config) -> LearnReport:
    """Report that all files were known; the figures are those of the version that was learned last."""
    counts, metrics = old.manifest.counts, old.manifest.metrics
    rules = {name.removesuffix(" rules"): n for name, n in counts.items() if name.endswith(" rules")}
    win, loss = (metrics.get(f"expected {name}") or 0.0 for name in ("wins", "losses"))
    found = verdict.of_learned(log, counts.get("turns", 0), ruled, open_promises(old.folder / "online"), config)
    return LearnReport(old.id, True, (), log, rules, {}, win, loss, found, "none: nothing new", {})


class _Clock:
    """Measures how long each step takes, and reports its start."""

    def __init__(self, progress: Progress | None) -> None:
        self.seconds: dict[str, float] = {}
        self._progress, self._step, self._since = progress, "", 0.0

    def start(self, step: str) -> None:
        """End the step that runs, and start the next one; an empty name only ends it."""
        now = time.perf_counter()
        if self._step:
            self.seconds[self._step] = self.seconds.get(self._step, 0.0) + now - self._since
        self._step, self._since = step, now
        if step and self._progress:
            self._progress(step)
