"""`learn_encoder`: the encoder that the settings ask for, learned from a log."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rewriter.config import Encoder as Settings
from rewriter.model.encoder import BlockEncoder, SavedEncoder, open_encoder
from rewriter.offline.fit.static_encoder import Examples, Rephrases, examples, fit_static

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_DIM = 128  # of a student
_TEACHES = 30  # rephrases; fewer teach no more than the way in which a text is spelled


@dataclass(frozen=True, slots=True)
class Lessons:
    """What a shared encoder may learn from: nothing in it comes from fewer than `min_users` users.

    Attributes:
        texts: whatever was said, whether it worked or not.
        queries: texts that work.
        pairs: failing texts with what was meant.
        min_users: k.
    """

    texts: Sequence[str]
    queries: Sequence[str]
    pairs: Rephrases
    min_users: int

    def examples(self, seed: int) -> Examples:
        """Return what is to be brought together; nothing where the rephrases are too few to teach anything."""
        if len(self.pairs.sources) < _TEACHES:
            return Examples([], [])
        return examples(self.pairs, self.queries, min_users=self.min_users, seed=seed)


def learn_encoder(settings: Settings, lessons: Lessons, folder: Path, *, seed: int) -> SavedEncoder:
    """Learn the encoder that the settings ask for, write it, and open what was written.

    ``static`` learns a table from the log alone. ``transformer`` adapts and fine-tunes a sentence transformer, in 8 bits beside
    a static encoder, which hears what a transformer does not. ``student`` distils that transformer into the table, which then
    learns on.

    Args:
        settings: kind and base.
        lessons: what may be learned from.
        folder: where the files go.
        seed: of all draws.

    Raises:
        ConfigError: there is no such base.
        MissingExtraError: the packages that train are not installed.
    """
    learned = lessons.examples(seed)
    if settings.kind == "static":
        fit_static(learned, seed=seed).save(folder)
        return open_encoder(folder)
    teacher = _teacher(settings.base, lessons, learned, seed)
    if settings.kind == "student":
        from rewriter.offline.fit.transformer_encoder import distil  # noqa: PLC0415 - seconds, and only for learning

        dim = min(_DIM, teacher.get_embedding_dimension() or _DIM)
        student = distil(teacher, [*lessons.texts, *lessons.queries, *learned.heard], seed=seed, dim=dim)
        fit_static(learned, seed=seed, start=student.table).save(folder)
        return open_encoder(folder)
    from rewriter.offline.fit.transformer_encoder import export  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as scratch:
        export(teacher, Path(scratch))
        BlockEncoder([open_encoder(Path(scratch)), fit_static(learned, seed=seed)], [1, 1]).save(folder)
    return open_encoder(folder)


def _teacher(base: str, lessons: Lessons, learned: Examples, seed: int) -> "SentenceTransformer":
    from rewriter.offline.fit.transformer_encoder import adapt, base_model, fine_tune  # noqa: PLC0415

    teacher = base_model(base)
    adapt(teacher, lessons.texts, seed=seed)
    if learned.heard:
        fine_tune(teacher, learned, seed=seed)
    return teacher
