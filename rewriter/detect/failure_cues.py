"""`FailureCues`: what a log tells of where each of its turns broke, as columns.

They are of five kinds: what was heard (confidence, other hearings, strange words), what was made of it (confidence, usual
meaning, values that were said and not understood), what the assistant answered, what the user did next, and how the same words,
values and interpretations fare with other users.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rapidfuzz import fuzz
from rapidfuzz.process import cpdist

from rewriter.arrays import Bools, Floats, Ints
from rewriter.detect.failure_groups import answers, intents_by_words, of_others
from rewriter.detect.failure_texts import channel_odds, fluency, kinds_of_reply, nearest, values_in
from rewriter.detect.features import NAMES as PAIR
from rewriter.detect.features import Cues
from rewriter.detect.turns import Likeness, Turns
from rewriter.detect.weak_labels import Items
from rewriter.model.hypothesis import intent_of, slots_of
from rewriter.text import normalise

REPLIES: Final = ("not_understood", "not_found", "not_supported", "which_one", "trouble")
"""Kinds of response, by the phrases of ``words/replies.json``."""
HEARD: Final = ("asr_confidence", "asr_rank", "asr_well", "hearings", "heard_users", "heard_other_meaning", "rarest_word",
                "rarest_pair", "near_known", "near_sound", "near_odds", "near_users", "near_same", "own_days")  # fmt: skip
UNDERSTOOD: Final = ("understood", "nlu_confidence", "nlu_rank", "nlu_well", "values_said", "said_values", "unheld_values",
                     "usual_same", "usual_intent")  # fmt: skip
ANSWERED: Final = ("failed", *REPLIES, "reply_share", "reply_usual", "reply_asks", "reply_says")
OTHERS: Final = (
    "text_users", "text_defects", "hypothesis_users", "hypothesis_defects", "intent_defects", "day_defects", "value_defects",
)  # fmt: skip
AROUND: Final = ("words", "is_stop", "opens", "last", "gap_before", "gap_after", "restates", "friction_before", "asked_before")
THEN: Final = ("feedback", "engaged", "cued", "next_barge_in", "next_stop", "restated", "verbatim", "same_intent",
               "values_changed", "channel_odds", "in_nbest", *(f"then_{name}" for name in PAIR))  # fmt: skip
LISTED: Final = ("listed", "listed_near", "listed_odds", "listed_same")
ALIKE: Final = ("text_heard", "text_meant", "text_refused", "text_odds", "text_repeated", "text_in_nbest", "text_same",
                "answer_understood", "answer_failed", "answer_restated", "answer_repeated", "answer_heard", "answer_share",
                "answer_texts", "words_intent", "words_gain")  # fmt: skip
NAMES: Final = (*HEARD, *UNDERSTOOD, *ANSWERED, *OTHERS, *AROUND, *THEN, *ALIKE, *LISTED)
"""The columns."""

LIKELY: Final = 0.3
"""P that a candidate restates the turn, from which it is looked at."""
_PRIOR = 2.0  # turns that the overall share of defects counts for, beside those of a text, value or interpretation
_KNOWN = 1000  # texts that work for the most users, with which others are compared
_QUESTION = tuple("?？؟;")


@dataclass(frozen=True, slots=True)
class Restated:
    """Which turn restates which.

    Attributes:
        row: (n,) row of the turn that most likely restates each turn; -1 for none.
        p: (n,) P(it does); 0 where there is none.
    """

    row: Ints
    p: Floats

    @classmethod
    def of(cls, n: int, source: Ints, target: Ints, p: Floats) -> "Restated":
        """Return the likeliest candidate of each of n turns; source, target and p are those of the candidates, (m,)."""
        order = np.argsort(p, kind="stable")
        row, best = np.full(n, -1, dtype=np.int64), np.zeros(n)
        row[source[order]], best[source[order]] = target[order], p[order]
        return cls(np.where(best > 0, row, -1), best)


class FailureCues:
    """Measures the turns of one log.

    Args:
        turns: of the log, n of them.
        items: of their hypotheses.
        likeness: compares their texts.
        restated: which turn restates which.
        catalog: texts that the assistant should understand, normalised -> their hypotheses; None if they are not known.
    """

    def __init__(
        self, turns: Turns, items: Items, likeness: Likeness, restated: Restated, catalog: Mapping[str, str] | None = None
    ) -> None:
        self._logged, self._items, self._likeness, self._re = turns, items, likeness, restated
        self._t = turns = _interpreted(turns)
        self._catalog = catalog or {}
        self._defect = np.maximum(turns["friction"] / 1000, restated.p)
        intents: dict[str, int] = {}
        self._intent = np.full(len(turns.text) + 1, -1, dtype=np.int64)
        self._values: dict[int, tuple[str, ...]] = {}
        self._groups: dict[str, Ints] | None = None
        for h in np.unique(turns["hypothesis"][turns["hypothesis"] >= 0]):
            line = turns.text[h]
            self._intent[h] = intents.setdefault(intent_of(line), len(intents))
            self._values[int(h)] = tuple(value for v in slots_of(line).values() if (value := normalise(v)))

    def measure(self) -> npt.NDArray[np.float32]:
        """Return the columns of every turn, (n, len(NAMES)) float32; NaN where the log does not tell."""
        found: dict[str, npt.NDArray[Any]] = {}
        for part in (self._heard, self._understood, self._answered, self._others, self._around, self._then):
            found |= part()
        found |= self._alike(found) | self._listed()
        return np.column_stack([np.asarray(found[name], dtype=np.float32) for name in NAMES])

    @property
    def intent(self) -> list[str]:
        """The intent of each turn, or of the turn that restates it where the turn itself has none; empty if neither has."""
        t = self._logged
        then = np.where((self._re.p > 0.5) & (self._re.row >= 0), t["hypothesis"][self._re.row], -1)
        chosen = np.where(t["hypothesis"] >= 0, t["hypothesis"], then)
        names = {int(h): intent_of(t.text[h]) for h in np.unique(chosen) if h >= 0}
        return [names.get(int(h), "") for h in chosen]

    def _heard(self) -> dict[str, npt.NDArray[Any]]:
        t = self._t
        many = np.diff(t.heard_at)
        well = self._users_well()
        usual = self._usual()
        owner = np.repeat(np.arange(len(t)), many)
        known, other = np.zeros(len(t)), np.zeros(len(t))
        np.maximum.at(known, owner, np.log1p(well[t.heard]))
        differs = (usual[t.heard] >= 0) & (usual[t.heard] != t["hypothesis"][owner]) & (well[t.heard] >= 2)
        np.maximum.at(other, owner, differs.astype(np.float64))
        none = not len(t.heard)
        word, pair = fluency(t.text, t["said"], t["user_no"])
        return {
            "asr_confidence": t["asr_confidence"],
            "asr_rank": _ranks(t["asr_confidence"]),
            "asr_well": self._among_well(t["asr_confidence"]),
            "hearings": np.full(len(t), np.nan) if none else many,
            "heard_users": np.full(len(t), np.nan) if none else known,
            "heard_other_meaning": np.full(len(t), np.nan) if none else other,
            "rarest_word": word,
            "rarest_pair": pair,
            "own_days": self._own_days(),
        } | self._nearest(well, usual)

    def _among_well(self, values: Floats) -> Floats:
        """Return each value as the share of the turns that worked whose value is no greater, NaN where it is missing.

        So confidences of any scale compare, and it does not matter how many turns fail.
        """
        return _ranks(values, self._defect < 0.5)

    def _listed(self) -> dict[str, npt.NDArray[Any]]:
        """Compare what was said with the catalog: whether it holds the text, and the text in it that is most like it."""
        t = self._t
        if not self._catalog:
            return {name: np.full(len(t), np.nan) for name in LISTED}
        said, places = np.unique(t["said"], return_inverse=True)
        text = np.concatenate([t.text, np.asarray(sorted(self._catalog), dtype=object)])
        locale = np.concatenate([t.locale, np.full(len(self._catalog), "", dtype=object)])
        held = np.asarray([one in self._catalog for one in t.text[said]])
        best, alike = nearest(text, locale, said, np.arange(len(t.text), len(text)))
        odds = channel_odds(text, locale, said, best)
        return {
            "listed": held[places],
            "listed_near": np.where(held, 1, alike[0])[places],
            "listed_odds": np.where(held, np.nan, odds)[places],
            "listed_same": self._as_listed(),
        }

    def _as_listed(self) -> Floats:
        """Return whether each turn was understood as the catalog says; NaN where it says nothing, or speaks another language."""
        t = self._t
        pairs, places = np.unique(np.column_stack([t["said"], t["hypothesis"]]), axis=0, return_inverse=True)
        meant = [self._catalog.get(t.text[s], "") for s, _ in pairs.tolist()]
        same = np.asarray(
            [np.nan if not m else float(h >= 0 and t.text[h] == m) for m, (_, h) in zip(meant, pairs.tolist(), strict=True)]
        )[places.reshape(-1)]
        well = same[(self._defect < 0.5) & np.isfinite(same)]
        return same if len(well) and well.mean() >= 0.5 else np.full(len(t), np.nan)  # else it writes hypotheses in another way

    def _nearest(self, well: Floats, usual: Ints) -> dict[str, npt.NDArray[Any]]:
        """Compare what was said with the texts that work for most users: the nearest other one, and what that means."""
        t = self._t
        known = np.argsort(-well, kind="stable")[:_KNOWN]
        known = known[(well[known] >= 2) & (usual[known] >= 0)]
        said, places = np.unique(t["said"], return_inverse=True)
        best, alike = nearest(t.text, t.locale, said, known)
        return {
            "near_known": alike[0][places],
            "near_sound": alike[1][places],
            "near_odds": np.where(best >= 0, channel_odds(t.text, t.locale, said, best), np.nan)[places],
            "near_users": np.where(best >= 0, np.log1p(well[best]) - np.log1p(well[said]), np.nan)[places],
            "near_same": np.where(best[places] < 0, np.nan, usual[best[places]] == t["hypothesis"]),
        }

    def _own_days(self) -> Floats:
        """Return on how many days the user of each turn is heard to say its text, log."""
        t = self._t
        day = t["ts_ms"] // 86_400_000
        _, same = np.unique(np.column_stack([t["user_no"], t["said"]]), axis=0, return_inverse=True)
        days = np.unique(np.column_stack([same.reshape(-1), day]), axis=0)[:, 0]
        return np.log(np.bincount(days)[same.reshape(-1)])

    def _understood(self) -> dict[str, npt.NDArray[Any]]:
        t = self._t
        hypothesis, usual = t["hypothesis"], self._usual()[t["said"]]
        known = usual >= 0
        pairs, places = np.unique(t["said"] * (len(t.text) + 1) + hypothesis + 1, return_inverse=True)
        said, understood = np.divmod(pairs, len(t.text) + 1)
        alike, held, unheld = self._value_counts(said, understood - 1)
        return {
            "understood": (hypothesis >= 0).astype(float),
            "nlu_confidence": t["nlu_confidence"],
            "nlu_rank": _ranks(t["nlu_confidence"]),
            "nlu_well": self._among_well(t["nlu_confidence"]),
            "values_said": alike[places],
            "said_values": (held + unheld)[places],
            "unheld_values": unheld[places],
            "usual_same": np.where(known, usual == hypothesis, np.nan),
            "usual_intent": np.where(known, self._intent[usual] == self._intent[hypothesis], np.nan),
        }

    def _value_counts(self, said: Ints, understood: Ints) -> tuple[Floats, Floats, Floats]:
        """Return for pairs of text and hypothesis: how far the value that is least like the text is like a part of it, how many
        values of the log the text holds that are in the hypothesis, and how many that are not.
        """
        t = self._t
        values = [self._values.get(int(h), ()) for h in understood]
        owner = np.repeat(np.arange(len(said)), [len(v) for v in values])
        flat = [value for v in values for value in v]
        part = np.asarray(cpdist(flat, [t.text[s] for s in said[owner]], scorer=fuzz.partial_ratio, dtype=np.float64)) / 100
        alike = np.full(len(said), np.nan)
        np.fmin.at(alike, owner, part if flat else np.zeros(0))
        in_text = self._values_of_text()
        held, unheld = np.zeros(len(said)), np.zeros(len(said))
        for i, (s, own) in enumerate(zip(said.tolist(), values, strict=True)):
            for value in in_text.get(s, ()):
                if any(value in one or one in value for one in own):
                    held[i] += 1
                else:
                    unheld[i] += 1
        return alike, held, unheld

    def _values_of_text(self) -> dict[int, tuple[str, ...]]:
        known = {value for values in self._values.values() for value in values if not value.isdigit()}
        return values_in(self._t.text, self._t["said"], known)

    def _answered(self) -> dict[str, npt.NDArray[Any]]:
        t = self._t
        reply, hypothesis, n = t["reply"], t["hypothesis"], len(t.text) + 1
        there = reply >= 0
        known = np.unique(reply[there])
        kinds = {int(r): kinds_of_reply(t.text[r], t.locale[r]) for r in known}
        asks = {int(r): t.text[r].rstrip().endswith(_QUESTION) for r in known}
        found = {kind: _told(reply, {r: kind in of for r, of in kinds.items()}) for kind in REPLIES}
        same, both = _share(reply, n), _share(hypothesis * n + reply, None)
        own = _share(hypothesis, None)
        pairs, places = np.unique(np.column_stack([t["said"], np.maximum(reply, 0)]), axis=0, return_inverse=True)
        says = cpdist(t.text[pairs[:, 0]], t.text[pairs[:, 1]], scorer=fuzz.token_set_ratio, dtype=np.float64) / 100
        return found | {
            "failed": t["failed"],
            "reply_share": np.where(there, np.log(same / max(len(t), 1)), np.nan),
            "reply_usual": np.where(there & (hypothesis >= 0) & (own > 1), (both - 1) / np.maximum(own - 1, 1), np.nan),
            "reply_asks": _told(reply, asks),
            "reply_says": np.where(there, np.asarray(says)[places.reshape(-1)], np.nan),
        }

    def _others(self) -> dict[str, npt.NDArray[Any]]:
        t = self._t
        user, hypothesis = t["user_no"], t["hypothesis"]
        intent = self._intent[hypothesis]
        text, hyp = (_of_others(group, user, self._defect) for group in (t["said"], hypothesis))
        by_intent = _of_others(intent, user, self._defect)
        day = t["ts_ms"] // 86_400_000
        daily = _of_others(np.where(intent < 0, -1, intent * 100_000 + day), user, self._defect)
        values = self._values_of_text()
        number: dict[str, int] = {}
        ids = {s: [number.setdefault(v, len(number)) for v in of] for s, of in values.items()}
        owner = np.repeat(np.arange(len(t)), [len(ids.get(s, ())) for s in t["said"].tolist()])
        flat = np.asarray([v for s in t["said"].tolist() for v in ids.get(s, ())], dtype=np.int64)
        rate = _of_others(flat, user[owner], self._defect[owner])[0]
        worst = np.full(len(t), np.nan)
        np.fmax.at(worst, owner, rate)
        return {
            "text_users": np.log1p(text[1]),
            "text_defects": text[0],
            "hypothesis_users": np.where(hypothesis >= 0, np.log1p(hyp[1]), np.nan),
            "hypothesis_defects": np.where(hypothesis >= 0, hyp[0], np.nan),
            "intent_defects": np.where(hypothesis >= 0, by_intent[0], np.nan),
            "day_defects": np.where(hypothesis >= 0, daily[0], np.nan),
            "value_defects": worst,
        }

    def _around(self) -> dict[str, npt.NDArray[Any]]:
        t = self._t
        n, ts = len(t), t["ts_ms"]
        first, last = t["opens"] == 1, t.last
        gap = np.append(np.diff(ts), 0)[:n]
        into = np.zeros(n)
        real = self._re.row >= 0
        np.maximum.at(into, self._re.row[real], self._re.p[real])
        before = np.concatenate([[0], t["friction"][:-1]])[:n]
        asks = {int(r): t.text[r].rstrip().endswith(_QUESTION) for r in np.unique(t.prompt[t.prompt >= 0])}
        return {
            "words": [len(text.split()) for text in t.text[t["said"]]],
            "is_stop": t["stop"],
            "opens": first,
            "last": last,
            "gap_before": np.where(first, np.nan, np.log1p(np.concatenate([[0], gap[:-1]])[:n].clip(0))),
            "gap_after": np.where(last, np.nan, np.log1p(gap.clip(0))),
            "restates": into,
            "friction_before": np.where(first, np.nan, before),
            "asked_before": _told(t.prompt, asks),
        }  # fmt: skip

    def _then(self) -> dict[str, npt.NDArray[Any]]:
        t, re = self._t, self._re
        n, last = len(t), t.last
        source = np.flatnonzero((re.row >= 0) & (re.p >= LIKELY))
        target = re.row[source]
        found: dict[str, npt.NDArray[Any]] = {name: np.full(n, np.nan) for name in THEN}

        def after(name: str) -> npt.NDArray[Any]:
            return np.where(last, np.nan, np.append(np.nan_to_num(t[name][1:]), 0)[:n])

        found |= {"feedback": t["feedback"], "engaged": t["engaged"], "cued": t["cued"], "restated": re.p}
        found |= {"next_barge_in": after("barge_in"), "next_stop": after("stop")}
        said, then = t["said"][source], t["said"][target]
        alike = self._likeness.measure(said, then)
        given = alike | {
            "gap_ms": t["ts_ms"][target] - t["ts_ms"][source],
            "ahead": target - source,
            "barge_in": np.nan_to_num(t["barge_in"][target]),
        }
        pair = Cues(t, self._items).measure(source, target, given)
        for place, name in enumerate(PAIR):
            found[f"then_{name}"][source] = pair[:, place]
        one, other = t["hypothesis"][source], t["hypothesis"][target]
        both = (one >= 0) & (other >= 0)
        found["verbatim"][source] = said == then
        found["same_intent"][source] = np.where(both, self._intent[one] == self._intent[other], np.nan)
        found["values_changed"][source] = np.where(both, self._changed(one, other), np.nan)
        found["channel_odds"][source] = channel_odds(t.text, t.locale, said, then)
        owner = np.repeat(np.arange(n), np.diff(t.heard_at))
        listed = set(zip(owner.tolist(), t.heard.tolist(), strict=True))
        found["in_nbest"][source] = [pair in listed for pair in zip(source.tolist(), then.tolist(), strict=True)]
        return found

    def _alike(self, found: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Average what was measured over the other turns with the same text, and with the same kind of answer."""
        t, groups = self._t, self.groups()
        text, answer = groups["text"], groups["answer"]
        refused = (t["hypothesis"] < 0).astype(np.float64)
        again = np.where(self._re.p >= 0.5, found["verbatim"], np.nan)
        counts = np.bincount(t.heard, minlength=len(t.text)) if len(t.heard) else np.full(len(t.text), np.nan)
        same = _share(np.unique(np.column_stack([t["said"], t["hypothesis"]]), axis=0, return_inverse=True)[1].reshape(-1), None)
        texts = np.unique(np.column_stack([answer, t["said"]]), axis=0)[:, 0] + 1
        number, share = np.bincount(texts, minlength=int(answer.max(initial=-1)) + 2), _share(answer + 1, None)
        words = intents_by_words(t.text, t["said"], self._intent[t["hypothesis"]], t["user_no"])
        return {
            "text_heard": _mean(text, found["asr_well"]),
            "text_meant": _mean(text, found["nlu_well"]),
            "text_refused": of_others(text, refused),
            "text_odds": of_others(text, found["channel_odds"]),
            "text_repeated": of_others(text, again),
            "text_in_nbest": np.log1p(counts)[t["said"]],
            "text_same": (same - 1) / np.maximum(_share(text, None) - 1, 1),
            "answer_understood": of_others(answer, 1 - refused),
            "answer_failed": of_others(answer, found["failed"]),
            "answer_restated": of_others(answer, self._re.p),
            "answer_repeated": of_others(answer, again),
            "answer_heard": of_others(answer, found["asr_well"]),
            "answer_share": np.where(answer >= 0, np.log(share / max(len(t), 1)), np.nan),
            "answer_texts": np.where(answer >= 0, np.log(number[answer + 1]) - np.log(share), np.nan),
            "words_intent": words[0],
            "words_gain": words[1],
        }

    def groups(self) -> dict[str, Ints]:
        """Return what turns have in common: name of `failure_groups.GROUPS` -> number of the group of each turn, -1 for none."""
        t = self._t
        if self._groups is None:
            well, usual = self._users_well(), self._usual()
            known = np.argsort(-well, kind="stable")[:_KNOWN]
            known = known[(well[known] >= 2) & (usual[known] >= 0)]
            said, places = np.unique(t["said"], return_inverse=True)
            intent = self._intent[t["hypothesis"]]
            values = self._values_of_text()
            self._groups = {
                "text": t["said"],
                "near": nearest(t.text, t.locale, said, known)[0][places],
                "answer": answers(t.text, t["reply"], t["hypothesis"], values, t["said"]),
                "hypothesis": t["hypothesis"],
                "value": self._worst_value(values),
                "day": np.where(intent < 0, -1, intent * 100_000 + t["ts_ms"] // 86_400_000),
            }
        return self._groups

    def _worst_value(self, values: dict[int, tuple[str, ...]]) -> Ints:
        t = self._t
        number: dict[str, int] = {}
        ids = {s: [number.setdefault(v, len(number)) for v in of] for s, of in values.items()}
        owner = np.repeat(np.arange(len(t)), [len(ids.get(s, ())) for s in t["said"].tolist()])
        flat = np.asarray([v for s in t["said"].tolist() for v in ids.get(s, ())], dtype=np.int64)
        rate = _of_others(flat, t["user_no"][owner], self._defect[owner])[0]
        order = np.argsort(rate, kind="stable")
        found = np.full(len(t), -1, dtype=np.int64)
        found[owner[order]] = flat[order]
        return found

    def _changed(self, one: Ints, other: Ints) -> Floats:
        """Return how many values of the later hypothesis the earlier one lacks, (m,)."""
        pairs, places = np.unique(np.column_stack([one, other]), axis=0, return_inverse=True)
        counts = [len(set(self._values.get(b, ())) - set(self._values.get(a, ()))) for a, b in pairs.tolist()]
        return np.asarray(counts, dtype=np.float64)[places.reshape(-1)]

    def _users_well(self) -> Floats:
        """Return for each text how many users said it without friction, (texts,)."""
        t = self._t
        rows = self._defect < 0.5
        keys = np.unique(t["said"][rows] * (int(t["user_no"].max(initial=0)) + 1) + t["user_no"][rows])
        return np.bincount(keys // (int(t["user_no"].max(initial=0)) + 1), minlength=len(t.text)).astype(np.float64)

    def _usual(self) -> Ints:
        """Return for each text the hypothesis that most users were given for it, of those that two users were; -1 for none."""
        t = self._t
        rows = (t["hypothesis"] >= 0) & (self._defect < 0.5)
        keys = np.unique(np.column_stack([t["said"][rows], t["hypothesis"][rows], t["user_no"][rows]]), axis=0)
        pairs, users = np.unique(keys[:, :2], axis=0, return_counts=True)
        pairs, users = pairs[users >= 2], users[users >= 2]
        order = np.argsort(users, kind="stable")
        usual = np.full(len(t.text), -1, dtype=np.int64)
        usual[pairs[order, 0]] = pairs[order, 1]
        return usual


def _interpreted(turns: Turns) -> Turns:
    """Return the turns of a log; if it holds no interpretation at all, each turn that did not fail is understood as its own text.

    Without this, every turn would look as one that was not understood.
    """
    if (turns["hypothesis"] >= 0).any():
        return turns
    return replace(turns, column=turns.column | {"hypothesis": np.where(turns["failed"] == 1, -1, turns["said"])})


def _ranks(values: Floats, among: Bools | None = None) -> Floats:
    """Return each value as the share of the known values, or of some of them, that are no greater; NaN where it is missing."""
    known = np.isfinite(values)
    others = np.sort(values[known if among is None else known & among])
    ranks = np.full(len(values), np.nan)
    if len(others):
        ranks[known] = np.searchsorted(others, values[known], side="right") / len(others)
    return ranks


def _mean(group: Ints, value: Floats) -> Floats:
    """Return the mean of the known values in the group of each row, (n,); NaN where none is known."""
    _, place = np.unique(group, return_inverse=True)
    known = np.isfinite(value)
    total, count = np.bincount(place, np.where(known, value, 0)), np.bincount(place, known)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)[place]


def _told(ids: Ints, told: dict[int, bool]) -> Floats:
    """Return what is told of each id, 0 or 1; NaN for -1."""
    table = np.zeros(int(ids.max(initial=0)) + 2)
    table[-1] = np.nan
    for i, yes in told.items():
        table[i] = yes
    return table[ids]


def _share(group: Ints, size: int | None) -> Floats:
    """Return how many rows have the group of each row, (n,)."""
    if size is None:
        _, group = np.unique(group, return_inverse=True)
    else:
        group = np.where(group < 0, size - 1, group)
    return np.bincount(group)[group].astype(np.float64)


def _of_others(group: Ints, user: Ints, defect: Floats) -> tuple[Floats, Floats]:
    """Return the smoothed share of defects of the turns of other users in the group of each row, and how many users there are."""
    _, same = np.unique(group, return_inverse=True)
    own_keys, own = np.unique(same * (int(user.max(initial=0)) + 1) + user, return_inverse=True)
    base = float(defect.mean()) if len(defect) else 0.0
    turns, bad = np.bincount(same), np.bincount(same, defect)
    own_turns, own_bad = np.bincount(own), np.bincount(own, defect)
    users = np.bincount(own_keys // (int(user.max(initial=0)) + 1), minlength=len(turns))
    rate = (bad[same] - own_bad[own] + _PRIOR * base) / (turns[same] - own_turns[own] + _PRIOR)
    return rate, (users[same] - 1).astype(np.float64)
