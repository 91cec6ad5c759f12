"""Training data for an NLU: whose texts, and how they are written."""

import json

import duckdb
import pandas as pd
import pytest

from rewriter.errors import LogError
from rewriter.operate.nlu_export import Example, examples, json_lines, rasa_yaml, write


def example(text, intent="Off", **slots):
    return Example("en", text, intent, slots, turns=4, users=3)


def test_only_what_enough_users_had_to_repair_in_the_same_way():
    rows = [
        *(("lamp of", "Off", '{"name": "lamp"}', user) for user in (0, 1, 2, 2)),
        *(("lamp of", "On", '{"name": "lamp"}', user) for user in (3, 4)),
        *(("my secret", "Off", "{}", 5) for _ in range(9)),
        *(("fine", None, None, user) for user in range(9)),
    ]
    labels = pd.DataFrame(rows, columns=["utterance", "intent", "slots", "user_no"]).assign(locale="en")
    with duckdb.connect() as con:
        con.register("labels", labels)
        assert examples(con, min_users=3) == [Example("en", "lamp of", "Off", {"name": "lamp"}, turns=4, users=3)]


def test_rasa_marks_whole_words_once_and_the_longest_first():
    found = rasa_yaml([
        example("lamp of the lamps lamp", name="lamp"),
        example("hall lamp of", name="hall lamp", area="hall"),
        example("[evil] (intent) {x}", name="evil"),
        example("play", intent='Say "hi": #1', song=""),
    ])  # fmt: skip
    assert found.splitlines() == [
        'version: "3.1"',
        "nlu:",
        '- intent: "Off"',
        "  examples: |",
        "    - [lamp](name) of the lamps lamp",
        "    - [hall lamp](name) of",
        "    - [evil](name) intent x",
        '- intent: "Say \\"hi\\": #1"',
        "  examples: |",
        "    - play",
    ]


def test_json_lines_hold_everything():
    (line,) = json_lines([example("çay koy", room="mutfak")]).splitlines()
    told = {"text": "çay koy", "intent": "Off", "slots": {"room": "mutfak"}, "locale": "en", "turns": 4, "users": 3}
    assert json.loads(line) == told


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(LogError, match=r"training data ends in .jsonl, .yml, .yaml"):
        write([], tmp_path / "nlu.md")
