"""The columns of a pair, each against a plain computation."""

import numpy as np
import pytest

from rewriter.model.channel import channel_of
from rewriter.model.contrasts import mine_words
from rewriter.model.fluency import Wording
from rewriter.model.pair_features import PAIR, PULL, PairIndex, PoolMeasure, rivals
from rewriter.model.retrieve import Pool

TEXTS = [
    "turn on the lamp", "turn off the lamp", "lamp off", "turn on the fan", "turn off the fan", "play jazz in the kitchen",
    "play jazz in the bedroom", "stop",
]  # fmt: skip
GOALS = np.array([0, 1, 1, 2, 3, 4, 5, 6])
ROWS = np.arange(len(TEXTS))


@pytest.fixture(scope="module")
def index():
    channel = channel_of("spoken", "en", [0.1, 4.0, 6.0, 3.0, 6.0])
    return PairIndex(TEXTS, GOALS, channel, share=np.array([0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]))


def measured(index, heard, own=None):
    table = index.measure(index.asked(heard), ROWS, own)
    return {name: table[:, i] for i, name in enumerate(PAIR)}


def test_words_against_sets(index):
    heard = "please turn of the lamp"
    found = measured(index, heard)
    known = {word for text in TEXTS for word in text.split()}
    words = set(heard.split())
    for i, text in enumerate(TEXTS):
        theirs = set(text.split())
        assert found["lost_unknown"][i] == len(words - known)
        assert found["lost_known"][i] == len((words & known) - theirs)


def test_idf_is_shared_among_the_words(index):
    heard = "turn off the heater"
    idf = {word: np.log(9 / sum(word in text.split() for text in TEXTS)) for text in TEXTS for word in text.split()}
    idf["heater"] = np.log(9)
    found = measured(index, heard)
    total = sum(idf[word] for word in heard.split())
    assert found["idf_lost"][1] == pytest.approx(idf["heater"] / total)
    assert found["idf_gained"][1] == pytest.approx(idf["lamp"] / sum(idf[word] for word in TEXTS[1].split()))


def test_the_lead_is_over_another_interpretation(index):
    found = measured(index, "turn off lamp")
    of_goal = [found["channel"][goal == GOALS].max() for goal in range(7)]
    for i, goal in enumerate(GOALS):
        rival = max(value for other, value in enumerate(of_goal) if other != goal)
        assert found["channel_rival"][i] == pytest.approx(max(rival, -4.0))
        nats = (found["channel"][i] - max(rival, -4.0)) * len(index.asked("turn off lamp").views.forms[0][0])
        assert found["channel_lead"][i] == pytest.approx(np.sign(nats) * np.log1p(abs(nats)))


def test_what_contrasts_in_the_index_is_seen(index):
    found = measured(index, "please turn off the lamp")
    assert found["contrast"][0] > 0.5 > found["contrast"][1]
    assert found["contrast_lost"][0] > 0.5
    assert measured(index, "jazz in the kitchen")["contrast"][6] > 0.5


def test_a_habit_is_relative_to_the_average(index):
    own = np.array([0, 3, 3, 0, 0, 0, 0, 0], dtype=float)
    found = measured(index, "lamp", own)
    assert found["habit"][1] == pytest.approx(np.log((3 + PULL * 0.1) / (PULL / 7)))
    assert found["habit"][0] == pytest.approx(np.log(0.4 * 7))
    assert measured(index, "lamp")["habit"][0] > measured(index, "lamp")["habit"][1]


def test_all_columns_are_finite_for_odd_requests(index):
    for heard in ("", "?", "x" * 400, "the " * 60, "включи свет"):
        assert np.isfinite(index.measure(index.asked(heard), ROWS)).all()


def test_one_candidate_has_no_rival():
    index = PairIndex(["stop"], np.zeros(1), channel_of("spoken", "en", [0.1, 4.0, 6.0, 3.0, 6.0]))
    assert index.measure(index.asked("stop it"), np.array([0])).shape == (1, len(PAIR))


def test_rivals_by_hand():
    assert rivals(np.array([1.0, 5.0, 4.0]), np.array([1, 1, 2]), 0.0).tolist() == [4.0, 4.0, 5.0]
    assert rivals(np.array([1.0]), np.array([1]), -3.0).tolist() == [-3.0]


def test_a_request_by_itself(index):
    unseen, new, unknown, words = np.expm1(index.wording(index.asked("turn the jazz heater off"))).round().tolist()
    # seen: the start and turn, off and the end; not: turn the, the jazz, jazz heater, heater off
    assert (unseen, new, unknown, words) == (4, 2, 1, 5)
    assert index.wording(index.asked("stop"))[:3].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("heard", ["please turn of the lamp", "turn off the heater", "lamp", "?", "включи свет", "the " * 60])
def test_a_pool_is_measured_as_an_index_is(index, heard):
    rows, own = np.array([1, 4, 0, 6]), np.array([3.0, 0.0, 0.0, 1.0])
    goals = GOALS[rows]
    share = np.array([0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])[rows]
    none = np.zeros(4)
    pool = Pool([TEXTS[i] for i in rows], goals, none, none, none, share, own, none, none, none > 0)
    measure = PoolMeasure(index.channel, mine_words(["en"] * len(TEXTS), TEXTS, GOALS.tolist())["en"], len(set(GOALS.tolist())))
    found = measure.measure(heard, pool, Wording.of([(text, {}) for text in TEXTS]))
    assert found == pytest.approx(index.measure(index.asked(heard), rows, own))
