"""Outcomes on a recorded log, where nobody can ask the assistant again.

The log itself shows how a text is answered (`answers`) and what a user wanted (`goals`). Both are found by fixed rules that the
learner does not use. The rules prefer precision: where they find nothing, the outcome is ``unknown``.

`Guard` replays the newest log before a version is published. It holds back a version that does worse, with reasons, until a
person lets it serve.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from rewriter.artefact.versions import Version, current
from rewriter.codes import Layer
from rewriter.config import Publish
from rewriter.engines import connect, glob
from rewriter.evaluation.intervals import bounds
from rewriter.evaluation.outcomes import (
    FAILED_HONESTLY,
    LEFT_ALONE,
    OK,
    UNKNOWN,
    WRONG,
    Judged,
    Outcome,
    Outcomes,
    Proposal,
    ask,
    gather,
    losses,
    proposal_of,
    wins,
)
from rewriter.model.rules import RuleBook
from rewriter.online.rewriter import Rewriter
from rewriter.similarity import text_similarity
from rewriter.simulation.world import Rewriting
from rewriter.text import normalise

REFUSED: Final = ""
"""The answer of an assistant that refused: it has no hypothesis, and says so."""

MIN_TURNS = 3
"""An answer is known only if the text received it in at least this many turns ..."""
MIN_SHARE = 0.9
"""... and in at least this share of its turns."""

SOON_MS = 30_000
"""A restatement follows within this many milliseconds."""
ALIKE = 0.6
"""A restatement has at least this text similarity (0..1) to the turn it restates."""


@dataclass(frozen=True, slots=True)
class RecordedTurn:
    """One turn of a log.

    Attributes:
        turn_id: as in the log, or made from file and row.
        user: keyed hash of the user id.
        speaker: the user id as the log gives it; the rewriter is asked with it.
        ts_ms: epoch milliseconds UTC.
        locale: BCP 47.
        utterance: the text heard.
        sent: the text that the NLU was given; equal to `utterance` where nothing was rewritten.
        answer: the hypothesis of `sent`; REFUSED if the turn failed; None if the log does not say.
        barge_in: whether this utterance interrupted the answer to the previous turn.
        disliked: whether the user gave negative feedback.
        nbest: hearings, best first.
        context: scalars by name.
        truth: hypothesis that the user wanted, where the log marks it.
        mended: whether the log shows that it was sent in another spelling.
    """

    turn_id: str
    user: str
    speaker: str
    ts_ms: int
    locale: str
    utterance: str
    sent: str
    answer: str | None
    barge_in: bool
    disliked: bool
    nbest: tuple[str, ...]
    context: Mapping[str, Any]
    truth: str | None
    mended: bool = False

    @property
    def rewritten(self) -> bool:
        """Whether the log shows that another text than the utterance was sent."""
        return self.mended or normalise(self.sent, self.locale) != normalise(self.utterance, self.locale)


def load(path: Path, *, speaker: str = "user_id", truth: str | None = None) -> list[RecordedTurn]:
    """Read turns from Parquet in the layout of `tables.TURNS`, ordered by user and time.

    Args:
        path: the file or folder.
        speaker: column that holds user ids as the log gives them.
        truth: column that holds the wanted hypotheses; None where the log has none.
    """
    wanted = _quoted(truth) if truth else "NULL"
    with connect() as con:
        rows = con.execute(
            f"""SELECT turn_id, user_id, {_quoted(speaker)}, ts_ms, locale, utterance, COALESCE(sent, utterance),
                       CASE WHEN status = 'failed' THEN '{REFUSED}' ELSE hypothesis END,
                       COALESCE(barge_in, 0) = 1, COALESCE(feedback, 0) < 0, nbest, context, {wanted},
                       COALESCE(layer, '') = '{Layer.SPELLING}' AND sent <> utterance
                FROM read_parquet(?) ORDER BY user_id, ts_ms, turn_id""",
            [glob(path)],
        ).fetchall()
    read = ((*row[:10], tuple(json.loads(row[10] or "[]")), json.loads(row[11] or "{}"), *row[12:]) for row in rows)
    return [RecordedTurn(*row) for row in read]


def answers(turns: Sequence[RecordedTurn], form: Callable[[str, str], str] = normalise) -> dict[tuple[str, str], str]:
    """Return how each text is answered: (locale, text) -> hypothesis or REFUSED.

    A text is left out unless one answer was given at least MIN_TURNS times and in at least MIN_SHARE of its turns.

    Args:
        turns: of a log.
        form: turns of the same form are of one text; a function of text and locale, by default the normal form.

    Example:
        >>> answers([])
        {}
    """
    given: dict[tuple[str, str], Counter[str | None]] = defaultdict(Counter)
    for turn in turns:
        given[turn.locale, form(turn.sent, turn.locale)][turn.answer] += 1
    sure = {}
    for text, counts in given.items():
        answer, n = max(counts.items(), key=lambda item: item[1])
        if answer is not None and n >= MIN_TURNS and n >= MIN_SHARE * counts.total():
            sure[text] = answer
    return sure


def goals(turns: Sequence[RecordedTurn]) -> list[str | None]:
    """Return what each user wanted, by a strict rule; None if the rule cannot tell.

    A turn is in *trouble* if it failed, was disliked, or the next one interrupted its answer. A turn that is neither in
    trouble nor restated is *healthy*, and its own hypothesis is the goal. The goal of a turn in trouble is that of its
    restatement: the next turn, or the one after it if the next is in trouble too, where that one is healthy and each is
    a restatement by time and text (SOON_MS, ALIKE).

    Args:
        turns: ordered by user and time, as `load` gives them.

    Returns:
        A hypothesis or None for each turn, (len(turns),).
    """
    trouble, restated = troubles(turns), restatements(turns)
    healthy = [t.answer is not None and not bad and not again for t, bad, again in zip(turns, trouble, restated, strict=True)]

    def goal(i: int) -> str | None:
        if healthy[i]:
            return turns[i].answer
        for j in range(i, i + 2):
            if not (trouble[j] and restated[j]):
                return None
            if healthy[j + 1]:
                return turns[j + 1].answer
        return None

    return [goal(i) for i in range(len(turns))]


def troubles(turns: Sequence[RecordedTurn]) -> list[bool]:
    """Return whether each turn failed, was disliked, or had its answer interrupted by the next; `turns` as for `goals`."""
    cut = [*(_follows(a, b) and b.barge_in for a, b in pairwise(turns)), False]
    return [t.answer == REFUSED or t.disliked or interrupted for t, interrupted in zip(turns, cut, strict=False)]


def restatements(turns: Sequence[RecordedTurn]) -> list[bool]:
    """Return whether the next turn restates each turn, by time and text (SOON_MS, ALIKE); `turns` as for `goals`."""
    if not turns:
        return []
    texts = [normalise(t.utterance, t.locale) for t in turns]
    alike = text_similarity(texts[:-1], texts[1:]) >= ALIKE
    return [*(_follows(a, b) and bool(near) for (a, b), near in zip(pairwise(turns), alike, strict=True)), False]


def firsts(turns: Sequence[RecordedTurn]) -> list[bool]:
    """Return whether each turn is a new request: not soon after a turn of this user that was in trouble or restated.

    What follows a failure depends on the release that served it, so releases are compared on new requests only.
    """
    ended_badly = [bad or again for bad, again in zip(troubles(turns), restatements(turns), strict=True)]
    after = (bad and _follows(a, b) for bad, (a, b) in zip(ended_badly, pairwise(turns), strict=False))
    return [not follows for follows in [False, *after][: len(turns)]]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _follows(a: RecordedTurn, b: RecordedTurn) -> bool:
    return a.user == b.user and a.locale == b.locale and b.ts_ms - a.ts_ms <= SOON_MS


def replay(
    turns: Sequence[RecordedTurn],
    rewrite: Rewriting,
    *,
    after_failure: bool,
    marked: bool = False,
    healthy_in_log: Container[str] = (),
) -> Outcomes:
    """Judge every turn of a log: its outcome as spoken, and as it would be rewritten.

    A text is answered as in the log, if its answer there is nearly always the same (`answers`), in its exact spelling or else in
    any. The goal is the column `truth`
    or the result of a strict rule (`goals`). The outcome is ``unknown`` if either is missing. Use turns that the rewriter has
    not learned from; on others the figures are too good.

    Args:
        turns: ordered by user and time, as `load` gives them.
        rewrite: the rewriting function, such as `Rewriter.open(DIR).rewrite`.
        after_failure: ask it only for turns that the assistant refused; else for all.
        marked: the goal of a turn is its `truth` (unknown if None); else the result of the strict rule.
        healthy_in_log: the normalised texts that the log it learned from holds as healthy.

    Returns:
        One row per turn, in the same order.
    """
    exactly, in_any = answers(turns, lambda text, _: text), answers(turns)
    wanted = [t.truth for t in turns] if marked else goals(turns)

    def answer_to(locale: str, text: str) -> str | None:
        return exactly.get((locale, text)) or in_any.get((locale, normalise(text, locale)))

    def one(turn: RecordedTurn, goal: str | None) -> Judged:
        spoken = grade(answer_to(turn.locale, turn.utterance) if turn.rewritten else turn.answer, goal)
        proposal, latency = LEFT_ALONE, float("nan")
        if spoken == FAILED_HONESTLY or not after_failure:
            proposal, latency = ask(turn.utterance, lambda: _propose(rewrite, turn, after_failure))
        rewritten = spoken if proposal.text is None else grade(answer_to(turn.locale, proposal.text), goal)
        seen = normalise(turn.utterance, turn.locale) in healthy_in_log
        return Judged(turn.user, turn.utterance, goal or "", spoken, rewritten, proposal, seen, latency)

    return gather([one(turn, goal) for turn, goal in zip(turns, wanted, strict=True)], {})


def grade(answer: str | None, goal: str | None) -> Outcome:
    """Return the outcome of an answer for a goal; None is unknown. A refusal is a failure whatever the goal."""
    if answer == REFUSED:
        return FAILED_HONESTLY
    if answer is None or goal is None:
        return UNKNOWN
    return OK if answer == goal else WRONG


def _propose(rewrite: Rewriting, turn: RecordedTurn, after_failure: bool) -> Proposal:
    result = rewrite(
        turn.utterance,
        user_id=turn.speaker,
        locale=turn.locale,
        nbest=turn.nbest,
        context=turn.context,
        after_failure=after_failure,
    )
    return proposal_of(result)


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
        with connect() as con:
            books = [str(version.folder / "rules.parquet") for version in (old, new)]
            rules, traffic, changed = con.execute(_CHURN, books).fetchall()[0]
        if rules >= self._config.few_rules and changed > self._config.max_churn * traffic:
            yield (
                f"churn: {100 * changed / traffic:.1f} % of the traffic of the rules that serve would be sent elsewhere or not at"
                f" all (publish.max_churn is {self._config.max_churn})"
            )

    def _worse(self, turns: Path, old: Version, new: Version) -> Iterator[str]:
        sample = turns.with_name("replayed.parquet")
        with connect(turns=turns) as con:
            con.sql(_SAMPLE, params=[self._config.replayed]).write_parquet(str(sample))
        logged = load(sample)
        answers = [
            replay(logged, Rewriter.open(v.root, version=v.id, hashed=True).rewrite, after_failure=False) for v in (old, new)
        ]
        before, after = (_net_wins(outcomes) for outcomes in answers)
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


def _net_wins(outcomes: Outcomes) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
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
