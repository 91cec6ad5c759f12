"""`diagnose`: in which stage each turn of a log broke, and what to do about it.

The verdict on a turn is a distribution over `codes.FailurePoint`; its evidence is in words. `Diagnosis.clusters` adds the turns
up, and shows nothing that fewer than k users did.
"""

import json
import math
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np
import pandas as pd

from rewriter import tables
from rewriter.arrays import Floats, Ints
from rewriter.artefact.disk import explained, replace
from rewriter.artefact.versions import current
from rewriter.codes import FailurePoint, Remedy, Sign
from rewriter.config import Config
from rewriter.detect.failure_cues import LIKELY, NAMES, FailureCues, Restated
from rewriter.detect.failure_model import FailureModel, diagnosed
from rewriter.detect.failure_rules import CLASSES, Columns, Rules, signs
from rewriter.detect.select import parts_for
from rewriter.detect.turns import Listed, Turns
from rewriter.detect.weak_labels import TrainingData
from rewriter.engines import DUCKDB, EngineChoice, connect, glob, save
from rewriter.errors import reading_state, running
from rewriter.evaluation.report import Report, ReportTable, html
from rewriter.messages import failure_point, remedy, sign
from rewriter.model.detector import RuleDetector
from rewriter.offline.catalog import Sources, read_catalog
from rewriter.offline.logs import reader
from rewriter.offline.logs.files import require_apart
from rewriter.offline.logs.report import LogReport
from rewriter.offline.mining import pipeline
from rewriter.offline.mining.deal import Part, parts_of
from rewriter.progress import Cost, Progress, Telling

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KEPT: Final = Path("state", "failures.json")
"""What the console shows of a diagnosis, in the artefact folder: only what at least k users did."""
COSTS: Final[Mapping[str, Cost]] = {"log": Cost(0.2, 3.94), "mine": Cost(0.37, 15.02), "diagnose": Cost(0.61, 95.02)}
"""Seconds of the processor of each step, as `benchmarks/label_cost.py` finds them; for the time that is left."""
STEPS = tuple(COSTS)
STAGES: Final = ("stage", "turns", "share", "expected")
COLUMNS: Final = ("stage", "where", "turns", "users", "share", "trend", "for example", "what to do")
FIGURES: Final = ("turns", "users", "share", "trend")
_EPOCH, _MONDAY = date(1970, 1, 1).toordinal(), 4  # 1970-01-05 was a Monday
_REMEDIES: Final = {
    FailurePoint.FALSE_WAKE: Remedy.TUNE_WAKE,
    FailurePoint.ASR: Remedy.REWRITE,
    FailurePoint.NLU: Remedy.TRAIN_NLU,
    FailurePoint.ENTITY: Remedy.FIX_ENTITIES,
    FailurePoint.RESULT: Remedy.FIX_SERVICE,
}
_NO_WORDS = "no utterance"
_BY: Final = ("intent", "device_type", "locale", "week")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Turns that broke in one stage and have one value of a column.

    Attributes:
        failure: the stage; `FailurePoint.CORRECT` for requests that the assistant cannot do.
        value: of the column, such as the intent.
        turns: how many.
        users: of how many users, at least k.
        share: of all turns of that value.
        trend: share in the last week divided by the share in the weeks before; infinite where there was none, NaN where there is
            only one week.
        examples: texts that at least k users said among them, the commonest first.
        remedy: what to do.
    """

    failure: FailurePoint
    value: str
    turns: int
    users: int
    share: float
    trend: float
    examples: tuple[str, ...]
    remedy: Remedy

    def row(self) -> tuple[str, ...]:
        """Return the cluster as a row under `COLUMNS`."""
        stage = "not supported" if self.failure == FailurePoint.CORRECT else failure_point(self.failure)
        trend = "–" if np.isnan(self.trend) else "new" if np.isinf(self.trend) else f"x {self.trend:.1f}"
        shown = "; ".join(self.examples) or "–"
        return (
            stage,
            self.value or "–",
            f"{self.turns:,}",
            f"{self.users:,}",
            f"{self.share:.1%}",
            trend,
            shown,
            remedy(self.remedy),
        )


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What `diagnose` found.

    Attributes:
        log: what was read.
        by: ``model`` or ``rules``.
        turns: number of turns.
        failures: stage -> expected number of turns that broke there.
        unsupported: expected number of requests that the assistant cannot do.
        likeliest: stage -> number of turns of which it is the likeliest, as the clusters count them.
        likely_unsupported: number of turns that were most likely such requests; they are counted as correct, too.
        without_words: rows of the log in which nothing was heard: wakes without words, which are in no table.
        clusters: column (``intent``, ``device_type``, ``locale``, ``week``) -> its clusters, the largest first.
    """

    log: LogReport
    by: str
    turns: int
    failures: Mapping[FailurePoint, float]
    unsupported: float
    likeliest: Mapping[FailurePoint, int]
    likely_unsupported: int
    without_words: int
    clusters: Mapping[str, Sequence[Cluster]]

    def rows(self) -> list[tuple[str, ...]]:
        """Return the stages as rows of a table with `STAGES`."""
        shown = [(failure_point(f), self.likeliest[f], self.failures[f]) for f in FailurePoint]
        shown += [("  of these not supported", self.likely_unsupported, self.unsupported)]
        counted = [(name, f"{n:,}", f"{n / max(self.turns, 1):.1%}", f"{expected:,.0f}") for name, n, expected in shown]
        return [*counted, ("wakes without words", f"{self.without_words:,}", "–", "–")]

    def tables(self) -> list[ReportTable]:
        """Return the stages, and the largest clusters by column. They show no text of fewer than k users."""
        parts = [
            ReportTable(f"By {name.replace('_', ' ')}", _CLUSTERS, COLUMNS, [c.row() for c in of])
            for name, of in self.clusters.items()
            if of
        ]
        return [ReportTable("Stages", _STAGES, STAGES, self.rows()), *parts]

    def page(self) -> str:
        """Return the HTML page: where requests break, and what to do."""
        failed = 1 - self.likeliest[FailurePoint.CORRECT] / max(self.turns, 1) if self.turns else 0.0
        return html(Report("rewriter: where requests break", _LEAD, [(f"{failed:.1%}", "of the turns failed")], self.tables()))


