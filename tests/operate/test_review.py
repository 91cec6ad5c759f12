"""Review: what is listed, what the file looks like, and that a block holds from the next request on, for whatever layer."""

import logging

import lamp_log
import pytest
from click.testing import CliRunner

from rewriter import terminal
from rewriter.artefact.review import HEAD, Line, read, write
from rewriter.artefact.versions import current
from rewriter.cli import main
from rewriter.errors import ArtefactError
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter
from rewriter.operate.review import decide, pending, rules

SOURCE, TARGET = "turn of the lamp", "turn off the lamp"


@pytest.fixture
def home(tmp_path, lamp):
    import shutil

    shutil.copytree(lamp[0], tmp_path / "a")
    return tmp_path / "a"


def test_a_file_is_sorted_and_comes_back(tmp_path):
    lines = [
        Line("en", "turn of the lamp", "the lamp", "edit", 'he said "often", she "never"'),
        Line("", "", "unlock the door", "block"),
        Line("en", "a", "b", "approve"),
    ]
    write(tmp_path / "review.csv", lines)
    text = (tmp_path / "review.csv").read_text(encoding="utf-8")
    assert text == HEAD + (
        'block,,,unlock the door,\napprove,en,a,b,\nedit,en,turn of the lamp,the lamp,"he said ""often"", she ""never"""\n'
    )
    assert read(tmp_path / "review.csv").lines == sorted(lines)
    write(tmp_path / "again.csv", reversed(read(tmp_path / "review.csv").lines))
    assert (tmp_path / "again.csv").read_text(encoding="utf-8") == text
    assert read(tmp_path / "none.csv").lines == []


def test_what_people_type_is_normalised(tmp_path):
    (tmp_path / "review.csv").write_text(
        "# mine\n\nblock, en , Turn OF the lamp! ,\nblock,,,Unlock the Door,why\n", encoding="utf-8"
    )
    assert read(tmp_path / "review.csv").lines == [
        Line("en", "turn of the lamp", "", "block"),
        Line("", "", "unlock the door", "block", "why"),
    ]


