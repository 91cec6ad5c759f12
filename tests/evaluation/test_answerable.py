"""How many refused turns a catalog could answer, counted by hand."""

import pandas as pd
import pytest

from rewriter.config import Config, Launch, Trigger
from rewriter.evaluation import evaluate as module
from rewriter.evaluation.evaluate import answerable
from rewriter.offline.catalog_layer import read_served

ROWS = [{"text": f"turn {way} the kitchen lights"} for way in ("on", "off")]
SAID = [
    ("ann", "en", "Turn off the kitchen light", "failed"),
    ("ann", "en-US", "turn off the kitchen light!", "failed"),
    ("bob", "en", "turn off the kitchen light", "failed"),
    ("bob", "en", "turn off the kitchen light", "ok"),
    ("cyd", "en", "turn off the kitchen light", None),
    ("cyd", "en", "book a table in paris", "failed"),
    ("cyd", "de", "turn off the kitchen light", "failed"),
    ("cyd", "en", "?", "failed"),
]


@pytest.fixture
def turns(tmp_path):
    path = tmp_path / "turns.parquet"
    pd.DataFrame(SAID, columns=["user_id", "locale", "utterance", "status"]).to_parquet(path)
    return path


def config(k):
    return Config(trigger=Trigger(max_loss_share=0.25), launch=Launch(min_users=k))


def test_refused_turns_and_texts_are_counted(turns):
    catalog, _ = read_served(ROWS, config(2))
    found = answerable(turns, catalog, config(2), complete=True)
    assert (found.turns, found.texts, found.asked) == (5, 4, 4), "a text of punctuation only is no text; locales are apart"
    assert (found.answered_turns, found.answered_texts) == (3, 2)
    assert found.example == ("turn off the kitchen light", "turn off the kitchen lights")
    assert str(found).startswith("catalog: answers 3 of 5 refused turns (60%), 2 of 4 refused texts, such as")


def test_a_text_of_few_users_is_no_example(turns):
    catalog, _ = read_served(ROWS, config(3))
    assert answerable(turns, catalog, config(3), complete=True).example is None


def test_only_the_commonest_texts_are_tried(turns, monkeypatch):
    monkeypatch.setattr(module, "MOST_TEXTS", 1)
    catalog, _ = read_served(ROWS, config(2))
    assert "(only the 1 commonest were tried)" in str(answerable(turns, catalog, config(2), complete=True))


def test_texts_of_one_user_answer_nobody_else(turns):
    catalog, report = read_served([*ROWS, {"text": "call aunt zoe", "scope": "ann"}], config(3))
    assert (report.kept, report.own) == (3, 1)
    assert answerable(turns, catalog, config(3)) == answerable(turns, read_served(ROWS, config(3))[0], config(3))
