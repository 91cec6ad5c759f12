"""The guardrail's parts: word lists, numbers, readings, names, sounds; and properties of the verdict."""

import json
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rewriter.codes import FindingKind
from rewriter.config import GuardrailSettings
from rewriter.errors import ConfigError
from rewriter.guardrail import DEFAULT, Finding, Guardrail, Guardrails
from rewriter.guardrail.lexicon import for_locale, read_lexicon, shipped
from rewriter.guardrail.numbers import numbers_in
from rewriter.guardrail.reading import names_in, read
from rewriter.messages import guardrail_finding
from rewriter.similarity import changes
from rewriter.text import normalise

FLIPPED = {FindingKind.FLIPS, FindingKind.CHANGES_NEGATION, FindingKind.DROPS_NEGATION, FindingKind.ADDS_NEGATION}
LANGUAGES = ["de", "en", "es", "fr", "it", "nl", "tr"]
MONDAY_FIRST = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]


def numbers(text, language):
    return [said.value for said in numbers_in(normalise(text).split(), Guardrail.open(language).lexicon)]


def raw(language):
    return json.loads((shipped() | shipped("generated"))[language].read_text(encoding="utf-8"))


# --- word lists ---


@pytest.mark.parametrize("language", sorted(shipped("generated")))
def test_generated_lists_know_the_numbers_of_their_language(language):
    """num2words, made by other people, spells most of the same numbers."""
    assert language not in shipped()
    package = pytest.importorskip("num2words", reason="pip install 'rewriter[dev]'")
    traditional = {"am", "cy"}  # where the two count, or spell, in different ways
    if not raw(language)["numbers"] or language in traditional or language not in package.CONVERTER_CLASSES:
        return
    said = {n: package.num2words(n, lang=language) for n in (2, 7, 12, 15, 50, 100)}
    right = sum(numbers(text, language) == [str(n)] for n, text in said.items())
    assert right >= 4, {n: (text, numbers(text, language)) for n, text in said.items()}


@pytest.mark.parametrize(
    ("locale", "source", "target", "kind"),
    [
        ("sv-SE", "ställ en timer på femton minuter", "ställ en timer på femtio minuter", "changes_number"),
        ("ru", "таймер на пятнадцать минут", "таймер на пятьдесят минут", "changes_number"),
        ("ja", "15分のタイマー", "五十分のタイマー", "changes_number"),
        ("ja", "15分のタイマー", "十五分のタイマー", None),
        ("zh", "二十度", "20度", None),
        ("th", "ตั้งเวลาสิบห้านาที", "ตั้งเวลาห้าสิบนาที", "changes_number"),
        ("pl", "obudź mnie w poniedziałek", "obudź mnie w piątek", "changes_value"),
        ("pt-BR", "liga a luz", "liga uma luz", None),
        ("sv", "sätt på en lampa i fem minuter", "sätt på lampan i fem minuter", None),
    ],
)
def test_numbers_and_days_of_generated_lists(locale, source, target, kind):
    finding = Guardrail.open(locale).verdict(normalise(source), normalise(target))
    assert (finding and finding.kind.value) == kind


def test_shipped_languages():
    assert sorted(shipped()) == sorted([*LANGUAGES, "und"])
    for language in shipped():
        assert for_locale(language).language == language
        assert raw(language)["about"]


@pytest.mark.parametrize(
    ("locale", "language"),
    [("en", "en"), ("en-GB", "en"), ("DE_at", "de"), ("sr-Latn-RS", "sr"), ("tlh", "und"), ("", "und"), ("../en", "und")],
)
def test_locale_falls_back_to_language_then_to_digits(locale, language):
    assert Guardrail.open(locale).lexicon.language == language


