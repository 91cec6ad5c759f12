"""The schema of every Parquet table that one step hands to the next, and `check`, which compares a file with it.

Whole numbers are BIGINT, time is epoch milliseconds in UTC, *mass* is evidence in thousandths of a turn (design: integers add
exactly on every engine), a *day* is whole days since 1970-01-01 UTC, a *kind* says what a state of the chain is: ``u`` an
utterance, ``h`` a hypothesis. Texts and users are numbered once (TEXTS, USERS), and the mined tables hold the numbers.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rewriter.engines import connect, glob, quoted, save
from rewriter.errors import EngineError

if TYPE_CHECKING:
    import pandas as pd

Type = Literal["BIGINT", "DOUBLE", "VARCHAR"]


Holds = Literal["", "user", "user_no", "text", "text_id", "name", "code"]
"""What a column can hold of a person.

``user``: the keyed hash of a user id. ``user_no``: the number of a user in USERS. ``text``: what a user said, or what follows
from it (normal form, interpretation, context value). ``text_id``: the number of such a text in TEXTS. ``name``: a name that the
log gives to a turn, a session, a device or a file. ``code``: one of a closed list of ours. Empty: a figure.
"""

_NAMED: dict[Holds, str] = {
    "user": "user_id",
    "text": "utterance hypothesis response nbest context sent text query state source target goal repaired intent slots content"
    " context_value detail evidence",
    "name": "turn_id session_id device_id device_type file",
    "code": "locale status rewrite_id rule layer scope arm kind verdict stage stage_before reason as_spoken rewritten failure"
    " remedy",
}
_NUMBERED: dict[Holds, str] = {"user_no": "user_no", "text_id": "id said sent state source target node hypothesis reply"}
_HOLDS: dict[tuple[str, str], Holds] = {
    (name, kind): holds
    for kind, named in (("VARCHAR", _NAMED), ("BIGINT", _NUMBERED))
    for holds, names in named.items()
    for name in names.split()
}
"""What each column can hold, by its name and type. `forget` walks this list, so a new VARCHAR column must be entered here."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, SQL type, whether every row must have a value, and what it can hold of a person."""

    name: str
    type: Type
    required: bool = True

    @property
    def holds(self) -> Holds:
        """What the column can hold of a person (`Holds`).

        Raises:
            KeyError: a VARCHAR column that is not declared.
        """
        return _HOLDS[self.name, self.type] if self.type == "VARCHAR" else _HOLDS.get((self.name, self.type), "")


