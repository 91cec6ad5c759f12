"""`label`: what a log says about each of its turns, and training data for an NLU from the turns that users repaired."""

import json
import re
import secrets
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np
import pandas as pd

from rewriter import tables
from rewriter.arrays import Floats
from rewriter.codes import FailurePoint
from rewriter.config import Config
from rewriter.detect.boosting import Columns
from rewriter.detect.defects import DefectModel, surroundings
from rewriter.detect.failure_rules import CLASSES
from rewriter.detect.features import Cues
from rewriter.detect.rephrase import Goals, segment
from rewriter.detect.select import BestDetector, parts_for
from rewriter.detect.turns import Listed
from rewriter.detect.weak_labels import TrainingData
from rewriter.engines import DUCKDB, EngineChoice, connect, save
from rewriter.errors import LogError, running
from rewriter.messages import failure_point
from rewriter.model.hypothesis import intent_of, slots_of
from rewriter.offline.logs import reader
from rewriter.offline.logs.files import require_apart
from rewriter.offline.logs.report import LogReport
from rewriter.offline.mining import pipeline
from rewriter.offline.mining.deal import Part, parts_of
from rewriter.operate.diagnose import failure_points, p_restates
from rewriter.progress import Cost, Progress, Telling
from rewriter.text import joined, unspaced

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COSTS: Final[Mapping[str, Cost]] = {"log": Cost(0.25, 3.45), "mine": Cost(9.53, 57.6), "label": Cost(0.56, 94.53)}
"""Seconds of the processor of each step, as `benchmarks/label_cost.py` finds them; for the time that is left."""
STEPS = tuple(COSTS)


@dataclass(frozen=True, slots=True)
class LabelReport:
    """What `label` found.

    Attributes:
        log: what was read.
        detector: the detector that found the restatements, and why it was chosen.
        turns: number of labelled turns.
        defects: expected number of turns that went wrong.
        goals: number of goals.
        reached: expected number of goals that were reached in the end.
        repaired: number of turns whose meaning is known because the user repaired them.
        examples: number of examples in the training data; None if no training data was asked for.
        failures: stage -> expected number of turns that broke there (`rewriter.operate.diagnose`).
    """

    log: LogReport
    detector: str
    turns: int
    defects: float
    goals: int
    reached: float
    repaired: int
    examples: int | None
    failures: Mapping[FailurePoint, float] = field(default_factory=dict)

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
            *((f"  broke at: {failure_point(f)}", f"{n:,.0f}") for f, n in self.failures.items() if f != FailurePoint.CORRECT),
            *asked,
        ]


@running("labelling")
def label(
    sources: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    train: str | Path | None = None,
    config: Config | None = None,
    mapping: Mapping[str, str] | None = None,
    sql: str | Path | None = None,
    progress: Progress | None = None,
    engine: "str | SparkSession" = DUCKDB,
    master: str | None = None,
    memory_gb: float | None = None,
) -> LabelReport:
    """Label every turn of dialogue logs. The logs are the only input; nobody annotates anything.

    Args:
        sources: files, folders or globs in the contract of `docs/log.md`.
        out: Parquet file of `tables.LABELS` to write. Only its owner can read it, because it holds what single users said.
        train: file of training data for an NLU to write (``.jsonl``, or ``.yml`` for Rasa). It holds the texts that at least
            `Config.launch.min_users` users repaired in the same way. None writes no such file.
        config: settings; the defaults if None.
        mapping: contract column -> column of the log, where they differ.
        sql: file with one SELECT that yields the log, in place of `sources`.
        progress: called with the name of each step of `STEPS` when it starts, as of `learn`.
        engine: what mines: ``duckdb``, ``spark``, or a Spark session, as of `learn`.
        master: of ``spark``.
        memory_gb: memory to use, as of `learn`.

    Raises:
        LogError, EngineError: one line with the cause and the cure.

    Example:
        >>> report = label(["data/sample.parquet"], out="labels.parquet", train="nlu.yml")  # doctest: +SKIP
    """
    config, tell, choice = Config.given(config), Telling(progress), EngineChoice(engine, master, memory_gb)
    outputs = [Path(out)] if train is None else [Path(out), Path(train)]
    if train is not None:
        check_ending(Path(train))
    paths = reader.listed(sources)
    require_apart(paths, outputs)
    with choice.limited(), tempfile.TemporaryDirectory() as folder:
        work, k = Path(folder), config.launch.min_users
        best = BestDetector(config.seed, config.rephrases.reader, k, memory_gb=memory_gb)
        tell("log")
        file = Path(sql) if sql else None
        key = secrets.token_bytes(32)
        log = reader.read(
            paths,
            out=work,
            key=key,
            config=config.logs,
            mapping=mapping,
            sql=file,
            min_users=k,
            rejected=reader.temporary_file,
        )
        tell.size(log.turns)
        tell("mine")
        with choice.opened(work / "mined") as opened:
            mined = pipeline.mine(opened, work / "turns.parquet", best, config, tell.counting(pipeline.TABLES, "tables"))
            tell("label")
            whole = Listed(mined.said, mined.sessions, mined.texts, mined.candidates)
            parts = parts_of(opened, whole, mined.scores, parts_for(mined.turns, memory_gb))
            model = best.pair.defects if best.pair is not None else _defect_model(parts[0], config.seed)
            labelled = work / "labelled"
            labelled.mkdir()
            opened.each("labels", partial(_label, model, labelled), parts, large=True)
        with connect(labels=labelled) as con:
            _write(con, Path(out))
            count = None if train is None else _write_examples(con, Path(train), k)
            return LabelReport(log=log, detector=str(best), examples=count, **_figures(con))


