"""Contrasts and synonyms of words and endings: found in a small catalog of each language, and heeded by the guardrail."""

import json
from dataclasses import replace

import numpy as np
import pytest

from rewriter.artefact.versions import current
from rewriter.errors import ArtefactError
from rewriter.guardrail import Guardrail, Guardrails
from rewriter.guardrail.contrasts import FILE, Counts, Kind, Shown, WordContrasts, endings_of, open_contrasts, save_contrasts
from rewriter.messages import guardrail_finding
from rewriter.model.contrasts import mine_words
from rewriter.offline.catalog_layer import learn_catalog
from rewriter.operate.explain import explain
from rewriter.operate.info import info
from rewriter.operate.scrub import Person, _contrasts_without
from rewriter.text import normalise

CATALOG = {
    "en": {
        "heat bedroom": ["turn the heat up in the bedroom"],
        "heat bathroom": ["turn the heat up in the bathroom"],
        "heat kitchen": ["turn the heat up in the kitchen"],
        "heat living room": ["turn the heat up in the living room", "turn the heat up in the family lounge"],
        "heat guest bath": ["turn the heat up in the guest bath"],
        "lights on": ["turn on the lights", "turn on the light", "turn on the lamps"],
        "lights off": ["turn off the lights", "kill the lights", "turn off the light"],
        "blinds": ["open the blinds", "open the blind"],
        "lock": ["lock the gate"],
        "unlock": ["unlock the gate"],
        "mute": ["mute the tv"],
        "unmute": ["unmute the tv"],
        "red": ["make it red"],
        "blue": ["make it blue"],
        "call mary": ["show mary's calendar"],
        "call john": ["show john's calendar"],
    },
    "tr": {
        "lamp on": ["lambayı aç", "lambayı yak"],
        "lamp stay off": ["lambayı açma", "lambayı yakma"],
        "call": ["annemi ara"],
        "do not call": ["annemi arama"],
        "delete": ["mesajı sil"],
        "do not delete": ["mesajı silme"],
        "wait": ["burada bekle"],
        "do not wait": ["burada bekleme"],
        "sit": ["burada oturun"],
        "do not sit": ["burada oturmayın"],
        "hold": ["kapıyı tutun"],
        "do not hold": ["kapıyı tutmayın"],
        "open it": ["perdeyi açsın"],
        "do not open it": ["perdeyi açmasın"],
    },
    "es": {
        "lock": ["echa el cerrojo", "pasa el cerrojo"],
        "unlock": ["quita el cerrojo"],
        "louder": ["pon la música más fuerte", "pon la música más alta"],
        "softer": ["pon la música más floja"],
    },
    "nl": {"take": ["aanvaard het gesprek"], "refuse": ["weiger het gesprek"]},
    "de": {"close": ["schließe das rollo"], "open": ["öffne das rollo"], "room": ["licht im raum", "licht im zimmer"]},
}
ROWS = [(locale, normalise(text), meaning) for locale, of in CATALOG.items() for meaning, texts in of.items() for text in texts]
MEANINGS = sorted({(locale, meaning) for locale, _, meaning in ROWS})
MINED = mine_words([r[0] for r in ROWS], [r[1] for r in ROWS], [MEANINGS.index((r[0], r[2])) for r in ROWS])
GUARDRAILS = Guardrails(contrasts=MINED)


def kind(locale, one, other):
    shown = MINED[locale].shown(one, other)
    return shown and (shown.kind, shown.ending)


@pytest.mark.parametrize(
    ("locale", "one", "other", "expected"),
    [
        ("en", "on", "off", (Kind.CONTRAST, False)),
        ("en", "lights", "light", (Kind.SYNONYM, False)),
        ("en", "bedroom", "bathroom", (Kind.CONTRAST, False)),
        ("en", "bedrooms", "bedroom", (Kind.SYNONYM, True)),  # no text holds "bedrooms"
        ("en", "bedrooms", "bathroom", (Kind.CONTRAST, True)),
        ("en", "unpin", "pin", (Kind.CONTRAST, True)),  # by lock and mute
        ("en", "red", "kitchen", None),
        ("en", "living room", "kitchen", (Kind.CONTRAST, False)),
        ("en", "living room", "guest bath", (Kind.CONTRAST, False)),
        ("en", "living room", "family lounge", (Kind.SYNONYM, False)),
        ("tr", "açma", "aç", (Kind.CONTRAST, False)),
        ("tr", "uyandırma", "uyandır", (Kind.CONTRAST, True)),
        ("tr", "durdurmayın", "durdurun", (Kind.CONTRAST, True)),
        ("tr", "kapatmasın", "kapatsın", (Kind.CONTRAST, True)),
        ("tr", "aç", "yak", (Kind.SYNONYM, False)),
        ("es", "echa", "quita", (Kind.CONTRAST, False)),
        ("es", "echa", "pasa", (Kind.SYNONYM, False)),
        ("es", "fuerte", "floja", (Kind.CONTRAST, False)),
        ("de", "raum", "zimmer", (Kind.SYNONYM, False)),
    ],
)
def test_a_catalog_shows_what_changes_the_meaning(locale, one, other, expected):
    assert kind(locale, one, other) == kind(locale, other, one) if one in MINED[locale].partners else True
    assert kind(locale, one, other) == expected


