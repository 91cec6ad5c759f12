"""label(): what a log tells of each of its turns: P(defect), its goal and whether that was reached, and what was meant."""

import json
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from rewriter import tables
from rewriter.arrays import Floats
from rewriter.config import Config
from rewriter.detect.defects import surroundings, teach
from rewriter.detect.features import Cues
from rewriter.detect.goals import Goals, segment
from rewriter.detect.rephrase import Told
from rewriter.detect.select import BestDetector
from rewriter.detect.turns import Listed
from rewriter.engines.duckdb import DuckDB, glob
from rewriter.model.hypothesis import intent_of, slots_of
from rewriter.offline.logs import reader
from rewriter.offline.logs.reader import LogReport
from rewriter.offline.mining import pipeline
from rewriter.operate import nlu_export

STEPS = ("log", "mine", "defects", "goals")
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LabelReport:
    """What `label` found, for people.

    Attributes:
        log: what was read.
        detector: what found the restatements, and why.
        turns: that were labelled.
        defects: expected number of turns that went wrong.
        goals: how many there are.
        reached: expected number of goals that were reached in the end.
        repaired: turns of which the log tells what was meant.
        examples: of training data that enough users agree on; None where none was asked for.
    """

    log: LogReport
    detector: str
    turns: int
    defects: float
    goals: int
    reached: float
    repaired: int
    examples: int | None

    def rows(self) -> list[tuple[str, str]]:
        """Return the report as rows of a table."""
        asked = [] if self.examples is None else [("examples for the NLU", f"{self.examples:,}")]
        return [
            ("turns", f"{self.turns:,}"),
            ("restatements by", self.detector),
            ("turns that went wrong, expected", f"{self.defects:,.0f}"),
            ("goals", f"{self.goals:,}"),
            ("goals reached, expected", f"{self.reached:,.0f}"),
            ("turns whose meaning is known from their repair", f"{self.repaired:,}"),
            *asked,
        ]


def label(
    sources: Sequence[str | Path],
    *,
    out: str | Path,
    train: str | Path | None = None,
    config: Config | None = None,
    mapping: Mapping[str, str] | None = None,
    sql: str | Path | None = None,
    progress: Progress | None = None,
) -> LabelReport:
    """Label every turn of dialogue logs, by nothing but the logs themselves.

    Args:
        sources: files, folders or globs in the contract of `docs/log.md`.
        out: Parquet of `tables.LABELS` to write, for the owner's eyes only: it holds what single users said.
        train: training data for an NLU to write (``.jsonl``, or ``.yml`` for Rasa), of texts that at least
            `Config.launch.min_users` users had to repair in the same way; None for none.
        config: settings; the defaults if None.
        mapping: contract column -> column of the log, where they differ.
        sql: file with one SELECT that yields the log, in place of `sources`.
        progress: told the name of each step of `STEPS` as it starts.

    Raises:
        LogError, EngineError: one line with the cause and the cure.

    Example:
        >>> report = label(["data/sample.parquet"], out="labels.parquet", train="nlu.yml")  # doctest: +SKIP
    """
    config, tell = config or Config(), progress or _nothing
    if train is not None:
        nlu_export.check(Path(train))
    with tempfile.TemporaryDirectory() as folder:
        work, best = Path(folder), BestDetector(config.seed, config.rephrases.reader, config.launch.min_users)
        tell("log")
        file = Path(sql) if sql else None
        key = secrets.token_bytes(32)
        log = reader.read(sources, out=work, key=key, config=config.logs, mapping=mapping, sql=file)
        tell("mine")
        engine = DuckDB(work / "mined")
        try:
            mined = pipeline.mine(engine, work / "turns.parquet", best, config)
        finally:
            engine.close()
        tell("defects")
        told = Told.read(Listed(work / "turns.parquet", mined.sessions, mined.texts, mined.candidates))
        defect = _defects(best, told, config.seed)
        tell("goals")
        target = told.turns.rows(told.candidates["user_no"], told.candidates["next_turn_no"])
        goals = segment(told.source, target, _p(told, mined.scores), defect)
    labels = _labels(told, goals, defect)
    count = _write(labels, Path(out), Path(train) if train else None, config.launch.min_users)
    reached = 1 - defect[np.unique(goals.last)]
    return LabelReport(
        log=log,
        detector=str(best),
        turns=len(labels),
        defects=float(defect.sum()),
        goals=len(reached),
        reached=float(reached.sum()),
        repaired=int(labels["intent"].notna().sum()),
        examples=count,
    )


def _nothing(_step: str) -> None:
    """Tell nobody."""


def _defects(best: BestDetector, told: Told, seed: int) -> Floats:
    if best.pair is not None:
        return best.pair.defect
    cues = Cues(told.turns, told.items)
    return teach(told.turns, surroundings(told.turns, cues, told.likeness), told.meaning, seed=seed).p


def _p(told: Told, scores: Path) -> Floats:
    """Return P of each candidate, as mining scored it."""
    with duckdb.connect() as con:
        found = con.execute("SELECT user_no, turn_no, ahead, p FROM read_parquet(?)", [glob(scores)]).fetchnumpy()
    p = np.zeros(len(told.source))
    p[told.places(told.turns.rows(found["user_no"], found["turn_no"]), found["ahead"])] = found["p"] / 1000
    return p


def _write(labels: pd.DataFrame, out: Path, train: Path | None, min_users: int) -> int | None:
    """Write both files; return how many examples there are for the NLU."""
    with duckdb.connect() as con:
        con.register("labels", labels)
        columns = ", ".join(f"CAST({c.name} AS {c.type}) AS {c.name}" for c in tables.LABELS.columns)
        out.parent.mkdir(parents=True, exist_ok=True)
        con.sql(f"SELECT {columns} FROM labels").write_parquet(str(out))
        out.chmod(0o600)
        if train is None:
            return None
        found = nlu_export.examples(con, min_users)
    nlu_export.write(found, train)
    return len(found)


def _labels(told: Told, goals: Goals, defect: Floats) -> pd.DataFrame:
    """Return `tables.LABELS` with user_no beside it."""
    turns = told.turns
    spoken = turns.text[turns["said"]]
    mended = goals.repaired >= 0
    meant = np.where(mended, turns["hypothesis"][goals.repaired], -1)
    hypothesis = [turns.text[h] if h >= 0 else None for h in meant]
    return pd.DataFrame({
        "turn_id": turns.turn_id,
        "user_no": turns["user_no"],
        "locale": turns.locale[turns["said"]],
        "utterance": spoken,
        "p_defect": defect,
        "goal": goals.goal,
        "goal_success": goals.success,
        "repaired": np.where(mended, spoken[goals.repaired], None),
        "intent": [intent_of(h) if h else None for h in hypothesis],
        "slots": [json.dumps(slots_of(h), ensure_ascii=False) if h else None for h in hypothesis],
    })  # fmt: skip
