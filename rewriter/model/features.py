"""The features of a request: columns that the ranker reads (`RANK`, one row per candidate) and that the risk reads (`RISK`).

`look` measures the candidates, and `risk` measures the request together with its best candidate.

`align` finds which words of a heard text correspond to which words of a meant text, and which words are left over. Its costs are
in units of a word's weight. What a recogniser often does (drop a word, split one, mishear one) costs less than what it seldom
does. The ranker is fitted on top of these costs.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import log
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Indel

from rewriter.arrays import Floats
from rewriter.guardrail.lexicon import Phrase
from rewriter.model import fluency as words
from rewriter.model.fluency import Wording
from rewriter.model.retrieve import Pool, log_goal_prior
from rewriter.model.risk import WORDED, Risk
from rewriter.recent import Recent
from rewriter.similarity import changes, phonetic_keys, word_sound

_LETTERS = 0.4  # share of spelling in the similarity of two words; the rest is sound
_DELETE = 0.5  # cost of a heard word without a meant word, per weight
_INSERT = 0.8  # cost of a meant word without a heard word, per weight
_SUBSTITUTE = 1.3  # cost of a replaced word, per weight and per dissimilarity
_JOIN = 1.5  # the same if two words were heard as one, or one as two
_SPLICE = 0.2  # constant cost of joining or splitting words
_LONGEST = 24  # largest number of words of a text that are aligned; later words are ignored, which bounds the time
_LETTERS_ALIGNED = 64
"""Letters of a word that are aligned. No language writes longer words; it bounds the memory of the pairs that are cached."""
_KEPT = 1 << 12  # half the number of alignments that an aligner keeps; about 0.5 KB each
_PAIRS_CACHED = 1 << 18  # number of pairs of words whose similarity is cached

_Fields = tuple[float, float, float, float, float, float, float, int]
"""The fields of an `Alignment`."""
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
    return Alignment(*Aligner(weigh, knows, locale).align(_aligned(heard.split()), _aligned(meant.split())))


def _aligned(words: Sequence[str]) -> Phrase:
    """Return the words of a text that are aligned, as far as they are."""
    words = words[:_LONGEST]
    if max(map(len, words), default=0) <= _LETTERS_ALIGNED:
        return tuple(words)
    return tuple(word[:_LETTERS_ALIGNED] for word in words)


class Aligner:
    """Aligns texts with the weights of one wording. Recent alignments, and those of stretches, which many texts share, are kept.

    Args:
        weigh: weight of a word, > 0.
        knows: whether a word is known.
        locale: BCP 47; decides how words sound.
    """

    __slots__ = ("_knows", "_locale", "_stretches", "_texts", "_weigh")

    def __init__(self, weigh: Callable[[str], float], knows: Callable[[str], bool], locale: str) -> None:
        self._weigh, self._knows, self._locale = weigh, knows, locale
        self._texts: Recent[tuple[Phrase, Phrase], _Fields] = Recent(_KEPT)
        self._stretches: Recent[tuple[Phrase, Phrase], _Fields] = Recent(_KEPT)

    def align(self, left: Phrase, right: Phrase) -> _Fields:
        """Return the fields of the alignment of two texts, given as words."""
        texts = left, right
        total = self._texts.get(texts)
        if total is not None:
            return total
        total = NOTHING
        for start, end, new_start, new_end in changes(left, right):
            pair = left[start:end], right[new_start:new_end]
            stretch = self._stretches.get(pair)
            if stretch is None:
                stretch = self._stretch(*pair)
                self._stretches.put(pair, stretch)
            total = stretch if total is NOTHING else _sum(total, stretch)
        self._texts.put(texts, total)
        return total

    def _stretch(self, left: Phrase, right: Phrase) -> _Fields:
        """Align two stretches that have no word in common."""
        weigh = self._weigh
        if len(left) == len(right) == 1:
            return self._pair(left[0], right[0])
        heavy_left, heavy_right = [weigh(word) for word in left], [weigh(word) for word in right]
        if not left:
            return sum(_INSERT * heavy for heavy in heavy_right), 0.0, 0.0, sum(heavy_right[::-1]), max(heavy_right), 0.0, 0.0, 0
        table = _steps(left, right, heavy_left, heavy_right, self._locale)
        return self._traced(left, right, heavy_left, heavy_right, table)

    def _pair(self, heard: str, meant: str) -> _Fields:
        """Align one word with one other: the same as `_steps` and `_traced`, without a table."""
        one, other = self._weigh(heard), self._weigh(meant)
        dropped, known, unlike = _DELETE * one, self._knows(heard), 1 - alike(heard, meant, self._locale)
        apart, cost = dropped + _INSERT * other, _SUBSTITUTE * unlike * max(other, dropped)
        if cost < apart:
            return cost, unlike * other, unlike * other, 0.0, 0.0, 0.0, 0.0, int(known)
        return apart, 0.0, 0.0, other, other, one, one if known else 0.0, 0

    def _traced(
        self, left: Phrase, right: Phrase, heavy_left: Sequence[float], heavy_right: Sequence[float], table: list[list[_Step]]
    ) -> _Fields:
        """Trace the cheapest path back, and add up its steps."""
        knows, locale = self._knows, self._locale
        i, j = len(left), len(right)
        cost = table[i][j][0]
        replaced = worst = missing = most_missing = extra = most_extra = 0.0
        swaps = 0
        while i or j:
            _, back, along = table[i][j]
            if not along:
                heavy = heavy_left[i - 1]
                extra += heavy
                if heavy > most_extra and knows(left[i - 1]):
                    most_extra = heavy
            elif not back:
                missing += heavy_right[j - 1]
                most_missing = max(most_missing, heavy_right[j - 1])
            else:
                heard, meant = "".join(left[i - back : i]), "".join(right[j - along : j])
                unlike = (1 - alike(heard, meant, locale)) * sum(heavy_right[j - along : j])
                replaced, worst = replaced + unlike, max(worst, unlike)
                swaps += heard != meant and back == along and knows(heard)
            i, j = i - back, j - along
        return cost, replaced, worst, missing, most_missing, extra, most_extra, swaps


def _sum(one: _Fields, other: _Fields) -> _Fields:
    cost, replaced, worst, missing, most_missing, extra, most_extra, swaps = one
    more, changed, worse, gone, most_gone, added, most_added, also = other
    return (
        cost + more, replaced + changed, max(worst, worse), missing + gone, max(most_missing, most_gone), extra + added,
        max(most_extra, most_added), swaps + also,
    )  # fmt: skip


def _steps(
    left: Phrase, right: Phrase, heavy_left: Sequence[float], heavy_right: Sequence[float], locale: str
) -> list[list[_Step]]:
    """Return the last step of the cheapest path to each pair of prefixes, (left + 1) x (right + 1).

    Two words are only compared where their replacement would be the cheapest step if they were alike.
    """
    row: list[_Step] = [(0.0, 0, 0)]
    for heavy in heavy_right:
        row.append((row[-1][0] + _INSERT * heavy, 0, 1))
    table = [row]
    for i, word in enumerate(left):
        dropped, above = _DELETE * heavy_left[i], row
        here = above[0][0] + dropped
        row = [(here, 1, 0)]
        for j, other in enumerate(right):
            there = heavy_right[j]
            best = (here + _INSERT * there, 0, 1)
            if (cost := above[j + 1][0] + dropped) < best[0]:
                best = (cost, 1, 0)
            if (least := above[j][0]) < best[0]:
                cost = least + _SUBSTITUTE * (1 - alike(word, other, locale)) * (there if there > dropped else dropped)
                best = (cost, 1, 1) if cost < best[0] else best
            if j and (least := above[j - 1][0]) + _SPLICE < best[0]:
                pair = there + heavy_right[j - 1]
                cost = least + _JOIN * (1 - alike(word, right[j - 1] + other, locale)) * pair + _SPLICE
                best = (cost, 1, 2) if cost < best[0] else best
            if i and (least := table[i - 1][j][0]) + _SPLICE < best[0]:
                cost = least + _JOIN * (1 - alike(left[i - 1] + word, other, locale)) * there + _SPLICE
                best = (cost, 2, 1) if cost < best[0] else best
            row.append(best)
            here = best[0]
        table.append(row)
    return table


@lru_cache(maxsize=_PAIRS_CACHED)
def alike(one: str, other: str, locale: str = "en") -> float:
    """Return the similarity of two words, 0..1: 0.4 times that of their spelling plus 0.6 times that of their sound.

    Example:
        >>> alike("lamp", "lamp"), round(alike("lamp", "lamb"), 2), round(alike("lamp", "radio"), 2)
        (1.0, 0.78, 0.09)
    """
    if one == other:
        return 1.0
    sound, letters = word_sound(locale), Indel.normalized_similarity(one, other)
    sounds = Indel.normalized_similarity(sound(one), sound(other))
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
    if not len(pool):
        return Look(hearings, pool, np.zeros((0, len(RANK))))
    weigh, knows, texts = wording.weight, wording.knows, pool.texts
    heard, meant = [hearing.split() for hearing in hearings], [text.split() for text in texts]
    aligner, left = aligner or Aligner(weigh, knows, locale), [_aligned(words) for words in heard]
    ways = [[aligner.align(one, other) for one in left] for other in map(_aligned, meant)]
    chosen = [_nearest(of) for of in ways]
    unknown = {h: sum(not knows(word) for word in heard[h]) for h in set(chosen)}
    best = [of[h] for of, h in zip(ways, chosen, strict=True)]
    leads = _leads(pool, [way[0] for way in best])
    goals = pool.interpretations.tolist()
    votes = [goals[_cheapest(ways, h)] for h in range(len(left))]
    support = [votes.count(goal) / len(votes) for goal in goals]
    sounds, sound = phonetic_keys(hearings, locale), phonetic_keys(texts, locale)
    columns = (
        np.log1p(pool.turns), pool.share, log_goal_prior(pool.own_turns, pool.own_all, pool.goal_prior), pool.own_turns > 0,
        np.log1p(pool.own_age),
    )  # fmt: skip
    turns, share, goal_prior, own, own_age = (column.tolist() for column in columns)
    features = [
        (
            Indel.normalized_similarity(hearings[h], text), Indel.normalized_similarity(sounds[h], sound[i]), way[0],
            way[0] / (sum(map(weigh, meant[i])) + 1), *way[1:], turns[i], share[i], *leads[i], len(heard[h]), len(meant[i]),
            unknown[h], h, ways[i][0][0], text in hearings, support[i], goal_prior[i], own[i], own_age[i],
        )
        for i, (text, way, h) in enumerate(zip(texts, best, chosen, strict=True))
    ]  # fmt: skip
    return Look(hearings, pool, np.array(features, dtype=np.float64))


def _nearest(ways: Sequence[_Fields]) -> int:
    """Return the hearing from which the alignment of a candidate is cheapest; a later one must be clearly cheaper."""
    return 0 if len(ways) == 1 else min(range(len(ways)), key=lambda h: ways[h][0] + _HEARING_COST * h)


def _cheapest(ways: Sequence[Sequence[_Fields]], h: int) -> int:
    """Return the candidate whose alignment with a hearing is cheapest."""
    return min(range(len(ways)), key=lambda i: ways[i][h][0])


def _leads(pool: Pool, cost: Sequence[float]) -> list[tuple[float, float, int]]:
    """Compare the candidates with those of other interpretations: the columns `lead`, `lead_cost` and `same`.

    Args:
        pool: the candidates.
        cost: of the alignment of each candidate with its hearing.
    """
    goals, similarity = pool.interpretations.tolist(), pool.similarity.tolist()
    most: dict[int, float] = {}
    least: dict[int, float] = {}
    for goal, near, dear in zip(goals, similarity, cost, strict=True):
        most[goal], least[goal] = max(near, most.get(goal, near)), min(dear, least.get(goal, dear))
    first, second = [*sorted(most.values(), reverse=True), 0.0][:2]
    low, next_low = [*sorted(least.values()), _NO_RIVAL][:2]
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
