import logging
import pydoc
import tempfile
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from published import publish

from rewriter.codes import Reason
from rewriter.errors import ArtefactError, RequestError
from rewriter.model.rules import RuleBook
from rewriter.online.request import shown
from rewriter.online.rewriter import Rewriter
from rewriter.result import Rewrite
from rewriter.text import normalise

RULES = {
    (None, "en", "turn of the lamp"): "turn off the lamp",
    ("ann", "en", "turn of the lamp"): "turn off the bedroom lamp",
    ("ann", "en", "play zed"): "play jazz",
    ("bob", "en", "turn of the lamp"): "turn of the lamp",
    (None, "de", "licht ausmahen"): "licht ausmachen",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("art")
    publish(root, RULES, locales={"en": 5, "de": 4}, max_chars=40)
    return root


@pytest.fixture(scope="module")
def rewriter(root):
    return Rewriter.open(root)


def test_a_rule_is_applied(rewriter, root):
    answer = rewriter.rewrite("  Turn of the LAMP! ")
    assert answer == Rewrite(
        id=answer.id,
        source="  Turn of the LAMP! ",
        text="turn off the lamp",
        applied=True,
        layer="precomputed",
        scope="global",
        reason="rule",
        score=0.0,
        suggestion=None,
        candidates=(),
        rule="r0",
        arm=None,
        propensity=None,
        artefact=(root / "CURRENT").read_text().strip(),
        steps=("turn off the lamp",),
    )


@pytest.mark.parametrize(
    ("user", "said", "expected", "scope", "reason"),
    [
        ("ann", "turn of the lamp", "turn off the bedroom lamp", "personal", "rule"),
        ("carl", "turn of the lamp", "turn off the lamp", "global", "rule"),
        ("", "turn of the lamp", "turn off the lamp", "global", "rule"),
        (None, "turn of the lamp", "turn off the lamp", "global", "rule"),
        ("ann", "play zed", "play jazz", "personal", "rule"),
        ("carl", "play zed", "play zed", None, "no_rule"),
        (None, "play zed", "play zed", None, "no_rule"),
        ("bob", "Turn of the Lamp", "Turn of the Lamp", None, "keep_source"),
        (None, "licht ausmahen", "licht ausmahen", None, "no_rule"),
        (None, "?!", "?!", None, "empty"),
        (None, "a" * 40, "a" * 40, None, "no_rule"),
        (None, "a" * 41, "a" * 41, None, "too_long"),
    ],
)
def test_who_gets_what(rewriter, user, said, expected, scope, reason):
    answer = rewriter.rewrite(said, user_id=user)
    assert (answer.text, answer.scope, answer.reason) == (expected, scope, reason)
    assert answer.source == said
    assert answer.applied == (answer.rule is not None) == (answer.layer is not None) == (answer.score is not None)
    assert answer.applied == (reason == "rule")


@pytest.mark.parametrize(
    ("locale", "said", "applied"),
    [
        ("de", "licht ausmahen", True),
        ("de_AT.UTF-8", "licht ausmahen", True),
        ("DE", "licht ausmahen", True),
        ("de", "turn of the lamp", False),
        ("en-GB", "turn of the lamp", True),
        ("fr", "turn of the lamp", False),
        ("", "turn of the lamp", True),
        (None, "turn of the lamp", True),
    ],
)
def test_locales(rewriter, locale, said, applied):
    assert rewriter.rewrite(said, locale=locale).applied == applied


def test_fall_back_goes_from_near_to_far_and_personal_before_global(tmp_path):
    rules = {
        (None, "en-US", "a"): "us",
        (None, "en", "a"): "english",
        (None, "en", "b"): "english b",
        (None, "en-GB", "b"): "british b",
        (None, "en-GB", "c"): "british c",
        (None, "en-AU", "c"): "australian c",
        ("ann", "en-AU", "a"): "hers",
    }
    publish(tmp_path, rules, locales={"en-US": 9, "en": 8, "en-GB": 7, "en-AU": 6})
    rewriter = Rewriter.open(tmp_path)
    texts = {said: rewriter.rewrite(said, locale="en-US").text for said in "abc"}
    assert texts == {"a": "us", "b": "english b", "c": "british c"}
    assert rewriter.rewrite("a", locale="en-US", user_id="ann").text == "hers"
    assert rewriter.rewrite("a", locale="en-AU", user_id="bob").text == "english"


def test_rules_of_a_locale_that_the_manifest_does_not_count(tmp_path):
    publish(tmp_path, {(None, "en", "a"): "b"}, locales={})
    assert Rewriter.open(tmp_path).rewrite("a").text == "b"


def test_an_artefact_without_rules_leaves_all_alone(tmp_path):
    publish(tmp_path, {}, locales={})
    for locale in (None, "en"):
        assert Rewriter.open(tmp_path).rewrite("a", user_id="ann", locale=locale).reason == "no_rule"


# It never raises


class Liar(str):
    """A str that fails wherever it can."""

    def _refuse(self, *_):
        raise RuntimeError("no")

    __len__ = __eq__ = __hash__ = __str__ = __bool__ = __iter__ = __contains__ = __getitem__ = _refuse
    encode = isascii = lower = translate = casefold = strip = split = _refuse


class Impostor:
    __class__ = str


class Raises:
    @property
    def __class__(self):
        raise RuntimeError("no")


anything = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary()
    | st.text(st.characters())
    | st.sampled_from(["turn of the lamp", "play zed", "ann", "en", "x" * 100_000])
    | st.lists(st.text())
    | st.dictionaries(st.text(), st.text())
    | st.builds(object)
    | st.builds(Liar, st.text(st.characters()) | st.just("turn of the lamp"))
    | st.builds(Impostor)
    | st.builds(Raises)
)


