"""Households: phrases from templates."""

import json

import pytest
from worlds.recorded import household_of

from rewriter.errors import ConfigError
from rewriter.simulation import Household, Phrase
from rewriter.text import normalise

SMALL = {
    "language": "en",
    "stop": "never mind",
    "areas": ["Den"],
    "floors": [],
    "names": {"light": ["lamp", "spot"], "fan": ["fan"]},
    "words": {"level": ["ten"]},
    "personal": {"device": ["light"], "name": ["level"]},
    "phrases": [
        {"intent": "on", "it": ["light", "fan"], "say": ["{it} on", "Turn on the {it}"]},
        {"intent": "dim", "it": ["light"], "say": ["set {it} to {level}", "lamp on"]},
        {"intent": "area", "say": ["lights in the {area}"]},
    ],
}


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "home.json"
    path.write_text(json.dumps(SMALL), encoding="utf-8")
    return Household.from_json(path)


def test_phrases_are_templates_filled(small):
    assert list(small.phrases()) == [
        Phrase("lamp on", "on|it=lamp", {"device": "lamp"}),
        Phrase("turn on the lamp", "on|it=lamp", {"device": "lamp"}),
        Phrase("spot on", "on|it=spot", {"device": "spot"}),
        Phrase("turn on the spot", "on|it=spot", {"device": "spot"}),
        Phrase("fan on", "on|it=fan", {}),
        Phrase("turn on the fan", "on|it=fan", {}),
        Phrase("set lamp to ten", "dim|it=lamp|level=ten", {"device": "lamp", "name": "ten"}),
        Phrase("set spot to ten", "dim|it=spot|level=ten", {"device": "spot", "name": "ten"}),
        Phrase("lights in the den", "area|area=Den", {}),
    ]


@pytest.mark.parametrize("language", ["en", "de"])
def test_phrases_of_the_package_are_normal_and_said_once(language):
    texts = [phrase.text for phrase in Household.of(language).phrases()]
    assert len(texts) == len(set(texts)) > 200
    assert all(text == normalise(text) for text in texts)


@pytest.mark.parametrize("content", ["{", "[]", '{"language": "en"}'])
def test_a_household_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "home.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot read household"):
        Household.from_json(path)


def test_names_and_their_domains_come_from_goals():
    house = household_of(
        {
            "turn on the moon": "HassTurnOn|name=moon",
            "set moon brightness to ten percent": "HassLightSet|brightness=10;name=moon",
            "lock the shed": "HassTurnOn|name=shed",
            "is the gate open": "HassGetState|name=gate;state=open",
            "turn on the kettle": "HassTurnOn|name=kettle",
            "pause the radio": "HassMediaPause|name=radio",
            "lights in the den on": "HassTurnOn|area=den|domain=light",
        }
    )
    assert house.names == {
        "switch": ("kettle",),
        "cover": ("gate",),
        "light": ("moon",),
        "media_player": ("radio",),
        "lock": ("shed",),
    }
    assert house.areas == ("den",)
