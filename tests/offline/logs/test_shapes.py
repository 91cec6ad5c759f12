"""Logs as other programs write them: the same dialogue in every shape is the same turns, and `forget` finds the same person."""

import csv
import io
import json

import duckdb
import pytest

from rewriter.config import Logs
from rewriter.errors import LogError
from rewriter.offline.logs.reader import read, rows_of_user
from rewriter.operate.scrub_logs import logs_without

TALKS = [
    ("c1", "ann", [("08:00:00", "turn of the lamp", "Sorry, what?"), ("08:00:09", "turn off the lamp", "Done. Anything else?")]),
    ("c2", "bob", [("09:00:00", 'say "hi", ok', "hi")]),
    ("c3", "ann", [("10:00:00", "play jazz", None)]),
]
"""Conversation, user, and (time, request, answer) of each turn."""
TURNS = [(user, f"{at}", said, answer) for _, user, turns in TALKS for at, said, answer in turns]


def messages(*, day="2026-01-05T", z="Z"):
    """Every message in order: (conversation, user, who, time, text); a greeting stands before the first request."""
    for talk, user, turns in TALKS:
        yield talk, user, "bot", f"{day}{turns[0][0]}{z}", "Hello!"
        for at, said, answer in turns:
            yield talk, user, "user", f"{day}{at}{z}", said
            if answer:
                yield talk, user, "bot", f"{day}{at[:-1]}{int(at[-1]) + (at[-1] != '9')}{z}", answer


def nested():
    return [
        {
            "id": talk,
            "user": {"id": user},
            "messages": [{"author": w, "body": {"text": x}, "at": at} for t, _, w, at, x in messages() if t == talk],
        }
        for talk, user, _ in TALKS
    ]


def botpress():
    rows = [
        {
            "id": f"m{n}",
            "createdAt": at,
            "type": "text",
            "payload": {"type": "text", "text": text},
            "conversationId": talk,
            "tags": {},
            "direction": "incoming" if who == "user" else "outgoing",
            "userId": user if who == "user" else "user_bot",
        }
        for n, (talk, user, who, at, text) in enumerate(messages())
    ]
    return {"messages": rows[::-1], "meta": {"nextToken": None}}


def openai():
    role = {"user": "user", "bot": "assistant"}
    return [
        {
            "id": talk,
            "user": user,
            "created": 1767600000,
            "messages": [
                {"role": "system", "content": "be kind"},
                *({"role": role[w], "content": x} for t, _, w, _, x in messages() if t == talk),
            ],
        }
        for talk, user, _ in TALKS
    ]


def dialogflow():
    return [
        {
            "conversation_name": f"projects/p/sessions/{talk}",
            "caller": user,
            "turn_position": n + 1,
            "request_time": f"2026-01-05 {at} UTC",
            "response": json.dumps(
                {
                    "queryResult": {
                        "transcript": said,
                        "match": {"matchType": "NO_MATCH" if "?" in (answer or "") else "INTENT"},
                        "responseMessages": [{"text": {"text": [answer]}}] if answer else [],
                    }
                }
            ),
        }
        for talk, user, turns in TALKS
        for n, (at, said, answer) in enumerate(turns)
    ]


def transcript():
    """Lines with a time and a speaker, titles above conversations, and an answer of two lines."""
    rows = []
    for talk, user, who, at, text in messages(day="2026-01-05 ", z=""):
        rows += ["", f"Conversation {talk}"] if text == "Hello!" else []
        rows += [f"[{at}] {user if who == 'user' else 'Lumi'}: {text}".replace(". ", ".\n")]
    return "\n".join(rows)


def as_csv(rows, delimiter=","):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows(rows)
    return out.getvalue()


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


