"""`Encoder`: from texts to vectors whose inner product says how alike the texts are; and how one is opened from its folder."""

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from rewriter.errors import reading_artefact

Vectors = npt.NDArray[np.float32]

HEADER = "encoder.json"
"""The file of an encoder's folder that says, beside its settings, what kind it is."""

_KINDS = {
    "static": "rewriter.model.encoder_static:StaticEncoder",
    "onnx": "rewriter.model.encoder_onnx:OnnxEncoder",
    "blocks": "rewriter.model.encoder_blocks:BlockEncoder",
}


class Encoder(Protocol):
    """Turns texts into vectors. Safe to use from many threads."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one row per text, (n, dim), each of unit length; zeros for a text of which nothing is known.

        Args:
            texts: normalised texts.
        """


@runtime_checkable
class SavedEncoder(Encoder, Protocol):
    """An encoder that can be written into a folder and opened by `open_encoder`."""

    def save(self, folder: Path) -> None:
        """Write ``encoder.json`` and arrays (npy) or a graph (onnx) into a folder, which is made if it is missing."""


def open_encoder(folder: Path) -> SavedEncoder:
    """Open the encoder that was saved in a folder; arrays are memory-mapped.

    Raises:
        ArtefactError: a file is missing, or is none of ours.
    """
    path = folder / HEADER
    with reading_artefact(path):
        header = json.loads(path.read_text(encoding="utf-8"))
        module, name = _KINDS[header["kind"]].split(":")
    opened: SavedEncoder = getattr(import_module(module), name).open(folder)
    return opened


def unit_rows(vectors: Vectors) -> Vectors:
    """Return the rows divided by their lengths; zero rows stay zero."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    lengths[lengths == 0] = 1
    scaled: Vectors = vectors / lengths[:, None]
    return scaled