def _defect_model(part: Part, seed: int) -> DefectModel:
    """Learn P(defect) from a log, or a part of it, that has too few labels for a detector."""
    data = TrainingData.read(part.listed)
    return DefectModel.learn(data.turns, _surroundings(data), data.labels, seed=seed)


def _surroundings(data: TrainingData) -> Columns:
    return surroundings(data.turns, Cues(data.turns, data.items), data.likeness)


def _label(model: DefectModel, folder: Path, part: Part) -> None:
    """Write the labels of the turns of a part."""
    data = TrainingData.read(part.listed)
    defect = model.predict(data.turns, _surroundings(data), data.labels).p
    goals = segment(data.source, data.target, p_restates(data, part.scores), defect)
    failures = _failures(failure_points(data, part.scores))
    with connect() as con:
        con.register("found", pd.concat([_labels(data, goals, defect), failures], axis=1))
        columns = ", ".join(f"CAST({c.name} AS {c.type}) AS {c.name}" for c in tables.LABELS.columns if c.name != "goal")
        save(con, f"SELECT {columns}, user_no, turn_no, opened FROM found", folder / f"{part.number:05}.parquet")


_NUMBERED = "DENSE_RANK() OVER (ORDER BY user_no, opened) - 1"
"""The number of a goal, which its user and the turn that opened it name."""
_FIGURES = f"""
SELECT COUNT(*), COALESCE(FSUM(p_defect), 0), COUNT(*) FILTER (turn_no = opened),
       COALESCE(FSUM(goal_success) FILTER (turn_no = opened), 0), COUNT(intent),
       [{", ".join(f"COALESCE(FSUM(p_{name}), 0)" for name in FailurePoint)}]
FROM labels
"""


def _write(con: duckdb.DuckDBPyConnection, out: Path) -> None:
    """Write `tables.LABELS` in the order of users and turns."""
    columns = ", ".join(f"{_NUMBERED} AS goal" if name == "goal" else name for name in tables.LABELS.names)
    out.parent.mkdir(parents=True, exist_ok=True)
    save(con, f"SELECT {columns} FROM labels ORDER BY user_no, turn_no", out)
    out.chmod(0o600)


def _write_examples(con: duckdb.DuckDBPyConnection, train: Path, min_users: int) -> int:
    """Write the training data for an NLU; return the number of examples."""
    found = examples(con, min_users)
    write_training_data(found, train)
    return len(found)


