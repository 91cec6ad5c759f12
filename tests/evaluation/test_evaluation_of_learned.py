"""From a simulated log through `learn` to an evaluation on the days after it."""

from datetime import date
from itertools import chain

import pytest

from rewriter.artefact.versions import current
from rewriter.evaluation.evaluate import evaluate, healthy_texts, learned_days
from rewriter.evaluation.judge import healthy_texts as truly_healthy
from rewriter.evaluation.judge import logged
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn
from rewriter.simulation.dialogue import simulate_days
from rewriter.simulation.turn import write_log
from rewriter.simulation.worlds import phrase_world

pytestmark = pytest.mark.slow
START = date(2026, 1, 5)


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("talk")
    days = list(simulate_days(phrase_world(0, n_users=60), days=9, start=START, seed=0))
    write_log(chain.from_iterable(days[:7]), folder / "before.jsonl")
    write_log(chain.from_iterable(days[7:]), folder / "after.csv")
    learn([folder / "before.jsonl"], out=folder / "artefact", detector=RuleDetector())
    return folder, [turn for day in days[:7] for turn in day]


def test_a_learned_artefact_wins_on_later_days(talk):
    folder, _ = talk
    evaluation = evaluate(folder / "artefact", [folder / "after.csv"], truth="goal", out=folder / "out")
    every = evaluation.rows[0]
    assert every.wins > 5
    assert every.win_loss.low > 2
    assert every.broken_seen.value == 0
    assert every.unknown < every.wins / 3  # the log itself must have answered the text that is sent
    assert evaluation.warnings == ()


def test_the_days_that_were_learned_from_are_known(talk):
    folder, _ = talk
    first = (START - date(1970, 1, 1)).days
    assert learned_days(current(folder / "artefact")) == (first, first + 6)
    (warning,) = evaluate(folder / "artefact", [folder / "before.jsonl"], truth="goal").warnings
    assert "learned from 2026-01-05 to 2026-01-11" in warning


def test_most_healthy_texts_of_the_log_are_found_in_the_state(talk):
    folder, turns = talk
    found, true = healthy_texts(current(folder / "artefact")), truly_healthy(logged(turns))
    assert len(found & true) > 0.9 * len(true)
