"""`BlockEncoder`: several encoders side by side in one vector, so that one search hears with all of them."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rewriter.errors import reading_artefact
from rewriter.model.encoder import HEADER, Encoder, SavedEncoder, Vectors, open_encoder


class BlockEncoder:
    """Encoders as weighted blocks of one vector.

    Block c of a text is ``sqrt(w_c) e_c(text)`` with weights w that sum to one, so that the inner product of two texts is the
    weighted mean of what the encoders say, ``sum_c w_c <e_c(a), e_c(b)>``. It joins a sentence transformer, which knows what
    words mean, with an encoder of spelling, which can hear.

    Args:
        encoders: at least one.
        weights: > 0, one per encoder; scaled to sum to one.

    Example:
        >>> from rewriter.model.encoder_static import StaticEncoder, random_table
        >>> both = BlockEncoder([StaticEncoder(random_table(64, 0)), StaticEncoder(random_table(32, 1))], [3, 1])
        >>> both.dim, both.weights.tolist()
        (96, [0.75, 0.25])
    """

    __slots__ = ("_encoders", "dim", "weights")

    def __init__(self, encoders: Sequence[Encoder], weights: Sequence[float]) -> None:
        self._encoders = tuple(encoders)
        self.weights = np.asarray(weights, dtype=np.float32) / np.float32(sum(weights))
        self.dim = sum(encoder.dim for encoder in encoders)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return the blocks of each text side by side, (n, dim); unit rows where no block is zero."""
        scales = np.sqrt(self.weights)
        return np.hstack([encoder.encode(texts) * scale for encoder, scale in zip(self._encoders, scales, strict=True)])

    def save(self, folder: Path) -> None:
        """Write ``encoder.json`` and a folder ``0``, ``1``, … for each encoder.

        Raises:
            TypeError: an encoder has no `save`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for number, encoder in enumerate(self._encoders):
            if not isinstance(encoder, SavedEncoder):
                raise TypeError(f"{type(encoder).__name__} cannot be saved: it has no method save(folder)")
            encoder.save(folder / str(number))
        (folder / HEADER).write_text(json.dumps({"kind": "blocks", "weights": self.weights.tolist()}), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> "BlockEncoder":
        """Open what `save` wrote.

        Raises:
            ArtefactError: a file is missing, or is none of ours.
        """
        with reading_artefact(folder / HEADER):
            weights = [float(w) for w in json.loads((folder / HEADER).read_text(encoding="utf-8"))["weights"]]
        return cls([open_encoder(folder / str(number)) for number in range(len(weights))], weights)