@dataclass(frozen=True, slots=True)
class Table:
    """A declared table."""

    name: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in order."""
        return tuple(c.name for c in self.columns)


def _table(name: str, required: str, optional: str = "") -> Table:
    """Read ``"name TYPE, …"`` twice: the columns that must have a value, and those that may be NULL."""

    def columns(text: str, required: bool) -> list[Column]:
        pairs = [part.split() for part in text.split(",") if part.strip()]
        return [Column(n, t, required) for n, t in pairs]  # type: ignore[arg-type]

    return Table(name, tuple(columns(required, True) + columns(optional, False)))


TURNS = _table(
    "turns",
    "turn_id VARCHAR, user_id VARCHAR, ts_ms BIGINT, locale VARCHAR, utterance VARCHAR",
    "session_id VARCHAR, hypothesis VARCHAR, status VARCHAR, response VARCHAR, barge_in BIGINT, engaged DOUBLE, feedback BIGINT,"
    "asr_confidence DOUBLE, nlu_confidence DOUBLE, nbest VARCHAR, device_id VARCHAR, device_type VARCHAR, context VARCHAR,"
    "sent VARCHAR, rewrite_id VARCHAR, rule VARCHAR, layer VARCHAR, scope VARCHAR, arm VARCHAR, propensity DOUBLE",
)
"""The log as read. user_id is the keyed hash (`artefact.hash_user`), utterance and sent are as heard and as sent (not yet
normalised), barge_in is 0/1, nbest and context are JSON text."""

REJECTED = _table("rejected", "file VARCHAR, row_number BIGINT, reason VARCHAR", "content VARCHAR")
"""Rows of the log that were set aside; content is the row as JSON, cut to 1,000 characters."""

USERS = _table("users", "user_no BIGINT, user_id VARCHAR")
"""The number that stands for a user in the mined tables, 0..n-1."""

TEXTS = _table("texts", "id BIGINT, locale VARCHAR, kind VARCHAR, text VARCHAR, stop BIGINT")
"""The number that stands for a text in the mined tables, 0..n-1. kind is ``u`` for what was said or sent (normalised), ``h`` for
a hypothesis, ``r`` for a response; stop is 1 where an utterance only asks the assistant to stop. The states of the chain come
first, in the order of locale, kind and text, so that the id of a state is its node."""

SESSIONS = _table(
    "sessions",
    "turn_id VARCHAR, user_no BIGINT, turn_no BIGINT, session_no BIGINT, opens BIGINT, is_isolated BIGINT, ts_ms BIGINT,"
    "day BIGINT, locale_no BIGINT, said BIGINT, sent BIGINT, state BIGINT, rewritten BIGINT, rule VARCHAR, share BIGINT,"
    "stop BIGINT, friction BIGINT, counted BIGINT",
    "hypothesis BIGINT, failed BIGINT, reply BIGINT, barge_in BIGINT, engaged BIGINT",
)
"""Turns in their place: (user_no, turn_no) is the key, turn_no = 1..n runs through the sessions of a user one after the other,
opens is 1 where a session begins, is_isolated where no other turn of it is within the time window of candidates; session_no
numbers the session ids of the log, and is 0 where it names none. said, sent, hypothesis and reply are ids of texts; state is the
interpretation: the hypothesis, or what was sent where there is none. friction and engaged are in thousandths; rewritten is 1
where what was sent differs from what was said; rule is the id of the rule that was applied or held out, or empty; share is P(the
turn is rewritten) in millionths where that was drawn, else -1; counted is 1 where an earlier run counted the turn for good, so
that it is only looked at; failed is NULL where the log has no status."""

CANDIDATES = _table(
    "candidates",
    "user_no BIGINT, turn_no BIGINT, ahead BIGINT, next_turn_no BIGINT, source BIGINT, target BIGINT, gap_ms BIGINT,"
    "source_friction BIGINT, target_friction BIGINT, barge_in BIGINT, verbatim BIGINT",
    "source_failed BIGINT, target_failed BIGINT, source_engaged BIGINT, same_hypothesis BIGINT, same_response BIGINT",
)
"""A turn and one of the few turns after it, within the time window, with the cues that a `Detector` reads. source and target are
what was said; ahead is 1 for the next turn of the session and locale."""

SCORES = _table("scores", "user_no BIGINT, turn_no BIGINT, ahead BIGINT, p BIGINT")
"""P(the candidate restates the turn), in thousandths; candidates of P = 0 are left out."""

COUNTS = _table(
    "counts",
    "day BIGINT, user_no BIGINT, said BIGINT, sent BIGINT, rewritten BIGINT, state BIGINT, rule VARCHAR, share BIGINT,"
    "turns BIGINT, failed BIGINT, success BIGINT, failure BIGINT",
)
"""What was said, sent and understood, what was decided, and how it ended, by day and user. failed counts turns of status
'failed'; success and failure are mass. What is missing to 1,000 for each turn is in REPHRASES."""

REPHRASES = _table(
    "rephrases",
    "day BIGINT, user_no BIGINT, said BIGINT, sent BIGINT, rewritten BIGINT, state BIGINT, target BIGINT, again BIGINT,"
    "mass BIGINT, turns BIGINT",
)
"""The mass that went from turns to their restatements, by day and user. target is the interpretation of the restating turn; again
is 1 where that turn was the same utterance and not rewritten; turns counts those that gave mass."""

AGES = _table("ages", "age BIGINT, weight BIGINT")
"""What evidence weighs that is so many days older than the newest of its row, in millionths; older evidence weighs nothing."""

EVIDENCE_STARTS = _table("evidence_starts", "node BIGINT, context_value VARCHAR, day BIGINT")
"""Rows whose evidence before a day is not read any more: a rewrite of theirs was retired, so their meaning has changed. Where a
context value is named, it has changed there alone."""

EDGE_DISCOUNT = _table("edge_discount", "source BIGINT, target BIGINT, trust BIGINT")
"""How far the rewrite of an utterance to an interpretation is still believed, in thousandths, by what became of it
(`offline.mining.pipeline.write_edge_discount`); a step that was never rewritten is believed."""
ROW_DAYS = _table("row_days", "node BIGINT, last_day BIGINT")
"""The newest day that k users had reached of each row of the chain, from which its evidence ages; node -1 is the whole log."""

LEFT_OUT = _table("left_out", "user_no BIGINT")
"""Users who do not count for others, because they say far more texts than all."""

CONTEXT_VALUES = _table("context_values", "context VARCHAR, device_type VARCHAR, context_value VARCHAR")
"""What each context and device of the log says (`model.context_rules.context_values`), a row for each thing; both are empty where
the log has none."""

CONTEXT_COUNTS = _table(
    "context_counts",
    "day BIGINT, user_no BIGINT, said BIGINT, rewritten BIGINT, state BIGINT, context_value VARCHAR,turns BIGINT, success BIGINT",
)
"""COUNTS, in each context value: a turn counts in as many rows as its context says things."""

CONTEXT_STEPS = _table(
    "context_steps", "day BIGINT, user_no BIGINT, said BIGINT, context_value VARCHAR, target BIGINT, mass BIGINT"
)
"""REPHRASES, in each context value of the turn that was restated; a user who said the very same again stays where they were."""

USER_NODES = _table(
    "user_nodes",
    "user_no BIGINT, node BIGINT, turns BIGINT, spoken BIGINT, mass BIGINT, success BIGINT, failure BIGINT, first_day BIGINT,"
    "last_day BIGINT",
)
"""The part of each user in the rows of the chain, not capped. turns are those as spoken, of any age; the others are masses that
age has reduced: spoken of these turns, mass of all turns, rewritten ones among them, success and failure what was absorbed."""

USER_EDGES = _table("user_edges", "user_no BIGINT, source BIGINT, target BIGINT, mass BIGINT, turns BIGINT")
"""The part of each user in the steps of the chain, not capped; turns counts those that gave mass."""

NODES = _table(
    "nodes",
    "node BIGINT, locale VARCHAR, kind VARCHAR, state VARCHAR, success BIGINT, failure BIGINT, turns BIGINT, users BIGINT,"
    "first_day BIGINT, last_day BIGINT",
)
"""The states of the chain, node = 0..n-1 without gaps, with their absorbed masses (capped per user); turns counts all turns."""

EDGES = _table("edges", "source BIGINT, target BIGINT, mass BIGINT, users BIGINT")
"""The steps of the chain between nodes (mass capped per user)."""

QUERIES = _table(
    "queries",
    "locale VARCHAR, query VARCHAR, node BIGINT, turns BIGINT, success BIGINT, failed BIGINT, users BIGINT, share BIGINT,"
    "well BIGINT",
)
"""What was sent for each interpretation node, over all days; the surface of a target is chosen from these. turns, success and
failed count at most `chain.user_cap` turns of a user of each text on one day. share and well are in thousandths of users: the
part of each user's turns of the text that was understood as the node, and that was and went well."""

