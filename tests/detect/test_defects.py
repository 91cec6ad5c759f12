"""Teacher and student in a world by hand: what fails, who says so, and what is known before the fact."""

import json

import numpy as np
import pytest
from logs_by_hand import listed, turn
from sklearn.metrics import roc_auc_score

from rewriter.detect import word_risk
from rewriter.detect.boosting import FOLDS, fold_of
from rewriter.detect.defects import DefectModel, find_defects, surroundings
from rewriter.detect.features import Cues
from rewriter.detect.turns import Likeness, Turns
from rewriter.detect.weak_labels import Items, weak_labels
from rewriter.detect.word_risk import learn_risk

OFF, ON = "TurnOff|name=lamp", "TurnOn|name=lamp"


def log(feedback):
    """40 users. "lamp of" is refused half of the time; "glow" always does the wrong thing, which the next turn shows."""
    rng = np.random.default_rng(0)
    turns, bad = [], {}
    for u in range(40):
        for i in range(12):
            at, user = 3_600 * i, f"user {u:02}"
            kind = ("fine", "garble", "silent")[int(rng.integers(3))]
            if kind == "fine":
                turns.append(turn(user, at, "lamp off", OFF, response="off"))
            elif kind == "garble":
                refused = rng.random() < 0.5
                turns.append(turn(user, at, "lamp of", None if refused else OFF, response="sorry" if refused else "off"))
                turns += [turn(user, at + 5, "lamp off", OFF, response="off")] if refused else []
            else:
                turns.append(turn(user, at, "glow", ON, response="on"))
                turns.append(turn(user, at + 4, "lamp off", OFF, response="off", barge_in=1))
            wrong = kind == "silent" or (turns[-1]["utterance"] == "lamp off" and kind == "garble")
            first = next(t for t in turns if t["turn_id"] == f"{user}-{at:06}")
            bad[first["turn_id"]] = wrong
            if feedback and rng.random() < feedback:
                first["feedback"] = -1 if wrong else 1
    return turns, bad


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """What the teacher says with feedback on a fifth of the turns."""
    turns, bad = log(0.2)
    tables = listed(turns, tmp_path_factory.mktemp("taught"))
    read = Turns.read(tables)
    items = Items.of(read)
    around = surroundings(read, Cues(read, items), Likeness(tables.texts))
    label = np.array([bad.get(t, False) for t in read.turn_id])
    return read, label, find_defects(read, around, weak_labels(tables, read, items), seed=0)


def test_what_is_kept_of_the_teacher_says_the_same(tmp_path):
    tables = listed(log(0.2)[0], tmp_path)
    read = Turns.read(tables)
    items = Items.of(read)
    seen = surroundings(read, Cues(read, items), Likeness(tables.texts)), weak_labels(tables, read, items)
    teacher = DefectModel.learn(read, *seen, seed=0)
    assert teacher.explicit is not None
    again = DefectModel.from_dict(json.loads(json.dumps(teacher.to_dict())))
    assert again.predict(read, *seen).p.tolist() == teacher.predict(read, *seen).p.tolist()
    rows = np.sort(np.random.default_rng(0).choice(len(read), 60, replace=False))  # and the same of some turns alone
    around = surroundings(read, Cues(read, items), Likeness(tables.texts), rows)
    assert np.array_equal(around, seen[0][rows], equal_nan=True)
    some = teacher.predict(read, around, seen[1], rows)
    assert some.p.tolist() == teacher.predict(read, *seen).p[rows].tolist()


def test_explicit_feedback_wins(taught):
    turns, _, found = taught
    asked = np.isfinite(turns["feedback"])
    assert found.p[asked].tolist() == (turns["feedback"][asked] < 0).astype(float).tolist()
    assert np.array_equal(found.p[~asked], found.without_own_feedback[~asked])


def test_the_teacher_tells_silent_defects_from_what_came_after(taught):
    _, label, found = taught
    assert found.learned
    assert roc_auc_score(label, found.without_own_feedback) > 0.97
    assert abs(found.without_own_feedback.mean() - label.mean()) < 0.03