NAMES = {"mary", "john", "maria", "petra", "ayşe", "ali", "ankara", "izmir", "berlin", "jazz"}


@pytest.mark.parametrize(
    ("locale", "source", "target"),
    [
        ("en", "turn the heat up in the bedrooms", "turn the heat up in the bathroom"),
        ("en", "turn the heat up in the bedroom please", "turn the heat up in the kitchen"),
        ("en", "heat up the living room", "heat up the kitchen"),
        ("en", "heat up the kitchen", "heat up the guest bath"),
        ("en", "heat up the living room please", "heat up the guest bath"),
        ("en", "don't turn off the tv", "turn off the tv"),
        ("en", "please never turn off the tv", "turn off the tv"),
        ("en", "order the iphone 12", "order the iphone 13"),
        ("en", "order the iphone twelve", "order the iphone 13"),
        ("en", "not okay", "okay"),
        ("en", "it is not okay", "it is okay"),
        ("en", "play anything but jazz", "play jazz"),
        ("en", "everything except jazz", "everything jazz"),
        ("en", "stop reminding me", "remind me"),
        ("en", "stop calling john", "call john"),
        ("en", "a train from berlin to paris", "a train from paris to berlin"),
        ("en", "translate rain from dutch to greek", "translate rain from greek to dutch"),
        ("en", "call mary's phone", "call john's phone"),
        ("en", "lock the window", "unlock the window"),
        ("de", "ruf marias handy an", "ruf petras handy an"),
        ("tr", "ayşe'yi ara", "ali'yi ara"),
        ("tr", "ankara'dan bilet", "izmir'den bilet"),
        ("tr", "babamı arama", "babamı ara"),
        ("tr", "beni uyandırma", "beni uyandır"),
        ("tr", "mesajı gönderme", "mesajı gönder"),
        ("tr", "müziği durdurmayın", "müziği durdurun"),
        ("tr", "kapıyı açmasın", "kapıyı açsın"),
        ("es", "echa el cerrojo de casa", "quita el cerrojo de casa"),
        ("es", "ponla más fuerte", "ponla más floja"),
        ("nl", "neem het gesprek aan", "weiger het gesprek"),
        ("nl", "aanvaard dit gesprek", "weiger dit gesprek"),
    ],
)
def test_no_rewrite_changes_what_is_meant(locale, source, target):
    guardrail = GUARDRAILS.of(locale)
    assert guardrail.verdict(source, target, names=NAMES, online=True) is not None
    assert guardrail.verdict(source, target, names=NAMES) or guardrail.crosses(source, target)  # on one restatement of one's own


@pytest.mark.parametrize(
    ("locale", "source", "target"),
    [
        ("en", "turn the heat up in the bedrooms", "turn the heat up in the bedroom"),
        ("en", "kill the light", "turn off the light"),
        ("en", "set a timer for fifteen minutes", "set a timer for 15 minutes"),
        ("en", "turn on the lamp", "turn on the light"),
        ("en", "open the kitchen blind", "open the kitchen blinds"),
        ("es", "pon la luz al 70 por ciento", "pon la luz al 70 %"),
        ("fr", "mets la lampe à 70 pour cent", "mets la lampe à 70 %"),
        ("it", "metti la luce al 70 per cento", "metti la luce al 70 %"),
        ("de", "licht auf 70 prozent", "licht auf 70 %"),
        ("de", "oeffne das garagentor", "öffne das garagentor"),
        ("de", "schliesse das rollo", "schließe das rollo"),
        ("de", "licht im zimmer an", "licht im raum an"),
        ("tr", "lambayı yak lütfen", "lambayı aç lütfen"),
        ("es", "pasa el cerrojo de casa", "echa el cerrojo de casa"),
    ],
)
def test_what_means_the_same_passes(locale, source, target):
    guardrail = GUARDRAILS.of(locale)
    source, target = normalise(source), normalise(target)
    assert guardrail.verdict(source, target, names=NAMES, online=True) is None
    assert guardrail.crosses(source, target) is None


def test_synonyms_are_heard_and_a_launched_rule_may_cross_a_contrast():
    floor, shown = Guardrail.open("de"), GUARDRAILS.of("de")
    assert floor.verdict("licht im zimmer", "licht im raum", knows={"licht"}.__contains__, online=True) is not None
    assert shown.verdict("licht im zimmer", "licht im raum", knows={"licht"}.__contains__, online=True) is None
    red = GUARDRAILS.of("en").verdict("make it red", "make it blue", online=True)
    assert guardrail_finding(red.packed()) == "'red' and 'blue' mean different things in 1 pair of texts, the same in 0"
    assert GUARDRAILS.of("en").verdict("make it red", "make it blue") is None


def test_texts_of_unknown_interpretation_show_nothing():
    assert mine_words(["en"] * 2, ["lamp on", "lamp off"], [-1, -1])["en"].words == {}


