"""Labelled texts, from which the ranker and the risk learn: failing texts with what was meant, and healthy texts.

`UserVotes` holds which users say a text and what they restated it by. `Wordings` holds how the healthy texts of each locale are
worded.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse, stats

from rewriter.arrays import Ints
from rewriter.detect.boosting import fair_weights
from rewriter.engines import connect
from rewriter.model.fluency import Wording
from rewriter.model.hypothesis import slots_of
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.rules import surface
from rewriter.offline.rules.votes import Votes
from rewriter.text import normalise, text_draw

_MAX_SPEAKERS = 5  # at most so many users of one text are drawn
_MIN_VOTE = 0.02  # least share of a user's votes on a text; goals with a smaller share are left out
_PRIOR_UNSEEN_GOALS = 5, 20
"""Prior counts: of 20 votes, 5 are for a goal that no shared query has. They are added to the counts of the log."""
_HEALTHY, _FAILING = 0.6, 0.4
"""A text is healthy from the first share of success on, and failing up to the second. Texts in between have no label."""
_NEWEST_DAYS = 7
"""The newest days of the log show how often new texts ask for new goals. In a log of less than 14 days, half of it is used."""
_MAX_TEXTS = 3_000  # texts of each kind; of more a sample is drawn, which bounds the time

_HEARINGS = """
SELECT locale, utterance, nbest
FROM turns ANTI JOIN (SELECT user_id FROM users SEMI JOIN left_out USING (user_no)) AS o USING (user_id)
WHERE nbest IS NOT NULL GROUP BY locale, utterance, nbest
QUALIFY ROW_NUMBER() OVER (PARTITION BY locale, utterance ORDER BY COUNT(DISTINCT user_id) DESC, nbest) = 1
ORDER BY locale, utterance
"""
_SPOKEN = """
SELECT n.node, n.turns, n.user_no, MD5(CONCAT_WS(' ', n.first_day, n.last_day, n.turns, n.mass, n.success, s.state)) AS drawn,
       u.user_id AS user
