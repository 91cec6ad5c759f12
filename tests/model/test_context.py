"""What a context says, and the rules that hold in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.errors import ArtefactError
from rewriter.model.context_rules import ContextRule, ContextRules, context_values
from rewriter.model.rules import Rule


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({}, []),
        (None, []),
        ("hour=7", []),
        ({"hour": 0}, ["hour=0-2"]),
        ({"hour": 23}, ["hour=21-23"]),
        ({"hour": "7.0"}, ["hour=6-8"]),
        ({"hour": 24}, []),
        ({"hour": float("nan")}, []),
        ({"hour": True}, ["hour=0-2"]),
        ({"room": " Living  Room "}, ["room=living room"]),
        ({"room": ""}, []),
        ({"room": ["kitchen"]}, []),
        ({"place": None}, []),
        ({"state.oven": True, "state.door": "Open", "state": "x"}, ["state.door=open", "state.oven=true"]),
        ({"state.b=": 1, "state." + "b" * 200: 1, "room": "x" * 201, "place": "\xe4" * 101, "hour": 10**5000}, []),
        ({f"state.{n:04}": n for n in range(5000)}, [f"state.{n:04}={n}" for n in range(16)]),
        (
            {**{f"state.{n}": n for n in range(20)}, "room": "hall"},
            ["room=hall", *(f"state.{n}={n}" for n in sorted(map(str, range(20)))[:15])],
        ),
        ({"previous_utterance": "Stop the alarm!"}, ["previous_utterance=stop the alarm"]),
        ({"device_type": "tv", "battery": 3, 4: "x"}, ["device_type=tv"]),
    ],
)
def test_what_a_context_says(context, said):
    assert context_values(context) == said


@given(st.dictionaries(st.one_of(st.sampled_from(["hour", "room", "state.a"]), st.integers()), st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()), st.binary()
)))  # fmt: skip
def test_no_context_is_too_strange(context):
    assert all("=" in said and said.split("=", 1)[1] for said in context_values(context))


def rule(target, score, source="on", locale="en"):
    return Rule(f"{target}{score}", "", locale, source, target, score)


RULES = [
    ContextRule("room=kitchen", rule("kitchen on", 0.9)),
    ContextRule("hour=6-8", rule("bedroom on", 0.8)),
    ContextRule("room=hall", rule("on", 0.0)),
    ContextRule("room=kitchen", rule("an", 0.7, locale="de")),
    ContextRule("room=kitchen", rule("never", 0.1)),
]


@pytest.mark.parametrize(
    ("locales", "context", "target"),
    [
        (["en"], {"room": "kitchen"}, "kitchen on"),
        (["en"], {"room": "kitchen", "hour": 7}, "kitchen on"),
        (["en"], {"room": "hall", "hour": 7}, "bedroom on"),
        (["en"], {"room": "hall"}, "on"),
        (["en"], {"room": "attic"}, None),
        (["en"], None, None),
        (["de", "en"], {"room": "kitchen"}, "an"),
        (["fr", "en"], {"room": "kitchen"}, "kitchen on"),
        ([], {"room": "kitchen"}, None),
    ],
)
def test_the_surest_rule_that_holds_is_found_and_survives_the_disk(tmp_path, locales, context, target):
    book = ContextRules(RULES)
    book.save(tmp_path)
    for found in (book, ContextRules.open(tmp_path)):
        assert len(found) == 4
        assert found.locales == {"en", "de"}
        answer = found.find("on", locales, context)
        assert (answer.target if answer else None) == target
        assert found.find("off", locales, context) is None


def test_no_file_holds_no_rules_and_a_damaged_one_is_refused(tmp_path):
    assert len(ContextRules.open(tmp_path)) == 0
    for damage in ("{", '[["room=kitchen", "r"]]', "[1]"):
        (tmp_path / "context.json").write_text(damage, encoding="utf-8")
        with pytest.raises(ArtefactError, match=r"context\.json"):
            ContextRules.open(tmp_path)
