"""Pairs of texts, written for this project, that must be blocked for a stated reason or must pass."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from rewriter.guardrail import Guardrail
from rewriter.text import normalise

PAIRS = list(csv.DictReader((Path(__file__).parents[1] / "data/guardrail_pairs.csv").read_text(encoding="utf-8").splitlines()))


def asked(pair):
    options = dict(part.partition("=")[::2] for part in pair["options"].split(" ") if "=" in part)
    known = set(pair["options"].partition("known=")[2].split())
    return Guardrail.open(pair["language"]).verdict(
        pair["source"],
        pair["target"],
        names=set(filter(None, pair["names"].split(";"))),
        knows=known.__contains__ if known else lambda word: True,
        personal="personal" in pair["options"],
        online="online" in pair["options"],
        intent=options.get("intent"),
    )


@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: f"{p['language']}: {p['source']} -> {p['target']} {p['options']}")
def test_pair(pair):
    assert normalise(pair["source"]) == pair["source"]
    assert normalise(pair["target"]) == pair["target"]
    verdict = asked(pair)
    if pair["verdict"] == "pass":
        assert verdict is None
    else:
        assert verdict is not None
        assert verdict.kind.partition("_")[0] == pair["verdict"]


def test_the_table_is_large_enough():
    counts = Counter((pair["language"], pair["verdict"] == "pass") for pair in PAIRS)
    assert min(counts["en", False], counts["en", True]) >= 150
    for language in ("de", "es", "fr", "it", "nl", "tr"):
        assert min(counts[language, False], counts[language, True]) >= 20
    assert len({(p["language"], p["source"], p["target"], p["options"]) for p in PAIRS}) == len(PAIRS)
