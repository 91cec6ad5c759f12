import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.text import normalise, unspaced


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Turn  ON the Lamp, please! ", "turn on the lamp please"),
        ("set it to -5.5° at 7:30", "set it to -5.5° at 7:30"),
        ("What’s on? It`s 20%.", "what's on it's 20%"),
        ("STRASSE straße", "strasse strasse"),
        ("İstanbul ILIK ılık", "istanbul ilik ılık"),
        ("ﬁsh ２０", "fish 20"),
        ("co-op 10-20 -3 --3 a-3", "co op 10-20 -3 3 a 3"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("नमस्ते दुनिया", "नमस्ते दुनिया"),
        ("打开灯，20度", "打 开 灯 20 度"),
        ("リビングのライト", "リ ビ ン グ の ラ イ ト"),
        ("チャンネル", "チャ ン ネ ル"),
        ("เปิดน้ำ ๕ นาที", "เปิ ด น้ํา ๕ นา ที"),
        ("បើកភ្លើង", "បើ ក ភ្លើ ង"),
        ("불을 켜", "불을 켜"),
        ("play 周杰伦 now", "play 周 杰 伦 now"),
        ("'quoted' rock 'n' roll", "quoted rock n roll"),
        ("!?…", ""),
        ("", ""),
        ("a\x00b\x1fc\nd", "a b c d"),
    ],
)
def test_known_texts(text, expected):
    assert normalise(text) == expected


@pytest.mark.parametrize(
    ("text", "locale", "expected"),
    [
        ("SALI", "tr", "salı"),
        ("ALTI KIRK", "tr-TR", "altı kırk"),
        ("YARIN SICAK", "tr_TR.UTF-8", "yarın sıcak"),
        ("İZMİR'DEN", "az", "izmir'den"),
        ("I\u0307zmir", "tr", "izmir"),
        ("ISIĞI AÇ", "TR", "ısığı aç"),
        ("SALI", "en", "sali"),
        ("SALI", "", "sali"),
        ("STRASSE STRAßE", "de", "strasse strasse"),
        ("ΟΔΟΣ οδος", "el", "οδοσ οδοσ"),
        ("I ĮĖ", "lt", "i įė"),
    ],
)
def test_capitals_of_a_language(text, locale, expected):
    assert normalise(text, locale) == expected
    assert normalise(normalise(text, locale)) == expected


@given(
    st.text(st.sampled_from("iıIİ\u0307ßσςΣaÅ -'5.")), st.sampled_from(["", "tr", "az", "en", "lt"]), st.sampled_from(["", "tr"])
)
def test_a_normal_form_is_the_same_in_every_locale(text, locale, later):
    once = normalise(text, locale)
    assert normalise(once, later) == once


@given(st.text(st.sampled_from("abcçdefgğhıijklmnoöprsştuüvyz ")))
def test_turkish_capitals_are_read_as_their_small_letters(text):
    capitals = text.replace("i", "İ").replace("ı", "I").upper()
    assert normalise(capitals, "tr") == normalise(text, "tr")


@given(st.text())
def test_idempotent_and_tidy(text):
    once = normalise(text)
    assert normalise(once) == once
    assert once == " ".join(once.split())


@pytest.mark.parametrize(
    "text", ["打开灯20度", "リビングのライト", "チャンネル", "បើកភ្លើង", "ဖွင့်ပါ", "ເປີດໄຟ", "play 周杰伦 now", "turn on"]
)
def test_the_blanks_of_scripts_without_blanks_are_taken_out_again(text):
    assert unspaced(normalise(text)) == text


@given(st.text(st.characters(categories=["Lo", "Mn", "Nd", "Zs"])))
def test_a_text_without_the_blanks_is_the_same_text(text):
    once = normalise(text)
    assert normalise(unspaced(once)) == once


@given(st.text())
def test_case_does_not_matter(text):
    assert normalise(text.upper().lower()) == normalise(text.upper())


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789 ,.-'"))
def test_plain_letters_survive(text):
    kept = [c for c in text if c.isalnum()]
    assert [c for c in normalise(text) if c.isalnum()] == kept


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_is_read_as_any_other_text(text):
    assert normalise("é " + text) == ("é " + normalise(text)).rstrip()
