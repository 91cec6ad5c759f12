"""Poisoned logs: below k accounts nothing gets through, whatever they do and however often; from k on something can."""

from datetime import date

import pytest
from worlds.attack import poison, rejected

from rewriter.config import Config
from rewriter.evaluation.loop import answer
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter
from rewriter.simulation.dialogue import simulate_days
from rewriter.simulation.turn import write_log
from rewriter.simulation.worlds import phrase_world
from rewriter.text import normalise

START = date(2026, 1, 5)
DAYS = 5


@pytest.fixture(scope="module")
def home():
    world = phrase_world(3, n_users=40)
    honest = [turn for day in simulate_days(world, days=DAYS, start=START, seed=3) for turn in day]
    texts = sorted({normalise(t.utterance) for t in honest})
    means = {text: world.assistant.understand(text) for text in texts}
    goal = next(text for text in texts if means[text] and sum(normalise(t.utterance) == text for t in honest) > 5)
    pretences = [(text, goal) for text in texts[::7] if means[text] != means[goal]] + [(goal[:-1], goal)]
    return world, honest, texts, goal, pretences


def answers(folder, world, turns, texts, *, online=False):
    config = Config.from_dict({"loop": {"refit_days": 7 if online else 0}})
    write_log(turns, folder / "log.parquet")
    learn([folder / "log.parquet"], out=folder / "artefact", config=config, detector=RuleDetector())
    rewriter = Rewriter.open(folder / "artefact")
    return {(text, late): rewriter.rewrite(text, user_id="honest", after_failure=late).text for text in texts for late in (0, 1)}


def fakes(world, pretences, accounts, rounds):
    return [t for day in poison(world, pretences, accounts=accounts, rounds=rounds, days=DAYS, start=START) for t in day]


def test_what_the_fakes_say_is_true_of_the_assistant(home):
    world, _, _, goal, pretences = home
    turns = fakes(world, pretences, 2, 3)
    assert len(turns) == DAYS * 2 * 3 * 2 * len(pretences)
    assert len({t.turn_id for t in turns}) == len(turns)
    assert {t.user_id for t in turns} == {"fake0", "fake1"}
    first, second = turns[0], turns[1]
    assert (first.utterance, second.utterance) == (pretences[0][0], goal)
    assert (first.feedback, second.feedback, second.barge_in, second.ts_ms - first.ts_ms) == (-1, 1, True, 3000)
    assert all(t.hypothesis == world.assistant.understand(t.utterance) for t in turns)
    assert all((t.status == "failed") == (t.hypothesis is None) for t in turns)


def test_fakes_reject_what_is_rewritten_and_praise_what_is_left_alone(home):
    world, _, _, goal, _ = home
    asked = []

    def rewrite(text, *, user_id, **_):
        asked.append((text, user_id))
        return answer(text, goal if user_id == "fake0" else None)

    turns = rejected(world, ["lamp of", "fan of"], rewrite, accounts=2, day=START)
    assert asked == [(text, user) for user in ("fake0", "fake1") for text in ("lamp of", "fan of")]
    assert [(t.utterance, t.sent, t.feedback, t.hypothesis) for t in turns[::2]] == [
        ("lamp of", goal, -1, world.assistant.understand(goal)),
        ("lamp of", None, 1, world.assistant.understand("lamp of")),
    ]
    assert len({t.turn_id for t in turns}) == 4


@pytest.mark.slow
@pytest.mark.parametrize(("accounts", "rounds"), [(1, 20), (2, 20)])
def test_below_k_nothing_gets_through(home, tmp_path, accounts, rounds):
    """Among all that honest users said, no text is sent as what the attackers want that was not sent so without them."""
    world, honest, texts, goal, pretences = home
    clean = answers(tmp_path / "clean", world, honest, texts)
    poisoned = [*honest, *fakes(world, pretences, accounts, rounds)]
    found = answers(tmp_path / "poisoned", world, poisoned, [*texts, goal[:-1]])
    understand = world.assistant.understand
    wanted = {case for case, text in found.items() if text != case[0] and understand(text) == understand(goal)}
    assert wanted <= {case for case, text in clean.items() if understand(text) == understand(goal)}
    assert found[goal[:-1], 0] == goal[:-1], "nobody else ever said it"


@pytest.mark.slow
def test_below_k_the_online_layer_learns_no_text(home, tmp_path):
    """Two accounts make a phrase succeed that nobody else says: it is never sent for anybody else."""
    world, honest, texts, *_ = home
    said = {t.said for t in honest} | set(texts)
    unsaid = next(p for phrases in world.goals.values() for p in phrases if p not in said and world.assistant.understand(p))
    garbles = [unsaid[:-1], unsaid.replace("a", "", 1), unsaid + " please"]
    poisoned = [*honest, *fakes(world, [(garble, unsaid) for garble in garbles], 2, 10)]
    found = answers(tmp_path, world, poisoned, [*garbles, *texts], online=True)
    assert unsaid not in found.values()


@pytest.mark.slow
def test_with_enough_accounts_something_gets_through(home, tmp_path):
    """The tests above would find it: ten accounts teach a garble that nobody else says."""
    world, honest, _, goal, _ = home
    poisoned = [*honest, *fakes(world, [(goal[:-1], goal)], 10, 2)]
    found = answers(tmp_path, world, poisoned, [goal[:-1]])
    assert world.assistant.understand(found[goal[:-1], 0]) == world.assistant.understand(goal)
