"""What the code takes from `benchmarks/learn_cost.py` and `benchmarks/label_cost.py` is what their result files say."""

import json
from pathlib import Path

from rewriter.offline.learn import COSTS
from rewriter.offline.memory import RULES_ALONE, WITH_LAYER
from rewriter.operate import diagnose, label

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
MEASURED, LABELS = (json.loads((RESULTS / f"{name}_cost.json").read_text(encoding="utf-8")) for name in ("learn", "label"))


def test_the_costs_of_steps_are_those_that_were_measured():
    assert {step: list(cost) for step, cost in COSTS.items()} == MEASURED["costs"]
    for name, job in (("label", label), ("diagnose", diagnose)):
        assert {step: list(cost) for step, cost in job.COSTS.items()} == LABELS["costs"][name]


def test_the_memory_of_learning_is_that_which_was_measured():
    needs = {"rules alone": RULES_ALONE, "with the online layer": WITH_LAYER}
    assert {name: need._asdict() for name, need in needs.items()} == MEASURED["memory"]
