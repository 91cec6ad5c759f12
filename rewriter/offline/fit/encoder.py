"""`learn_encoder`: learns the encoder that the settings name, from a log.

The default is a static encoder: a table of vectors for pieces of words. It is learned from the log itself in a minute or two on a
CPU, without a download. It learns from rephrases, and from healthy queries with simulated recognition errors like those that the
rephrases show (`PhraseConfusions`).
"""

import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from rewriter.arrays import Ints
from rewriter.config import EncoderSettings as Settings
from rewriter.model.encoder import BlockEncoder, SavedEncoder, StaticEncoder, open_encoder, random_table

_MAX_WORDS = 3  # longest phrase that counts, in words

Phrase = tuple[str, ...]


class PhraseConfusions:
    """Counts which phrases of up to three words were heard for which others.

    Args:
        pairs: (what was heard, what was meant), normalised, each text said by at least `Config.launch.min_users` users.

    Example:
        >>> confusions = PhraseConfusions([("turn of the lamp", "turn off the lamp")])
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
        """Return a text in which some phrases are replaced by what was heard for them, drawn by frequency.

        Args:
            text: normalised.
            rng: source of the draws.
            chance: P(a phrase is misheard here | it was ever misheard in the log), 0..1.
        """
        words, said = text.split(), []
        while words:
            for n in range(min(_MAX_WORDS, len(words)), 0, -1):
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
    """Yield the phrases in which two texts differ, between the words that they share."""
    steps = Levenshtein.opcodes(meant, heard)
    for same, group in groupby(steps, key=lambda step: step.tag == "equal"):
        if not same:
            run = list(group)
            left, right = meant[run[0].src_start : run[-1].src_end], heard[run[0].dest_start : run[-1].dest_end]
            if 0 < len(left) <= _MAX_WORDS and len(right) <= _MAX_WORDS:
                yield tuple(left), " ".join(right)


_COPIES = 8  # misheard copies of each query
_CHANCE = 0.5  # P(a phrase is misheard in a copy | it was ever misheard)
_MAX_PAIRS = 60_000  # largest number of rephrases, and of copies; it bounds the time
_PASSES = 4  # passes over the pairs
_PAIRS_SEEN = 8_000, 250_000  # least and largest number of pairs in all passes together; each takes half a millisecond
_SCALE = 20.0  # factor of the cosine in the softmax
_BATCH, _RATE = 128, 2e-3  # pairs in a step, and the peak learning rate of AdamW


@dataclass(frozen=True, slots=True)
class MinedRephrases:
    """Mined pairs of a failing text and a text that users said instead, and that worked.

    Attributes:
        sources: normalised.
        targets: normalised.
        users: (n,) int64, distinct users of the rarer of the two texts.
    """

    sources: Sequence[str]
    targets: Sequence[str]
    users: Ints


@dataclass(frozen=True, slots=True)
class TextPairs:
    """Pairs of texts whose vectors an encoder brings together, as parallel columns.

    Attributes:
        heard: what the recogniser heard.
        meant: the query that was meant.
    """

    heard: list[str]
    meant: list[str]


def training_pairs(rephrases: MinedRephrases, queries: Sequence[str], *, min_users: int, seed: int) -> TextPairs:
    """Return the rephrases, and queries with simulated errors like those of the rephrases (`PhraseConfusions`).

    So the encoder also learns queries that nobody ever had to repeat.

    Args:
        rephrases: what was mined.
        queries: texts that work, normalised, each said by at least `min_users` users.
        min_users: distinct users that every text must come from, because the encoder is shared.
        seed: of what is drawn.

    Raises:
        ValueError: a rephrase has fewer users.
    """
    if len(rephrases.users) and int(rephrases.users.min()) < min_users:
        raise ValueError(f"a rephrase of {rephrases.users.min()} users must not train a shared encoder; the least is {min_users}")
    rng = random.Random(seed)  # noqa: S311 - draws pairs, no secrets
    pairs = list(zip(rephrases.sources, rephrases.targets, strict=True))
    confusions = PhraseConfusions(pairs)
    said = rng.sample(queries, min(len(queries), _MAX_PAIRS)) * _COPIES
    copies = [(confusions.misheard(query, rng, _CHANCE), query) for query in said[:_MAX_PAIRS]]
    chosen = rng.sample(pairs, min(len(pairs), _MAX_PAIRS)) + [
        (heard, query) for heard, query in copies if heard not in ("", query)
    ]
    return TextPairs([heard for heard, _ in chosen], [meant for _, meant in chosen])


def fit_static(pairs: TextPairs, *, seed: int, dim: int = 128) -> StaticEncoder:
    """Learn a `StaticEncoder` that gives misheard texts vectors near those of what was meant.

    It starts from random directions, which measure spelling, and minimises the in-batch softmax loss of Henderson et al.
    (2017, "Efficient natural language response suggestion for smart reply"; `MultipleNegativesRankingLoss`). Negatives mined
    beside those of the batch added nothing on the data of `benchmarks/retrieval.py`.

    Args:
        pairs: from `training_pairs`. Without any pairs the table stays as it was drawn.
        seed: of the table and of the order of the pairs.
        dim: length of a vector.

    Raises:
        MissingExtraError: the packages that train are not installed.
    """
    table = random_table(dim, seed)
    if not pairs.heard:
        return StaticEncoder(table)
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - seconds, and only for learning
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss  # noqa: PLC0415

    from rewriter.offline.fit.transformer_encoder import PieceEmbedding, Schedule, train  # noqa: PLC0415

    pieces = PieceEmbedding(table)
    model = SentenceTransformer(modules=[pieces], device="cpu")
    loss = MultipleNegativesRankingLoss(model, scale=_SCALE)
    least, most = (seen / len(pairs.heard) for seen in _PAIRS_SEEN)
    schedule = Schedule(epochs=max(least, min(_PASSES, most)), batch=_BATCH, rate=_RATE)
    train(model, loss, {"anchor": pairs.heard, "positive": pairs.meant}, schedule, seed)
    return StaticEncoder(pieces.table())


_STUDENT_DIM = 128  # length of a vector of a distilled encoder
_MIN_REPHRASES = 30  # with fewer, the encoder would learn no more than spelling, which the random table already measures


@dataclass(frozen=True, slots=True)
class EncoderData:
    """The texts from which a shared encoder may learn. Each comes from k users or more.

    Attributes:
        texts: all texts of k users or more, whether they work or not.
        queries: texts that work.
        rephrases: failing texts with what was meant.
        min_users: k.
    """

    texts: Sequence[str]
    queries: Sequence[str]
    rephrases: MinedRephrases
    min_users: int

    def pairs(self, seed: int) -> TextPairs:
        """Return the pairs to learn from; none if there are too few rephrases."""
        if len(self.rephrases.sources) < _MIN_REPHRASES:
            return TextPairs([], [])
        return training_pairs(self.rephrases, self.queries, min_users=self.min_users, seed=seed)


def learn_encoder(settings: Settings, data: EncoderData, folder: Path, *, seed: int) -> SavedEncoder:
    """Learn the encoder that the settings ask for, write it, and open it.

    ``static`` learns a table from the log alone. ``transformer`` adapts and fine-tunes a sentence transformer, quantises it to 8
    bits, and joins it with a static encoder, which measures the spelling that a transformer does not see.
    ``student`` adapts a sentence transformer and distils it into the table of a static encoder, which learns the rephrases, too.

    Args:
        settings: kind and base.
        data: what may be learned from.
        folder: where the files go.
        seed: of all draws.

    Raises:
        ConfigError: there is no such base.
        MissingExtraError: the packages that train are not installed.
    """
    pairs = data.pairs(seed)
    if settings.kind == "static" or not data.texts:  # without texts there is nothing to adapt to
        fit_static(pairs, seed=seed).save(folder)
        return open_encoder(folder)
    from rewriter.offline.fit.transformer_encoder import adapt, base_model, distil, export, fine_tune  # noqa: PLC0415

    teacher = base_model(settings.base)
    adapt(teacher, data.texts, seed=seed)
    if settings.kind == "student":
        dim = min(_STUDENT_DIM, teacher.get_embedding_dimension() or _STUDENT_DIM)
        distil(teacher, [*data.texts, *data.queries], seed=seed, learned=pairs, dim=dim).save(folder)
        return open_encoder(folder)
    if pairs.heard:
        fine_tune(teacher, pairs, seed=seed)
    with tempfile.TemporaryDirectory() as scratch:
        export(teacher, Path(scratch))
        BlockEncoder([open_encoder(Path(scratch)), fit_static(pairs, seed=seed)], [1, 1]).save(folder)
    return open_encoder(folder)
