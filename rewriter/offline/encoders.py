"""`encoder_of`: the encoder that a log is served with."""

from collections.abc import Sequence

from rewriter.model.encoder import SavedEncoder
from rewriter.offline.fit_encoder import Examples, Rephrases, examples, fit_static

_TEACHES = 30  # rephrases; fewer teach no more than the way in which a text is spelled


def encoder_of(pairs: Rephrases, queries: Sequence[str], *, min_users: int, seed: int) -> SavedEncoder:
    """Return the encoder that a log is served with, taught by its rephrases where there are enough.

    Args:
        pairs: from `rewriter.offline.rephrases.rephrases`.
        queries: texts that work, of at least `min_users` users.
        min_users: k.
        seed: of all draws.
    """
    enough = len(pairs.sources) >= _TEACHES
    learned = examples(pairs, queries, min_users=min_users, seed=seed) if enough else Examples([], [])
    return fit_static(learned, seed=seed)
