"""Assistants: strict phrases, injected faults, guesses, and Home Assistant's own parser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.errors import ConfigError
from rewriter.simulation import HomeAssistant, Household, Misrouting, PhraseAssistant
from rewriter.simulation.assistants import Guessing

TABLE = {"turn on the lamp": "on|name=lamp", "turn off the lamp": "off|name=lamp", "play jazz": "play|what=jazz"}


@pytest.fixture(scope="module")
def home():
    return HomeAssistant()


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("turn on the lamp", "on|name=lamp"),
        ("  Turn ON the lamp! ", "on|name=lamp"),
        ("turn on lamp", None),
        ("please turn on the lamp", None),
        ("", None),
    ],
)
def test_phrases_are_understood_word_by_word(text, understood):
    assert PhraseAssistant(TABLE).understand(text) == understood


def test_misrouting_answers_wrongly_or_refuses_and_leaves_the_rest_alone():
    faulty = Misrouting(PhraseAssistant(TABLE), {"Play jazz": "on|name=lamp", "turn off the lamp": None, "xyz": "play|what=jazz"})
    found = [faulty.understand(t) for t in ("play jazz!", "turn off the lamp", "xyz", "turn on the lamp", "abc")]
    assert found == ["on|name=lamp", None, "play|what=jazz", "on|name=lamp", None]


def test_a_guess_is_the_phrase_most_alike_and_only_that_far():
    sure = Guessing(PhraseAssistant(TABLE), TABLE, share=1.0)
    assert sure.understand("turn of the lamp") == "off|name=lamp"
    assert sure.understand("play jess") == "play|what=jazz"
    assert sure.understand("what is the weather in rome") is None


def test_nothing_is_guessed_at_share_zero():
    assert Guessing(PhraseAssistant(TABLE), TABLE, share=0.0).understand("turn of the lamp") is None


def test_the_share_of_refused_texts_is_guessed_at():
    texts = [f"turn on the lamp {i}" for i in range(4000)]
    assistant = Guessing(PhraseAssistant(TABLE), TABLE, share=0.25)
    guessed = [assistant.understand(t) is not None for t in texts]
    assert sum(guessed) / len(texts) == pytest.approx(0.25, abs=0.03)
    assert guessed == [assistant.understand(t) is not None for t in texts]


@given(st.text(max_size=40))
def test_an_assistant_is_a_function_of_the_text(text):
    assistant = Misrouting(Guessing(PhraseAssistant(TABLE), TABLE, 0.5), {"a": None})
    assert assistant.understand(text) == assistant.understand(text)


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("turn off the desk lamp", "HassTurnOff|name=desk lamp"),
        ("set a timer for fifteen minutes", "HassStartTimer|minutes=15"),
        ("set a timer for fifty minutes", "HassStartTimer|minutes=50"),
        ("add olive all to the list", "HassShoppingListAddItem|item=olive all"),
        ("turn on the lights in the kitchen", "HassTurnOn|area=kitchen|domain=light"),
        ("what time is it", "HassGetCurrentTime"),
        ("turn of the desk lamp", None),
        ("turn off the disk lamp", None),
        ("stop", None),
    ],
)
def test_home_assistant_understands_its_sentences(home, text, understood):
    assert home.understand(text) == understood


def test_home_assistant_speaks_other_languages():
    assert HomeAssistant(language="de").understand("Schalte Leselampe aus") == "HassTurnOff|name=Leselampe"


def test_home_assistant_with_names_of_ones_own():
    house = Household("en", ("loft",), (), {"light": ("moon",)}, {}, {}, (), None)
    assistant = HomeAssistant(house)
    assert assistant.understand("turn on the moon") == "HassTurnOn|name=moon"
    assert assistant.understand("turn on the lights in the loft") == "HassTurnOn|area=loft|domain=light"
    assert assistant.understand("turn off the desk lamp") is None


def test_unknown_language():
    with pytest.raises(ConfigError, match="no household speaks 'fr'; there are de, en"):
        HomeAssistant(language="fr")
    with pytest.raises(ConfigError, match="no sentences in 'xx'"):
        HomeAssistant(Household.of("en"), language="xx")


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "de"])
def test_every_phrase_of_a_household_is_understood_and_phrases_of_one_meaning_alike(language):
    home = Household.of(language)
    assistant = HomeAssistant(language=language)
    understood = {}
    for phrase in home.phrases():
        hypothesis = assistant.understand(phrase.text)
        assert hypothesis is not None, phrase
        understood.setdefault(phrase.meaning, set()).add(hypothesis)
    assert all(len(found) == 1 for found in understood.values())
    assert len({h for found in understood.values() for h in found}) == len(understood)
    assert assistant.understand(home.stop) == "HassNevermind"


def test_the_vocabulary_is_words_of_sentences(home):
    words = home.vocabulary()
    assert {"turn", "brightness", "timer"} <= words
    assert all(" " not in word and "{" not in word and "<" not in word for word in words)
