"""How healthy texts are made: counted by hand, left out, kept on disk."""

import math

import pytest

from rewriter.errors import ArtefactError
from rewriter.model.fluency import FEATURES, Wording

TEXTS = [
    ("set the lamp to 40 percent", {"lamp": "name", "40": "brightness"}),
    ("set the fan to 20 percent", {"fan": "name"}),
    ("set the floor lamp to 5 percent", {"floor lamp": "name"}),
    ("play some jazz", {"rock": "genre"}),
]


@pytest.fixture
def wording():
    return Wording.of(TEXTS)


def fluency(wording, text, own=0):
    return dict(zip(FEATURES, wording.fluency(text, own=own), strict=True))


def test_names_become_their_slots_and_the_longest_wins(wording):
    assert " ".join(wording.template("set the floor lamp to 7 percent")) == "set the <name> to <#> percent"
    assert "rock" not in wording.names  # the slot's value does not stand in the text


def test_a_part_counts_once_for_each_text(wording):
    assert wording.count("word", "set") == 3
    assert wording.count("pair", "set the") == 3
    assert wording.count("template", "set the <name> to <#> percent") == 3
    assert wording.count("word", "never") == 0
    assert wording.weight("set") == pytest.approx(math.log(5 / 3.5))


def test_a_new_command_of_a_known_template_is_fluent(wording):
    new, garbled = fluency(wording, "set the fan to 99 percent"), fluency(wording, "set the fun two 99 present")
    assert (new["template_seen"], new["unknown"], new["new_steps"]) == (1.0, 1, 0)
    assert (garbled["template_seen"], garbled["unknown"], garbled["new_steps"]) == (0.0, 4, 5)
    assert new["likelihood"] > garbled["likelihood"]


def test_a_text_is_left_out_of_its_own_reference(wording):
    inside, outside = fluency(wording, "play some jazz"), fluency(wording, "play some jazz", own=1)
    assert (inside["unknown"], outside["unknown"]) == (0, 3)
    without = Wording.of(TEXTS[:3])
    assert [outside[name] for name in ("unknown", "new_pairs", "new_steps", "template")] == [
        fluency(without, "play some jazz")[name] for name in ("unknown", "new_pairs", "new_steps", "template")
    ]


def test_what_is_saved_is_opened(wording, tmp_path):
    wording.save(tmp_path)
    again = Wording.open(tmp_path)
    for text in ("set the fan to 99 percent", "set the fun two 99 present"):
        assert again.fluency(text) == wording.fluency(text)
    (tmp_path / "wording.json").unlink()
    with pytest.raises(ArtefactError, match=r"is (missing|damaged)"):
        Wording.open(tmp_path)
