import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.online.serving import lookup_order

TURNS = {
    "en": 1,
    "en-GB": 50,
    "en-US": 20,
    "de": 30,
    "de_AT": 5,
    "zh-Hant": 2,
    "zh-Hant-TW": 1,
    "zh-Hans": 9,
    "pt-BR": 3,
    "EN-au": 7,
}


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        ("en-US", ("en-US", "en", "en-GB", "EN-au")),
        ("en_us", ("en-US", "en", "en-GB", "EN-au")),
        ("en_US.UTF-8", ("en-US", "en", "en-GB", "EN-au")),
        ("en_US@euro", ("en-US", "en", "en-GB", "EN-au")),
        ("en", ("en", "en-GB", "en-US", "EN-au")),
        ("en-NZ", ("en", "en-GB", "en-US", "EN-au")),
        ("en-AU-x-outback", ("EN-au", "en", "en-GB", "en-US")),
        ("de-AT", ("de_AT", "de")),
        ("de", ("de", "de_AT")),
        ("zh-Hant-TW", ("zh-Hant-TW", "zh-Hant", "zh-Hans")),
        ("zh", ("zh-Hans", "zh-Hant", "zh-Hant-TW")),
        ("pt", ("pt-BR",)),
        ("fr", ()),
        ("e", ()),
        (None, ("en-GB", "en", "en-US", "EN-au")),
        ("", ("en-GB", "en", "en-US", "EN-au")),
    ],
)
def test_order(locale, expected):
    assert lookup_order(locale, TURNS) == expected


def test_nothing_learned():
    assert lookup_order(None, {}) == lookup_order("en", {}) == ()


def test_a_tie_is_settled_by_name():
    assert lookup_order(None, {"en": 4, "de": 4}) == ("de",)


@given(st.text() | st.none(), st.dictionaries(st.text(), st.integers(0, 9)))
def test_any_text_is_survived_and_each_locale_comes_once(locale, turns):
    order = lookup_order(locale, turns)
    assert len(set(order)) == len(order)
    assert set(order) <= set(turns)
    if locale in turns and locale:
        assert locale in order
