"""Which rule answers for which trial: its own, by the id that was logged, else the one of its text or of its user.

A part of the online layer answers for what was decided under its name. So does a rule for a context, for the same text means
something else in the next room; what its text comes to there as spoken is told by those, too, who said it while it was not asked.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from rewriter.arrays import Floats, Ints
from rewriter.engines.duckdb import connect
from rewriter.offline.lifecycle import layer_slices
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.mining.small_tables import EvidenceStarts
from rewriter.offline.trials import trials
from rewriter.offline.trials.trials import Trials

_KEYS = """
SELECT r.place, COALESCE(s.id, -1) AS said, COALESCE(t.id, -1) AS sent,
       CASE WHEN r.user_id = '' THEN -1 ELSE COALESCE(u.user_no, -2) END AS "user"
FROM wanted AS r
LEFT JOIN texts AS s ON s.kind = 'u' AND s.locale = r.locale AND s.text = r.source
LEFT JOIN texts AS t ON t.kind = 'u' AND t.locale = r.locale AND t.text = r.target
LEFT JOIN users AS u ON u.user_id = r.user_id
ORDER BY r.place
"""
_SPOKEN_THERE = """
SELECT w.place, c.said, c.user_no, c.day, SUM(c.success) / 1000.0 / SUM(c.turns) AS outcome, ANY_VALUE(a.weight) AS weight
FROM context_counts AS c
JOIN wanted AS w ON w.said = c.said AND w.context_value = c.context_value
JOIN row_days AS r ON r.node = c.said
JOIN ages AS a ON a.age = r.last_day - c.day
ANTI JOIN counts AS d ON d.rule = w.rule AND d.user_no = c.user_no AND d.day = c.day
WHERE c.rewritten = 0
GROUP BY w.place, c.said, c.user_no, c.day
ORDER BY w.place, c.day, c.user_no
"""


def trials_of(
    rules: pd.DataFrame, only_by_id: pd.Index, mined: Mined, evidence_starts: EvidenceStarts
) -> tuple[Trials, Ints, Ints]:
    """Return the trials of some rules, the rule of each, 0..m-1, and what each rule sends, (m,).

    Args:
        rules: m of them, columns of `tables.RULES`.
        only_by_id: ids of all that answer for nothing else than what was decided under them, at work or not.
        mined: its tables are read.
        evidence_starts: the first days whose evidence counts; of rules they have been heeded in the making of the tables.
    """
    keys = numbered(rules, mined)
    sent = keys["sent"].to_numpy(dtype=np.int64)
    within, part = (rules["context_value"] != "").to_numpy(dtype=bool), layer_slices.is_part(rules)
    named = rules.loc[part, "rule"].tolist()
    seen = trials.read(mined.counts, mined.row_days, mined.ages, keys["said"].to_numpy(), named)
    only = pd.Index(seen.rule).isin(only_by_id)
    place = np.where(only, _by_id(rules, within | part, seen), _by_text(keys[~within & ~part], seen))
    first = np.array([evidence_starts.get(layer_slices.key(name), 0) for name in rules["rule"]], dtype=np.int64)
    kept = np.flatnonzero(~np.isnan(place))
    kept = kept[seen.day[kept] >= first[place[kept].astype(np.int64)]]
    seen, rule = seen.take(kept), place[kept].astype(np.int64)
    seen = replace(seen, sent=np.where(part[rule], -1, seen.sent))  # what a part sends is its to choose
    if not within.any():
        return seen, rule, sent
    spoken, there = _spoken_there(rules, keys, mined)
    return seen.and_also(spoken), np.append(rule, there), sent


def numbered(rules: pd.DataFrame, mined: Mined) -> pd.DataFrame:
    """Return the numbers of source, target and user of each rule; the user is -1 for everybody."""
    with connect(**mined.named("texts", "users")) as con:
        con.register("wanted", rules[["user_id", "locale", "source", "target"]].assign(place=np.arange(len(rules))))
        frame: pd.DataFrame = con.execute(_KEYS).df()
    return frame


def _by_text(keys: pd.DataFrame, seen: Trials) -> Floats:
    """Return the rule of each trial: the user's own, else the one for everybody; NaN for none."""
    frame = pd.DataFrame({"said": seen.said, "user": seen.user})
    everybody = keys[keys["user"] < 0].drop_duplicates("said").set_index("said")["place"]
    own = keys[keys["user"] >= 0].set_index(["said", "user"])["place"]
    place = pd.MultiIndex.from_frame(frame).map(own) if len(own) else pd.Series(np.nan, index=frame.index)
    found = pd.Series(np.asarray(place, dtype=np.float64)).fillna(frame["said"].map(everybody))
    return np.asarray(found, dtype=np.float64)


def _by_id(rules: pd.DataFrame, some: npt.NDArray[np.bool_], seen: Trials) -> Floats:
    """Return which of some rules each trial was decided under; NaN for none."""
    place = pd.Series(np.flatnonzero(some), index=rules.loc[some, "rule"], dtype=np.float64)
    return np.asarray(place.reindex(seen.rule), dtype=np.float64)


def _spoken_there(rules: pd.DataFrame, keys: pd.DataFrame, mined: Mined) -> tuple[Trials, Ints]:
    """Return what the sources of rules for a context came to there on days of users whom the rule was not asked for."""
    wanted = keys.assign(rule=rules["rule"].to_numpy(), context_value=rules["context_value"].to_numpy())
    wanted = wanted[wanted["context_value"] != ""]
    with connect(**mined.named("counts", "context_counts", "row_days", "ages")) as con:
        con.register("wanted", wanted)
        found: dict[str, Any] = con.execute(_SPOKEN_THERE).fetchnumpy()
    said = np.asarray(found["said"], dtype=np.int64)
    spoken = Trials.as_spoken(said, found["user_no"], found["day"], found["outcome"], found["weight"])
    return spoken, np.asarray(found["place"], dtype=np.int64)