@given(anything, anything, anything, anything, anything, anything)
@example("\ud800", "\udfff", "\ud83d", None, None, None)
@example("play zed", Liar("ann"), Liar("en"), None, None, None)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=400)
def test_it_never_raises_and_gives_back_the_very_object(rewriter, utterance, user, locale, nbest, context, after):
    answer = rewriter.rewrite(utterance, user_id=user, locale=locale, nbest=nbest, context=context, after_failure=after)
    assert answer.source is utterance
    assert answer.applied or answer.text is utterance


def test_subclasses_of_str_are_texts(rewriter):
    assert rewriter.rewrite(Liar("play zed"), user_id=Liar("ann"), locale=Liar("en")).text == "play jazz"


@pytest.mark.parametrize("given_", [{"user_id": 0.5}, {"user_id": True}, {"user_id": b"ann"}, {"locale": 3}, {"locale": b"en"}])
def test_another_type_is_named(rewriter, given_):
    assert rewriter.rewrite("turn of the lamp", **given_).reason == "not_text"


def test_a_failure_inside_leaves_the_text_alone_and_is_logged(rewriter, monkeypatch, caplog):
    def fail(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(RuleBook, "find", fail)
    answer = rewriter.rewrite("turn of the lamp", user_id="ann")
    assert (answer.text, answer.applied, answer.reason) == ("turn of the lamp", False, "error")
    assert "no room" in caplog.text
    assert [record.getMessage() for record in caplog.records] == ["a request was left alone"]


def test_a_failing_log_does_not_fail_the_request(rewriter, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no")

    monkeypatch.setattr(RuleBook, "find", fail)
    monkeypatch.setattr(logging.getLogger("rewriter.online.rewriter"), "warning", fail)
    assert rewriter.rewrite("turn of the lamp").reason == "error"


# Privacy

name = st.text(st.characters(), min_size=1, max_size=6)
said = st.sampled_from(["play it", "call mum", "lights"]) | st.text(max_size=8).map(normalise).filter(bool)


@given(
    st.dictionaries(st.tuples(name, st.sampled_from(["en", "en-US"]), said), st.just(None), max_size=8),
    st.lists(name, max_size=4),
    st.lists(said, max_size=4),
)
@settings(deadline=None, max_examples=30)
def test_no_rule_of_a_user_answers_another(owned, strangers, texts):
    rules = {key: f"of {n}" for n, key in enumerate(owned)}
    owners = {f"of {n}": user for n, (user, _, _) in enumerate(owned)}
    with tempfile.TemporaryDirectory() as folder:
        publish(Path(folder), rules)
        rewriter = Rewriter.open(folder)
        for user in [*owners.values(), *strangers, None, ""]:
            for locale in (None, "en", "en-US"):
                for text in [*(source for _, _, source in owned), *texts]:
                    answer = rewriter.rewrite(text, user_id=user, locale=locale)
                    if answer.applied:
                        assert owners[answer.text] == user
                        assert answer.scope == "personal"


# Batches


def test_a_batch_is_the_calls_one_by_one(rewriter):
    texts, users, locales = (
        ["turn of the lamp", None, "licht ausmahen", "play zed"],
        ["ann", None, None, "ann"],
        [None, "en", "de", "x"],
    )
    batch = rewriter.rewrite_batch(texts, user_ids=users, locales=locales)
    single = [rewriter.rewrite(t, user_id=u, locale=loc) for t, u, loc in zip(texts, users, locales, strict=True)]
    names = [f.name for f in fields(Rewrite) if f.name != "id"]
    assert [[getattr(a, n) for n in names] for a in batch] == [[getattr(a, n) for n in names] for a in single]
    assert [a.applied for a in batch] == [True, False, True, False]


def test_a_batch_without_users_is_nobodys(rewriter):
    assert [a.scope for a in rewriter.rewrite_batch(iter(["turn of the lamp", "play zed"]))] == ["global", None]
    assert rewriter.rewrite_batch([]) == []


def test_a_batch_of_uneven_length(rewriter):
    for column in ("user_ids", "locales", "nbest", "context", "after_failure"):
        with pytest.raises(RequestError, match=f"{column}.*1 are given for 2"):
            rewriter.rewrite_batch(["a", "b"], **{column: [None]})


def test_a_batch_of_columns_that_are_no_lists(rewriter):
    for column in ("user_ids", "locales", "nbest", "context", "after_failure", "household_ids"):
        with pytest.raises(RequestError, match=rf"^{column} must be one for all utterances or one for each, not 5\.5"):
            rewriter.rewrite_batch(["a", "b"], **{column: 5.5})
    (answer,) = rewriter.rewrite_batch(b"turn of the lamp")
    assert answer.reason == rewriter.rewrite(b"turn of the lamp").reason == "not_text"


def test_opening_what_is_not_there(tmp_path):
    with pytest.raises(ArtefactError, match="no artefact here"):
        Rewriter.open(tmp_path)


def test_a_batch_takes_what_a_call_takes(rewriter):
    (one,) = rewriter.rewrite_batch("turn of the lamp", user_ids="ann", locales="en")
    assert one.text == "turn off the bedroom lamp"
    said, nbest, context = ["turn of the lamp", "play zed"], [["turn off the lamp"], []], {"room": "kitchen"}
    for after in (True, [True, False]):
        batch = rewriter.rewrite_batch(said, user_ids="ann", nbest=nbest, context=context, after_failure=after)
        assert [each.applied for each in batch] == [True, True]


def test_a_layer_that_is_none_is_named(root):
    with pytest.raises(RequestError, match=r"'nosuch'.*lesson, spelling, precomputed, online"):
        Rewriter.open(root, layers=["nosuch"])


def test_the_help_names_every_reason_and_its_meaning():
    told = pydoc.plain(pydoc.render_doc(Rewrite))
    for reason in Reason:
        assert f"{reason}: {reason.meaning}" in told
        assert reason == str(reason) == reason.value


def test_odd_values_are_shown_in_one_short_line():
    for odd in (10**5000, -(10**5000), object(), [1], float("nan"), b"x", "x" * 10**6):
        assert len(shown(odd)) < 200


def test_no_rule_sends_what_the_parser_refuses(root):
    asked = []
    strict = Rewriter.open(root, understands=lambda text: bool(asked.append(text)))
    answer = strict.rewrite("play zed", user_id="ann")
    assert (answer.applied, answer.reason, asked) == (False, "blocked", ["play jazz"])
    assert not strict.rewrite("turn of the lamp").applied
    assert Rewriter.open(root, understands="play jazz".__eq__).rewrite("play zed", user_id="ann").text == "play jazz"
