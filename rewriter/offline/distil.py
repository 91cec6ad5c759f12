"""`distil`: what a fine-tuned transformer knows, in the table of a static encoder."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rewriter.model.encoder import Vectors, unit_rows
from rewriter.model.encoder_static import StaticEncoder, random_table
from rewriter.offline.training import Schedule, train

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_BATCH = 256
_PASSES = 10  # over the texts
_LOOKED_AT = 50_000  # texts in all passes together, at least


def distil(teacher: "SentenceTransformer", texts: Sequence[str], *, seed: int, dim: int = 128) -> StaticEncoder:
    """Learn a `StaticEncoder` whose vectors are the teacher's, least squares (Reimers and Gurevych 2020), no pairs needed.

    The teacher's vectors are turned to their principal axes and cut to `dim`. The student is a start for `fit_static`, which
    brings back the spelling that a transformer does not see.

    Args:
        teacher: a sentence transformer, best of all adapted and fine-tuned (`rewriter.offline.fine_tune`).
        texts: normalised, each said by at least `Config.launch.min_users` users, and misheard copies of such.
        seed: of where the table starts and of the order of the texts.
        dim: length of a vector, at most the teacher's.

    Raises:
        MissingExtraError: the packages that train are not installed.
    """
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - seconds, and only for learning
    from sentence_transformers.sentence_transformer.losses import MSELoss  # noqa: PLC0415

    from rewriter.offline.piece_module import PieceEmbedding  # noqa: PLC0415

    distinct = sorted({text for text in texts if text})
    taught = teacher.encode(distinct, batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False)
    pieces = PieceEmbedding(random_table(dim, seed))
    student = SentenceTransformer(modules=[pieces], device="cpu")
    columns = {"text": distinct, "label": list(_principal(taught, dim))}
    passes = max(_PASSES, _LOOKED_AT / max(1, len(distinct)))
    train(student, MSELoss(student), columns, Schedule(epochs=passes, batch=_BATCH, rate=5e-3), seed)
    return StaticEncoder(pieces.table())


def _principal(vectors: Vectors, dim: int) -> Vectors:
    """Unit rows of the first principal components, uncentred: inner products stay as near as `dim` axes allow."""
    _, axes = np.linalg.eigh(vectors.T @ vectors)
    return unit_rows(vectors @ axes[:, ::-1][:, :dim])
