"""Encoders turn texts into vectors whose inner product measures how alike the texts are.

`Encoder`        the interface
`StaticEncoder`  sums vectors of character n-grams; needs only numpy, and takes microseconds
`OnnxEncoder`    a sentence transformer, exported and quantised; needs onnxruntime and tokenizers
`BlockEncoder`   several encoders side by side in one vector
`open_encoder`   opens any of them from its folder
`encode_apart`   encodes texts of many requests, none of which has an effect on another
"""

import json
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Protocol, runtime_checkable
from zlib import crc32

import numpy as np
import numpy.typing as npt

from rewriter.errors import MissingExtraError, reading_artefact
from rewriter.model.columns import mapped
from rewriter.text import unspaced

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

Vectors = npt.NDArray[np.float32]
"""Rows of float32."""
Table = npt.NDArray[np.float32]
"""A vector for each bucket of n-grams, (buckets, dim)."""

HEADER = "encoder.json"
"""The file in an encoder's folder that names its kind and holds its settings."""
GRAPH, TOKENIZER = "model.onnx", "tokenizer.json"
"""The files of an `OnnxEncoder` beside the header."""

_TABLE = "table.npy"
_SIZES = (2, 3, 4)  # characters of an n-gram; misheard short words share few longer n-grams
_REACH = 3  # letters on each side of a border between words
_BUCKETS = 1 << 14  # number of buckets of n-grams; with 128 floats each, the table has 4 MB in half precision
_CACHED = 100_000  # number of pieces whose vectors are cached; 50 MB with 128 floats each
_BATCH = 64  # texts that a transformer encodes at once
_MOST_TOKENS = 128  # a text is cut after so many tokens


class Encoder(Protocol):
    """Turns texts into vectors. Safe to use from many threads."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one row of unit length per text, (n, dim) float32; zeros for a text without any known part.

        Args:
            texts: normalised texts.
        """


@runtime_checkable
class SavedEncoder(Encoder, Protocol):
    """An encoder that can be written into a folder and opened by `open_encoder`."""

    def save(self, folder: Path) -> None:
        """Write ``encoder.json`` and arrays (npy) or a graph (onnx) into a folder, which is created if it is missing."""


def unit_rows(vectors: Vectors) -> Vectors:
    """Return the rows divided by their lengths; zero rows stay zero.

    Example:
        >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)).round(2).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    lengths[lengths == 0] = 1
    scaled: Vectors = vectors / lengths[:, None]
    return scaled


# --- Sums of n-grams


def pieces(text: str) -> Iterator[str]:
    """Yield the pieces of a text, each once: its words, and the letters around each border between two words.

    A border is written with a blank, ``"eam now"`` in "ice cream nowadays"; a word holds none. The encoder caches the vector of
    each piece.

    Args:
        text: normalised.

    Example:
        >>> list(pieces("turn it up"))
        ['turn', 'it', 'up', 'urn it', 'it up']
    """
    words = text.split(" ") if text else []
    yield from dict.fromkeys(words)
    yield from dict.fromkeys([f"{left[-_REACH:]} {right[:_REACH]}" for left, right in pairwise(words)])


def buckets(piece: str, n: int) -> list[int]:
    """Return the buckets, 0..n-1, of the n-grams of a piece, by CRC-32.

    A word has its n-grams of two to four characters with its ends marked, and itself. A border has the n-grams that cross it,
    without the blank, because a recogniser does not hear one: "i scream" is "ice cream".

    Args:
        piece: from `pieces`.
        n: number of buckets.
    """
    left, _, right = piece.partition(" ")
    if right:
        joined, cut = left + right, len(left)
        grams = [joined[i : i + size] for size in _SIZES for i in range(len(joined) - size + 1) if i < cut < i + size]
    else:
        marked = f"<{piece}>"
        grams = [marked[i : i + size] for size in _SIZES for i in range(len(marked) - size + 1)] + [f"={piece}"]
    return [crc32(gram.encode("utf-8", "surrogatepass")) % n for gram in grams]


class StaticEncoder:
    """Sums the vectors of a text's n-grams: tens of microseconds a text, from a table of a few megabytes.

    Before training, the n-grams have random directions, which keeps inner products of bags of n-grams within about
    ``1 / sqrt(dim)`` (Johnson and Lindenstrauss 1984): a measure of spelling without a model. Training
    (`rewriter.offline.fit.encoder`) moves the vectors, so that misheard texts are near what was meant.

    Args:
        table: vector of each bucket of n-grams, (buckets, dim), any floating type.

    Attributes:
        table: as given.
        dim: length of a vector.

    Example:
        >>> lamp, clamp, radio = StaticEncoder(random_table(dim=256, seed=0)).encode(["lamp", "clamp", "radio"])
        >>> bool(lamp @ clamp > 0.5 > lamp @ radio)
        True
    """

    __slots__ = ("_kept", "dim", "table")

    def __init__(self, table: npt.NDArray[np.floating]) -> None:
        self.dim = table.shape[1]
        self.table = table
        self._kept: dict[str, Vectors] = {}

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit row per text, (n, dim) float32; zeros for an empty text."""
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            if text:
                np.add.reduce([self._piece(piece) for piece in pieces(text)], axis=0, out=row)
        return unit_rows(rows)

    def save(self, folder: Path) -> None:
        """Write ``encoder.json`` and ``table.npy`` in half precision."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / _TABLE, self.table.astype(np.float16))
        (folder / HEADER).write_text(json.dumps({"kind": "static"}), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> "StaticEncoder":
        """Map what `save` wrote.

        Raises:
            ArtefactError: the table is missing or unreadable.
        """
        with reading_artefact(folder / _TABLE):
            return cls(mapped(folder / _TABLE))

    def _piece(self, piece: str) -> Vectors:
        vector = self._kept.get(piece)
        if vector is None:
            if len(self._kept) >= _CACHED:
                self._kept.clear()
            vector = self._kept[piece] = self.table[buckets(piece, len(self.table))].sum(axis=0, dtype=np.float32)
        return vector


def encode_apart(encoder: Encoder, groups: Sequence[Sequence[str]]) -> list[Vectors]:
    """Return the vectors of groups of texts, each as if its group were encoded alone.

    A `StaticEncoder` does so in one call. What another one returns for a text may depend on the texts beside it: a transformer in
    8 bits scales all of them together.

    Args:
        encoder: any.
        groups: normalised texts.
    """
    if not isinstance(encoder, StaticEncoder):
        return [encoder.encode(texts) for texts in groups]
    vectors = encoder.encode([text for texts in groups for text in texts])
    ends = list(accumulate(map(len, groups), initial=0))
    return [vectors[start:end] for start, end in pairwise(ends)]


def random_table(dim: int, seed: int) -> Table:
    """Return normal vectors of about unit length for 16,384 buckets, (16384, dim) float32."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((_BUCKETS, dim), dtype=np.float32) / np.float32(np.sqrt(dim))