FLAT = {"user_id": "user", "timestamp": "at", "utterance": "text", "role": "who", "session_id": "talk"}
HEAD = ["talk", "user", "who", "at", "text"]
NESTED = {
    "rows": "messages",
    "role": "messages.author",
    "user_id": "user.id",
    "session_id": "id",
    "timestamp": "messages.at",
    "utterance": "messages.body.text",
}
CX = {
    "user_id": "caller",
    "session_id": "conversation_name",
    "timestamp": "request_time",
    "utterance": "response.queryResult.transcript",
    "response": "response.queryResult.responseMessages.text.text",
    "status": "response.queryResult.match.matchType",
    "status.NO_MATCH": "failed",
    "status.INTENT": "ok",
}
SHAPES = {
    "bot rows.csv": (as_csv([HEAD, *messages()]), FLAT),
    "bot rows.jsonl": (lines(dict(zip(HEAD, row, strict=True)) for row in messages()), FLAT),
    "newest first.jsonl": (lines(dict(zip(HEAD, row, strict=True)) for row in reversed([*messages()])), FLAT),
    "list.json": (json.dumps([dict(zip(HEAD, row, strict=True)) for row in messages()], indent=2), FLAT),
    "day first.csv": (as_csv([HEAD, *messages(day="05/01/2026 ", z="")], ";"), {**FLAT, "dates": "day-first"}),
    "month first.csv": (as_csv([HEAD, *messages(day="1/5/26, ", z=" AM")]), {**FLAT, "dates": "month-first"}),
    "two columns.csv": (
        as_csv(
            [
                [*HEAD[:3], "date", "clock", "text"],
                *((*row[:3], *row[3].split(" "), row[4]) for row in messages(day="05.01.2026 ", z="")),
            ]
        ),
        {**FLAT, "timestamp": "date+clock", "dates": "day-first"},
    ),
    "nested.json": (json.dumps(nested()), NESTED),
    "nested.jsonl": (lines(nested()), NESTED),
    "document.json": (
        json.dumps({"data": {"talks": nested()}}, indent=1),
        {ours: theirs if ours == "dates" else f"data.talks.{theirs}" for ours, theirs in NESTED.items()},
    ),
    "botpress.json": (
        json.dumps(botpress()),
        {
            "rows": "messages",
            "role": "messages.direction",
            "user_id": "messages.userId",
            "session_id": "messages.conversationId",
            "timestamp": "messages.createdAt",
            "utterance": "messages.payload.text",
            "turn_id": "messages.id",
        },
    ),
    "dialogflow.csv": (as_csv([list(dialogflow()[0]), *(row.values() for row in dialogflow())]), CX),
    "dialogflow.jsonl": (lines(dialogflow()), CX),
    "dialogflow as objects.jsonl": (lines(row | {"response": json.loads(row["response"])} for row in dialogflow()), CX),
    "transcript.txt": (
        transcript(),
        {
            "user_id": "speaker",
            "role": "speaker",
            "role.lumi": "bot",
            "role.*": "user",
            "timestamp": "time",
            "utterance": "text",
            "session_id": "conversation",
        },
    ),
}


def turns(out):
    with duckdb.cursor() as con:
        return con.execute(
            "SELECT user_id, strftime(make_timestamp(ts_ms * 1000), '%H:%M:%S'), utterance, response"
            f" FROM read_parquet('{out}/turns.parquet') ORDER BY ts_ms"
        ).fetchall()


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_the_same_dialogue(tmp_path, name):
    text, mapping = SHAPES[name]
    (tmp_path / name).write_text(text, encoding="utf-8")
    report = read([tmp_path / name], out=tmp_path / "out", key=None, config=Logs(), mapping=mapping)
    assert turns(tmp_path / "out") == TURNS
    assert report.rows == report.turns == len(TURNS)


def test_a_nested_parquet_file_is_the_same_dialogue(tmp_path):
    (tmp_path / "a.jsonl").write_text(lines(nested()), encoding="utf-8")
    with duckdb.cursor() as con:
        con.execute(f"COPY (FROM read_json('{tmp_path}/a.jsonl')) TO '{tmp_path}/a.parquet'")
    read([tmp_path / "a.parquet"], out=tmp_path / "out", key=None, config=Logs(), mapping=NESTED)
    assert turns(tmp_path / "out") == TURNS


