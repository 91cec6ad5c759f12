"""`evaluate`: replays a log through an artefact and returns outcomes, figures and a curve; it can write them to a folder.

`answerable` counts how many refused turns of a log a catalog could answer, before anything is learned.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pandas as pd

from rewriter.artefact.versions import Version, current
from rewriter.config import Config
from rewriter.engines import connect
from rewriter.evaluation.charts import draw, save
from rewriter.evaluation.outcomes import Outcomes, Texts, losses, ties, unknowns, wins
from rewriter.evaluation.replay import load, replay
from rewriter.evaluation.summary import Point, Row, curve, summary, table
from rewriter.offline.catalog import Catalog
from rewriter.offline.catalog_layer import write_catalog_layer
from rewriter.offline.logs import reader
from rewriter.offline.logs.report import LogReport
from rewriter.online.catalog_layer import CatalogLayer
from rewriter.online.request import LayerRequest
from rewriter.online.rewriter import Rewriter
from rewriter.online.serving import lookup_order
from rewriter.tables import OUTCOMES
from rewriter.text import normalise

_DAY_MS = 86_400_000


def write_outcomes(outcomes: Outcomes, path: Path, *, turn_ids: Sequence[str] | None = None) -> None:
    """Write one row per judged turn, in the layout of `tables.OUTCOMES`. The file holds utterances: only its owner can read it.

    Args:
        outcomes: the judged turns.
        path: the Parquet file.
        turn_ids: ids of the turns; None for their numbers.
    """
    names = [str(i) for i in range(len(outcomes))] if turn_ids is None else list(turn_ids)
    columns = {"turn_id": names, "user_id": outcomes.user, "verdict": verdicts(outcomes)}
    rest = {name: getattr(outcomes, name) for name in OUTCOMES.names if name not in columns}
    frame = pd.DataFrame(columns | rest)
    select = ", ".join(f"CAST({c.name} AS {c.type}) AS {c.name}" for c in OUTCOMES.columns)
    with connect() as con:
        con.register("frame", frame)
        con.execute(f"COPY (SELECT {select} FROM frame) TO {_quoted(path)} (FORMAT parquet, COMPRESSION zstd)")
    path.chmod(0o600)


def verdicts(outcomes: Outcomes) -> Texts:
    """Return ``win``, ``loss``, ``tie`` or ``unknown`` for each rewritten turn, empty for those left alone, (n,)."""
    kinds = [wins(outcomes), losses(outcomes), ties(outcomes), unknowns(outcomes)]
    return np.select(kinds, ["win", "loss", "tie", "unknown"], "").astype(object)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def healthy_texts(version: Version) -> frozenset[str] | None:
    """Return the normalised texts that succeeded in most turns of its log; None without the private state."""
    path = version.state / "queries.parquet"
    if not path.exists():
        return None
    sql = "SELECT query FROM read_parquet(?) GROUP BY query HAVING SUM(success) >= 500 * SUM(turns)"
    return frozenset(text for (text,) in _rows(sql, path))


def learned_days(version: Version) -> tuple[int, int] | None:
    """Return the first and last day it learned from, days since 1970-01-01 UTC; None without the private state."""
    path = version.state / "nodes.parquet"
    if not path.exists():
        return None
    ((first, last),) = _rows("SELECT MIN(first_day), MAX(last_day) FROM read_parquet(?)", path)
    return None if first is None else (first, last)


def _rows(sql: str, path: Path) -> list[tuple[Any, ...]]:
    with connect() as con:
        return con.execute(sql, [str(path)]).fetchall()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Result of a replay.

    Attributes:
        log: report of the reader.
        outcomes: one row per turn.
        turn_ids: ids of the turns, in the same order.
        rows: the figures of all turns, and by layer and scope.
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
        """Write outcomes.parquet, table.md, curve.svg and curve.png into a folder and return the paths."""
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
    sources: str | Path | Sequence[str | Path],
    *,
    truth: str | None = None,
    mapping: Mapping[str, str] | None = None,
    out: str | Path | None = None,
    after_failure: bool = False,
    seed: int = 0,
) -> Evaluation:
    """Replay a log that the artefact was not learned from, by the rules of `rewriter.evaluation.replay`.

    Args:
        artefact: the folder that `learn` wrote.
        sources: files, folders or globs of a log in the contract of `docs/log.md`.
        truth: column of the log with the hypothesis that the user wanted, or NULL. None if there is no such column; a strict rule
            then infers it from the log.
        mapping: contract column -> column of the log, for names that differ.
        out: folder for `Evaluation.write`; None to write nothing.
        after_failure: ask the rewriter only about turns that the assistant refused.
        seed: of the bootstrap by user.

    Raises:
        ArtefactError: the artefact is missing or damaged.
        LogError: the log cannot be read.
    """
    version = current(artefact)
    names = dict(mapping or {})
    # The table of turns has no column for the user ids of the log and for the truth, so two unused columns carry them.
    borrowed = {"device_id": names.get("user_id", "user_id")} | ({"response": truth} if truth else {})
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        key = bytes.fromhex(version.manifest.user_key)
        config = Config.from_dict(dict(version.manifest.config)).logs
        log = reader.read(sources, out=work, key=key, config=config, mapping=names | borrowed, rejected=reader.temporary_file)
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
    if learned is None and version.learned:
        yield "without the private state of the artefact it is unknown whether it was learned from these days"
    elif learned is not None and log.first_ms is not None and log.last_ms is not None:
        first, last = log.first_ms // _DAY_MS, log.last_ms // _DAY_MS
        if first <= learned[1] and learned[0] <= last:
            yield (
                f"the artefact was learned from {_date(learned[0])} to {_date(learned[1])}, and this log runs from"
                f" {_date(first)} to {_date(last)}: on turns that it was learned from the figures are too good"
            )
    if len(outcomes) and not outcomes.goal.any():
        yield (
            "no turn has a known goal: to tell wins from losses, the log needs the column hypothesis, or intent and slots; or let"
            " each text stand for itself: --map hypothesis=COLUMN, the column of the utterance"
        )


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY_MS / 1000, UTC).date().isoformat()


MOST_TEXTS: Final = 20_000
"""Largest number of refused texts that are tried, the commonest first. One takes about a millisecond."""

_REFUSED = """
SELECT locale, utterance, COUNT(*), list(DISTINCT user_id) FROM read_parquet(?) WHERE status = 'failed'
GROUP BY locale, utterance ORDER BY COUNT(*) DESC, locale, utterance
"""


@dataclass(frozen=True, slots=True)
class Answerable:
    """What a catalog can do for the refused turns of a log.

    Attributes:
        turns: turns of the log whose status is ``failed``.
        texts: different texts among them, after case and punctuation are normalised.
        asked: the texts that were tried, the commonest first.
        answered_turns: turns whose text gets a rewrite.
        answered_texts: texts that get a rewrite.
        example: the commonest such text of k users or more, and its rewrite; None if there is none.
    """

    turns: int
    texts: int
    asked: int
    answered_turns: int
    answered_texts: int
    example: tuple[str, str] | None

    def __str__(self) -> str:
        """One line for people."""
        if not self.turns:
            return "catalog: no turn of the log has the status failed, so it is not known what it could answer"
        share = self.answered_turns / self.turns
        found = (
            f"catalog: answers {self.answered_turns:,} of {self.turns:,} refused turns ({share:.0%}), "
            f"{self.answered_texts:,} of {self.texts:,} refused texts"
        )
        tried = f" (only the {self.asked:,} commonest were tried)" if self.asked < self.texts else ""
        return found + tried + (f', such as "{self.example[0]}" -> "{self.example[1]}"' if self.example else "")


def answerable(turns: Path, catalog: Catalog, config: Config, *, channel: str = "spoken", complete: bool = False) -> Answerable:
    """Ask the catalog layer for each refused text of a log whether it would send a rewrite.

    Only the shipped prior is used, and nothing is learned. The result does not say whether a rewrite is right.

    Args:
        turns: Parquet of `tables.TURNS`.
        catalog: what the assistant understands; texts of single users are left out.
        config: its sections encoder, guardrail, launch and trigger are used.
        channel: ``spoken`` or ``typed``.
        complete: whether the assistant understands nothing but the catalog.
    """
    refused = _refused(turns)
    asked = sorted(refused.items(), key=lambda item: -item[1][0])[:MOST_TEXTS]
    answered_turns, answered_texts, example = 0, 0, None
    with TemporaryDirectory() as folder:
        locales = write_catalog_layer(Path(folder), catalog.shared(), config, channel=channel, complete=complete)
        layer = CatalogLayer.open(Path(folder), config.guardrail)
        for (locale, text), (n, users) in asked:
            place = next(iter(lookup_order(locale, locales)), None)
            if place is None:
                continue
            sent = layer.decide(LayerRequest([text], place, "", after_failure=True), late=lambda: False, sendable=None).text
            if sent is None:
                continue
            answered_turns, answered_texts = answered_turns + n, answered_texts + 1
            if example is None and len(users) >= config.launch.min_users:
                example = text, sent
    return Answerable(sum(n for n, _ in refused.values()), len(refused), len(asked), answered_turns, answered_texts, example)


def _refused(turns: Path) -> dict[tuple[str, str], tuple[int, set[str]]]:
    """Return (locale, normalised text) -> refused turns and their users."""
    found: dict[tuple[str, str], tuple[int, set[str]]] = {}
    with connect() as con:
        for locale, utterance, n, users in con.execute(_REFUSED, [str(turns)]).fetchall():
            text = normalise(utterance, locale)
            if text:
                before, known = found.get((locale, text), (0, set()))
                found[locale, text] = before + n, known | set(users)
    return found
