"""What is measured of a candidate, and of the request itself: the columns that the ranker and the risk read."""

from collections.abc import Sequence
from math import log
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Indel

from rewriter.arrays import Floats
from rewriter.model import fluency as words
from rewriter.model.alignment import Alignment, align
from rewriter.model.candidates import Pool, log_goal_prior
from rewriter.model.fluency import Wording
from rewriter.model.risk import WORDED, Risk
from rewriter.similarity import phonetic_keys

RANK = {
    "text": 1, "sound": 1, "cost": -1, "cost_share": -1, "replaced": -1, "worst": -1, "missing": -1, "most_missing": -1,
    "extra": 0, "most_extra": -1, "swaps": -1, "turns": 1, "share": 1, "lead": 1, "lead_cost": 1, "same": 0, "words": 0,
    "words_meant": 0, "unknown": 0, "hearing": 0, "cost_first": -1, "exact": 1, "support": 1, "goal_prior": 1, "own": 1,
    "own_age": -1,
}  # fmt: skip
"""What the ranker reads of a candidate -> the direction in which it may push: 1 up, -1 down, 0 either way.

text, sound    similarity of the hearing to the candidate, to the eye and to the ear
cost …         what `align` says of that hearing and the candidate; cost_share is per weight of the candidate
turns, share   log of its turns with success; which share of its turns was understood so and went well
lead …         how far it is ahead of the best candidate of another interpretation, in similarity and in cost
same           candidates of the same interpretation
words …        words of the hearing and of the candidate, and words of the hearing that are unknown
hearing        which hearing is meant, 0 for the first: the one from which the way is cheapest
cost_first     what the way from the first hearing costs
exact          whether a hearing is the candidate, word by word
support        share of the hearings to which no other interpretation is nearer
goal prior           log P(this user wants what it means): the user's own turns, smoothed towards everybody's goal priors
own …          whether this user was ever understood so with success; log of the days since the last time
"""

_OF_BEST = (
    "text", "sound", "cost", "worst", "replaced", "missing", "extra", "swaps", "turns", "lead_cost", "hearing", "exact",
    "support", "cost_first",
)  # fmt: skip
_PLACES = [list(RANK).index(name) for name in _OF_BEST]
RISK = (
    *words.FEATURES, "p_goal", *(f"best_{name}" for name in _OF_BEST),
    "likelier", "least_likelier", "less_unknown", "less_new", "other_template", "other_known", "hearings",
    "nearest_text", "nearest_sound", "nearest_cost", *WORDED,
)  # fmt: skip
"""What says whether a request fails as it is spoken: how it is worded, what the best candidate looks like, how much better the
other hearings are worded, how near the nearest text is that works, and how its words fared (`model.risk.Risk`)."""

_HEARINGS = 5
_HEARING_COST = 0.5  # a later hearing is believed where it is cheaper by this for each place
_NO_RIVAL = 30.0


class Look(NamedTuple):
    """The candidates of a request, measured.

    Attributes:
        hearings: those that were looked at, the utterance first.
        pool: the candidates.
        features: (m, len(RANK)) float64.
    """

    hearings: Sequence[str]
    pool: Pool
    features: Floats


def look(hearings: Sequence[str], pool: Pool, wording: Wording, locale: str) -> Look:
    """Measure candidates, the columns of `RANK`.

    Args:
        hearings: normalised, the utterance first, then others, best first, none twice.
        pool: the candidates.
        wording: of the locale.
        locale: BCP 47.
    """
    hearings = hearings[:_HEARINGS]
    m = len(pool)
    if not m:
        return Look(hearings, pool, np.zeros((0, len(RANK))))
    ways = [[align(h, text, wording.weight, wording.knows, locale) for text in pool.texts] for h in hearings]
    costs = np.array([[way.cost for way in of] for of in ways])
    chosen = (costs + _HEARING_COST * np.arange(len(hearings))[:, None]).argmin(axis=0)
    best = [ways[h][i] for i, h in enumerate(chosen.tolist())]
    return Look(hearings, pool, _columns(hearings, pool, wording, locale, costs, chosen, best))


