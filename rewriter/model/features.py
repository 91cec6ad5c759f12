"""What is measured of a candidate, and of the request itself: the columns that the ranker and the risk read."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rewriter.model import wording as words
from rewriter.model.alignment import Alignment, align
from rewriter.model.pool import Floats, Pool
from rewriter.model.similarity import sound_similarity, text_similarity
from rewriter.model.wording import Wording

RANK = {
    "text": 1, "sound": 1, "cost": -1, "cost_share": -1, "replaced": -1, "worst": -1, "missing": -1, "most_missing": -1,
    "extra": 0, "most_extra": -1, "swaps": -1, "turns": 1, "share": 1, "lead": 1, "lead_cost": 1, "same": 0, "words": 0,
    "words_meant": 0, "unknown": 0, "hearing": 0, "cost_first": -1, "exact": 1, "support": 1, "wish": 1, "own": 1, "own_age": -1,
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
wish           log P(this user wants what it means): the user's own turns, smoothed towards everybody's wishes
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
    "nearest_text", "nearest_sound", "nearest_cost",
)  # fmt: skip
"""What says whether a request fails as it is spoken: how it is worded, what the best candidate looks like, how much better the
other hearings are worded, and how near the nearest text is that works."""

_HEARINGS = 5
_HEARING_COST = 0.5  # a later hearing is believed where it is cheaper by this for each place
_NO_RIVAL = 30.0
_PRIOR = 20.0  # turns of her own that weigh as much as what everybody wants (Dirichlet smoothing)
_RAREST = 1e-4  # share of everybody's wishes that a wish of nobody but this user is taken for


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
    m = len(pool)
    heard = [hearings[h] for h in chosen.tolist()]
    way = np.array(best, dtype=np.float64)
    mass = np.array([sum(map(wording.weight, text.split())) for text in pool.texts])
    counted = {h: (len(h.split()), sum(not wording.knows(word) for word in h.split())) for h in set(heard)}
    n_words = np.array([counted[h] for h in heard], dtype=np.float64)
    same = pool.interpretations[:, None] == pool.interpretations
    nearest = pool.interpretations[costs.argmin(axis=1)]
    columns = {
        "text": text_similarity(heard, pool.texts),
        "sound": sound_similarity(heard, pool.texts, locale),
        "cost": way[:, 0],
        "cost_share": way[:, 0] / (mass + 1),
        "replaced": way[:, 1],
        "worst": way[:, 2],
        "missing": way[:, 3],
        "most_missing": way[:, 4],
        "extra": way[:, 5],
        "most_extra": way[:, 6],
        "swaps": way[:, 7],
        "turns": np.log1p(pool.turns),
        "share": pool.share,
        "lead": pool.similarity - np.where(same, 0.0, pool.similarity).max(axis=1),
        "lead_cost": np.where(same, _NO_RIVAL, way[:, 0]).min(axis=1) - way[:, 0],
        "same": same.sum(axis=1),
        "words": n_words[:, 0],
        "words_meant": np.array([len(text.split()) for text in pool.texts]),
        "unknown": n_words[:, 1],
        "hearing": chosen,
        "cost_first": costs[0],
        "exact": np.array([text in hearings for text in pool.texts]),
        "support": (nearest[:, None] == pool.interpretations).mean(axis=0),
        "own": pool.own_turns > 0,
        "wish": np.log((pool.own_turns + _PRIOR * np.maximum(pool.wished, _RAREST)) / (pool.own_all + _PRIOR)),
        "own_age": np.log1p(pool.own_age),
    }
    table = np.empty((m, len(RANK)))
    for place, name in enumerate(RANK):
        table[:, place] = columns[name]
    return table


def risk(seen: Look, best: int, p_goal: float, wording: Wording, *, own: int = 0) -> Floats:
    """Measure how a request is worded, the columns of `RISK`, (len(RISK),).

    Args:
        seen: its candidates; at least one.
        best: the candidate under consideration.
        p_goal: what the ranker says of it.
        wording: of the locale.
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
        *fluent, np.log((p_goal + 1e-3) / (1 - p_goal + 1e-3)), *table[best, _PLACES],
        gain("likelihood", 1), gain("least_likelihood", 1), gain("unknown", -1), gain("new_steps", -1),
        max((other[template] for other in others), default=0.0), float(any(h in seen.pool.texts for h in seen.hearings[1:])),
        len(seen.hearings), table[:, 0].max(), table[:, 1].max(), table[:, list(RANK).index("cost_first")].min(),
    ])  # fmt: skip
