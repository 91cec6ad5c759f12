"""What a terminal obeys instead of showing never reaches it, whichever way text is printed."""

import json
import re
import sys
import unicodedata

import pytest

from rewriter import terminal

JOINERS = "\u200c\u200d"
OBEYED = [
    c
    for c in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in JOINERS
]
"""Every control, format and separator character of Unicode but joiners of letters, and every lone surrogate."""
SEQUENCES = (
    "\x1b]8;;http://example.org\x07lamp\x1b]8;;\x07",
    "\x1b]0;title\x1b\\",
    "\u202elamp\u202c",
    "\u2066lamp\u2069",
    "a\u2028b",
)


@pytest.fixture
def printed(monkeypatch, capsys):
    monkeypatch.setattr(terminal, "console", terminal.Console(highlight=False, emoji=False, width=80, force_terminal=True))

    def of(show, *args, **options):
        show(*args, **options)
        return capsys.readouterr().out

    return of


@pytest.mark.parametrize("text", ["".join(OBEYED[:100]), *SEQUENCES], ids=ascii)
def test_nothing_printed_is_obeyed(printed, text):
    shown = (
        printed(terminal.line, text),
        printed(terminal.table, text, ("what",), [(text,)], right=("what",)),
        printed(terminal.table, "a table", ("what", "why"), [(text, "x")], whole=("what",)),
    )
    for out in shown:
        left = out.replace("\x1b[1m", "").replace("\x1b[0m", "").replace("\n", "")  # bold titles and line ends are ours
        assert not set(left) & set(OBEYED), ascii(out)


def test_every_such_character_is_replaced_or_escaped():
    assert set(terminal.visible("".join(OBEYED))) == {"\ufffd"}
    line = terminal.as_json("".join(OBEYED))
    assert line.isprintable() and line.isascii()
    assert json.loads(line) == "".join(OBEYED).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def test_text_that_looks_like_an_emoji_code_stays_as_it_was_said(printed):
    assert "turn on :lamp: [b]now[/b]" in printed(terminal.line, "turn on :lamp: [b]now[/b]")


def test_a_table_fits_the_terminal_and_keeps_its_figures_whole(printed):
    rows = [("2026-01-05", "the words of a person " * 9, "1,234,567", "0.991")] * 3
    out = printed(
        terminal.table, "rules", ("since", "utterance", "turns", "score"), rows, right=("turns", "score"), whole=("since",)
    )
    plain = re.sub(r"\x1b\[\d*m", "", out)
    assert all(len(line) <= 80 for line in plain.splitlines())
    assert out.count("1,234,567") == out.count("2026-01-05") == 3


def test_a_table_that_does_not_fit_is_printed_row_by_row(monkeypatch, capsys):
    names = [f"column {n}" for n in range(14)]
    monkeypatch.setattr(terminal, "console", terminal.Console(width=80, highlight=False, emoji=False))
    terminal.table("wide", names, [[f"value{n}" for n in range(14)]], whole=names)
    shown = capsys.readouterr().out
    assert all(f"value{n}" in shown for n in range(14))
    assert max(map(len, shown.splitlines())) <= 80


def test_steps_are_lines_on_stderr_where_that_is_no_terminal_and_lines_are_asked_for(capsys):
    with terminal.steps(("read", "judge"), plain=True) as start:
        start("read")
        start("judge")
    assert capsys.readouterr() == ("", "1/2 read\n2/2 judge\n")
    with terminal.steps(("read",)) as start:
        start("read")
    assert capsys.readouterr() == ("", "")


def test_a_table_is_as_wide_as_it_is_shown(printed):
    texts = ("打 开 厨 房 的 灯", "เปิ ด ไฟ ห้ อ ง ค รั ว", "रसोईघर की लाइट चालू करो", "شغّل أضواء المطبخ", "ＴＶをオン", "💡 on")
    out = printed(terminal.table, "rules", ("heard", "users"), [(text, "12") for text in texts], right=("users",))
    rows = [line for line in out.splitlines() if line.rstrip().endswith("12")]
    assert [line.rpartition("12")[0].strip() for line in rows] == [terminal.unspaced(text) for text in texts]
    assert len({terminal.cell_len(line.rstrip()) for line in rows}) == 1


def test_wide_letters_count_twice(printed):
    rows = [("厨" * 60, "厨" * 60, "1,234,567")]
    out = printed(terminal.table, "rules", ("heard", "sent", "users"), rows, right=("users",))
    assert max(terminal.cell_len(line) for line in re.sub("\x1b\\[[0-9;]*m", "", out).splitlines()) <= 80
    assert out.count("厨") == 120


def test_joiners_of_letters_and_emoji_stay():
    for text in ("می‌خواهم", "क्‍ष", "👨‍👩‍👧"):
        assert terminal.visible(text) == text
        assert json.loads(terminal.as_json(text)) == text
