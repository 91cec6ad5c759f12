"""`build_query_index`: from the mined tables to the shared queries, the habits of each user, and the index over both.

A query is a text that works for enough users, so that others may be rewritten to it. `near_duplicates` are left out as targets;
`rephrases` are the pairs that a shared encoder may learn from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

from rewriter.config import Config
from rewriter.engines import connect
from rewriter.guardrail.contrasts import WordContrasts
from rewriter.model.contrasts import mine_words
from rewriter.model.encoder import SavedEncoder
from rewriter.model.habits import UserCounts, save_spoken, write_habits
from rewriter.model.hypothesis import quotes
from rewriter.model.index import build_index
from rewriter.model.query_store import Queries, QueryBook, write_book
from rewriter.model.slots import Filled, write_slots
from rewriter.offline.fit.encoder import EncoderData, MinedRephrases, learn_encoder
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.rules.votes import Pairs
from rewriter.text import text_draw

_ALIKE = 0.75  # least normalised Indel similarity of a near duplicate and the text that it duplicates
_RARER = 5.0  # the duplicated text has at least so many times the success
_MORE_USERS = 2.0
"""The duplicated text works for at least so many times the users. So no account can make a text common by saying it often."""


def near_duplicates(good: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which texts are near duplicates of a similar text with the same interpretation and far more success, (n,).

    A tolerant assistant understands many garbled texts, such as "jungle the audiobook dracula". Such a text is healthy and is not
    rewritten. But nobody says it on purpose. As a target it would be found for other garbled texts in place of what was meant.

    Args:
        good: texts with the columns locale, query, node, success and well.

    Example:
        >>> texts = ["play the audiobook dracula", "jungle the audiobook dracula", "play it"]
        >>> said = {"locale": "en", "query": texts, "node": [1, 1, 2], "success": [90.0, 4.0, 4.0], "well": [30.0, 3.0, 3.0]}
        >>> near_duplicates(pd.DataFrame(said)).tolist()
        [False, True, False]
    """
    found = np.zeros(len(good), dtype=bool)
    texts = good["query"].to_numpy()
    success, well = (good[name].to_numpy(dtype=np.float64) for name in ("success", "well"))
    for rows in good.groupby(["locale", "node"]).indices.values():
        alike = cdist(texts[rows].tolist(), texts[rows].tolist(), scorer=Indel.normalized_similarity) >= _ALIKE
        commoner = (success[rows] >= _RARER * success[rows][:, None]) & (well[rows] >= _MORE_USERS * well[rows][:, None])
        found[rows] = (alike & commoner).any(axis=1)
    return found


_FAILING = 0.5  # share of success that the source of a rephrase has at most
_MIN_VOTES = 0.25  # least share of the votes on a source, for a goal to be taken as what was meant


def rephrases(texts: pd.DataFrame, good: pd.DataFrame, pairs: Pairs, min_users: int) -> MinedRephrases:
    """Return failing texts, each with a text that says what was meant. Both come from k users or more.

    Args:
        texts: of the log, from `sent_texts`.
        good: the shared queries, from `shared_queries`. For each interpretation the query with most success is taken.
        pairs: votes of all users together on what was meant.
        min_users: k.
    """
    failing = texts[(texts["said_by"] >= min_users) & (texts["rate"] <= _FAILING) & texts["source"].notna()]
    spoken = good.sort_values("success", ascending=False, kind="stable").drop_duplicates(["locale", "node"])
    voted = pd.DataFrame({"source": pairs.source, "node": pairs.target, "votes": pairs.votes})
    voted["share"] = voted["votes"] / voted.groupby("source")["votes"].transform("sum")
    led = voted[voted["share"] >= _MIN_VOTES].merge(failing[["source", "locale", "query", "said_by"]], on="source")
    found = led.merge(spoken[["node", "locale", "query", "users"]], on=["node", "locale"], suffixes=("", "_meant"))
    found = found[found["query"] != found["query_meant"]]
    users = np.minimum(found["said_by"], found["users"]).to_numpy(dtype=np.int64)
    return MinedRephrases(found["query"].tolist(), found["query_meant"].tolist(), users)


