"""Words of one language that stand for words of another, by what the assistant understands alike."""

import pytest

from rewriter.errors import ArtefactError
from rewriter.model.translations import FILE, mine_translations, open_translations, save_translations

ROOMS = {"kitchen": ("mutfak", "küche"), "bath": ("banyo", "bad"), "hall": ("salon", "flur")}
WAYS = {"on": ("aç", "an"), "off": ("kapat", "aus")}


def home(ways=("on", "off")):
    """Rows (locale, text, hypothesis) of a home in English, Turkish and German."""
    for room, (odasi, raum) in ROOMS.items():
        for way in ways:
            ac, an = WAYS[way]
            meant = f"{way}|{room}"
            yield from (("en", f"turn {way} the {room} light", meant), ("tr", f"{odasi} ışığını {ac}", meant))
            yield "de", f"mach das licht im {raum} {an}", meant


def mined(rows):
    return mine_translations(*map(list, zip(*rows, strict=True)))


def test_words_of_three_languages():
    found = mined(home())
    assert found["tr"] == {"an": "aç", "aus": "kapat", "bad": "banyo", "bath": "banyo", "flur": "salon", "hall": "salon"} | {
        "kitchen": "mutfak", "küche": "mutfak", "off": "kapat", "on": "aç",
    }  # fmt: skip
    assert {word: found["de"][word] for word in ("off", "kapat", "kitchen")} == {"off": "aus", "kapat": "aus", "kitchen": "küche"}


def test_one_pair_of_texts_is_not_enough():
    rows = [row for row in home() if "kitchen" in row[2]]
    assert mined(rows) == {}


def test_a_word_with_two_meanings_is_not_translated():
    """ "kapat" is off for lights and close for doors: in English it stays as it is, and both English words are "kapat"."""
    doors = [
        row
        for door in ("front", "back", "side")
        for way, (verb, fiil) in {"open": ("open", "arala"), "close": ("close", "kapat")}.items()
        for row in (("en", f"{verb} the {door} door", f"{way}|{door}"), ("tr", f"{door} kapıyı {fiil}", f"{way}|{door}"))
    ]
    found = mined([*home(), *doors])
    assert "kapat" not in found["en"]
    assert (found["tr"]["off"], found["tr"]["close"]) == ("kapat", "kapat")


def test_words_that_the_language_has_stay():
    rows = [*home(), ("tr", "off road müziği çal", "play|off road")]
    assert "off" not in mined(rows)["tr"]


def test_two_locales_of_one_language_are_not_translated():
    rows = [("en-US" if locale == "en" else "en-GB", text, meant) for locale, text, meant in home() if locale != "de"]
    assert mined(rows) == {}


def test_interpretations_of_one_language_alone_show_nothing():
    rows = [(locale, text, meant if locale == "en" else f"{locale} {meant}") for locale, text, meant in home()]
    assert mined(rows) == {}


def test_the_file(tmp_path):
    assert open_translations(tmp_path) == {}
    save_translations(tmp_path, {"tr": {"off": "kapat"}})
    assert open_translations(tmp_path) == {"tr": {"off": "kapat"}}
    (tmp_path / FILE).write_text("[1]", encoding="utf-8")
    with pytest.raises(ArtefactError):
        open_translations(tmp_path)
