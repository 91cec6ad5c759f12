"""The reader of LightGBM's text models says what LightGBM says, and names what is wrong with a damaged text."""

import re

import lightgbm
import numpy as np
import pytest

from rewriter.detect.boosting import Trees

FIXED = {"objective": "binary", "verbosity": -1, "num_threads": 1, "deterministic": True, "force_row_wise": True}


def booster(seed, n=600, **parameters):
    """A model of random rows: columns with and without missing values, a constant one, whole numbers, and one without a value."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(n, 7)).astype(np.float32)
    columns[rng.random((n, 7)) < [0, 0.2, 0.9, 0, 0, 0.1, 1.0]] = np.nan
    columns[:, 3], columns[:, 4], columns[:, 5] = 7.0, rng.integers(-2, 3, n), np.rint(columns[:, 5])
    label = rng.random(n) < 1 / (1 + np.exp(-np.nan_to_num(columns[:, 0] * columns[:, 4] + columns[:, 1], nan=1.0)))
    data = lightgbm.Dataset(columns, label, weight=rng.random(n))
    return columns, lightgbm.train(FIXED | {"seed": seed} | parameters, data, 20)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("parameters", [{}, {"num_leaves": 2}, {"num_leaves": 200, "min_data_in_leaf": 1}])
def test_the_reader_says_what_lightgbm_says(seed, parameters):
    columns, model = booster(seed, **parameters)
    rng = np.random.default_rng(seed)
    foreign = rng.normal(size=(9000, 7)).astype(np.float32) * 3
    foreign[rng.random(foreign.shape) < 0.3] = np.nan
    foreign[rng.random(foreign.shape) < 0.05] = 0.0
    read = Trees.read(model.model_to_string())
    for rows in (columns, foreign, foreign[:0]):
        expected = model.predict(rows, raw_score=True) if len(rows) else []
        assert read.log_odds(rows).tolist() == list(expected)
    assert read.p(columns) == pytest.approx(model.predict(columns), rel=1e-14)
    assert Trees.read(read.text).p(columns).tolist() == read.p(columns).tolist()


def test_a_model_that_found_nothing_is_a_constant():
    columns, model = booster(0, n=30, min_data_in_leaf=20)
    assert Trees.read(model.model_to_string()).log_odds(columns).tolist() == model.predict(columns, raw_score=True).tolist()


def test_no_model_says_nothing():
    assert Trees.read("").p(np.ones((3, 2))).tolist() == [0.0] * 3


DAMAGE = {
    "cut": lambda text: text[: len(text) // 2],
    "other objective": lambda text: text.replace("binary sigmoid:1", "regression"),
    "other version": lambda text: text.replace("version=v4", "version=v9"),
    "a line lost": lambda text: re.sub("threshold=.*\n", "", text, count=1),
    "a tree lost": lambda text: re.sub("Tree=3\n.*?Tree=4\n", "Tree=4\n", text, flags=re.DOTALL),
    "a number lost": lambda text: re.sub("leaf_value=[^ ]* ", "leaf_value=", text, count=1),
    "not a number": lambda text: re.sub("leaf_value=[^ ]* ", "leaf_value=x ", text, count=1),
    "nan": lambda text: re.sub("threshold=[^ ]* ", "threshold=nan ", text, count=1),
    "beyond the columns": lambda text: re.sub("split_feature=[^ ]* ", "split_feature=7 ", text, count=1),
    "circle": lambda text: re.sub("left_child=[^ ]* ", "left_child=0 ", text, count=1),
    "beyond the leaves": lambda text: re.sub("left_child=[^ ]* ", "left_child=-999 ", text, count=1),
    "categories": lambda text: text.replace("num_cat=0", "num_cat=1", 1),
    "zeros are missing": lambda text: re.sub("decision_type=[^ ]* ", "decision_type=4 ", text, count=1),
    "words": lambda _: "nothing",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_text_is_refused_in_one_line(damage):
    _, model = booster(0)
    with pytest.raises(ValueError, match="LightGBM model") as told:
        Trees.read(damage(model.model_to_string()))
    assert "\n" not in str(told.value)
