"""Logs of site search become turns: each kind of row that real exports hold, against turns worked by hand."""

import json
import stat

import duckdb
import pytest
import shop_log
from hypothesis import given, settings
from hypothesis import strategies as st

from rewriter import import_log
from rewriter.codes import SearchRow
from rewriter.config import Logs
from rewriter.errors import LogError, RequestError
from rewriter.offline.logs.reader import check

T = "2026-01-05T08:{:02}:{:02}.000Z"


def asked(query, text, seconds, hits, client="c1", **other):
    found = {} if hits is None else {"query_response_hit_ids": [f"sku{i}" for i in range(hits)]}
    stamp = T.format(*divmod(seconds, 60))
    return {"query_id": query, "client_id": client, "user_query": text, "timestamp": stamp} | found | other


def did(query, action, seconds, client="c1", **other):
    return {"action_name": action, "query_id": query, "client_id": client, "timestamp": T.format(*divmod(seconds, 60))} | other


def turns(tmp_path, rows, **options):
    """(what was reported, the turns as (client, text, seconds, id, session, status, engaged))."""
    path, out = tmp_path / "ubi.jsonl", tmp_path / "log.parquet"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8")
    report = import_log("ubi", [path], out, **options)
    sql = "SELECT user_id, utterance, epoch_ms(timestamp) // 1000 - 1767600000, turn_id, session_id, status, engaged"
    return report, duckdb.sql(f"{sql} FROM '{out}' ORDER BY timestamp, turn_id").fetchall()


def test_a_search_is_a_turn_and_what_follows_it_says_how_it_went(tmp_path):
    rows = [
        did("b", "Click", 12, session_id="s1"),  # before its query in the file, and in capitals
        asked("a", "Lapotp", 0, 0, session_id="s1"),
        asked("b", "laptop", 8, 3),
        asked("c", "mouse", 400, 2, session_id="s2"),
        did("c", "add_to_cart", 410, session_id="s2"),
        did("c", "click", 405, session_id="s2"),
        asked("d", "cable", 800, None, session_id="s2"),
    ]
    report, found = turns(tmp_path, rows)
    assert found == [
        ("c1", "Lapotp", 0, "a", "s1", "failed", 0.0),
        ("c1", "laptop", 8, "b", "s1", "ok", 0.5),
        ("c1", "mouse", 400, "c", "s2", "ok", 1.0),
        ("c1", "cable", 800, "d", "s2", None, 0.0),
    ]
    assert (report.failed, report.unknown, report.engaged, report.queries, report.events) == (1, 1, 2, 4, 3)
    assert report.rows == {}


def test_repeated_ids_and_pages_are_one_search(tmp_path):
    rows = [
        asked("a", "shoes", 0, 0),
        asked("a", "Shoes!", 1, 2),  # the second page; it had results
        asked("b", "boots", 20, 1),
        asked("a", "shoes", 30, 2),  # back to the page before
        asked("c", "boots", 40, 1),  # a filter: another id, the same text
        asked("d", "boots", 900, 1),  # much later
    ]
    report, found = turns(tmp_path, rows)
    assert [(text, second, status) for _, text, second, _, _, status, _ in found] == [
        ("shoes", 0, "ok"),
        ("boots", 20, "ok"),
        ("boots", 900, "ok"),
    ]
    assert report.rows == {SearchRow.REPEATED: 2, SearchRow.SAME_SEARCH: 1}


def test_an_id_of_several_searches_stays_several_turns(tmp_path):
    rows = [
        asked("a", "lapotp", 0, 0),
        asked("a", "laptop", 8, 3),
        asked("a", "laptop", 8, 3, client="c2"),
        did("a", "click", 9),
        did("a", "click", 6),  # nearer to the search that comes only then
        did("a", "purchase", 9, client="c2"),
        did("a", "purchase", 9, client="c3"),
    ]
    report, found = turns(tmp_path, rows)
    assert found == [
        ("c1", "lapotp", 0, "a", None, "failed", 0.5),
        ("c1", "laptop", 8, "a#2", None, "ok", 0.5),
        ("c2", "laptop", 8, "a#3", None, "ok", 1.0),
    ]
    assert report.rows == {SearchRow.LOOSE_EVENT: 1}