# --- A sentence transformer


class OnnxEncoder:
    """Runs ``model.onnx``, which maps ``input_ids`` and ``attention_mask`` to one vector per text, on one thread.

    A model of six layers in 8 bits takes a millisecond or less per text. `rewriter.offline.fit.transformer_encoder` writes such
    a folder.

    Args:
        folder: with ``encoder.json``, ``model.onnx`` and ``tokenizer.json``.
        dim: length of a vector.
        session: the loaded graph.
        tokenizer: the loaded tokenizer, with padding and truncation enabled.
    """

    __slots__ = ("_folder", "_session", "_tokenizer", "dim")

    def __init__(self, folder: Path, dim: int, session: "InferenceSession", tokenizer: "Tokenizer") -> None:
        self.dim = dim
        self._folder = folder
        self._session = session
        self._tokenizer = tokenizer

    @classmethod
    def open(cls, folder: Path) -> "OnnxEncoder":
        """Open an exported encoder.

        Raises:
            ArtefactError: a file is missing or unreadable.
            MissingExtraError: onnxruntime or tokenizers is not installed.
        """
        try:
            import onnxruntime  # noqa: PLC0415 - only those who serve such an encoder need it
            from tokenizers import Tokenizer  # noqa: PLC0415
        except ImportError as error:
            raise MissingExtraError(f"this encoder needs {error.name}; pip install 'rewriter[onnx]'") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        with reading_artefact(folder):
            dim = int(json.loads((folder / HEADER).read_text(encoding="utf-8"))["dim"])
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
            session = onnxruntime.InferenceSession(str(folder / GRAPH), options, providers=["CPUExecutionProvider"])
        tokenizer.enable_padding()
        tokenizer.enable_truncation(_MOST_TOKENS)
        return cls(folder, dim, session, tokenizer)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit row per text, (n, dim) float32; zeros for an empty text."""
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        # A batch is padded to its longest text, so texts of similar length go together.
        order = sorted((i for i, text in enumerate(texts) if text), key=lambda i: len(texts[i]))
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            tokens = self._tokenizer.encode_batch([unspaced(texts[i]) for i in batch])
            ids = np.array([c.ids for c in tokens], dtype=np.int64)
            mask = np.array([c.attention_mask for c in tokens], dtype=np.int64)
            rows[batch] = self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return unit_rows(rows)

    def save(self, folder: Path) -> None:
        """Copy the three files into another folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in (HEADER, GRAPH, TOKENIZER):
            copyfile(self._folder / name, folder / name)


# --- Several encoders in one vector


class BlockEncoder:
    """Encoders as weighted blocks of one vector, so that one search uses all of them.

    Block c of a text is ``sqrt(w_c) e_c(text)`` with weights w that sum to one. So the inner product of two texts is the weighted
    mean of the inner products of the encoders, ``sum_c w_c <e_c(a), e_c(b)>``. It is used to join a sentence transformer, which
    knows what words mean, with an encoder of spelling, which knows what sounds alike.

    Args:
        encoders: at least one.
        weights: > 0, one per encoder; scaled to sum to one.

    Attributes:
        weights: (encoders,) float32, as scaled.
        dim: length of a vector.

    Example:
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
        """Return the blocks of each text side by side, (n, dim) float32; unit rows where no block is zero."""
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
            ArtefactError: a file is missing or unreadable.
        """
        with reading_artefact(folder / HEADER):
            weights = [float(w) for w in json.loads((folder / HEADER).read_text(encoding="utf-8"))["weights"]]
        return cls([open_encoder(folder / str(number)) for number in range(len(weights))], weights)


_KINDS: dict[str, type[StaticEncoder | OnnxEncoder | BlockEncoder]] = {
    "static": StaticEncoder,
    "onnx": OnnxEncoder,
    "blocks": BlockEncoder,
}


def open_encoder(folder: Path) -> SavedEncoder:
    """Open the encoder that was saved in a folder; its arrays are memory-mapped.

    Raises:
        ArtefactError: a file is missing or unreadable, or the kind of encoder is unknown.
        MissingExtraError: the encoder needs a package that is not installed.
    """
    path = folder / HEADER
    with reading_artefact(path):
        kind = _KINDS[json.loads(path.read_text(encoding="utf-8"))["kind"]]
    opened: SavedEncoder = kind.open(folder)
    return opened
