"""The prior that ships: small, complete, of the columns that are measured, and sane on plain cases."""

import json
from pathlib import Path

import numpy as np
import pytest

import rewriter.model.prior
from rewriter.errors import ArtefactError
from rewriter.model.pair_features import PAIR, REQUEST, SIGNS, PairIndex
from rewriter.model.prior import LEAST_AFTER, Prior, ShareBelief

FOLDER = Path(rewriter.model.prior.__file__).parent
HOME = [
    "turn on the kitchen lights", "turn off the kitchen lights", "turn on the bedroom lights", "turn off the bedroom lights",
    "turn up the heat in the bedroom", "turn up the heat in the bathroom", "set a timer for fifteen minutes",
    "set a timer for fifty minutes", "what's the weather", "play some jazz", "stop the music",
]  # fmt: skip


@pytest.fixture(scope="module")
def prior():
    return Prior.load()


def best(prior, texts, heard, kind="spoken", locale="en"):
    index = PairIndex(texts, np.arange(len(texts)), prior.channel(kind, locale), complete=True)
    p = prior.p(index.measure(index.asked(heard), np.arange(len(texts))))
    return texts[int(p.argmax())], float(p.max())


def test_all_files_together_are_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.suffix not in (".py", ".pyc")) < 2e6


def test_the_covariance_can_be_used_as_a_prior(prior):
    assert np.allclose(prior.covariance, prior.covariance.T)
    assert np.linalg.eigvalsh(prior.covariance).min() > 0


def test_no_weight_pushes_the_wrong_way(prior):
    assert (prior.mean[:-1] * np.array(SIGNS) >= 0).all()
    assert len(prior.fails.weights) == len(REQUEST)


MISHEARD = [
    ("turn of the kitchen light", "turn off the kitchen lights"),
    ("turn up the heat in the bedrooms", "turn up the heat in the bedroom"),
    ("set a time for fifteen minutes", "set a timer for fifteen minutes"),
    ("play some chess", "play some jazz"),
    ("what's the whether", "what's the weather"),
]


@pytest.mark.parametrize(("heard", "said"), MISHEARD)
def test_what_is_plainly_meant_comes_first(prior, heard, said):
    assert best(prior, HOME, heard)[0] == said


STRANGE = ["how do i dispute a charge on my credit card", "thanks", "tell my boss i am sick today", "is it legal to own a ferret"]


@pytest.mark.parametrize("heard", STRANGE)
def test_what_is_not_there_is_not_meant(prior, heard):
    assert best(prior, HOME, heard)[1] < LEAST_AFTER


TYPED = [
    ("rest my pasword", "reset my password"),
    ("whereis my order", "where is my order"),
    ("cancle my order", "cancel my order"),
]


@pytest.mark.parametrize(("heard", "said"), TYPED)
def test_typed_requests(prior, heard, said):
    texts = ["reset my password", "where is my order", "cancel my order", "close my account", "talk to a person"]
    assert best(prior, texts, heard, "typed")[0] == said


def test_a_language_without_a_table(prior):
    texts = ["schalte das licht in der küche an", "schalte das licht in der küche aus", "schalte das licht im bad an"]
    assert best(prior, texts, "schalte das licht in der küchen aus", locale="de")[0] == texts[1]


def test_a_belief_about_a_share_is_updated_by_counts():
    assert ShareBelief(3, 1).updated(hits=0, total=0) == ShareBelief(3, 1)
    assert ShareBelief(3, 1).updated(hits=10, total=100) == ShareBelief(13, 91)


def test_what_was_saved_is_read(prior, tmp_path):
    prior.save(tmp_path / "prior.json", {"by": "a test"})
    again = Prior.open(tmp_path / "prior.json")
    assert np.array_equal(again.mean, prior.mean)
    assert again.none == prior.none
    assert json.loads((tmp_path / "prior.json").read_text(encoding="utf-8"))["pair"] == list(PAIR)


@pytest.mark.parametrize("content", ["", "{}", '{"pair": ["text"], "mean": [1], "covariance": [[1]]}', "[1]"])
def test_a_damaged_file_is_one_clear_line(content, tmp_path):
    path = tmp_path / "prior.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ArtefactError, match="cannot read"):
        Prior.open(path)