def _columns(
    hearings: Sequence[str],
    pool: Pool,
    wording: Wording,
    locale: str,
    costs: Floats,
    chosen: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    best: Sequence[Alignment],
) -> Floats:
    heard = [hearings[h] for h in chosen.tolist()]
    counted = {h: (len(h.split()), sum(not wording.knows(word) for word in h.split())) for h in set(heard)}
    mass = [sum(map(wording.weight, text.split())) for text in pool.texts]
    way = dict(zip(Alignment._fields, zip(*best, strict=True), strict=True))
    sounds = phonetic_keys(heard, locale), phonetic_keys(pool.texts, locale)
    columns: dict[str, Sequence[float]] = {
        **way,
        "text": list(map(Indel.normalized_similarity, heard, pool.texts)),
        "sound": list(map(Indel.normalized_similarity, *sounds)),
        "cost_share": [cost / (of + 1) for cost, of in zip(way["cost"], mass, strict=True)],
        "turns": np.log1p(pool.turns).tolist(),
        "share": pool.share.tolist(),
        "words": [counted[h][0] for h in heard],
        "words_meant": [len(text.split()) for text in pool.texts],
        "unknown": [counted[h][1] for h in heard],
        "hearing": chosen.tolist(),
        "cost_first": costs[0].tolist(),
        "exact": [text in hearings for text in pool.texts],
        "own": (pool.own_turns > 0).tolist(),
        "goal_prior": log_goal_prior(pool.own_turns, pool.own_all, pool.goal_prior).tolist(),
        "own_age": np.log1p(pool.own_age).tolist(),
        **_among(pool, way["cost"], costs.argmin(axis=1).tolist()),
    }
    return np.array(list(zip(*(columns[name] for name in RANK), strict=True)), dtype=np.float64)


def _among(pool: Pool, cost: Sequence[float], nearest: Sequence[int]) -> dict[str, Sequence[float]]:
    """Compare the candidates with those of other interpretations: the columns `lead`, `lead_cost`, `same` and `support`.

    Args:
        pool: the candidates.
        cost: of the way to each.
        nearest: of each hearing, the candidate to which the way is cheapest.
    """
    goals, similarity = pool.interpretations.tolist(), pool.similarity.tolist()
    rivals = [[j for j, other in enumerate(goals) if other != goal] for goal in goals]
    votes = [goals[j] for j in nearest]
    return {
        "lead": [similarity[i] - max([0.0, *(similarity[j] for j in of)]) for i, of in enumerate(rivals)],
        "lead_cost": [min([_NO_RIVAL, *(cost[j] for j in of)]) - cost[i] for i, of in enumerate(rivals)],
        "same": [len(goals) - len(of) for of in rivals],
        "support": [votes.count(goal) / len(votes) for goal in goals],
    }


def risk(seen: Look, best: int, p_goal: float, wording: Wording, student: Risk, *, own: int = 0) -> Floats:
    """Measure what tells whether a request fails, the columns of `RISK`, (len(RISK),).

    Args:
        seen: its candidates; at least one.
        best: the candidate under consideration.
        p_goal: what the ranker says of it.
        wording: of the locale.
        student: knows how words fared.
        own: 1 for a text that the wording has counted, which is left out; else 0.
    """
    fluent = wording.fluency(seen.hearings[0], own=own)
    others = [wording.fluency(hearing) for hearing in seen.hearings[1:]]

    def gain(name: str, sign: int) -> float:
        place = words.FEATURES.index(name)
        return sign * max((sign * (other[place] - fluent[place]) for other in others), default=0.0)

    template = words.FEATURES.index("template_seen")
    table = seen.features
    return np.array([
        *fluent, log((p_goal + 1e-3) / (1 - p_goal + 1e-3)), *table[best, _PLACES].tolist(),
        gain("likelihood", 1), gain("least_likelihood", 1), gain("unknown", -1), gain("new_steps", -1),
        max((other[template] for other in others), default=0.0), float(any(h in seen.pool.texts for h in seen.hearings[1:])),
        len(seen.hearings), table[:, 0].max(), table[:, 1].max(), table[:, list(RANK).index("cost_first")].min(),
        *student.worded(seen.hearings),
    ])  # fmt: skip
