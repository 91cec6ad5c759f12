"""The peers' rules, on a small log whose answers are worked by hand."""

from dataclasses import replace

import pytest
from peer_rules import Nothing, SymSpell, Willow, peers, successful

from rewriter.evaluation.outcomes import LEFT_ALONE
from rewriter.evaluation.replay import REFUSED, RecordedTurn
from rewriter.simulation.world import Request

QUICK = [p for p in peers() if not isinstance(p, SymSpell)]
PLAIN = RecordedTurn("t", "ann", "ann", 0, "en", "", "", None, False, False, (), {}, None)


def turn(text, answer="On"):
    return replace(PLAIN, utterance=text, sent=text, answer=answer)


LOG = [
    *[turn("turn on the kitchen light")] * 3,
    *[turn("turn off the kitchen light")] * 2,
    turn("Set a timer for ten minutes!"),
    turn("turn on"),
    turn("tern on the kitchen light", REFUSED),
    turn("mumble", None),
]


def ask(peer, heard):
    peer.fit(LOG)
    return peer.propose(Request("ann", 0, "en", "goal", "said", heard, (heard,), 0.5, {}, True, True, True), True)


def test_only_accepted_texts_are_learned_with_their_counts():
    assert successful(LOG) == {
        "turn on the kitchen light": 3,
        "turn off the kitchen light": 2,
        "set a timer for ten minutes": 1,
        "turn on": 1,
    }


def test_no_rewriting_leaves_alone():
    assert ask(Nothing(), "tern on the kitchen light") is LEFT_ALONE


def test_willow_counts_shared_words_and_then_typos():
    # "tern" and "kitchan" are long enough for a typo: five words found with two typos.
    text, score, *_ = ask(Willow(), "tern on the kitchan light")
    assert text == "turn on the kitchen light"
    assert score == pytest.approx(5 - 0.02)


def test_willow_words_of_three_letters_must_be_right_and_length_breaks_ties():
    text, score, *_ = ask(Willow(), "turn onn")
    assert text == "turn on"
    assert score == 1.0
    assert ask(Willow(), "xyz") is LEFT_ALONE


def test_willow_prefers_the_more_frequent_of_equals():
    assert ask(Willow(), "turn the kitchen light").text == "turn on the kitchen light"


@pytest.mark.parametrize("peer", QUICK, ids=lambda p: p.name)
def test_what_succeeded_is_left_alone(peer):
    assert ask(peer, "Turn on the kitchen light") is LEFT_ALONE


@pytest.mark.slow
def test_symspell_mends_words_towards_those_of_the_log():
    pytest.importorskip("symspellpy", reason="pip install 'rewriter[dev]'")
    peer = SymSpell()
    text, score, *_ = ask(peer, "turn on the kitchem light")
    assert (text, score) == ("turn on the kitchen light", 1 - 1 / 25)
    assert ask(peer, "turn on the kitchen light") is LEFT_ALONE


@pytest.mark.parametrize("peer", [p for p in QUICK if p.name != "no rewriting"], ids=lambda p: p.name)
def test_a_small_slip_is_mended_at_the_peers_own_threshold(peer):
    proposal = ask(peer, "turn of the kitchen light")
    assert proposal.text in {"turn off the kitchen light", "turn on the kitchen light"}
    assert proposal.score >= peer.threshold


def test_without_a_log_there_is_nothing_to_send():
    for peer in QUICK:
        peer.fit([])
        assert peer.propose(Request("ann", 0, "en", "g", "s", "x", ("x",), 0.5, {}, True, True, True), False) is LEFT_ALONE
