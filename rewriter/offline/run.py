"""A run of `learn`: its steps, from the private state and the log to the published version."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from rewriter.artefact.versions import Version, open_version
from rewriter.artefact.writer import Writer
from rewriter.config import Config
from rewriter.detect.select import BestDetector, is_kept
from rewriter.engines import EngineChoice
from rewriter.guardrail.contrasts import FILE as CONTRASTS
from rewriter.guardrail.contrasts import KeptContrasts, WordContrasts, save_contrasts
from rewriter.model.detector import Detector
from rewriter.model.layer_slices import Promise, open_promises, save_promises, save_shares
from rewriter.model.rules import save_moments
from rewriter.model.spellings import FOLDER as SPELLINGS
from rewriter.offline.catalog_layer import KeptCatalog
from rewriter.offline.lifecycle import evidence, transitions
from rewriter.offline.lifecycle.transitions import Lifecycle
from rewriter.offline.logs import reader
from rewriter.offline.logs.files import require_outside
from rewriter.offline.logs.report import LogReport
from rewriter.offline.memory import require_memory
from rewriter.offline.mining import pipeline
from rewriter.offline.mining.incremental import PARTED, SUMMED, SUMMED_BY, Carried
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.rules import chain_parts, exceptions, launch
from rewriter.offline.rules.launch import LaunchDecision
from rewriter.offline.rules.moments import find_moments
from rewriter.offline.rules.priors import FILE as PRIORS
from rewriter.offline.rules.priors import Priors
from rewriter.progress import Progress, Telling

_KEPT = ("users", "texts", "recent", *PARTED, *(table.name for table in (*SUMMED, *SUMMED_BY)))
"""Mined tables that go into the private state."""
_DETECTOR = "detector"
"""Folder of the private state that keeps the detector between fits."""
Judge = Callable[[Path, Version], Sequence[str]]
"""(turns that were read, finished version) -> reasons why it must not serve yet."""


class Clock:
    """Measures how long each step takes, and reports its start."""

    def __init__(self, progress: Progress | None) -> None:
        self.seconds: dict[str, float] = {}
        self.telling, self._step, self._since = Telling(progress), "", 0.0

    def start(self, step: str) -> None:
        """End the step that runs, and start the next one; an empty name only ends it."""
        now = time.perf_counter()
        if self._step:
            self.seconds[self._step] = self.seconds.get(self._step, 0.0) + now - self._since
        self._step, self._since = step, now
        if step:
            self.telling(step)


@dataclass(frozen=True, slots=True)
class RunInputs:
    """What a run starts from.

    Attributes:
        known: the private state of the run before; None where there is none, or where it is not to be used.
        past: what that state holds of the logs.
        before: what it holds of the stages of rules.
        log: what was read today.
        turns: Parquet of `tables.TURNS`, those of today.
        k_raised: whether more users are asked for than in the run before.
        due: whether what is fitted is fitted today.
        weighs: whether the priors of launch and the contrasts of words are found today, which are figures of the whole log.
    """

    known: Path | None
    past: Carried
    before: Lifecycle
    log: LogReport
    turns: Path
    k_raised: bool
    due: bool
    weighs: bool

    def kept(self, config: Config) -> Path | None:
        """Return the state whose fitted parts are used again; None where they are fitted today."""
        return self.known if config.loop.refit_days and not self.due else None

    @property
    def weighed(self) -> Path | None:
        """The state whose priors and contrasts are used again; None where they are found today."""
        return None if self.weighs else self.known


@dataclass(frozen=True, slots=True)
class Published:
    """What was published: the version, rules by scope, expected wins and losses, and texts of the catalog."""

    version: str
    counts: Mapping[str, int]
    expected: Mapping[str, float]
    n_texts: int


@dataclass(frozen=True, slots=True)
class Run:
    """One run of `learn`; its methods are the steps, in the order in which they are called."""

    writer: Writer
    out: Path
    config: Config
    clock: Clock
    detector: Detector | BestDetector | None
    given: KeptCatalog | None
    draw: bool
    afresh: bool
    channel: str
    choice: EngineChoice

    def read(
        self,
        sources: str | Path | Sequence[str | Path],
        mapping: Mapping[str, str],
        sql: str | Path | None,
        decisions: str | Path | None,
    ) -> RunInputs:
        """Read the private state and the log."""
        self.clock.start("log")
        writer, config, state = self.writer, self.config, self.out / "state"
        paths = reader.listed(sources)
        require_outside(paths, self.out)
        known = None if self.afresh else writer.whole_state()
        past, before = Carried.read(known), Lifecycle.read(known)
        log = reader.read(
            paths,
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
        k_before = config.launch.min_users if known is None else _min_users(self.out, known.name)
        k_raised = k_before < config.launch.min_users
        self.clock.telling.size(past.turns + log.turns)
        due = past.due(log, config.loop) or (k_raised and config.loop.refit_days > 0)
        lacking = known is None or not (known / CONTRASTS).exists() or k_before != config.launch.min_users
        weighs = lacking or (due if config.loop.refit_days else past.outgrown(log))
        return RunInputs(known, past, before, log, writer.work / "turns.parquet", k_raised, due, weighs)

    def unchanged(self, day: RunInputs) -> Version | None:
        """Return the version that was learned last if nothing is new, else None."""
        if day.known is None or day.log.files or day.due or self.given is not None:
            return None
        return _same_settings(self.out, day.known.name, self.config)

    def detector_of(self, day: RunInputs) -> BestDetector:
        """Return the detector that is kept, or one that is yet to be learned."""
        self.clock.start("mine")
        kept, config = day.kept(self.config), self.config
        folder = kept / _DETECTOR if kept is not None and is_kept(kept / _DETECTOR) else None
        return BestDetector(config.seed, config.rephrases.reader, config.launch.min_users, folder, self.choice.memory_gb)

    def mine(self, day: RunInputs, best: BestDetector) -> Mined:
        """Mine the turns of today and those that are still open."""
        starts, detector = day.before.evidence_starts, self.detector or best
        whole = day.due or (self.detector is None and best.looks_back)
        require_memory(day.turns, day.past, self.choice.memory_gb, layer=day.due)
        with self.choice.opened(day.turns.parent) as engine:
            counting = self.clock.telling.counting(pipeline.TABLES, "tables")
            return pipeline.mine(engine, day.turns, detector, self.config, counting, starts, day.past, whole=whole)

    def launch(self, day: RunInputs, mined: Mined) -> LaunchDecision:
        """Solve the chain, and decide which rules may be launched."""
        config = self.config
        self.clock.start("chain")
        solved = chain_parts.solve(self.choice, day.turns.parent, mined.nodes, mined.edges, config.chain)
        self.clock.start("launch")
        shown = _contrasts(mined, config) if day.weighed is None else KeptContrasts(day.weighed)
        return launch.decide(mined, solved, config, Priors.open(day.weighed), shown)

    def fit(self, day: RunInputs, mined: Mined, decided: LaunchDecision, best: BestDetector) -> Mapping[str, Promise]:
        """Fit the online layer, or take it over; return what held-out evidence promises of each slice."""
        online = self.writer.folder / "online"
        if day.due:
            doubted = evidence.withdrawn_slices(day.before.rules, day.before.evidence_starts)
            promises = _fit(mined, decided, best, doubted, self.config, online, self.clock, self.channel)
            save_promises(online, promises)
            _learn_spellings(mined, self.config, online, draw=self.draw)
            return promises
        if day.past.fitted_day is not None and not day.k_raised:  # else the layer holds texts of fewer than k users
            self.writer.take_over("online")
            return open_promises(online)
        return {}

    def advance(self, day: RunInputs, mined: Mined, decided: LaunchDecision, promises: Mapping[str, Promise]) -> Lifecycle:
        """Move the rules and the slices of the online layer between stages."""
        before, today, config = day.before, pipeline.last_day(mined, self.config.loop), self.config
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
        day: RunInputs,
        mined: Mined,
        decided: LaunchDecision,
        promises: Mapping[str, Promise],
        now: Lifecycle,
        best: BestDetector,
        judge: Judge | None,
    ) -> Published:
        """Write the version and the private state, and publish the version."""
        self.clock.start("artefact")
        writer, config = self.writer, self.config
        launched, n_in_context = launch.write_served(now.rules, writer.folder, config.trigger.suggest_loss_share)
        save_shares(writer.folder / "rules", evidence.slice_shares(now.rules))
        save_moments(writer.folder / "rules", find_moments(mined, config.teaching))
        listed = _serve_catalog(self.given, mined, writer, config, afresh=self.afresh)
        left = day.past.after(day.log, config, fitted=day.due, weighed=day.weighs, summed_by=pipeline.summed_by(config))
        self._keep(now, left, mined, decided, best, weighed=day.weighs)
        counts = launched["scope"].value_counts().to_dict() | ({"context": n_in_context} if n_in_context else {})
        expected = {name: float((launched["turns"] * launched[name]).sum()) for name in ("win", "loss")}
        version = writer.publish(
            config=config,
            locales=mined.locales,
            counts={"turns": left.turns, **{f"{scope} rules": n for scope, n in counts.items()}} | dict(listed),
            metrics=_metrics(expected) | evidence.slice_figures(promises) | best.metrics(),
            judge=judge and partial(judge, day.turns),
        )
        return Published(version, counts, expected, sum(listed.values()))

    def _keep(
        self, now: Lifecycle, left: Carried, mined: Mined, decided: LaunchDecision, best: BestDetector, *, weighed: bool
    ) -> None:
        """Write the private state that the next run needs."""
        writer = self.writer
        now.write(writer.state)
        left.write(writer.state)
        if weighed:
            decided.in_context.global_rules.priors.save(writer.state)
            save_contrasts(writer.state, decided.guardrails.contrasts)
        else:
            for name in (PRIORS, CONTRASTS):
                writer.carry(name)
        if self.config.loop.refit_days:
            best.save(writer.state / _DETECTOR)
        writer.finish_state([*(getattr(mined, name) for name in _KEPT), writer.work / "rejected.parquet"])


def _serve_catalog(given: KeptCatalog | None, mined: Mined, writer: Writer, config: Config, *, afresh: bool) -> Mapping[str, int]:
    """Serve and keep the catalog that was given, else the one that is kept; return the number of its texts by kind."""
    if given is None:
        served = None if afresh else KeptCatalog.open(writer.previous_state, config)
    else:
        served = given.hashed(writer.user_key)
        given.report.unknown = served.unknown(pd.read_parquet(mined.users, columns=["user_id"])["user_id"])
    if served is None:
        return {}
    served.save(writer.state)
    served.write(writer.folder / "catalog", config)
    return served.counts()


def _contrasts(mined: Mined, config: Config) -> Mapping[str, WordContrasts]:
    from rewriter.offline.fit.query_index import contrasts  # noqa: PLC0415 - most nights fit nothing, and need no such packages

    return contrasts(mined, config.launch.min_users)


def _learn_spellings(mined: Mined, config: Config, online: Path, *, draw: bool) -> None:
    from rewriter.offline.fit.spellings import learn_spellings  # noqa: PLC0415

    learn_spellings(mined, config, online / SPELLINGS, draw=draw)


def _fit(
    mined: Mined,
    decided: LaunchDecision,
    best: BestDetector,
    doubted: Mapping[str, int],
    config: Config,
    online: Path,
    clock: Clock,
    channel: str,
) -> dict[str, Promise]:
    """Fit the online layer into its folder, and return what held-out evidence promises of each slice."""
    from rewriter.detect.word_risk import export_risk  # noqa: PLC0415
    from rewriter.offline.fit.ambiguity import learn_ambiguity  # noqa: PLC0415
    from rewriter.offline.fit.query_index import build_query_index  # noqa: PLC0415
    from rewriter.offline.fit.ranker import defect_counts, fit  # noqa: PLC0415

    inputs, in_context = decided.inputs, decided.in_context
    clock.start("encode")
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


def _min_users(root: str | Path, version_id: str) -> int:
    """Return k of the version that was learned last."""
    return Config.from_dict(dict(open_version(root, version_id).manifest.config)).launch.min_users


def _same_settings(root: str | Path, version_id: str, config: Config) -> Version | None:
    """Return the version that was learned last if it was learned under these settings, else None."""
    version = open_version(root, version_id)
    return version if version.manifest.config == config.to_dict() else None
