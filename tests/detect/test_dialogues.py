"""What a reader of dialogues gets to see."""

import pytest
from logs_by_hand import listed, turn

from rewriter.detect.span import DialogueWriter
from rewriter.detect.turns import Turns

OFF = "TurnOff|name=lamp"


def test_written_down_by_hand(tmp_path):
    own = [
        turn("ann", 0, "lamp of", response="sorry"),
        turn("ann", 5, "turn the lamp off", OFF, response="done", barge_in=1),
        turn("ann", 40, "secret words", None, response="sorry"),
    ]
    others = [turn(u, at, text, OFF, response=r) for u in ("ben", "cem") for at, text, r in (
        (0, "lamp of", "sorry"), (4000, "turn the lamp off", "done"))]  # fmt: skip
    turns = Turns.read(listed([*own, *others], tmp_path))
    row = {t: i for i, t in enumerate(turns.turn_id)}
    source, near = row["ann-000000"], [row["ann-000005"], row["ann-000040"]]
    found = DialogueWriter(turns, 2).write(source, near)
    assert found.text == (
        "lamp of ; refused : sorry [SEP] 6 seconds interrupting : turn the lamp off ; fine : done"
        " [SEP] 60 seconds : [UNK] [UNK] ; refused : sorry"
    )
    assert [found.text[s.first : s.last + 1] for s in found.spans] == ["turn the lamp off", "[UNK] [UNK]"]
    assert DialogueWriter(turns, 2).write(source, []).spans == ()


def test_long_texts_are_cut(tmp_path):
    turns = Turns.read(listed([turn("ann", 0, " ".join(["lamp"] * 40))], tmp_path))
    assert DialogueWriter(turns, 1).write(0, []).text.split(" ;")[0].split() == ["lamp"] * 24


@pytest.mark.parametrize(
    ("gap_ms", "written"),
    [(3000, "3"), (3001, "6"), (6000, "6"), (12_000, "12"), (12_001, "25"), (25_000, "25"), (60_000, "60"), (60_001, "many")],
)
def test_the_time_between_is_written_down(gap_ms, written, tmp_path):
    turns = Turns.read(listed([turn("ann", 0, "lamp of"), turn("ann", 0, "lamp", turn_id="later", ts_ms=gap_ms)], tmp_path))
    assert DialogueWriter(turns, 1).write(0, [1]).text == f"lamp of ; refused :  [SEP] {written} seconds : lamp ; refused : "


def test_what_was_done_and_cut_short_is_trouble(tmp_path):
    ann = [
        turn("ann", 0, "lamp of", OFF, response="on it"),
        turn("ann", 2, "no stop", None, barge_in=1),
        turn("ann", 900, "tv", OFF),
    ]
    turns = Turns.read(listed(ann, tmp_path))
    assert [DialogueWriter(turns, 1).write(row, []).text for row in (0, 2)] == ["lamp of ; trouble : on it", "tv ; fine : "]
