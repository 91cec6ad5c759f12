"""`evaluate`: from an artefact and a log to outcomes, a table and a picture."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rewriter.artefact.versions import Version, current
from rewriter.config import Config
from rewriter.evaluate.curve import Point, curve
from rewriter.evaluate.files import write_outcomes
from rewriter.evaluate.learned import healthy_texts, learned_days
from rewriter.evaluate.outcomes import Outcomes
from rewriter.evaluate.picture import draw, save
from rewriter.evaluate.recorded import load
from rewriter.evaluate.replay import replay
from rewriter.evaluate.summary import Row, summary, table
from rewriter.offline import logs
from rewriter.offline.logs_report import LogReport
from rewriter.online.rewriter import Rewriter

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an artefact would have done to a log.

    Attributes:
        log: what was read.
        outcomes: one row per turn.
        turn_ids: their names, in the same order.
        rows: the figures, of all turns and by layer and scope.
        points: the curve over thresholds.
        warnings: why the figures may mislead, one line each.
    """

    log: LogReport
    outcomes: Outcomes
    turn_ids: tuple[str, ...]
    rows: tuple[Row, ...]
    points: tuple[Point, ...]
    warnings: tuple[str, ...]

    @property
    def table(self) -> str:
        """The figures as a Markdown table."""
        return table(self.rows)

    def write(self, folder: Path) -> list[Path]:
        """Write outcomes.parquet, table.md, curve.svg and curve.png into a folder, made if it is missing; return the files."""
        folder.mkdir(parents=True, exist_ok=True)
        parquet, markdown, *pictures = (folder / n for n in ("outcomes.parquet", "table.md", "curve.svg", "curve.png"))
        write_outcomes(self.outcomes, parquet, turn_ids=self.turn_ids)
        markdown.write_text(self.table + "\n", encoding="utf-8")
        figure = draw({"rewriter": self.points})
        for picture in pictures:
            save(figure, picture)
        return [parquet, markdown, *pictures]


def evaluate(
    artefact: str | Path,
    sources: Sequence[str | Path],
    *,
    truth: str | None = None,
    mapping: Mapping[str, str] | None = None,
    out: str | Path | None = None,
    after_failure: bool = False,
    seed: int = 0,
) -> Evaluation:
    """Replay a log that the artefact was not learned from, by the rule of `rewriter.evaluate.replay`.

    Args:
        artefact: the folder that `learn` wrote.
        sources: files, folders or globs of a log in the contract of `docs/log.md`.
        truth: column of the log that holds, for each turn, the hypothesis that the user wanted, or NULL; None where the log
            has none, and a fixed strict rule tells.
        mapping: contract column -> column of the log, where they differ.
        out: folder for `Evaluation.write`; None to write nothing.
        after_failure: ask the rewriter only about turns that the assistant refused.
        seed: of the bootstrap by user.

    Raises:
        ArtefactError: the artefact is missing or damaged.
        LogError: the log cannot be read.
    """
    version = current(artefact)
    names = dict(mapping or {})
    # Replay needs what the table of turns has no column for: the user ids that a rewriter is asked with, and the truth.
    borrowed = {"device_id": names.get("user_id", "user_id")} | ({"response": truth} if truth else {})
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        key = bytes.fromhex(version.manifest.user_key)
        config = Config.from_dict(dict(version.manifest.config)).logs
        log = logs.read(sources, out=work, key=key, config=config, mapping=names | borrowed)
        turns = load(work / "turns.parquet", speaker="device_id", truth="response" if truth else None)
    outcomes = replay(
        turns,
        Rewriter.open(artefact).rewrite,
        after_failure=after_failure,
        marked=truth is not None,
        healthy_in_log=healthy_texts(version) or frozenset(),
    )
    evaluation = Evaluation(
        log=log,
        outcomes=outcomes,
        turn_ids=tuple(t.turn_id for t in turns),
        rows=tuple(summary(outcomes, seed=seed)),
        points=tuple(curve(outcomes, seed=seed)),
        warnings=tuple(_warnings(version, log, outcomes)),
    )
    if out is not None:
        evaluation.write(Path(out))
    return evaluation


def _warnings(version: Version, log: LogReport, outcomes: Outcomes) -> Iterator[str]:
    learned = learned_days(version)
    if learned is None:
        yield "the state of this artefact is not here: nobody can tell whether it was learned from these very days"
    elif log.first_ms is not None and log.last_ms is not None:
        first, last = log.first_ms // _DAY_MS, log.last_ms // _DAY_MS
        if first <= learned[1] and learned[0] <= last:
            yield (
                f"the artefact was learned from {_date(learned[0])} to {_date(learned[1])}, and this log runs from"
                f" {_date(first)} to {_date(last)}: turns that it was learned from flatter it"
            )
    if len(outcomes) and not outcomes.goal.any():
        yield "no turn has a known goal: the log needs hypothesis, or intent and slots, for a replay to tell wins from losses"


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY_MS / 1000, UTC).date().isoformat()
