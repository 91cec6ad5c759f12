"""The detector that reads where the trees are unsure: the contract that all learned detectors keep, and what it adds."""

from typing import ClassVar

import numpy as np
import pytest
from logs_by_hand import listed, turn

from rewriter.detect import span
from rewriter.detect.boosting import log_odds
from rewriter.detect.rephrase import learn_pair
from rewriter.detect.select import BestDetector
from rewriter.detect.span import Dialogue, SpanDetector, learn_span, unsure
from rewriter.detect.turns import Turns
from rewriter.detect.weak_labels import TrainingData

OFF, ON = "TurnOff|name=lamp", "TurnOn|name=lamp"


def log():
    """80 users; "lamp of" is refused and then said again, or something else is wanted, and only the words tell which."""
    rng = np.random.default_rng(0)
    turns = []
    for u in range(80):
        user = f"user {u:02}"
        turns += [turn(user, 90_000, "lamp of", OFF)] if u % 2 else []
        for i in range(3):
            at = 3_600 * i
            turns.append(turn(user, at, "lamp of", response="sorry"))
            if rng.random() < 0.5:
                turns.append(turn(user, at + 5, "lamp off", OFF, response="off"))
            else:
                turns.append(turn(user, at + 5, "lamp on", ON, response="on"))
    return turns


class Reader:
    """Stands in for a transformer: sure that what says "off" restates."""

    taught: ClassVar[list[list[Dialogue]]] = []
    asked: ClassVar[list[list[Dialogue]]] = []

    @classmethod
    def open(cls, base, seed):
        return cls()

    def fit(self, dialogues, share, *, epochs, seed):
        assert np.allclose(share.sum(axis=1), 1)
        assert len(dialogues) == len(share)
        self.taught.append(dialogues)

    def p(self, dialogues, most):
        self.asked.append(dialogues)
        p = np.zeros((len(dialogues), most + 1))
        for i, one in enumerate(dialogues):
            for k, of in enumerate(one.spans):
                p[i, k] = 0.9 if "off" in one.text[of.first : of.last + 1].split() else 0.01
            p[i, most] = 1 - p[i].sum()
        return p


class First(Reader):
    """The one of the log below."""

    taught: ClassVar[list[list[Dialogue]]] = []


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What the log tells, and both learned detectors; all is taken for unsure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(span, "SpanReader", First)
        patch.setattr(span, "_LOW", -1.0)
        patch.setattr(span, "_HIGH", 2.0)
        data = TrainingData.read(listed(log(), tmp_path_factory.mktemp("read")))
        pair = learn_pair(data, seed=0)
        yield data, {"pair": pair, "span": learn_span(data, pair, "none", min_users=2, seed=0)}


@pytest.mark.parametrize("name", ["pair", "span"])
@pytest.mark.parametrize("failures", [False, True])
def test_the_contract_of_a_detector(both, name, failures):
    data, detectors = both
    detector = detectors[name].of_failures() if failures else detectors[name]
    candidates = {column: data.candidates[column] for column in detector.columns}
    scores = detector.score(candidates)
    assert scores.dtype == np.int64
    assert scores.shape == (len(data.source),)
    assert ((scores == 0) | ((scores >= 30) & (scores <= 1000))).all()
    order = np.random.default_rng(0).permutation(len(scores))
    again = detector.score({column: values[order] for column, values in candidates.items()})
    assert again.tolist() == scores[order].tolist()
    halves = [detector.score({c: v[part] for c, v in candidates.items()}) for part in np.array_split(np.arange(len(scores)), 7)]
    assert np.concatenate(halves).tolist() == scores.tolist()
    assert detector.score({column: values[:0] for column, values in candidates.items()}).tolist() == []


def test_p_by_hand(both):
    data, detectors = both
    span, pair = detectors["span"], detectors["pair"]
    p, trees = span.p(data.candidates), pair.p(data.candidates)
    odds = log_odds(trees)
    read = span.odds[data.source, data.candidates["ahead"] - 1]
    asked = unsure(trees) & np.isfinite(read)
    assert asked.all()
    assert p == pytest.approx(1 / (1 + np.exp(-(odds + read) / 2)), rel=1e-6)


def test_only_what_is_unsure_is_read(both):
    data, detectors = both
    first = SpanDetector(detectors["pair"], np.full((len(data.turns), 3), np.nan))
    assert np.array_equal(first.p(data.candidates), detectors["pair"].p(data.candidates))


def test_readers_are_taught_on_the_other_half_of_the_users(both):
    data, _ = both
    refused = data.turns["user_no"][data.turns["failed"] == 1] % 2
    assert [len(of) for of in First.taught] == [int((refused != k).sum()) for k in range(2)] == [120, 120]


