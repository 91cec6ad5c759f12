"""Judged turns summed up by rewrite."""

from dataclasses import replace

from hand_made import make, texts

from rewriter.evaluation.pairs import Pair, best, pairs, worst

ROWS = [
    ("ann", "failed_honestly", "ok", True),
    ("bob", "failed_honestly", "ok", True),
    ("bob", "ok", "wrong", True),
    ("cem", "failed_honestly", "wrong", True),
    ("dan", "unknown", "unknown", True),
    ("eva", "ok", "ok", False),
]


def outcomes(applied=(1, 1, 1, 1, 1, 0)):
    rows = [(*row[:2], row[2] if on else row[1], bool(on)) for row, on in zip(ROWS, applied, strict=True)]
    return replace(make(rows), source=texts(["Turn of!", "turn of", "turn of", "turn of", "x", "y"]))


def test_every_rewritten_turn_counts_once_for_its_pair():
    assert pairs({"before": outcomes()}) == [
        Pair("turn of", "sent", ("before",), users=3, wins=2, losses=2, broken=1, undecided=0),
        Pair("x", "sent", ("before",), users=0, wins=0, losses=0, broken=0, undecided=1),
    ]


def test_a_turn_counts_in_the_first_mode_that_rewrites_it():
    found = pairs({"before": outcomes((1, 0, 0, 0, 0, 0)), "after": outcomes((1, 1, 0, 0, 0, 0))})
    assert found == [Pair("turn of", "sent", ("before", "after"), users=2, wins=2, losses=0, broken=0, undecided=0)]


def test_the_worst_lose_most_and_the_best_win_for_most_users():
    def pair(name, users, wins, losses):
        return Pair(name, "s", ("before",), users, wins, losses, 0, 0)

    found = [pair("a", 5, 9, 0), pair("b", 7, 7, 1), pair("c", 2, 1, 3), pair("d", 1, 1, 1), pair("e", 0, 0, 0)]
    assert [p.source for p in worst(found)] == ["c", "d", "b"]
    assert [p.source for p in best(found)] == ["b", "a"]
    assert [p.source for p in best(found, 1)] == ["b"]
