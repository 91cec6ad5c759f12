"""Serving must start in a small process: it imports nothing of what learning needs."""

import subprocess
import sys

from rewriter.artefact.writer import Writer
from rewriter.config import Config
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

SERVE = """
import sys
import rewriter
from rewriter import Rewriter
answer = Rewriter.open(sys.argv[1]).rewrite("turn of the lamp", user_id="ann")
assert answer.text == "turn off the lamp"
print(*sys.modules)
"""


def test_serving_imports_nothing_heavy(tmp_path):
    with Writer(tmp_path) as writer:
        write_rules(writer.folder / "rules", [Rule("r", "", "en", "turn of the lamp", "turn off the lamp", 0.9)])
        writer.publish(config=Config(), locales={"en": 1}, counts={}, metrics={})
    done = subprocess.run([sys.executable, "-c", SERVE, str(tmp_path)], capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    assert imported & HEAVY == set()
    ours = {name for name in done.stdout.split() if name.startswith("rewriter.")}
    assert not any(name.startswith(("rewriter.offline", "rewriter.evaluate", "rewriter.simulate")) for name in ours)
