"""What `learn` puts on the user view: everybody's queries, and each user's own, which nobody else reaches."""

from collections import Counter

import lamp_log
import numpy as np
import pytest

from rewriter.artefact.versions import current
from rewriter.model.retrieve import Retriever
from rewriter.text import hash_user

STARTED = 20_458  # 2026-01-05


@pytest.fixture(scope="module")
def shop(lamp):
    version = current(lamp[0])
    key = bytes.fromhex(version.manifest.user_key)
    return Retriever.open(version.folder / "online"), lambda user: hash_user(user, key)


def succeeded():
    """(user, text) -> turns that the assistant granted and their last day; every one of them counts 950 thousandths."""
    turns, last = Counter(), {}
    for row in lamp_log.rows():
        if row["status"] == "ok":
            key = row["user_id"], row["utterance"].lower()
            turns[key] += 1
            last[key] = STARTED + int(row["timestamp"][8:10]) - 5
    return turns, last


def test_everybodys_queries_are_those_of_three_users(shop):
    book, turns = shop[0].user_view.book, Counter()
    for (_, text), n in succeeded()[0].items():
        turns[text] += n
    everything = np.arange(len(book))
    assert book.texts(everything) == ["turn off the lamp", "turn on the lamp"]
    assert book.success.tolist() == [950 * turns[text] for text in book.texts(everything)]
    assert book.users.tolist() == [10, 10]
    assert book.last_day.tolist() == [STARTED + 9, STARTED + 9]


def test_a_habit_is_what_its_user_said_with_success(shop):
    retriever, hashed = shop
    turns, last = succeeded()
    for user in lamp_log.USERS:
        own = retriever.user_view.habits.of(hashed(user))
        texts = retriever.user_view.texts(own.rows)
        assert set(texts) == {text for who, text in turns if who == user}
        assert own.turns.tolist() == [round(0.95 * turns[user, text]) for text in texts]
        assert own.last_day.tolist() == [last[user, text] for text in texts]


def test_nobody_finds_or_knows_what_is_another_users(shop):
    retriever, hashed = shop
    for text, owner in ((text, user) for user, text in lamp_log.SECRETS.items()):
        for user in [*lamp_log.USERS, "somebody else", ""]:
            key = hashed(user) if user else ""
            pool = retriever.find([text], "en", key)
            assert (text in pool.texts) == retriever.knows(text, "en", key) == (user == owner)
            assert pool.private.tolist() == [t not in ("turn off the lamp", "turn on the lamp") for t in pool.texts]


def test_a_pool_tells_what_the_user_wants(shop):
    retriever, hashed = shop
    for user in ("ann", "hal", "jon"):
        pool = retriever.find(["turn of the lamp"], "en", hashed(user))
        turns, last = succeeded()
        mine = {text: round(0.95 * n) for (who, text), n in turns.items() if who == user}
        assert pool.own_turns.tolist() == [mine[text] for text in pool.texts]
        assert pool.own_age.tolist() == [STARTED + 9 - last[user, text] for text in pool.texts]
        assert set(pool.own_all.tolist()) == {sum(mine.values())}
    stranger = retriever.find(["turn of the lamp"], "en", hashed("zoe"))
    assert stranger.own_turns.tolist() == stranger.own_age.tolist() == stranger.own_all.tolist() == [0, 0]
    assert dict(zip(stranger.texts, stranger.goal_prior.tolist(), strict=True)) == pytest.approx(
        {"turn off the lamp": 202 / 302, "turn on the lamp": 100 / 302}
    )
