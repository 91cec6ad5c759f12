"""`train`: the sentence-transformers trainer, quiet: no network, no model card, no reports, nothing left on the disk."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rewriter.errors import MissingExtraError

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        epochs: passes over the examples.
        batch: examples in a step; the others of a batch are each one's negatives.
        rate: peak learning rate of AdamW, which falls to zero along a line.
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
        columns: the examples, as the loss wants them: texts, and labels where it has any.
        schedule: how long and how fast.
        seed: of the order of the examples, and of dropout.

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
    """Keep huggingface_hub, which transformers and datasets ask, from the network."""
    from huggingface_hub import constants  # noqa: PLC0415

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
