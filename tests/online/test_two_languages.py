"""A home with several languages whose requests name none: the artefact tells in which a request is."""

import pytest

from rewriter import Rewriter
from rewriter.codes import Reason, Standing
from rewriter.config import Config, Trigger
from rewriter.offline.catalog_layer import learn_catalog
from rewriter.operate.explain import explain
from rewriter.text import normalise, unspaced

TEXTS = {
    "en": [
        "turn on the kitchen light",
        "turn off the kitchen light",
        "play despacito please",
        "what time is it",
        "lock the front door",
    ],
    "de": ["mach das licht in der küche an", "mach das licht in der küche aus", "spiel bitte musik", "wie spät ist es"],
    "tr": ["mutfak ışığını aç", "mutfak ışığını kapat", "saat kaç", "müziği durdur"],
    "ja": ["キッチンの電気をつけて", "キッチンの電気を消して", "今何時", "音楽を止めて"],
    "zh-CN": ["打开厨房的灯", "关闭厨房的灯", "现在几点", "停止播放音乐"],
}
HEARD = {
    "turn off the kitchn light": "turn off the kitchen light",
    "mach das licht in der küche on": None,
    "mach das lich in der küche an": "mach das licht in der küche an",
    "mutfak isigini kapat": "mutfak ışığını kapat",
    "キッチンの電気お消して": "キッチンの電気を消して",
    "打开厨房灯": "打开厨房的灯",
    "play despacito bitte": None,
}
"""What was heard -> what is sent; None where only the language of the answer is looked at."""
LANGUAGE = ["en", "de", "de", "tr", "ja", "zh-CN", "en"]

MIXED = {
    "mach das licht in der küche on": "mach das licht in der küche an",
    "turn off the küche light": "turn off the kitchen light",
    "mutfak light kapat": "mutfak ışığını kapat",
    "play despacito bitte": "play despacito please",
    "spiel despacito bitte": "play despacito please",
    "wie spät is it": "wie spät ist es",
    "what time ist es": "what time is it",
    "打开 kitchen 的灯": "打开厨房的灯",
    "キッチンの light を消して": "キッチンの電気を消して",
    "lock die front door": "lock the front door",
    "unlock die front door": None,
    "mach das licht in der küche off": None,
    "turn on das licht in der küche": None,
    "mutfak ışığını off": None,
    "schalte kitchen light off": None,
}
"""What was heard in two languages at once -> what is sent; None where the other language decides: nothing is sent."""


@pytest.fixture(scope="module")
def rewriter(tmp_path_factory):
    out = tmp_path_factory.mktemp("languages")
    rows = [{"text": text, "locale": locale} for locale, texts in TEXTS.items() for text in texts]
    learn_catalog(rows, out=out, config=Config(trigger=Trigger(max_loss_share=0.25)), complete=True)
    return Rewriter.open(out)


@pytest.mark.parametrize(("heard", "locale"), list(zip(HEARD, LANGUAGE, strict=True)))
def test_a_request_without_a_locale_is_answered_in_its_language(rewriter, heard, locale):
    answer = rewriter.rewrite(heard, after_failure=True)
    assert answer.candidates[0].text in TEXTS[locale]
    if HEARD[heard]:
        assert answer.reason == Reason.ONLINE
        assert answer.text == HEARD[heard]
    assert rewriter.rewrite(heard, locale=locale, after_failure=True).text == answer.text


def test_what_works_is_known_in_every_language(rewriter):
    for texts in TEXTS.values():
        for text in texts:
            assert rewriter.rewrite(text).reason == Reason.HEALTHY


@pytest.mark.parametrize(("locale", "text"), [(locale, text) for locale, texts in TEXTS.items() for text in texts])
def test_capitals_and_small_letters_are_one_text_in_the_language_that_is_detected(rewriter, locale, text):
    capitals = (text.replace("i", "İ").replace("ı", "I") if locale == "tr" else text).upper()
    assert rewriter.rewrite(capitals).reason == Reason.HEALTHY


@pytest.mark.parametrize(("heard", "locale"), list(zip(HEARD, LANGUAGE, strict=True)))
def test_the_explanation_is_of_the_language_that_is_detected(rewriter, heard, locale):
    found = explain(rewriter._root, heard, after_failure=True)
    assert {unspaced(candidate.text) for candidate in found.candidates} <= {
        unspaced(normalise(of, locale)) for of in TEXTS[locale]
    }


def test_a_locale_that_is_given_is_not_doubted(rewriter):
    answer = rewriter.rewrite("turn off the kitchn light", locale="ja", after_failure=True)
    assert not answer.applied


