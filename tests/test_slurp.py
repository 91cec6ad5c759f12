"""SLURP as a world: what is a goal, and what stays on one side of the split."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data" / "slurp"
if not (ROOT / "benchmarks" / "slurp.py").exists():
    pytest.skip("benchmarks are not part of this distribution", allow_module_level=True)

import slurp  # noqa: E402

USERS = [f"user{i}" for i in range(7)]
SAID = [(s, n) for s in range(40) for n in range(1 + s % 8)]
# Every take is heard in its own words, so that a hearing tells the take.
TAKES = [slurp.Take(f"say {s}", f"goal {s // 2}", (f"take {s} {n} near", f"take {s} {n} far")) for s, n in SAID]


def test_goal_is_intent_and_entities_or_the_sentence():
    entities = [{"type": "person", "filler": "Mona"}, {"type": "date", "filler": "tuesday"}, {"type": "person", "filler": "Al"}]
    assert slurp.goal_of("anything", "calendar_set", entities) == "calendar_set|date=tuesday|person=al and mona"
    assert slurp.goal_of("tell me a joke", "general_joke", []) == "general_joke: tell me a joke"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_take_is_on_both_sides_and_withheld_goals_are_not_in_the_log(seed):
    world, kept = slurp.world_of(TAKES, USERS, seed)
    rng = np.random.default_rng(0)
    logged = []
    for user in world.users:
        for phrases in user.phrases.values():
            for said in phrases:
                while heard := world.channel.hear(said, user.speaker, rng):
                    logged.append((user.user_id, said, heard.text))
    judged = Counter(text for take in kept for text in take.heard)
    assert Counter(text for *_, text in logged) + judged == Counter(text for take in TAKES for text in take.heard)
    owners = Counter(take for take, _ in {(text.rsplit(" ", 1)[0], user) for user, _, text in logged})
    assert set(owners.values()) == {1}
    assert world.split.goals
    assert not {said for _, said, _ in logged} & world.split.phrases


def test_a_user_owns_a_few_takes_of_a_goal():
    takes = [slurp.Take("say it", "goal", (f"take {n}",)) for n in range(8)]
    owned = slurp.deal(takes, USERS, np.random.default_rng(0))
    assert sorted(len(mine) for mine in owned.values()) == [2, 3, 3]
    assert sorted(take for mine in owned.values() for take in mine) == sorted(takes)


def test_the_corpus():
    if not (DATA / "recordings_asr.parquet").exists():
        pytest.skip("../shared/data/slurp is not here")
    corpus = slurp.read(DATA)
    assert sum(len(take.heard) for take in corpus.takes) == 6816
    assert len(corpus.takes) == 3913
    assert (corpus.misheard, corpus.survived) == (3386, 1145)
    assert {len(take.heard) for take in corpus.takes} == {1, 2}
