"""Which restatements teach: not those of requests that were understood and failed later, or cannot be done."""

import duckdb
import numpy as np
from hard_logs import write_turns
from logs_by_hand import turn

from rewriter.config import Config
from rewriter.detect.teaching_share import p_helped
from rewriter.engines import DuckDB
from rewriter.model.detector import RuleDetector
from rewriter.offline.mining.pipeline import mine

ON, OFF = "On|name=lamp", "Off|name=lamp"


def pair(reply, *, meant=0, later=0, failed=1.0, verbatim=True):
    """P that other words could have helped a turn that was restated; ids 0 and 1 are hypotheses, 2 is the answer."""
    pairs = {"p": [0.9], "meant": [meant], "later": [later], "reply": [2], "failed": [failed], "verbatim": [verbatim]}
    known = [(0, "en", ON), (1, "en", OFF), (2, "en", reply)]
    return float(p_helped({name: np.asarray(values) for name, values in pairs.items()}, known)[0])


def test_a_failed_action_teaches_little_and_a_misheard_request_much():
    broken = pair("Sorry, something went wrong.")
    refused = pair("Sorry, I did not understand that.", meant=-1, later=1, verbatim=False)
    missing = pair("Sorry, I couldn't find the lamp.", later=1, verbatim=False)
    assert broken < 0.2 < 0.8 < refused
    assert missing > 0.8


def test_only_what_teaches_is_spent(tmp_path):
    """Ann's lamp does not respond, so she says it again; Ben is misheard, and says it again."""
    turns = [
        turn("ann", 0, "turn on the lamp", ON, status="failed", response="Sorry, something went wrong."),
        turn("ann", 6, "turn the lamp on", ON, response="OK"),
        turn("ben", 0, "turn of the lamp", None, response="Sorry, I did not understand that."),
        turn("ben", 6, "turn off the lamp", OFF, response="OK"),
    ]
    engine = DuckDB(tmp_path / "work", threads=1)
    mined = mine(engine, write_turns(turns, tmp_path / "turns.parquet"), RuleDetector(), Config())
    engine.close()
    with duckdb.connect() as con:
        said = con.execute(
            "SELECT t.text, SUM(r.mass) FROM read_parquet(?) AS r JOIN read_parquet(?) AS t ON t.id = r.said GROUP BY ALL",
            [str(mined.rephrases), str(mined.texts)],
        ).fetchall()
        scored = con.execute("SELECT COUNT(*) FROM read_parquet(?)", [str(mined.scores)]).fetchone()
    assert [text for text, mass in said if mass] == ["turn of the lamp"]
    assert scored == (2,)  # diagnosis still sees that ann said it again
