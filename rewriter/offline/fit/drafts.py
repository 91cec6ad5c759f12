"""`Draft`: a labelled text with the candidates that retrieval finds for it, and how likely each of its votes is real.

A vote says that users who said the text restated it by something else. Some votes are stray: the user gave up, and the later turn
was the next goal. `p_real` tells them apart.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import isotonic_regression

from rewriter.arrays import Floats
from rewriter.model.candidates import Finder, Pool
from rewriter.offline.fit.examples import LabelledText

_BINS = 20  # of likeness, with as many votes and random pairs each
_MIN_STRAY = 0.3  # share of the random pairs below a likeness from which on it bounds the share of stray votes
_NO_NBEST: Final = 0.25  # share of the texts whose other hearings are hidden, so that the models do not depend on them
_NO_USER: Final = 0.25  # share of the texts whose user is hidden, so that the models do not depend on habits
_CANDIDATES = 40  # of a text, so that enough are left when those of its goals are taken away


@dataclass(frozen=True, slots=True)
class Draft:
    """A labelled text and its candidates.

    Attributes:
        text: the labelled text.
        pool: its candidates, its own text among them.
        hearings: by which they were found.
        p_real: P(the votes for a goal are real), of each of its goals in their order; 1 for a healthy text.
    """

    text: LabelledText
    pool: Pool
    hearings: Sequence[str]
    p_real: Sequence[float]


def draft_all(texts: Sequence[LabelledText], finder: Finder) -> list[Draft]:
    """Return a draft of each text.

    How likely a vote is real depends on how far its goal is behind the most similar text of the index. What was meant is near the
    top, while the next goal may be anywhere.
    """
    drafts = [_draft(text, finder) for text in texts]
    failing = [draft for draft in drafts if not draft.text.healthy and draft.text.goals]
    votes = [(draft, goal, share) for draft in failing for goal, share in draft.text.goals.items()]
    other_goals = [votes[i][1] for i in np.random.default_rng(0).permutation(len(votes)).tolist()]
    unlike = [_behind(draft, other) for (draft, goal, _), other in zip(votes, other_goals, strict=True) if other != goal]
    alike = np.array([_behind(draft, goal) for draft, goal, _ in votes])
    p = iter(p_real(alike, np.array([share for *_, share in votes]), np.array(unlike)).tolist())
    real = {id(draft): [next(p) for _ in draft.text.goals] for draft in failing}
    return [Draft(draft.text, draft.pool, draft.hearings, real.get(id(draft), [1.0] * len(draft.text.goals))) for draft in drafts]


def p_real(likeness: Floats, weight: Floats, unlike: Floats) -> Floats:
    """Return P(a vote is real) from how alike its two texts are, (n,).

    Votes are a mixture. A share s of them is stray, and a stray vote is as alike as a random pair of a text and a goal. Where
    real votes are rare, nearly all are stray, which bounds s (mixture proportion estimation: Blanchard, Lee and Scott 2010,
    "Semi-supervised novelty detection", JMLR 11). With F and G the shares of votes and of random pairs that are no more alike
    than t, and f and g their shares in a bin::

        s = min over t of F(t) / G(t),    P(real | bin) = 1 - s g / f, made to rise with likeness (isotonic regression)

    Args:
        likeness: (n,) of each vote, in any unit that rises.
        weight: (n,) > 0, of each vote.
        unlike: (m,) likeness of random pairs.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> real, stray = rng.normal(5, 1, 900), rng.normal(0, 1, 100)
        >>> p = p_real(np.append(real, stray), np.ones(1000), rng.normal(0, 1, 5000))
        >>> bool(p[:900].mean() > 0.97), bool(p[900:].mean() < 0.2)
        (True, True)
    """
    if not len(likeness) or not len(unlike):
        return np.ones(len(likeness))
    edges = np.unique(np.quantile(np.concatenate([likeness, unlike]), np.linspace(0, 1, _BINS + 1)[1:-1]))
    n = len(edges) + 1
    place = np.searchsorted(edges, likeness)
    of_all = np.bincount(place, weight, n) / weight.sum()
    of_stray = np.bincount(np.searchsorted(edges, unlike), minlength=n) / len(unlike)
    below = np.cumsum(of_stray)
    enough = below >= _MIN_STRAY
    share = float(np.min(np.cumsum(of_all)[enough] / below[enough], initial=1.0))
    real = np.clip(1 - share * of_stray / np.maximum(of_all, 1e-9), 0.0, 1.0)
    return np.asarray(isotonic_regression(real, weights=np.maximum(of_all, 1e-9)).x[place], dtype=np.float64)


def text_draw(purpose: str, text: str) -> float:
    """Return a number of [0, 1) that is drawn for a text, the same in every run."""
    digest = hashlib.blake2b(f"{purpose}\0{text}".encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest) / 2**32


def _draft(text: LabelledText, finder: Finder) -> Draft:
    spoken = text.hearings[0]
    hearings = text.hearings[:1] if text_draw("ignore_nbest", spoken) < _NO_NBEST else text.hearings
    user = "" if text_draw("nobody", spoken) < _NO_USER else text.user
    pool = finder.find(hearings, text.locale, user, _CANDIDATES)
    return Draft(text, pool if text.healthy else without_own_votes(pool, text), hearings, ())


def without_own_votes(pool: Pool, text: LabelledText) -> Pool:
    """Take the turns that a text led to out of its user's habits: each turn of it may have led to one turn of a goal."""
    led = np.isin(pool.interpretations, list(text.goals))
    own = np.maximum(pool.own_turns - np.where(led, text.turns, 0.0), 0.0)
    own_all = np.maximum(pool.own_all - text.turns, own)
    less = Pool(*pool[:6], own, np.where(own > 0, pool.own_age, 0.0), own_all, pool.private)
    return less.keep(~pool.private | (own > 0), len(pool))


def _behind(draft: Draft, goal: int) -> float:
    """Return how much less similar the nearest text of a goal is than the nearest text of all, <= 0."""
    other = np.array([text != draft.text.hearings[0] for text in draft.pool.texts], dtype=bool)
    alike = draft.pool.similarity[other]
    if not len(alike):
        return 0.0
    return float(alike[draft.pool.interpretations[other] == goal].max(initial=alike.min()) - alike.max())