def test_a_lesson_is_known_whatever_language_its_words_are_like(rewriter):
    said = {"mutfak": "en", "kitchen": "de", "spiel": "tr", "gute nacht": "zh-CN"}
    for text, locale in said.items():
        rewriter.teach(text, [TEXTS[locale][0]], user_id="eva", locale=locale)
    for text, locale in said.items():
        assert rewriter.rewrite(text, user_id="eva").text == TEXTS[locale][0]
        assert not rewriter.rewrite(text, user_id="ann").applied
    rewriter.teach("mutfak", [TEXTS["tr"][1]], user_id="eva", locale="tr")
    assert rewriter.rewrite("mutfak", user_id="eva").text == TEXTS["tr"][1]


def test_one_user_may_switch(rewriter):
    for heard, sent in HEARD.items():
        if sent:
            assert rewriter.rewrite(heard, user_id="ann", after_failure=True).text == sent


@pytest.mark.parametrize("heard", MIXED)
def test_a_mixed_request_is_sent_where_the_rest_of_it_tells(rewriter, heard):
    answer = rewriter.rewrite(heard, after_failure=True)
    assert (answer.text if answer.applied else None) == MIXED[heard]


ROOMS = {"kitchen": ("mutfak", "küche"), "bath": ("banyo", "bad"), "hall": ("salon", "flur")}
WAYS = {"on": ("aç", "an"), "off": ("kapat", "aus")}
FOREIGN = {
    "mutfak ışığını off": "mutfak ışığını kapat",
    "mutfak ışığını on": "mutfak ışığını aç",
    "kitchen ışığını kapat": "mutfak ışığını kapat",
    "mach das licht im bad off": "mach das licht im bad aus",
    "mach das licht im kitchen aus": "mach das licht im küche aus",
    "turn kapat the hall light": "turn off the hall light",
    "aralat the hall door": None,
    "mutfak ışığını dim": None,
    "garage ışığını kapat": None,
    "on off": None,
}
"""What was heard in two languages at once -> what is sent, where the catalog tells what the foreign word means."""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    out = tmp_path_factory.mktemp("told")
    rows = [
        {"text": text, "locale": locale, "intent": way, "slots": {"area": room}}
        for room, (odasi, raum) in ROOMS.items()
        for way, (ac, an) in WAYS.items()
        for locale, text in (
            ("en", f"turn {way} the {room} light"),
            ("tr", f"{odasi} ışığını {ac}"),
            ("de", f"mach das licht im {raum} {an}"),
        )
    ]
    doors = [(room, odasi, *way) for room, (odasi, _) in ROOMS.items() for way in (("lock", "kilitle"), ("unlock", "aralat"))]
    for room, odasi, way, fiil in doors:
        pair = {"en": f"{way} the {room} door", "tr": f"{odasi} kapısını {fiil}"}
        rows += [{"text": text, "locale": at, "intent": way, "slots": {"door": room}} for at, text in pair.items()]
    learn_catalog(rows, out=out, config=Config(trigger=Trigger(max_loss_share=0.25)), complete=True)
    return Rewriter.open(out)


@pytest.mark.parametrize("heard", FOREIGN)
def test_a_foreign_word_that_decides_is_translated(told, heard):
    answer = told.rewrite(heard, after_failure=True)
    assert (answer.text if answer.applied else None) == FOREIGN[heard]
    assert not told.rewrite(heard).applied, "before the NLU nothing is sent"


NEGATED = [
    "nicht lock the hall door",
    "don't mach das licht im bad aus",
    "don't mach das licht im kitchen aus",
    "nicht unlock die hall door",
    "do not mutfak ışığını kapat",
    "stop mach das licht im bad an",
]
"""A word of one language negates or stops what the other words ask for."""


@pytest.mark.parametrize("locale", [None, "en", "de", "tr"])
@pytest.mark.parametrize("heard", NEGATED)
def test_what_another_language_negates_is_neither_sent_nor_suggested(told, heard, locale):
    answer = told.rewrite(heard, locale=locale, after_failure=True)
    assert not answer.applied
    assert answer.suggestion is None


@pytest.mark.parametrize(
    ("heard", "locale", "meant", "finding"),
    [
        ("nicht lock the hall door", "en", "lock the hall door", "drops_negation|nicht||"),
        ("don't mach das licht im bad aus", "de", "mach das licht im bad aus", "drops_negation|don't||"),
        ("lock die hall door", "en", "lock the hall door", ""),
        ("mach das licht im bad off", "de", "mach das licht im bad aus", ""),
    ],
)
def test_the_explanation_names_the_word_of_the_other_language(told, heard, locale, meant, finding):
    found = {candidate.text: candidate for candidate in explain(told._root, heard, locale=locale, after_failure=True).candidates}
    assert found[meant].detail == finding
    assert (found[meant].standing == Standing.FORBIDDEN) == bool(finding)


def test_the_explanation_names_what_the_translation_leads_to(told):
    found = explain(told._root, "mutfak ışığını off", after_failure=True)
    assert (found.rewrite.text, found.candidates[0].text) == ("mutfak ışığını kapat", "mutfak ışığını kapat")
