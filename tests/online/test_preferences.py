"""Preferences: stated in words, used on the next call, for one user, until she does otherwise."""

import pytest

from rewriter.errors import RequestError
from rewriter.model.phrases import phrases
from rewriter.offline.catalog_layer import learn_catalog
from rewriter.online.preferences import read_statement
from rewriter.online.rewriter import Rewriter

CATALOG = [
    ("find a restaurant", "Find"),
    ("find an italian restaurant", "Find|cuisine=Italian"),
    ("find a thai restaurant", "Find|cuisine=Thai"),
    ("play the warriors game", "Play|team=Warriors"),
    ("play the lakers game", "Play|team=Lakers"),
    ("turn on the light", "On|name=light"),
    ("turn on the light in the office", "On|area=office|name=light"),
    ("turn on the light in the kitchen", "On|area=kitchen|name=light"),
    ("open", "Door"),
    ("unlock the front door", "Door|name=front"),
]


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    root = tmp_path_factory.mktemp("catalog") / "a"
    learn_catalog([{"text": text, "hypothesis": line} for text, line in CATALOG], out=root, complete=True)
    return root


@pytest.fixture
def rewriter(learned, tmp_path):
    return Rewriter.open(learned, taught_in=tmp_path / "taught.db")


@pytest.mark.parametrize(
    ("said", "slot", "asked", "sent"),
    [
        ("I like Italian restaurants", "cuisine", "find a restaurant", "find an italian restaurant"),
        ("my area is the office", "area", "turn on the light", "turn on the light in the office"),
    ],
)
def test_a_statement_fills_in_the_next_request(rewriter, said, slot, asked, sent):
    assert rewriter.rewrite(asked, user_id="ann").text == asked
    found = rewriter.prefer_said(said, user_id="ann")
    assert found.preference.slot == slot
    answer = rewriter.rewrite(asked, user_id="ann")
    assert (answer.text, answer.reason, answer.layer, answer.scope) == (sent, "preference", "lesson", "personal")
    assert rewriter.rewrite(asked, user_id="ben").text == rewriter.rewrite(asked).text == asked
    assert rewriter.rewrite("find a thai restaurant", user_id="ann").text == "find a thai restaurant", "what is said is said"
    rewriter.feedback(answer.id, -1, "ann")
    assert rewriter.rewrite(asked, user_id="ann").reason == "undone_by_user"
    assert rewriter.unteach(rewriter.preferences("ann")[0].id)
    assert rewriter.preferences("ann") == []
    assert rewriter.rewrite(asked, user_id="ann").reason == "healthy"


def test_a_preference_ranks_what_a_refused_request_may_mean(rewriter):
    asked = {"utterance": "play the takers game", "after_failure": True}
    before = rewriter.rewrite(**asked, user_id="ann").candidates
    assert before[0].text == "play the lakers game"
    rewriter.prefer("team", "warriors", user_id="ann")
    p = {c.text: c.p_success for c in rewriter.rewrite(**asked, user_id="ann").candidates}
    was = {c.text: c.p_success for c in before}
    assert p["play the warriors game"] > was["play the warriors game"]
    assert {c.text: c.p_success for c in rewriter.rewrite(**asked, user_id="ben").candidates} == was


def test_the_layer_of_a_log_reads_preferences_too(small, tmp_path):
    rewriter = Rewriter.open(small, taught_in=tmp_path / "taught.db")
    asked = [("play my mess", "ann"), ("turn off the lamb", "ann"), ("play my mess", "ben"), ("turn off the lamb", "ben")]
    before = [rewriter.rewrite(text, user_id=user, after_failure=True) for text, user in asked]
    rewriter.prefer("name", "lamp", user_id="ann")
    after = [rewriter.rewrite(text, user_id=user, after_failure=True) for text, user in asked]
    assert "error" not in {answer.reason for answer in after}
    assert [answer.text for answer in after] == [answer.text for answer in before], "nothing competes for the slot"


def test_two_liked_values_decide_nothing_and_one_over_another_only_between_them(rewriter):
    for value in ("italian", "thai"):
        rewriter.prefer("cuisine", value, user_id="ann")
    assert rewriter.rewrite("find a restaurant", user_id="ann").reason == "healthy"
    assert rewriter.prefer("cuisine", "Thai", user_id="ben", over="Italian").over == "italian"
    assert rewriter.rewrite("find a restaurant", user_id="ben").text == "find a thai restaurant"


def test_a_preference_never_unlocks(rewriter):
    rewriter.prefer("name", "front", user_id="ann")
    assert not rewriter.rewrite("open", user_id="ann").applied


def test_what_is_no_preference_is_refused(rewriter):
    for wrong, message in (
        ({"slot": "colour"}, "no request fills a slot 'colour'; slots are area, cuisine, name, team"),
        ({"value": "greek"}, "no request fills the slot cuisine with 'greek'; values are such as"),
        ({"over": "greek"}, "with 'greek'"),
        ({"over": "italian"}, "preferred to itself"),
        ({"user_id": ""}, "needs the user_id"),
    ):
        with pytest.raises(RequestError, match=message):
            rewriter.prefer(**{"slot": "cuisine", "value": "italian", "user_id": "ann"} | wrong)
    assert rewriter.prefer_said("turn on the light", user_id="ann").choices == ()


KNOWN = {"team": ["warriors", "lakers"], "cuisine": ["italian"], "brand": ["italian"], "room": ["office", "living room"]}
SENTENCES = [
    ("en", "I'm a Warriors fan", [("team", "warriors", "")]),
    ("en", "I am a fan of the Lakers.", [("team", "lakers", "")]),
    ("en", "I like the Warriors better than the Lakers", [("team", "warriors", "lakers")]),
    ("en", "My room is the living room", [("room", "living room", "")]),
    ("en", "i like italian restaurants", [("brand", "italian", ""), ("cuisine", "italian", "")]),
    ("en", "i like you", []),
    ("en", "call me ann", []),
    ("en", "", []),
    ("de", "Ich bin Warriors-Fan", [("team", "warriors", "")]),
    ("de", "ich mag lieber die Lakers als die Warriors", [("team", "lakers", "warriors")]),
]


@pytest.mark.parametrize(("locale", "said", "meant"), SENTENCES, ids=range(len(SENTENCES)))
def test_sentences_are_read_by_the_patterns_of_their_language(locale, said, meant):
    assert [tuple(one) for one in read_statement(said, KNOWN, phrases(locale))] == meant
