"""Who is asked "did I get that right?": only where the answer would teach, and never about what is sure."""

import shutil

import numpy as np
import pytest

from rewriter import Rewriter
from rewriter.artefact.versions import current
from rewriter.model.logistic import Logistic
from rewriter.model.risk import COLUMNS, Risk
from rewriter.online.exploring import open_risk, teaches

BY_TEXT = Logistic(np.array([1.0, *[0.0] * (len(COLUMNS) - 2), -3.0]), 0.0)
RISK = Risk({"half and half": 0.0, "always wrong": 6.0}, {}, -6.0, BY_TEXT, ask=0.2)


@pytest.fixture(scope="module")
def asking(lamp, tmp_path_factory):
    """The artefact of the lamp, as if its log had told enough to learn the risk."""
    root = tmp_path_factory.mktemp("asking") / "artefact"
    shutil.copytree(lamp[0], root)
    RISK.save(current(root).folder / "online")
    return Rewriter.open(root)


@pytest.mark.parametrize(
    ("said", "ask"),
    [("Half and half!", True), ("always wrong", False), ("never heard", False), ("turn of the lamp", False), ("", False)],
)
def test_the_unsure_are_asked_about(asking, said, ask):
    assert asking.rewrite(said).ask is ask


def test_not_after_a_refusal_and_not_when_the_words_are_repeated(asking):
    assert not asking.rewrite("half and half", after_failure=True).ask
    assert not asking.rewrite("half and half", context={"previous_utterance": "Half and half"}).ask
    assert asking.rewrite("half and half", context={"previous_utterance": 7}).ask


def test_nothing_odd_is_asked_about(asking):
    for odd, reason in ((None, "not_text"), (7, "not_text"), ("x" * 10_000, "too_long"), ("!", "empty")):
        answer = asking.rewrite(odd)
        assert (answer.text, answer.reason, answer.ask) == (odd, reason, False)


def test_without_a_risk_nobody_is_asked(lamp, tmp_path):
    assert open_risk(tmp_path) is None
    assert teaches(RISK, ["half and half"], None, 500)
    assert not Rewriter.open(lamp[0]).rewrite("half and half").ask
