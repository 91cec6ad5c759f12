"""Turns that have something in common: a text, a kind of answer, a value, an intent on one day. What is known of the others of a
group tells of each: a text that is refused whoever says it, however clearly, is a matter of understanding.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from rewriter.arrays import Floats, Ints
from rewriter.model.hypothesis import intent_of, slots_of
from rewriter.text import normalise

GROUPS: Final = ("text", "near", "answer", "hypothesis", "value", "day")
"""What turns have in common: the text; the text that works which is most like it; the answer without the words of the request;
the hypothesis; the value in it that fails most often; the intent on one day."""

Texts = npt.NDArray[np.object_]

_OTHER = 1.0  # turns that the mean of all turns counts for, beside the others of a group
_SMOOTHED = 0.5  # texts with each word that every intent is given
_PARTS = re.compile(r"[A-Z]?[a-zà-ÿ]+|\d+|[A-Z]+(?![a-z])")


def of_others(group: Ints, value: Floats) -> Floats:
    """Return the mean of the other rows of each group, drawn a little to the mean of all, (n,).

    Args:
        group: (n,) number of the group of each row; -1 for none.
        value: (n,) what is averaged; NaN where it is not known.

    Returns:
        NaN for rows without a group, and where nothing is known of any other row of the group.

    Example:
        >>> of_others(np.array([0, 0, 0, 1, -1]), np.array([1.0, 1.0, 0.0, 1.0, 0.0])).round(2).tolist()
        [0.58, 0.58, 0.92, nan, nan]
    """
    known = np.isfinite(value) & (group >= 0)
    there = np.where(known, value, 0.0)
    _, place = np.unique(group, return_inverse=True)
    total, count = np.bincount(place, there)[place] - there, np.bincount(place, known)[place] - known
    overall = there.sum() / max(int(known.sum()), 1)
    return np.where((count > 0) & (group >= 0), (total + _OTHER * overall) / (count + _OTHER), np.nan)


def answers(text: Texts, reply: Ints, hypothesis: Ints, values: Mapping[int, Sequence[str]], said: Ints) -> Ints:
    """Return a number for the answer of each turn without the words of its request, (n,); -1 for no answer.

    So "I couldn't find the lamp" and "I couldn't find the fan" are one answer. What is left out are numbers, the parts of the
    intent, the values of the hypothesis, and known values in what was said.

    Args:
        text: (t,) str.
        reply: (n,) id of the answer; -1 for none.
        hypothesis: (n,) id; -1 for none.
        values: id of a text -> known values in it.
        said: (n,) id of what was said.
    """
    keys, place = np.unique(np.column_stack([reply, hypothesis, said]), axis=0, return_inverse=True)
    number: dict[str, int] = {}
    found = [
        number.setdefault(_bare(text[r], text[h] if h >= 0 else "", values.get(s, ())), len(number)) if r >= 0 else -1
        for r, h, s in keys.tolist()
    ]
    return np.asarray(found, dtype=np.int64)[place.reshape(-1)]


def _bare(reply: str, hypothesis: str, values: Sequence[str]) -> str:
    gone = {part.lower() for part in _PARTS.findall(intent_of(hypothesis))} | {intent_of(hypothesis).lower()}
    for value in (*slots_of(hypothesis).values(), *values):
        gone.update(normalise(value).split())
    words = [word for word in normalise(reply).split() if word not in gone and not word.isdigit()]
    return " ".join(word for word in words if not any(len(one) > 3 and one in word for one in gone))


def intents_by_words(text: Texts, said: Ints, intent: Ints, user: Ints) -> tuple[Floats, Floats]:
    """Return what the words of a text usually mean, by naive Bayes over the other texts of the log.

    Args:
        text: (t,) str.
        said: (n,) id of the text of each turn.
        intent: (n,) number of the intent that was understood; -1 for none.
        user: (n,).

    Returns:
        (n,) log of P(intent that was understood | words) to the greatest P of any intent, NaN where none was understood or no
        other text tells; (n,) mean over the words of the log-likelihood that the likeliest intent gives beyond that of all texts.
    """
    rows = intent >= 0
    if not rows.any():
        return np.full(len(said), np.nan), np.full(len(said), np.nan)
    texts, place = np.unique(said, return_inverse=True)
    vocabulary: dict[str, int] = defaultdict(lambda: len(vocabulary))
    ids = [[vocabulary[word] for word in dict.fromkeys(text[i].split())] for i in texts.tolist()]
    owner = np.repeat(np.arange(len(texts)), [len(of) for of in ids])
    words = sparse.csr_matrix((np.ones(len(owner)), (owner, np.concatenate(ids))), shape=(len(texts), len(vocabulary)))
    # texts by intent: each text spreads its users over its intents, each user counts once
    keys = np.unique(np.column_stack([place, intent, user])[rows], axis=0)
    k = int(intent.max()) + 1
    means = sparse.csr_matrix((np.ones(len(keys)), (keys[:, 0], keys[:, 1])), shape=(len(texts), k)).toarray()
    means = means / np.maximum(means.sum(axis=1, keepdims=True), 1)
    by_word = words.T @ means
    total = means.sum(axis=0)
    scores, gain = np.zeros((2, len(texts), k)), np.zeros(len(texts))
    everywhere = by_word.sum(axis=1)
    for i, of in enumerate(ids):  # without the text itself
        mine = means[i]
        have, n = np.asarray(by_word[of]) - mine, total - mine
        p = (have + _SMOOTHED * (everywhere[of] / max(total.sum(), 1))[:, None] + 1e-3) / (n + _SMOOTHED + 1e-3)
        scores[0, i] = np.log(np.minimum(p, 1)).sum(axis=0) + np.log(n + _SMOOTHED)
        top = int(scores[0, i].argmax())
        every = (have.sum(axis=1) + _SMOOTHED / len(texts)) / max(n.sum() + _SMOOTHED, 1)
        gain[i] = float(np.mean(np.log(np.minimum(p[:, top], 1)) - np.log(np.minimum(every, 1)))) if of else 0.0
    best = scores[0].max(axis=1)
    own = np.where(rows, scores[0][place, np.maximum(intent, 0)] - best[place], np.nan)
    return np.maximum(own, -20.0), gain[place]
