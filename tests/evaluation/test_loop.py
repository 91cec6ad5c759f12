"""Days lived through with a rewriter that is known, and with the real loop."""

from datetime import date

import pytest
from worlds.changing import Changing

from rewriter.config import Config
from rewriter.evaluation.loop import NoRewriting, SelfAware, answer, live

START = date(2026, 1, 5)


class Known(NoRewriting):
    """Rewrites every source to its target, right or wrong, and remembers what it was shown."""

    def __init__(self, home):
        self.rules = {s.text: s.target for s in home.sources}
        self.nights, self.days = [], []

    def rewrite(self, utterance, **_):
        return answer(utterance, self.rules.get(utterance))

    def begin(self, day):
        self.days.append(day)

    def learn(self, turns):
        self.nights.append(list(turns))

    def served(self):
        return self.rules


def test_wins_and_losses_are_judged_by_the_assistant_itself():
    home = Changing(0, turns=1)
    learner, slips = Known(home), []
    lived = list(live(home.world, learner, days=2, start=START, seed=1, before={1: lambda: slips.append(1)}))
    assert [day.number for day in lived] == [0, 1]
    assert learner.days == [date(2026, 1, 5), date(2026, 1, 6)]
    assert [list(day.turns) for day in lived] == learner.nights
    assert slips == [1]
    for day in lived:
        world, wins, losses = home.world(day.number), 0, 0
        for turn in day.turns:
            if turn.utterance in learner.rules:
                assert turn.sent == learner.rules[turn.utterance]
                spoken = world.assistant.understand(turn.utterance)
                wins += spoken != turn.goal == turn.hypothesis
                losses += spoken == turn.goal != turn.hypothesis
        assert (day.wins, day.losses) == (wins, losses)
    assert lived[0].wins > 30
    assert lived[1].losses > lived[0].losses + 30  # the meaning of one source has turned


def test_no_rewriting_is_no_rewriting():
    home = Changing(0)
    (day,) = live(home.world, NoRewriting(), days=1, start=START, seed=1)
    assert (day.wins, day.losses, dict(day.served), dict(day.states), dict(day.scores)) == (0, 0, {}, {}, {})
    assert all(turn.sent is None for turn in day.turns)


@pytest.mark.slow
def test_the_real_loop_learns_overnight_and_leaves_part_alone(tmp_path):
    home = Changing(0)
    config = Config.from_dict({"loop": {"draw": True, "refit_days": 0}, "launch": {"personal": False}})
    lived = list(live(home.world, SelfAware(tmp_path, config), days=3, start=START, seed=0))
    good = {s.text: s.target for s in home.sources if s.kind in ("steady", "turns")}
    assert lived[0].wins == 0
    assert lived[1].served == good
    assert lived[1].states["canary"] == 2
    assert lived[1].wins > 10 * max(lived[1].losses, 1)
    drawn = [t for t in lived[1].turns if t.arm is not None]
    assert {(t.arm, t.propensity) for t in drawn if t.arm == "rewrite"} == {("rewrite", 0.9)}
    assert all(lived[1].scores[pair] > 0.95 for pair in good.items())
