"""The channel: counts of operations against a reference that walks the ways, costs, and what they order."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewriter.locales import pack_of
from rewriter.model.channel import SPOKEN, TYPED, NoisyChannel, Spoken, Typed, channel_of
from rewriter.model.pronouncer import BROAD, LetterPronouncer
from rewriter.offline.fit.prior_update import learn_costs
from rewriter.text import normalise

LETTERS = Spoken(LetterPronouncer())


def cheapest(said, heard, costs):
    """The cost of the cheapest way from said to heard, by the plain table of Wagner and Fischer (1974)."""
    same, within, across, deleted, inserted = costs
    table = [[j * inserted for j in range(len(heard) + 1)]]
    for i, a in enumerate(said):
        row = [table[i][0] + deleted]
        for j, b in enumerate(heard):
            step = same if a == b else within if a.translate(BROAD) == b.translate(BROAD) else across
            row.append(min(table[i][j] + step, table[i][j + 1] + deleted, row[j] + inserted))
        table.append(row)
    return table[-1][-1]


def operations(heard, said, kind=LETTERS):
    return kind.count(kind.views([heard]), kind.views(said))


@settings(max_examples=200, deadline=None)
@given(st.text("abdtk", min_size=1, max_size=8), st.text("abdtk", min_size=1, max_size=8))
def test_unit_costs_are_exact(said, heard):
    said, heard = LETTERS.pronouncer.phones(said), LETTERS.pronouncer.phones(heard)
    counts = operations(heard, [said])[0]
    assert (counts >= 0).all()
    assert counts @ [0, 1, 1, 1, 1] == cheapest(said, heard, (0, 1, 1, 1, 1))


def test_costs_are_near_those_of_the_cheapest_way():
    costs = (0.1, 2.5, 4.0, 3.0, 3.5)
    words = ["lampe", "lampen", "tampe", "bad", "bat", "rampe", "band", "hand", "lande"]
    channel = NoisyChannel(LETTERS, np.array(costs))
    off = []
    for heard, said in product(words, repeat=2):
        mine = channel.cost(channel.views([heard]), channel.views([said]))[0]
        best = cheapest(said, heard, costs)
        off.append(mine - best)
    assert np.mean(np.isclose(off, 0)) > 0.8
    assert np.abs(off).max() < 2


def test_a_missing_sound_is_cheaper_than_another_word():
    channel = channel_of("spoken", "en", [0.1, 4.0, 6.0, 3.0, 6.0])
    said = channel.views(["turn the heat up in the bedroom", "turn the heat up in the bathroom"])
    near, far = channel.cost(channel.views(["turn the heat up in the bedrooms"]), said)
    assert near < far


TYPOS = [
    ("order", "order", {}),
    ("order", "ordr", {"deleted": 1}),
    ("order", "orrder", {"inserted": 1}),
    ("order", "odrer", {"swapped": 1}),
    ("order", "orfer", {"near": 1}),
    ("order", "ofder", {"near": 1}),
    ("order", "ozder", {"far": 1}),
    ("my order", "myorder", {"space": 1}),
    ("order", "or der", {"space": 1}),
]


@pytest.mark.parametrize(("said", "heard", "expected"), TYPOS)
def test_typing_errors_are_told_apart(said, heard, expected):
    counts = dict(zip(TYPED, operations(heard, [said], Typed(pack_of("en")))[0].tolist(), strict=True))
    same = counts.pop("same")
    assert {kind: n for kind, n in counts.items() if n} == expected
    assert same == len(said.replace(" ", "")) - sum(expected.get(k, 0) for k in ("near", "far", "deleted")) - 2 * expected.get(
        "swapped", 0
    )


@pytest.mark.parametrize(
    ("language", "said", "heard", "kind"),
    [
        ("fr", "allume", "zllume", "near"),  # z stands beside a on this keyboard
        ("en", "allume", "zllume", "near"),  # and below it on that one
        ("fr", "allume", "pllume", "far"),
        ("de", "zimmer", "timmer", "near"),
        ("en", "zimmer", "timmer", "far"),
        ("ru", "свет", "свкт", "near"),
        ("ru", "свет", "свшт", "far"),
        ("tr", "ışık", "uşık", "near"),
        ("tr", "kış", "kıs", "near"),
        ("fr", "où", "ou", "near"),
        ("ja", "ライト", "らいと", None),  # the same Latin letters
        ("ja", "ライト", "ラオト", "near"),  # raito, raoto
    ],
)
def test_neighbours_are_those_of_the_keyboard_of_the_language(language, said, heard, kind):
    counts = dict(zip(TYPED, operations(normalise(heard), [normalise(said)], Typed(pack_of(language)))[0].tolist(), strict=True))
    counts.pop("same")
    counts.pop("space")
    assert {name: n for name, n in counts.items() if n} == ({kind: 1} if kind else {})


@settings(max_examples=100, deadline=None)
@given(st.text("asd ", max_size=9), st.text("asd ", max_size=9))
def test_no_count_is_negative(said, heard):
    for kind in (LETTERS, Typed(pack_of("en"))):
        assert (operations(" ".join(heard.split()), [" ".join(said.split())], kind) >= 0).all()


def test_costs_are_the_shares_counted():
    pairs = [("abab", "abab")] * 9 + [("abab", "bab")]
    costs = learn_costs(pairs, LETTERS)
    counts = np.array([39, 0, 0, 1, 0]) + 0.5
    assert np.allclose(costs, np.log(LETTERS.choices) - np.log(counts / counts.sum()))


def test_a_log_moves_shipped_costs_by_its_size():
    shipped = learn_costs([("abab", "abab")] * 9 + [("abab", "bab")], LETTERS)
    pairs = [("abab", "bab"), ("baba", "aba"), ("abab", "ba")]
    free = learn_costs(pairs, LETTERS)
    little, much = (learn_costs(pairs * n, LETTERS, prior=shipped, weight=1000) for n in (1, 1000))
    deleted = SPOKEN.index("deleted")
    assert abs(little[deleted] - shipped[deleted]) < 0.1 * abs(free[deleted] - shipped[deleted])
    assert abs(much[deleted] - free[deleted]) < 0.1


def test_a_wrong_kind_or_number_of_costs_is_refused():
    with pytest.raises(ValueError, match="spoken or typed"):
        channel_of("sung", "en", [])
    with pytest.raises(ValueError, match="3 costs for the 5 kinds"):
        channel_of("spoken", "en", [1, 2, 3])
