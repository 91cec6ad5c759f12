"""The online risk: its columns by hand, and what is read back."""

from dataclasses import replace

import numpy as np
import pytest

from rewriter.errors import ArtefactError
from rewriter.model.logistic import Logistic
from rewriter.model.risk import COLUMNS, Risk

RISK = Risk(
    texts={"lamp of": 2.0, "lamp off": -3.0},
    words={"lamp": -2.0, "of": 1.0},
    mean=-1.0,
    weigh=Logistic(np.arange(1.0, 9.0) / 10, -0.5),
    rate=1.5,
    a_day=2,
)


def columns(*hearings, previous=""):
    return dict(zip(COLUMNS, RISK.columns(hearings, previous), strict=True))


def test_columns_by_hand():
    found = columns("lamp of", "lamp off", "never heard", previous="lamp of")
    assert found == pytest.approx({
        "text": 2.0, "worst_word": 1.0, "mean_word": -0.5, "unknown_words": 0.0, "words": np.log(3),
        "other_hearing": 5.0, "agreement": 14 / 15, "repeats": 1.0,
    })  # fmt: skip
    found = columns("purple")
    assert found == pytest.approx({
        "text": -1.0, "worst_word": -1.0, "mean_word": -1.0, "unknown_words": 1.0, "words": np.log(2),
        "other_hearing": 0.0, "agreement": 1.0, "repeats": 0.0,
    })  # fmt: skip


def test_p_is_logistic_in_the_columns():
    odds = -0.5 + np.arange(1.0, 9.0) / 10 @ np.array(RISK.columns(["lamp of"], ""))
    assert RISK.p(["lamp of"]) == pytest.approx(1 / (1 + np.exp(-odds)))


def test_the_unsure_are_asked_most_and_the_sure_hardly():
    assert [RISK.p_asked(p) for p in (0.0, 0.2, 0.8, 1.0)] == pytest.approx([0.075, 0.675, 0.675, 0.075])
    assert replace(RISK, rate=2.0).p_asked(0.5) == 1.0


def test_saved_and_opened(tmp_path):
    RISK.save(tmp_path)
    again = Risk.open(tmp_path)
    for name in ("words", "mean", "rate", "a_day"):
        assert getattr(again, name) == getattr(RISK, name)
    assert [again.texts.get(text, 0.5) for text in ("lamp of", "lamp off", "lamp")] == [2.0, -3.0, 0.5]
    assert again.p(["lamp of", "lamp off"]) == RISK.p(["lamp of", "lamp off"])
    again.save(tmp_path / "again")
    assert Risk.open(tmp_path / "again").p(["lamp of"]) == RISK.p(["lamp of"])
    (tmp_path / "risk.json").write_text("{}")
    with pytest.raises(ArtefactError, match=r"risk.json"):
        Risk.open(tmp_path)
