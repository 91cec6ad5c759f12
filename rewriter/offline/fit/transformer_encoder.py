"""Sentence transformers: adapt one to the texts of a log, fine-tune it on rephrases, distil it, or export it to ONNX.

The module imports torch, which takes seconds: import it only where a transformer is asked for.
"""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rewriter.errors import ConfigError, MissingExtraError
from rewriter.offline.fit.encoder import TextPairs
from rewriter.offline.fit.training import Schedule, quiet, train

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

import json
import tempfile
from pathlib import Path

import numpy as np

from rewriter.model.encoder import GRAPH, HEADER, TOKENIZER, StaticEncoder, Vectors, random_table, unit_rows

_SCALE = 20.0  # of a cosine in the softmax
_MAX_TEXTS = 10_000  # texts or pairs to train on: a CPU processes a hundred a second


def base_model(name: str) -> "SentenceTransformer":
    """Load a sentence transformer on the CPU.

    Args:
        name: a folder, or a name on the Hugging Face hub; only a name may use the network.

    Raises:
        ConfigError: there is no such model, here or there.
        MissingExtraError: sentence-transformers is not installed.
    """
    try:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - seconds, and only for learning
    except ImportError as error:
        raise MissingExtraError(f"a transformer encoder needs {error.name}; pip install 'rewriter[learn]'") from error
    try:
        with quiet():
            # Plain attention exports to a graph that runs a third faster than torch's fused one.
            return SentenceTransformer(name, device="cpu", model_kwargs={"attn_implementation": "eager"})
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no sentence transformer {name!r}: {str(error).splitlines()[0]}; give a folder or a hub name"
        ) from error


def adapt(model: "SentenceTransformer", texts: Sequence[str], *, seed: int, most: int = _MAX_TEXTS) -> None:
    """Adapt a model, in place, to the texts of a log, without any pairs.

    Each text is its own positive under another dropout mask; the other texts of the batch are its negatives (SimCSE: Gao, Yao and
    Chen 2021, EMNLP).

    Args:
        model: what is adapted.
        texts: normalised, each said by at least `Config.launch.min_users` users, whether it worked or not.
        seed: of the order and of dropout.
        most: texts that are sampled, to bound the time.
    """
    chosen = sorted(set(texts))
    chosen = random.Random(seed).sample(chosen, min(len(chosen), most))  # noqa: S311 - draws texts, no secrets
    _contrast(model, TextPairs(chosen, chosen), Schedule(epochs=1, batch=64, rate=2e-5), seed)


def fine_tune(model: "SentenceTransformer", learned: TextPairs, *, seed: int, most: int = _MAX_TEXTS) -> None:
    """Train a model, in place, so that what was misheard is near what was meant.

    The loss is that of dense passage retrieval, with the other pairs of a batch as negatives (Karpukhin et al. 2020, EMNLP).

    Args:
        model: what is trained.
        learned: from `rewriter.offline.fit.encoder.training_pairs`.
        seed: of the order and of dropout.
        most: pairs that are sampled, to bound the time.
    """
    pairs = list(zip(learned.heard, learned.meant, strict=True))
    pairs = random.Random(seed).sample(pairs, min(len(pairs), most))  # noqa: S311
    _contrast(model, TextPairs([h for h, _ in pairs], [m for _, m in pairs]), Schedule(epochs=2, batch=64, rate=5e-5), seed)


def _contrast(model: "SentenceTransformer", learned: TextPairs, schedule: Schedule, seed: int) -> None:
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss  # noqa: PLC0415

    loss = MultipleNegativesRankingLoss(model, scale=_SCALE)
    train(model, loss, {"anchor": learned.heard, "positive": learned.meant}, schedule, seed)


_BATCH = 256  # texts in a step of distillation
_PASSES = 10  # over the texts
_MIN_SEEN = 50_000  # texts in all passes together, at least


def distil(teacher: "SentenceTransformer", texts: Sequence[str], *, seed: int, dim: int = 128) -> StaticEncoder:
    """Learn a `StaticEncoder` whose vectors are those of a transformer, by least squares (Reimers and Gurevych 2020, EMNLP).

    The vectors of the transformer are rotated to their principal axes and cut to `dim`. The result is meant as the start of
    `fit_static`, which adds the spelling that a transformer does not see.

    Args:
        teacher: a sentence transformer, preferably adapted and fine-tuned.
        texts: normalised, each said by at least `Config.launch.min_users` users, and misheard copies of such.
        seed: of where the table starts and of the order of the texts.
        dim: length of a vector, at most the teacher's.

    Raises:
        MissingExtraError: the packages that train are not installed.
    """
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - seconds, and only for learning
    from sentence_transformers.sentence_transformer.losses import MSELoss  # noqa: PLC0415

    from rewriter.offline.fit.training import PieceEmbedding  # noqa: PLC0415

    distinct = sorted({text for text in texts if text})
    taught = teacher.encode(distinct, batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False)
    pieces = PieceEmbedding(random_table(dim, seed))
    student = SentenceTransformer(modules=[pieces], device="cpu")
    columns = {"text": distinct, "label": list(_principal(taught, dim))}
    passes = max(_PASSES, _MIN_SEEN / max(1, len(distinct)))
    train(student, MSELoss(student), columns, Schedule(epochs=passes, batch=_BATCH, rate=5e-3), seed)
    return StaticEncoder(pieces.table())


def _principal(vectors: Vectors, dim: int) -> Vectors:
    """Return the first principal components of vectors, uncentred, as unit rows; they keep inner products best."""
    _, axes = np.linalg.eigh(vectors.T @ vectors)
    return unit_rows(vectors @ axes[:, ::-1][:, :dim])


def export(model: "SentenceTransformer", folder: Path) -> None:
    """Write ``model.onnx``, ``tokenizer.json`` and ``encoder.json``.

    The graph holds every module of the model (transformer, pooling, dense layers). Its weights are quantised dynamically to 8
    bits, which takes a quarter of the space of 32 bits and is several times as fast.

    Args:
        model: on the CPU, in evaluation mode, with a fast tokenizer.
        folder: where the files go; made if it is missing.

    Raises:
        MissingExtraError: a package that exports is not installed.
    """
    try:
        import onnxscript  # noqa: F401, PLC0415 - torch's exporter needs it
        import torch  # noqa: PLC0415
        from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(f"exporting an encoder needs {error.name}; pip install 'rewriter[learn]'") from error

    class Whole(torch.nn.Module):
        """The model as a function of two arrays."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.model({"input_ids": input_ids, "attention_mask": attention_mask})["sentence_embedding"]
            return out

    folder.mkdir(parents=True, exist_ok=True)
    example = torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
    free = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens")}
    with tempfile.TemporaryDirectory() as scratch, quiet():
        whole = Path(scratch) / GRAPH
        torch.onnx.export(
            Whole().eval(),
            example,
            str(whole),
            input_names=["input_ids", "attention_mask"],
            output_names=["vectors"],
            dynamic_shapes={"input_ids": free, "attention_mask": free},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        quantize_dynamic(whole, folder / GRAPH, weight_type=QuantType.QInt8, per_channel=True)
    model.tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    header = {"kind": "onnx", "dim": model.get_embedding_dimension()}
    (folder / HEADER).write_text(json.dumps(header), encoding="utf-8")
