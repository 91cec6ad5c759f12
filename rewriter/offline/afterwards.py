"""`afterwards`: what a log knows of how the turns of each text went: by the teacher, or else by the books of mining."""

import numpy as np
import pandas as pd

from rewriter.database import connect
from rewriter.detect.hindsight import Hindsight
from rewriter.detect.pair import PairDetector
from rewriter.offline.mine import Mined

_MILLION = 1_000_000  # whole numbers add up to the same in every order

_TAUGHT = "SELECT said, user_no, 1 AS turns, bad FROM taught WHERE rewritten = 0"
_BOOKS = "SELECT said, user_no, turns, 1000 * (1000 * turns - success) AS bad FROM counts WHERE rewritten = 0"
_SUMMED = """
SELECT t.text, s.user_no, CAST(SUM(s.turns) AS DOUBLE) AS turns, CAST(SUM(s.bad) AS DOUBLE) AS bad
FROM ({}) AS s JOIN texts AS t ON t.id = s.said
GROUP BY t.text, s.user_no
ORDER BY t.text, s.user_no
"""


def afterwards(mined: Mined, pair: PairDetector | None, min_users: int) -> Hindsight:
    """Count turns and defects by text and user, as far as the words were sent as they were spoken.

    The teacher says how likely each recent turn went wrong. Where there is none, the books of mining say of all turns how much
    of them was success; the rest is friction or was restated.

    Args:
        mined: its tables counts and texts are read.
        pair: holds recent turns and what the teacher says of them; None where there is no teacher.
        min_users: k, users of any text or word that is told of.
    """
    with connect(**mined.named("counts", "texts")) as con:
        if pair is not None:
            columns = {name: pair.turns[name] for name in ("said", "user_no", "rewritten")}
            con.register("taught", pd.DataFrame(columns | {"bad": np.rint(pair.defect * _MILLION).astype(np.int64)}))
        found = con.execute(_SUMMED.format(_BOOKS if pair is None else _TAUGHT)).fetchnumpy()
    return Hindsight(found["text"], found["user_no"], found["bad"] / _MILLION, found["turns"], min_users)
