"""Sentence transformers: adapt one to the texts of a log, fine-tune it on rephrases, distil it, or export it to ONNX.

`train` runs the trainer of sentence-transformers without network, model card, reports, or files left on the disk.
`PieceEmbedding` is the table of a `StaticEncoder` as a module that this trainer trains. The module imports torch, which takes
seconds: import it only where something is trained.
"""

import json
import logging
import random
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from rewriter.errors import ConfigError, MissingExtraError
from rewriter.model.encoder import GRAPH, HEADER, TOKENIZER, StaticEncoder, Vectors, buckets, pieces, random_table, unit_rows
from rewriter.offline.fit.encoder import TextPairs
from rewriter.text import unspaced

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        epochs: passes over the rows.
        batch: rows in a step; for each row, the other rows of its batch are the negatives.
        rate: peak learning rate of AdamW, which falls linearly to zero.
    """

    epochs: float
    batch: int
    rate: float


def train(
    model: "SentenceTransformer", loss: "torch.nn.Module", columns: Mapping[str, Sequence[Any]], schedule: Schedule, seed: int
) -> None:
    """Train a model in place, on the CPU, the same way for the same seed and number of threads.

    Args:
        model: what is trained.
        loss: one of sentence_transformers' losses over that model.
        columns: the rows as the loss expects them: texts, and labels if it uses any.
        schedule: how long and how fast.
        seed: of the order of the rows, and of dropout.

    Raises:
        MissingExtraError: the packages that train are not installed.
    """
    try:
        from datasets import Dataset  # noqa: PLC0415 - only learning pays for it
        from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments  # noqa: PLC0415
        from transformers import PrinterCallback  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(f"training an encoder needs {error.name}; pip install 'rewriter[learn]'") from error

    class Trainer(SentenceTransformerTrainer):
        def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
            """Write no model card, because it would hold texts of the log and send queries about them to the hub."""

    with _offline(), tempfile.TemporaryDirectory() as scratch:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=scratch,
            num_train_epochs=schedule.epochs,
            per_device_train_batch_size=schedule.batch,
            learning_rate=schedule.rate,
            # A text that occurs twice in a batch would be its own negative.
            batch_sampler="batch_sampler" if "label" in columns else "no_duplicates",
            seed=seed,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        trainer = Trainer(model=model, args=arguments, train_dataset=Dataset.from_dict(dict(columns)), loss=loss)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    model.eval()


@contextmanager
def _offline() -> Iterator[None]:
    """Keep huggingface_hub, which transformers and datasets use, from using the network."""
    from huggingface_hub import constants  # noqa: PLC0415

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


class PieceEmbedding(StaticEmbedding):
    """An embedding bag over the pieces of a text instead of the tokens of a tokenizer.

    Args:
        table: (buckets, dim) float32, where training starts; it is copied.
    """

    def __init__(self, table: npt.NDArray[np.float32]) -> None:
        super().__init__(Tokenizer(WordLevel({}, unk_token="")), embedding_weights=table.copy())
        self._kept: dict[str, list[int]] = {}

    def preprocess(self, inputs: Any, prompt: str | None = None, **_: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401, ARG002
        """Return the buckets of all texts one after the other, and where each text starts."""
        bags = [[bucket for piece in pieces(text) for bucket in self._buckets(piece)] for text in inputs]
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


@contextmanager
def without_messages() -> Iterator[None]:
    """Silence warnings, log messages below an error, and the progress bars of transformers, for as long as the block runs."""
    from transformers.utils import logging as of_transformers  # noqa: PLC0415 - seconds, and only for learning

    before, thresholds = logging.root.manager.disable, of_transformers.is_progress_bar_enabled()
    logging.disable(logging.WARNING)
    of_transformers.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        if thresholds:
            of_transformers.enable_progress_bar()  # type: ignore[no-untyped-call]


_SCALE = 20.0  # factor of the cosine in the softmax
_MAX_TEXTS = 10_000  # largest number of texts or pairs for training; a CPU processes a hundred a second


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
        with without_messages():
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
    columns = {"anchor": [*map(unspaced, learned.heard)], "positive": [*map(unspaced, learned.meant)]}
    train(model, loss, columns, schedule, seed)


_BATCH = 256  # texts in a step of distillation
_PASSES = 10  # passes over the texts
_MIN_SEEN = 50_000  # least number of texts in all passes together


def encoded(model: "SentenceTransformer", texts: Sequence[str]) -> Vectors:
    """Return the unit vector that a model gives each text, (n, dim).

    A model has learned from texts as people write them. So it is given none of the blanks that `normalise` puts between letters
    of scripts that write none.

    Args:
        model: a sentence transformer.
        texts: normalised.
    """
    written = [unspaced(text) for text in texts]
    vectors: Vectors = model.encode(written, batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False)
    return vectors


def distil(
    teacher: "SentenceTransformer", texts: Sequence[str], *, seed: int, learned: TextPairs | None = None, dim: int = 128
) -> StaticEncoder:
    """Learn a `StaticEncoder` whose vectors are those of a transformer, by least squares (Reimers and Gurevych 2020, EMNLP).

    Those authors teach a student that a sentence and its translation have the vector of the sentence. In the same way what was
    misheard is taught the vector of what was meant. Unlike a contrast of pairs, this does not part texts that mean the same.

    The vectors are centred, because those of multilingual models lie in a narrow cone (most cosines of multilingual-e5-small are
    above 0.75), and the student would mostly learn what they have in common. Then they are rotated to their principal axes and
    cut to `dim`.

    Args:
        teacher: a sentence transformer, preferably adapted.
        texts: normalised, each said by at least `Config.launch.min_users` users.
        seed: of where the table starts and of the order of the texts.
        learned: pairs to fine-tune on, from `rewriter.offline.fit.encoder.training_pairs`; None or no pairs to distil alone.
        dim: length of a vector, at most the teacher's.

    Raises:
        MissingExtraError: the packages that train are not installed.
    """
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - seconds, and only for learning
    from sentence_transformers.sentence_transformer.losses import MSELoss  # noqa: PLC0415

    heard, meant = (learned.heard, learned.meant) if learned else ([], [])
    own = sorted({text for text in texts if text} - set(heard))
    rows, shown = [*own, *heard], [*own, *meant]
    distinct = sorted(set(shown))
    taught = dict(zip(distinct, _principal(encoded(teacher, distinct), dim), strict=True))
    pieces = PieceEmbedding(random_table(dim, seed))
    student = SentenceTransformer(modules=[pieces], device="cpu")
    columns = {"text": rows, "label": [taught[text] for text in shown]}
    passes = max(_PASSES, _MIN_SEEN / max(1, len(rows)))
    train(student, MSELoss(student), columns, Schedule(epochs=passes, batch=_BATCH, rate=5e-3), seed)
    return StaticEncoder(pieces.table())


def _principal(vectors: Vectors, dim: int) -> Vectors:
    """Return the first principal components of vectors, centred and of unit length before and after; (n, dim)."""
    around = unit_rows(vectors - vectors.mean(axis=0))
    _, axes = np.linalg.eigh(around.T @ around)
    return unit_rows(around @ axes[:, ::-1][:, :dim])


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
    with tempfile.TemporaryDirectory() as scratch, without_messages():
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
