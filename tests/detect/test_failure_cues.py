"""What a log tells of where its turns broke, compared with logs made by hand."""

import numpy as np
import pytest
from logs_by_hand import listed, turn

from rewriter.codes import FailurePoint, Sign
from rewriter.detect.failure_cues import NAMES, FailureCues, Restated
from rewriter.detect.failure_groups import GROUPS, answers, intents_by_words, of_others
from rewriter.detect.failure_model import FailureModel, adapted, diagnosed
from rewriter.detect.failure_rules import CLASSES, Rules, signs, softmax
from rewriter.detect.failure_texts import channel_odds, fluency, kinds_of_reply, nearest, values_in
from rewriter.detect.turns import Likeness, Turns
from rewriter.detect.weak_labels import Items

ON, OFF = "On|name=hall lamp", "Off|name=hall lamp"


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    """Six users with a lamp; ann is misheard and restates it, and ben is told that something went wrong."""
    turns = [
        turn(user, day * 86_400 + at, text, meant, response=f"OK, {text}")
        for user in ("cem", "dan", "eva", "fay")
        for day in range(2)
        for at, text, meant in ((0, "turn on the hall lamp", ON), (4000, "turn off the hall lamp", OFF))
    ]
    turns += [
        turn(
            "ann",
            100,
            "turn of the haul lamp",
            None,
            nbest='["turn of the haul lamp", "turn off the hall lamp"]',
            asr_confidence=0.2,
        ),
        turn("ann", 105, "turn off the hall lamp", OFF, asr_confidence=0.9),
        turn("ben", 200, "turn on the hall lamp", ON, status="failed", response="Sorry, something went wrong."),
        turn("ben", 206, "turn on the hall lamp", ON, response="OK, turn on the hall lamp"),
    ]
    tables = listed(turns, tmp_path_factory.mktemp("cues"))
    read = Turns.read(tables)
    rows = {name: i for i, name in enumerate(read.turn_id)}
    pairs = [("ann-000100", "ann-000105", 0.9), ("ben-000200", "ben-000206", 0.8)]
    source, target = (np.asarray([rows[pair[k]] for pair in pairs]) for k in (0, 1))
    again = Restated.of(len(read), source, target, np.asarray([p for *_, p in pairs]))
    catalog = {"turn on the hall lamp": ON, "turn off the hall lamp": OFF}
    cues = FailureCues(read, Items.of(read), Likeness(tables.texts), again, catalog)
    return rows, cues.measure(), cues.groups()


def of(by_hand, turn_id, name):
    rows, columns, _ = by_hand
    return columns[rows[turn_id], NAMES.index(name)]


def test_what_was_heard(by_hand):
    assert of(by_hand, "ann-000100", "in_nbest") == 1
    assert of(by_hand, "ann-000100", "rarest_word") == 0  # nobody else says haul
    assert of(by_hand, "ann-000100", "heard_users") == pytest.approx(np.log1p(5))  # ann herself says it later
    assert of(by_hand, "ann-000100", "asr_rank") == pytest.approx(0.5)  # the lower one of two
    assert of(by_hand, "ann-000100", "asr_well") == 0  # less sure than every turn that worked
    assert of(by_hand, "ann-000105", "asr_well") == 1
    assert of(by_hand, "ann-000100", "channel_odds") > 1
    assert of(by_hand, "ann-000100", "near_known") > 0.9


def test_what_was_understood_and_answered(by_hand):
    assert of(by_hand, "ben-000200", "usual_same") == 1
    assert of(by_hand, "ben-000200", "trouble") == 1
    assert of(by_hand, "ben-000200", "verbatim") == 1
    assert of(by_hand, "ben-000200", "then_same_hypothesis") == 1
    assert of(by_hand, "ben-000200", "reply_usual") == 0  # nobody else gets this answer
    assert of(by_hand, "cem-000000", "reply_usual") == pytest.approx(8 / 9)  # ben's first turn is the tenth
    assert of(by_hand, "cem-000000", "values_said") == 1
    assert of(by_hand, "cem-000000", "unheld_values") == 0
    assert np.isnan(of(by_hand, "ann-000100", "values_said"))


def test_others_leave_the_user_out(by_hand):
    assert of(by_hand, "ben-000200", "text_users") == pytest.approx(np.log1p(4))
    assert of(by_hand, "ben-000200", "text_defects") < of(by_hand, "cem-000000", "text_defects")  # of cem's others ben is one


