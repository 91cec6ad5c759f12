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
from rewriter.model.rules import save_moments
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
from rewriter.offline.rules import chain, exceptions, launch
from rewriter.offline.rules.launch import Decided
from rewriter.offline.rules.moments import find_moments
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
        catalog: texts that the assistant understands (`rewriter.offline.catalog`). They answer refusals for which the online
            layer of the log sends nothing, and are kept until another catalog is given. None for the one that `out` keeps.
        channel: ``spoken`` or ``typed``: how requests reach the assistant, for the shipped prior.
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
        >>> report = learn(["data/sample.parquet"], out=tempfile.mkdtemp())  # doctest: +SKIP
        >>> report.rules["global"] > 0  # doctest: +SKIP
        True
    """
    config, clock = config or Config(), _Clock(progress)
    given = None if catalog is None else KeptCatalog.given(catalog, config, channel=channel, complete=complete)
    with Writer(out) as writer:
        run = _Run(writer, Path(out), config, clock, detector, given, config.loop.draw or decisions is not None, afresh, channel)
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
    return run.report(day, promises, now, best, published)


@dataclass(frozen=True, slots=True)
class _Day:
    """What a run starts from.

    Attributes:
        known: the private state of the run before; None where there is none, or where it is not to be used.
        past: what that state holds of the logs.
        before: what it holds of the stages of rules.
        log: what was read today.
        turns: Parquet of `tables.TURNS`, those of today.
        k_raised: whether more users are asked for than in the run before.
        due: whether what is fitted is fitted today.
    """

    known: Path | None
    past: Carried
    before: Lifecycle
    log: LogReport
    turns: Path
    k_raised: bool
    due: bool

    def kept(self, config: Config) -> Path | None:
        """Return the state whose fitted parts are used again; None where they are fitted today."""
        return self.known if config.loop.refit_days and not self.due else None


@dataclass(frozen=True, slots=True)
class _Published:
    """What was published: the version, rules by scope, expected wins and losses, and texts of the catalog."""

    version: str
    counts: Mapping[str, int]
    expected: Mapping[str, float]
    n_texts: int


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of `learn`; its methods are the steps, in the order in which they are called."""

    writer: Writer
    out: Path
    config: Config
    clock: "_Clock"
    detector: Detector | BestDetector | None
    given: KeptCatalog | None
    draw: bool
    afresh: bool
    channel: str

    def read(
        self,
        sources: str | Path | Sequence[str | Path],
        mapping: Mapping[str, str],
        sql: str | Path | None,
        decisions: str | Path | None,
    ) -> _Day:
        """Read the private state and the log."""
        self.clock.start("log")
        writer, config, state = self.writer, self.config, self.out / "state"
        known = None if self.afresh else writer.whole_state()
        past, before = Carried.read(known), Lifecycle.read(known)
        log = reader.read(
            sources,
            out=writer.work,
            key=writer.user_key,
            config=config.logs,
            mapping=mapping,
            sql=Path(sql) if sql else None,
            seen=frozenset(past.files),
            decisions=Path(decisions) if decisions else None,
            feedback=state / "feedback.jsonl",
            min_users=config.launch.min_users,
            rejected=lambda: state / "rejected.parquet",
        )
        k_raised = known is not None and _min_users(self.out, known.name) < config.launch.min_users
        due = past.due(log, config.loop) or (k_raised and config.loop.refit_days > 0)
        return _Day(known, past, before, log, writer.work / "turns.parquet", k_raised, due)

    def unchanged(self, day: _Day) -> Version | None:
        """Return the version that was learned last if nothing is new, else None."""
        if day.known is None or day.log.files or day.due or self.given is not None:
            return None
        return _same_settings(self.out, day.known.name, self.config)

    def detector_of(self, day: _Day) -> BestDetector:
        """Return the detector that is kept, or one that is yet to be learned."""
        self.clock.start("mine")
        kept, config = day.kept(self.config), self.config
        folder = kept / _DETECTOR if kept is not None and is_kept(kept / _DETECTOR) else None
        return BestDetector(config.seed, config.rephrases.reader, config.launch.min_users, folder)

    def mine(self, day: _Day, best: BestDetector) -> Mined:
        """Mine the turns of today and those that are still open."""
        engine, starts = DuckDB(day.turns.parent), day.before.evidence_starts
        detector, whole = self.detector or best, day.due or (self.detector is None and best.looks_back)
        try:
            return pipeline.mine(engine, day.turns, detector, self.config, evidence_starts=starts, carried=day.past, whole=whole)
        finally:
            engine.close()

    def launch(self, day: _Day, mined: Mined) -> Decided:
        """Solve the chain, and decide which rules may be launched."""
        config = self.config
        self.clock.start("chain")
        solved = chain.solve(*chain.load(mined.nodes, mined.edges), config.chain)
        self.clock.start("launch")
        priors = Priors.open(day.kept(config))
        return launch.decide(mined, solved, config, priors, contrasts(mined, config.launch.min_users))

    def fit(self, day: _Day, mined: Mined, decided: Decided, best: BestDetector) -> Mapping[str, Promise]:
        """Fit the online layer, or take it over; return what held-out evidence promises of each slice."""
        online = self.writer.folder / "online"
        if day.due:
            doubted = evidence.withdrawn_slices(day.before.rules, day.before.evidence_starts)
            promises = _fit(mined, decided, best, doubted, self.config, online, self.clock, self.channel)
            save_promises(online, promises)
            return promises
        if day.past.fitted_day is not None and not day.k_raised:  # else the layer holds texts of fewer than k users
            self.writer.take_over("online")
            return open_promises(online)
        return {}

    def advance(self, day: _Day, mined: Mined, decided: Decided, promises: Mapping[str, Promise]) -> Lifecycle:
        """Move the rules and the slices of the online layer between stages."""
        self.clock.start("launch")
        before, today, config = day.before, pipeline.last_day(mined), self.config
        doubted = evidence.withdrawn_slices(before.rules, before.evidence_starts)
        slices = evidence.assess_slices(promises, doubted, today, fitted=day.due)
        return transitions.advance(
            pd.concat([decided.rules, slices], ignore_index=True) if len(slices) else decided.rules,
            before,
            mined,
            today,
            config.loop,
            min_users=config.launch.min_users,
            draw=self.draw,
            fitted=day.due,
            k_raised=day.k_raised,
        )

    def publish(
        self,
        day: _Day,
        mined: Mined,
        decided: Decided,
        promises: Mapping[str, Promise],
        now: Lifecycle,
        best: BestDetector,
        judge: Judge | None,
    ) -> _Published:
        """Write the version and the private state, and publish the version."""
        self.clock.start("artefact")
        writer, config = self.writer, self.config
        launched, n_in_context = launch.write_served(now.rules, writer.folder, config.trigger.suggest_loss_share)
        save_shares(writer.folder / "rules", evidence.slice_shares(now.rules))
        save_moments(writer.folder / "rules", find_moments(mined, config.teaching))
        n_texts = _serve_catalog(self.given, writer, config, afresh=self.afresh)
        left = day.past.after(day.log, config, fitted=day.due)
        self._keep(now, left, mined, decided, best)
        counts = launched["scope"].value_counts().to_dict() | ({"context": n_in_context} if n_in_context else {})
        expected = {name: float((launched["turns"] * launched[name]).sum()) for name in ("win", "loss")}
        version = writer.publish(
            config=config,
            locales=mined.locales,
            counts={"turns": left.turns, **{f"{scope} rules": n for scope, n in counts.items()}}
            | ({"catalog texts": n_texts} if n_texts else {}),
            metrics=_metrics(expected) | evidence.slice_figures(promises) | best.metrics(),
            judge=judge and partial(judge, day.turns),
        )
        return _Published(version, counts, expected, n_texts)

    def _keep(self, now: Lifecycle, left: Carried, mined: Mined, decided: Decided, best: BestDetector) -> None:
        """Write the private state that the next run needs."""
        writer = self.writer
        now.write(writer.state)
        left.write(writer.state)
        if self.config.loop.refit_days:
            decided.in_context.global_rules.priors.save(writer.state)
            best.save(writer.state / _DETECTOR)
        writer.finish_state([*(getattr(mined, name) for name in _KEPT), writer.work / "rejected.parquet"])

    def report(
        self, day: _Day, promises: Mapping[str, Promise], now: Lifecycle, best: BestDetector, published: _Published
    ) -> LearnReport:
        """Say what was done."""
        turns = day.past.turns + day.log.turns
        return LearnReport(
            version=published.version,
            nothing_new=False,
            held=self.writer.reasons,
            log=day.log,
            rules={"global": 0, "personal": 0, **published.counts},
            refused=_refused(now.rules),
            win=published.expected["win"],
            loss=published.expected["loss"],
            verdict=verdict.of_learned(day.log, turns, now.rules, promises, self.config),
            detector=type(self.detector).__name__ if self.detector else str(best),
            seconds=self.clock.seconds,
            catalog_texts=published.n_texts,
            catalog=None if self.given is None else self.given.report,
        )


