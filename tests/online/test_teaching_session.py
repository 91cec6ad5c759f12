"""The guided talk, sentence by sentence, against what it must say and keep."""

import pytest
from test_preferences import CATALOG

from rewriter import TeachingSession
from rewriter.offline.catalog_layer import learn_catalog
from rewriter.online import teaching_session
from rewriter.online.rewriter import Rewriter
from rewriter.online.teaching_session import TeachingSessions


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    root = tmp_path_factory.mktemp("session") / "a"
    rows = [{"text": text, "hypothesis": line} for text, line in CATALOG]
    rows += [{"text": "find a snack bar", "hypothesis": "Find|kind=snack"}, {"text": "find a pub", "hypothesis": "Find|kind=pub"}]
    learn_catalog([*rows, {"text": "buy italian shoes", "hypothesis": "Buy|brand=Italian"}], out=root, complete=True)
    return root


@pytest.fixture
def rewriter(learned, tmp_path):
    return Rewriter.open(learned, taught_in=tmp_path / "taught.db")


def test_it_asks_about_what_requests_leave_open_and_keeps_the_answers(rewriter):
    session = TeachingSession(rewriter, "ann")
    assert session.begins("Learn my preferences!")
    assert not session.begins("find a restaurant")
    first = session.say("learn my preferences")
    assert first == "Which area do you like best: kitchen, office?"
    assert session.active
    assert session.say("what did you say?") == first
    assert session.say("blue") == f"I did not understand that. {first}"
    assert session.say("blue") == f"I did not understand that. {first}"
    assert session.say("the office, please") == "Shall I remember that you prefer office?"
    assert session.say("yes") == "I will remember that. Which cuisine do you like best: italian, thai?"
    assert session.say("no thanks") == "Which kind do you like best: pub, snack?"
    assert session.say("snack") == "Shall I remember that you prefer snack?"
    assert session.say("no") == "I will not remember that."
    assert not session.active
    assert [one.value for one in rewriter.preferences("ann")] == ["office"]
    assert rewriter.rewrite("turn on the light", user_id="ann").text == "turn on the light in the office"
    assert session.say("what do you know about me") == "You told me: you prefer office."
    assert session.say("learn my preferences").startswith("Which cuisine")
    assert session.say("cancel") == "All right."
    assert session.say("forget that") == "It is forgotten."
    assert session.say("forget that") == "There is nothing to forget."
    assert session.say("what do you know") == "You have taught me nothing so far."


def test_a_statement_of_two_meanings_is_asked_about(rewriter):
    session = TeachingSession(rewriter, "ann")
    assert session.say("I like Italian") == "italian of what: brand, cuisine?"
    assert session.say("cuisine") == "Shall I remember that you prefer italian?"
    assert session.say("sure") == "I will remember that."
    assert rewriter.rewrite("find a restaurant", user_id="ann").text == "find an italian restaurant"


def test_a_lesson_is_confirmed_and_twice_what_can_do_harm(rewriter):
    session = TeachingSession(rewriter, "ann")
    assert session.say("When I say movie time, I mean turn on the light") == (
        "Shall I remember that “movie time” means “turn on the light”?"
    )
    assert session.say("yes please") == "I will remember that."
    assert rewriter.rewrite("movie time", user_id="ann").text == "turn on the light"
    assert session.say("when i say i am home i mean unlock the front door").endswith("can do harm. Are you sure?")
    assert session.say("no") == "I will not remember that."
    assert [one.said for one in rewriter.lessons("ann")] == ["movie time"]
    session.say("when i say i am home i mean unlock the front door")
    assert session.say("yes") == "I will remember that."
    assert rewriter.rewrite("i am home", user_id="ann").text == "unlock the front door"
    assert "“movie time” means “turn on the light”" in session.say("what do you know about me")
    assert session.say("forget that") == "It is forgotten."
    assert [one.said for one in rewriter.lessons("ann")] == ["movie time"]


def test_nothing_to_ask_and_another_language(rewriter, tmp_path):
    learn_catalog([{"text": "licht an"}], out=tmp_path / "b", complete=True)
    session = TeachingSession(Rewriter.open(tmp_path / "b"), "ann", "de")
    assert session.say("Lerne meine Vorlieben") == "Ich habe nichts zu fragen."
    assert session.say("Kinozeit heißt licht an") == "Soll ich mir merken, dass „kinozeit“ „licht an“ heißt?"
    assert session.say("hallo") == "Das habe ich nicht verstanden. Soll ich mir merken, dass „kinozeit“ „licht an“ heißt?"
    assert session.say("ja") == "Das merke ich mir."


def test_the_talks_of_many_users_stay_apart_and_few_are_remembered(rewriter, monkeypatch):
    talks = TeachingSessions(rewriter)
    assert talks.say("ann", "find a restaurant") == ("", False)  # a request
    assert talks.say("ann", "learn my preferences") == ("Which area do you like best: kitchen, office?", True)
    assert talks.say("ben", "office") == ("", False)  # nobody asked ben
    assert talks.say("ann", "office") == ("Shall I remember that you prefer office?", True)
    monkeypatch.setattr(teaching_session, "_MOST_TALKS", 1)
    assert talks.say("ben", "learn my preferences")[1]
    assert talks.say("ann", "yes") == ("", False)  # her talk is forgotten, and nothing was kept
    assert not rewriter.preferences("ann")