def test_rows_that_are_no_search_are_counted(tmp_path):
    rows = [
        asked("a", "laptop", 0, 3),
        asked("b", "", 5, 9),
        asked("c", " ?! ", 6, 9),
        asked("d", None, 7, 9),
        asked("e", "mouse", 9, 1, client=None),
        asked("f", "mouse", 9, 1) | {"timestamp": "yesterday"},
        did("a", "product_hover", 3),
        did("nothing", "click", 3),
        {"hello": 1},
        "[1, 2]",
        "{torn",
    ]
    report, found = turns(tmp_path, rows)
    assert [text for _, text, *_ in found] == ["laptop"]
    assert report.rows == {
        SearchRow.BROKEN: 2,
        SearchRow.OTHER: 1,
        SearchRow.EMPTY: 3,
        SearchRow.NO_CLIENT: 1,
        SearchRow.NO_TIME: 1,
        SearchRow.LOOSE_EVENT: 1,
    }
    assert report.unused == {"product_hover": 1}
    assert "actions that count for nothing: product_hover 1; --engaged NAME=SHARE makes one count" in report.lines()


def test_the_client_of_a_query_may_stand_in_its_events(tmp_path):
    _, found = turns(tmp_path, [asked("a", "laptop", 0, 3, client=None), did("a", "click", 1, client="c7")])
    assert [(client, share) for client, *_, share in found] == [("c7", 0.5)]


def test_a_client_with_a_search_of_no_session_is_cut_by_silence(tmp_path):
    """Searches without a result have no events. A session id on the restatement alone would part the two."""
    rows = [asked("a", "lapotp", 0, 0), asked("b", "laptop", 5, 1), did("b", "click", 6, session_id="s1")]
    rows += [asked("c", "hat", 5, 1, client="c2"), did("c", "click", 6, client="c2", session_id="s2")]
    _, found = turns(tmp_path, rows)
    assert {(client, session) for client, _, _, _, session, *_ in found} == {("c1", None), ("c2", "s2")}


def test_without_events_nothing_is_said_of_engagement(tmp_path):
    _, found = turns(tmp_path, [asked("a", "laptop", 0, 3)])
    assert found[0][-1] is None


def test_actions_and_applications_can_be_chosen(tmp_path):
    rows = [
        asked("a", "laptop", 0, 3, application="shop"),
        asked("b", "opening hours", 9, 3, application="help"),
        did("a", "WATCH", 2),
        did("b", "click", 12),
    ]
    report, found = turns(tmp_path, rows, engaged={"watch": 0.25}, application="shop")
    assert [(text, share) for _, text, *_, share in found] == [("laptop", 0.25)]
    assert report.rows == {SearchRow.OTHER_APPLICATION: 1, SearchRow.LOOSE_EVENT: 1}
    assert report.applications == ("help", "shop")


@pytest.mark.parametrize(
    "stamp", ["2026-01-05T08:00:00.000+0000", "2026-01-05T09:00:00+01:00", 1767600000000, "2026-01-05 08:00:00"]
)
def test_times_as_hosts_write_them(tmp_path, stamp):
    _, found = turns(tmp_path, [asked("a", "laptop", 0, 3) | {"timestamp": stamp}])
    assert found[0][2] == 0


