"""The features of a request: columns that the ranker reads (`RANK`, one row per candidate) and that the risk reads (`RISK`).

`look` measures the candidates, and `risk` measures the request together with its best candidate.

`align` finds which words of a heard text correspond to which words of a meant text, and which words are left over. Its costs are
in units of a word's weight. What a recogniser often does (drop a word, split one, mishear one) costs less than what it seldom
does. The ranker is fitted on top of these costs.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from math import log
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

from rewriter.arrays import Floats
from rewriter.guardrail.lexicon import Phrase
from rewriter.model import fluency as words
from rewriter.model.fluency import Wording
from rewriter.model.retrieve import Pool, log_goal_prior
from rewriter.model.risk import WORDED, Risk
from rewriter.similarity import changes, phonetic_key, phonetic_keys

_LETTERS = 0.4  # share of spelling in the similarity of two words; the rest is sound
_DELETE = 0.5  # cost of a heard word without a meant word, per weight
_INSERT = 0.8  # cost of a meant word without a heard word, per weight
_SUBSTITUTE = 1.3  # cost of a replaced word, per weight and per dissimilarity
_JOIN = 1.5  # the same if two words were heard as one, or one as two
_SPLICE = 0.2  # constant cost of joining or splitting words
_LONGEST = 24  # largest number of words of a text that are aligned; later words are ignored, which bounds the time
_FEW = 4  # up to so many pairs of words are compared one by one, from a cache
_PAIRS_CACHED = 1 << 18  # number of pairs of words whose similarity is cached

_Rows = list[list[float]]
_Step = tuple[float, int, int]
"""Cost of the cheapest path up to here; how many heard words and how many meant words its last step covers."""


class Alignment(NamedTuple):
    """The cheapest alignment of a heard text with a text that may have been meant. All fields but `swaps` are in weights of
    words.

    Attributes:
        cost: of the whole alignment.
        replaced: sum over replaced meant words of weight times dissimilarity.
        worst: the greatest term of that sum.
        missing: weight of the meant words without a heard word.
        most_missing: the greatest of these weights.
        extra: weight of the heard words without a meant word.
        most_extra: the greatest of these weights among known words.
        swaps: number of known words that were heard for other words.
    """

    cost: float
    replaced: float
    worst: float
    missing: float
    most_missing: float
    extra: float
    most_extra: float
    swaps: int


NOTHING = Alignment(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
"""The alignment of equal texts."""


def align(heard: str, meant: str, weigh: Callable[[str], float], knows: Callable[[str], bool], locale: str = "en") -> Alignment:
    """Align two texts word by word: words are equal, replaced, missing, extra, two heard as one, or one heard as two.

    Equal words in the same order are matched first (longest common subsequence). The stretches between them are aligned by the
    edit distance of Wagner and Fischer (1974) over words. Replacing a word costs in proportion to the dissimilarity of the two
    in spelling and sound, and every cost is multiplied by the weight of the word, an inverse document frequency.

    Args:
        heard: normalised.
        meant: normalised.
        weigh: weight of a word, > 0.
        knows: whether a word is known.
        locale: BCP 47; decides how words sound.

    Example:
        >>> align("turn of the lamp", "turn off the lamp", lambda word: 1.0, lambda word: True).swaps
        1
        >>> align("turnoff the lamp", "turn off the lamp", lambda word: 1.0, lambda word: True).missing
        0.0
    """
    left, right = tuple(heard.split()[:_LONGEST]), tuple(meant.split()[:_LONGEST])
    total = NOTHING
    for start, end, new_start, new_end in changes(left, right):
        stretch = _align_stretch(left[start:end], right[new_start:new_end], weigh, knows, locale)
        total = stretch if total is NOTHING else _sum(total, stretch)
    return total


def _sum(one: Alignment, other: Alignment) -> Alignment:
    return Alignment(
        one.cost + other.cost,
        one.replaced + other.replaced,
        max(one.worst, other.worst),
        one.missing + other.missing,
        max(one.most_missing, other.most_missing),
        one.extra + other.extra,
        max(one.most_extra, other.most_extra),
        one.swaps + other.swaps,
    )


def _steps(
    left: Phrase, right: Phrase, heavy_left: Sequence[float], heavy_right: Sequence[float], locale: str
) -> list[list[_Step]]:
    """Return the last step of the cheapest path to each pair of prefixes, (left + 1) x (right + 1)."""
    plain, torn, joined = _unlikes(left, right, locale)
    table: list[list[_Step]] = [[(0.0, 0, 0)]]
    for heavy in heavy_right:
        table[0].append((table[0][-1][0] + _INSERT * heavy, 0, 1))
    for i in range(len(left)):
        above, dropped = table[i], _DELETE * heavy_left[i]
        row: list[_Step] = [(above[0][0] + dropped, 1, 0)]
        for j, there in enumerate(heavy_right):
            best, back, along = row[j][0] + _INSERT * there, 0, 1
            if (cost := above[j + 1][0] + dropped) < best:
                best, back, along = cost, 1, 0
            unlike = plain[i][j]
            if (cost := above[j][0] + _SUBSTITUTE * unlike * max(there, dropped)) < best:
                best, back, along = cost, 1, 1
            pair = there + heavy_right[j - 1]
            if unlike and j and (cost := above[j - 1][0] + _JOIN * torn[i][j - 1] * pair + _SPLICE) < best:
                best, back, along = cost, 1, 2
            if unlike and i and (cost := table[i - 1][j][0] + _JOIN * joined[i - 1][j] * there + _SPLICE) < best:
                best, back, along = cost, 2, 1
            row.append((best, back, along))
        table.append(row)
    return table


def _unlikes(left: Phrase, right: Phrase, locale: str) -> tuple[_Rows, _Rows, _Rows]:
    """Return dissimilarities, 0..1: of each left word to each right word, to each two right words joined, and of each two left
    words joined to each right word.
    """
    run_left, run_right = ([a + b for a, b in pairwise(words)] for words in (left, right))
    if len(left) * len(right) <= _FEW:
        pairs = ((left, right), (left, run_right), (run_left, right))
        plain, torn, joined = ([[1 - alike(one, other, locale) for other in others] for one in ones] for ones, others in pairs)
        return plain, torn, joined
    ones, others = [*left, *run_left], [*right, *run_right]
    letters = cdist(ones, others, scorer=Indel.normalized_similarity, dtype=np.float64)
    heard, meant = phonetic_keys(ones, locale), phonetic_keys(others, locale)
    sounds = cdist(heard, meant, scorer=Indel.normalized_similarity, dtype=np.float64)
    unlike = 1 - (_LETTERS * letters + (1 - _LETTERS) * sounds)
    n, m = len(left), len(right)
    return unlike[:n, :m].tolist(), unlike[:n, m:].tolist(), unlike[n:, :m].tolist()


def _align_stretch(
    left: Phrase, right: Phrase, weigh: Callable[[str], float], knows: Callable[[str], bool], locale: str
) -> Alignment:
    """Align two stretches that have no word in common: trace the cheapest path back and add up its steps."""
    heavy_left, heavy_right = [weigh(word) for word in left], [weigh(word) for word in right]
    table = _steps(left, right, heavy_left, heavy_right, locale)
    i, j = len(left), len(right)
    cost = table[i][j][0]
    replaced = worst = missing = most_missing = extra = most_extra = 0.0
    swaps = 0
    while i or j:
        _, back, along = table[i][j]
        if not along:
            extra += heavy_left[i - 1]
            most_extra = max(most_extra, heavy_left[i - 1] if knows(left[i - 1]) else 0.0)
        elif not back:
            missing += heavy_right[j - 1]
            most_missing = max(most_missing, heavy_right[j - 1])
        else:
            heard, meant = "".join(left[i - back : i]), "".join(right[j - along : j])
            unlike = (1 - alike(heard, meant, locale)) * sum(heavy_right[j - along : j])
            replaced, worst = replaced + unlike, max(worst, unlike)
            swaps += heard != meant and back == along and knows(heard)
        i, j = i - back, j - along
    return Alignment(cost, replaced, worst, missing, most_missing, extra, most_extra, swaps)


@lru_cache(maxsize=_PAIRS_CACHED)
def alike(one: str, other: str, locale: str = "en") -> float:
    """Return the similarity of two words, 0..1: 0.4 times that of their spelling plus 0.6 times that of their sound.

    Example:
        >>> alike("lamp", "lamp"), round(alike("lamp", "lamb"), 2), round(alike("lamp", "radio"), 2)
        (1.0, 0.78, 0.09)
    """
    if one == other:
        return 1.0
    letters = Indel.normalized_similarity(one, other)
    sounds = Indel.normalized_similarity(phonetic_key(one, locale), phonetic_key(other, locale))
    return _LETTERS * letters + (1 - _LETTERS) * sounds


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
        own: 1 if the wording counted this text itself, so that it must be left out; else 0.
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