FROM user_nodes AS n ANTI JOIN left_out AS o ON o.user_no = n.user_no JOIN users AS u ON u.user_no = n.user_no
JOIN nodes AS s ON s.node = n.node
WHERE n.node IN (SELECT UNNEST(?))
ORDER BY n.node, n.user_no
"""


@dataclass(frozen=True, slots=True)
class Speaker:
    """One user of a text.

    Attributes:
        user: keyed hash; empty for nobody.
        turns: how often this user said it.
        goals: interpretation -> P(the user restated the text by it). They add up to 1 at most: the rest is that the user gave up,
            and asked for something else. Empty without a vote.
    """

    user: str
    turns: float
    goals: Mapping[int, float]


NOBODY = Speaker("", 0.0, {})


class UserVotes:
    """Which users say each text, and which interpretations their turns vote for.

    A vote counts only if its interpretation is that of a shared query or of a habit of the user. Many restatements are themselves
    misunderstood unnoticed, and an interpretation that only few users ever had is mostly such an error.

    Args:
        mined: its tables user_nodes, nodes, users and left_out are read.
        votes: what each user's turns say was meant.
        good: the shared queries (`rewriter.offline.fit.query_index.shared_queries`).
        own: the habits of each user (`rewriter.offline.fit.query_index.habits`).
        k: the k - 1 users who vote most count no more than the next one.

    Attributes:
        p_unseen_goal: share of the votes that are for no shared query; it estimates P(no shared query is meant | a text fails). A
            user has one vote on a text.
    """

    def __init__(self, mined: Mined, votes: Votes, good: pd.DataFrame, own: pd.DataFrame, k: int = 1) -> None:
        self._tables = mined.named("user_nodes", "nodes", "users", "left_out")
        votes = votes.for_others()
        cast = sparse.coo_array(votes.goals)
        user = surface.hashes(mined.users, votes.user)
        frame = pd.DataFrame({"source": votes.source[cast.row], "user": user[cast.row], "goal": cast.col, "turns": cast.data})
        turns = frame.groupby(["source", "user"])["turns"].transform("sum")
        frame["share"] = frame["turns"] / turns.clip(lower=1.0)
        of_user = pd.MultiIndex.from_frame(frame[["user", "goal"]]).isin(pd.MultiIndex.from_frame(own[["user_id", "node"]]))
        shared = frame["goal"].isin(good["node"])
        weight = frame["share"] * fair_weights(frame["user"].astype(str), k)
        self.p_unseen_goal = (float(weight[~shared].sum()) + _PRIOR_UNSEEN_GOALS[0]) / (
            float(weight.sum()) + _PRIOR_UNSEEN_GOALS[1]
        )
        self._votes = frame[(frame["share"] > _MIN_VOTE) & (shared | of_user)]

    def speakers(self, sources: Collection[int]) -> dict[int, list[Speaker]]:
        """Draw, for each text, a few of the users who voted; if nobody voted, one of the other users.

        The draws are hashes of what each user did with the text, so that they do not depend on who else is in the log.

        Args:
            sources: nodes of texts.
        """
        with connect(**self._tables) as con:
            said = con.execute(_SPOKEN, [sorted(sources)]).df()
        votes = self._votes[self._votes["source"].isin(said["node"])]
        voted = pd.MultiIndex.from_frame(votes[["source", "user"]])
        led = pd.MultiIndex.from_frame(said[["node", "user"]]).isin(voted)
        said = said.assign(led=led).iloc[np.lexsort((said["user_no"], said["drawn"], ~led, said["node"]))]
        place = said.groupby("node").cumcount()
        said = said[(place == 0) | (said["led"] & (place < _MAX_SPEAKERS))]
        votes = votes[voted.isin(pd.MultiIndex.from_frame(said[["node", "user"]]))]  # a common text has votes of thousands
        goals = {key: dict(zip(of["goal"], of["share"], strict=True)) for key, of in votes.groupby(["source", "user"])}
        found: dict[int, list[Speaker]] = {}
        for row in said.itertuples():
            speaker = Speaker(row.user, float(row.turns), goals.get((row.node, row.user), {}))
            found.setdefault(row.node, []).append(speaker)
        return found

    def hearings(self, turns: Path, wanted: Container[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, ...]]:
        """Return the hearings that most users had of each text, the text first; texts without other hearings are left out.

        Args:
            turns: Parquet of `tables.TURNS`.
            wanted: (locale, normalised text) of the texts.
        """
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        with connect(turns=turns, users=self._tables["users"], left_out=self._tables["left_out"]) as con:
            rows = con.execute(_HEARINGS).fetchall()
        for locale, utterance, nbest in rows:
            key = (locale, normalise(utterance, locale))
            if key in wanted:
                others = (normalise(other, locale) for other in json.loads(nbest) if isinstance(other, str))
                found[key] = tuple(dict.fromkeys([key[1], *filter(None, others)]))
        return found


@dataclass(frozen=True, slots=True)
class LabelledText:
    """One text of the log, as one of its users says it.

    Attributes:
        locale: of the text.
        hearings: the text, then the other hearings of one of its turns.
        goals: interpretation -> P(the user restated the text by it), 1 together at most; of a healthy text its own, with 1.
        main: the goal with most votes of all its users; -1 if there is no vote.
        healthy: whether the text works as spoken.
        honest: P(the assistant says that it failed | the text fails).
        users: distinct users who said it.
        user: keyed hash of one of them; empty for nobody.
        turns: how often this user said it.
        weight: of this user; the weights of all users of a text add up to 1.
        served: whether a rule answers the text. The online layer then never sees it.
        first_day: on which it was first said, days since 1970.
        named: the main goal as text, for draws; empty for its number.
    """

    locale: str
    hearings: Sequence[str]
    goals: Mapping[int, float]
    main: int
    healthy: bool
    honest: float
    users: int
    user: str
    turns: float
    weight: float
    served: bool
    first_day: int
    named: str = ""


_NEW_TEXTS = """
SELECT n.node, n.user_no, (SELECT last_day FROM row_days WHERE node = -1) AS today
FROM user_nodes AS n ANTI JOIN left_out AS o ON o.user_no = n.user_no WHERE n.node IN (SELECT UNNEST(?))
ORDER BY n.node, n.user_no
"""


def spoken_by(mined: Mined, texts: pd.DataFrame) -> pd.DataFrame:
    """Return who said each text, a row (node, user_no, today) each; today is the newest day that k users had reached."""
    with connect(**mined.named("user_nodes", "row_days", "left_out")) as con:
        frame: pd.DataFrame = con.execute(_NEW_TEXTS, [texts["source"].dropna().astype(int).tolist()]).df()
    return frame


def new_goal_share(texts: pd.DataFrame, spoken: pd.DataFrame | None = None, k: int = 1) -> float:
    """Return the share of the log's newest texts whose goal nobody had asked for before.

    The newest texts are the healthy ones that were first said in the last week. A version that was learned a week ago would have
    met exactly these as new texts. The share is shrunk to 1/4 with the weight of 20 texts.

    Args:
        texts: of the log, from `rewriter.offline.fit.query_index.sent_texts`.
        spoken: who said them (`spoken_by`). The k - 1 users with most of the newest texts weigh no more than the next one, and
            weeks are counted back from a day that k users have reached. None if each text has the weight 1.
        k: as in `Config.launch.min_users`.

    Example:
        >>> old = pd.DataFrame({"node": range(100), "first_day": 0, "rate": 1.0})
        >>> new = pd.DataFrame({"node": range(70, 130), "first_day": 20, "rate": 1.0})
        >>> new_goal_share(pd.concat([old, new]))
        0.4375
    """
    healthy = texts[texts["rate"] >= _HEALTHY]
    first, last = healthy["first_day"].min(), healthy["first_day"].max()
    if spoken is not None and len(spoken):
        last = min(last, spoken["today"].iat[0])
    since = max(last - _NEWEST_DAYS, (first + last) / 2)
    newest, before = healthy[healthy["first_day"] > since], healthy[healthy["first_day"] <= since]
    weight = np.ones(len(newest))
    if spoken is not None:
        of = spoken[spoken["node"].isin(newest["source"])]
        weight = (
            newest["source"]
            .map(pd.Series(fair_weights(of["user_no"], k)).groupby(of["node"].to_numpy()).max())
            .fillna(1.0)
            .to_numpy()
        )
    new = float(weight[~newest["node"].isin(before["node"])].sum())
    return (new + _PRIOR_UNSEEN_GOALS[0]) / (float(weight.sum()) + _PRIOR_UNSEEN_GOALS[1])


def vote_noise(texts: Sequence[LabelledText], quantile: float, *, all_sure: bool = False) -> float:
    """Return the share of wrong votes, estimated from how often two users of the same failing text vote for the same goal.

    If a share e of the votes is wrong, and wrong votes rarely agree, two votes agree with probability ``(1 - e)^2``. Two users
    count as much as both are sure to have restated the text. The estimate depends on no score. Texts that mean different things
    to different users make it too high.

    Args:
        texts: labelled texts, up to five users of each.
        quantile: of the posterior that is returned; below 1/2 the estimate is lower, and cautious, if there are few texts.
        all_sure: whether every user counts fully. Then users who gave up and asked for something else make it higher.

    Example:
        >>> from dataclasses import replace
        >>> row = LabelledText("en", ("lamb of",), {1: 1.0}, 1, False, 1.0, 9, "ann", 1.0, 0.5, False, 0)
        >>> other = [replace(row, hearings=("lamb on",)), replace(row, hearings=("lamb on",), goals={2: 1.0})]
        >>> round(vote_noise([row] * 2 + other, 0.5), 2)
        0.29
    """
    of_text: dict[tuple[str, str], list[Mapping[int, float]]] = defaultdict(list)
    for text in texts:
        if text.goals and not text.healthy:
            sure = sum(text.goals.values()) if all_sure else 1.0
            of_text[text.locale, text.hearings[0]].append({goal: p / sure for goal, p in text.goals.items()})
    pairs = [list(combinations(goals, 2)) for goals in of_text.values() if len(goals) > 1]
    both = sum(float(np.mean([sum(a.values()) * sum(b.values()) for a, b in of])) for of in pairs)
    agree = sum(float(np.mean([sum(p * b.get(goal, 0.0) for goal, p in a.items()) for a, b in of])) for of in pairs)
    return float(1 - np.sqrt(1 - stats.beta.ppf(quantile, max(both - agree, 0.0) + 0.5, agree + 0.5)))


def labelled_texts(
    texts: pd.DataFrame, votes: UserVotes, served: Container[tuple[str, str]], turns: Path, seed: int, k: int = 1
) -> list[LabelledText]:
    """Return healthy texts, and failing texts with their goals, each as a few of its users say it.

    Args:
        texts: of the log, from `rewriter.offline.fit.query_index.sent_texts`.
        votes: of their users.
        served: (locale, text) that a global rule answers.
        turns: Parquet of `tables.TURNS`, for the other hearings.
        seed: of the sample from a large log.
        k: the k - 1 users with most texts weigh no more than the next one (`fair_weights`).
    """
    rate = texts["rate"].to_numpy(dtype=np.float64)
    kept = [
        _sample(rows, texts, seed) if len(rows) > _MAX_TEXTS else rows
        for rows in (np.flatnonzero(rate >= _HEALTHY), np.flatnonzero(rate <= _FAILING))
    ]
    chosen = list(texts.iloc[np.concatenate(kept)].itertuples())
    speakers = votes.speakers({int(row.source) for row in chosen if row.source == row.source})
    heard = votes.hearings(turns, {(row.locale, row.query) for row in chosen})
    silent = not texts["honest"].any()
    named = dict(zip(texts["node"], texts["locale"] + "\0" + texts["state"], strict=True))
    found = [
        LabelledText(
            locale=row.locale,
            hearings=heard.get((row.locale, row.query), (row.query,)),
            goals={int(row.node): 1.0} if row.rate >= _HEALTHY else speaker.goals,
            main=int(row.node) if row.rate >= _HEALTHY else _main(saying),
            healthy=bool(row.rate >= _HEALTHY),
            honest=1.0 if silent else float(row.honest),
            users=int(row.said_by),
            user=speaker.user,
            turns=speaker.turns,
            weight=1 / len(saying),
            served=(row.locale, row.query) in served,
            first_day=int(row.first_day),
        )
        for row in chosen
        for saying in [speakers.get(row.source, [NOBODY])[: 1 if row.rate >= _HEALTHY else None]]
        for speaker in saying
    ]
    weights = fair_weights([text.user or text.hearings[0] for text in found], k)
    return [
        replace(text, weight=text.weight * weight, named=named.get(text.main, ""))
        for text, weight in zip(found, weights.tolist(), strict=True)
    ]


def _sample(rows: Ints, texts: pd.DataFrame, seed: int) -> Ints:
    """Draw `_MAX_TEXTS` texts by their hash, so that one text more changes one of them at most."""
    drawn = [text_draw(f"labelled {seed}", texts["query"].iat[row]) for row in rows.tolist()]
    return np.sort(rows[np.argsort(drawn, kind="stable")[:_MAX_TEXTS]])


def _main(speakers: Sequence[Speaker]) -> int:
    """Return the goal with most votes, -1 if there is none."""
    votes: Counter[int] = Counter()
    for speaker in speakers:
        votes.update(speaker.goals)
    return min(votes, key=lambda goal: (-votes[goal], goal), default=-1)


class Wordings:
    """The wording of the healthy texts of each locale, and the wording that it would be if nobody had asked for one of the goals.

    Args:
        good: the shared queries, from `rewriter.offline.fit.query_index.shared_queries`.

    Attributes:
        all: locale -> wording.
        texts: (locale, goal) -> the texts that ask for it.
    """

    def __init__(self, good: pd.DataFrame) -> None:
        self.texts: dict[tuple[str, int], list[str]] = defaultdict(list)
        goals_of_name: dict[tuple[str, str], set[int]] = defaultdict(set)
        worded: dict[str, list[tuple[str, Mapping[str, str]]]] = defaultdict(list)
        for locale, text, goal, kind, state in zip(*(good[c] for c in ("locale", "query", "node", "kind", "state")), strict=True):
            names = _names(kind, state)
            worded[locale].append((text, names))
            self.texts[locale, goal].append(text)
            for name in names:
                goals_of_name[locale, name].add(goal)
        self._own_names: dict[tuple[str, int], set[str]] = defaultdict(set)
        for (locale, name), goals in goals_of_name.items():
            if len(goals) == 1:
                self._own_names[locale, min(goals)].add(name)
        self.all = {locale: Wording.of(texts) for locale, texts in sorted(worded.items())}
        self._without: dict[tuple[str, int], Wording] = {}

    def heard(self, locale: str, goal: int) -> bool:
        """Whether any text asks for a goal."""
        return (locale, goal) in self.texts

    def without(self, locale: str, goal: int) -> Wording:
        """Return the wording without the texts of a goal, and without the names that occur in no other goal.

        Args:
            locale: one of `all`.
            goal: an interpretation. One that nobody asks for changes nothing.
        """
        key = (locale, goal)
        if key not in self._without:
            self._without[key] = self.all[locale].without(self.texts.get(key, []), self._own_names.get(key, set()))
        return self._without[key]


def _names(kind: str, state: str) -> dict[str, str]:
    return {normalise(value): slot for slot, value in slots_of(state).items() if value} if kind == "h" else {}