def test_opened_once():
    assert Guardrail.open("nl-BE") is Guardrail.open("nl-BE")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("{", "Expecting property name"),
        ("[]", "expected an object"),
        ("{}", 'at least "language"'),
        ('{"language": "xx", "polarities": {}}', "unknown section polarities"),
        ('{"language": "xx", "negation": []}', "section negation must be a dict, not a list"),
        ('{"language": "xx", "polarity": {"power": {"on": ["an"]}}}', "polarity power must have two sides"),
        ('{"language": "xx", "polarity": {"power": {"on": ["an"], "off": ["An!"]}}}', '"An!" is both on and off in power'),
        ('{"language": "xx", "polarity": {"power": {"on": "an", "off": []}}}', "must give each value a list"),
        ('{"language": "xx", "polarity": {"power": {"on": ["..."], "off": []}}}', "is no phrase"),
        ('{"language": "xx", "polarity": {"power": {"on": ["halt … jetzt an"], "off": []}}}', "is no phrase"),
        ('{"language": "xx", "polarity": {"day": {"a": [], "b": []}}, "values": {"day": {"a": ["x"]}}}', None),
        ('{"language": "xx", "polarity": {"day": {"a": ["y"], "b": []}}, "values": {"day": {"a": ["x"]}}}', "day stands in both"),
        ('{"language": "xx", "numbers": {"eins": "1"}}', "must be a number, not '1'"),
        ('{"language": "xx", "numbers": {"eins": true}}', "must be a number"),
        ('{"language": "xx", "numbers": {"eins": 1}, "ordinals": {"eins": 2}}', '"eins" is both 1 and 2'),
        ('{"language": "xx", "scales": {"hundert": 1.5}}', "1.5 must be a whole number"),
        ('{"language": "xx", "values": {"number": {"few": ["some"]}}}', "number is the slot of the numbers"),
        ('{"language": "xx", "homophones": ["to"]}', "homophones 'to' must be a list of words"),
        ('{"language": "xx", "joiners": ["und dann"]}', '"und dann" must be one word'),
    ],
)
def test_a_bad_word_list_is_one_clear_error(tmp_path, text, cause):
    path = tmp_path / "xx.json"
    path.write_text(text, encoding="utf-8")
    if cause is None:
        assert read_lexicon(path).language == "xx"
        return
    with pytest.raises(ConfigError) as caught:
        read_lexicon(path)
    assert str(caught.value).startswith("word list xx.json: ")
    assert cause in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_word_list(tmp_path):
    with pytest.raises(ConfigError, match=r"word list xx\.json: "):
        read_lexicon(tmp_path / "xx.json")


def test_one_file_adds_a_language(tmp_path):
    path = tmp_path / "eo.json"
    data = {"language": "eo", "polarity": {"power": {"on": ["ŝaltu"], "off": ["malŝaltu"]}}, "numbers": {"du": 2, "tri": 3}}
    path.write_text(json.dumps(data), encoding="utf-8")
    guardrail = Guardrail(read_lexicon(path))
    assert guardrail.verdict("ŝaltu la lampon", "malŝaltu la lampon") == Finding(FindingKind.FLIPS, "ŝaltu", "malŝaltu")
    assert guardrail.verdict("saltu la lampon", "malŝaltu la lampon") == Finding(FindingKind.FLIPS, "saltu", "malŝaltu")
    assert guardrail.verdict("lampo du", "lampo 2") is None
    assert guardrail.verdict("lampo du", "lampo tri") == Finding(FindingKind.CHANGES_NUMBER, "2", "3")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_listed_pair_of_sides_is_a_flip(language):
    guardrail = Guardrail.open(language)
    for slot, sides in raw(language)["polarity"].items():
        for one, other in product(*sides.values()):
            source, target = (f"blorb {normalise(text.replace('…', 'blorb'))}" for text in (one, other))
            verdict = guardrail.verdict(source, target)
            assert verdict is not None, f"{slot}: {one} | {other}"
            assert verdict.kind in FLIPPED, f"{slot}: {one} | {other}: {verdict}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_weekdays_and_months_agree_with_cldr(language):
    dates = pytest.importorskip("babel.dates", reason="pip install 'rewriter[dev]'")
    lexicon = for_locale(language)
    for number, day in enumerate(MONDAY_FIRST):
        assert read(normalise(dates.get_day_names("wide", locale=language)[number]), lexicon).values("day") == [day]
    for number, month in enumerate(MONTHS, start=1):
        for context in ("format", "stand-alone"):
            name = dates.get_month_names("wide", context=context, locale=language)[number]
            assert read(normalise(name), lexicon).values("month") == [month]


# --- numbers ---

