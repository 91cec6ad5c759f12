"""`OnnxEncoder`: a sentence transformer, exported and quantised, run by onnxruntime."""

import json
from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING

import numpy as np

from rewriter.errors import MissingExtraError, reading_artefact
from rewriter.model.encoder import HEADER, Vectors, unit_rows

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

GRAPH, TOKENIZER = "model.onnx", "tokenizer.json"

_BATCH = 64
_MOST_TOKENS = 128


class OnnxEncoder:
    """Runs ``model.onnx``, which maps ``input_ids`` and ``attention_mask`` to one vector per text, on one thread.

    A millisecond or less a text for six layers in 8 bits (`rewriter.offline.fit.transformer_encoder` writes such a folder).

    Args:
        folder: with ``encoder.json``, ``model.onnx`` and ``tokenizer.json``.
        dim: length of a vector.
        session: the graph.
        tokenizer: what cuts the texts.
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
            ArtefactError: a file is missing, or is none of ours.
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
        # Texts of like length go together: a batch is as long as its longest.
        order = sorted((i for i, text in enumerate(texts) if text), key=lambda i: len(texts[i]))
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            cut = self._tokenizer.encode_batch([texts[i] for i in batch])
            ids = np.array([c.ids for c in cut], dtype=np.int64)
            mask = np.array([c.attention_mask for c in cut], dtype=np.int64)
            rows[batch] = self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return unit_rows(rows)

    def save(self, folder: Path) -> None:
        """Copy the files into another folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in (HEADER, GRAPH, TOKENIZER):
            copyfile(self._folder / name, folder / name)
