"""The online stages: what is left alone and why, what is sent, what is only suggested."""

import math
from dataclasses import replace

import layered
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewriter.artefact.versions import current
from rewriter.codes import Standing
from rewriter.model.decider import Threshold
from rewriter.model.fluency import Wording
from rewriter.online.layer import OnlineLayer
from rewriter.online.request import LayerRequest
from rewriter.online.rewriter import Rewriter

TEXTS = ["turn off the lamp", "turn on the lamp", "play some jazz", "set the lamp to forty percent"]
NAMES = [{"lamp": "name"}, {"lamp": "name"}, {}, {"lamp": "name"}]


def publish(root, before, after, hears=True):
    layered.publish(root, TEXTS, NAMES, before, after, hears)
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return publish(tmp_path_factory.mktemp("artefact"), Threshold(0.15, 0.1), Threshold(0.6, 0.3))


@pytest.fixture(scope="module")
def rewriter(root):
    return Rewriter.open(root)


def test_a_garble_is_sent_as_what_it_sounds_like(rewriter):
    answer = rewriter.rewrite("turn off the lamb", after_failure=True)
    assert (answer.text, answer.reason, answer.layer, answer.scope, answer.rule) == (
        "turn off the lamp", "online", "online", "global", "online-after-global",
    )  # fmt: skip
    assert answer.candidates[0].text == "turn off the lamp"
    assert answer.candidates[0].p_success == answer.score > 0.6


def test_before_the_nlu_the_score_is_that_it_fails_and_that_this_is_meant(rewriter):
    before, after = (rewriter.rewrite("turn off the lamb", after_failure=late) for late in (False, True))
    fails = 1 / (1 + math.exp(-(4.0 * 1 - 5.0)))  # one unknown word
    assert before.score == pytest.approx(after.score * fails)


def test_what_the_student_knows_of_a_word_is_a_column_of_the_risk(tmp_path):
    for worst in (3.0, 1.0, -1.0):
        student = replace(layered.STUDENT, words={"lamb": worst, "turn": -4.0})
        root = tmp_path / str(worst)
        layered.publish(root, TEXTS, NAMES, Threshold(0.0, 0.0), student=student, by_student=0.5)
        before, after = (Rewriter.open(root).rewrite("turn off the lamb", after_failure=late) for late in (False, True))
        assert before.score == pytest.approx(after.score / (1 + math.exp(-(4.0 * 1 + 0.5 * worst - 5.0))))
        told = OnlineLayer.open(current(root).folder / "online").consider(LayerRequest(["turn off the lamb"], "en", "", False))
        assert told[0].score == before.score


@pytest.mark.parametrize(
    ("text", "after_failure", "reason"),
    [
        ("turn of the lamp", False, "rule"),
        ("turn on the lamp", False, "healthy"),
        ("turn the lamp", True, "blocked"),  # nothing may put a polarity in it
        ("turn on lamp", False, "fluent"),
        ("play some yellow submarine jazz music tonight", True, "unsure"),
        ("!!", False, "empty"),
    ],
)
def test_every_abstention_has_its_reason(rewriter, text, after_failure, reason):
    answer = rewriter.rewrite(text, after_failure=after_failure)
    assert answer.reason == reason
    assert answer.applied == (reason == "rule")


@pytest.mark.parametrize(
    ("layers", "by_rule", "by_star"),
    [(("precomputed",), "rule", "no_rule"), (("online",), "online", "online"), ((), "no_rule", "no_rule")],
)
def test_layers_can_be_left_out(root, layers, by_rule, by_star):
    partly = Rewriter.open(root, layers=layers)
    assert partly.rewrite("turn of the lamp", after_failure=True).reason == by_rule
    assert partly.rewrite("turn off the lamb", after_failure=True).reason == by_star


class Thorough(OnlineLayer):
    def _is_hopeless(self, scored):
        return False


class Unguarded(OnlineLayer):
    def _allows(self, scored, text):
        raise AssertionError("the guardrail is asked")


@settings(max_examples=100, deadline=None)
@given(
    words=st.lists(
        st.sampled_from(["turn", "on", "off", "of", "the", "lamp", "lamb", "play", "some", "jazz", "forty"]), min_size=1
    ),
    after_failure=st.booleans(),
)
def test_not_asking_the_guardrail_changes_no_answer_but_the_reason(root, words, after_failure):
    request = LayerRequest([" ".join(words)], "en", "", after_failure)
    folder = current(root).folder / "online"
    quick, full = (kind.open(folder).decide(request, late=lambda: False, sendable=None) for kind in (OnlineLayer, Thorough))
    assert quick._replace(reason=full.reason) == full
    if quick.reason != full.reason:
        assert (quick.reason, full.reason) == ("unsure", "blocked")
        assert Unguarded.open(folder).decide(request, late=lambda: False, sendable=None) == quick