READ_AS_ARTICLE = {("fr", 1)}
WRONG_IN_NUM2WORDS = {("it", hundred + 18) for hundred in range(100, 1000, 100)}  # "centodicotto"


@pytest.mark.parametrize("language", LANGUAGES)
def test_cardinals_agree_with_num2words(language):
    num2words = pytest.importorskip("num2words", reason="pip install 'rewriter[dev]'").num2words
    for n in range(1000):
        if (language, n) not in READ_AS_ARTICLE | WRONG_IN_NUM2WORDS:
            assert numbers(num2words(n, lang=language), language) == [str(n)]


@pytest.mark.parametrize("language", ["de", "en", "fr", "it", "nl"])
def test_ordinals_agree_with_num2words(language):
    num2words = pytest.importorskip("num2words", reason="pip install 'rewriter[dev]'").num2words
    for n in range(1, 32):
        assert numbers(num2words(n, lang=language, to="ordinal"), language) == [str(n)]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "seven thirty", ["7", "30"]),
        ("en", "7 30", ["7", "30"]),
        ("en", "twenty five", ["25"]),
        ("en", "20 5", ["20", "5"]),
        ("en", "twenty thirty", ["20", "30"]),
        ("en", "five and ten", ["5", "10"]),
        ("en", "a hundred and five", ["105"]),
        ("en", "two hundred thousand and one", ["200001"]),
        ("en", "5 thousand", ["5000"]),
        ("en", "half past seven", ["7", "30"]),
        ("en", "quarter to one", ["12", "45"]),
        ("en", "quarter to 13", ["12", "45"]),
        ("en", "half past", ["0.5"]),
        ("en", "an hour", ["1"]),
        ("en", "an apple", []),
        ("en", "one and a half hours", ["1", "30"]),
        ("en", "30 second timer", ["30"]),
        ("en", "the second timer", ["2"]),
        ("en", "minus five", ["-5"]),
        ("en", "minus minus five", ["-5"]),
        ("en", "minus", []),
        ("en", "zero", ["0"]),
        ("en", "007", ["7"]),
        ("en", "0", ["0"]),
        ("en", "-0.50", ["-0.5"]),
        ("en", "1,200", ["1200"]),
        ("en", "1,200.5", ["1200.5"]),
        ("en", "1.2.3", ["1", "2", "3"]),
        ("en", "12,34", ["12", "34"]),
        ("en", "٣", ["3"]),
        ("en", "9" * 30 + " thousand", ["9" * 30, "1000"]),
        ("de", "1.200,5", ["1200.5"]),
        ("de", "7.30 uhr", ["7", "30"]),
        ("de", "halb acht", ["7", "30"]),
        ("de", "halb eins", ["12", "30"]),
        ("de", "tausendzweihundert", ["1200"]),
        ("de", "hundertwasser", []),
        ("fr", "sept heures et demie", ["7", "30"]),
        ("fr", "une heure moins le quart", ["12", "45"]),
        ("it", "centro", []),
    ],
)
def test_numbers(language, text, expected):
    assert numbers(text, language) == expected


def test_a_word_of_many_hundreds_is_no_number():
    assert numbers("hundert" * 5000, "de") == []


# --- readings ---


def test_digits_stand_apart_and_full_hours_are_hours():
    assert read("wake me at 7:30pm 10-20 50% -5 7:00 1/2", for_locale("en")).words == (
        *("wake", "me", "at", "7", "30", "pm", "10", "20", "50", "%", "-5", "7", "1/2"),
    )


def test_prepositions_and_weak_words_count_only_alone():
    english = for_locale("en")
    assert read("play jazz on spotify", english).values("run") == ["on"]
    assert read("turn off the lamp on the porch", english).values("run") == ["off"]
    assert read("jazz on spotify", english).values("run") == ["on"]
    assert read("turn off the alarm set for seven", english).values("run") == ["off"]


def test_a_verb_parted_from_its_particle():
    german = for_locale("de")
    assert read("halt den timer an", german).values("run") == ["off"]
    assert read("halt den timer an und mach das licht an", german).values("run") == ["off", "on"]
    assert read("halt den timer und mach das licht an", german).values("run") == ["on"]  # "halt" alone is weak


