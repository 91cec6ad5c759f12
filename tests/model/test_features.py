"""What is measured of candidates: values worked by hand, and every column against a loop over candidates."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz import fuzz

from rewriter.model.alignment import align
from rewriter.model.features import RANK, RISK, look, look_all, risk
from rewriter.model.fluency import FEATURES, Wording
from rewriter.model.logistic import Logistic
from rewriter.model.retrieve import Pool
from rewriter.model.risk import COLUMNS, WORDED, Risk
from rewriter.similarity import phonetic_key

WORDING = Wording.of([
    ("turn off the lamp", {"lamp": "name"}),
    ("turn on the lamp", {"lamp": "name"}),
    ("turn off the radio", {"radio": "name"}),
    ("play some jazz", {}),
])  # fmt: skip
STUDENT = Risk({}, {"turn": -4.0, "of": 1.0, "lamp": -3.0}, -2.0, Logistic(np.zeros(len(COLUMNS)), 0.0))
TEXTS = ["turn off the lamp", "switch the lamp off", "turn on the lamp", "play some jazz"]


def pool(texts, goals, similarity, own=None):
    n = len(texts)
    none, own = np.zeros(n), np.zeros(n) if own is None else np.array(own, dtype=float)
    return Pool(
        texts, np.array(goals), np.arange(n) * 3.0, np.full(n, 0.5), np.array(similarity, dtype=float), np.full(n, 0.1), own,
        none + 7 * (own > 0), none + own.sum(), own > 9,
    )  # fmt: skip


def column(seen, name):
    return seen.features[:, list(RANK).index(name)]


def test_by_hand():
    seen = look(["turn of the lamp"], pool(TEXTS, [1, 1, 2, 3], [0.9, 0.7, 0.8, 0.1], [4, 0, 0, 0]), WORDING, "en")
    assert column(seen, "text")[0] == pytest.approx(2 * 16 / 33)  # 16 letters and 17, of which 16 are the same
    assert column(seen, "sound")[0] == 1
    assert column(seen, "lead") == pytest.approx([0.9 - 0.8, 0.7 - 0.8, 0.8 - 0.9, 0.1 - 0.9])
    assert column(seen, "same").tolist() == [2, 2, 1, 1]
    assert column(seen, "support").tolist() == [1, 1, 0, 0]  # the way to the first is the cheapest
    assert column(seen, "words").tolist() == [4] * 4
    assert column(seen, "unknown").tolist() == [1] * 4  # "of"
    assert column(seen, "turns") == pytest.approx(np.log([1, 4, 7, 10]))
    assert column(seen, "own").tolist() == [1, 0, 0, 0]
    assert column(seen, "own_age") == pytest.approx(np.log([8, 1, 1, 1]))
    assert column(seen, "goal_prior") == pytest.approx(np.log([6 / 24, 2 / 24, 2 / 24, 2 / 24]))  # (own + 20 * .1) / (4 + 20)
    cost = column(seen, "cost")
    assert column(seen, "lead_cost") == pytest.approx([min(cost[2:]) - cost[0], min(cost[2:]) - cost[1], cost[0] - cost[2],
                                                       cost[0] - cost[3]])  # fmt: skip


def test_where_all_candidates_mean_the_same_there_is_no_rival():
    seen = look(["turn of the lamp"], pool(TEXTS[:2], [1, 1], [0.9, 0.7]), WORDING, "en")
    assert column(seen, "lead").tolist() == [0.9, 0.7]
    assert column(seen, "lead_cost") == pytest.approx(30 - column(seen, "cost"))


def test_no_candidates():
    assert look(["play"], pool([], [], []), WORDING, "en").features.shape == (0, len(RANK))


SENTENCE = st.lists(st.sampled_from(["turn", "of", "off", "on", "the", "lamp", "lamb", "jazz"]), min_size=1, max_size=5)


@settings(deadline=None)
@given(
    hearings=st.lists(SENTENCE.map(" ".join), min_size=1, max_size=6, unique=True),
    candidates=st.lists(st.tuples(SENTENCE.map(" ".join), st.integers(0, 2), st.floats(-0.2, 1)), min_size=1, max_size=6),
)
def test_every_candidate_by_itself(hearings, candidates):
    texts, goals, similarity = (list(part) for part in zip(*candidates, strict=True))
    seen = look(hearings, pool(texts, goals, similarity), WORDING, "en")
    hearings = hearings[:5]
    ways = [[align(h, text, WORDING.weight, WORDING.knows) for h in hearings] for text in texts]
    nearest = [min(range(len(texts)), key=lambda i: ways[i][h].cost) for h in range(len(hearings))]
    for i, text in enumerate(texts):
        place = min(range(len(hearings)), key=lambda h: ways[i][h].cost + 0.5 * h)
        way, heard = ways[i][place], hearings[place]
        rivals = [j for j, goal in enumerate(goals) if goal != goals[i]]
        chosen = [min(ways[j], key=lambda way: way.cost + 0.5 * ways[j].index(way)).cost for j in range(len(texts))]
        expected = dict(zip(("cost", "replaced", "worst", "missing", "most_missing", "extra", "most_extra", "swaps"), way,
                            strict=True))  # fmt: skip
        expected |= {
            "text": fuzz.ratio(heard, text) / 100,
            "sound": fuzz.ratio(phonetic_key(heard), phonetic_key(text)) / 100,
            "cost_share": way.cost / (sum(WORDING.weight(word) for word in text.split()) + 1),
            "lead": similarity[i] - max([0.0] + [similarity[j] for j in rivals]),
            "lead_cost": min([30.0] + [chosen[j] for j in rivals]) - way.cost,
            "same": goals.count(goals[i]),
            "words": len(heard.split()),
            "words_meant": len(text.split()),
            "unknown": sum(not WORDING.knows(word) for word in heard.split()),
            "hearing": place,
            "cost_first": ways[i][0].cost,
            "exact": text in hearings,
            "support": sum(goals[j] == goals[i] for j in nearest) / len(hearings),
            "turns": math.log1p(3 * i), "share": 0.5, "own": 0, "own_age": 0, "goal_prior": math.log(0.1),
        }  # fmt: skip
        assert seen.features[i].tolist() == pytest.approx([float(expected[name]) for name in RANK])


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(SENTENCE.map(" ".join), min_size=1, max_size=4, unique=True),
            st.lists(st.tuples(SENTENCE.map(" ".join), st.integers(0, 2), st.floats(-0.2, 1)), max_size=6),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_many_requests_are_measured_as_one_by_one(requests):
    asked, pools = [], []
    for hearings, candidates in requests:
        texts, goals, similarity = ([c[i] for c in candidates] for i in range(3))
        asked.append(hearings)
        pools.append(pool(texts, np.array(goals, dtype=np.int64), similarity))
    together = Pool(
        [text for of in pools for text in of.texts], *map(np.concatenate, zip(*(of[1:] for of in pools), strict=True))
    )
    alone = [look(hearings, of, WORDING, "en").features for hearings, of in zip(asked, pools, strict=True)]
    assert np.array_equal(look_all(asked, together, list(map(len, pools)), WORDING, "en"), np.concatenate(alone))


def test_the_risk_reads_the_wording_the_best_candidate_and_the_other_hearings():
    hearings = ["turn of the lamp", "turn off the lamp", "turnoff the lamp"]
    seen = look(hearings, pool(TEXTS, [1, 1, 2, 3], [0.9, 0.7, 0.8, 0.1]), WORDING, "en")
    measured = dict(zip(RISK, risk(seen, 1, 0.75, WORDING, STUDENT).tolist(), strict=True))
    fluent, *others = (dict(zip(FEATURES, WORDING.fluency(h), strict=True)) for h in hearings)
    assert {name: measured[name] for name in FEATURES} == fluent
    assert {name: measured[f"best_{name}"] for name in RANK if f"best_{name}" in RISK} == {
        name: column(seen, name)[1] for name in RANK if f"best_{name}" in RISK
    }
    assert measured["p_goal"] == pytest.approx(math.log(0.751 / 0.251))
    assert measured["likelier"] == max(other["likelihood"] for other in others) - fluent["likelihood"]
    assert measured["least_likelier"] == max(other["least_likelihood"] for other in others) - fluent["least_likelihood"]
    assert measured["less_unknown"] == min(other["unknown"] for other in others) - fluent["unknown"] == -1
    assert measured["less_new"] == min(other["new_steps"] for other in others) - fluent["new_steps"]
    assert (measured["other_template"], measured["other_known"], measured["hearings"]) == (1, 1, 3)
    assert measured["nearest_text"] == max(column(seen, "text"))
    assert measured["nearest_sound"] == max(column(seen, "sound"))
    assert measured["nearest_cost"] == min(column(seen, "cost_first"))
    student = STUDENT.worded(hearings)
    assert tuple(measured[name] for name in WORDED) == student == (1.0, (-4 + 1 - 2 - 3) / 4, 0.25, pytest.approx(32 / 33))


def test_with_one_hearing_nothing_is_gained_by_others():
    seen = look(["turn of the lamp"], pool(TEXTS, [1, 1, 2, 3], [0.9, 0.7, 0.8, 0.1]), WORDING, "en")
    measured = dict(zip(RISK, risk(seen, 0, 0.5, WORDING, STUDENT).tolist(), strict=True))
    gains = ("likelier", "least_likelier", "less_unknown", "less_new", "other_template", "other_known")
    assert [measured[name] for name in gains] == [0] * 6
