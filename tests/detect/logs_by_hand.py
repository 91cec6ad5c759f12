"""Logs for the tests of learning from a log: turns by hand, mined as far as the candidates."""

from hard_logs import BLANK, write_turns

from rewriter.config import Config
from rewriter.detect.turns import Listed
from rewriter.engines import DuckDB
from rewriter.model.detector import RuleDetector
from rewriter.offline.mining.pipeline import mine


def turn(user, at, utterance, hypothesis=None, **values):
    """A turn, `at` seconds after midnight; failed where it has no hypothesis."""
    status = "ok" if hypothesis else "failed"
    own = {"turn_id": f"{user}-{at:06}", "user_id": user, "ts_ms": at * 1000, "locale": "en", "utterance": utterance}
    return BLANK | own | {"hypothesis": hypothesis, "status": status} | values


def listed(turns, folder):
    """Mine turns, and return the tables that stand before the scores."""
    engine = DuckDB(folder / "work", threads=1)
    mined = mine(engine, write_turns(turns, folder / "turns.parquet"), RuleDetector(), Config())
    engine.close()
    return Listed(folder / "turns.parquet", mined.sessions, mined.texts, mined.candidates)
