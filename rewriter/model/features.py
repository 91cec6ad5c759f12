"""The features of a request: columns that the ranker reads (`RANK`, one row per candidate) and that the risk reads (`RISK`).

`look` measures the candidates, and `risk` measures the request together with its best candidate.

Words are aligned by `rewriter.model.alignment`.
"""

from collections.abc import Sequence
from itertools import accumulate, islice, pairwise
from math import log
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Indel

from rewriter.arrays import Floats
from rewriter.model import fluency as words
from rewriter.model.alignment import Aligner, Fields, aligned
from rewriter.model.fluency import Wording
from rewriter.model.retrieve import Pool, log_goal_prior
from rewriter.model.risk import WORDED, Risk
from rewriter.similarity import word_sound

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
_NEAREST = [list(RANK).index(name) for name in ("text", "sound", "cost_first")]
RISK = (
    *words.FEATURES, "p_goal", *(f"best_{name}" for name in _OF_BEST),
    "likelier", "least_likelier", "less_unknown", "less_new", "other_template", "other_known", "hearings",
    "nearest_text", "nearest_sound", "nearest_cost", *WORDED,
)  # fmt: skip
"""Features from which P(a request fails as spoken) is computed: its fluency, the features of the best candidate, how much more
fluent the other hearings are, how near the nearest known text is, and how often its words failed before (`WORDED` of
`model.risk.Risk`)."""

_HEARINGS = 5  # number of hearings that are aligned; each takes time, and later ones are hardly ever right
_HEARING_COST = 0.5  # added to the cost for each place of a hearing, so that later hearings are preferred only if clearly cheaper
_NO_RIVAL = 30.0  # cost of the best rival if there is no candidate of another interpretation
_LEAST_ODDS = 1e-3  # added to p_goal and 1 - p_goal, so that the log-odds are finite


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


def look(hearings: Sequence[str], pool: Pool, wording: Wording, locale: str, aligner: Aligner | None = None) -> Look:
    """Measure the candidates of a request: the columns of `RANK`.

    Args:
        hearings: normalised and distinct; the utterance first, then other hearings, best first. Only the first five count.
        pool: the candidates.
        wording: word counts of the locale.
        locale: BCP 47.
        aligner: with the weights of this wording; None for a new one.
    """
    hearings = hearings[:_HEARINGS]
    return Look(hearings, pool, look_all([hearings], pool, [len(pool)], wording, locale, aligner))


def look_all(
    asked: Sequence[Sequence[str]],
    pool: Pool,
    sizes: Sequence[int],
    wording: Wording,
    locale: str,
    aligner: Aligner | None = None,
) -> Floats:
    """Measure the candidates of n requests at once: the columns of `RANK`, (m, len(RANK)) float64.

    Args:
        asked: the hearings of each request, as in `look`.
        pool: the m candidates of all requests, those of each side by side.
        sizes: how many candidates each request has.
        wording: word counts of the locale.
        locale: BCP 47.
        aligner: with the weights of this wording; None for a new one.
    """
    weigh, knows, texts = wording.weight, wording.knows, pool.texts
    asked = [hearings[:_HEARINGS] for hearings in asked]
    heard, meant = [[hearing.split() for hearing in hearings] for hearings in asked], [text.split() for text in texts]
    ends = list(accumulate(sizes, initial=0))
    spans = [slice(start, end) for start, end in pairwise(ends)]
    left, right = [list(map(aligned, of)) for of in heard], list(map(aligned, meant))
    pairs = [(one, other) for of, span in zip(left, spans, strict=True) for other in right[span] for one in of]
    ways = iter((aligner or Aligner(weigh, knows, locale)).align_all(pairs))
    goals, similarity = pool.interpretations.tolist(), pool.similarity.tolist()
    known = zip(
        np.log1p(pool.turns).tolist(), pool.share.tolist(),
        log_goal_prior(pool.own_turns, pool.own_all, pool.goal_prior).tolist(), pool.own_turns.tolist(),
        np.log1p(pool.own_age).tolist(), strict=True,
    )  # fmt: skip
    alike, sound_of = Indel.normalized_similarity, word_sound(locale)
    features = []
    for hearings, of, span in zip(asked, heard, spans, strict=True):
        sounds, unknown = [" ".join(map(sound_of, said)) for said in of], [sum(not knows(word) for word in said) for said in of]
        each = [list(islice(ways, len(hearings))) for _ in texts[span]]
        chosen = [_nearest(of_one) for of_one in each]
        best = [of_one[h] for of_one, h in zip(each, chosen, strict=True)]
        leads = _leads(goals[span], similarity[span], [way[0] for way in best])
        votes = [goals[span.start + _cheapest(each, h)] for h in range(len(hearings))] if each else []
        for i, way, h, lead in zip(range(span.start, span.stop), best, chosen, leads, strict=True):
            text, said, words = texts[i], of[h], meant[i]
            turns, share, goal_prior, own, own_age = next(known)
            features.append((
                alike(hearings[h], text), alike(sounds[h], " ".join(map(sound_of, words))), way[0],
                way[0] / (sum(map(weigh, words)) + 1), *way[1:], turns, share, *lead, len(said), len(words), unknown[h], h,
                each[i - span.start][0][0], text in hearings, votes.count(goals[i]) / len(votes), goal_prior, own > 0, own_age,
            ))  # fmt: skip
    return np.array(features, dtype=np.float64).reshape(len(features), len(RANK))


