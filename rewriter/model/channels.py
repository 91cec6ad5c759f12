"""`Channels`: several encoders side by side in one vector, so that one search hears with all of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from rewriter.errors import ArtefactError
from rewriter.model.encoder import Encoder, SavedEncoder, Vectors, open_encoder
from rewriter.model.similarity import phonetic_key

Reads = Literal["text", "sounds"]

_HEADER = "channels.json"


@dataclass(frozen=True, slots=True)
class Channel:
    """One encoder among several.

    Attributes:
        name: of the channel, and of its folder.
        reads: what the encoder is given: the text itself, or its sounds (`rewriter.model.similarity.phonetic_key`).
        encoder: anything with `dim` and `encode`.
        weight: its share of the fused similarity, > 0.
    """

    name: str
    reads: Reads
    encoder: Encoder
    weight: float


class Channels:
    """Encoders as weighted blocks of one vector.

    Block c of a text is ``sqrt(w_c) * e_c(text)`` with the weights w scaled to sum to one, so that the inner product of two
    texts is the weighted mean of their similarities, ``sum_c w_c <e_c(a), e_c(b)>``, and a row is never longer than one.

    Attributes:
        names: of the channels, in the order of the blocks.
        weights: w, (channels,) float32.
        dim: sum of the blocks' lengths.

    Example:
        >>> from rewriter.model.encoder_grams import Grams
        >>> channels = Channels([Channel("letters", "text", Grams(dim=64), 3), Channel("sounds", "sounds", Grams(dim=32), 1)])
        >>> channels.dim, channels.weights.tolist()
        (96, [0.75, 0.25])
        >>> a, b = channels.encode(["turn of the lamp", "turn off the lamp"], "en")
        >>> round(float(a @ a), 3), float(channels.similarities(a, b[None])[0, 1])
        (1.0, 1.0)
    """

    __slots__ = ("_blocks", "_channels", "_scales", "dim", "names", "weights")

    def __init__(self, channels: Sequence[Channel]) -> None:
        weights = np.array([c.weight for c in channels], dtype=np.float64)
        ends = np.cumsum([c.encoder.dim for c in channels]).tolist()
        self._channels = tuple(channels)
        self._blocks = tuple(slice(end - c.encoder.dim, end) for c, end in zip(channels, ends, strict=True))
        self.names = tuple(c.name for c in channels)
        self.weights = (weights / weights.sum()).astype(np.float32)
        self._scales = np.sqrt(self.weights)
        self.dim = int(ends[-1])

    def encode(self, texts: Sequence[str], locale: str) -> Vectors:
        """Return the blocks of each text side by side, (n, dim).

        Args:
            texts: normalised texts.
            locale: BCP 47; decides how the texts sound.
        """
        rows = np.empty((len(texts), self.dim), dtype=np.float32)
        for channel, block, scale in zip(self._channels, self._blocks, self._scales, strict=True):
            read = texts if channel.reads == "text" else [phonetic_key(text, locale) for text in texts]
            np.multiply(channel.encoder.encode(read), scale, out=rows[:, block])
        return rows

    def similarities(self, queries: Vectors, rows: Vectors) -> Vectors:
        """Return what each channel alone says of each pair, (m, channels) in -1..1.

        Args:
            queries: (m, dim), or (dim,) for one against all.
            rows: (m, dim).
        """
        products = rows * queries
        sums: Vectors = np.add.reduceat(products, [block.start for block in self._blocks], axis=1)
        sums /= self.weights
        return sums

    def save(self, folder: Path) -> None:
        """Write ``channels.json`` and a folder for each encoder.

        Raises:
            TypeError: an encoder has no `save`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for channel in self._channels:
            if not isinstance(channel.encoder, SavedEncoder):
                raise TypeError(f"the encoder of channel {channel.name!r} cannot be saved: it has no method save(folder)")
            channel.encoder.save(folder / channel.name)
        header = [{"name": c.name, "reads": c.reads, "weight": c.weight} for c in self._channels]
        (folder / _HEADER).write_text(json.dumps(header), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> "Channels":
        """Open what `save` wrote.

        Raises:
            ArtefactError: a file is missing, or is none of ours.
        """
        path = folder / _HEADER
        try:
            header = json.loads(path.read_text(encoding="utf-8"))
            rows = [(str(c["name"]), c["reads"], float(c["weight"])) for c in header]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ArtefactError(f"cannot read {path}: {error!r}; copy the artefact again or go back a version") from error
        return cls([Channel(name, reads, open_encoder(folder / name), weight) for name, reads, weight in rows])