@pytest.mark.parametrize("after_failure", [False, True])
@pytest.mark.parametrize(
    "text", ["turn off the lamb", "turn the lamp", "play some yellow submarine jazz music tonight", "turn on lamp"]
)
def test_what_is_considered_is_what_is_decided(root, rewriter, text, after_failure):
    answer = rewriter.rewrite(text, after_failure=after_failure)
    online_layer = OnlineLayer.open(current(root).folder / "online")
    told = online_layer.consider(LayerRequest([text], "en", "", after_failure))
    assert [(c.text, c.meant) for c in told][: len(answer.candidates)] == [(c.text, c.p_success) for c in answer.candidates]
    cleared = [c for c in told if c.standing is Standing.SENT]
    assert [c.text for c in cleared] == ([answer.text] if answer.applied else [])
    assert [c.score for c in cleared] == ([answer.score] if answer.applied else [])
    assert all(c.standing is Standing.FORBIDDEN for c in told) == (answer.reason == "blocked")
    for c in told:
        assert c.meant == pytest.approx(1 / (1 + math.exp(c.features["cost"] - 2.0)))
        assert c.weights["cost"] == -1.0
        assert c.score == c.meant if after_failure else c.score < c.meant
    asking = [c.text for c in told if c.standing is Standing.SUGGESTED]
    assert asking == ([answer.suggestion] if answer.suggestion else [])


@settings(max_examples=60, deadline=None)
@given(
    calls=st.lists(
        st.tuples(
            st.sampled_from([*TEXTS, "turn off the lamb", "turn of the lamp", "play sum jazz", "turn the lamp", "xyz", "", None]),
            st.sampled_from([None, "ann", "bob"]),
            st.sampled_from([None, "en", "de"]),
            st.lists(st.sampled_from([*TEXTS, "play some jars", "turn off the lamb"]), max_size=3),
            st.sampled_from([None, {"room": "kitchen", "hour": 7}]),
            st.booleans(),
        ),
        max_size=8,
    ),
    deadline_ms=st.sampled_from([None, 0, 10_000]),
)
def test_a_batch_is_the_calls_one_by_one(root, calls, deadline_ms):
    names = ("user_id", "locale", "nbest", "context", "after_failure")
    single, batch = (Rewriter.open(root, deadline_ms=deadline_ms, now=lambda: 1.7e9) for _ in range(2))
    alone = [single.rewrite(text, **dict(zip(names, given, strict=True))) for text, *given in calls]
    texts, users, locales, nbest, context, after_failure = zip(*calls, strict=True) if calls else [[]] * 6
    together = batch.rewrite_batch(
        texts, user_ids=users, locales=locales, nbest=nbest, context=context, after_failure=after_failure
    )
    assert [replace(answer, id="", ask=False) for answer in together] == [replace(answer, id="", ask=False) for answer in alone]


def test_another_locale_has_no_online_layer(rewriter):
    assert rewriter.rewrite("turn off the lamb", locale="de").reason == "unknown_locale"


def test_middle_scores_are_suggested(tmp_path):
    publish(tmp_path, Threshold(), Threshold(apply=0.99, suggest=0.3))
    answer = Rewriter.open(tmp_path).rewrite("turn off the lamb", after_failure=True)
    assert (answer.text, answer.applied, answer.suggestion) == ("turn off the lamb", False, "turn off the lamp")


@pytest.mark.parametrize("least", [0.0, 0.2, 0.999])
def test_where_the_log_is_small_the_shipped_prior_must_agree(least, tmp_path):
    root = publish(tmp_path, Threshold(), Threshold(0.6, least_prior=least))
    layer = OnlineLayer.open(current(root).folder / "online")
    answer = Rewriter.open(root).rewrite("turn off the lamb", after_failure=True)
    standings = {c.text: c.standing for c in layer.consider(LayerRequest(["turn off the lamb"], "en", "", True))}
    assert answer.applied == (least < 0.9)
    assert standings["turn off the lamp"] is (Standing.SENT if least < 0.9 else Standing.DOUBTED)
    assert answer.reason == ("online" if least < 0.9 else "unsure")


