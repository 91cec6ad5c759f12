"""The data of languages: keyboards, sounds, and that nothing but the loader names a language."""

import pytest

from rewriter.locales import language_of, listed, pack_of
from rewriter.model.channel import channel_of
from rewriter.model.pronouncer import pronouncer_of
from rewriter.text import normalise

DECOMPOSED = {"ς", "ำ"}
"""Keys whose letter has another normal form: a final sigma is any sigma, a Thai vowel is written as its two parts."""


@pytest.mark.parametrize("language", sorted(listed()))
def test_a_keyboard_has_each_letter_once_and_in_its_normal_form(language):
    pack = pack_of(language)
    keys = "".join(pack.keyboard)
    assert len(set(keys)) == len(keys)
    assert len(pack.keyboard) == 3
    assert all(normalise(f"x{key}").replace(" ", "") == f"x{key}" for key in keys if key not in DECOMPOSED)


@pytest.mark.parametrize(
    ("locale", "language"), [("de-AT", "de"), ("pt_BR.UTF-8", "pt"), ("EN", "en"), ("zh-Hant-TW", "zh"), ("", "")]
)
def test_the_language_of_a_locale(locale, language):
    assert language_of(locale) == language


def test_a_language_that_is_not_listed_works_by_its_letters():
    assert "tlh" not in listed()
    assert pack_of("tlh").keyboard == pack_of("en").keyboard
    assert pronouncer_of("tlh").phones("nuqneh") == "nuqneh"


@pytest.mark.parametrize(
    ("locale", "text", "other"),
    [("sr", "лампа", "lampa"), ("ru", "привет", "privet"), ("zh", "打开", "da kai"), ("ja", "ライト", "raito")],
)
def test_texts_in_two_scripts_sound_alike(locale, text, other):
    assert pronouncer_of(locale).phones(normalise(text)) == pronouncer_of(locale).phones(normalise(other))


@pytest.mark.parametrize(
    ("locale", "said", "near", "far"),
    [
        ("ru", "дом", "том", "лом"),
        ("el", "δωρο", "τωρο", "λωρο"),
        ("th", "ดี", "ตี", "ลี"),
        ("ja", "だめ", "ため", "らめ"),
        ("ar", "دار", "تار", "لار"),
        ("hi", "दाल", "ताल", "लाल"),
    ],
)
def test_sounds_of_every_script_are_in_groups(locale, said, near, far):
    channel = channel_of("spoken", locale, [0.1, 3.0, 5.0, 4.0, 4.0])
    views = channel.views([normalise(said)])
    costs = [float(channel.cost(channel.views([normalise(heard)]), views)[0]) for heard in (near, far)]
    assert costs[0] < costs[1]