def _figures(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Return the figures of `LabelReport` over all turns."""
    ((turns, defects, goals, reached, repaired, failures),) = con.execute(_FIGURES).fetchall()
    points = dict(zip(FailurePoint, failures, strict=True))
    return {
        "turns": turns, "defects": defects, "goals": goals, "reached": reached, "repaired": repaired, "failures": points
    }  # fmt: skip


def _labels(data: TrainingData, goals: Goals, defect: Floats) -> pd.DataFrame:
    """Return the columns of `tables.LABELS`; a goal is known by its user and by the turn that opened it, by turn_no."""
    turns = data.turns
    spoken = turns.text[turns["said"]]
    mended = goals.repaired >= 0
    meant = np.where(mended, turns["hypothesis"][goals.repaired], -1)
    hypothesis = [turns.text[h] if h >= 0 else None for h in meant]
    return pd.DataFrame({
        "turn_id": turns.turn_id,
        "user_no": turns["user_no"],
        "turn_no": turns["turn_no"],
        "opened": turns["turn_no"][np.unique(goals.goal, return_index=True)[1][goals.goal]],
        "locale": turns.locale[turns["said"]],
        "utterance": spoken,
        "p_defect": defect,
        "goal_success": goals.success,
        "repaired": np.where(mended, spoken[goals.repaired], None),
        "intent": [intent_of(h) if h else None for h in hypothesis],
        "slots": [json.dumps(slots_of(h), ensure_ascii=False) if h else None for h in hypothesis],
    })  # fmt: skip


def _failures(points: Floats) -> pd.DataFrame:
    """Return the likeliest failure point of each turn, and P of each; what the assistant cannot do is correct."""
    six = points[:, :-1].copy()
    six[:, CLASSES.index(FailurePoint.CORRECT)] += points[:, -1]
    names = np.asarray(list(FailurePoint), dtype=object)
    return pd.DataFrame({"failure": names[six.argmax(axis=1)]} | {f"p_{name}": six[:, k] for k, name in enumerate(FailurePoint)})


_REPAIRED = """
SELECT locale, utterance, intent, slots, COUNT(*) AS turns, COUNT(DISTINCT user_no) AS users,
       [AVG(p_asr), AVG(p_nlu), AVG(p_entity)] AS points
FROM labels WHERE intent IS NOT NULL
GROUP BY locale, utterance, intent, slots
HAVING COUNT(DISTINCT user_no) >= ?
ORDER BY locale, intent, slots, turns DESC, utterance
"""
_ENDINGS = (".jsonl", ".yml", ".yaml")
_SPECIAL = re.compile(r"[\[\](){}]")


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """A text that the NLU misunderstood, and its meaning.

    Attributes:
        locale: BCP 47.
        text: the utterance, normalised, without blanks where its script writes none.
        intent: the intent that was meant.
        slots: name of a slot -> its value.
        turns: number of turns that were repaired so.
        users: number of distinct users among them.
        p: mean P that recognition, the NLU, or the entity list failed first; empty if it is not known. An NLU should learn where
            the NLU failed, and not what was misheard.
    """

    locale: str
    text: str
    intent: str
    slots: Mapping[str, str]
    turns: int
    users: int
    p: Mapping[str, float] = field(default_factory=dict)


def examples(con: duckdb.DuckDBPyConnection, min_users: int) -> list[TrainingExample]:
    """Return the texts that at least `min_users` users repaired in the same way.

    Args:
        con: database with a table ``labels``: the columns of `tables.LABELS`, and user_no.
        min_users: least number of users behind an example, because training data is shared.
    """
    rows = con.execute(_REPAIRED, [min_users]).fetchall()
    stages = (FailurePoint.ASR, FailurePoint.NLU, FailurePoint.ENTITY)
    return [
        TrainingExample(
            locale,
            unspaced(text),
            intent,
            json.loads(slots),
            n,
            users,
            {s: round(p, 3) for s, p in zip(stages, points, strict=True)},
        )
        for locale, text, intent, slots, n, users, points in rows
    ]


def write_training_data(found: Iterable[TrainingExample], path: Path) -> None:
    """Write examples as JSON lines (``.jsonl``) or as Rasa training data (``.yml``).

    Raises:
        LogError: the file name ends in something else.
    """
    check_ending(path)
    path.write_text((json_lines if path.suffix == ".jsonl" else rasa_yaml)(found), encoding="utf-8")


def check_ending(path: Path) -> None:
    """Refuse a name whose ending says no format of training data.

    Raises:
        LogError: the file name ends in something else.
    """
    if path.suffix not in _ENDINGS:
        endings = ", ".join(_ENDINGS)
        raise LogError(f"cannot write {path}: training data ends in {endings}; name it {path.with_suffix('.jsonl').name}")


def json_lines(found: Iterable[TrainingExample]) -> str:
    """Return examples as JSON lines, one object a line.

    Example:
        >>> print(json_lines([TrainingExample("en", "lamp of", "Off", {"name": "lamp"}, 4, 3)]), end="")
        {"text": "lamp of", "intent": "Off", "slots": {"name": "lamp"}, "locale": "en", "turns": 4, "users": 3}
    """
    rows = ({"text": e.text, "intent": e.intent, "slots": dict(e.slots), "locale": e.locale, "turns": e.turns, "users": e.users}
            | ({"p": dict(e.p)} if e.p else {}) for e in found)  # fmt: skip
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def rasa_yaml(found: Iterable[TrainingExample]) -> str:
    """Return examples as Rasa NLU training data. A slot is marked where its value stands in the text.

    Example:
        >>> print(rasa_yaml([TrainingExample("en", "lamp of", "Off", {"name": "lamp"}, 4, 3)]), end="")
        version: "3.1"
        nlu:
        - intent: "Off"
          examples: |
            - [lamp](name) of
    """
    lines = ['version: "3.1"', "nlu:"]
    last = None
    for example in sorted(found, key=lambda e: e.intent):
        if example.intent != last:
            last = example.intent
            lines += [f"- intent: {json.dumps(example.intent, ensure_ascii=False)}", "  examples: |"]
        lines.append(f"    - {_marked(example)}")
    return "\n".join(lines) + "\n"


def _marked(example: TrainingExample) -> str:
    """Mark the slots in a text, the longest value first. Marks never nest."""
    text = _SPECIAL.sub("", example.text)
    marks: dict[str, str] = {}
    for name, value in sorted(example.slots.items(), key=lambda slot: -len(slot[1])):
        key = chr(0xE000 + len(marks))  # a private-use character, which no text holds
        spans = (found.span() for found in re.finditer(re.escape(value), text) if value)
        for start, end in (span for span in spans if all(_ends_word(text, place) for place in span)):
            text = text[:start] + key + text[end:]
            marks[key] = f"[{value}]({_SPECIAL.sub('', name)})"
            break
    return "".join(marks.get(c, c) for c in text)


def _ends_word(text: str, place: int) -> bool:
    """Return whether no word goes on at a place of a text. Each letter of a script without blanks is a word of its own."""
    around = text[max(place - 1, 0) : place + 1]
    return not re.fullmatch(r"\w\w", around) or joined(*around)