def kept(root: str | Path) -> list[ReportTable]:
    """Return the tables that the last `diagnose(…, artefact=root)` left for the console; none if there are none."""
    path = Path(root) / KEPT
    if not path.exists():
        return []
    with reading_state(path):
        return [ReportTable(**table) for table in json.loads(path.read_text(encoding="utf-8"))]


@running("the diagnosis")
def diagnose(
    sources: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    report: str | Path | None = None,
    rules_only: bool = False,
    config: Config | None = None,
    mapping: Mapping[str, str] | None = None,
    sql: str | Path | None = None,
    catalog: Sources | None = None,
    artefact: str | Path | None = None,
    progress: Progress | None = None,
    engine: "str | SparkSession" = DUCKDB,
    master: str | None = None,
    memory_gb: float | None = None,
) -> Diagnosis:
    """Say of every turn of dialogue logs which stage failed first for good. The logs are the only input.

    Args:
        sources: files, folders or globs in the contract of `docs/log.md`.
        out: Parquet file of `tables.FAILURES` to write. Only its owner can read it, because it tells what single users said.
        report: HTML page to write; None writes none.
        rules_only: whether the documented rules decide, and not the learned model.
        config: settings; the defaults if None. `launch.min_users` is the k of everything that is added up.
        mapping: contract column -> column of the log, where they differ.
        sql: file with one SELECT that yields the log, in place of `sources`.
        catalog: texts that the assistant should understand (`rewriter.offline.catalog`). What is in it was heard well, whatever
            became of it.
        artefact: artefact folder whose console is to show the clusters, too; None for none.
        progress: called with the name of each step of `STEPS` when it starts, as of `learn`.
        engine: what mines: ``duckdb``, ``spark``, or a Spark session, as of `learn`.
        master: of ``spark``.
        memory_gb: memory to use, as of `learn`.

    Raises:
        LogError, EngineError: one line with the cause and the cure.

    Example:
        >>> found = diagnose(["data/sample.parquet"], out="failures.parquet", report="failures.html")  # doctest: +SKIP
    """
    config, tell, choice = Config.given(config), Telling(progress), EngineChoice(engine, master, memory_gb)
    paths = reader.listed(sources)
    require_apart(paths, [Path(each) for each in (out, report) if each is not None])
    listed = None if catalog is None else _listed(catalog)
    with choice.limited(), tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        tell("log")
        log = reader.read(
            paths,
            out=work,
            key=secrets.token_bytes(32),
            config=config.logs,
            mapping=mapping,
            sql=Path(sql) if sql else None,
            min_users=config.launch.min_users,
            rejected=reader.temporary_file,
        )
        tell.size(log.turns)
        tell("mine")
        with choice.opened(work / "mined") as opened:
            mined = pipeline.mine(
                opened, work / "turns.parquet", RuleDetector(), config, tell.counting(pipeline.TABLES, "tables")
            )
            tell("diagnose")
            model = None if rules_only else FailureModel.shipped()
            whole = Listed(mined.said, mined.sessions, mined.texts, mined.candidates)
            parts = parts_of(opened, whole, mined.scores, parts_for(mined.turns, memory_gb))
            diagnosed_to = work / "diagnosed"
            diagnosed_to.mkdir()
            opened.each("failures", partial(_diagnose, model, listed, diagnosed_to), parts, large=True)
        with connect(failures=diagnosed_to) as con:
            _write(con, Path(out))
            result = Diagnosis(
                log=log,
                by="rules" if model is None else "model",
                without_words=dict(log.rejected).get(_NO_WORDS, 0),
                clusters={name: _clusters(con, name, config.launch.min_users) for name in _BY},
                **_figures(con),
            )
    if artefact is not None:
        path = current(artefact).root / KEPT
        with explained(path):
            replace(path, json.dumps([asdict(table) for table in result.tables()]).encode(), mode=0o600)
    if report is not None:
        with explained(Path(report)):
            replace(Path(report), result.page().encode())
    return result


