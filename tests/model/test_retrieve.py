import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz import fuzz
from user_views import ENCODER, shelve, user

from rewriter.errors import ArtefactError
from rewriter.model import retrieve
from rewriter.model.habits import save_spoken
from rewriter.model.retrieve import Asked, Mix, Pool, Retriever, alike
from rewriter.similarity import phonetic_key

WORDS = [
    "turn",
    "turned",
    "on",
    "off",
    "of",
    "the",
    "a",
    "lamp",
    "lamb",
    "radio",
    "play",
    "music",
    "muse",
    "stop",
    "light",
    "night",
]
TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)
MIX = Mix(dense=0.4, letters=0.35, sounds=0.25, later=0.9)


def similarity(hearings, text):
    """The mix of the three channels for the best hearing, one by one."""
    vectors = ENCODER.encode([*hearings, text])
    best = (-9.0, 0, ())
    for place, hearing in enumerate(hearings):
        channels = (
            float(vectors[place] @ vectors[-1]),
            fuzz.ratio(hearing, text) / 100,
            fuzz.ratio(phonetic_key(hearing), phonetic_key(text)) / 100,
        )
        mixed = (0.4 * channels[0] + 0.35 * channels[1] + 0.25 * channels[2]) * 0.9**place
        if mixed > best[0] + 1e-4:
            best = (mixed, place, channels)
    return best


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(TEXT, min_size=1, max_size=30, unique=True),
    private=st.lists(st.tuples(st.integers(0, 2), TEXT), max_size=10),
    said=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 29)), max_size=20),
    hearings=st.lists(TEXT, min_size=1, max_size=3),
    k=st.integers(1, 40),
)
def test_retrieves_what_comparing_everything_would(tmp_path_factory, texts, private, said, hearings, k):
    said = sorted((u, row) for u, row in said if row < len(texts))
    folder = shelve(
        tmp_path_factory.mktemp("user_view"),
        texts,
        said=[(user(u), row, row + 7, row + 9) for u, row in said],
        private=[(user(u), text) for u, text in private],
    )
    opened = Retriever.open(folder)
    retriever = Retriever(opened.encoder, opened.user_view, opened.index, MIX)
    for u in (0, 3):
        found = retriever.retrieve(hearings, "en", user(u), k=k, pool=100)
        own = {row for v, row in said if v == u}
        mine = [text for v, text in private if v == u]
        everybodys = sorted((similarity(hearings, text)[0] for text in texts), reverse=True)
        personal = sorted((similarity(hearings, text)[0] for text in [texts[row] for row in own] + mine), reverse=True)
        shared = found.rows < len(texts)
        # Nothing but what is everybody's or one's own, each as it was written.
        assert [texts[row] for row in found.rows[shared]] == [t for t, s in zip(found.texts, shared, strict=True) if s]
        assert all(t in mine for t, s in zip(found.texts, shared, strict=True) if not s)
        assert found.personal.tolist() == [row in own or row >= len(texts) for row in found.rows.tolist()]
        assert [(t, d) for r, t, d in zip(found.rows, found.turns, found.last_day, strict=True) if r < len(texts)] == [
            (row + 7, row + 9) if row in own else (0, 0) for row in found.rows[shared].tolist()
        ]
        # The best of each, most alike first.
        assert (np.diff(found.similarity) <= 1e-6).all()
        assert sorted(found.similarity[found.personal], reverse=True)[:k] == pytest.approx(personal[:k], abs=2e-3)
        assert sorted(found.similarity[shared], reverse=True)[: min(k, len(texts))] == pytest.approx(everybodys[:k], abs=2e-3)
        assert len(set(found.rows.tolist())) == len(found.rows) <= 2 * k
        for i, text in enumerate(found.texts):
            mixed, place, channels = similarity(hearings, text)
            assert found.similarity[i] == pytest.approx(mixed, abs=2e-3)
            if found.hearings[i] == place:
                assert found.channels[i] == pytest.approx(channels, abs=2e-3)


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(TEXT, min_size=1, max_size=60, unique=True),
    private=st.lists(st.tuples(st.integers(0, 2), TEXT), max_size=10),
    said=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 29)), max_size=20),
    asked=st.lists(
        st.tuples(st.lists(TEXT, min_size=1, max_size=4, unique=True), st.sampled_from(["en", "fr"]), st.integers(0, 3)),
        min_size=1,
        max_size=8,
    ),
    k=st.integers(1, 9),
    pooled=st.sampled_from([2, 32]),
)
def test_many_requests_find_what_each_would(tmp_path_factory, texts, private, said, asked, k, pooled):
    """Also where more rows are found for several hearings than are compared in every channel."""
    said = [(user(u), row, row + 7, row + 9) for u, row in sorted(said) if row < len(texts)]
    folder = shelve(tmp_path_factory.mktemp("view"), texts, said=said, private=[(user(u), text) for u, text in private])
    asked = [Asked(hearings, locale, user(u) if u else "") for hearings, locale, u in asked]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(retrieve, "_POOLED", pooled)
        together, sizes = Retriever.open(folder).find_all(asked, k)
        one_by_one = [Retriever.open(folder).find(each.hearings, each.locale, each.user, k) for each in asked]
    for expected, found in zip(one_by_one, together.parts(sizes), strict=True):
        assert found.texts == expected.texts
        for name in Pool._fields[1:]:
            assert np.array_equal(getattr(found, name), getattr(expected, name)), name


