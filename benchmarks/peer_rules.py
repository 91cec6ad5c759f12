"""Other methods for requests that an assistant does not understand. Each is a rule over the log.

A peer gets what `learn` gets: the turns of the log with their hypotheses. It has no list of the phrases that the assistant knows.
Each peer returns a score, so it can be drawn as a curve, and has the threshold that its makers use. The rules are written from
their descriptions. Only those that call a library run the original program.

| peer | rule | its own threshold |
|---|---|---|
| nearest text | the successful text with the highest normalised Indel similarity | none: 0.8 |
| Willow Auto Correct | the accepted command that shares most words, typos allowed; refused requests only | 3 words |
| OVOS corrections | the nearest text by normalised Damerau-Levenshtein similarity | 0.85 |
| rapidfuzz WRatio | the nearest text by `fuzz.WRatio` | 90 of 100 |
| symspellpy | `lookup_compound` over the bundled English dictionary and the words of the log | none |
| no rewriting | nothing | none |
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from typing import Any, Protocol

import numpy as np
from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA, DamerauLevenshtein, Indel

from rewriter.evaluation.outcomes import LEFT_ALONE, Proposal
from rewriter.evaluation.replay import REFUSED, RecordedTurn
from rewriter.simulation.world import Request
from rewriter.text import normalise


class Peer(Protocol):
    """Another way to rewrite."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    @property
    def threshold(self) -> float:
        """The score from which on its makers apply a rewrite."""

    def fit(self, log: Sequence[RecordedTurn]) -> None:
        """Learn from the turns of a log."""

    def propose(self, request: Request, after_failure: bool) -> Proposal:
        """Return the best rewrite of a request, whatever its score."""


def successful(log: Iterable[RecordedTurn]) -> Counter[str]:
    """Count the normalised texts that the assistant accepted; it cannot know which of them it understood wrongly."""
    return Counter(normalise(t.sent) for t in log if t.answer not in (None, REFUSED))


class Nothing:
    """Leaves every request alone."""

    name, threshold = "no rewriting", 0.0

    def fit(self, log: Sequence[RecordedTurn]) -> None:
        """There is nothing to learn."""

    def propose(self, request: Request, after_failure: bool) -> Proposal:
        """Return nothing."""
        del request, after_failure
        return LEFT_ALONE


class Nearest:
    """The nearest accepted text by a scorer of rapidfuzz; the more frequent of two that are equally near.

    Args:
        name: what it is called.
        scorer: (text, text) -> score, higher is nearer.
        threshold: the score from which on it is applied.
    """

    def __init__(self, name: str, scorer: Callable[..., float], threshold: float) -> None:
        self.name, self.threshold = name, threshold
        self._scorer = scorer
        self._texts: list[str] = []

    def fit(self, log: Sequence[RecordedTurn]) -> None:
        """Keep the accepted texts, the most frequent first."""
        self._texts = [text for text, _ in successful(log).most_common()]

    def propose(self, request: Request, after_failure: bool) -> Proposal:
        """Return the nearest text."""
        del after_failure
        heard = normalise(request.heard)
        best = process.extractOne(heard, self._texts, scorer=self._scorer, processor=None)
        return LEFT_ALONE if best is None or best[0] == heard else Proposal(best[0], float(best[1]))


class Willow:
    """The token rule of Willow Auto Correct: search the accepted commands, send the best hit if it shares three words.

    The search is Typesense's with its defaults: words of 4 letters may differ by one typo, words of 7 by two; hits are
    ranked by words found, then by typos, then by how much longer or shorter they are, then by use. The score packs that
    order into one number, whose whole part, rounded, is the number of words found.
    """

    name, threshold = "Willow Auto Correct", 2.5

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._lengths = np.zeros(0)
        self._texts_with: dict[str, list[int]] = {}

    def fit(self, log: Sequence[RecordedTurn]) -> None:
        """Index the words of the accepted texts, the most frequent first."""
        self._texts = [text for text, _ in successful(log).most_common()]
        self._lengths = np.array([len(text.split()) for text in self._texts], dtype=np.float64)
        index = defaultdict(list)
        for i, text in enumerate(self._texts):
            for word in set(text.split()):
                index[word].append(i)
        self._texts_with = dict(index)

    def propose(self, request: Request, after_failure: bool) -> Proposal:
        """Return the command that shares most words."""
        del after_failure
        heard = normalise(request.heard)
        words = heard.split()
        found, typos = np.zeros(len(self._texts)), np.zeros(len(self._texts))
        for word in words:
            distance = self._distances(word)
            found += np.isfinite(distance)
            typos += np.where(np.isfinite(distance), distance, 0)
        score = found - 0.01 * typos - 0.0001 * np.abs(self._lengths - len(words))
        if not found.any():
            return LEFT_ALONE
        best = int(score.argmax())
        return LEFT_ALONE if self._texts[best] == heard else Proposal(self._texts[best], float(score[best]))

    def _distances(self, word: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return the typos of the likest word of each text, infinite where none is like enough."""
        allowed = 0 if len(word) < 4 else 1 if len(word) < 7 else 2
        nearest = np.full(len(self._texts), np.inf)
        for other, distance, _ in process.extract(
            word, self._texts_with.keys(), scorer=OSA.distance, score_cutoff=allowed, limit=None, processor=None
        ):
            rows = self._texts_with[other]
            nearest[rows] = np.minimum(nearest[rows], distance)
        return nearest


class SymSpell:
    """symspellpy's compound correction; words of the log outweigh those of its English dictionary."""

    name, threshold = "symspellpy", 0.0

    def __init__(self) -> None:
        self._speller: Any = None

    def fit(self, log: Sequence[RecordedTurn]) -> None:
        """Load the dictionary that comes with the package and add the words of the accepted texts."""
        import symspellpy

        self._speller = symspellpy.SymSpell(max_dictionary_edit_distance=2, prefix_length=7)
        with resources.as_file(resources.files(symspellpy) / "frequency_dictionary_en_82_765.txt") as path:
            self._speller.load_dictionary(path, term_index=0, count_index=1, encoding="utf-8-sig")
        words = Counter(word for text, n in successful(log).items() for word in text.split() for _ in range(n))
        for word, n in words.items():
            self._speller.create_dictionary_entry(word, 10**10 * n)

    def propose(self, request: Request, after_failure: bool) -> Proposal:
        """Return the corrected text; the score falls with the number of edits."""
        del after_failure
        heard = normalise(request.heard)
        best = self._speller.lookup_compound(heard, max_edit_distance=2, ignore_non_words=True)[0]
        return LEFT_ALONE if best.term == heard else Proposal(best.term, 1 - best.distance / max(1, len(heard)))


def peers() -> list[Peer]:
    """Return the peers that need nothing but their libraries."""
    return [
        Nothing(),
        Nearest("nearest text", Indel.normalized_similarity, 0.8),
        Willow(),
        Nearest("OVOS corrections", DamerauLevenshtein.normalized_similarity, 0.85),
        Nearest("rapidfuzz WRatio", fuzz.WRatio, 90.0),
        SymSpell(),
    ]