def failure_points(data: TrainingData, scores: Path) -> Floats:
    """Return P of each class of `CLASSES` of every turn, (turns, len(CLASSES)), by the model that ships, else by the rules.

    Args:
        data: the turns of a mined log.
        scores: Parquet of `tables.SCORES`.
    """
    cues = FailureCues(data.turns, data.items, data.likeness, restatements(data, scores))
    return diagnosed(cues.measure(), model=FailureModel.shipped(), rules=Rules.shipped(), groups=cues.groups())


def _listed(catalog: Sources) -> dict[str, str]:
    """Return the texts of a catalog for everybody, normalised -> their hypotheses; empty where the text is its own."""
    found, _ = read_catalog(catalog)
    rows = zip(found.queries, found.texts, found.hypotheses, found.scopes, strict=True)
    return {query: "" if meant in (query, text) else meant for query, text, meant, scope in rows if not scope}


def restatements(data: TrainingData, scores: Path) -> Restated:
    """Return which turn restates which, as mining scored it."""
    return Restated.of(len(data.turns), data.source, data.target, p_restates(data, scores))


def p_restates(data: TrainingData, scores: Path) -> Floats:
    """Return P(the candidate restates its turn) as mining scored it, (candidates,) float64."""
    with connect() as con:
        found = con.execute("SELECT user_no, turn_no, ahead, p FROM read_parquet(?)", [glob(scores)]).fetchnumpy()
    p = np.zeros(len(data.source))
    p[data.places(data.turns.rows(found["user_no"], found["turn_no"]), found["ahead"])] = found["p"] / 1000
    return p


def _diagnose(model: FailureModel | None, catalog: Mapping[str, str] | None, folder: Path, part: Part) -> None:
    """Write where each turn of a part broke: `tables.FAILURES`, user_no and said."""
    found = _diagnosed(part, model, catalog)
    with connect() as con:
        con.register("found", found)
        columns = ", ".join(f"CAST({c.name} AS {c.type}) AS {c.name}" for c in tables.FAILURES.columns)
        save(con, f"SELECT {columns}, user_no, CAST(said AS VARCHAR) AS said FROM found", folder / f"{part.number:05}.parquet")


