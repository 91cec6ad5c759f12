"""`try_out`: learns from a part of a log and judges on the rest, so that one step says what rewriting would do for it."""

import math
import shlex
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb
import numpy as np

from rewriter.artefact.versions import current
from rewriter.codes import NextStep
from rewriter.config import Config
from rewriter.engines import quoted
from rewriter.errors import running
from rewriter.evaluation.evaluate import healthy_texts
from rewriter.evaluation.outcomes import Outcomes, where
from rewriter.evaluation.pairs import Pair, best, pairs, worst
from rewriter.evaluation.replay import RecordedTurn, load, replay
from rewriter.evaluation.summary import Row, row
from rewriter.messages import advice, next_step
from rewriter.offline import learn as job
from rewriter.offline.catalog import Sources
from rewriter.offline.logs import reader
from rewriter.offline.logs.layout import as_options
from rewriter.offline.logs.report import DAY_MS, LogReport, Signals, signals
from rewriter.offline.verdict import LogVerdict, forecast
from rewriter.online.rewriter import Rewriter
from rewriter.operate import try_page
from rewriter.progress import Cost
from rewriter.text import hash_user, normalise

STEPS = ("reading", *job.STEPS[1:], "judging", "the report")
COSTS: Final[Mapping[str, Cost]] = {
    "reading": Cost(0.03, 0), "mine": Cost(0.13, 0), "chain": Cost(0.01, 0), "launch": Cost(0.13, 0), "encode": Cost(0.12, 0),
    "fit": Cost(0.45, 0), "artefact": Cost(0.03, 0), "judging": Cost(0.08, 0), "the report": Cost(0.02, 0),
}  # fmt: skip
"""Share of the whole time that each step takes on a log of some thousand turns, for the time that is left."""
MODES: Final[Mapping[str, bool]] = {"before the NLU": False, "after a refusal": True}
NEW_USERS: Final = "  users never seen"

_EARLIER = 0.7  # of the turns are learned from, rounded to whole days
_LEAST_EARLIER = 0.5  # of the turns lie before the cut at least; else it is no whole day
_NEW = 5  # one user in so many is kept out of learning


@dataclass(frozen=True, slots=True)
class Split:
    """Which turns were learned from, and which were judged.

    Attributes:
        cut_ms: turns from this time on are judged, epoch milliseconds.
        learned: turns before it, of users who were not kept out.
        judged: all other turns.
        new_users: users who were kept out, all of whose turns are judged.
    """

    cut_ms: int
    learned: int
    judged: int
    new_users: int

    def __str__(self) -> str:
        """One line for people.

        Example:
            >>> str(Split(1767830400000, 4069, 4703, 24))
            'learned from 4,069 turns before 2026-01-08; judged on the 4,703 others, among them all turns of 24 users kept out'
        """
        cut = datetime.fromtimestamp(self.cut_ms / 1000, UTC)
        when = cut.date().isoformat() if self.cut_ms % DAY_MS == 0 else cut.strftime("%Y-%m-%d %H:%M")
        kept = f"among them all turns of {self.new_users:,} users kept out"
        kept = kept if self.new_users else "with too few users to keep some out"
        return f"learned from {self.learned:,} turns before {when}; judged on the {self.judged:,} others, {kept}"


@dataclass(frozen=True, slots=True)
class TryOut:
    """What a log gives.

    Attributes:
        log: what was read.
        split: how it was divided.
        verdict: how much of the log is enough for what; a forecast if nothing was learned.
        rows: name of the turns -> figures: each mode, and in it the users never seen. Empty if nothing was judged.
        losses: the rewrites with a loss, most losses first.
        best: the ten rewrites that win for most users.
        step: what to do next.
        next: the same in words.
        too_little: one line, if the log gives no rewrite at all; else empty.
        artefact: what was learned from the part; None if nothing was.
        report: the page; None if nothing was judged.
    """

    log: LogReport
    split: Split
    verdict: LogVerdict
    rows: Mapping[str, Row]
    losses: Sequence[Pair]
    best: Sequence[Pair]
    step: NextStep
    next: str
    too_little: str
    artefact: Path | None
    report: Path | None