_MIN_SUCCESS = 0.9
"""Least expected number of successful turns of a query or a habit. A turn without any cue counts for a little less than 1."""
_MIN_SHARE = 0.4  # least share of a text's turns, as a mean over users, that succeed with its best interpretation
_MAX_SHOWING = 100_000  # texts among which contrasts are looked for; each takes some kilobytes while they are
_MAX_SAMPLES = 500  # failing texts on which the index is tuned
_FAILS = 0.5  # a text with a smaller share of success counts as failing in that sample

_TEXTS = """
WITH said AS (
  SELECT locale, query, SUM(turns) AS said, SUM(success) / 1000.0 AS worked, SUM(failed) AS failed,
         GREATEST(SUM(share), 1) / 1000.0 AS users, SUM(well) / 1000.0 AS well
  FROM queries GROUP BY locale, query
),
best AS (
  SELECT locale, query, node, users, success / 1000.0 AS success, well / 1000.0 AS well
  FROM queries
  QUALIFY ROW_NUMBER() OVER (PARTITION BY locale, query ORDER BY well DESC, success DESC, turns DESC, node) = 1
)
SELECT b.locale, b.query, b.node, b.users, b.success, b.well, s.said, b.well / (s.users + 1) AS share, s.well / s.users AS rate,
       s.failed / GREATEST(s.said - s.worked, s.failed, 1e-9) AS honest, n.kind, n.state, u.node AS source,
       COALESCE(u.users, b.users) AS said_by,
       COALESCE(u.first_day, n.first_day) AS first_day, COALESCE(u.last_day, n.last_day) AS last_day
FROM best AS b
JOIN said AS s ON b.locale = s.locale AND b.query = s.query
JOIN nodes AS n ON n.node = b.node
LEFT JOIN nodes AS u ON u.kind = 'u' AND u.locale = b.locale AND u.state = b.query
WHERE b.query <> ''
ORDER BY b.locale, b.query
"""

_HABITS = """
WITH said AS (
  SELECT user_no, sent, state, SUM(turns) AS turns, SUM(success) / 1000.0 AS success, MAX(day) AS last_day
  FROM counts WHERE rewritten = 0 GROUP BY user_no, sent, state
),
best AS (
  SELECT user_no, sent, state, success, last_day, SUM(turns) OVER (PARTITION BY user_no, sent) AS turns
  FROM said
  QUALIFY ROW_NUMBER() OVER (PARTITION BY user_no, sent ORDER BY success DESC, turns DESC, state) = 1
)
SELECT u.user_id, t.locale, t.text AS query, b.state AS node, CAST(b.turns AS BIGINT) AS turns, b.success, b.last_day
FROM best AS b
JOIN users AS u ON u.user_no = b.user_no
JOIN texts AS t ON t.id = b.sent
WHERE t.text <> '' AND b.success >= ? AND b.success / (b.turns + 1) >= ?
ORDER BY u.user_id, t.locale, t.text
"""


def sent_texts(mined: Mined) -> pd.DataFrame:
    """Return every text that was sent, one row each, with the interpretation that had most success."""
    return _read(mined, ("queries", "nodes"), _TEXTS)


def shared_queries(texts: pd.DataFrame, min_users: int) -> pd.DataFrame:
    """Return the shared queries: texts of k users or more that mostly work, ordered by locale."""
    return texts[(texts["users"] >= min_users) & (texts["success"] >= _MIN_SUCCESS) & (texts["share"] >= _MIN_SHARE)]


def habits(mined: Mined) -> pd.DataFrame:
    """Return the habits of each user: texts said with success, with their best interpretation; rewritten turns do not count."""
    return _read(mined, ("counts", "users", "texts"), _HABITS, _MIN_SUCCESS, _MIN_SHARE)


def contrasts(mined: Mined, min_users: int) -> dict[str, WordContrasts]:
    """Return what the shared queries show about words, by locale; texts of unknown interpretation show nothing.

    Nor do texts whose intent is the text itself (`rewriter.model.hypothesis.quotes`). Of very many texts those of most users are
    looked at.
    """
    good = shared_queries(sent_texts(mined), min_users).nlargest(_MAX_SHOWING, "users").sort_index()
    known = [kind == "h" and not quotes(*of) for kind, *of in zip(good["kind"], good["state"], good["query"], strict=True)]
    meant = np.where(known, good["node"], -1)
    return mine_words(good["locale"].tolist(), good["query"].tolist(), meant.tolist())