def test_what_turns_have_in_common(by_hand):
    rows, _, groups = by_hand
    both = [rows["ben-000200"], rows["ben-000206"]]
    assert set(groups) == set(GROUPS)
    assert len(set(groups["text"][both])) == 1
    assert len(set(groups["answer"][both])) == 2
    assert groups["near"][rows["ann-000100"]] == groups["text"][rows["ann-000105"]]
    assert groups["hypothesis"][rows["ann-000100"]] == -1
    assert of(by_hand, "ben-000200", "text_refused") == pytest.approx(1 / 20 / 10)  # one of 20 turns is refused; nine others here
    assert of(by_hand, "ben-000200", "words_intent") > -0.1  # the words say nothing against it


def test_a_catalog_says_what_was_heard_well(by_hand):
    assert of(by_hand, "ben-000200", "listed") == 1
    assert of(by_hand, "ben-000200", "listed_same") == 1
    assert of(by_hand, "ann-000100", "listed") == 0
    assert of(by_hand, "ann-000100", "listed_near") > 0.9
    assert of(by_hand, "ann-000100", "listed_odds") > 0
    assert np.isnan(of(by_hand, "ann-000100", "listed_same"))


def test_words_tell_what_is_meant():
    text = np.array(["turn on the lamp", "turn on the fan", "is the lamp on", "is the fan on", "is the rail on"], dtype=object)
    said, user = np.arange(5).repeat(3), np.tile(np.arange(3), 5)
    intent = np.array([0, 0, 1, 1, 0]).repeat(3)  # "is the rail on" is taken for an order
    own, gain = intents_by_words(text, said, intent, user)
    assert own.reshape(5, 3).argmin() // 3 == 4
    assert own[12] < -1 < own[:12].max() == 0
    assert np.isfinite(gain).all()
    assert np.isnan(intents_by_words(text, said, np.full(15, -1), user)[0]).all()


def test_answers_without_the_words_of_the_request():
    text = np.array(["I couldn't find the lamp.", "I couldn't find the fan.", "On|name=lamp", "On|name=fan", "OK"], dtype=object)
    reply, hypothesis, said = np.array([0, 1, 4, -1]), np.array([2, 3, -1, -1]), np.array([0, 0, 0, 0])
    found = answers(text, reply, hypothesis, {}, said)
    assert found[0] == found[1] != found[2]
    assert found[3] == -1


def test_the_mean_of_others_leaves_the_row_out():
    found = of_others(np.array([0, 0, 0, 1]), np.array([1.0, 0.0, np.nan, 1.0]))
    overall = 2 / 3
    assert found[:3].tolist() == pytest.approx([overall / 2, (1 + overall) / 2, (1 + overall) / 3])
    assert np.isnan(found[3])
    assert len(of_others(np.zeros(0, dtype=np.int64), np.zeros(0))) == 0


def test_the_signs_of_both_failures(by_hand):
    rows, columns, _ = by_hand
    shown = signs(columns)
    held = {name: {s for s, holds in zip(Sign, shown[row], strict=True) if holds == 1} for name, row in rows.items()}
    assert {Sign.REFUSED, Sign.RESTATED, Sign.SOUNDS_LIKE, Sign.OTHER_HEARING, Sign.STRANGE_WORDS} <= held["ann-000100"]
    assert {Sign.REFUSED, Sign.REPEATED, Sign.SAID_TROUBLE, Sign.SAME_MEANING, Sign.USUAL_MEANING} <= held["ben-000200"]
    assert held["cem-000000"] >= {Sign.CARRIED_ON, Sign.USUAL_MEANING}
    assert not np.isnan(shown[rows["cem-000000"], list(Sign).index(Sign.OTHER_HEARING)])  # the log has n-best lists


@pytest.mark.parametrize("by", ["rules", "model"])
def test_the_verdicts(by_hand, by):
    rows, columns, groups = by_hand
    p = diagnosed(columns, model=FailureModel.shipped() if by == "model" else None, rules=Rules.shipped(), groups=groups)
    assert np.allclose(p.sum(axis=1), 1)
    top = {name: CLASSES[p[row].argmax()] for name, row in rows.items()}
    assert top["ann-000100"] == FailurePoint.ASR
    assert top["ben-000200"] == FailurePoint.RESULT
    assert top["cem-000000"] == FailurePoint.CORRECT