@running("trying the log")
def try_out(
    sources: str | Path | Sequence[str | Path],
    *,
    out: str | Path = "try",
    config: Config | None = None,
    mapping: Mapping[str, str] | None = None,
    sql: str | Path | None = None,
    catalog: Sources | None = None,
    channel: str = "spoken",
    complete: bool = False,
    truth: str | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> TryOut:
    """Learn from the earlier days of a log and judge on the later ones, and on users whose turns are all kept out.

    One user in five is kept out, if there are enough users. The turns that were not learned from are replayed in both modes
    (`rewriter.evaluation.replay`): the log itself tells how a text is answered and what a user wanted. The replay is pessimistic,
    because it counts a right rewrite as a loss where the user's own restatement was misunderstood.

    Args:
        sources: files, folders or globs of a log in the contract of ``docs/log.md``.
        out: folder for ``artefact/``, which is learned from the part, and ``report.html``; made if it is missing.
        config: settings; the defaults if None.
        mapping: contract column -> column of the log, where they differ.
        sql: file with one SELECT that yields the log, in place of `sources`.
        catalog: texts that the assistant understands, as for `learn`; `channel` and `complete` too.
        channel: with a catalog: ``spoken`` or ``typed``.
        complete: with a catalog: whether the assistant understands nothing else.
        truth: column of the log with the hypothesis that the user wanted; None to infer it from the log.
        seed: of the users that are kept out, and of the bootstrap.
        progress: called with the name of each step of `STEPS` as it starts.

    Raises:
        ConfigError, LogError, EngineError, ArtefactError: one line with the cause and the cure.

    Example:
        >>> from rewriter import try_out
        >>> found = try_out("data/sample.parquet", out="try")  # doctest: +SKIP
        >>> found.rows["after a refusal"].wins > found.rows["after a refusal"].losses  # doctest: +SKIP
        True
    """
    config, tell, folder = Config.given(config), progress or (lambda _: None), Path(out)
    tell(STEPS[0])
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        log = _read(sources, work, config, mapping or {}, sql)
        split, part, new = _split(work, log, config.launch.min_users, seed)
        expected, found = _forecast(work / "turns.parquet", log, config)
        hopeless = catalog is None and not (found.shared_texts and found.restated_texts)
        if hopeless or not split.learned or not split.judged:
            return _too_little(log, split, expected)
        turns = _turns(work, sources, config, mapping or {}, sql, truth)
        learned = job.learn(
            [part], out=folder / "artefact", config=config, mapping={"timestamp": "ts_ms"}, afresh=True, catalog=catalog,
            channel=channel, complete=complete, progress=lambda step: None if step == STEPS[0] else tell(_step(step)),
        )  # fmt: skip
        tell("judging")
        judged = [turn for turn in turns if turn.ts_ms >= split.cut_ms or turn.speaker in new]
        outcomes = _judged(folder / "artefact", judged, truth is not None)
        rows = _rows(outcomes, judged, new, seed)
    return _summed_up(
        log, split, learned.verdict, outcomes, rows, turns, folder, config, _named(sources, sql, mapping or {}), tell
    )


def _step(of_learn: str) -> str:
    return of_learn if of_learn in STEPS else STEPS[0]


def _named(sources: str | Path | Sequence[str | Path], sql: str | Path | None, mapping: Mapping[str, str]) -> str:
    """Return the log as a command line names it, with the options that read it."""
    paths = [sources] if isinstance(sources, str | Path) else sources
    named = f"--sql {shlex.quote(str(sql))}" if sql is not None else " ".join(shlex.quote(str(path)) for path in paths)
    return f"{named} {as_options(mapping)}".rstrip()


def _read(
    sources: str | Path | Sequence[str | Path], out: Path, config: Config, mapping: Mapping[str, str], sql: str | Path | None
) -> LogReport:
    """Read the log into a private folder, with the user ids as they are: the part of it is read again as a log."""
    return reader.read(
        sources,
        out=out,
        key=None,
        config=config.logs,
        mapping=mapping,
        sql=Path(sql) if sql else None,
        min_users=config.launch.min_users,
        rejected=reader.temporary_file,
    )


def _turns(
    work: Path,
    sources: str | Path | Sequence[str | Path],
    config: Config,
    mapping: Mapping[str, str],
    sql: str | Path | None,
    truth: str | None,
) -> list[RecordedTurn]:
    """Return all turns. The table of turns has no column for the truth: the log is read again with `response` in its place."""
    if truth is None:
        return load(work / "turns.parquet")
    _read(sources, work / "marked", config, {**mapping, "response": truth}, sql)
    return load(work / "marked" / "turns.parquet", truth="response")


def _split(work: Path, log: LogReport, min_users: int, seed: int) -> tuple[Split, Path, frozenset[str]]:
    """Write the turns to learn from; return how the log was divided, the file, and the users who are kept out."""
    turns, part = work / "turns.parquet", work / "part.parquet"
    with duckdb.connect() as con:
        con.read_parquet(str(turns)).create_view("turns")
        users = [user for (user,) in con.execute("SELECT DISTINCT user_id FROM turns").fetchall()]
        key = seed.to_bytes(16, "big", signed=True)
        kept = sorted(users, key=lambda user: hash_user(user, key))[: len(users) // _NEW if len(users) >= _NEW * min_users else 0]
        cut = _cut(con)
        con.execute("CREATE TEMP TABLE new AS SELECT unnest(?::VARCHAR[]) AS user_id", [kept])
        con.execute("CREATE TEMP TABLE learned AS SELECT * FROM turns WHERE ts_ms < ? AND user_id NOT IN (FROM new)", [cut])
        absent = set(log.missing) & {name for name, *_ in con.execute("DESCRIBE turns").fetchall()}
        without = f" EXCLUDE ({', '.join(sorted(absent))})" if absent else ""
        rows = f"SELECT *{without} FROM learned ORDER BY user_id, ts_ms, turn_id"
        con.execute(f"COPY ({rows}) TO {quoted(str(part))} (FORMAT parquet)")
        ((n,),) = con.execute("SELECT COUNT(*) FROM learned").fetchall()
    return Split(cut, n, log.turns - n, len(kept)), part, frozenset(kept)


def _cut(con: duckdb.DuckDBPyConnection) -> int:
    """Return the time that divides the turns: the beginning of a day, if enough turns lie before it."""
    times = con.execute("SELECT ts_ms FROM turns ORDER BY ts_ms").fetchnumpy()["ts_ms"]
    if not len(times):
        return 0
    cut = int(times[int(_EARLIER * len(times))])
    midnight = cut - cut % DAY_MS
    return midnight if np.searchsorted(times, midnight) >= _LEAST_EARLIER * len(times) else cut


def _forecast(turns: Path, log: LogReport, config: Config) -> tuple[LogVerdict, Signals]:
    with duckdb.connect() as con:
        found = signals(con, turns, min_users=config.launch.min_users, window_ms=config.rephrases.window_ms)
    return forecast(replace(log, signals=found), config), found


def _judged(artefact: Path, turns: Sequence[RecordedTurn], marked: bool) -> dict[str, Outcomes]:
    """Return mode -> outcomes of the turns."""
    rewrite, healthy = Rewriter.open(artefact).rewrite, healthy_texts(current(artefact)) or frozenset()
    return {
        mode: replay(turns, rewrite, after_failure=late, marked=marked, healthy_in_log=healthy) for mode, late in MODES.items()
    }


def _rows(outcomes: Mapping[str, Outcomes], turns: Sequence[RecordedTurn], new: frozenset[str], seed: int) -> dict[str, Row]:
    unseen = np.fromiter((turn.speaker in new for turn in turns), dtype=bool, count=len(turns))
    rows = {}
    for mode, of in outcomes.items():
        rows[mode] = row(mode, of, seed=seed)
        if unseen.any():
            rows[f"{mode}: {NEW_USERS.strip()}"] = row(NEW_USERS, where(of, unseen), seed=seed)
    return rows


def _summed_up(
    log: LogReport,
    split: Split,
    verdict: LogVerdict,
    outcomes: Mapping[str, Outcomes],
    rows: Mapping[str, Row],
    turns: Sequence[RecordedTurn],
    folder: Path,
    config: Config,
    named: str,
    tell: Callable[[str], None],
) -> TryOut:
    """Sum up what was judged, and write the page."""
    found = pairs(outcomes)
    if not found and all(part.lack is not None for part in verdict.parts):
        return _too_little(log, split, verdict)
    step = _step_after(rows, config)
    advised = advice(*verdict.advised[0]) if verdict.advised else ""
    words = next_step(step, str(folder / "artefact"), named, advised)
    result = TryOut(
        log, split, verdict, rows, worst(found), best(found), step, words, "", folder / "artefact", folder / "report.html"
    )
    tell("the report")
    page = try_page.page(result, outcomes, _shared(turns, config.launch.min_users), config.launch.min_users)
    (folder / "report.html").write_text(page, encoding="utf-8")
    return result


def _step_after(rows: Mapping[str, Row], config: Config) -> NextStep:
    modes = [rows[mode] for mode in MODES]
    if not any(of.wins + of.losses + of.ties + of.unknown for of in modes):
        return NextStep.MORE
    if not any(of.wins + of.losses for of in modes):
        return NextStep.MARK
    budget = max(config.launch.max_loss_share, config.trigger.max_loss_share)
    over = any(of.losses > math.ceil(budget * (of.wins + of.losses)) for of in modes)
    return NextStep.LOOK if over else NextStep.LEARN


def _too_little(log: LogReport, split: Split, verdict: LogVerdict) -> TryOut:
    advised = advice(*verdict.advised[0]) if verdict.advised else "learn from more days and more users"
    turns, users = (f"{n:,} {what}{'s' * (n != 1)}" for n, what in ((log.turns, "turn"), (log.users, "user")))
    line = f"not enough data: {turns} of {users} give no rewrite; {advised}"
    return TryOut(log, split, verdict, {}, (), (), NextStep.MORE, advised, line, None, None)


def _shared(turns: Sequence[RecordedTurn], min_users: int) -> frozenset[str]:
    """Return the normalised texts that at least `min_users` users said."""
    speakers: dict[str, set[str]] = defaultdict(set)
    for turn in turns:
        speakers[normalise(turn.utterance, turn.locale)].add(turn.user)
    return frozenset(text for text, users in speakers.items() if len(users) >= min_users)
