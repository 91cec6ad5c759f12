"""Rules that are over the loss budget are suggested, and never sent."""

import pandas as pd
import pytest

from rewriter.artefact.writer import Writer
from rewriter.codes import RuleVerdict
from rewriter.config import Config
from rewriter.offline.rules.launch import write_served
from rewriter.online.rewriter import Rewriter
from rewriter.tables import RULES

ROWS = [  # source, target, verdict, wins and losses per request, scope
    ("turn of the lamp", "turn off the lamp", RuleVerdict.LAUNCHED, 0.9, 0.02, "global"),
    ("turn of the lamp", "turn on the lamp", RuleVerdict.OVER_BUDGET, 0.5, 0.1, "global"),
    ("play zed", "play jazz", RuleVerdict.OVER_BUDGET, 0.8, 0.1, "global"),
    ("play zet", "play jazz", RuleVerdict.OVER_BUDGET, 0.5, 0.4, "global"),
    ("play sed", "play jazz", RuleVerdict.GAIN_UNSURE, 0.8, 0.1, "global"),
    ("play zad", "play jazz", RuleVerdict.OVER_BUDGET, 0.8, 0.1, "personal"),
]


def table():
    columns = ["source", "target", "verdict", "win", "loss", "scope"]
    found = pd.DataFrame(ROWS, columns=columns).assign(rule=[f"r{i}" for i in range(len(ROWS))], locale="en", share=1.0)
    found["user_id"] = found["scope"].map({"global": "", "personal": "a" * 32})
    empty = {"context_value": "", "state": "", "detail": "", "stage": ""}
    numbers = dict.fromkeys(set(RULES.names) - set(found) - set(empty), 0)
    return found.assign(**empty, **numbers)[list(RULES.names)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("suggested")
    with Writer(root, keep=1) as writer:
        write_served(table(), writer.folder, 0.3)
        writer.publish(config=Config(), locales={"en": 1}, counts={}, metrics={})
    return root


@pytest.mark.parametrize("after_failure", [False, True])
@pytest.mark.parametrize(
    ("said", "sent", "suggestion"),
    [
        ("turn of the lamp", "turn off the lamp", None),
        ("play zed", "play zed", "play jazz"),
        ("play zet", "play zet", None),  # it may lose nearly every other time
        ("play sed", "play sed", None),
        ("play zad", "play zad", None),
    ],
)
def test_what_is_sent_and_what_is_suggested(root, said, sent, suggestion, after_failure):
    answer = Rewriter.open(root).rewrite(said, locale="en-GB", after_failure=after_failure)
    assert (answer.text, answer.suggestion, answer.applied) == (sent, suggestion, sent != said)


def test_what_the_parser_refuses_is_not_suggested(root):
    rewriter = Rewriter.open(root, understands=lambda text: text != "play jazz")
    assert rewriter.rewrite("play zed", after_failure=True).suggestion is None


def test_without_the_layer_of_rules_nothing_of_it_is_suggested(root):
    assert Rewriter.open(root, layers=["online"]).rewrite("play zed").suggestion is None
