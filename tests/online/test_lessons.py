"""Lessons: they hold from the next call on, in every process, before all rules, and for nobody else."""

import subprocess
import sys

import layered
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published import publish

from rewriter.codes import Caution
from rewriter.errors import RequestError
from rewriter.online.lessons import MAX_LESSONS, MAX_STEPS
from rewriter.online.rewriter import Rewriter

RULES = {
    (None, "en", "turn of the lamp"): "turn off the lamp",
    ("ann", "en", "play zed"): "play jazz",
    (None, "en", "play jazz"): "play jazz",
    (None, "de", "licht ausmahen"): "licht ausmachen",
}
ASK = "import sys; from rewriter import Rewriter; print(Rewriter.open(sys.argv[1]).rewrite('Movie time!', user_id='ann').text)"


@pytest.fixture
def root(tmp_path):
    publish(tmp_path / "a", RULES, locales={"en": 5, "de": 4})
    return tmp_path / "a"


@pytest.fixture
def rewriter(root):
    return Rewriter.open(root)


def codes(taught):
    return [caution.code for caution in taught.cautions]


def test_a_lesson_holds_from_the_next_call_on_in_every_process(rewriter, root):
    other = Rewriter.open(root)
    assert not other.rewrite("movie time", user_id="ann").applied
    found = rewriter.teach("Movie time", "Turn on the  TV", user_id="ann")
    assert found.stored
    assert found.cautions == ()
    for each in (rewriter, other):
        answer = each.rewrite("movie time!", user_id="ann")
        assert (answer.text, answer.reason, answer.layer, answer.scope) == ("Turn on the TV", "lesson", "lesson", "personal")
        assert (answer.rule, answer.steps, answer.score) == (found.lesson.id, ("Turn on the TV",), 1.0)
        assert not each.rewrite("movie time", user_id="ben").applied
        assert not each.rewrite("movie time").applied
    done = subprocess.run([sys.executable, "-c", ASK, str(root)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Turn on the TV"


def test_a_lesson_goes_before_rules_and_only_where_lessons_are_asked(rewriter, root):
    assert rewriter.rewrite("play zed", user_id="ann").text == "play jazz"
    found = rewriter.teach("play zed", "play the zed station", user_id="ann")
    assert codes(found) == [Caution.RULE]
    assert found.cautions[0].detail == "play jazz"
    assert rewriter.rewrite("play zed", user_id="ann").text == "play the zed station"
    without = Rewriter.open(root, layers=["precomputed", "online"])
    assert without.rewrite("play zed", user_id="ann").text == "play jazz"
    assert rewriter.unteach(found.lesson.id)
    assert rewriter.rewrite("play zed", user_id="ann").text == "play jazz"
    assert not rewriter.unteach(found.lesson.id)


def test_a_lesson_may_say_that_a_text_is_right_as_it_is(rewriter):
    rewriter.teach("turn of the lamp", "turn of the lamp", user_id="ann")
    answer = rewriter.rewrite("turn of the lamp", user_id="ann")
    assert (answer.applied, answer.reason) == (False, "keep_source")


def test_steps_are_joined_as_the_caller_says_or_read_one_by_one(rewriter):
    steps = ["dim the lights", "turn on the tv"]
    with pytest.raises(RequestError, match="2 steps needs joined_by"):
        rewriter.teach("movie time", steps, user_id="ann")
    rewriter.teach("movie time", steps, user_id="ann", joined_by=" and ")
    answer = rewriter.rewrite("movie time", user_id="ann")
    assert (answer.text, answer.steps) == ("dim the lights and turn on the tv", tuple(steps))
    assert rewriter.lessons("ann")[0].meant == answer.text


def test_a_lesson_follows_other_lessons_and_no_circle(rewriter):
    rewriter.teach("cinema", ["movie time", "lock up"], user_id="ann", joined_by=", then ")
    rewriter.teach("movie time", ["dim the lights", "movie time"], user_id="ann", joined_by=" and ")
    assert rewriter.rewrite("cinema", user_id="ann").steps == ("dim the lights", "movie time", "lock up")
    assert rewriter.rewrite("movie time", user_id="ann").text == "dim the lights and movie time", "its own words are sent"
    found = rewriter.teach("movie time", "cinema", user_id="ann")
    assert codes(found) == [Caution.CONFLICT, Caution.LOOP]
    assert found.replaced.meant == "dim the lights and movie time"
    assert rewriter.rewrite("movie time", user_id="ann").text == "cinema"
    assert rewriter.rewrite("cinema", user_id="ann").text == "movie time, then lock up"


def test_what_destroys_is_kept_only_when_it_is_confirmed(rewriter):
    found = rewriter.teach("i am home", "unlock the front door", user_id="ann")
    assert (found.stored, codes(found)) == (False, [Caution.DESTRUCTIVE])
    assert not rewriter.rewrite("i am home", user_id="ann").applied
    rewriter.teach("welcome", "i am home", user_id="ann")
    found = rewriter.teach("i am home", "unlock the front door", user_id="ann", confirm=True)
    assert (found.stored, codes(found)) == (True, [Caution.DESTRUCTIVE])
    assert rewriter.rewrite("welcome", user_id="ann").text == "unlock the front door"
    assert codes(rewriter.teach("hello", "welcome", user_id="ann")) == [Caution.DESTRUCTIVE], "through other lessons, too"
    assert rewriter.teach("unlock it", "unlock the front door", user_id="ann").stored, "the words ask for it"


def test_a_contrast_may_be_crossed_and_is_told(rewriter):
    found = rewriter.teach("turn on the night", "turn off the lamp", user_id="ann")
    assert (found.stored, codes(found)) == (True, [Caution.CONTRAST])
    assert rewriter.rewrite("turn on the night", user_id="ann").text == "turn off the lamp"


def test_conflicts_and_healthy_words_are_told_and_the_choice_is_left(rewriter, root):
    assert codes(rewriter.teach("play jazz", "play the jazz station", user_id="ann")) == [Caution.HEALTHY]
    shown = rewriter.teach("play jazz", "play the blues", user_id="ann", preview=True)
    assert (shown.stored, codes(shown)) == (False, [Caution.CONFLICT, Caution.HEALTHY])
    assert shown.cautions[0].detail == shown.replaced.meant == "play the jazz station"
    assert rewriter.rewrite("play jazz", user_id="ann").text == "play the jazz station"
    parsing = Rewriter.open(root, understands=lambda text: text.startswith("play"))
    assert codes(parsing.teach("play my mix", "mix", user_id="ann", preview=True)) == [Caution.HEALTHY, Caution.NOT_UNDERSTOOD]


def test_words_that_work_by_the_log_are_told(tmp_path):
    layered.publish(tmp_path / "a", ["turn off the lamp"], [{}], private=[("ben", "play my mix")])
    rewriter = Rewriter.open(tmp_path / "a")
    assert codes(rewriter.teach("turn off the lamp", "good night", user_id="ann")) == [Caution.HEALTHY]
    assert codes(rewriter.teach("play my mix", "play jazz", user_id="ann")) == [], "what works for ben alone is not told to ann"
    assert codes(rewriter.teach("play my mix", "play jazz", user_id="ben")) == [Caution.HEALTHY]


def test_a_household_shares_what_was_taught_for_it(rewriter):
    rewriter.teach("bedtime", "turn off the lamp", user_id="ann", household_id="home-7", scope="household")
    ask = rewriter.rewrite
    assert (ask("bedtime", user_id="ben", household_id="home-7").text, ask("bedtime", user_id="ben").applied) == (
        "turn off the lamp",
        False,
    )
    assert ask("bedtime", household_id="home-7").scope == "household"
    assert not ask("bedtime", user_id="home-7").applied, "a household is no user"
    assert not ask("bedtime", user_id="ben", household_id="home-8").applied
    rewriter.teach("bedtime", "play rain", user_id="ben")
    assert ask("bedtime", user_id="ben", household_id="home-7").text == "play rain"
    assert [found.scope for found in rewriter.lessons("ben", household_id="home-7")] == ["personal", "household"]
    assert rewriter.lessons("ann") == []
    with pytest.raises(RequestError, match="needs household_id"):
        rewriter.teach("bedtime", "play rain", user_id="ben", scope="household")


def test_an_undo_stops_a_lesson_until_it_is_taught_again(rewriter):
    rewriter.teach("movie time", "turn on the tv", user_id="ann")
    rewriter.feedback(rewriter.rewrite("movie time", user_id="ann").id, -1, "ann")
    assert rewriter.rewrite("movie time", user_id="ann").reason == "undone_by_user"
    rewriter.teach("movie time", "turn on the tv", user_id="ann")
    assert rewriter.rewrite("movie time", user_id="ann").applied


def test_what_people_blocked_is_not_sent(rewriter, root):
    rewriter.teach("movie time", ["dim the lights", "open the blinds"], user_id="ann", joined_by=" and ")
    (root / "review.csv").write_text("block,,,open the blinds,\n")
    assert rewriter.rewrite("movie time", user_id="ann").reason == "blocked_by_review"


def test_a_lesson_holds_in_its_language(rewriter):
    rewriter.teach("kino", "schalte den fernseher ein", user_id="ann", locale="de-AT")
    reasons = [rewriter.rewrite("kino", user_id="ann", locale=locale).reason for locale in ("de", "de_AT", "de-CH", "en", None)]
    assert reasons[:3] == ["lesson"] * 3
    assert "lesson" not in reasons[3:]


BAD = [
    ({"said": "!!"}, "`said` is a text"),
    ({"said": 5}, "`said` is a text"),
    ({"said": "x" * 600}, "`said` is a text"),
    ({"meant": ""}, "`meant` is a text"),
    ({"meant": []}, "`meant` is a text"),
    ({"meant": ["a", 5]}, "`meant` is a text"),
    ({"meant": ["a"] * (MAX_STEPS + 1), "joined_by": " "}, "at most 10 steps"),
    ({"meant": ["a", "b"], "joined_by": "x" * 50}, "needs joined_by"),
    ({"user_id": None}, "needs the user_id"),
    ({"user_id": 1.5}, "an id is a text or an integer"),
    ({"scope": "global"}, "personal or household"),
    ({"locale": 5}, "a locale is BCP 47"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD, ids=range(len(BAD)))
def test_what_cannot_be_meant_is_refused(rewriter, wrong, message):
    with pytest.raises(RequestError, match=message):
        rewriter.teach(**{"said": "movie time", "meant": "turn on the tv", "user_id": "ann"} | wrong)
    assert rewriter.lessons("ann") == []


def test_lessons_of_one_user_are_bounded(rewriter, monkeypatch):
    monkeypatch.setattr("rewriter.online.lessons.MAX_LESSONS", 2)
    for n in range(2):
        rewriter.teach(f"words {n}", "play jazz", user_id="ann")
    with pytest.raises(RequestError, match="unteach one first"):
        rewriter.teach("words 3", "play jazz", user_id="ann")
    assert rewriter.teach("words 3", "play jazz", user_id="ben").stored
    assert MAX_LESSONS < 1_000


USERS = ("ann", "ben", "home-7", 7)
WORDS = st.sampled_from(["movie time", "bedtime", "cinema", "play zed", "turn of the lamp"])
LESSON = st.tuples(st.sampled_from(USERS), st.booleans(), WORDS, WORDS | st.sampled_from(["turn on the tv", "play rain"]))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    root = tmp_path_factory.mktemp("shared") / "a"
    publish(root, RULES, locales={"en": 5})
    return root


@settings(max_examples=25)
@given(taught=st.lists(LESSON, max_size=5), asked=st.tuples(st.sampled_from(USERS), st.sampled_from(USERS), WORDS))
def test_a_lesson_never_reaches_another(shared, tmp_path_factory, taught, asked):
    """Whatever others were taught, a request is answered as if they had taught nothing."""
    folder = tmp_path_factory.mktemp("taught")
    user, household, text = asked
    answers = []
    for name, all_of_them in (("all", True), ("own", False)):
        rewriter = Rewriter.open(shared, taught_in=folder / name)
        for owner, is_household, said, meant in taught:
            if all_of_them or owner == (household if is_household else user):
                who = {"household_id": owner, "scope": "household"} if is_household else {"user_id": owner}
                rewriter.teach(said, meant, **who)
        answer = rewriter.rewrite(text, user_id=user, household_id=household)
        answers.append((answer.text, answer.reason, answer.scope))
    assert answers[0] == answers[1]


def test_no_byte_of_a_lesson_is_in_what_ships(rewriter, root):
    rewriter.teach("my secret words", "my secret wish", user_id="ann")
    shipped = [path for path in root.rglob("*") if path.is_file() and "state" not in path.relative_to(root).parts]
    assert shipped
    assert not any(b"secret" in path.read_bytes() for path in shipped)
    assert any(b"my secret wish" in path.read_bytes() for path in (root / "state").iterdir() if path.is_file())
