"""Serving must start in a small process: it imports nothing of what learning needs."""

import subprocess
import sys

import numpy as np
from user_views import shelve, working

from rewriter.artefact.writer import Writer
from rewriter.config import Config
from rewriter.model.decider import Decider, Threshold
from rewriter.model.features import RANK, RISK
from rewriter.model.fluency import Wording
from rewriter.model.logistic import Logistic
from rewriter.model.risk import COLUMNS, Risk
from rewriter.model.rules import Rule, write_rules

HEAVY = {
    "torch",
    "pandas",
    "duckdb",
    "sklearn",
    "scipy",
    "networkx",
    "sentence_transformers",
    "lightgbm",
    "matplotlib",
    "rich",
    "click",
    "jinja2",
    "pyspark",
    "pyarrow",
    "hassil",
    "jellyfish",
    "rapidfuzz",
    "faiss",
    "numpy",
    "onnxruntime",
}

ONLINE = {"numpy", "faiss", "rapidfuzz", "jellyfish"}
"""What an artefact with an online layer may ask for besides."""

SERVE = """
import sys
import rewriter
from rewriter import Rewriter
rewriter = Rewriter.open(sys.argv[1])
assert rewriter.rewrite("turn of the lamp", user_id="ann").text == "turn off the lamp"
assert rewriter.rewrite("turn off the lamb", after_failure=True).reason == sys.argv[2]
print(*sys.modules)
"""


def imported_by(root, reason):
    done = subprocess.run([sys.executable, "-c", SERVE, str(root), reason], capture_output=True, text=True, check=True)
    ours = {name for name in done.stdout.split() if name.startswith("rewriter.")}
    assert not any(name.startswith(("rewriter.offline", "rewriter.evaluation", "rewriter.simulation")) for name in ours)
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_serving_imports_nothing_heavy(tmp_path):
    with Writer(tmp_path) as writer:
        write_rules(writer.folder / "rules", [Rule("r", "", "en", "turn of the lamp", "turn off the lamp", 0.9)])
        writer.publish(config=Config(), locales={"en": 1}, counts={}, metrics={})
    assert imported_by(tmp_path, "no_rule") & HEAVY == set()


def test_an_online_layer_imports_what_it_needs_and_no_more(tmp_path):
    phrases = ["turn off the lamp", "play some jazz"]
    with Writer(tmp_path) as writer:
        write_rules(writer.folder / "rules", [Rule("r", "", "en", "turn of the lamp", "turn off the lamp", 0.9)])
        folder = writer.folder / "online"
        shelve(folder, phrases, everybody=working(phrases))
        Wording.of((phrase, {}) for phrase in phrases).save(folder / "wording" / "en")
        never = (Logistic(np.zeros(len(names)), 0.0) for names in (RANK, RISK))
        Decider(*never, Threshold(), Threshold(), hears=False).save(folder)
        Risk({}, {}, -2.0, Logistic(np.zeros(len(COLUMNS)), 0.0)).save(folder)
        writer.publish(config=Config(), locales={"en": 1}, counts={}, metrics={})
    assert imported_by(tmp_path, "off") & HEAVY <= ONLINE