def _nearest(ways: Sequence[Fields]) -> int:
    """Return the hearing from which the alignment of a candidate is cheapest; a later one must be clearly cheaper."""
    return 0 if len(ways) == 1 else min(range(len(ways)), key=lambda h: ways[h][0] + _HEARING_COST * h)


def _cheapest(ways: Sequence[Sequence[Fields]], h: int) -> int:
    """Return the candidate whose alignment with a hearing is cheapest."""
    return min(range(len(ways)), key=lambda i: ways[i][h][0])


def _leads(goals: Sequence[int], similarity: Sequence[float], cost: Sequence[float]) -> list[tuple[float, float, int]]:
    """Compare the candidates with those of other interpretations: the columns `lead`, `lead_cost` and `same`.

    Args:
        goals: interpretation of each candidate.
        similarity: of each.
        cost: of the alignment of each with its hearing.
    """
    if len(set(goals)) == len(goals):
        most, least = dict(zip(goals, similarity, strict=True)), dict(zip(goals, cost, strict=True))
    else:
        most, least = {}, {}
        for goal, near, dear in zip(goals, similarity, cost, strict=True):
            most[goal], least[goal] = max(near, most.get(goal, near)), min(dear, least.get(goal, dear))
    first, second = [*sorted(most.values(), reverse=True), 0.0, 0.0][:2]
    low, next_low = [*sorted(least.values()), _NO_RIVAL, _NO_RIVAL][:2]
    found = []
    for goal, near, dear in zip(goals, similarity, cost, strict=True):
        rival, rival_cost = second if most[goal] == first else first, next_low if least[goal] == low else low
        found.append((near - max(0.0, rival), min(_NO_RIVAL, rival_cost) - dear, goals.count(goal)))
    return found


def risk(seen: Look, best: int, p_goal: float, wording: Wording, student: Risk, *, own: int = 0) -> Floats:
    """Measure whether a request fails as spoken: the columns of `RISK`, (len(RISK),) float64.

    Args:
        seen: the measured candidates; at least one.
        best: place of the candidate under consideration.
        p_goal: its probability from the ranker.
        wording: word counts of the locale.
        student: how often words failed.
        own: 1 if the wording counted this text itself, so that it must be left out; else 0.
    """
    fluent = wording.fluency(seen.hearings[0], own=own)
    others = [wording.fluency(hearing) for hearing in seen.hearings[1:]]

    def gain(name: str, sign: int) -> float:
        place = words.FEATURES.index(name)
        return sign * max((sign * (other[place] - fluent[place]) for other in others), default=0.0)

    template = words.FEATURES.index("template_seen")
    table = seen.features.tolist()
    of_best, text, sound, cost = table[best], *([row[place] for row in table] for place in _NEAREST)
    return np.array([
        *fluent, log((p_goal + _LEAST_ODDS) / (1 - p_goal + _LEAST_ODDS)), *(of_best[place] for place in _PLACES),
        gain("likelihood", 1), gain("least_likelihood", 1), gain("unknown", -1), gain("new_steps", -1),
        max((other[template] for other in others), default=0.0), float(any(h in seen.pool.texts for h in seen.hearings[1:])),
        len(seen.hearings), max(text), max(sound), min(cost),
        *student.worded(seen.hearings),
    ])  # fmt: skip
