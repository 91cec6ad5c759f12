"""`fine_tune`: any sentence transformer, adapted to a log's texts and taught its rephrases."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rewriter.errors import ConfigError, MissingExtraError
from rewriter.offline.fit_encoder import Examples
from rewriter.offline.quiet import quiet
from rewriter.offline.training import Schedule, train

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_SCALE = 20.0  # of a cosine in the softmax
_MOST = 10_000  # examples: a CPU sees a hundred a second


def base_model(name: str) -> "SentenceTransformer":
    """Load a sentence transformer on the CPU.

    Args:
        name: a folder, or a name that the hub knows; only a name may ask the network.

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


def adapt(model: "SentenceTransformer", texts: Sequence[str], *, seed: int, most: int = _MOST) -> None:
    """Adapt a model, in place, to how people talk in this log, without any pairs.

    Each text is its own positive under another dropout mask, the others of the batch are negatives (SimCSE: Gao, Yao and
    Chen 2021).

    Args:
        model: what is adapted.
        texts: normalised, each said by at least `Config.launch.min_users` users, whether it worked or not.
        seed: of the order and of dropout.
        most: examples, drawn from all; bounds the time.
    """
    chosen = sorted(set(texts))
    chosen = random.Random(seed).sample(chosen, min(len(chosen), most))  # noqa: S311 - draws examples, no secrets
    _contrast(model, Examples(chosen, chosen), Schedule(epochs=1, batch=64, rate=2e-5), seed)


def fine_tune(model: "SentenceTransformer", learned: Examples, *, seed: int, most: int = _MOST) -> None:
    """Bring what is misheard near to what was meant, in place, as dense passage retrieval is trained (Karpukhin et al. 2020).

    Args:
        model: what is trained.
        learned: from `rewriter.offline.fit_encoder.examples`.
        seed: of the order and of dropout.
        most: examples, drawn from all; bounds the time.
    """
    pairs = list(zip(learned.heard, learned.meant, strict=True))
    pairs = random.Random(seed).sample(pairs, min(len(pairs), most))  # noqa: S311
    _contrast(model, Examples([h for h, _ in pairs], [m for _, m in pairs]), Schedule(epochs=2, batch=64, rate=5e-5), seed)


def _contrast(model: "SentenceTransformer", learned: Examples, schedule: Schedule, seed: int) -> None:
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss  # noqa: PLC0415

    loss = MultipleNegativesRankingLoss(model, scale=_SCALE)
    train(model, loss, {"anchor": learned.heard, "positive": learned.meant}, schedule, seed)