def test_elided_words_are_parted():
    assert read("n'allume pas l'alarme", for_locale("fr")).words == ("n", "allume", "pas", "l", "alarme")
    assert read("don't stop", for_locale("en")).words == ("don't", "stop")


# --- names and sounds ---


def test_the_longest_name_counts_and_numbers_are_no_names():
    names = {"mary", "mary ann smith", "5", "off", "lamp 5"}
    text = read("call mary ann smith and mary off 5 lamp 5", for_locale("en"))
    assert [" ".join(text.words[start:end]) for start, end in names_in(text, names)] == ["mary ann smith", "mary", "lamp 5"]


def test_changes_are_the_shortest_edit():
    assert changes(("a", "b", "c", "d"), ("a", "x", "c")) == ((1, 2, 1, 2), (3, 4, 3, 3))
    assert changes((), ("a",)) == ((0, 0, 0, 1),)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("of", "off", True),
        ("one", "on", True),
        ("2", "to", True),
        ("fit tea", "fifty", True),
        ("turnoff", "turn off", True),
        ("the", "off the", False),
        ("lamp", "off", False),
        ("", "off", False),
        ("!", "off", False),
    ],
)
def test_sounds_alike(source, target, expected):
    assert for_locale("en").sounds_alike(source.split(), target.split()) is expected


# --- verdicts ---


@pytest.mark.parametrize(
    ("source", "target", "options", "expected"),
    [
        ("turn on the lamp", "turn off the lamp", {}, "flips turn on to turn off"),
        ("timer for fifteen", "timer for 50", {}, "changes number 15 to 50"),
        ("on monday at 7", "on sunday at 7", {}, "changes day monday to sunday"),
        ("don't stop", "stop", {}, "drops don't"),
        ("at 7", "tomorrow", {}, "replaces 7 by tomorrow"),
        ("call mary", "call john", {"names": {"mary", "john"}}, "swaps name mary for john"),
        ("unlok it", "unlock it", {"online": True}, "destructive by similarity: unlock"),
        ("door", "front door", {"online": True, "intent": "LOCK_Unlock"}, "destructive by similarity: unlock"),
        ("lamp", "lamp off", {"online": True}, "off was not heard"),
        ("blue lamp", "lamp off", {"online": True}, "off was not heard"),
        ("lamp bleu", "lamp off", {"online": True}, "off was not heard in bleu"),
    ],
)
def test_reasons(source, target, options, expected):
    assert guardrail_finding(Guardrail.open("en").verdict(source, target, **options).packed()) == expected


def lexicon_texts(language):
    data = raw(language)
    phrases = [text for sides in data["polarity"].values() for texts in sides.values() for text in texts if "…" not in text]
    phrases += [text for texts in data["negation"].values() for text in texts]
    phrases += [text for values in data["values"].values() for texts in values.values() for text in texts]
    phrases += list(data["numbers"]) + data["idioms"] + ["7:30", "15", "blorb", "lamp", "door", "mary", "john"]
    return st.lists(st.sampled_from(phrases), max_size=6).map(lambda parts: normalise(" ".join(parts)))


TEXTS = {language: st.one_of(lexicon_texts(language), st.text(max_size=40).map(normalise)) for language in LANGUAGES}


@given(st.data(), st.sampled_from(LANGUAGES), st.booleans(), st.booleans())
def test_never_raises_and_the_same_text_always_passes(data, language, personal, online):
    guardrail = Guardrail.open(language)
    source, target = data.draw(TEXTS[language]), data.draw(TEXTS[language])
    options = {"personal": personal, "online": online, "names": {"mary", "john", "lamp door"}, "knows": {"lamp"}.__contains__}
    verdict = guardrail.verdict(source, target, **options)
    assert verdict is None or "\n" not in guardrail_finding(verdict.packed())
    assert guardrail.verdict(source, source, **options) is None


@given(st.text(), st.text(), st.sampled_from([*LANGUAGES, "und"]))
def test_never_raises_on_text_that_is_not_normalised(source, target, language):
    Guardrail.open(language).verdict(source, target, online=True, names={source[:9]}, intent=target)