def test_rows_that_share_one_time_keep_their_order(tmp_path):
    (tmp_path / "chat.json").write_text(json.dumps(openai()), encoding="utf-8")
    mapping = {
        "rows": "messages",
        "role": "messages.role",
        "user_id": "user",
        "utterance": "messages.content",
        "timestamp": "created",
    }
    report = read([tmp_path / "chat.json"], out=tmp_path / "out", key=None, config=Logs(), mapping=mapping)
    by_user = sorted(turns(tmp_path / "out"))
    assert [(u, at, said, answer) for u, at, said, answer in by_user if u == "bob"] == [("bob", "08:00:10", 'say "hi", ok', "hi")]
    said = [said for user, _, said, _ in turns(tmp_path / "out") if user == "ann"]
    assert said.index("turn of the lamp") < said.index("turn off the lamp")
    assert any("share one time; they are taken to be 5 s apart" in note for note in report.notes)
    assert any("neither of a request nor of an answer: 'system' 3" in note for note in report.notes)


@pytest.mark.parametrize("name", SHAPES)
def test_forget_takes_out_what_the_reader_reads(tmp_path, name):
    """Other bytes stay, the answers to the person go too; what cannot be taken out is refused with the reason."""
    text, mapping = SHAPES[name]
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    if name in ("document.json", "botpress.json", "transcript.txt"):
        with pytest.raises(LogError, match=r"cannot take (ann|rows) out of .*; nothing was changed"):
            logs_without("ann", [path], mapping)
        assert path.read_text(encoding="utf-8") == text
        assert logs_without("eve", [path], mapping) == []
        return
    (gone,) = logs_without("ann", [path], mapping)
    gone.apply()
    left = path.read_text(encoding="utf-8")
    assert "ann" not in left
    assert "jazz" not in left
    assert "Done" not in left
    kept = [json.dumps(nested()[1])] if name == "nested.json" else [line for line in text.splitlines() if "bob" in line]
    assert kept
    assert all(piece.strip(", ") in left for piece in kept)
    read([path], out=tmp_path / "out", key=None, config=Logs(), mapping=mapping)
    assert turns(tmp_path / "out") == [turn for turn in TURNS if turn[0] == "bob"]
    assert rows_of_user("ann", path, mapping).rows == frozenset()


CLICKS = """action,visitor,when,q,url
search,ann,1767600000,lapotp,
search,ann,1767600009,laptop,
click,ann,1767600012,,a
watch,ann,1767600013,,a
"""


def engaged(out):
    with duckdb.cursor() as con:
        return con.execute(f"SELECT utterance, engaged FROM read_parquet('{out}/turns.parquet') ORDER BY ts_ms").fetchall()


def test_clicks_say_that_the_search_before_them_succeeded(tmp_path):
    (tmp_path / "clicks.csv").write_text(CLICKS)
    mapping = {"role": "action", "user_id": "visitor", "timestamp": "when", "utterance": "q"}
    report = read([tmp_path / "clicks.csv"], out=tmp_path / "out", key=None, config=Logs(), mapping=mapping)
    assert engaged(tmp_path / "out") == [("lapotp", 0.0), ("laptop", 0.5)]
    assert any("'watch' 1; --map role.VALUE=user" in note for note in report.notes)
    read([tmp_path / "clicks.csv"], out=tmp_path / "out", key=None, config=Logs(), mapping={**mapping, "role.watch": "0.9"})
    assert engaged(tmp_path / "out") == [("lapotp", 0.0), ("laptop", 0.9)]


