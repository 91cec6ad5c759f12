import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.model.hypothesis import hypothesis, intent_of, slots_of


@pytest.mark.parametrize(
    ("intent", "slots", "line"),
    [
        ("HassTurnOn", {"name": "lamp", "area": "kitchen"}, "HassTurnOn|area=kitchen|name=lamp"),
        ("HassTurnOn", {"area": "kitchen", "name": "lamp"}, "HassTurnOn|area=kitchen|name=lamp"),
        ("HassNevermind", {}, "HassNevermind"),
        ("HassNevermind", None, "HassNevermind"),
        (
            "Set",
            {"to": 20, "half": 20.5, "whole": 20.0, "on": True, "off": False},
            "Set|half=20.5|off=false|on=true|to=20|whole=20",
        ),
        ("Play", {"artist": None, "song": ""}, "Play|song="),
        ("a|b=c", {"x|y": "1=2\\"}, "a\\|b\\=c|x\\|y=1\\=2\\\\"),
        ("Z", {"b": "1", "B": "2", "ä": "3"}, "Z|B=2|b=1|ä=3"),
    ],
)
def test_the_line(intent, slots, line):
    assert hypothesis(intent, slots) == line


@pytest.mark.parametrize(
    ("line", "intent", "slots"),
    [
        ("", "", {}),
        ("play music", "play music", {}),
        ("Intent|slot:value|other:a:b", "Intent", {"slot": "value", "other": "a:b"}),
        ("Intent|slot=a:b", "Intent", {"slot": "a:b"}),
        ("Intent|a=b=c", "Intent", {"a": "b=c"}),
        ("Intent|harry potter", "Intent", {"1": "harry potter"}),
        ("Intent|", "Intent", {"1": ""}),
        ("|a=b", "", {"a": "b"}),
        ("C:\\music|path=C:\\abba", "C:\\music", {"path": "C:\\abba"}),
        ("ends with \\", "ends with \\", {}),
        ("a|b=\n|c=2", "a", {"b": "\n", "c": "2"}),
    ],
)
def test_lines_of_others_are_read(line, intent, slots):
    assert intent_of(line) == intent
    assert slots_of(line) == slots


texts = st.text(st.sampled_from("ab|=\\: \nß")) | st.text()


@given(texts, st.dictionaries(texts, texts))
def test_what_is_written_is_read_back(intent, slots):
    line = hypothesis(intent, slots)
    assert intent_of(line) == intent
    assert slots_of(line) == slots


@given(texts, st.dictionaries(texts, texts | st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)))
def test_the_order_of_slots_says_nothing(intent, slots):
    assert hypothesis(intent, slots) == hypothesis(intent, dict(reversed(slots.items())))


@given(texts)
def test_any_text_can_be_read(line):
    intent_of(line)
    slots_of(line)