def test_a_part_without_a_text_is_cut_after_the_others(tmp_path):
    retriever = Retriever.open(shelve(tmp_path, ["turn on", "turn off", "turn"]))
    pool, sizes = retriever.find_all([Asked(["turn"], "en"), Asked(["turn on"], "en")], 3)
    assert sizes == [3, 3]
    left, sizes = pool.without(["turn", "stop"], sizes, 2)
    assert sizes == [2, 2]
    assert left.texts == [*[text for text in pool.texts[:3] if text != "turn"], *pool.texts[3:5]]
    assert left.similarity.tolist() == pool.similarity[[pool.texts.index(text) for text in left.texts[:2]] + [3, 4]].tolist()


def test_a_small_pool_holds_the_nearest_vectors_of_either_kind(tmp_path):
    texts = ["turn on the lamp", "turn off the lamp", "turn the lamp off", "play music", "stop"]
    private = [(user(1), "turn on the lamb"), (user(1), "call zoe"), (user(2), "turn on the lamps")]
    found = Retriever.open(shelve(tmp_path, texts, private=private)).retrieve(["turn on the lamp"], "en", user(1), k=5, pool=1)
    assert found.texts == ["turn on the lamp", "turn on the lamb"]
    assert found.personal.tolist() == [False, True]


def test_a_later_hearing_finds_what_the_first_does_not(tmp_path):
    retriever = Retriever.open(shelve(tmp_path, ["play jazz", "turn off the lamp"]))
    found = retriever.retrieve(["tournament of lamb", "turn off the lamp"], "en", k=1)
    assert (found.texts, found.hearings.tolist()) == (["turn off the lamp"], [1])
    assert found.similarity[0] == pytest.approx(Mix().later, abs=1e-3)


def test_an_echo_is_known_and_never_found(tmp_path):
    folder = shelve(tmp_path, ["play dracula", "jungle dracula", "stop"], private=[(user(1), "jungle the dracula")])
    assert "jungle dracula" in Retriever.open(folder).retrieve(["jungle dracula now"], "en").texts
    save_spoken(folder, np.array([True, False, True]))
    retriever = Retriever.open(folder)
    assert set(retriever.retrieve(["jungle dracula now"], "en", user(1)).texts) == {"play dracula", "stop", "jungle the dracula"}
    assert "jungle dracula" not in retriever.find(["jungle dracula now"], "en").texts
    assert retriever.knows("jungle dracula", "en")
    save_spoken(folder, np.array([True]))
    with pytest.raises(ArtefactError, match="does not belong to this query book"):
        Retriever.open(folder)


def test_other_locales_are_not_looked_at(tmp_path):
    folder = shelve(
        tmp_path,
        ["spiel musik", "stopp", "play music", "stop"],
        locales=["de", "de", "en", "en"],
        said=[(user(1), 0, 1, 1), (user(1), 3, 1, 1)],
        private=[(user(1), "spiel mein lied", "de"), (user(1), "play my song", "en")],
    )
    retriever = Retriever.open(folder)
    assert set(retriever.retrieve(["play"], "en", user(1)).texts) == {"play music", "stop", "play my song"}
    assert set(retriever.retrieve(["play"], "de", user(1)).texts) == {"spiel musik", "stopp", "spiel mein lied"}
    assert retriever.retrieve(["play"], "fr", user(1)).texts == []
    assert set(retriever.retrieve(["play"], "de").texts) == {"spiel musik", "stopp"}


def test_interpretations_follow_their_rows(tmp_path):
    folder = shelve(tmp_path, ["play music", "stop", "go"], private=[(user(1), "zip"), (user(2), "zap")])
    found = Retriever.open(folder).retrieve(["zap"], "en", user(2))
    numbers = dict(zip(found.texts, found.interpretations.tolist(), strict=True))
    assert numbers == {"play music": 100, "stop": 101, "go": 102, "zap": 101}


@pytest.mark.parametrize("hearing", ["", "qqq", "42", "電気"])
def test_odd_hearings(tmp_path, hearing):
    found = Retriever.open(shelve(tmp_path, ["play music", "stop"])).retrieve([hearing], "en", user(1))
    assert len(found.rows) == 2
    assert np.isfinite(found.similarity).all()


def test_nothing_to_find(tmp_path):
    found = Retriever.open(shelve(tmp_path, [])).retrieve(["play"], "en", user(1))
    assert (len(found.rows), found.texts, found.channels.shape) == (0, [], (0, 3))


def test_all_pairs_are_compared():
    assert alike(["play", ""], ["play", "plan", "q"]) == pytest.approx(np.array([[1, 0.75, 0], [0, 0, 0]]))


def test_retrieving_imports_nothing_that_learns(tmp_path):
    shelve(tmp_path, ["play music"], said=[(user(1), 0, 1, 1)])
    code = (
        "import sys; from pathlib import Path; from rewriter.model.retrieve import Retriever;"
        f"assert Retriever.open(Path({str(tmp_path)!r})).retrieve(['play'], 'en', '{user(1)}').texts == ['play music'];"
        "heavy = {'torch', 'pandas', 'duckdb', 'sklearn', 'scipy', 'networkx', 'sentence_transformers', 'transformers',"
        "'onnxruntime', 'tokenizers'}; assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