def _serve_catalog(given: KeptCatalog | None, writer: Writer, config: Config, *, afresh: bool) -> int:
    """Serve and keep the catalog that was given, else the one that is kept; return the number of its texts."""
    served = given or (None if afresh else KeptCatalog.open(writer.previous_state, config))
    if served is None:
        return 0
    served.save(writer.state)
    return sum(served.write(writer.folder / "catalog", config).values())


def _fit(
    mined: Mined,
    decided: Decided,
    best: BestDetector,
    doubted: Mapping[str, int],
    config: Config,
    online: Path,
    clock: "_Clock",
    channel: str,
) -> dict[str, Promise]:
    """Fit the online layer into its folder, and return what held-out evidence promises of each slice."""
    inputs, in_context = decided.inputs, decided.in_context
    query_index, guardrails = build_query_index(mined, in_context.global_rules.pairs, config, online), decided.guardrails
    save_contrasts(online, guardrails.contrasts)
    clock.start("fit")
    risk = defect_counts(mined, best.pair, config.launch.min_users)
    export_risk(best.pair, risk.risk(), config, online)
    promises = fit(
        mined, in_context.global_rules, inputs.votes, query_index, risk, mined.said, config, online, doubted, guardrails, channel
    )
    if config.launch.personal:
        known = exceptions.known_by_context(in_context)
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