@dataclass(frozen=True, slots=True)
class QueryIndex:
    """The texts of a log.

    Attributes:
        texts: all texts that were sent, from `sent_texts`.
        good: the n shared queries, from `shared_queries`.
        spoken: (n,) which of these may be the target of a rewrite; False for `near_duplicates`.
        own: the habits of each user, from `habits`.
    """

    texts: pd.DataFrame
    good: pd.DataFrame
    spoken: npt.NDArray[np.bool_]
    own: pd.DataFrame


def build_query_index(mined: Mined, pairs: Pairs, config: Config, folder: Path) -> QueryIndex:
    """Learn the encoder and write what `model.retrieve.Retriever` opens: the encoder, the books and the index.

    Args:
        mined: the mined tables.
        pairs: votes of all users together on what was meant.
        config: uses its sections launch and encoder.
        folder: where the files go.
    """
    k = config.launch.min_users
    texts, own = sent_texts(mined), habits(mined)
    good = shared_queries(texts, k)
    data = EncoderData(
        texts=texts.loc[texts["said_by"] >= k, "query"].tolist(),
        queries=good["query"].tolist(),
        rephrases=rephrases(texts, good, pairs, k),
        min_users=k,
    )
    encoder = learn_encoder(config.encoder, data, folder / "encoder", seed=config.seed)
    failing = sorted(texts.loc[texts["rate"] < _FAILS, "query"], key=lambda text: (text_draw(f"tuned {config.seed}", text), text))
    spoken = ~near_duplicates(good)
    _write_books(folder, good, own, failing[:_MAX_SAMPLES], encoder)
    save_spoken(folder, spoken)
    _write_slots(folder / "slots", good, spoken)
    return QueryIndex(texts, good, spoken, own)


def _write_books(folder: Path, good: pd.DataFrame, own: pd.DataFrame, failing: Sequence[str], encoder: SavedEncoder) -> None:
    """Write the books. A habit that is no shared query becomes a private row of its user.

    The index is tuned on failing texts, because these are what it will be searched for.
    """
    write_book(folder / "book", _queries(good, good["said"], good["users"]), encoder)
    build_index(folder / "index", QueryBook.open(folder / "book"), encoder.encode(failing))
    places = {key: row for row, key in enumerate(zip(good["locale"], good["query"], good["node"], strict=True))}
    texts = set(zip(good["locale"], good["query"], strict=True))
    row = np.array([places.get(key, -1) for key in zip(own["locale"], own["query"], own["node"], strict=True)], dtype=np.int64)
    shared = np.array([key in texts for key in zip(own["locale"], own["query"], strict=True)], dtype=bool)
    common, private = own[row >= 0], own[~shared]
    habit = UserCounts(common["user_id"].tolist(), row[row >= 0], _whole(common["success"]), _whole(common["last_day"]))
    private_queries = _queries(private, private["turns"], np.ones(len(private)))
    write_habits(folder / "habits", habit, private["user_id"].tolist(), private_queries, len(good), encoder)


def _write_slots(folder: Path, good: pd.DataFrame, spoken: npt.NDArray[np.bool_]) -> None:
    """Write the slots of the shared queries whose interpretation is a hypothesis."""
    rows = np.flatnonzero(spoken & (good["kind"] == "h").to_numpy())
    sendable = good.iloc[rows]
    success = sendable["success"].to_numpy(dtype=np.float64)
    write_slots(folder, Filled(rows, _whole(sendable["node"]), sendable["locale"].tolist(), sendable["state"].tolist(), success))


def _queries(rows: pd.DataFrame, turns: npt.ArrayLike, users: npt.ArrayLike) -> Queries:
    return Queries(
        texts=rows["query"].tolist(),
        locales=rows["locale"].tolist(),
        interpretations=_whole(rows["node"]),
        turns=_whole(turns),
        success=_whole(rows["success"] * 1000),
        users=_whole(users),
        last_day=_whole(rows["last_day"]),
    )


def _whole(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    return np.rint(np.asarray(values, dtype=np.float64)).astype(np.int64)


def _read(mined: Mined, names: Sequence[str], sql: str, *parameters: float) -> pd.DataFrame:
    with connect(**mined.named(*names)) as con:
        return con.execute(sql, list(parameters)).df()
