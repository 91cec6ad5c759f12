"""What a reader of dialogues gets to see."""

from told_logs import listed, turn

from rewriter.detect.dialogue import Scribe
from rewriter.detect.listed import Turns

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
    found = Scribe(turns, 2).write(source, near)
    assert found.text == (
        "lamp of ; refused : sorry [SEP] 6 seconds interrupting : turn the lamp off ; fine : done"
        " [SEP] 60 seconds : [UNK] [UNK] ; refused : sorry"
    )
    assert [found.text[s.first : s.last + 1] for s in found.spans] == ["turn the lamp off", "[UNK] [UNK]"]
    assert Scribe(turns, 2).write(source, []).spans == ()


def test_long_texts_are_cut(tmp_path):
    turns = Turns.read(listed([turn("ann", 0, " ".join(["lamp"] * 40))], tmp_path))
    assert Scribe(turns, 1).write(0, []).text.split(" ;")[0].split() == ["lamp"] * 24
