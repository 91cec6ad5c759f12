import json
import random
import threading
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.errors import ArtefactError
from rewriter.model.encoder import BlockEncoder, StaticEncoder, buckets, open_encoder, pieces, random_table, unit_rows
from rewriter.text import normalise

TABLE = random_table(dim=32, seed=0)
TEXTS = st.text(max_size=60).map(normalise)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("stop", ["stop"]),
        ("ice cream nowadays", ["ice", "cream", "nowadays", "ice cre", "eam now"]),
        ("the light the light", ["the", "light", "the lig", "ght the"]),
    ],
)
def test_parts_of_a_text(text, expected):
    assert list(pieces(text)) == expected


@pytest.mark.parametrize(
    ("part", "grams"),
    [
        ("up", ["<u", "up", "p>", "<up", "up>", "<up>", "=up"]),
        ("it up", ["tu", "itu", "tup", "itup"]),
        ("ght the", ["tt", "htt", "tth", "ghtt", "htth", "tthe"]),
        ("a b", ["ab"]),
        ("ö", ["<ö", "ö>", "<ö>", "=ö"]),
    ],
)
def test_pieces_of_a_part(part, grams):
    assert sorted(buckets(part, 1 << 20)) == sorted(crc32(gram.encode()) % (1 << 20) for gram in grams)


def plain_vector(table, text):
    """The sum over all pieces of all distinct parts, one by one."""
    total = np.zeros(table.shape[1])
    for part in dict.fromkeys(pieces(text)):
        for bucket in buckets(part, len(table)):
            total += table[bucket]
    length = np.sqrt((total * total).sum())
    return total / length if length else total


@given(st.lists(TEXTS, max_size=6))
def test_static_encoder_is_the_sum_of_the_pieces(texts):
    vectors = StaticEncoder(TABLE).encode(texts)
    assert vectors.shape == (len(texts), 32)
    assert vectors.dtype == np.float32
    for vector, text in zip(vectors, texts, strict=True):
        assert vector == pytest.approx(plain_vector(TABLE, text), abs=1e-5)


@given(TEXTS)
def test_rows_have_unit_length(text):
    vector = StaticEncoder(TABLE).encode([text])[0]
    assert np.linalg.norm(vector) == pytest.approx(1.0 if text else 0.0, abs=1e-5)


def test_random_directions_keep_the_similarity_of_spelling():
    """Johnson and Lindenstrauss: the inner product is the cosine of the bags of pieces within a few 1 / sqrt(dim)."""
    texts = ["turn off the lamp", "turn of the lamp", "turn off the clamp", "what is the weather", "ice cream", "i scream"]
    bags = [{b: 0 for part in pieces(text) for b in buckets(part, 1 << 14)} for text in texts]
    for bag, text in zip(bags, texts, strict=True):
        for part in pieces(text):
            for bucket in buckets(part, 1 << 14):
                bag[bucket] += 1
    dim = 1024
    vectors = StaticEncoder(random_table(dim, seed=1)).encode(texts)
    for i, a in enumerate(bags):
        for j, b in enumerate(bags):
            dot = sum(a[bucket] * b.get(bucket, 0) for bucket in a)
            cosine = dot / np.sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))
            assert float(vectors[i] @ vectors[j]) == pytest.approx(cosine, abs=5 / np.sqrt(dim))


def test_a_full_memory_of_parts_changes_nothing(monkeypatch):
    monkeypatch.setattr("rewriter.model.encoder._CACHED", 3)
    encoder, texts = StaticEncoder(random_table(16, 0)), ["turn on the lamp", "play the radio", "turn on the lamp"]
    once = encoder.encode(texts)
    assert once == pytest.approx(StaticEncoder(random_table(16, 0)).encode(texts))
    assert len(encoder._kept) <= 3


def test_threads_share_an_encoder(monkeypatch):
    monkeypatch.setattr("rewriter.model.encoder._CACHED", 50)
    encoder, table = StaticEncoder(random_table(16, 0)), random_table(16, 0)
    wrong = []

    def work(seed):
        rng = random.Random(seed)
        for _ in range(100):
            text = " ".join(rng.choices(["turn", "on", "off", "lamp", "radio", "play", "stop", "the", "a"], k=4))
            if not np.allclose(encoder.encode([text])[0], plain_vector(table, text), atol=1e-5):
                wrong.append(text)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@given(TEXTS, TEXTS, st.floats(0.1, 10))
def test_blocks_weigh_what_their_encoders_say(a, b, weight):
    first, second = StaticEncoder(TABLE[:, :16]), StaticEncoder(TABLE[::-1, :24])
    both = BlockEncoder([first, second], [weight, 1])
    left, right = both.encode([a, b])
    one, other = (float(np.prod(e.encode([a, b]), axis=0).sum()) for e in (first, second))
    assert left.shape == (40,)
    assert float(left @ right) == pytest.approx((weight * one + other) / (weight + 1), abs=1e-5)


def test_saved_encoders_open_as_they_were(tmp_path):
    texts = ["turn on the lamp", "", "spiel musik"]
    static = StaticEncoder(random_table(32, 5))
    both = BlockEncoder([static, StaticEncoder(random_table(16, 6))], [2, 1])
    for name, encoder in (("static", static), ("both", both)):
        encoder.save(tmp_path / name)
        opened = open_encoder(tmp_path / name)
        assert type(opened) is type(encoder)
        assert opened.dim == encoder.dim
        assert opened.encode(texts) == pytest.approx(encoder.encode(texts), abs=2e-3)  # half precision


def test_an_encoder_that_cannot_be_saved_is_refused(tmp_path):
    class Mine:
        dim = 2

        def encode(self, texts):
            return np.ones((len(texts), 2), dtype=np.float32)

    with pytest.raises(TypeError, match="Mine cannot be saved"):
        BlockEncoder([Mine()], [1]).save(tmp_path)


@pytest.mark.parametrize("header", [None, "[]", "{}", '{"kind": "os"}', "{"])
def test_damage_is_named(tmp_path, header):
    if header is not None:
        (tmp_path / "encoder.json").write_text(header)
    with pytest.raises(ArtefactError, match=r"encoder\.json"):
        open_encoder(tmp_path)


def test_a_missing_table_is_named(tmp_path):
    StaticEncoder(random_table(8, 0)).save(tmp_path)
    (tmp_path / "table.npy").unlink()
    with pytest.raises(ArtefactError, match=r"table\.npy"):
        open_encoder(tmp_path)
    (tmp_path / "table.npy").write_bytes(b"not an array")
    with pytest.raises(ArtefactError, match=r"table\.npy"):
        open_encoder(tmp_path)


def test_blocks_without_weights_are_refused(tmp_path):
    (tmp_path / "encoder.json").write_text(json.dumps({"kind": "blocks"}))
    with pytest.raises(ArtefactError, match=r"encoder\.json"):
        open_encoder(tmp_path)


def test_unit_rows():
    rows = np.array([[3, 4], [0, 0], [0, -2]], dtype=np.float32)
    assert unit_rows(rows).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0], [0, -1]]