def test_thin_evidence_keeps_the_layer_off(tmp_path):
    publish(tmp_path, Threshold(), Threshold())
    answer = Rewriter.open(tmp_path).rewrite("turn off the lamb", after_failure=True)
    assert (answer.applied, answer.suggestion) == (False, None)


def test_other_hearings_are_searched_too(rewriter, tmp_path):
    heard = {"nbest": ["turn off the lamp"], "after_failure": True}
    assert rewriter.rewrite("turn aft the lamp", **heard).text == "turn off the lamp"
    ignore_nbest = Rewriter.open(publish(tmp_path, Threshold(0.5, 0.3), Threshold(0.6, 0.3), hears=False))
    assert ignore_nbest.rewrite("turn aft the lamp", **heard) != ignore_nbest.rewrite("turn aft the lamp", after_failure=True)
    alone, helped = (ignore_nbest.rewrite("turn aft the lamp", nbest=n, after_failure=True) for n in ((), ("turn off the lamp",)))
    assert (alone.text, alone.score, alone.candidates) == (helped.text, helped.score, helped.candidates)


def test_the_time_is_looked_at(root):
    assert Rewriter.open(root, deadline_ms=0).rewrite("turn off the lamb", after_failure=True).reason == "deadline"
    assert Rewriter.open(root, deadline_ms=0).rewrite("turn of the lamp").reason == "rule"
    assert Rewriter.open(root, deadline_ms=60_000).rewrite("turn off the lamb", after_failure=True).applied


def test_the_assistants_parser_is_asked(root):
    knows = Rewriter.open(root, understands=lambda text: text == "turn off the lamb")
    assert knows.rewrite("turn off the lamb").reason == "understood"
    assert knows.rewrite("turn off the lamb", after_failure=True).reason == "blocked"  # nor would it know the candidate
    assert knows.rewrite("turn of the lamp").reason == "blocked"  # nor the target of the rule


def test_a_parser_that_raises_leaves_the_request_alone(root):
    def broken(text):
        raise RuntimeError(text)

    assert Rewriter.open(root, understands=broken).rewrite("turn off the lamb").reason == "error"


@settings(deadline=None)
@given(
    st.text(max_size=40),
    st.lists(st.one_of(st.text(max_size=20), st.none(), st.integers()), max_size=4),
    st.booleans(),
)
def test_never_raises(rewriter, text, nbest, after_failure):
    answer = rewriter.rewrite(text, nbest=nbest, after_failure=after_failure)
    assert answer.source == text
    assert answer.applied or answer.text == text
    assert answer.reason != "error"


def test_what_people_blocked_is_neither_sent_nor_suggested(tmp_path):
    publish(tmp_path, Threshold(0.15, 0.1), Threshold(0.6, 0.3))
    rewriter = Rewriter.open(tmp_path)
    assert rewriter.rewrite("turn off the lampp", after_failure=True).text == "turn off the lamp"
    for line in ("block,en,,turn off the lamp,", "block,,turn off the lampp,turn off the lamp,"):
        (tmp_path / "review.csv").write_text(line + "\n", encoding="utf-8")
        answer = rewriter.rewrite("turn off the lampp", after_failure=True)
        assert "turn off the lamp" not in (answer.text, answer.suggestion), line
        assert not answer.applied or answer.text in TEXTS
    (tmp_path / "review.csv").write_text("block,,turn off the lampp,,\n", encoding="utf-8")
    assert rewriter.rewrite("turn off the lampp", after_failure=True).reason == "blocked_by_review"
    assert rewriter.rewrite("turn off the lamppp", after_failure=True).text == "turn off the lamp"


@pytest.mark.parametrize(
    ("heard", "detail"),
    [("nicht turn on the lamp", "drops_negation|nicht||"), ("turn on the lamp bitte", ""), ("turn on die lamp", "")],
)
@pytest.mark.parametrize("after_failure", [True, False])
def test_what_another_language_of_the_artefact_negates_is_forbidden(tmp_path, heard, detail, after_failure):
    publish(tmp_path, Threshold(0.0, 0.0), Threshold(0.0, 0.0))
    folder = current(tmp_path).folder / "online"
    request = LayerRequest([heard], "en", "", after_failure)

    def told():
        return next(one for one in OnlineLayer.open(folder).consider(request) if one.text == "turn on the lamp")

    alone = told()
    Wording.of([("mach die lampe an", {})]).save(folder / "wording" / "de")
    beside = told()
    assert beside.detail == (detail or alone.detail)
    assert beside.standing == (Standing.FORBIDDEN if detail else alone.standing)