RULES = _table(
    "rules",
    "rule VARCHAR, scope VARCHAR, user_id VARCHAR, context_value VARCHAR, locale VARCHAR, source VARCHAR, target VARCHAR,"
    "state VARCHAR, users BIGINT, turns DOUBLE, first_day BIGINT, last_day BIGINT, score DOUBLE, stay DOUBLE, p_goal DOUBLE,"
    "win DOUBLE, loss DOUBLE, similarity DOUBLE, verdict VARCHAR, detail VARCHAR, stage VARCHAR, since_day BIGINT, share DOUBLE,"
    "tried DOUBLE, tried_ok DOUBLE, left_alone DOUBLE, left_ok DOUBLE",
    "p_gain DOUBLE, p_better DOUBLE",
)
"""A rewrite under consideration with its evidence. scope is ``global``, ``personal``, ``context`` or ``online``, a slice of the
online layer. user_id is empty except for a personal rule. context_value is empty except for a rule that holds in one context
value (`model.context_rules.context_values`); its users, turns, first_day and last_day are counted there. score is S_ij and stay
S_ii of the chain; p_goal is the posterior mean of P(goal is j), p_gain is P(win > loss) where it was computed; win and loss are
expected per request. verdict is a `codes.RuleVerdict`, and detail its payload.

stage is a `codes.Stage`, or empty for a rule that is not watched. since_day is the first day in that stage, share the probability
with which the rule is applied. tried is the effective number of trials (`offline.trials`) of the rewrite, tried_ok of those that
went well; left_alone and left_ok are the same for the source as spoken. p_better is P(it succeeds more often rewritten than as
spoken) by that evidence."""

STAGE_CHANGES = _table(
    "stage_changes",
    "day BIGINT, rule VARCHAR, scope VARCHAR, user_id VARCHAR, context_value VARCHAR, locale VARCHAR, source VARCHAR,"
    "target VARCHAR, stage_before VARCHAR, stage VARCHAR, share DOUBLE, reason VARCHAR, tried DOUBLE, tried_ok DOUBLE,"
    "left_alone DOUBLE, left_ok DOUBLE",
)
"""Every change of a rule's stage, the oldest first: the day, the stage before (empty for a new rule) and after, the reason (a
`codes.StageReason`), and the evidence of that day as in RULES."""