def spoken(one):
    """The utterances that can be marked."""
    return [one.text[of.first : of.last + 1] for of in one.spans]


@pytest.fixture(scope="module")
def late(tmp_path_factory):
    """What the log tells, what a reader was taught and what asked; everybody speaks again after a minute, and a second later."""
    watched = type("Watched", (Reader,), {"taught": [], "asked": []})
    again = [
        turn(f"user {u:02}", 3_600 * i + at, text, ON)
        for u in range(80)
        for i in range(3)
        for at, text in ((60, "at last"), (61, "in the end"))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(span, "SpanReader", watched)
        patch.setattr(span, "_LOW", -1.0)
        data = TrainingData.read(listed([*log(), *again], tmp_path_factory.mktemp("late")))
        learn_span(data, learn_pair(data, seed=0), "none", min_users=2, seed=0)
    return data, watched.taught, watched.asked


@pytest.mark.slow
def test_candidates_are_cut_by_time(late):
    """What comes after the window is neither learned from nor read."""
    data, taught, asked = late
    refusals = [one for of in (*taught, *asked) for one in of if one.text.startswith("lamp of ; refused")]
    assert len(refusals) >= 240
    assert {tuple(spoken(one)[1:]) for one in refusals} == {("at last",)}
    assert data.candidates["gap_ms"].max() == 60_000


@pytest.mark.slow
def test_what_was_understood_as_meant_teaches_nothing(late):
    """What follows a success is the next goal."""
    data, taught, _ = late
    assert (data.turns["failed"][data.source] == 0).sum() > 200
    assert {one.text.split(" ;")[0] for of in taught for one in of} == {"lamp of"}


class Nobody(Reader):
    """Marks the null span, always."""

    def p(self, dialogues, most):
        return np.tile(np.append(np.zeros(most), 1.0), (len(dialogues), 1))


def test_the_null_span_speaks_against_all_candidates(both, monkeypatch):
    data, detectors = both
    monkeypatch.setattr(span, "SpanReader", Nobody)
    trees = detectors["pair"].p(data.candidates)
    p = learn_span(data, detectors["pair"], "none", min_users=2, seed=0).p(data.candidates)
    least = np.log(1e4)  # log-odds are bounded, about 1 in 10,000
    assert p == pytest.approx(1 / (1 + np.exp((least - log_odds(trees)) / 2)), rel=0.01)
    assert (p < trees)[trees > 0.01].all()


def test_the_trees_keep_what_they_are_sure_of(both, monkeypatch):
    data, detectors = both
    failed, joint = (
        trees.p(data.candidates, data.ignore_nbest) for trees in (detectors["pair"].of_failures(), detectors["pair"])
    )
    low, high = np.quantile(joint, [0.3, 0.7])
    monkeypatch.setattr(span, "_LOW", low)
    monkeypatch.setattr(span, "_HIGH", high)
    found = learn_span(data, detectors["pair"], "none", min_users=2, seed=0)
    band = (joint > low) & (joint < high)
    wrong = (detectors["pair"].defect[data.source] > 0.5) | (data.failed == 1)
    asked = np.unique(data.source[band | (wrong & (failed > low) & (failed < high))])
    read = np.flatnonzero(np.isfinite(found.odds).all(axis=1))
    assert 0 < len(read) < len(data.turns)
    assert read.tolist() == asked.tolist()
    p = found.p(data.candidates, data.ignore_nbest)
    assert p[~band].tolist() == joint[~band].tolist()
    assert (p != joint)[band].all()


def test_the_best_of_three_is_chosen_and_told(tmp_path, monkeypatch):
    monkeypatch.setattr(span, "SpanReader", Reader)
    best = BestDetector(seed=0, reader="none", min_users=2)
    chosen = best.choose(listed(log(), tmp_path))
    figures = best.figures
    assert set(figures) == {"rule", "pair", "span", "restatements"}
    assert figures[best.name] == max(figures[name] for name in ("rule", "pair", "span"))
    assert str(best).startswith(f"{best.name} (held-out AP {figures[best.name]:.2f}, ")
    assert (best.name == "span") == isinstance(chosen, SpanDetector)


def test_shares_exclude_each_other(tmp_path):
    tables = listed([turn("ann", 0, "a"), turn("ann", 5, "b"), turn("ann", 9, "c"), turn("ann", 20, "d")], tmp_path)
    data = TrainingData.read(tables)
    assert len(Turns.read(tables)) == 4
    found = span._shares(data, np.array([0, 2]), np.array([0.5, 0.5, 0.25, 1.0, 1.0, 0.75]))
    assert found.tolist() == [[0.5, 0.25, 0.0625, 0.1875], [0.75, 0.0, 0.0, 0.25]]
