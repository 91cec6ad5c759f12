"""`find_moments`: finds what single users restate again and again, so that they can be asked to teach it.

A moment belongs to one user and rests on that user's turns alone. Nobody else is asked.
"""

from collections.abc import Sequence

from rewriter.codes import Moment
from rewriter.config import Teaching
from rewriter.engines import connect
from rewriter.model.phrases import complaints
from rewriter.model.rules import Rule
from rewriter.offline.mining.pipeline import Mined

_SURE = 0.5  # least P(this user means it) for a question
_ALIKE = 0.75  # least share of the restatements of a request that lead to the same interpretation
_WORKS = 0.5  # from this share of success as spoken on, a request does not count as failing; the same for complaints

_RESTATED = f"""
SELECT user_no, said, target, turns, days, mass FROM (
  SELECT user_no, said, target, SUM(turns) AS turns, COUNT(DISTINCT day) AS days, SUM(mass) AS mass,
         SUM(SUM(turns)) OVER (PARTITION BY user_no, said) AS all_turns
  FROM rephrases WHERE rewritten = 0 AND again = 0 GROUP BY user_no, said, target
)
WHERE turns >= ? AND days >= ? AND turns >= {_ALIKE} * all_turns
"""
# The turn after one that got negative feedback, or after a complaint in words, said something else that went well.
_COMPLAINED = """
SELECT s.user_no, s.said, t.state AS target, COUNT(*) AS turns, COUNT(DISTINCT s.day) AS days, 0 AS mass
FROM candidates AS c
JOIN sessions AS s ON s.user_no = c.user_no AND s.turn_no = c.turn_no
JOIN sessions AS t ON t.user_no = c.user_no AND t.turn_no = c.next_turn_no
JOIN said AS f ON f.turn_id = s.turn_id
LEFT JOIN sessions AS b ON b.user_no = c.user_no AND b.turn_no = c.turn_no + 1
LEFT JOIN texts AS w ON w.id = b.said
WHERE s.rewritten = 0 AND s.said <> t.said AND t.friction < 500 AND (
  (f.feedback = -1 AND c.ahead = 1) OR (c.ahead = 2 AND w.text IN (SELECT UNNEST(?))))
GROUP BY s.user_no, s.said, t.state
"""
# Only those of whom something was found are looked at.
_THEIRS = """
CREATE OR REPLACE TEMP TABLE theirs AS SELECT user_no, said, sent, state, turns, success
FROM counts WHERE rewritten = 0 AND user_no IN (SELECT user_no FROM moments)
"""
# What the user said with success for the same interpretation, and how often the user asks for it in other turns.
_FOUND = f"""
WITH own AS (
  SELECT user_no, said, SUM(success) / 1000.0 / SUM(turns) AS works, SUM(turns) AS turns
  FROM theirs GROUP BY user_no, said
),
worked AS (
  SELECT user_no, sent, state, SUM(success) / 1000.0 AS success,
         SUM(SUM(success)) OVER (PARTITION BY user_no, state) / 1000.0 AS alike,
         SUM(SUM(success)) OVER (PARTITION BY user_no) / 1000.0 AS everything
  FROM theirs GROUP BY user_no, sent, state
),
best AS (
  SELECT * FROM worked WHERE success >= 0.9
  QUALIFY ROW_NUMBER() OVER (PARTITION BY user_no, state ORDER BY success DESC, sent) = 1
)
SELECT u.user_id, a.locale, a.text, b.text AS meant, m.turns, m.days, m.mass / 1000.0 / m.turns AS p, w.alike, w.everything
FROM moments AS m
JOIN best AS w ON w.user_no = m.user_no AND w.state = m.target
JOIN users AS u ON u.user_no = m.user_no
JOIN texts AS a ON a.id = m.said
JOIN texts AS b ON b.id = w.sent
LEFT JOIN own AS o ON o.user_no = m.user_no AND o.said = m.said
WHERE (COALESCE(o.works, 0) < {_WORKS} OR (? AND m.turns >= {_WORKS} * o.turns))
  AND a.text <> b.text AND a.locale = b.locale AND a.text <> '' AND a.stop = 0
QUALIFY ROW_NUMBER() OVER (PARTITION BY m.user_no, a.locale, m.said ORDER BY m.turns DESC, m.days DESC, b.text) = 1
ORDER BY u.user_id, a.locale, a.text
"""


def p_means(p: float, days: int, alike: float, everything: float) -> float:
    """Return P(a user means an interpretation by a request | the request was followed by it on several days), by Bayes' rule.

    On the first day the detector gives the odds p / (1 - p) that what followed restates the request. If it does not restate it,
    the next request may be anything. It is the same one again with probability q, the share of the user's requests that it has
    anyway. So each further day multiplies the odds by 1 / q.

    Args:
        p: P(it restates the request), the mean over the turns, 0..1.
        days: on how many days it followed.
        alike: the user's turns with success that had this interpretation, without those of these days.
        everything: all turns of the user with success, without those of these days.

    Example:
        >>> round(p_means(0.15, 1, 1.0, 20.0), 2), round(p_means(0.15, 2, 1.0, 20.0), 2), round(p_means(0.15, 3, 1.0, 20.0), 2)
        (0.15, 0.66, 0.96)
    """
    q = (max(alike, 0.0) + 1.0) / (max(everything, 0.0) + 2.0)
    odds = p / max(1 - p, 1e-9) * (1 / q) ** (days - 1)
    return odds / (1 + odds)


def find_moments(mined: Mined, teaching: Teaching) -> list[Rule]:
    """Return what each user may be asked to teach. The `rule` of each entry holds the `Moment`, the turns and the days.

    Args:
        mined: the mined tables. Complaints are looked for among the turns of today and of the recent days.
        teaching: `min_restated`.
    """
    names = ("rephrases", "counts", "users", "texts", "candidates", "sessions", "said")
    found: dict[tuple[str, str, str], Rule] = {}
    least = teaching.min_restated
    asked: Sequence[tuple[Moment, str, list[object]]] = (
        (Moment.COMPLAINED, _COMPLAINED, [list(complaints())]),
        (Moment.RESTATED, _RESTATED, [least, least]),
    )
    with connect(**mined.named(*names)) as con:
        for kind, query, values in asked:
            con.execute(f"CREATE OR REPLACE TEMP TABLE moments AS {query}", values)
            if con.execute("FROM moments LIMIT 1").fetchone() is None:
                continue
            con.execute(_THEIRS)
            for user, locale, source, meant, turns, days, p, alike, everything in con.execute(
                _FOUND, [kind is Moment.COMPLAINED]
            ).fetchall():
                likely = p_means(p, days, alike - turns, everything - turns) if kind is Moment.RESTATED else 0.0
                if kind is Moment.COMPLAINED or likely >= _SURE:
                    found[user, locale, source] = Rule(f"{kind}:{turns}:{days}", user, locale, source, meant, likely)
    return list(found.values())