def _diagnosed(part: Part, model: FailureModel | None, catalog: Mapping[str, str] | None) -> pd.DataFrame:
    """Return the columns of `tables.FAILURES`, with user_no and said."""
    data, rules = TrainingData.read(part.listed), Rules.shipped()
    again = restatements(data, part.scores)
    cues = FailureCues(data.turns, data.items, data.likeness, again, catalog)
    columns = cues.measure()
    p = diagnosed(columns, model=model, rules=rules, groups=cues.groups())
    unsupported = p[:, -1]
    six = p[:, :-1].copy()
    six[:, CLASSES.index(FailurePoint.CORRECT)] += unsupported
    top = six.argmax(axis=1)
    names = np.asarray(list(FailurePoint), dtype=object)
    cannot = (names[top] == FailurePoint.CORRECT) & (unsupported > six[:, CLASSES.index(FailurePoint.CORRECT)] / 2)
    t, day = data.turns, data.turns["ts_ms"] // 86_400_000
    shown = np.where(cannot, len(CLASSES) - 1, top)
    columns_of = {f"p_{name}": six[:, k] for k, name in enumerate(FailurePoint)} | {"p_unsupported": unsupported}
    return pd.DataFrame({
        "turn_id": t.turn_id,
        "user_no": t["user_no"],
        "said": t.text[t["said"]],
        "locale": t.locale[t["said"]],
        "device_type": _devices(part.listed.turns, t),
        "day": day,
        "week": day - (day - _MONDAY) % 7,
        "intent": cues.intent,
        "failure": names[top],
        **columns_of,
        "evidence": _evidence(rules, columns, shown, t, again),
        "remedy": [Remedy.SUPPORT if no else _REMEDIES.get(FailurePoint(f)) for no, f in zip(cannot, names[top], strict=True)],
    })  # fmt: skip


def _devices(path: Path, turns: Turns) -> list[str | None]:
    with connect() as con:
        found = con.execute("SELECT turn_id, device_type FROM read_parquet(?)", [glob(path)]).fetchall()
    device: dict[str, str | None] = dict(found)
    return [device[i] for i in turns.turn_id]


def _evidence(rules: Rules, columns: Columns, shown: Ints, turns: Turns, again: Restated) -> list[str]:
    """Return the evidence of each turn in words; that something worked needs none."""
    found = rules.evidence(signs(columns), shown)
    return ["; ".join(sign(s, _detail(s, row, columns, turns, again)) for s in of) for row, of in enumerate(found)]


def _detail(of: Sign, row: int, columns: Columns, turns: Turns, again: Restated) -> str:
    if of in (Sign.UNSURE_HEARING, Sign.UNSURE_MEANING):
        name = "asr_confidence" if of == Sign.UNSURE_HEARING else "nlu_confidence"
        return f"{columns[row, NAMES.index(name)]:.2f}"
    then = int(again.row[row])
    if then < 0 or again.p[row] < LIKELY:
        return ""
    said = str(turns.text[turns["said"][then]])
    if of == Sign.OTHER_HEARING:
        return said if columns[row, NAMES.index("in_nbest")] == 1 else ""
    return said if of in (Sign.RESTATED, Sign.SOUNDS_LIKE) else ""