STAGE_COUNTS = _table("stage_counts", "day BIGINT, scope VARCHAR, stage VARCHAR, rules BIGINT")
"""How many rules were in each stage after each day on which something was learned; rules that are not watched are left out."""

OUTCOMES = _table(
    "outcomes",
    "turn_id VARCHAR, user_id VARCHAR, source VARCHAR, sent VARCHAR, goal VARCHAR, as_spoken VARCHAR, rewritten VARCHAR,"
    "verdict VARCHAR, applied BIGINT, seen BIGINT, layer VARCHAR, scope VARCHAR",
    "score DOUBLE, latency_us DOUBLE",
)
"""What became of each judged turn (`rewriter.evaluation.outcomes`). goal is empty where it is unknown; verdict is win, loss, tie
or unknown, empty where the turn was left alone; applied and seen are 0/1."""


LABELS = _table(
    "labels",
    "turn_id VARCHAR, locale VARCHAR, utterance VARCHAR, p_defect DOUBLE, goal BIGINT, goal_success DOUBLE, failure VARCHAR,"
    "p_false_wake DOUBLE, p_asr DOUBLE, p_nlu DOUBLE, p_entity DOUBLE, p_result DOUBLE, p_correct DOUBLE",
    "repaired VARCHAR, intent VARCHAR, slots VARCHAR",
)
"""What a log tells of each of its turns (`rewriter.operate.label`). utterance is normalised; goal numbers the goals of the log;
goal_success is P(it was reached in the end). repaired is what the user said in the end, where the turn went wrong and that
worked; intent and slots (JSON) are what that was understood as: what the NLU should have made of the turn. failure is the
likeliest `codes.FailurePoint`, and the six p after it add up to 1."""


FAILURES = _table(
    "failures",
    "turn_id VARCHAR, locale VARCHAR, day BIGINT, week BIGINT, intent VARCHAR, failure VARCHAR, p_false_wake DOUBLE,"
    "p_asr DOUBLE, p_nlu DOUBLE, p_entity DOUBLE, p_result DOUBLE, p_correct DOUBLE, p_unsupported DOUBLE, evidence VARCHAR",
    "device_type VARCHAR, remedy VARCHAR",
)
"""Where each turn of a log broke (`rewriter.operate.diagnose`). week is the day of its Monday; failure is the likeliest
`codes.FailurePoint`, and the six p add up to 1; p_unsupported is the part of p_correct in which the assistant cannot do what was
asked. evidence is in words; remedy is a `codes.Remedy`, NULL where nothing failed."""


def write_table(table: Table, rows: "pd.DataFrame", order: str, path: Path) -> None:
    """Write rows as Parquet of a declared table.

    Args:
        table: says which columns are written, and their types.
        rows: has these columns, and may have others.
        order: columns by which the rows are sorted, as in ORDER BY.
        path: file to write.
    """
    columns = ", ".join(f"CAST({c.name} AS {c.type}) AS {c.name}" for c in table.columns)
    with connect() as con:
        con.register("rows_given", rows[list(table.names)])
        save(con, f"SELECT {columns} FROM rows_given ORDER BY {order}", path)


def check(table: Table, path: Path) -> None:
    """Compare a Parquet table with its declaration.

    Raises:
        EngineError: a column is missing, has another type or holds a NULL where it must not.
    """
    required = [c.name for c in table.columns if c.required]
    rows = f"FROM read_parquet({quoted(glob(path))})"
    with connect() as con:
        found = {name: str(kind) for name, kind, *_ in con.execute(f"{rows} LIMIT 0").description}
        for column in table.columns:
            if found.get(column.name) != column.type:
                raise EngineError(
                    f"table {table.name}: column {column.name} is {found.get(column.name, 'missing')}, expected {column.type}"
                )
        if con.execute(f"{rows} WHERE {' OR '.join(f'{name} IS NULL' for name in required)} LIMIT 1").fetchone():
            nulls = con.execute(f"SELECT {', '.join(f'COUNT(*) - COUNT({name})' for name in required)} {rows}").fetchone()
            name, n = next((name, n) for name, n in zip(required, nulls or (), strict=True) if n)
            raise EngineError(f"table {table.name}: column {name} holds {n} NULLs, expected none")
