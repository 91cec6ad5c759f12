"""Does an answer fit? Told from the log alone."""

import numpy as np
from logs_by_hand import listed, turn
from sklearn.metrics import roc_auc_score

from rewriter.detect.boosting import fold_of
from rewriter.detect.defects import answer_fit, learn_answer_fit
from rewriter.detect.turns import Turns


def test_answers_to_something_else_stand_out(tmp_path):
    rng = np.random.default_rng(1)
    things = ["lamp", "fan", "heater", "radio", "oven"]
    turns, odd = [], {}
    for i in range(400):
        thing, other = rng.choice(things, 2, replace=False)
        odd[f"user {i % 40}-{i * 900:06}"] = wrong = bool(rng.random() < 0.1)
        answer = f"{other if wrong else thing} is off"
        turns.append(turn(f"user {i % 40}", i * 900, f"{thing} off", f"TurnOff|name={thing}", response=answer))
    turns.append(turn("mute", 0, "hello", "Hello"))
    read = Turns.read(listed(turns, tmp_path))
    odds = answer_fit(learn_answer_fit(read, fold_of(read["user_no"]), seed=0), read, fold_of(read["user_no"]))
    answered = np.isfinite(odds)
    assert [read.turn_id[row] for row in np.flatnonzero(~answered)] == ["mute-000000"]
    assert roc_auc_score([odd[t] for t in read.turn_id[answered]], -odds[answered]) > 0.95


def test_a_log_without_answers(tmp_path):
    read = Turns.read(listed([turn("ann", 0, "lamp off")], tmp_path))
    assert np.isnan(answer_fit(learn_answer_fit(read, fold_of(read["user_no"]), seed=0), read, fold_of(read["user_no"]))).all()
