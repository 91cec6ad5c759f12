import math
from dataclasses import replace

import pytest

from rewriter.evaluation.judge import judge, proposer
from rewriter.evaluation.outcomes import LEFT_ALONE, Proposal
from rewriter.result import Rewrite
from rewriter.simulation.world import Request

TABLE = {"lamp on": "On", "lamp off": "Off", "lamb off": "Off|sheep"}


class Phrases:
    """Understands a table of phrases."""

    def understand(self, text):
        return TABLE.get(text)


def request(heard, goal, **known):
    flags = {"known_user": True, "known_phrase": True, "known_goal": True} | known
    return Request("ann", 0, "en", goal, "said", heard, (heard,), 0.5, {"hour": 7}, **flags)


# heard, goal, proposal -> as spoken, rewritten when always asked, rewritten when asked after a refusal
CASES = [
    ("lamp on", "On", None, "ok", "ok", "ok"),
    ("lamp on", "On", "lamp off", "ok", "wrong", "ok"),
    ("lamp on", "On", "lap", "ok", "failed_honestly", "ok"),
    ("lamp own", "On", "lamp on", "failed_honestly", "ok", "ok"),
    ("lamp own", "On", "lamp off", "failed_honestly", "wrong", "wrong"),
    ("lamp own", "On", "lap", "failed_honestly", "failed_honestly", "failed_honestly"),
    ("lamp own", "On", None, "failed_honestly", "failed_honestly", "failed_honestly"),
    ("lamb off", "Off", "lamp off", "wrong", "ok", "wrong"),
    ("lamb off", "Off", "lamp on", "wrong", "wrong", "wrong"),
    ("lamb off", "Off", "lap", "wrong", "failed_honestly", "wrong"),
]
PROPOSED = {heard + goal + str(text): text for heard, goal, text, *_ in CASES}


@pytest.mark.parametrize(("heard", "goal", "text", "spoken", "always", "after"), CASES)
def test_every_kind_of_rewrite_in_both_modes(heard, goal, text, spoken, always, after):
    asked = []

    def propose(request, after_failure):
        asked.append(after_failure)
        return LEFT_ALONE if text is None else Proposal(text, 0.7, "online", "personal")

    for after_failure, expected in ((False, always), (True, after)):
        outcomes = judge([request(heard, goal)], propose, Phrases(), after_failure=after_failure, healthy_in_log={"lamp on"})
        assert outcomes.as_spoken[0] == spoken
        assert outcomes.rewritten[0] == expected
        applied = text is not None and (not after_failure or spoken == "failed_honestly")
        assert outcomes.applied[0] == applied
        assert outcomes.sent[0] == (text if applied else heard)
        assert (outcomes.layer[0], outcomes.scope[0]) == (("online", "personal") if applied else ("", ""))
        assert outcomes.seen[0] == (heard == "lamp on")
    assert asked == ([False, True] if spoken == "failed_honestly" else [False])


def test_the_same_words_are_no_rewrite():
    outcomes = judge(
        [request("lamp own", "On")], lambda r, f: Proposal(r.heard, 0.9), Phrases(), after_failure=False, healthy_in_log=()
    )
    assert not outcomes.applied[0]
    assert math.isnan(outcomes.score[0])


def test_latency_counts_only_where_the_rewriter_was_asked():
    requests = [request("lamp on", "On"), request("lamp own", "On")]
    outcomes = judge(requests, lambda r, f: LEFT_ALONE, Phrases(), after_failure=True, healthy_in_log=())
    assert math.isnan(outcomes.latency_us[0])
    assert outcomes.latency_us[1] >= 0


def test_slices_by_what_the_log_could_know():
    requests = [
        request("lamp on", "On"),
        request("lamp on", "On", known_user=False),
        request("lamp on", "On", known_phrase=False),
        request("lamp own", "On", known_phrase=False),
        request("lamp on", "On", known_phrase=False, known_goal=False),
        request("lamb off", "Off"),
    ]
    outcomes = judge(requests, lambda r, f: LEFT_ALONE, Phrases(), after_failure=False, healthy_in_log=())
    found = {name: [i for i, flag in enumerate(flags) if flag] for name, flags in outcomes.slices.items()}
    assert found == {
        "known users": [0, 2, 3, 4, 5],
        "new users": [1],
        "known phrases": [0, 1, 5],
        "never-heard healthy phrases": [2],
        "never-heard goals": [4],
        "silent defects": [5],
    }


def rewrite_to(text, score):
    given = {}

    def rewrite(utterance, **options):
        given.update(options, utterance=utterance)
        base = Rewrite("id", utterance, utterance, False, None, None, "no_rule", None, None, (), None, None, None, "v1")
        if text is None:
            return base
        return replace(base, text=text, applied=True, layer="precomputed", scope="global", reason="rule", score=score)

    return rewrite, given


def test_a_rewriting_function_is_asked_with_all_that_is_known():
    rewrite, given = rewrite_to("lamp on", 0.8)
    assert proposer(rewrite)(request("lamp own", "On"), True) == Proposal("lamp on", 0.8, "precomputed", "global")
    assert given == {
        "utterance": "lamp own",
        "user_id": "ann",
        "locale": "en",
        "nbest": ("lamp own",),
        "context": {"hour": 7},
        "after_failure": True,
    }


def test_what_a_rewriting_function_leaves_alone_is_left_alone():
    assert proposer(rewrite_to(None, None)[0])(request("lamp own", "On"), False) is LEFT_ALONE


def test_a_rewrite_without_a_score_is_certain():
    assert proposer(rewrite_to("lamp on", None)[0])(request("lamp own", "On"), False).score == 1.0
