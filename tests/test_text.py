import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.text import normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Turn  ON the Lamp, please! ", "turn on the lamp please"),
        ("set it to -5.5° at 7:30", "set it to -5.5° at 7:30"),
        ("What’s on? It`s 20%.", "what's on it's 20%"),
        ("STRASSE straße", "strasse strasse"),
        ("İstanbul ILIK ılık", "istanbul ilik ılık"),
        ("ﬁsh ２０", "fish 20"),
        ("co-op 10-20 -3 --3 a-3", "co op 10-20 -3 3 a 3"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("नमस्ते दुनिया", "नमस्ते दुनिया"),
        ("'quoted' rock 'n' roll", "quoted rock n roll"),
        ("!?…", ""),
        ("", ""),
        ("a\x00b\x1fc\nd", "a b c d"),
    ],
)
def test_known_texts(text, expected):
    assert normalise(text) == expected


@given(st.text())
def test_idempotent_and_tidy(text):
    once = normalise(text)
    assert normalise(once) == once
    assert once == " ".join(once.split())


@given(st.text())
def test_case_does_not_matter(text):
    assert normalise(text.upper().lower()) == normalise(text.upper())


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789 ,.-'"))
def test_plain_letters_survive(text):
    kept = [c for c in text if c.isalnum()]
    assert [c for c in normalise(text) if c.isalnum()] == kept


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_is_read_as_any_other_text(text):
    assert normalise("é " + text) == ("é " + normalise(text)).rstrip()
