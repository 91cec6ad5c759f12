"""`rephrases`: the pairs of texts that a shared encoder may learn from."""

import numpy as np
import pandas as pd

from rewriter.offline.evidence import Pairs
from rewriter.offline.fit_encoder import Rephrases

_FAILING = 0.5  # share of success of a source, at most
_LEAST_SHARE = 0.25  # of the votes on a source


def rephrases(texts: pd.DataFrame, good: pd.DataFrame, pairs: Pairs, min_users: int) -> Rephrases:
    """Return failing texts, each with a text that says what was meant; both come from enough users.

    Args:
        texts: every text (`rewriter.offline.stock.said`).
        good: those that others may be rewritten to (`rewriter.offline.stock.worthy`); the one with the most success speaks for
            its interpretation.
        pairs: what all users together say was meant.
        min_users: k.
    """
    failing = texts[(texts["said_by"] >= min_users) & (texts["rate"] <= _FAILING) & texts["source"].notna()]
    spoken = good.sort_values("success", ascending=False, kind="stable").drop_duplicates(["locale", "node"])
    voted = pd.DataFrame({"source": pairs.source, "node": pairs.target, "votes": pairs.votes})
    voted["share"] = voted["votes"] / voted.groupby("source")["votes"].transform("sum")
    led = voted[voted["share"] >= _LEAST_SHARE].merge(failing[["source", "locale", "query", "said_by"]], on="source")
    found = led.merge(spoken[["node", "locale", "query", "users"]], on=["node", "locale"], suffixes=("", "_meant"))
    found = found[found["query"] != found["query_meant"]]
    users = np.minimum(found["said_by"], found["users"]).to_numpy(dtype=np.int64)
    return Rephrases(found["query"].tolist(), found["query_meant"].tolist(), users)