def test_texts_one_by_one():
    text = np.array(["turn on the lamp", "turn on the hall lamp", "fish"], dtype=object)
    word, pair = fluency(text, np.array([0, 1, 1, 2]), np.array([0, 1, 2, 0]))
    assert np.expm1(word).round(9).tolist() == [2, 1, 1, 0]  # "turn" is said by three, "hall" by two, "fish" by one
    assert np.expm1(pair).round(9).tolist() == [0, 1, 1, 0]  # "the lamp" by one, "hall lamp" by two
    assert values_in(text, np.array([0, 1]), {"lamp", "hall lamp"}) == {0: ("lamp",), 1: ("hall lamp",)}
    locale = np.array(["en"] * 3, dtype=object)
    best, alike = nearest(text, locale, np.array([0, 2]), np.array([0, 1]))
    assert best.tolist()[0] == 1
    assert alike[0][0] > 0.8 > alike[0][1]
    odds = channel_odds(np.array(["turn of", "turn off", "sing"], dtype=object), locale, np.array([0, 0, 0]), np.array([1, 2, 0]))
    assert odds[0] > 0 > odds[1]
    assert np.isnan(odds[2])
    assert kinds_of_reply("Das habe ich nicht verstanden", "de-CH") == {"not_understood"}
    assert kinds_of_reply("error", "xx") == frozenset()


def test_rules_are_bayes_rule():
    label = np.array([0] * 10 + [5] * 30)
    shown = np.full((40, len(Sign)), np.nan, dtype=np.float32)
    shown[:, 0] = [1] * 8 + [0] * 2 + [1] * 3 + [0] * 27
    rules = Rules.measure(shown, label, temper=1.0)
    one, other = 11 / 47 * 9 / 12, 31 / 47 * 4 / 32
    p = rules.p(shown[:1])[0]
    assert p[0] / p[5] == pytest.approx(one / other)
    assert Rules.from_dict(rules.to_dict()).p(shown[:1])[0][0] == pytest.approx(p[0], abs=1e-3)


def test_shares_of_classes_go_half_the_way_to_those_of_the_log():
    p = adapted(np.tile([[1.0, 0.0]], (50, 1)), np.array([0.5, 0.5]))
    assert p[0].tolist() == [1, 0]
    sure = adapted(np.array([[0.5, 0.5]] + [[0.99, 0.01]] * 999), np.array([0.5, 0.5]))
    assert 0.7 < sure[0, 0] < 0.8  # the prior of the first class becomes about three quarters
    assert np.allclose(softmax(np.log(np.array([[1.0, 3.0]]))), [[0.25, 0.75]])


def test_a_log_trains_itself():
    """Turns of one text are of one class: what is sure of most of them is likely of the one that tells nothing."""
    p = np.array([[0.9, 0.1]] * 9 + [[0.5, 0.5]] + [[0.1, 0.9]] * 90)
    prior, text = np.array([0.5, 0.5]), np.array([0] * 10 + [-1] * 90)
    alone, together = adapted(p, prior), adapted(p, prior, {"text": text, "value": text, "near": np.full(100, -1)})
    assert alone[9, 0] < 0.5 < together[9, 0]
    assert np.allclose(alone[10:], together[10:], atol=0.05)
    assert np.allclose(together.sum(axis=1), 1)
    assert adapted(p[:0], prior, {"text": text[:0], "value": text[:0], "near": text[:0]}).shape == (0, 2)


def test_a_model_learns_and_keeps(tmp_path):
    rng = np.random.default_rng(0)
    label = rng.integers(0, len(CLASSES), 1500)
    columns = rng.random((1500, len(NAMES))).astype(np.float32)
    columns[:, NAMES.index("near_known")] += label
    model = FailureModel.learn(columns[:1000], label[:1000], seed=0)
    model = model.calibrated(model.p(columns[1000:]), label[1000:])
    read = FailureModel.from_bytes(model.to_bytes())
    assert np.array_equal(read.p(columns), model.p(columns))
    assert len(model.p(columns[:0])) == 0
    assert (read.p(columns[1000:]).argmax(axis=1) == label[1000:]).mean() > 0.4
