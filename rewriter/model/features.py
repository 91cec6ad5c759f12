"""The features of a request: columns that the ranker reads (`RANK`, one row per candidate) and that the risk reads (`RISK`).

`look` measures the candidates, and `risk` measures the request together with its best candidate.
"""

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
"""Features of a candidate -> sign that its weight may have: 1 not negative, -1 not positive, 0 either.

A candidate is compared with the hearing from which its alignment is cheapest, called its hearing.

text, sound            similarity of the hearing and the candidate in spelling and in sound, 0..1
cost .. swaps          fields of `Alignment` of the hearing and the candidate; cost_share is the cost per weight of the candidate
turns                  log(1 + turns with success)
share                  share of its turns that was understood so and succeeded
lead, lead_cost        advantage over the best candidate of another interpretation, in similarity and in cost
same                   number of candidates with the same interpretation
words, words_meant     number of words of the hearing and of the candidate
unknown                number of words of the hearing that no healthy text contains
hearing                place of the hearing, 0 for the utterance
cost_first             cost of the alignment with the utterance
exact                  whether a hearing equals the candidate
support                share of the hearings whose cheapest candidate has this interpretation
goal_prior             log P(this user wants this interpretation), from `log_goal_prior`
own, own_age           whether this user ever succeeded with this interpretation; log(1 + days since the last time)
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
"""Features that say whether a request fails as spoken: its fluency, the features of the best candidate, how much more fluent the
other hearings are, how near the nearest known text is, and how often its words failed before (`WORDED` of `model.risk.Risk`)."""

_HEARINGS = 5  # hearings that are aligned; each costs time, and later ones are hardly ever right
_HEARING_COST = 0.5  # added to the cost for each place of a hearing, so that later hearings are preferred only if clearly cheaper
_NO_RIVAL = 30.0  # cost of the best rival if there is no candidate of another interpretation
_LEAST_ODDS = 1e-3  # keeps the log-odds of p_goal finite


class Look(NamedTuple):
    """The candidates of a request, measured.

    Attributes:
        hearings: the hearings that were compared, the utterance first.
        pool: the m candidates.
        features: (m, len(RANK)) float64, in the order of `RANK`.
    """

    hearings: Sequence[str]
    pool: Pool
    features: Floats


def look(hearings: Sequence[str], pool: Pool, wording: Wording, locale: str) -> Look:
    """Measure the candidates of a request: the columns of `RANK`.

    Args:
        hearings: normalised and distinct; the utterance first, then other hearings, best first. Only the first five count.
        pool: the candidates.
        wording: word counts of the locale.
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
        cost: of the alignment of each candidate with its hearing.
        nearest: for each hearing, the candidate whose alignment is cheapest.
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
    """Measure whether a request fails as spoken: the columns of `RISK`, (len(RISK),) float64.

    Args:
        seen: the measured candidates; at least one.
        best: place of the candidate under consideration.
        p_goal: its probability from the ranker.
        wording: word counts of the locale.
        student: how often words failed.
        own: 1 for a text that the wording has itself counted, to leave it out; else 0.
    """
    fluent = wording.fluency(seen.hearings[0], own=own)
    others = [wording.fluency(hearing) for hearing in seen.hearings[1:]]

    def gain(name: str, sign: int) -> float:
        place = words.FEATURES.index(name)
        return sign * max((sign * (other[place] - fluent[place]) for other in others), default=0.0)

    template = words.FEATURES.index("template_seen")
    table = seen.features
    return np.array([
        *fluent, log((p_goal + _LEAST_ODDS) / (1 - p_goal + _LEAST_ODDS)), *table[best, _PLACES].tolist(),
        gain("likelihood", 1), gain("least_likelihood", 1), gain("unknown", -1), gain("new_steps", -1),
        max((other[template] for other in others), default=0.0), float(any(h in seen.pool.texts for h in seen.hearings[1:])),
        len(seen.hearings), table[:, 0].max(), table[:, 1].max(), table[:, list(RANK).index("cost_first")].min(),
        *student.worded(seen.hearings),
    ])  # fmt: skip
