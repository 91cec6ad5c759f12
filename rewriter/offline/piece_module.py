"""`PieceEmbedding`: the table of a `StaticEncoder` as a module that sentence-transformers trains."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from rewriter.model.pieces import buckets, parts


class PieceEmbedding(StaticEmbedding):
    """An embedding bag over the pieces of a text, in place of a tokenizer's tokens.

    Args:
        table: where training starts, (buckets, dim) float32; not changed.
    """

    def __init__(self, table: npt.NDArray[np.float32]) -> None:
        super().__init__(Tokenizer(WordLevel({}, unk_token="")), embedding_weights=table.copy())
        self._kept: dict[str, list[int]] = {}

    def preprocess(self, inputs: Any, prompt: str | None = None, **_: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401, ARG002
        """Return the buckets of all texts one after the other, and where each text starts."""
        bags = [[bucket for part in parts(text) for bucket in self._buckets(part)] for text in inputs]
        starts = np.cumsum([0, *(len(bag) for bag in bags[:-1])])
        return {
            "input_ids": torch.tensor([b for bag in bags for b in bag], dtype=torch.long),
            "offsets": torch.from_numpy(starts),
        }

    def table(self) -> npt.NDArray[np.float32]:
        """Return the table as it stands, (buckets, dim)."""
        weights: npt.NDArray[np.float32] = self.embedding.weight.detach().numpy().copy()
        return weights

    def _buckets(self, part: str) -> list[int]:
        found = self._kept.get(part)
        if found is None:
            found = self._kept[part] = buckets(part, self.num_embeddings)
        return found
