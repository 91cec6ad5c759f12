"""What users answered counts for others whose same words were understood alike, one user weight each."""

import numpy as np
import pytest
from logs_by_hand import listed, turn

from rewriter.detect.defects import feedback_trend, smoothed_by_feedback
from rewriter.detect.turns import Turns

ON, OFF = "TurnOn|name=lamp", "TurnOff|name=lamp"


def test_by_hand(tmp_path):
    turns = [
        turn("ann", 0, "glow", ON, feedback=-1),
        turn("ann", 3600, "glow", ON, feedback=-1),
        turn("ann", 7200, "glow", ON, feedback=1),  # one user weight: two thirds bad
        turn("ben", 0, "glow", ON, feedback=1),
        turn("cem", 0, "glow", ON),
        turn("dan", 0, "glow", OFF),  # understood otherwise
        turn("eva", 0, "glow", None, feedback=-1),
        turn("fay", 0, "glow", None, feedback=0),
    ]
    read = Turns.read(listed(turns, tmp_path))
    p = dict(zip(read.turn_id, smoothed_by_feedback(read, np.full(len(read), 0.1)), strict=True))
    assert p["cem-000000"] == pytest.approx((2 / 3 + 0.2) / 4)
    assert p["ann-000000"] == p["ann-007200"] == pytest.approx(0.2 / 3)
    assert p["ben-000000"] == pytest.approx((2 / 3 + 0.2) / 3)
    assert p["dan-000000"] == pytest.approx(0.1)
    assert p["eva-000000"] == pytest.approx(0.1)
    assert p["fay-000000"] == pytest.approx(1.2 / 3)


def test_what_leans_by_hand(tmp_path):
    turns = [
        turn("ann", 0, "glow", ON, feedback=-1, response="done"),
        turn("ann", 3600, "shine", ON, feedback=1, response="done"),  # one user weight: half bad
        turn("ben", 0, "light", ON, feedback=-1, response="done"),
        turn("cem", 0, "rare words", ON, response="done"),
        turn("dan", 0, "glow", ON, response="which one"),  # answered otherwise
        turn("eva", 0, "glow", OFF, feedback=-1, response="done"),  # understood otherwise
    ]
    read = Turns.read(listed(turns, tmp_path))
    odds = dict(zip(read.turn_id, feedback_trend(read), strict=True))
    assert odds["cem-000000"] == pytest.approx(np.log(2 / 1))
    assert odds["ann-000000"] == odds["ann-003600"] == pytest.approx(np.log(1.5 / 0.5))
    assert odds["ben-000000"] == pytest.approx(np.log(1 / 1))
    assert odds["dan-000000"] == odds["eva-000000"] == 0


@pytest.mark.parametrize("seed", range(3))
def test_against_plain_python(seed, tmp_path):
    rng = np.random.default_rng(seed)
    turns = []
    for user in range(8):
        for i in range(12):
            words, meant, said = rng.choice(["glow", "lamp", "off"]), rng.choice([ON, OFF, ""]), rng.choice([-1, 0, 1, None])
            reply = str(rng.choice(["done", "sorry"]))
            turns.append(turn(f"user {user}", i * 3600, str(words), str(meant) or None, feedback=said, response=reply))
    read = Turns.read(listed(turns, tmp_path))
    p = rng.random(len(read))
    by_id = {t["turn_id"]: t for t in turns}
    for row, turn_id in enumerate(read.turn_id):
        one = by_id[turn_id]
        for alike, found, law in (
            (
                ("utterance", "hypothesis"),
                smoothed_by_feedback(read, p)[row],
                lambda bad, n, row=row: (bad + 2 * p[row]) / (n + 2),
            ),
            (("hypothesis", "response"), feedback_trend(read)[row], lambda bad, n: np.log((bad + 0.5) / (n - bad + 0.5))),
        ):
            user_weights = {}
            for other in turns:
                same = all(other[name] == one[name] for name in alike)
                if same and other["user_id"] != one["user_id"] and other["feedback"] in (-1, 1):
                    user_weights.setdefault(other["user_id"], []).append(other["feedback"] < 0)
            assert found == pytest.approx(law(sum(sum(of) / len(of) for of in user_weights.values()), len(user_weights)))