def _write(con: duckdb.DuckDBPyConnection, out: Path) -> None:
    """Write the table; only its owner can read it, and a file that is there is replaced whole."""
    new = out.with_name(f".{out.name}.new")
    with explained(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        new.touch(mode=0o600)
        new.chmod(0o600)
        save(con, f"SELECT {', '.join(tables.FAILURES.names)} FROM failures ORDER BY turn_id", new)
        new.chmod(0o600)
        new.replace(out)


_FIGURES = f"""
SELECT COUNT(*), [{", ".join(f"COALESCE(FSUM(p_{name}), 0)" for name in FailurePoint)}], COALESCE(FSUM(p_unsupported), 0),
       [{", ".join(f"COUNT(*) FILTER (failure = '{name}')" for name in FailurePoint)}],
       COUNT(*) FILTER (remedy = '{Remedy.SUPPORT}')
FROM failures
"""
_CLUSTERS_OF = """
WITH cases AS (SELECT {name} AS value, failure, remedy, user_no, said, week FROM failures WHERE {name} IS NOT NULL),
newest AS (SELECT value, MAX(week) AS week FROM cases GROUP BY value),
whole AS (
  SELECT value, COUNT(*) AS turns, COUNT(*) FILTER (c.week < n.week) AS earlier
  FROM cases AS c JOIN newest AS n USING (value) GROUP BY value
),
said AS (
  SELECT value, failure, said, COUNT(DISTINCT user_no) AS users FROM cases WHERE remedy IS NOT NULL
  GROUP BY value, failure, said HAVING users >= $k
),
shown AS (SELECT value, failure, LIST(said ORDER BY users DESC, said)[:3] AS examples FROM said GROUP BY value, failure),
found AS (
  SELECT value, failure, MIN(remedy) AS remedy, COUNT(*) AS turns, COUNT(DISTINCT user_no) AS users,
         COUNT(*) FILTER (c.week < n.week) AS earlier
  FROM cases AS c JOIN newest AS n USING (value) WHERE remedy IS NOT NULL
  GROUP BY value, failure HAVING users >= $k
)
SELECT f.value, f.failure, f.remedy, f.turns, f.users, f.earlier, w.turns, w.earlier, COALESCE(s.examples, [])
FROM found AS f JOIN whole AS w USING (value) LEFT JOIN shown AS s ON s.value = f.value AND s.failure = f.failure
ORDER BY f.value, f.failure
"""


def _figures(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Return the figures of `Diagnosis` over all turns."""
    ((turns, failures, unsupported, likeliest, likely_unsupported),) = con.execute(_FIGURES).fetchall()
    return {
        "turns": turns,
        "failures": dict(zip(FailurePoint, failures, strict=True)),
        "unsupported": unsupported,
        "likeliest": dict(zip(FailurePoint, likeliest, strict=True)),
        "likely_unsupported": likely_unsupported,
    }


def _clusters(con: duckdb.DuckDBPyConnection, name: str, min_users: int, most: int = 20) -> list[Cluster]:
    """Return the clusters of a column that at least k users are in, the largest first."""
    rows = [
        Cluster(
            FailurePoint(failure),
            date.fromordinal(_EPOCH + int(value)).isoformat() if name == "week" else str(value),
            turns,
            users,
            turns / near,
            _trend(turns, earlier, near, near_earlier),
            tuple(examples),
            Remedy(remedy),
        )
        for value, failure, remedy, turns, users, earlier, near, near_earlier, examples in con.execute(
            _CLUSTERS_OF.format(name=name), {"k": min_users}
        ).fetchall()
    ]
    return sorted(rows, key=lambda c: (-c.turns, c.value))[:most]


def _trend(turns: int, earlier: int, near: int, near_earlier: int) -> float:
    """Return the share of the last week divided by that of the weeks before; turns of a cluster, and of all with its value."""
    if not near_earlier:
        return math.nan
    before, now = earlier / near_earlier, (turns - earlier) / (near - near_earlier)
    return now / before if before else math.inf


_LEAD = """A turn has failed where a stage failed and no later stage made up for it. Stages are the wake word, recognition,
understanding (NLU), the resolution of entities, or the action itself. A mishearing that did no harm is correct, and so is a
request for something that the assistant cannot do."""
_STAGES = """Turns by the likeliest stage of each, as in the tables below. Expected: the sums of the probabilities of all
turns, which is the better estimate of a whole where many turns are unsure."""
_CLUSTERS = """Turns by the likeliest stage of each; a turn without such a value is in none. Nothing is shown that fewer than k
users did (launch.min_users). Share: of all turns with this value. Trend: the share in the last week of the log divided by that of
the weeks before."""