def test_an_id_is_whole_in_a_narrow_terminal(home, monkeypatch):
    """It is copied into the next command."""
    monkeypatch.setattr(terminal, "console", terminal.Console(width=80, highlight=False, emoji=False))
    shown = CliRunner().invoke(main, ["review", str(home)]).output
    assert pending(home)
    assert [rule.rule for rule in pending(home) if shown.count(rule.rule) == 0] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("forbid,en,a,b,\n", "line 1: no such choice: 'forbid'; it is one of approve, block, edit"),
        ("# x\nblock,en,,,\n", "line 2: block needs a source or a target"),
        ("edit,en,a,,\n", "line 1: edit needs source and target"),
        ("block,en,a\n", "line 1: 3 cells, not choice, locale, source, target, note"),
        ('block,en,"a,b,\n', "line 1: a quote is not closed"),
    ],
)
def test_a_wrong_line_is_told_and_spoils_nothing_but_itself(home, caplog, text, words):
    (home / "review.csv").write_text(f"{text}block,en,{SOURCE},,\n", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        serving = Rewriter.open(home)
    assert words in caplog.text
    assert serving.rewrite(SOURCE, after_failure=True).reason == "blocked_by_review"
    result = CliRunner().invoke(main, ["review", str(home)])
    assert result.exit_code == 0
    assert "no effect:" in result.output
    wrong = text.splitlines()[-1]
    write(home / "review.csv", read(home / "review.csv").lines, read(home / "review.csv").wrong)
    assert wrong in (home / "review.csv").read_text(encoding="utf-8").splitlines(), "what cannot be read is kept for its writer"


AS_SAVED = {
    "excel": ("\ufeffblock;en;turn of the lamp;;why\r\n", "utf-8"),
    "tabs": ("block\ten\tturn of the lamp\t\twhy\r\n", "utf-16"),
    "padded": ("# What people;;;;;\n;;;;;\nBlock;en;Turn of the lamp;;why;;\n", "utf-8"),
    "quoted": ('"# head, with, commas",,,,\n"BLOCK","en","turn of the lamp","","why"\n', "utf-8"),
    "old mac": ("# head\rblock,en,turn of the lamp,,why\r", "utf-8"),
    "names": ("choice;locale;source;target;note\nblock;en;turn of the lamp;;why\n", "utf-8"),
    "delimiter": ("sep=;\nblock;en;turn of the lamp;;why\n", "utf-8"),
    "bars": ('"Choice"|"Locale"|"Source"|"Target"\nblock|en|turn of the lamp||why\n', "utf-8"),
    "two lines": ('block,en,turn of the lamp,,"why"\n', "utf-8"),
}
"""What programs write -> text and encoding."""


@pytest.mark.parametrize("program", AS_SAVED)
def test_what_spreadsheet_programs_write_is_read(tmp_path, program):
    text, encoding = AS_SAVED[program]
    (tmp_path / "review.csv").write_bytes(text.encode(encoding))
    assert read(tmp_path / "review.csv") == ([Line("en", SOURCE, "", "block", "why")], [])


NOTES = [
    "two\nlines",
    "a\u2028b\u2029c\x0bd\x0ce\x85f\x1cg",
    'say "no", never',
    "=HYPERLINK(1)",
    "-1; x",
    "@x",
    "'plain",
    "# no comment",
]


@pytest.mark.parametrize("note", NOTES)
def test_every_note_comes_back_on_one_line(tmp_path, note):
    path = tmp_path / "review.csv"
    write(path, [Line("en", "a", "b", "approve", note), Line("en", "c", "d", "approve")])
    found = read(path)
    assert [line.note for line in found.lines] == [" ".join(note.splitlines()), ""]
    assert found.wrong == []
    assert len(path.read_text(encoding="utf-8").split("\n")) == HEAD.count("\n") + 3
    assert not path.read_text(encoding="utf-8").split(",")[-5].startswith(("=", "-", "@"))
    write(path, found.lines)
    assert read(path) == found


def test_a_line_in_another_encoding_spoils_only_itself(tmp_path):
    path = tmp_path / "review.csv"
    path.write_bytes("block,de,küche,,\n".encode("latin1") + "block,de,küche,,\n".encode())
    found = read(path)
    assert [line.source for line in found.lines] == ["küche"]
    assert [each.reason for each in found.wrong] == ["it is not UTF-8: save the file as CSV UTF-8"]
    before = path.read_bytes()
    write(path, found.lines, found.wrong)
    assert b"block,de,k\xfcche,," in path.read_bytes()
    assert b"k\xfcche" in before


def test_rules_are_listed_by_traffic_until_somebody_decides(home):
    (rule,) = pending(home)
    assert (rule.locale, rule.source, rule.target, rule.users) == ("en", SOURCE, TARGET, 10)
    assert 40 < rule.turns <= 50, "the older ones count less"
    assert rule.loss < 0.05 < 0.9 < rule.win
    decide(home, "approve", [rule.rule], note="fine")
    assert pending(home) == []
    assert read(home / "review.csv").lines == [Line("en", SOURCE, TARGET, "approve", "fine")]
    decide(home, "block", [rule.rule])
    assert read(home / "review.csv").lines == [Line("en", SOURCE, TARGET, "block")], "the last word counts"
    with pytest.raises(ArtefactError, match="no rule 000 serves everybody"):
        decide(home, "block", ["000"])
    with pytest.raises(ArtefactError, match="edit needs source and target"):
        decide(home, "edit", [rule.rule], text=" ! ")


def test_a_block_holds_from_the_next_request_on_and_can_be_lifted(home):
    serving, (rule,) = Rewriter.open(home), rules(home)
    assert serving.rewrite(SOURCE, after_failure=True).text == TARGET
    decide(home, "block", [rule.rule])
    answer = serving.rewrite(SOURCE, after_failure=True)
    assert (answer.text, answer.reason, answer.applied) == (SOURCE, "blocked_by_review", False)
    (home / "review.csv").unlink()
    assert serving.rewrite(SOURCE, after_failure=True).text == TARGET


@pytest.mark.parametrize(
    ("line", "own", "everybody"),
    [
        (Line("en", lamp_log.OWN, "play my mix", "block"), False, True),
        (Line("", lamp_log.OWN, "", "block"), False, True),
        (Line("", "", "play my mix", "block"), False, True),
        (Line("de", lamp_log.OWN, "", "block"), True, True),
        (Line("", "", TARGET, "block"), True, False),
    ],
)
def test_a_block_holds_for_personal_rules_too(home, line, own, everybody):
    write(home / "review.csv", [line])
    serving = Rewriter.open(home)
    assert serving.rewrite(lamp_log.OWN, user_id="ann", after_failure=True).applied == own
    assert serving.rewrite(SOURCE, after_failure=True).applied == everybody


def test_an_edit_replaces_everybodys_rule_and_no_personal_one(home):
    lines = [
        Line("en", SOURCE, "turn on the lamp", "edit"),
        Line("", lamp_log.OWN, "play jazz", "edit"),
        Line("", "new", "old", "edit"),
    ]
    serving = Rewriter.open(home)
    write(home / "review.csv", lines)
    answer = serving.rewrite(SOURCE)
    assert (answer.text, answer.layer, answer.scope, answer.rule) == ("turn on the lamp", "lesson", "global", "review")
    assert (answer.arm, answer.propensity) == (None, None)
    assert serving.rewrite(lamp_log.OWN, user_id="ann").text == "play my mix"
    assert serving.rewrite(lamp_log.OWN, user_id="ben").text == "play jazz"
    assert serving.rewrite("new").text == "old"
    assert pending(home) == []
    write(home / "review.csv", [*lines, Line("", "", "old", "block")])
    assert serving.rewrite("new").reason == "blocked_by_review"
    assert Rewriter.open(home, layers=["precomputed"]).rewrite("new").reason == "no_rule"


def test_an_unreadable_change_leaves_what_held_before(home, caplog):
    write(home / "review.csv", [Line("", SOURCE, "", "block")])
    serving = Rewriter.open(home)
    with caplog.at_level(logging.WARNING):
        (home / "review.csv").unlink()
        (home / "review.csv").mkdir()
        for _ in range(3):
            assert serving.rewrite(SOURCE).reason == "blocked_by_review"
    assert len(caplog.records) == 1
    assert "the decisions of the last readable review stay in force" in caplog.text
    (home / "review.csv").rmdir()
    write(home / "review.csv", [])
    assert serving.rewrite(SOURCE, after_failure=True).applied


def test_a_block_survives_the_next_version(home, tmp_path):
    decide(home, "block", [rules(home)[0].rule])
    learn([lamp_log.write(tmp_path / "log.jsonl")], out=home, detector=RuleDetector())
    assert Rewriter.open(home).rewrite(SOURCE).reason == "blocked_by_review"
    assert pending(home) == []
    assert not list((current(home).folder).glob("review*"))


def test_on_the_command_line(home):
    def run(*args):
        result = CliRunner().invoke(main, ["review", str(home), *args])
        assert result.exit_code == 0, result.output
        return result.output

    (rule,) = rules(home)
    assert "rules without a review: 1" in run()
    assert rule.rule in run("--top", "1")
    told = run("--edit", rule.rule, "Turn on the LAMP", "--note", "for the test")
    assert told.startswith(f"edited, from the next request on: '{SOURCE}' -> 'turn on the lamp'\n")
    assert "no rule for everybody is without a review" in told
    assert read(home / "review.csv").lines == [Line("en", SOURCE, "turn on the lamp", "edit", "for the test")]
    assert run("--block", rule.rule).startswith(f"blocked, from the next request on: '{SOURCE}' -> '{TARGET}'\n")
    assert Rewriter.open(home).rewrite(SOURCE).text == "turn on the lamp", "what was learned is blocked, what was written is sent"
    run("--edit", rule.rule, "turn off the lamp")
    assert read(home / "review.csv").lines == [Line("en", SOURCE, TARGET, "edit")], (
        "one line for each rewrite, one edit for each source"
    )


@pytest.mark.parametrize(
    ("written", "asked", "holds"),
    [
        ("EN", None, True), ("EN", "en-US", True), ("en_US", "en-US", True), ("en-us", "en_US", True), ("en-US", "en", True),
        ("en_US", None, True), ("en", "en-US", True), ("fr", "en", False), ("de-DE", "en-US", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("choice", ["block", "edit"])
def test_a_decision_holds_for_every_spelling_of_its_locale(home, caplog, choice, written, asked, holds):
    text = f"{choice},{written},{SOURCE},{'play jazz' if choice == 'edit' else ''},\n"
    (home / "review.csv").write_text(text, encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        answer = Rewriter.open(home).rewrite(SOURCE, locale=asked, after_failure=True)
    assert answer.text == ({"block": SOURCE, "edit": "play jazz"}[choice] if holds else TARGET)
    assert ("review.csv: 1 line is for the locale" in caplog.text) != holds
    assert len(pending(home)) == (not holds)
    assert ("no effect" in CliRunner().invoke(main, ["review", str(home)]).output) != holds


def test_a_new_decision_takes_the_place_of_one_in_another_spelling(home):
    (home / "review.csv").write_text(f"block,EN,{SOURCE},{TARGET},\n", encoding="utf-8")
    decide(home, "approve", [rules(home)[0].rule])
    assert read(home / "review.csv").lines == [Line("en", SOURCE, TARGET, "approve")]