def test_hits_bulk_files_and_parquet_give_the_same_turns(tmp_path):
    queries, events = shop_log.write(tmp_path)
    plain = import_log("ubi", [queries, events], tmp_path / "plain.parquet")
    rows = [*map(json.loads, queries.read_text().splitlines()), *map(json.loads, events.read_text().splitlines())]
    bulk = "".join(json.dumps(shop_log.HEADER) + "\n" + json.dumps(row) + "\n" for row in rows)
    (tmp_path / "bulk.ndjson").write_text(bulk, encoding="utf-8")
    hits = "".join(json.dumps({"_index": "ubi", "_id": str(i), "_source": row}) + "\n" for i, row in enumerate(rows))
    (tmp_path / "hits.jsonl").write_text(hits, encoding="utf-8")
    for path in (queries, events):
        duckdb.sql(f"COPY (FROM read_json('{path}', format = 'newline_delimited')) TO '{path.with_suffix('.parquet')}'")
    written = [tmp_path / "bulk.ndjson"], [tmp_path / "hits.jsonl"], [path.with_suffix(".parquet") for path in (events, queries)]
    for n, sources in enumerate(written):
        report = import_log("ubi", sources, tmp_path / f"{n}.parquet")
        assert (report.turns, report.failed, report.engaged, report.rows) == (
            plain.turns,
            plain.failed,
            plain.engaged,
            plain.rows,
        )
        difference = duckdb.sql(f"FROM '{tmp_path}/{n}.parquet' EXCEPT FROM '{tmp_path}/plain.parquet'").fetchall()
        assert difference == []


def test_the_log_is_read_without_a_rejected_row_and_is_private(tmp_path):
    import_log("ubi", [*shop_log.write(tmp_path)], tmp_path / "log.parquet")
    assert stat.S_IMODE((tmp_path / "log.parquet").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.parquet", "ubi_events.jsonl", "ubi_queries.jsonl"]
    found = check([str(tmp_path / "log.parquet")], config=Logs())
    assert found.lines()[0].startswith("1 file, 264 rows: 264 turns of 12 users")


def test_what_cannot_be_read_is_one_line(tmp_path):
    empty = tmp_path / "none.jsonl"
    empty.write_text('{"action_name": "click", "query_id": "a"}\n', encoding="utf-8")
    (tmp_path / "log.csv").write_text("user_query\nlaptop\n", encoding="utf-8")
    with pytest.raises(LogError, match="no search was found"):
        import_log("ubi", [empty], tmp_path / "log.parquet")
    with pytest.raises(LogError, match="export the index as JSON lines"):
        import_log("ubi", [tmp_path / "log.csv"], tmp_path / "log.parquet")
    with pytest.raises(LogError, match=r"name it \*\.parquet"):
        import_log("ubi", [empty], tmp_path / "log.jsonl")
    with pytest.raises(LogError, match="share from 0 to 1"):
        import_log("ubi", [empty], tmp_path / "log.parquet", engaged={"click": 50})
    with pytest.raises(RequestError, match="logs are read from ubi"):
        import_log("elastic", [empty], tmp_path / "log.parquet")
    assert not (tmp_path / "log.parquet").exists()


cells = (
    st.none()
    | st.sampled_from(["a", "b", "", "laptop", "Laptop!", "shoes"])
    | st.integers(0, 3)
    | st.lists(st.just("x"), max_size=2)
)
keys = ["query_id", "client_id", "session_id", "user_query", "action_name", "query_response_hit_ids", "timestamp", "_source"]


@settings(max_examples=8)
@given(st.lists(st.dictionaries(st.sampled_from(keys), cells), max_size=12))
def test_every_query_is_a_turn_or_counted(tmp_path_factory, rows):
    """Whatever the cells hold: queries = turns + those that were left out or merged, and events are joined or loose."""
    sure = asked("sure", "sure", 0, 1, client="sure")
    report, found = turns(tmp_path_factory.mktemp("any"), [*rows, sure])
    merged = [SearchRow.EMPTY, SearchRow.NO_CLIENT, SearchRow.NO_TIME, SearchRow.REPEATED, SearchRow.SAME_SEARCH]
    assert report.queries == report.turns + sum(report.rows.get(kind, 0) for kind in merged)
    assert len(found) == report.turns
    assert len({row[3] for row in found if row[3] is not None}) == sum(row[3] is not None for row in found)
