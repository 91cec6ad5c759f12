"""Training files of other assistants become rows of a catalog; what cannot be used is counted, and never a traceback."""

import json

import pytest

from rewriter.errors import LogError
from rewriter.offline.catalog import read_catalog
from rewriter.offline.catalog_formats import MOST_TEXTS, expand

RASA = """
version: "3.1"
nlu:
# lights
- intent: light_off
  examples: |
    - turn off the [kitchen](room) light
    - turn off the [loo](room:bathroom) light
    - fly from [rome]{"entity": "city", "role": "from"} to [paris]{"entity": "city", "role": "to"}
    - broken [x]{"entity": }
    no dash
- synonym: bathroom
  examples: |
    - loo
- intent: greet
  examples: [hi]
- intent: bye
  examples: |
    - bye
rules:
- rule: say bye
  steps:
  - intent: bye
"""


def rows(*files):
    catalog, report = read_catalog(files)
    return dict(zip(catalog.texts, catalog.hypotheses, strict=True)), dict(report.rejected), catalog.locales


def test_rasa(tmp_path):
    path = tmp_path / "nlu.yml"
    path.write_text(RASA, encoding="utf-8")
    found, rejected, _ = rows(path)
    assert found == {
        "turn off the kitchen light": "light_off|room=kitchen",
        "turn off the loo light": "light_off|room=bathroom",
        "fly from rome to paris": "light_off|city.from=rome|city.to=paris",
        "bye": "bye",
    }
    assert rejected == {
        "an entity that cannot be read": 1,
        "a line that is no example": 1,
        "examples that are no block of lines (examples: |)": 1,
    }


def test_alexa(tmp_path):
    kinds = [{"name": "ROOM", "values": [{"name": {"value": "bathroom", "synonyms": ["loo"]}}, {"name": {"value": "hall"}}]}]
    slots = [{"name": "room", "type": "ROOM"}, {"name": "n", "type": "AMAZON.NUMBER"}]
    intents = [{"name": "Off", "slots": slots, "samples": ["light off in {room}", "set {n}"]}, {"name": "AMAZON.StopIntent"}]
    path = tmp_path / "en-US.json"
    path.write_text(json.dumps({"interactionModel": {"languageModel": {"intents": intents, "types": kinds}}}), encoding="utf-8")
    found, rejected, locales = rows(path)
    assert found == {
        "light off in bathroom": "Off|room=bathroom",
        "light off in loo": "Off|room=bathroom",
        "light off in hall": "Off|room=hall",
    }
    assert rejected == {"a slot without a list of values": 1}
    assert set(locales) == {"en-US"}


DAMAGED = ['{"interactionModel": 3}', '{"interactionModel": {"languageModel": {"intents": [4]}}}', '{"interactionModel": {']


@pytest.mark.parametrize("model", DAMAGED)
def test_a_damaged_alexa_model_is_counted(model, tmp_path):
    path = tmp_path / "model.json"
    path.write_text(model, encoding="utf-8")
    assert rows(path)[:2] == ({}, {"no Alexa interaction model": 1})


def test_dialogflow(tmp_path):
    folder = tmp_path / "intents"
    folder.mkdir()
    said = [
        {"data": [{"text": "light off in the "}, {"text": "hall", "alias": "room", "meta": "@room"}], "isTemplate": False},
        {"data": [{"text": "@room:room off"}], "isTemplate": True},
        {"data": 3},
        "x",
    ]
    (folder / "Off_usersays_de.json").write_text(json.dumps(said), encoding="utf-8")
    (folder / "On_usersays_de.json").write_text("{", encoding="utf-8")
    (folder / "Off.json").write_text("{}", encoding="utf-8")
    found, rejected, locales = rows(tmp_path)
    assert (found, locales) == ({"light off in the hall": "Off|room=hall"}, ["de"])
    assert rejected == {"a template phrase": 1, "no training phrase": 2, "no list of training phrases": 1}


def test_ovos(tmp_path):
    folder = tmp_path / "en-us"
    folder.mkdir()
    (folder / "room.entity").write_text("hall\nbath room\n", encoding="utf-8")
    lines = ["# comment", "(turn|switch) off [the] {room}", "play {title}", "(a|b", "x" + "(a|b)" * 9]
    (folder / "off.intent").write_text("\n".join(lines), encoding="utf-8")
    found, rejected, locales = rows(tmp_path)
    assert len(found) == 8
    assert found["switch off the bath room"] == "off|room=bath room"
    assert set(locales) == {"en-US"}
    bad = {"a slot without a list of values", "a bracket without a partner", f"expands to more than {MOST_TEXTS} texts"}
    assert rejected == dict.fromkeys(bad, 1)


@pytest.mark.parametrize(
    ("sample", "texts"),
    [
        ("stop", ["stop"]),
        ("a (b|c (d|e))", ["a b", "a c d", "a c e"]),
        ("[please|kindly] stop", ["please stop", "kindly stop", "stop"]),
        ("(a|) b", ["a b", "b"]),
        ("a | b", ["a | b"]),
    ],
)
def test_expansion(sample, texts):
    assert expand(sample) == texts


@pytest.mark.parametrize("sample", ["(a", "a)", "[a)", "(a]", "(" * 100_000, "(a|b)" * 1000])
def test_what_cannot_be_expanded_is_refused(sample):
    with pytest.raises(ValueError, match=r"bracket|expands"):
        expand(sample)


def test_a_folder_of_neither_is_one_clear_line(tmp_path):
    with pytest.raises(LogError, match=r"no intents/.* and no \.intent file"):
        read_catalog(tmp_path)
