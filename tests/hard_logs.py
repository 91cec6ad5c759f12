"""What the tests of mining share: logs made to hurt, a detector that reads every cue, and reading tables back."""

import random
from collections import Counter

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from rewriter import tables
from rewriter.engines import connect, glob

BLANK = {c.name: None for c in tables.TURNS.columns}
EVERY_CUE = (
    *(c.name for c in tables.CANDIDATES.columns),
    "text_similarity",
    "sound_similarity",
    "contained",
    "source_text",
    "target_text",
)

UTTERANCES = (
    *("turn on the lamp", "Turn ON the lamp!", "turn on lamp", "turn of the lamp", "lamp", "stop", "Stop it.", "hör auf", "dur"),
    *("İSTANBUL'da hava", "istanbul'da hava", "ISTANBUL", "ıstanbul", "Straße nass", "STRASSE nass", "straße", "", "...", "¿?"),
)
STEPS = (0, 0, 1, 999, 44_999, 45_000, 45_001, 59_999, 60_000, 60_001, 300_000, 300_001, 86_400_000)
CONTEXTS = {
    None: [],
    "{}": [],
    '{"hour": 7, "room": "K\u00fcche"}': ["hour=6-8", "room=küche"],
    '{"hour": null, "state.oven": true, "battery": 9}': ["state.oven=true"],
    '{"previous_utterance": "Lamp!", "place": "..."}': ["previous_utterance=lamp"],
}
"""Context as JSON -> what it says."""
DEVICES = {None: [], "": [], "TV": ["device_type=tv"]}
VALUES = {
    "user_id": ("ann", "ben", "çem"),
    "locale": ("en", "en-GB", "de", "tr"),
    "utterance": UTTERANCES,
    "session_id": (None, None, None, "", "s1", "s2"),
    "hypothesis": (None, None, "", "light|on", "light|off", "turn on the lamp"),
    "status": (None, "ok", "ok", "failed"),
    "response": (None, "ok", "sorry", "stop", ""),
    "barge_in": (None, 0, 1),
    "engaged": (None, None, 0.0, 0.0005, 0.3335, 0.5, 1.0),
    "feedback": (None, None, None, 0, 1, -1),
    "asr_confidence": (None, None, 0.299, 0.3, 0.9),
    "nlu_confidence": (None, None, 0.29999999, 0.3, 1.0),
    "context": tuple(CONTEXTS),
    "device_type": tuple(DEVICES),
    "sent": (None, None, None, "", "...", "turn on the lamp", "LAMP", "straße"),
    "rule": (None, None, "", "r1", "r2"),
    "arm": (None, "rewrite", "rewrite", "leave", "blue"),
    "propensity": (None, 0.0, 0.005, 0.9, 0.9, 1.0),
}


class Spread:
    """P of every candidate from all its cues, spread over 0..1000, so that a wrong cue anywhere changes the counts."""

    columns = EVERY_CUE

    def p(self, cues):
        values = [cues[name] for name in self.columns]
        words = ["" if v is None or v != v else v if isinstance(v, str) else str(int(v)) for v in values]
        mixed = sum((i + 7) * ord(c) for word in words for i, c in enumerate(word)) * 2_654_435_761 % 4_294_967_296
        return max(0, mixed % 1400 - 300) if mixed % 1400 < 1300 else 1000

    def score(self, candidates):
        rows = [dict(zip(self.columns, row, strict=True)) for row in zip(*(candidates[c] for c in self.columns), strict=True)]
        return np.array([self.p(row) for row in rows], dtype=np.int64)


@st.composite
def logs(draw):
    """A few dozen turns, close to every limit."""
    ts, turns = 1_735_689_600_000, []
    for i in range(draw(st.integers(0, 40))):
        ts += draw(st.sampled_from(STEPS))
        values = {name: draw(st.sampled_from(choices)) for name, choices in VALUES.items()}
        turns.append(BLANK | values | {"turn_id": f"t{draw(st.integers(0, 99)):02}-{i}", "ts_ms": ts})
    return draw(st.permutations(turns))


def long_log(n, seed):
    """A log of n turns from the same values, in which users, texts and sessions recur."""
    draw = random.Random(seed)
    ts, turns = 1_735_689_600_000, []
    values = VALUES | {"user_id": [f"user {i}" for i in range(n // 20)] + ["bot"] * (n // 100)}
    for i in range(n):
        ts += draw.choice((0, 1, 7_000, 45_000, 60_000, 300_000)) // max(1, n // 40)
        turn = BLANK | {name: draw.choice(choices) for name, choices in values.items()}
        if draw.random() < 0.7:
            turn |= {"locale": "en", "session_id": None, "utterance": draw.choice(UTTERANCES[:6])}
        turns.append(turn | {"turn_id": f"{draw.random():.6f}-{i}", "ts_ms": ts})
    draw.shuffle(turns)
    return turns


def write_turns(turns, path):
    """Write turns, dicts of the columns of `tables.TURNS`, as Parquet."""
    frame = pd.DataFrame(turns, columns=list(tables.TURNS.names), dtype=object)
    columns = ", ".join(f"CAST({c.name} AS {c.type}) AS {c.name}" for c in tables.TURNS.columns)
    with connect() as con:
        con.register("frame", frame)
        con.sql(f"SELECT {columns} FROM frame").write_parquet(str(path))
    return path


def rows(table, path):
    """Return the rows of a table as a multiset of tuples."""
    with connect() as con:
        return Counter(con.read_parquet(glob(path)).project(", ".join(table.names)).fetchall())


def expected(table, dicts):
    return Counter(tuple(row[name] for name in table.names) for row in dicts)
