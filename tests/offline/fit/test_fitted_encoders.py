"""The encoder that the settings ask for: what it learns from, and that what is served is what was trained."""

import numpy as np
import pandas as pd
import pytest

from rewriter.config import Config, EncoderSettings
from rewriter.model.encoder import open_encoder
from rewriter.offline.fit.encoder import EncoderData, MinedRephrases, learn_encoder
from rewriter.offline.fit.query_index import rephrases

NOUNS = ["lamp", "radio", "heater", "fan", "kettle", "oven", "blinds", "garage", "alarm", "tv", "door", "window", "gate", "pump"]
QUERIES = [f"turn {way} the {noun}" for noun in NOUNS for way in ("on", "off")]
HEARD = [query.replace("turn", "torn").replace("the", "duh") for query in QUERIES]


def lessons(n=28):
    pairs = MinedRephrases(2 * HEARD[:n], 2 * QUERIES[:n], np.full(2 * n, 3))
    return EncoderData(HEARD + QUERIES, QUERIES, pairs, 3)


def test_few_rephrases_leave_the_table_as_drawn(tmp_path):
    few = learn_encoder(EncoderSettings(), lessons(10), tmp_path / "few", seed=1)
    none = learn_encoder(EncoderSettings(), lessons(0), tmp_path / "none", seed=1)
    assert few.encode(QUERIES).tolist() == none.encode(QUERIES).tolist()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    import tiny_transformer

    return tiny_transformer.write(tmp_path_factory.mktemp("tiny"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["static", *(pytest.param(kind, marks=pytest.mark.transformers) for kind in ("transformer", "student"))]
)
def test_each_kind_is_learned_written_and_opened(kind, tiny, tmp_path):
    settings = Config.from_dict({"encoder": {"kind": kind, "base": "" if kind == "static" else tiny}}).encoder
    served = learn_encoder(settings, lessons(), tmp_path / "encoder", seed=0)
    assert open_encoder(tmp_path / "encoder").encode(HEARD).tolist() == served.encode(HEARD).tolist()
    found = (served.encode(HEARD) @ served.encode(QUERIES).T).argmax(axis=1)
    assert (found == np.arange(len(QUERIES))).mean() > 0.8
    assert served.dim == {"static": 128, "transformer": 48 + 128, "student": 48}[kind]


def test_rephrases_lead_from_failing_texts_to_what_was_meant_most():
    texts = pd.DataFrame(
        {
            "locale": ["en"] * 5 + ["de"],
            "query": ["turn of lamp", "turn off lamp", "lamp off", "rare", "fine", "licht aus"],
            "node": [0, 7, 7, 8, 9, 7],
            "source": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
            "users": [1, 5, 9, 2, 4, 9],
            "said_by": [4, 5, 9, 2, 4, 9],
            "success": [0.0, 20.0, 30.0, 0.0, 9.0, 99.0],
            "rate": [0.1, 0.9, 0.9, 0.1, 0.9, 0.9],
        }
    )

    class Pairs:
        source = np.array([0, 0, 0, 3, 4])
        target = np.array([7, 9, 8, 7, 7])
        votes = np.array([6.0, 3.0, 1.0, 5.0, 5.0])

    found = rephrases(texts, texts[texts["rate"] > 0.5], Pairs, 3)
    assert sorted(zip(found.sources, found.targets, found.users.tolist(), strict=True)) == [
        ("turn of lamp", "fine", 4),
        ("turn of lamp", "lamp off", 4),
    ]
