"""Which restatements teach. A request that was understood and failed later, or cannot be done, is not restated to be
understood better: what is said next teaches no rewrite.

The rules of `failure_rules` look at the turn, its answer and its restatement alone, so that a day is judged alike whatever other
days are learned with it. No texts are compared, so it costs little beside mining.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Floats
from rewriter.codes import FailurePoint
from rewriter.detect.failure_cues import NAMES, REPLIES
from rewriter.detect.failure_rules import CLASSES, Rules, signs
from rewriter.detect.failure_texts import kinds_of_reply
from rewriter.model.hypothesis import intent_of

_UNTAUGHT: Final = (FailurePoint.FALSE_WAKE, FailurePoint.RESULT, "unsupported")
"""The classes of which no rewrite is learned."""

TOLD_BY: Final = ("meant", "later", "reply")
"""The texts that tell it: what the turn and its restatement were understood as, and the answer."""

Pairs = dict[str, npt.NDArray[Any]]
Known = list[tuple[int, str, str]]


def p_helped(pairs: Pairs, known: Known) -> Floats:
    """Return P(misheard, misunderstood, or a thing not found | the turn failed) of the turn of each pair, (m,).

    Args:
        pairs: (m,) ``p`` that the later turn restates it; ``meant``, ``later`` and ``reply``, the ids of both hypotheses and of
            the answer, -1 for none; ``failed``, NaN where it is not known; ``verbatim``.
        known: id, locale and text of the hypotheses and answers.
    """
    p = Rules.shipped().p(signs(_columns(pairs, known)))
    failed = 1 - p[:, CLASSES.index(FailurePoint.CORRECT)]
    untaught = p[:, [CLASSES.index(name) for name in _UNTAUGHT]].sum(axis=1)
    return np.asarray(np.maximum(1 - untaught / np.maximum(failed, 1e-9), 0.0))  # rounding must not fall below a limit of 0


def _columns(pairs: Pairs, known: Known) -> npt.NDArray[np.float32]:
    """Return the columns of `failure_cues.NAMES` that are told of a pair, (m, len(NAMES)); the others are NaN."""
    ids, intents = np.array(sorted(i for i, *_ in known), dtype=np.int64), dict[str, int]()
    meant, later, reply = (np.where(pairs[name] < 0, len(ids), np.searchsorted(ids, pairs[name])) for name in TOLD_BY)
    replies = set(reply.tolist())
    intent, kinds = np.full(len(ids) + 1, -1), np.full((len(ids) + 1, len(REPLIES)), np.nan)
    for place, (_, locale, text) in enumerate(sorted(known)):
        if place in replies:
            of = kinds_of_reply(text, locale)
            kinds[place] = [kind in of for kind in REPLIES]
        else:
            intent[place] = intents.setdefault(intent_of(text), len(intents))
    both = (pairs["meant"] >= 0) & (pairs["later"] >= 0)
    found = {
        "failed": np.ma.filled(pairs["failed"], np.nan),
        "understood": pairs["meant"] >= 0,
        "restated": pairs["p"],
        "verbatim": pairs["verbatim"],
        "same_intent": np.where(both, intent[meant] == intent[later], np.nan),
        "then_same_hypothesis": np.where(both, meant == later, np.nan),
    } | {kind: kinds[reply, k] for k, kind in enumerate(REPLIES)}
    columns = np.full((len(meant), len(NAMES)), np.nan, dtype=np.float32)
    for name, values in found.items():
        columns[:, NAMES.index(name)] = values
    return columns
