"""Fault injection: the truth of each turn follows from what was said, heard, understood and answered."""

import json
from collections import Counter
from datetime import date

import pytest

from rewriter.codes import FailurePoint
from rewriter.simulation.fault_injection import Faults, inject, manners, write_injected
from rewriter.simulation.worlds import phrase_world

NONE = Faults(false_wake=0, entity=0, result=0, outage=0, unsupported=0)


@pytest.fixture(scope="module")
def world():
    return phrase_world(3, n_users=20, setting="quiet")


def turns(world, faults, assistant="plain", seed=1):
    return list(inject(world, faults, manners()[assistant], days=2, start=date(2026, 1, 5), seed=seed))


def test_the_same_seed_gives_the_same_log(world):
    assert turns(world, Faults()) == turns(world, Faults())
    assert turns(world, Faults()) != turns(world, Faults(), seed=2)


def test_without_faults_only_the_channel_and_the_nlu_fail(world):
    found = turns(world, NONE)
    assert {t.failure for t in found} <= {FailurePoint.CORRECT, FailurePoint.ASR, FailurePoint.NLU}
    assert not any(t.unsupported for t in found)
    assert all(len(t.failing) <= 2 for t in found)


@pytest.mark.parametrize(
    ("faults", "stage"),
    [
        (Faults(false_wake=0.5, entity=0, result=0, outage=0, unsupported=0), FailurePoint.FALSE_WAKE),
        (Faults(false_wake=0, entity=0.6, result=0, outage=0, unsupported=0, recovered=0), FailurePoint.ENTITY),
        (Faults(false_wake=0, entity=0, result=0.6, outage=0, unsupported=0, recovered=0), FailurePoint.RESULT),
    ],
)
def test_one_stage_at_a_time(world, faults, stage):
    counts = Counter(t.failure for t in turns(world, faults))
    assert counts[stage] > 0.15 * counts.total()
    assert set(counts) <= {FailurePoint.CORRECT, FailurePoint.ASR, FailurePoint.NLU, stage}


def test_what_the_assistant_makes_up_for_is_correct(world):
    found = turns(world, Faults(false_wake=0, entity=1, result=1, outage=0, unsupported=0, recovered=1))
    assert {t.failure for t in found} <= {FailurePoint.CORRECT, FailurePoint.ASR, FailurePoint.NLU}


def test_what_cannot_be_done_is_correct(world):
    found = turns(world, Faults(false_wake=0, entity=0, result=0, outage=0, unsupported=1))
    done = [t for t in found if not t.failing and t.row["utterance"] != world.stop]
    assert done
    assert all(t.unsupported and t.failure == FailurePoint.CORRECT and t.row["status"] == "failed" for t in done)


def test_the_first_of_two_is_the_truth(world):
    found = turns(world, Faults(false_wake=0, entity=0.6, result=0.6, outage=0, unsupported=0, recovered=0))
    two = [t for t in found if len(t.failing) > 1]
    order = list(FailurePoint)
    assert two
    assert all(t.failing == tuple(sorted(t.failing, key=order.index)) and t.failure == t.failing[0] for t in two)


def test_a_log_holds_the_columns_of_its_assistant_and_the_truth(world, tmp_path):
    n = write_injected(turns(world, Faults(), "chatty"), tmp_path / "log.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == n > 50
    assert all("nlu_confidence" not in line and {"asr_confidence", "failure", "failing"} <= line.keys() for line in lines)
