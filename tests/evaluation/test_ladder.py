"""The rungs of the ladder, on a log whose rules are known."""

import lamp_log
import numpy as np
import pytest

from rewriter.evaluation.judge import EXACT, GLOBAL, NOTHING, PERSONAL, RUNGS, climb
from rewriter.evaluation.outcomes import wins
from rewriter.simulation import PhraseAssistant
from rewriter.simulation.world import Request

NLU = PhraseAssistant({"turn off the lamp": lamp_log.OFF, "turn on the lamp": lamp_log.ON, "play my mix": lamp_log.MIX})


def request(user, heard, goal):
    return Request(user, 0, "en", goal, heard, heard, (heard,), 0.5, {"hour": 7}, True, True, True)


ASKED = [
    request("ben", "turn of the lamp", lamp_log.OFF),  # a rule for everybody
    request("ann", lamp_log.OWN, lamp_log.MIX),  # ann's own rule
    request("ben", lamp_log.OWN, lamp_log.MIX),
    request("ann", "turn on the lamp", lamp_log.ON),  # healthy
]
EXPECTED = {NOTHING: [0, 0, 0, 0], EXACT: [1, 0, 0, 0], GLOBAL: [1, 0, 0, 0], PERSONAL: [1, 1, 0, 0]}


@pytest.mark.parametrize("after_failure", [False, True])
def test_each_rung_has_the_layers_of_those_below(lamp, after_failure):
    rungs = climb(lamp[0], ASKED, NLU, after_failure=after_failure, healthy_in_log={"turn on the lamp"})
    assert tuple(rungs) == RUNGS
    assert {name: wins(of).astype(int).tolist() for name, of in rungs.items()} == EXPECTED
    assert rungs[PERSONAL].scope.tolist() == ["global", "personal", "", ""]
    assert not rungs[NOTHING].applied.any()
    assert np.isnan(rungs[EXACT].latency_us).tolist() == [False, False, False, after_failure]