def test_endings_need_two_words_of_one_stem():
    assert endings_of("lights", "light") == ("-", "-s")
    assert endings_of("channel5", "channel6") is None
    one = WordContrasts.of({("lamp", "lamps"): Counts(0, 3)})
    assert one.shown("rooms", "room") is None


def test_what_is_saved_is_opened(tmp_path):
    save_contrasts(tmp_path, MINED)
    assert open_contrasts(tmp_path) == {locale: of for locale, of in MINED.items() if of.words}
    (tmp_path / FILE).write_text("[[1]]", encoding="utf-8")
    with pytest.raises(ArtefactError):
        open_contrasts(tmp_path)
    (tmp_path / FILE).unlink()
    assert open_contrasts(tmp_path) == {}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """An artefact made from the English catalog, whose interpretations are known, and from two texts whose are not."""
    root = tmp_path_factory.mktemp("served")
    rows = [{"text": text, "hypothesis": meaning} for locale, text, meaning in ROWS if locale == "en"]
    learn_catalog([*rows, {"text": "feed the cat"}, {"text": "feed the dog"}], out=root, complete=True)
    return root


def test_the_artefact_keeps_what_the_catalog_shows(served):
    kept = open_contrasts(current(served).folder / "online")["en"]
    assert kept == MINED["en"]
    assert kept.shown("cat", "dog") is None


def test_a_candidate_that_crosses_a_contrast_is_forbidden_and_explained(served):
    told = explain(served, "turn the heat up in the bedrooms", after_failure=True)
    standing = {c.text: (c.standing.value, c.detail) for c in told.candidates}
    assert standing["turn the heat up in the bedroom"][0] != "forbidden"
    assert standing["turn the heat up in the bathroom"] == ("forbidden", "crosses|bedrooms|bathroom|1:0")


def test_explain_and_info_show_contrasts_with_their_counts(served):
    told = explain(served, "unmute the tv")
    assert ("mute", "unmute", Counts(1, 0)) in told.words
    assert "'mute' and 'unmute' mean different things in 1 pair of texts, the same in 0" in told.sentences()
    rows = {row[:2]: row[2:] for row in info(served).word_rows()}
    pairs, named = rows["contrasts", "en"]
    assert pairs == "20"
    assert named.startswith("off/on 2")
    assert "bathroom/bedroom 1" in named
    assert "light/lights 2" in rows["synonyms", "en"][1]


def test_forgetting_takes_words_of_few_users_out(tmp_path):
    save_contrasts(tmp_path, MINED)
    person = Person("ann", "", 0, frozenset(), frozenset(), frozenset(), frozenset(), frozenset({"bedroom"}), 3)
    assert _contrasts_without(person, tmp_path) == 5  # and the pairs of several words
    left = open_contrasts(tmp_path)["en"]
    assert "bedroom" not in left.partners
    assert left.shown("bathroom", "kitchen") is not None
    assert _contrasts_without(person, tmp_path) == 0


def test_another_form_of_a_word_is_found_as_if_all_words_were_compared():
    """Words of two letters, so that stems and endings meet often; the reference compares every partner of the target."""
    rng = np.random.default_rng(0)
    words = ["", *("".join(rng.choice(["a", "b", "1"], n, p=[0.48, 0.48, 0.04])) for n in rng.integers(1, 8, 60))]
    pairs = sorted({tuple(sorted((words[i], words[j]))) for i, j in rng.integers(0, 61, (300, 2)) if words[i] != words[j]})
    drawn = [Counts(*map(int, of)) for of in rng.permutation([(3, 0), (0, 3), (1, 1)] * 100)]
    found = WordContrasts.of(dict(zip(pairs, drawn, strict=False)))
    endings = {ending for one in words for other in words if (ending := endings_of(one, other)) is not None}
    contrasts = replace(found, endings=dict(zip(sorted(endings), reversed(drawn), strict=False)))

    def reference(source, target):
        for word in contrasts.partners.get(target, ()):
            counts, ending = contrasts.words[tuple(sorted((word, target)))], endings_of(source, word)
            same = None if ending is None else contrasts.endings.get(ending)
            if same is not None and same.kind is Kind.SYNONYM and counts.kind is not None:
                return Shown(source, target, counts.kind, counts, ending=True)
        return None

    found = {(one, other): contrasts._of_another_form(one, other) for one in [*words, "cabba", "xy"] for other in words}
    assert found == {pair: reference(*pair) for pair in found}
    assert len({shown.kind for shown in found.values() if shown}) == 2


def test_the_file_is_json_whatever_the_words_are(tmp_path):
    words = ["", 'a"b\\c', "é\u2028", "\ud800", "\x07\n\t", "], ["]
    of = WordContrasts({(one, other): Counts(2, 1) for one in words for other in words if one < other})
    save_contrasts(tmp_path, {"en": of, "tr-TR": WordContrasts()})
    text = (tmp_path / FILE).read_text(encoding="utf-8", errors="surrogatepass")
    assert json.loads(text) == [["en", *pair, *counts] for pair, counts in sorted(of.words.items())]
    assert dict(open_contrasts(tmp_path)["en"].words) == of.words
