"""Reading a catalog: every format says the same, bad rows are set aside with their reason, nothing ends in a traceback."""

import csv
import gzip
import json

import duckdb
import pandas as pd
import pytest

from rewriter.errors import LogError
from rewriter.offline.catalog import read_catalog

ROWS = [
    {"text": "Turn on the lamp", "locale": "en", "intent": "on", "slots": '{"name": "lamp"}', "weight": "3"},
    {"text": "Licht an", "locale": "de_AT", "intent": "on", "slots": '{"name": "licht"}', "weight": ""},
    {"text": "I'd like music", "locale": "", "intent": "", "slots": "", "weight": "1"},
]


def write(path, rows):
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.fixture(params=["csv", "jsonl", "parquet", "rows", "callable"])
def source(request, tmp_path):
    if request.param == "rows":
        return ROWS
    if request.param == "callable":
        return lambda: iter(ROWS)
    if request.param == "parquet":
        write(tmp_path / "c.csv", ROWS)
        path = tmp_path / "catalog.parquet"
        with duckdb.cursor() as con:
            con.read_csv(str(tmp_path / "c.csv"), all_varchar=True).write_parquet(str(path))
        return path
    return write(tmp_path / f"catalog.{request.param}", ROWS)


def test_every_format_reads_alike(source):
    catalog, report = read_catalog(source)
    rows = set(zip(catalog.texts, catalog.queries, catalog.locales, catalog.hypotheses, catalog.weights.tolist(), strict=True))
    assert rows == {
        ("Turn on the lamp", "turn on the lamp", "en", "on|name=lamp", 3.0),
        ("Licht an", "licht an", "de-AT", "on|name=licht", 1.0),
        ("I'd like music", "i'd like music", "en", "i'd like music", 1.0),
    }
    assert (report.rows, report.kept, report.merged, dict(report.rejected)) == (3, 3, 0, {})


def test_plain_text_and_gz(tmp_path):
    (tmp_path / "faq.txt").write_text("\ufeffReset my password\n\n  where is my order?  \n", encoding="utf-8")
    with gzip.open(tmp_path / "more.txt.gz", "wt", encoding="utf-8") as file:
        file.write("close my account\n")
    catalog, _ = read_catalog([tmp_path / "faq.txt", tmp_path / "more.txt.gz"])
    assert catalog.texts == ["close my account", "Reset my password", "where is my order?"]


BAD = [
    ({}, "no text"),
    ({"text": None}, "no text"),
    ({"text": " ?! "}, "no text"),
    ({"text": 7}, "no text"),
    ({"text": "x" * 501}, "too long"),
    ({"text": "stop", "locale": "?"}, "not a locale (BCP 47, such as en or de-AT)"),
    ({"text": "stop", "intent": "s", "slots": "{"}, "slots are not JSON"),
    ({"text": "stop", "intent": "s", "slots": [1]}, "slots are not an object of names and values"),
    ({"text": "stop", "intent": "s", "slots": {"a": [1]}}, "slots are not an object of names and values"),
    ({"text": "stop", "weight": "much"}, "weight is no number"),
    ({"text": "stop", "weight": -1}, "weight is not above 0"),
    ({"text": "stop", "weight": "nan"}, "weight is not above 0"),
    (17, "not a row"),
    (None, "not a row"),
]


@pytest.mark.parametrize(("row", "reason"), BAD)
def test_a_bad_row_is_set_aside_with_its_reason(row, reason):
    catalog, report = read_catalog([row, {"text": "go on"}])
    assert catalog.texts == ["go on"]
    assert dict(report.rejected) == {reason: 1}
    assert reason in str(report)