def test_the_student_knows_it_beforehand_as_far_as_it_can(taught):
    turns, label, found = taught
    student = learn_risk(turns, found.p, min_users=3, budget=0.1)
    glow, fine, half = (student.risk.p([text]) for text in ("glow", "lamp off", "lamp of"))
    assert glow > 0.9
    assert fine < 0.1
    assert 0.3 < half < 0.7
    assert roc_auc_score(label, student.held_out) > 0.95
    asked = student.risk.p_asked
    assert asked(half) > asked(fine)
    assert asked(half) > asked(glow)
    assert np.mean([asked(p) for p in student.held_out]) == pytest.approx(0.1)


def test_of_many_turns_the_student_learns_from_some_users_of_each_fold(taught, monkeypatch):
    turns, label, found = taught
    monkeypatch.setattr(word_risk, "_MAX_TURNS", len(turns) // 2)
    rows = word_risk._learned_from(turns["user_no"])
    user, fold = turns["user_no"][rows], fold_of(turns["user_no"][rows])
    assert set(fold.tolist()) == set(range(FOLDS))
    assert len(rows) == np.isin(turns["user_no"], user).sum() <= 0.6 * len(turns)
    student = learn_risk(turns, found.p, min_users=3, budget=0.1)
    assert len(student.held_out) == len(rows)
    assert roc_auc_score(label[rows], student.held_out) > 0.95


def test_the_student_keeps_nothing_of_few_users(taught):
    turns, _, found = taught
    kept = learn_risk(turns, found.p, min_users=41, budget=0.1).risk
    assert (kept.texts, kept.words) == ({}, {})


def test_without_evidence_friction_stands_in(tmp_path):
    tables = listed([turn("ann", 0, "lamp of"), turn("ann", 9, "lamp off", OFF, feedback=1)], tmp_path)
    read = Turns.read(tables)
    items = Items.of(read)
    around = surroundings(read, Cues(read, items), Likeness(tables.texts))
    found = find_defects(read, around, weak_labels(tables, read, items), seed=0)
    assert (found.p.tolist(), found.learned) == ([1.0, 0.0], False)


def silent(asked):
    """60 users who say "lamp off", are refused "lamp of", and say "glow", which does the wrong thing without a trace."""
    rng = np.random.default_rng(1)
    turns = []
    for u in range(60):
        for i, (text, meant) in enumerate([("lamp off", OFF), ("lamp of", None), ("glow", ON)] * 2):
            said = -1 if text != "lamp off" else 1
            turns.append(turn(f"user {u:02}", 3_600 * i, text, meant, feedback=said if rng.random() < asked else None))
    return turns


def said_of_glow(asked, folder):
    """Mean P of "glow", and of "lamp off"."""
    tables = listed(silent(asked), folder)
    read = Turns.read(tables)
    items = Items.of(read)
    columns = surroundings(read, Cues(read, items), Likeness(tables.texts))
    p = find_defects(read, columns, weak_labels(tables, read, items), seed=0).without_own_feedback
    text = read.text[read["said"]]
    return p[text == "glow"].mean(), p[text == "lamp off"].mean()


def test_what_all_users_are_given_wrongly_is_found_by_asking_few(tmp_path):
    assert said_of_glow(0.0, tmp_path / "nobody")[0] < 0.2
    glow, fine = said_of_glow(0.3, tmp_path / "few")
    assert glow > 0.8
    assert fine < 0.15


def rare(asked):
    """60 users; "off" does the wrong thing for half of the words that are understood so, each word said by one user only."""
    rng = np.random.default_rng(2)
    for u in range(60):
        for i in range(8):
            wrong = i % 2 == 1
            said = None if rng.random() >= asked else -1 if wrong else 1
            words, meant = (f"night{i}x{u}", OFF) if wrong else (f"light{i}x{u}", ON)
            yield turn(f"user {u:02}", 3_600 * i, words, meant, feedback=said)


def test_what_is_often_understood_wrongly_is_known_from_other_words(tmp_path):
    tables = listed(list(rare(0.3)), tmp_path)
    read = Turns.read(tables)
    items = Items.of(read)
    columns = surroundings(read, Cues(read, items), Likeness(tables.texts))
    p = find_defects(read, columns, weak_labels(tables, read, items), seed=0).without_own_feedback
    wrong = read.text[read["hypothesis"]] == OFF
    assert p[wrong].min() > 0.8
    assert p[~wrong].max() < 0.2