def test_a_column_of_clicks_is_a_share(tmp_path):
    (tmp_path / "a.csv").write_text("user_id,timestamp,utterance,url\nann,1767600000,a,\nann,1767600001,b,http://x\n")
    mapping = {"engaged": "url", "engaged.*": "0.5"}
    read([tmp_path / "a.csv"], out=tmp_path / "out", key=None, config=Logs(), mapping=mapping)
    assert engaged(tmp_path / "out") == [("a", None), ("b", 0.5)]


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        (
            ["05/01/2026", "06/01/2026"],
            r"such as '05/01/2026 08:00', of which either number may be the day: add --dates day-first \(then they are of 2 days",
        ),
        (["13/01/2026", "01/13/2026"], "contradict each other: the day comes first in 1 of them and the month in 1; add --dates"),
    ],
)
def test_dates_are_never_guessed_in_silence(tmp_path, dates, message):
    (tmp_path / "a.csv").write_text("user_id,timestamp,utterance\n" + "".join(f"ann,{day} 08:00,x\n" for day in dates))
    with pytest.raises(LogError, match=message):
        read([tmp_path / "a.csv"], out=tmp_path / "out", key=None, config=Logs())


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("13/01/2026 08:00", "13"),
        ("13.1.26 8:00:00", "13"),
        ("13-01-2026T08:00:00Z", "13"),
        ("01/13/2026 8:00 AM", "13"),
        ("13 Jan 2026 08:00", "13"),
        ("Jan 13, 2026, 8:00:00 a.m.", "13"),
        ("13/Jan/2026:08:00:00 +0000", "13"),
        ("2026/1/13 08:00", "13"),
        ("January 13, 2026 8:00 AM", "13"),
        ("13/01/2026 10:00 +02:00", "13"),
    ],
)
def test_dates_that_can_be_read_in_one_way_are_read(tmp_path, text, day):
    (tmp_path / "a.csv").write_text(f'user_id,timestamp,utterance\nann,"{text}",x\n')
    report = read([tmp_path / "a.csv"], out=tmp_path / "out", key=None, config=Logs())
    assert turns(tmp_path / "out")[0][1] == "08:00:00"
    assert f"2026-01-{day}" in report.lines()[0]


def test_bad_rows_of_a_folded_log_are_set_aside_and_counted(tmp_path):
    rows = [*map(list, messages())]
    rows[1][3] = "yesterday"
    (tmp_path / "a.jsonl").write_text(lines(dict(zip(HEAD, row, strict=True)) for row in rows) + "{broken\n", encoding="utf-8")
    report = read([tmp_path / "a.jsonl"], out=tmp_path / "out", key=None, config=Logs(max_rejected=1.0), mapping=FLAT)
    assert report.rejected == {"broken line": 1, "unreadable time": 1}
    assert report.rows == len(TURNS) + 1


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"rows": "talks"}, "has no list talks"),
        ({"role": "speaker"}, "has no column speaker"),
        ({"role": "who", "role.bot": "robot"}, "role.bot means user, bot, none, or a share"),
        ({"dates": "european"}, "dates are day-first or month-first, not 'european'"),
        ({"rolle": "who"}, "no column rolle to map to; did you mean role"),
    ],
)
def test_a_layout_that_does_not_fit_is_one_clear_line(tmp_path, mapping, message):
    (tmp_path / "a.jsonl").write_text(lines(dict(zip(HEAD, row, strict=True)) for row in messages()), encoding="utf-8")
    with pytest.raises(LogError, match=message):
        read(
            [tmp_path / "a.jsonl"],
            out=tmp_path / "out",
            key=None,
            config=Logs(),
            mapping={**{k: v for k, v in FLAT.items() if k != "role"}, **mapping},
        )


def test_a_broken_record_is_one_row_that_is_set_aside(tmp_path):
    good = [json.dumps(talk) for talk in nested()]
    twice = '{"id": "c9", "id": "c8", "user": {"id": "eve"}, "messages": [{"author": "user"}]}'
    strange = json.dumps({"id": "c7", "user": {"id": "eve"}, "messages": [3, None]})
    (tmp_path / "a.jsonl").write_text("\n".join([good[0], "{broken", good[1], twice, strange, good[2]]), encoding="utf-8")
    report = read([tmp_path / "a.jsonl"], out=tmp_path / "out", key=None, config=Logs(max_rejected=1.0), mapping=NESTED)
    assert turns(tmp_path / "out") == TURNS
    assert report.rejected == {"broken line": 1, "key given twice": 1}
    assert report.rows == len(TURNS) + 2
    with duckdb.cursor() as con:
        rows = con.execute(f"SELECT row_number, reason FROM read_parquet('{tmp_path}/out/rejected.parquet')").fetchall()
    assert rows == [(2, "broken line"), (4, "key given twice")]