def test_broken_json_lines_are_no_rows(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_text('{"text": "stop"}\n{"text": \n[1]\n"go on"\n' + "[" * 100_000 + "\n", encoding="utf-8")
    catalog, report = read_catalog(path)
    assert catalog.texts == ["go on", "stop"]
    assert report.rejected == {"not a row": 3}


def test_equal_rows_are_one_of_more_weight():
    catalog, report = read_catalog([{"text": "Lights on!", "intent": "on"}, {"text": "lights on", "intent": "on", "weight": 2}])
    assert (catalog.texts, catalog.weights.tolist(), report.merged) == (["Lights on!"], [3.0], 1)


def test_two_interpretations():
    heavier = [{"text": "play", "intent": "resume", "weight": 5}, {"text": "play", "intent": "music"}]
    catalog, report = read_catalog(heavier)
    assert (catalog.hypotheses, report.rejected) == (["resume"], {"two interpretations": 1})
    catalog, report = read_catalog([row | {"weight": 1} for row in heavier])
    assert (len(catalog), report.rejected) == (0, {"two interpretations": 2})
    catalog, report = read_catalog([{"text": "play", "intent": "resume", "scope": "ann"}, {"text": "play", "intent": "music"}])
    assert (catalog.scopes, catalog.hypotheses, report.merged) == ([""], ["music"], 1)  # everybody may be sent it already
    catalog, _ = read_catalog([{"text": "play", "intent": "resume", "scope": of} for of in ("ann", "ben")])
    assert catalog.scopes == ["ann", "ben"]


def test_interpretations_are_numbered_by_locale():
    catalog, _ = read_catalog(
        [{"text": t, "intent": "on", "locale": loc} for t, loc in [("on", "en"), ("lights on", "en"), ("an", "de")]]
    )
    numbers = dict(zip(catalog.texts, catalog.interpretations().tolist(), strict=True))
    assert numbers["on"] == numbers["lights on"] != numbers["an"]


@pytest.mark.parametrize("name", ["missing.csv", "odd.doc", "bad.parquet", "no_text.csv", "bad.txt.gz"])
def test_a_bad_file_is_one_clear_line(name, tmp_path):
    path = tmp_path / name
    if name != "missing.csv":
        path.write_text("utterance\nstop\n", encoding="utf-8")
    with pytest.raises(LogError) as error:
        read_catalog(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_no_rows():
    with pytest.raises(LogError, match="the catalog is empty; write one text a line"):
        read_catalog([])
    catalog, report = read_catalog([{"text": "?"}])
    assert (len(catalog), len(catalog.interpretations()), report.rows) == (0, 0, 1)
    with pytest.raises(LogError):
        read_catalog(5)


@pytest.mark.parametrize("name", ["user_id", "Scope", " scope", "scopes", "SCOPE"])
def test_a_misnamed_scope_makes_no_text_everybodys(tmp_path, name):
    rows = [{"text": "turn on the light"}, {"text": "call zoe", name: "ann"}]
    catalog, report = read_catalog(rows)
    assert catalog.queries == ["turn on the light"]
    assert report.rejected == {f"column {name!r} is not read; did you mean scope?": 1}
    assert "zoe" not in str(report)
    pd.DataFrame(rows).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(LogError, match=r"did you mean scope\? Rename it"):
        read_catalog(tmp_path / "c.parquet")


def test_other_columns_are_named_and_not_read(tmp_path):
    _, report = read_catalog([{"text": "turn on the light", "id": 7, "comment": "new"}])
    assert str(report) == "catalog: 1 row, 1 text; columns that are not read: comment, id"
    pd.DataFrame([{"text": "turn on the light", "id": 7}]).to_csv(tmp_path / "c.csv", index=False)
    assert str(read_catalog(tmp_path / "c.csv")[1]).endswith("columns that are not read: id")


def test_a_broken_line_may_be_private_and_is_not_shown(tmp_path):
    (tmp_path / "c.jsonl").write_text('{"text": "call secretname", "scope": "ann"\n{"text": "turn on the light"}\n')
    _, report = read_catalog(tmp_path / "c.jsonl")
    assert report.rejected == {"not a row": 1}
    assert "secretname" not in str(report)


def test_weights_whose_sum_would_overflow_are_set_aside():
    catalog, report = read_catalog([{"text": "a lamp", "weight": 1e9}, {"text": "a heater", "weight": 1e308}])
    assert catalog.texts == ["a lamp"]
    assert report.rejected == {"weight is above 1,000,000,000": 1}
