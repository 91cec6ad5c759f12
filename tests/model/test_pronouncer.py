"""Phones: the table and its contexts, the letters of every other language."""

import pytest

from rewriter.model.pronouncer import BROAD, LetterPronouncer, TablePronouncer, contexts, pronouncer_of


def naive(table, word):
    """The widest context of each letter that the table holds, written down plainly."""
    phones = ""
    for i, letter in enumerate(word):
        best = letter
        for n in range(5):
            for m in sorted({max(n - 1, 0), n}):
                left, right = ("#" + word[:i])[max(0, len(word[:i]) + 1 - m) :] if m else "", (word[i + 1 :] + "#")[:n]
                best = table.get(f"{left}|{letter}|{right}", best)
        phones += best
    return phones


def test_a_word_is_looked_up_in_the_widest_contexts():
    english = pronouncer_of("en")
    for word in ("kitchen", "thermostat", "schedule", "a", "lights", "don't"):
        assert english.phones(word) == naive(english._table, word)


def test_contexts_grow_one_letter_at_a_time_and_end_with_the_word():
    keys = contexts("cat", 1)
    assert keys == ["|a|", "|a|t", "c|a|t", "c|a|t#", "#c|a|t#"]


@pytest.mark.parametrize(("one", "other"), [("write", "right"), ("night", "knight"), ("weather", "wether")])
def test_english_words_that_sound_alike(one, other):
    english = pronouncer_of("en-US")
    assert english.phones(one) == english.phones(other)


def test_words_run_together_sound_the_same():
    assert (
        pronouncer_of("en").phones("bed side lamp").translate(BROAD)[-3:]
        == pronouncer_of("en").phones("lamp").translate(BROAD)[-3:]
    )
    assert LetterPronouncer().phones("turn off") == "turnof"


def test_other_languages_are_their_letters_in_latin_script():
    assert pronouncer_of("tr").phones("açma") == "acma"
    assert pronouncer_of("ru").phones("включи свет") == "vklyuchisvet"
    assert pronouncer_of("ja").phones("消して") == "xiaoshite"
    assert pronouncer_of("de") is pronouncer_of("de")


def test_an_unknown_letter_stands_for_itself():
    assert TablePronouncer({"|a|": "ɑ"}).phones("aß") == "ɑß"
