"""From turns to transitions: the order of the mining steps, each a SELECT of `sql/` or a function of this file.

SQL cannot compare texts or score candidates: `rewriter.offline.mining.score` does, Parquet to Parquet and a chunk at a time.

The last step discounts edges of the chain by what became of rewrites (`write_edge_discount`). A text that has a rewrite stands in
the chain as itself and as its rewrite (Ponnusamy et al., "Self-aware feedback-based self-learning in large-scale conversational
AI", NAACL 2022, arXiv 2205.00029). The requests that were rewritten and those that were left alone tell how far the rewrite can
be trusted. The trust in an edge i -> j is::

    P(Y > X | trials of i as spoken and of i sent as j)  /  P(Y > X | trials of i as spoken alone),   at most 1

with X and Y the rates of success as spoken and rewritten (`rewriter.offline.trials`). The mass of the edge that is not trusted
becomes failure of row i. So a rewrite that fails loses its mass, whoever gave it, and leaving i alone scores higher.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from rewriter import tables
from rewriter.arrays import Ints
from rewriter.config import Config, Loop
from rewriter.detect.select import RULE, BestDetector, parts_for
from rewriter.detect.turns import Listed
from rewriter.engines import Engine, connect, count_rows, glob, save
from rewriter.errors import EngineError
from rewriter.model.detector import Detector
from rewriter.offline import trials
from rewriter.offline.mining.deal import deal
from rewriter.offline.mining.incremental import KNOWN, PARTED, SUMMED, Carried, closed_ms, part
from rewriter.offline.mining.score import compare, score, score_parts, teach
from rewriter.offline.mining.second_choice import choose
from rewriter.offline.mining.small_tables import (
    EvidenceStarts,
    write_ages,
    write_context_values,
    write_evidence_starts,
    write_nodes,
    write_stops,
)
from rewriter.offline.trials import p_better
from rewriter.progress import Progress
from rewriter.tables import (
    EDGE_DISCOUNT,
    EDGES,
    EVIDENCE_STARTS,
    LEFT_OUT,
    NODES,
    QUERIES,
    ROW_DAYS,
    USER_EDGES,
    USER_NODES,
)
from rewriter.text import normalise

_READINGS = """
SELECT sent, arg_max(state, (users, turns, state))
FROM (
  SELECT sent, state, COUNT(DISTINCT user_no) AS users, SUM(turns) AS turns
  FROM counts WHERE sent IN (SELECT sent FROM wanted) GROUP BY sent, state
)
GROUP BY sent
"""


def write_edge_discount(counts: Path, row_days: Path, ages: Path, path: Path) -> Path:
    """Write `tables.EDGE_DISCOUNT` for every source that was ever rewritten.

    Args:
        counts: Parquet of `tables.COUNTS`.
        row_days: the newest day of each row.
        ages: Parquet of `tables.AGES`.
        path: file to write.
    """
    found = trials.read(counts, row_days, ages)
    tried = found.take(np.flatnonzero(found.arm == 1))
    target = _understood(counts, tried.sent)
    key = np.stack([tried.said, target], axis=1)
    pairs, group = np.unique(key, axis=0, return_inverse=True) if len(tried) else (key.reshape(-1, 2), tried.said)
    number, ok = trials.effective(group.reshape(-1), tried.weights(), tried.outcome, len(pairs))

    left = found.take(np.flatnonzero(found.arm == 0))
    place = np.searchsorted(pairs[:, 0], left.said)
    known = np.flatnonzero(np.append(pairs[:, 0], -1)[place] == left.said)
    sources, first, back = np.unique(pairs[:, 0], return_index=True, return_inverse=True)
    spoken = trials.effective(np.searchsorted(first, place[known]), left.weights()[known], left.outcome[known], len(sources))
    left_number, left_ok = (column[back.reshape(-1)] for column in spoken)
    nothing = np.zeros(len(pairs))
    ratio = p_better(left_number, left_ok, number, ok) / p_better(left_number, left_ok, nothing, nothing)
    columns = {"source": pairs[:, 0], "target": pairs[:, 1], "trust": np.floor(1000 * np.minimum(ratio, 1.0)).astype(np.int64)}
    with connect() as con:
        con.register("columns", columns)
        save(con, "SELECT * FROM columns", path)
    return path


def _understood(counts: Path, sent: Ints) -> Ints:
    """Return the interpretation that each text has for most users."""
    texts, back = np.unique(sent, return_inverse=True)
    if not len(texts):
        return sent
    with connect(counts=counts) as con:
        con.register("wanted", {"sent": texts})
        state = dict(con.execute(_READINGS).fetchall())
    return np.array([state[text] for text in texts.tolist()], dtype=np.int64)[back.reshape(-1)]


TABLES: Final = 40
"""Tables that are made of a log; a few more where its users are dealt into parts."""

_SQL = resources.files("rewriter.offline") / "sql"
_TABLES = {table.name: table for table in vars(tables).values() if isinstance(table, tables.Table)}
_DECLARED = {f"new_{name}" if name in PARTED else name: table for name, table in _TABLES.items()}
"""Of what is added up day by day the new day is checked."""


@dataclass(frozen=True, slots=True)
class Mined:
    """Where the mined tables are, and two counts.

    Attributes:
        users, texts, sessions, candidates, scores, counts, rephrases, context_counts, context_steps, ages, evidence_starts,
        edge_discount,
            user_nodes, user_edges, nodes, edges, queries: Parquet of the table of that name in `rewriter.tables`.
        taught: the scores whose failures other words could have helped, `tables.SCORES` (`rewriter.detect.teaching_share`).
        row_days: Parquet with the newest day (last_day) that k users had reached of each row (node) of the chain, and of the
            whole log (-1).
        left_out: Parquet with the users (user_no) who do not count for others, because they say far more texts than all.
        said: the turns that were mined, `tables.TURNS` and whether they were counted before.
        recent: turns of the last days, `tables.TURNS`, which the next day may look at again.
        locales: users of each locale that has at least `Config.launch.min_users` of them, over all days.
        turns: how many are in the tables.
        dropped: turns of today of whose utterance normalisation left nothing; they are in no table.
    """

    users: Path
    texts: Path
    said: Path
    recent: Path
    sessions: Path
    candidates: Path
    scores: Path
    taught: Path
    counts: Path
    rephrases: Path
    context_counts: Path
    context_steps: Path
    ages: Path
    evidence_starts: Path
    edge_discount: Path
    row_days: Path
    left_out: Path
    user_nodes: Path
    user_edges: Path
    nodes: Path
    edges: Path
    queries: Path
    locales: Mapping[str, int]
    turns: int
    dropped: int

    def named(self, *names: str) -> dict[str, Path]:
        """Return some tables by their names, as `database.connect` takes them."""
        return {name: getattr(self, name) for name in names}


def mine(
    engine: Engine,
    turns: Path,
    detector: Detector | BestDetector,
    config: Config,
    progress: Progress | None = None,
    evidence_starts: EvidenceStarts | None = None,
    carried: Carried | None = None,
    whole: bool = False,
) -> Mined:
    """Mine a log: sessions, friction, candidates, P(restates), and what each turn spends in the absorbing chain.

    Args:
        engine: runs the SQL, and says where the tables go.
        turns: Parquet of `tables.TURNS`.
        detector: gives P that a turn restates an earlier one, or chooses what does.
        config: its sections sessions, friction, rephrases, chain and loop are used.
        progress: told the name of each table as its making begins.
        evidence_starts: the first days whose evidence counts.
        carried: what the days before left; `turns` are added to it.
        whole: whether all recent turns are looked at again, not only the open ones: by a detector that learns from them or that
            has, or by what is fitted on them.

    Raises:
        EngineError: a step failed, a table is not as declared, or the detector gave what is no P.
    """
    tables.check(tables.TURNS, turns)
    past = carried or Carried.read(None)
    said = past.join_recent(turns, engine.work / "said.parquet", whole=whole)
    require_disk(said)
    last_ms = max(past.last_ms, _fetch("SELECT COALESCE(MAX(ts_ms), 0) FROM read_parquet(?)", said)[0][0])
    learns = isinstance(detector, BestDetector) and detector.learns
    steps = _opened(engine, past, said, config, {"closed_ms": closed_ms(last_ms, config), "learns": int(learns)}, progress)
    locales = dict(_fetch("SELECT locale, turns FROM read_parquet(?)", steps.sql("locales")))
    found = _candidates(steps, said, detector, locales, config.rephrases.min_helped)
    texts, sessions = found["texts"], found["sessions"]
    counted = _counted(steps, past, said, texts, evidence_starts or {}, config)
    n = count_rows(sessions)
    recent = past.keep_recent(turns, last_ms, config, engine.work / "recent.parquet")
    spoken = dict(_locales(counted["counts"], texts, config.launch.min_users))
    dropped = sum(locales.values()) - n
    return Mined(said=said, recent=recent, **found, **counted, locales=spoken, turns=n, dropped=dropped)


_DISK_A_TURN, _DISK_A_BYTE = 600, 2
"""Bytes that the tables of mining take at most: for each turn, and for each byte of the log as it was read. The first is more
than twice what `benchmarks/scale.py` measured, whose texts are short."""


def require_disk(said: Path) -> None:
    """Stop before anything is mined where the disk cannot hold the tables.

    Args:
        said: Parquet of the turns that are to be mined, in the folder of the tables.

    Raises:
        EngineError: it cannot.
    """
    turns, work = count_rows(said), said.parent
    need, free = turns * _DISK_A_TURN + said.stat().st_size * _DISK_A_BYTE, shutil.disk_usage(work).free
    if need > free:
        raise EngineError(
            f"not enough disk space: mining {turns:,} turns takes up to {need / 1e6:,.1f} MB in {work}, and {free / 1e6:,.1f} MB"
            " are free; make room there, or learn fewer days at a time"
        )


def _opened(
    engine: Engine, past: Carried, said: Path, config: Config, numbers: dict[str, int], progress: Progress | None
) -> "_Steps":
    """Make the turns and the tables of the days before known to the engine, and return what runs the steps."""
    known = {table.name: past.known(table, engine.work) for table in KNOWN}
    next_number = {name: count_rows(path) for name, path in known.items()}
    engine.read("turns", said)
    for name, path in known.items():
        engine.read(f"known_{name}", path)
    engine.function("normalise", normalise, arguments=2)
    return _Steps(engine, _numbers(config) | next_number | numbers, progress)


def _candidates(
    steps: "_Steps", said: Path, detector: Detector | BestDetector, locales: Mapping[str, int], min_helped: float
) -> dict[str, Path]:
    """Find sessions and candidates, and score the candidates: the tables by their names in `Mined`."""
    steps.python("stops", lambda out: write_stops(locales, out))
    for name in ("heard", "clean", "phrases"):
        steps.sql(name)
    texts = steps.sql("texts")
    steps.sql("spellings")
    users = steps.sql("users")
    steps.sql("session_ids")
    sessions, candidates = steps.sql("sessions"), steps.sql("candidates")
    pairs = steps.sql("pairs")
    steps.python("likeness", lambda out: compare(steps.engine, pairs, out))
    compared = steps.sql("compared")
    listed = Listed(said, sessions, texts, compared)
    steps.python("all_scores", lambda out: _all_scores(steps, listed, detector, out))
    asked = steps.sql("second_pairs")
    steps.python("second_choices", lambda out: choose(steps.engine, asked, out))
    scores = steps.sql("scores")
    teaching = steps.python("taught", lambda out: teach(steps.engine, scores, texts, min_helped, out))
    found = {"users": users, "texts": texts, "sessions": sessions, "candidates": candidates}
    return found | {"scores": scores, "taught": teaching}


def _all_scores(steps: "_Steps", listed: Listed, detector: Detector | BestDetector, out: Path) -> Path:
    """Let the detector be learned, where it is, and write what it gives each candidate.

    Args:
        steps: deals a large log into parts.
        listed: the tables of the log; the candidates with what the comparison of their texts has found.
        detector: gives P that a turn restates an earlier one, or chooses what does.
        out: folder to write.
    """
    if not isinstance(detector, BestDetector):
        return score(steps.engine, listed.candidates, listed.texts, detector, out)
    n = parts_for(count_rows(listed.sessions), detector.memory_gb) if detector.looks_back else 1
    dealt = deal(steps.engine, n, steps.progress) if n > 1 else []
    if detector.looks_back and not detector.learns and not dealt:
        read = replace(listed, texts=steps.sql("used_texts"))
    else:
        read = dealt[0] if dealt else listed
    chosen = detector.choose(read, whole=not dealt)
    if dealt and detector.pair is not None and detector.name != RULE:
        return score_parts(steps.engine, dealt, detector.pair.learned, out)
    return score(steps.engine, listed.candidates, listed.texts, chosen, out)


def _counted(
    steps: "_Steps", past: Carried, said: Path, texts: Path, evidence_starts: EvidenceStarts, config: Config
) -> dict[str, Path]:
    """Count what each turn spends in the chain, by day and over all days: the tables by their names in `Mined`."""
    steps.sql("spent")
    steps.python("context_values", lambda out: write_context_values(said, out, config.context))
    new = {name: steps.sql(f"new_{name}") for name in PARTED}
    parts = {name: steps.python(name, partial(part, name, path, past)) for name, path in new.items()}
    ages = steps.python("ages", lambda out: write_ages(config.loop.half_life_days, out))
    starts = steps.python("evidence_starts", lambda out: write_evidence_starts(evidence_starts, texts, out))
    made = parts | {"ages": ages, "evidence_starts": starts, "left_out": steps.sql("left_out")}
    if not past.has_sums(summed_by(config)) or _changed(past, made, LEFT_OUT):
        return made | _summed(steps, made)
    return made | _summed_again(steps, made, past)


_SUMS = ("user_edges", "user_nodes", "nodes", "edges", "queries")
"""The steps that sum counts over all days, in their order."""
_ROW_OF = {USER_EDGES: "source", USER_NODES: "node", NODES: "node", EDGES: "source"}
"""The column of a table of sums that names the row of the chain."""


def summed_by(config: Config) -> str:
    """Return the settings by which the sums over all days are made, and the release, as text."""
    names = ("user_cap", "min_users", "far", "enough")
    numbers = {name: _numbers(config)[name] for name in names} | {"half_life_days": config.loop.half_life_days}
    return json.dumps(numbers | {"rewriter": version("rewriter")})


def _summed(steps: "_Steps", made: Mapping[str, Path]) -> dict[str, Path]:
    """Sum the counts of all days."""
    row_days = steps.sql("row_days")
    discount = steps.python("edge_discount", lambda out: write_edge_discount(made["counts"], row_days, made["ages"], out))
    steps.sql("steps")
    return {"edge_discount": discount, "row_days": row_days} | {name: steps.sql(name) for name in _SUMS}


def _summed_again(steps: "_Steps", made: Mapping[str, Path], past: Carried) -> dict[str, Path]:
    """Sum the counts of the rows that today touches, and take over the sums of all others.

    A row is touched if a turn of today was said, sent or understood so, or if its evidence counts from another day, or by another
    trust, than yesterday. Turns that were open are among those of today. Evidence ages by the newest day of its own row, so other
    rows do not change.

    Args:
        steps: has run those up to the counts.
        made: the tables so far.
        past: holds the sums of yesterday.
    """
    engine = steps.engine
    for table in SUMMED:
        engine.read(f"known_{table.name}", past.known(table, engine.work))
    steps.sql("log_day")
    forced = _changed(past, made, EVIDENCE_STARTS)
    near = _look_near(steps, made, forced)
    engine.read("counts", steps.sql("near_days"))
    steps.again("row_days")
    engine.read("counts", near)
    row_days = steps.joined(
        ROW_DAYS,
        "SELECT n.node, n.last_day FROM again_row_days AS n JOIN touched AS t ON t.node = n.node"
        " UNION ALL SELECT k.node, k.last_day FROM known_row_days AS k LEFT JOIN touched AS t ON t.node = k.node"
        " WHERE t.node IS NULL AND k.node >= 0"
        " UNION ALL SELECT d.node, d.last_day FROM log_day AS d",
    )
    discount = steps.python("edge_discount", lambda out: write_edge_discount(made["counts"], row_days, made["ages"], out))
    if by_trust := _changed(past, {"edge_discount": discount}, EDGE_DISCOUNT):
        _look_near(steps, made, forced | by_trust)
    steps.sql("steps")
    for name in _SUMS:
        steps.again(name)
    steps.sql("touched_texts")
    queries = steps.joined(QUERIES, _joined(QUERIES, "touched_texts", {"locale": "locale", "text": "query"}))
    sums = {table.name: steps.joined(table, _joined(table, "touched", {"node": row})) for table, row in _ROW_OF.items()}
    return {"edge_discount": discount, "row_days": row_days, "queries": queries} | sums


def _look_near(steps: "_Steps", made: Mapping[str, Path], forced: frozenset[int]) -> Path:
    """Let the steps read the counts of touched rows alone; return these."""
    engine = steps.engine
    steps.python("forced", lambda out: write_nodes(forced, out))
    steps.sql("touched")
    for name in ("counts", "rephrases"):
        engine.read(name, made[name])
        engine.read(name, steps.sql(f"near_{name}"))
    return steps.work("near_counts")


def _joined(table: tables.Table, touched: str, on: Mapping[str, str]) -> str:
    """Return the SELECT of a table of sums: the rows that were summed again, and those of yesterday that nothing touched."""
    new, known = (", ".join(f"{at}.{name}" for name in table.names) for at in "nk")
    of_new, of_known = (" AND ".join(f"t.{name} = {at}.{column}" for name, column in on.items()) for at in "nk")
    return (
        f"SELECT {new} FROM again_{table.name} AS n JOIN {touched} AS t ON {of_new}"
        f" UNION ALL SELECT {known} FROM known_{table.name} AS k LEFT JOIN {touched} AS t ON {of_known}"
        f" WHERE t.{next(iter(on))} IS NULL"
    )


def _changed(past: Carried, made: Mapping[str, Path], table: tables.Table) -> frozenset[int]:
    """Return the rows (or users) of a table that are not as they were yesterday, by its first column."""
    columns = ", ".join(table.names)
    one, other = (f"SELECT {columns} FROM {name}" for name in ("now", "known"))
    sql = f"SELECT DISTINCT {table.names[0]} FROM (({one} EXCEPT {other}) UNION ALL ({other} EXCEPT {one}))"
    path = made[table.name]
    with connect(now=path, known=past.known(table, path.parent)) as con:
        return frozenset(int(row) for (row,) in con.execute(sql).fetchall())


@dataclass(frozen=True, slots=True)
class _Steps:
    """Runs steps by name; a table that is declared is checked."""

    engine: Engine
    numbers: Mapping[str, int]
    progress: Progress | None

    def sql(self, name: str) -> Path:
        text = (_SQL / f"{name}.sql").read_text(encoding="utf-8")
        return self._checked(name, lambda: self.engine.run(name, text.format(**self.numbers)))

    def again(self, name: str) -> None:
        """Run a step on what the steps read now; those after it read what it gives."""
        text = (_SQL / f"{name}.sql").read_text(encoding="utf-8")
        self.engine.read(name, self.engine.run(f"again_{name}", text.format(**self.numbers)))

    def joined(self, table: tables.Table, sql: str) -> Path:
        return self._checked(table.name, lambda: self.engine.run(table.name, sql))

    def work(self, name: str) -> Path:
        """Return where a step writes."""
        return self.engine.work / f"{name}.parquet"

    def python(self, name: str, write: Callable[[Path], Path]) -> Path:
        path = self._checked(name, lambda: write(self.work(name)))
        self.engine.read(name, path)
        return path

    def _checked(self, name: str, run: Callable[[], Path]) -> Path:
        if self.progress is not None:
            self.progress(name)
        path = run()
        if name in _DECLARED:
            tables.check(_DECLARED[name], path)
        return path


_LOCALES = """
WITH spoken AS (SELECT DISTINCT t.locale, c.user_no FROM counts AS c JOIN texts AS t ON t.id = c.said)
SELECT locale, COUNT(*) FROM spoken GROUP BY locale HAVING COUNT(*) >= ? ORDER BY locale
"""


def _locales(counts: Path, texts: Path, min_users: int) -> list[tuple[str, int]]:
    """Return the users of each locale that enough users speak. The manifest ships them, and a rare locale tells who speaks it."""
    with connect(counts=counts, texts=texts) as con:
        return con.execute(_LOCALES, [min_users]).fetchall()


_LAST_DAY = """
SELECT COALESCE(GREATEST((SELECT last_day FROM row_days WHERE node = -1), MAX(day) - ?), MAX(day), 0) FROM counts
"""


def last_day(mined: Mined, config: Loop) -> int:
    """Return the last day of a log, days since 1970; 0 where it has no turns.

    It is the newest day that k users have reached, so that fewer accounts cannot move the stages of rules to a later day. It is
    at most `recent_days` before the newest day, so that a log in which few users still speak goes on.
    """
    with connect(**mined.named("row_days", "counts")) as con:
        return int(con.execute(_LAST_DAY, [config.recent_days]).fetchall()[0][0])


_FAR = 3
"""A user who says more than so many times as many different texts as the next user may be left out (`sql/left_out.sql`). In the
simulated logs the busiest user says 1.1 times as many as the third."""
_ENOUGH = 5
"""Nobody is left out of a log of fewer users than so many times k."""


def _numbers(config: Config) -> dict[str, int]:
    """Return the parameters of the SQL by name: whole numbers only."""
    friction = config.friction
    return {
        "session_gap_ms": config.sessions.gap_ms,
        "heed_ms": friction.window_ms,
        "failed": friction.failed,
        "barge_in": friction.barge_in,
        "stop": friction.stop,
        "low_confidence": friction.low_confidence,
        "unknown": friction.unknown,
        "confidence": round(friction.confidence * 1000),
        "reach": config.rephrases.reach,
        "window_ms": config.rephrases.window_ms,
        "user_cap": config.chain.user_cap,
        "min_users": config.launch.min_users,
        "far": _FAR,
        "enough": _ENOUGH * config.launch.min_users,
        "texts": 0,
        "users": 0,
        "closed_ms": 0,
        "learns": 0,
        "parts": 1,
    }


def _fetch(sql: str, path: Path) -> list[tuple[Any, ...]]:
    with connect() as con:
        return con.execute(sql, [glob(path)]).fetchall()
