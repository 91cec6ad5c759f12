"""`fit_static`: the default encoder, learned from the log itself in a minute or two on a CPU, with no download.

`Confusions`: which words a log hears for which, and healthy queries misheard in the same way.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from rewriter.model.encoder import StaticEncoder, Table, random_table
from rewriter.offline.fit.training import Schedule, train

_WORDS = 3  # of a phrase that is taken for another, on either side

Phrase = tuple[str, ...]


class Confusions:
    """Phrases of up to three words that were heard for others, with how often.

    Args:
        pairs: (what was heard, what was meant), normalised, each text said by at least `Config.launch.min_users` users.

    Example:
        >>> confusions = Confusions([("turn of the lamp", "turn off the lamp")])
        >>> confusions.misheard("switch off the radio", random.Random(0), chance=1.0)
        'switch of the radio'
    """

    __slots__ = ("_heard",)

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        counts: defaultdict[Phrase, Counter[str]] = defaultdict(Counter)
        for heard, meant in pairs:
            for phrase, heard_for_it in _differences(meant.split(), heard.split()):
                counts[phrase][heard_for_it] += 1
        self._heard = {phrase: (list(c), list(c.values())) for phrase, c in counts.items()}

    def misheard(self, text: str, rng: random.Random, chance: float) -> str:
        """Return a text in which phrases, each with a chance, are what the log heard for them, drawn by how often it did.

        Args:
            text: normalised.
            rng: what draws.
            chance: that a phrase which has ever been misheard is so again, 0..1.
        """
        words, said = text.split(), []
        while words:
            for n in range(min(_WORDS, len(words)), 0, -1):
                heard = self._heard.get(tuple(words[:n]))
                if heard is not None and rng.random() < chance:
                    said.append(rng.choices(*heard)[0])
                    break
            else:
                n = 1
                said.append(words[0])
            words = words[n:]
        return " ".join(part for part in said if part)


def _differences(meant: list[str], heard: list[str]) -> Iterator[tuple[Phrase, str]]:
    """The phrases in which the two differ, between the words they share."""
    steps = Levenshtein.opcodes(meant, heard)
    for same, group in groupby(steps, key=lambda step: step.tag == "equal"):
        if not same:
            run = list(group)
            left, right = meant[run[0].src_start : run[-1].src_end], heard[run[0].dest_start : run[-1].dest_end]
            if 0 < len(left) <= _WORDS and len(right) <= _WORDS:
                yield tuple(left), " ".join(right)


_COPIES = 8  # of a query, misheard in different ways
_CHANCE = 0.5  # that a phrase which has ever been misheard is misheard in a copy
_MOST = 60_000  # rephrases, and as many copies: bounds the time
_PASSES = 4  # over the examples
_LOOKED_AT = 8_000, 250_000  # examples in all passes together, least and most; half a millisecond each
_SCALE = 20.0  # of a cosine in the softmax


@dataclass(frozen=True, slots=True)
class Rephrases:
    """Mined pairs: what failed, and what its users said instead that worked.

    Attributes:
        sources: normalised.
        targets: normalised.
        users: (n,) int64, distinct users of the rarer of the two texts.
    """

    sources: Sequence[str]
    targets: Sequence[str]
    users: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Examples:
    """What an encoder learns from, as parallel columns.

    Attributes:
        heard: what came out of the recogniser.
        meant: the query it should come near to.
    """

    heard: list[str]
    meant: list[str]


def examples(rephrases: Rephrases, queries: Sequence[str], *, min_users: int, seed: int) -> Examples:
    """Return the rephrases, and queries misheard in the ways the rephrases show (`Confusions`).

    So queries that nobody ever had to repeat are learned as well.

    Args:
        rephrases: what was mined.
        queries: texts that work, normalised, each said by at least `min_users` users.
        min_users: distinct users that every text must come from: what is shared must not hold what one person said.
        seed: of what is drawn.

    Raises:
        ValueError: a rephrase has fewer users.
    """
    if len(rephrases.users) and int(rephrases.users.min()) < min_users:
        raise ValueError(f"a rephrase of {rephrases.users.min()} users must not train a shared encoder; the least is {min_users}")
    rng = random.Random(seed)  # noqa: S311 - draws examples, no secrets
    pairs = list(zip(rephrases.sources, rephrases.targets, strict=True))
    confusions = Confusions(pairs)
    said = rng.sample(queries, min(len(queries), _MOST)) * _COPIES
    copies = [(confusions.misheard(query, rng, _CHANCE), query) for query in said[:_MOST]]
    chosen = rng.sample(pairs, min(len(pairs), _MOST)) + [(heard, query) for heard, query in copies if heard not in ("", query)]
    return Examples([heard for heard, _ in chosen], [meant for _, meant in chosen])


def fit_static(learned: Examples, *, seed: int, dim: int = 128, start: Table | None = None) -> StaticEncoder:
    """Learn a `StaticEncoder` that brings what is misheard near to what was meant.

    It starts from random directions, which measure spelling, and minimises the in-batch softmax loss of Henderson et al.
    (2017, "Efficient natural language response suggestion for smart reply"; `MultipleNegativesRankingLoss`). Negatives mined
    beside those of the batch added nothing on the data of `benchmarks/retrieval.py`.

    Args:
        learned: from `examples`; without any the table stays as drawn.
        seed: of the table and of the order of the examples.
        dim: length of a vector.
        start: the table to start from instead (`rewriter.offline.fit.transformer_encoder`).

    Raises:
        MissingExtraError: the packages that train are not installed.
    """
    table = random_table(dim, seed) if start is None else start
    if not learned.heard:
        return StaticEncoder(table)
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - seconds, and only for learning
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss  # noqa: PLC0415

    from rewriter.offline.fit.training import PieceEmbedding  # noqa: PLC0415

    pieces = PieceEmbedding(table)
    model = SentenceTransformer(modules=[pieces], device="cpu")
    loss = MultipleNegativesRankingLoss(model, scale=_SCALE)
    least, most = (looked_at / len(learned.heard) for looked_at in _LOOKED_AT)
    schedule = Schedule(epochs=max(least, min(_PASSES, most)), batch=128, rate=2e-3)
    train(model, loss, {"anchor": learned.heard, "positive": learned.meant}, schedule, seed)
    return StaticEncoder(pieces.table())
