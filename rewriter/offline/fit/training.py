"""`train`: runs the trainer of sentence-transformers without network, model card, reports, or files left on the disk.

`PieceEmbedding` is the table of a `StaticEncoder` as a module that this trainer trains. The module imports torch, which takes
seconds: import it only where something is trained.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rewriter.errors import MissingExtraError

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

import logging
import warnings

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from rewriter.model.encoder import buckets, pieces


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
            """Write no model card: it would hold texts of the log, and ask the hub about them."""

    with _offline(), tempfile.TemporaryDirectory() as scratch:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=scratch,
            num_train_epochs=schedule.epochs,
            per_device_train_batch_size=schedule.batch,
            learning_rate=schedule.rate,
            # A text that comes twice in a batch would be its own negative.
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
    """Keep huggingface_hub, which transformers and datasets use, from the network."""
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
def quiet() -> Iterator[None]:
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