@given(st.data(), st.sampled_from(LANGUAGES))
def test_a_flip_is_a_flip_both_ways(data, language):
    guardrail = Guardrail.open(language)
    source, target = data.draw(TEXTS[language]), data.draw(TEXTS[language])
    there, back = guardrail.verdict(source, target), guardrail.verdict(target, source)
    assert (there is not None and there.kind is FindingKind.FLIPS) == (back is not None and back.kind is FindingKind.FLIPS)


FRAMES = ["set the lamp to {}", "{} minutes", "play song {} again", "turn on lamp {} on the left", "wake me at {} please", "{}"]
NEUTRAL_FRAMES = ["blorb {}", "{} blorb", "blorb {} zorb"]
FRAMED = st.one_of(
    st.tuples(st.just("en"), st.sampled_from(FRAMES)), st.tuples(st.sampled_from(LANGUAGES), st.sampled_from(NEUTRAL_FRAMES))
)


@given(
    st.sampled_from(LANGUAGES), st.sampled_from(FRAMES), st.integers(0, 999), st.integers(0, 999), st.booleans(), st.booleans()
)
def test_another_number_is_always_blocked(language, frame, one, other, first_in_words, second_in_words):
    num2words = pytest.importorskip("num2words", reason="pip install 'rewriter[dev]'").num2words
    spelt = {(n, words) for n, words in ((one, first_in_words), (other, second_in_words)) if words}
    assume(one != other)
    assume(not any((language, n) in READ_AS_ARTICLE | WRONG_IN_NUM2WORDS for n, _ in spelt))
    source = normalise(frame.format(num2words(one, lang=language) if first_in_words else one))
    target = normalise(frame.format(num2words(other, lang=language) if second_in_words else other))
    assert Guardrail.open(language).verdict(source, target).kind is FindingKind.CHANGES_NUMBER


@given(FRAMED, st.integers(0, 999))
def test_the_same_number_in_words_passes(framed, n):
    language, frame = framed
    num2words = pytest.importorskip("num2words", reason="pip install 'rewriter[dev]'").num2words
    assume((language, n) not in READ_AS_ARTICLE | WRONG_IN_NUM2WORDS)
    source, target = normalise(frame.format(num2words(n, lang=language))), normalise(frame.format(n))
    assert Guardrail.open(language).verdict(source, target) is None


@pytest.mark.parametrize(
    ("source", "target", "locale", "finding"),
    [
        ("nicht unlock die back door", "unlock the back door", "en", "drops_negation|nicht||"),
        ("don't lock die hintertür", "verriegle die hintertür", "de", "drops_negation|don't||"),
        ("nicht close the porte d'entrée", "ferme la porte d'entrée", "fr", "drops_negation|nicht||"),
        ("mach das licht off", "mach das licht an", "de", "flips|off|an|"),
        ("mach das licht off", "mach das licht aus", "de", None),
        ("mach das licht on", "mach das licht an", "de", None),
        ("turn an das licht", "turn on the light", "en", None),
        ("play despacito bitte", "play despacito please", "en", None),
        ("lock die hintertür", "verriegle die hintertür", "de", None),
        ("nicht lock the door", "don't lock the door", "en", None),
    ],
)
def test_words_of_another_language_may_forbid(source, target, locale, finding):
    found = DEFAULT.foreign(source, target, locale, ["en", "de", "fr"], set(target.split()).__contains__)
    assert (found and found.packed()) == finding


def test_words_that_the_language_of_the_target_knows_are_not_read_in_another_one():
    known = {"play", "nicht", "by", "the", "band"}
    assert DEFAULT.foreign("play nicht by that band", "play by the band", "en", ["de"], set().__contains__)
    assert DEFAULT.foreign("play nicht by that band", "play by the band", "en", ["de"], known.__contains__) is None
    assert DEFAULT.foreign("play nicht by that band", "play by the band", "en", ["en"], set().__contains__) is None


def test_a_complaint_in_another_language_may_be_dropped_where_users_complain():
    asked = ("passwort zurücksetzen", "de", ["en"], {"passwort", "zurücksetzen"}.__contains__)
    support = Guardrails(GuardrailSettings("support"))
    assert DEFAULT.foreign("can't einloggen passwort", *asked).packed() == "drops_negation|can't||"
    assert support.foreign("can't einloggen passwort", *asked) is None
    assert support.foreign("don't zurücksetzen passwort", *asked).packed() == "drops_negation|don't||"
