"""What a request that may be fine keeps: nothing that tells is left out, nothing that was not heard is put in its place."""

import pytest

from rewriter.guardrail import Guardrail
from rewriter.guardrail.lexicon import for_locale, shipped
from rewriter.messages import guardrail_finding


@pytest.mark.parametrize(
    ("locale", "hearings", "target", "reason"),
    [
        ("en", ["cancel the pasta timer"], "cancel the timer", "leaves out pasta"),
        ("en", ["cancel all timers"], "cancel timers", "leaves out all"),
        ("en", ["cancel all timers"], "cancel my timer", "leaves out all"),
        ("en", ["turn off the key chain lights"], "turn off the kitchen light", None),
        ("en", ["um cancel the timer please"], "cancel the timer", None),
        ("en", ["turn on the lamb in the kitchen"], "turn on the lamp in the kitchen", None),
        ("en", ["what is the time"], "what is the date", "date was not heard"),
        ("en", ["what time is it"], "what is the date", "date was not heard"),
        ("en", ["what is the time", "what is the date"], "what is the date", None),
        ("en", ["play queen"], "play the beatles", "beatles was not heard"),
        ("en", ["on the kitchen lamp"], "turn on the kitchen lamp", None),
        ("en", ["turn on the lamp"], "turn on the kitchen lamp", None),
        ("en", ["check milk off my list"], "check off milk on my list", None),
        ("en", ["wisdom on the kitchen lamp"], "turn on the kitchen lamp", "turn was not heard"),
        ("de", ["mach bitte das licht an"], "mach licht an", None),
        ("de", ["spiele radio bob"], "spiele radio paradiso", "paradiso was not heard"),
        ("fr", ["allume euh la lampe s'il te plaît"], "allume la lampe", None),
        ("fr", ["allume la lampe bleue"], "allume la lampe", "leaves out bleue"),
        ("es", ["apaga la luz azul por favor"], "apaga la luz", "leaves out azul"),
        ("it", ["accendi la luce blu"], "accendi la luce", "leaves out blu"),
        ("nl", ["zet de blauwe lamp aan alsjeblieft"], "zet de lamp aan", "leaves out blauwe"),
        ("tr", ["lütfen mavi ışığı aç"], "ışığı aç", "leaves out mavi"),
        ("tlh", ["uh play"], "play", "leaves out uh"),
        ("th", ["ห้ อ ง นั่ ง เว่ น"], "ห้ อ ง นั่ ง เล่ น", None),
        ("th", ["ไฟ ห้ อ ง คั ว"], "ไฟ ห้ อ ง ค รั ว", None),
        ("th", ["เปิ ด ไฟ ห้ อ ง น อ น"], "เปิ ด ไฟ ห้ อ ง ค รั ว", "ค รั ว was not heard"),
        ("th", ["อ ย่า เปิ ด ไฟ"], "เปิ ด ไฟ", "leaves out อ ย่า"),
        ("zh", ["打 开 厨 防 的 灯"], "打 开 厨 房 的 灯", None),
        ("zh", ["不 打 开 厨 房 的 灯"], "打 开 厨 房 的 灯", "leaves out 不"),
        ("zh", ["播 放 下 一 首"], "播 放 上 一 首", "上 was not heard"),
        ("ja", ["電 気 お 消 し て"], "電 気 を 消 し て", None),
        ("ja", ["寝 室 の 電 気"], "居 間 の 電 気", "居 間 was not heard"),
    ],
)
def test_pairs(locale, hearings, target, reason):
    finding = Guardrail.open(locale).alters(hearings, target)
    assert (finding and guardrail_finding(finding.packed())) == reason


@pytest.mark.parametrize("language", sorted(set(shipped()) - {"und"}))
def test_light_words_say_nothing_in_a_slot_of_numbers_or_negation(language):
    lexicon = for_locale(language)
    assert len(lexicon.light) > 30
    negations = {phrase[0] for entries in lexicon.phrases.values() for phrase, said in entries
                 if len(phrase) == 1 and any(slot == "negation" for slot, _ in said)}  # fmt: skip
    assert not lexicon.light & negations
