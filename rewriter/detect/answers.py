"""`coherence` and `fits`: does the answer fit the turn? Learned from the log alone, which answers are swapped in."""

import numpy as np
from rapidfuzz import fuzz
from rapidfuzz.process import cpdist

from rewriter.detect.listed import Floats, Ints, Turns
from rewriter.detect.trees import FOLDS, Columns, Examples, Forest, log_odds
from rewriter.model.hypothesis import intent_of

_PRIOR = 1.0  # turns that the commonest answers count for, beside those to one interpretation


def coherence(turns: Turns, fold: Ints, *, seed: int) -> Forest | None:
    """Learn whether a turn and its answer belong together; None where fewer than two turns have an answer.

    The negatives of this self-supervision are turns with the answer of a turn drawn at random, as a defect model is pre-trained
    (Sarikaya 2022: swap answers between dialogues).

    Args:
        turns: of a log.
        fold: of the user of each turn; each is judged by a model of the other folds.
        seed: of what is drawn.
    """
    answered = np.flatnonzero(turns["reply"] >= 0)
    if len(answered) < 2:
        return None
    swapped = np.random.default_rng(seed).permutation(turns["reply"][answered])
    both = np.concatenate([_columns(turns, answered, reply, fold) for reply in (turns["reply"][answered], swapped)])
    label = np.repeat([True, False], len(answered))
    return Forest.fit(both, Examples.of(np.arange(len(both)), label), np.tile(fold[answered], 2), seed)


def fits(forest: Forest | None, turns: Turns, fold: Ints) -> Floats:
    """Return the log-odds that each turn and its answer belong together, (n,); NaN where there is no answer, or no forest."""
    answered = np.flatnonzero(turns["reply"] >= 0)
    odds = np.full(len(turns), np.nan)
    if forest is not None:
        odds[answered] = log_odds(forest.p(_columns(turns, answered, turns["reply"][answered], fold), fold[answered]))
    return odds


def _columns(turns: Turns, rows: Ints, reply: Ints, fold: Ints) -> Columns:
    """Return what tells an answer that fits, (m, 4): words in common with utterance and hypothesis, how often it is given at all,
    and how much more often it is given to the intent.

    Counts are those of the other folds: a count that held the turn itself would tell which answer is its own.
    """
    text, said, hypothesis = turns.text, turns["said"][rows], turns["hypothesis"][rows]
    understood = np.asarray([text[h].replace("|", " ").replace("=", " ") if h >= 0 else "" for h in hypothesis], dtype=object)
    alike = [cpdist(one, text[reply], scorer=fuzz.token_set_ratio, dtype=np.float64) / 100 for one in (text[said], understood)]
    intents: dict[str, int] = {}
    named = {h: intents.setdefault(intent_of(text[h]), len(intents) + 1) for h in np.unique(turns["hypothesis"]) if h >= 0}
    intent = np.asarray([named.get(h, 0) for h in turns["hypothesis"]], dtype=np.int64)
    share, lift = np.zeros(len(rows)), np.zeros(len(rows))
    for k in range(FOLDS):
        own, others = np.flatnonzero(fold[rows] == k), fold != k
        given, answer = intent[rows[own]], reply[own]
        n = max(int(others.sum()), 1)
        share[own] = (_times(turns["reply"][others], answer) + _PRIOR) / (n + _PRIOR)
        both = _times(turns["reply"][others] * (len(intents) + 1) + intent[others], answer * (len(intents) + 1) + given)
        lift[own] = np.log((both + _PRIOR * share[own]) / (_times(intent[others], given) + _PRIOR) / share[own])
    return np.column_stack([*alike, np.log(share), lift]).astype(np.float32)


def _times(values: Ints, wanted: Ints) -> Ints:
    """How often each wanted number is among the values, (m,)."""
    known, many = np.unique(np.append(values, -2), return_counts=True)
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[place] == wanted, many[place], 0)
