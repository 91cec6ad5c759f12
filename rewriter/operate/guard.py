"""The guard: holds a new version back, with reasons, until a person lets it serve."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np

from rewriter.artefact.versions import Version, current
from rewriter.config import Publish
from rewriter.engines.duckdb import glob
from rewriter.evaluation.intervals import bounds
from rewriter.evaluation.outcomes import Outcomes, losses, wins
from rewriter.evaluation.replay import load, replay
from rewriter.model.rules import RuleBook
from rewriter.online.rewriter import Rewriter


class Guard:
    """Compares a new version with the one that serves. A `judge` of `learn`.

    Args:
        config: the limits.
        seed: of the bootstrap.

    Example:
        >>> from rewriter.offline.learn import learn
        >>> learn(["logs/"], out="artefact", judge=Guard(Publish())).held  # doctest: +SKIP
        ()
    """

    __slots__ = ("_config", "_seed")

    def __init__(self, config: Publish, seed: int = 0) -> None:
        self._config = config
        self._seed = seed

    def __call__(self, turns: Path, new: Version) -> list[str]:
        """Return the reasons against a version, one line each; none if it may serve.

        Args:
            turns: Parquet of `tables.TURNS`, the newest log. Only the new version has learned from it. So a worse result of the
                new version counts against it, and a better one proves nothing.
            new: the finished version.
        """
        old = current(new.root)
        return [*self._smaller(old, new), *self._churn(old, new), *self._worse(turns, old, new)]

    def _smaller(self, old: Version, new: Version) -> Iterator[str]:
        before, after = _size(old), _size(new)
        if before >= self._config.few_rules and after < self._config.min_size * before:
            yield f"much smaller: {after:,} rules, {before:,} before (publish.min_size is {self._config.min_size})"
        if (old.folder / "online").is_dir() and not (new.folder / "online").is_dir():
            yield "much smaller: it has no online layer, and the one that serves has one"

    def _churn(self, old: Version, new: Version) -> Iterator[str]:
        with duckdb.connect() as con:
            books = [str(version.folder / "rules.parquet") for version in (old, new)]
            rules, traffic, changed = con.execute(_CHURN, books).fetchall()[0]
        if rules >= self._config.few_rules and changed > self._config.max_churn * traffic:
            yield (
                f"churn: {100 * changed / traffic:.1f} % of the traffic of the rules that serve would be sent elsewhere or not at"
                f" all (publish.max_churn is {self._config.max_churn})"
            )

    def _worse(self, turns: Path, old: Version, new: Version) -> Iterator[str]:
        sample = turns.with_name("replayed.parquet")
        with duckdb.connect() as con:
            read = con.read_parquet(glob(turns))
            read.create_view("turns")
            con.sql(_SAMPLE, params=[self._config.replayed]).write_parquet(str(sample))
        logged = load(sample)
        answers = [
            replay(logged, Rewriter.open(v.root, version=v.id, hashed=True).rewrite, after_failure=False) for v in (old, new)
        ]
        before, after = (_worth(outcomes) for outcomes in answers)
        users, n = np.unique(answers[0].user.astype(str), return_inverse=True)
        more = np.bincount(n, weights=after - before, minlength=len(users))
        asked = np.bincount(n, minlength=len(users))
        low, high = bounds((more, asked), lambda more, asked: more / asked, seed=self._seed)
        if low <= high < 0:
            yield (
                f"worse on replay: wins less losses are {1000 * after.mean():.1f} in 1,000 turns, {1000 * before.mean():.1f}"
                f" before (difference {1000 * low:.1f} to {1000 * high:.1f})"
            )


def _size(version: Version) -> int:
    return sum(sum(locales.values()) for locales in RuleBook.open(version.folder / "rules").counts.values())


def _worth(outcomes: Outcomes) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return wins(outcomes).astype(np.float64) - losses(outcomes).astype(np.float64)


_CHURN = """
SELECT COUNT(*), COALESCE(SUM(old.turns), 0), COALESCE(SUM(old.turns) FILTER (new.target IS DISTINCT FROM old.target), 0)
FROM read_parquet(?) AS old LEFT JOIN read_parquet(?) AS new USING (locale, source)
"""

_SAMPLE = """
SELECT turns.* FROM turns SEMI JOIN (
  SELECT user_id, SUM(COUNT(*)) OVER (ORDER BY user_id) AS so_far FROM turns GROUP BY user_id
) AS users ON turns.user_id = users.user_id AND users.so_far <= ?
"""
"""Whole users, in the order of their keyed hash, which is as good as chance."""
