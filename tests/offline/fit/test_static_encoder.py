import numpy as np
import pytest

from rewriter.model.encoder import StaticEncoder, buckets, pieces, random_table
from rewriter.offline.fit.encoder import MinedRephrases, TextPairs, fit_static, training_pairs

NOUNS = ["lamp", "radio", "heater", "fan", "kettle", "oven", "blinds", "garage", "alarm", "music", "tv", "door"]
QUERIES = [f"turn {way} the {noun}" for noun in NOUNS for way in ("on", "off")] + [f"how is the {noun}" for noun in NOUNS]
# This recogniser hears the same wrong words every time; letters alone do not lead back.
EAR = {
    "lamp": "clamor",
    "radio": "ladle",
    "heater": "sweeter",
    "kettle": "metal",
    "oven": "dozen",
    "garage": "mirage",
    "off": "cough",
}


def heard(text):
    return " ".join(EAR.get(word, word) for word in text.split())


def rephrases(queries, users=5):
    pairs = [(heard(q), q) for q in queries if heard(q) != q]
    return MinedRephrases([s for s, _ in pairs], [t for _, t in pairs], np.full(len(pairs), users))


def found_first(encoder, queries):
    """Share of misheard queries whose nearest query is the one that was meant."""
    asked = [q for q in queries if heard(q) != q]
    nearest = (encoder.encode([heard(q) for q in asked]) @ encoder.encode(QUERIES).T).argmax(axis=1)
    return np.mean([QUERIES[i] == q for i, q in zip(nearest, asked, strict=True)])


def test_examples_are_the_rephrases_and_misheard_copies_of_every_query():
    learned = training_pairs(rephrases(QUERIES[:4]), QUERIES, min_users=3, seed=0)
    pairs = set(zip(learned.heard, learned.meant, strict=True))
    assert {(heard(q), q) for q in QUERIES[:4] if heard(q) != q} <= pairs
    # "off" was misheard in the rephrases, so it is in the copies of queries that nobody repeated.
    assert ("turn cough the door", "turn off the door") in pairs
    assert all(h and h != m and m in QUERIES for h, m in pairs)
    assert not any("mirage" in h for h, _ in pairs)


def test_rephrases_of_too_few_users_are_refused():
    few = MinedRephrases(["a", "b"], ["c", "d"], np.array([3, 2]))
    with pytest.raises(ValueError, match="a rephrase of 2 users must not train a shared encoder; the least is 3"):
        training_pairs(few, [], min_users=3, seed=0)


def test_examples_are_the_same_for_the_same_seed():
    some = rephrases(QUERIES[:9])
    assert training_pairs(some, QUERIES, min_users=3, seed=1) == training_pairs(some, QUERIES, min_users=3, seed=1)
    assert training_pairs(some, QUERIES, min_users=3, seed=1) != training_pairs(some, QUERIES, min_users=3, seed=2)


def test_without_examples_the_table_stays_as_drawn():
    untrained = fit_static(TextPairs([], []), seed=4, dim=16)
    assert untrained.encode(QUERIES).tolist() == StaticEncoder(random_table(16, 4)).encode(QUERIES).tolist()


@pytest.mark.slow
def test_training_is_quiet_repeatable_and_leads_from_what_is_heard_to_what_was_meant(tmp_path, monkeypatch, capfd):
    from huggingface_hub import constants

    monkeypatch.chdir(tmp_path)
    offline = constants.HF_HUB_OFFLINE
    repeated = [q for q in QUERIES if "lamp" not in q]
    learned = training_pairs(rephrases(repeated), QUERIES, min_users=3, seed=0)
    encoder = fit_static(learned, seed=0, dim=64)
    again = fit_static(learned, seed=0, dim=64)
    assert encoder.encode(QUERIES).tolist() == again.encode(QUERIES).tolist()
    assert found_first(StaticEncoder(random_table(64, 0)), repeated) < 0.75
    assert found_first(encoder, repeated) >= 0.95
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert constants.HF_HUB_OFFLINE is offline


@pytest.mark.slow
def test_the_trained_module_and_the_encoder_give_the_same_vectors():
    from rewriter.offline.fit.transformer_encoder import PieceEmbedding

    table = random_table(32, 1)
    module = PieceEmbedding(table)
    texts = [*QUERIES, "", "ice cream nowadays", "ß"]
    means = module(module.preprocess(texts))["sentence_embedding"].detach().numpy()
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    assert StaticEncoder(table).encode(texts) == pytest.approx(means / np.where(lengths > 0, lengths, 1), abs=1e-5)
    assert module.table().tolist() == table.tolist()
    assert module.preprocess(["up", "it"])["offsets"].tolist() == [0, len(buckets("up", len(table)))]
    assert sorted(module.preprocess(["up"])["input_ids"].tolist()) == sorted(buckets(*pieces("up"), len(table)))
