"""The command line as people meet it: every verb, every way to get it wrong, and text that must not play tricks."""

import csv
import json
import re
import shlex
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import click
import lamp_log
import pytest
from click.testing import CliRunner

from rewriter import __version__
from rewriter.artefact.versions import current
from rewriter.cli import main
from rewriter.codes import Reason

VERBS = (
    "learn",
    "history",
    "label",
    "diagnose",
    "rewrite",
    "explain",
    "info",
    "demo",
    "try",
    "simulate",
    "synonyms",
    "evaluate",
    "versions",
    "publish",
    "rollback",
    "review",
    "report",
    "forget",
    "compare",
    "plan",
    "experiment",
    "settings",
    "teach",
    "lessons",
    "prefer",
    "unteach",
    "serve",
    "console",
    "import",
    "export",
    "wyoming",
)
TURNS = sum(1 for _ in lamp_log.rows())
READ = f"1 file, {TURNS} rows: {TURNS} turns of 10 users, 2026-01-05 to 2026-01-14"
CAPTURED = re.compile(r"rewriter: \S.*\n")
"""One line on stderr."""
PROGRESS = re.compile(r"^\d/\d .* elapsed.*\n", re.M)
"""A line of a job that takes longer than ten seconds."""


def run(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


def good(*args):
    result = run(*args)
    assert result.exit_code == 0, result.stderr
    assert PROGRESS.sub("", result.stderr) == "" or args[0] == "rewrite", "only `rewrite` says on stderr why"
    return result.stdout


def complaint(*args):
    """What the one line on stderr says."""
    result = run(*args)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1
    said = PROGRESS.sub("", result.stderr)
    assert CAPTURED.fullmatch(said), said
    return said.removeprefix("rewriter: ").rstrip("\n")


def cells(line):
    """The cells of a line of a table."""
    return re.split(r"\s{2,}", line.strip())


def table(text):
    """Its lines as a dict from the first cell to the others."""
    return {cells(line)[0]: cells(line)[1:] for line in text.splitlines() if line.startswith(" ") and line.strip(" ─")}


@pytest.fixture
def artefact(lamp):
    return lamp[0]


@pytest.fixture
def log(tmp_path):
    return lamp_log.write(tmp_path / "log.jsonl")


def test_learn_says_what_it_read_launched_and_refused(log, tmp_path):
    out = good("learn", log, "--out", tmp_path / "a")
    assert out.splitlines()[0] == READ
    assert f"learned version {current(tmp_path / 'a').id}" in out
    figures = table(out)
    assert figures["turns"] == [str(TURNS)]
    assert figures["global rules"] == ["1"]
    assert figures["personal rules"] == ["6"]
    assert figures["refused: guardrail"] == ["1"]


def test_check_reads_and_writes_nothing(log, tmp_path):
    out = good("learn", log, "--check")
    assert READ in out.splitlines()
    lacking = [line for line in out.splitlines() if line.startswith("columns that the log does not have")]
    assert len(lacking) == 1
    assert "barge_in, " in lacking[0]
    assert out.splitlines().index("is the data enough? A forecast; rewriter try measures it") > out.splitlines().index(lacking[0])
    assert list(tmp_path.iterdir()) == [log]


def test_learn_takes_other_names_and_settings(tmp_path):
    rows = [{"who": r["user_id"], "timestamp": r["timestamp"], "utterance": r["utterance"]} for r in lamp_log.rows()]
    with (tmp_path / "log.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (tmp_path / "k.toml").write_text("[launch]\nmin_users = 11\n", encoding="utf-8")
    out = good("learn", tmp_path / "log.csv", "--map", "user_id=who", "--config", tmp_path / "k.toml", "--out", tmp_path / "a")
    assert table(out)["global rules"] == ["0"]
    assert current(tmp_path / "a").manifest.config["launch"]["min_users"] == 11


def test_learn_reads_what_a_select_yields(log, tmp_path):
    (tmp_path / "q.sql").write_text(f"SELECT * FROM read_json('{log}') WHERE user_id < 'e'", encoding="utf-8")
    assert " of 4 users" in good("learn", "--sql", tmp_path / "q.sql", "--check")


def test_rewrite_prints_what_to_send(artefact):
    assert good("rewrite", artefact, "Turn of the lamp!") == "turn off the lamp\n"
    assert good("rewrite", artefact, "Switch on lamb") == "Switch on lamb\n"
    assert good("rewrite", artefact, lamp_log.OWN) == lamp_log.OWN + "\n"
    assert good("rewrite", artefact, lamp_log.OWN, "--user", "ann") == "play my mix\n"


def test_rewrite_says_why_beside_the_text(artefact, tmp_path):
    said = run("rewrite", artefact, "Turn of the lamp!").stderr
    assert said == f"rewritten (rule): {Reason.RULE.meaning}\n"
    assert run("rewrite", artefact, "").stderr == f"unchanged (empty): {Reason.EMPTY.meaning}\n"
    (tmp_path / "catalog.txt").write_text("turn on the kitchen lights\nturn on the hall lights\nplay jazz\n", encoding="utf-8")
    good("learn", "--catalog", tmp_path / "catalog.txt", "--out", tmp_path / "a")
    asked = run("rewrite", tmp_path / "a", "turn on the kitchn lights", "--after-failure")
    assert asked.stdout == "turn on the kitchn lights\n"
    assert asked.stderr.splitlines()[1].startswith("did the user mean 'turn on the kitchen lights'?")


def test_rewrite_as_json(artefact):
    answer = json.loads(good("rewrite", artefact, "Turn of the lamp", "--json", "--after-failure"))
    wanted = {
        "text": "turn off the lamp",
        "applied": True,
        "layer": "precomputed",
        "scope": "global",
        "source": "Turn of the lamp",
    }
    assert {name: answer[name] for name in wanted} == wanted
    left = json.loads(good("rewrite", artefact, "hello", "--json"))
    assert (left["text"], left["applied"]) == ("hello", False)
    assert left["reason"]


def test_explain_says_why_and_why_not(artefact):
    launched = good("explain", artefact, "turn of the lamp")
    assert launched.startswith("'turn of the lamp' is rewritten to 'turn off the lamp' (global rule ")
    assert "in the log (en): 50 turns of 10 users; 0.0 succeeded as spoken" in launched
    assert table(launched)["turn off the lamp"][0] == "10"
    assert table(launched)["turn off the lamp"][-1] == "launched"
    flipped = good("explain", artefact, "switch on lamb")
    assert flipped.startswith("'switch on lamb' is left alone: ")
    assert "guardrail: flips" in flipped
    assert "fewer than" in good("explain", artefact, lamp_log.RARE)
    unheard = good("explain", artefact, "hello").splitlines()
    assert unheard[0] in {f"'hello' is left alone: {reason}. {reason.meaning}" for reason in Reason}
    assert unheard[1] == "the log does not contain this text"
    assert {"candidates of the online layer", "features of the first candidates"} <= {line.strip() for line in unheard}


def test_explain_as_json(artefact):
    found = json.loads(good("explain", artefact, "turn of the lamp", "--json"))
    assert found["rewrite"]["text"] == "turn off the lamp"
    assert [(said["turns"], said["users"]) for said in found["counts"]] == [(50, 10)]
    assert [(rival["target"], rival["verdict"]) for rival in found["rivals"]] == [("turn off the lamp", "launched")]


def test_rewrite_takes_a_context(artefact):
    assert good("rewrite", artefact, "turn of the lamp", "--context", "room=kitchen") == "turn off the lamp\n"
    wrong = run("rewrite", artefact, "turn of the lamp", "--context", "kitchen")
    assert (wrong.exit_code, "--context takes KEY=VALUE, not 'kitchen'" in wrong.stderr) == (2, True)


def test_releases_are_not_compared_where_nothing_was_drawn(artefact, log):
    result = run("compare", artefact, artefact, log)
    assert result.exit_code == 3
    assert "no arm was drawn in this log" in result.stdout
    assert "B - A" not in result.stdout


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_explain_draws(artefact, tmp_path, extra):
    for name in ("lamp.svg", "lamp.png"):
        out = good("explain", artefact, "turn of the lamp", "--graph", tmp_path / name, *extra)
        assert (f"graph written to {tmp_path / name}" in out) == (not extra)
    words = "".join(ET.parse(tmp_path / "lamp.svg").getroot().itertext())
    assert "turn of the lamp" in words
    assert lamp_log.OFF in words
    assert (tmp_path / "lamp.png").read_bytes().startswith(b"\x89PNG")


def test_info_says_what_is_there(artefact):
    found = table(good("info", artefact))
    assert found["en"][:3] == ["10", "1", "6"]
    assert found["version"] == [current(artefact).id]
    assert "the checksums of all files are right" in good("info", artefact, "--verify").splitlines()


def test_simulate_writes_a_log_that_learn_reads(tmp_path):
    path = tmp_path / "log.parquet"
    out = good("simulate", "--out", path, "--world", "phrases", "--days", 2, "--users", 8, "--seed", 4)
    turns = re.fullmatch(rf"([\d,]+) turns of 2 days in {path}\n", out)
    assert turns
    assert f"1 file, {turns[1]} rows: {turns[1]} turns of 6 users, 2026-01-05 to 2026-01-06" in good("learn", path, "--check")


def test_simulate_writes_a_later_part_of_the_same_log(tmp_path):
    world = ["--world", "phrases", "--users", 8, "--seed", 4]
    good("simulate", "--out", tmp_path / "all.jsonl", *world, "--days", 3)
    good("simulate", "--out", tmp_path / "later.jsonl", *world, "--days", 1, "--start", "2026-01-07")
    rows, later = ((tmp_path / name).read_text(encoding="utf-8").splitlines() for name in ("all.jsonl", "later.jsonl"))
    assert later
    assert rows[-len(later) :] == later
    assert run("simulate", "--out", tmp_path / "x.jsonl", *world, "--start", "8").exit_code == 2


def test_evaluate_replays_counts_and_warns(artefact, log, tmp_path):
    out = good("evaluate", artefact, log, "--out", tmp_path / "figures")
    assert "warning: the artefact was learned from 2026-01-05 to 2026-01-14" in out
    assert re.search(rf"^{TURNS} turns, \d+ of which fail as spoken; rewriting took at most", out, re.MULTILINE)
    assert table(out)["scope global"][:3] == ["50", "0", "0"]
    assert {p.name for p in (tmp_path / "figures").iterdir()} == {"outcomes.parquet", "table.md", "curve.svg", "curve.png"}
    late = good("evaluate", artefact, log, "--after-failure", "--truth", "hypothesis")
    assert "replayed after a refusal" in late


def test_tables_keep_to_eighty_columns(artefact, log):
    verbs = [["evaluate", artefact, log], ["explain", artefact, "switch on lamb"], ["info", artefact]]
    verbs += [["history", artefact, "turn of the lamp"], ["history", artefact], ["versions", artefact]]
    for out in (good(*args) for args in verbs):
        lines = out.splitlines()
        rule = next(i for i, line in enumerate(lines) if line.strip(" ─") == "" and "─" in line)
        lines = lines[rule - 1 :]
        assert "warning" not in "".join(lines)
        assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["learn", "nowhere.parquet", "--out", "{tmp}/a"], "no log at nowhere.parquet"),
        (["learn", "{log}", "--map", "utterance=heard", "--out", "{tmp}/a"], "has no column heard"),
        (["try", "{log}", "--map", "user_id=x", "--out", "{tmp}/t"], "leave out --map user_id=x"),
        (
            ["label", "{tmp}/odd.csv", "--out", "{tmp}/l"],
            "`rewriter learn {tmp}/odd.csv --check` finds out how the file is laid out",
        ),
        (["evaluate", "{artefact}", "{tmp}/odd.csv"], "`rewriter learn {tmp}/odd.csv --check` finds out"),
        (["diagnose", "{log}", "--map", "role=who", "--out", "{tmp}/l"], "`rewriter learn {log} --check` finds out"),
        (["forget", "ann", "{artefact}", "--logs", "{tmp}/odd.csv"], "odd.csv --check` finds out how"),
        (["learn", "{tmp}/odd.csv", "--check"], "no column looks like user_id; name it, such as --map user_id=COLUMN"),
        (["learn", "{log}", "--map", "uterance=user_id", "--out", "{tmp}/a"], "did you mean utterance?"),
        (
            ["learn", "{log}", "--config", "{tmp}/none.toml", "--out", "{tmp}/a"],
            "none.toml: No such file or directory; `rewriter settings`",
        ),
        (["learn", "--sql", "{tmp}/none.sql", "--out", "{tmp}/a"], "cannot read {tmp}/none.sql"),
        (["learn", "{log}", "--out", "{log}"], "{log} is a file; the artefact is a folder"),
        (["rewrite", "{tmp}/none", "x"], "no artefact here; write one with `rewriter learn LOGS --out {tmp}/none`"),
        (["explain", "{tmp}/none", "x"], "no artefact here"),
        (["info", "{tmp}/none"], "no artefact here"),
        (["evaluate", "{tmp}/none", "{log}"], "no artefact here"),
        (["evaluate", "{artefact}", "nowhere.csv"], "no log at nowhere.csv"),
        (["evaluate", "{artefact}", "{log}", "--truth", "wish"], "no file has a column wish"),
        (["evaluate", "{artefact}", "{log}", "--out", "{log}"], "{log}"),
        (["explain", "{artefact}", "turn of the lamp", "--graph", "lamp.pdf"], "name a .svg or .png file"),
        (
            ["explain", "{artefact}", "turn of the lamp", "--graph", "{tmp}/none/lamp.svg"],
            "No such file or directory: {tmp}/none",
        ),
        (["evaluate", "{artefact}", "{log}", "--truth", "wish"], "the columns are "),
        (["experiment", "{log}", "--name", "x", "--detect", "0"], "a difference above 0, not 0; for example 0.02"),
        (["experiment", "{log}", "--name", "x", "--detect", "0.1", "--share", "7"], "between 0 and 1, not 7"),
        (["experiment", "{log}", "--name", "x", "--detect", "0.1", "--share", "0.0001"], "requests of the log are in arm A"),
        (["experiment", "{log}", "--name", "x", "--detect", "0.1"], "the log has neither sent nor rewrite_id, so nothing in it"),
        (["try", "{log}", "--truth", "wish", "--out", "{tmp}/t"], "no file has a column wish; the columns are "),
        (["explain", "{artefact}", "hello", "--graph", "{tmp}/hello.svg"], "does not contain 'hello'"),
        (["simulate", "--out", "{tmp}/log.zip", "--days", "1", "--users", "5", "--world", "phrases"], "a log ends in .parquet"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_what_goes_wrong_is_told_in_one_line(artefact, log, tmp_path, args, words):
    places = {"tmp": tmp_path, "log": log, "artefact": artefact}
    odd = [f"2026-01-05T08:00:{n}0,turn on lamp {n},ok" for n in range(6)]
    (tmp_path / "odd.csv").write_text("\n".join(["when,what,result", *odd, ""]), encoding="utf-8")
    assert words.format(**places) in complaint(*(a.format(**places) for a in args))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("c.toml", "[launhc]\nmin_users = 4\n", "unknown setting launhc; did you mean launch?"),
        ("c.toml", "[launch]\nmin_user = 4\n", "did you mean launch.min_users?"),
        ("c.toml", "x = [", "cannot read settings"),
        ("q.sql", "SELECT", "is not valid SQL"),
        ("q.sql", "DROP TABLE log", "SELECT"),
        ("q.sql", "SELECT 1; SELECT 2", "SELECT"),
    ],
)
def test_bad_settings_and_queries(log, tmp_path, name, text, words):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    sources = [log, "--config", path] if name == "c.toml" else ["--sql", path]
    assert words in complaint("learn", *sources, "--out", tmp_path / "a")
    assert not (tmp_path / "a" / "CURRENT").exists()


def test_a_damaged_artefact_is_refused_with_the_file_named(artefact, tmp_path):
    root = tmp_path / "damaged"
    shutil.copytree(artefact, root)
    victim = max(
        (p for p in current(root).folder.rglob("*") if p.is_file() and p.name != "manifest.json"), key=lambda p: p.stat().st_size
    )
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert victim.name in complaint("info", root, "--verify")
    victim.write_bytes(whole[:-1])
    for args in (["rewrite", root, "x"], ["explain", root, "x"], ["info", root]):
        assert victim.name in complaint(*args)


@pytest.mark.parametrize("args", [["learn"], ["learn", "x.csv"], ["rewrite"], ["learn", "x.csv", "--map", "heard"], ["dance"]])
def test_wrong_usage_exits_with_2_and_says_how_to_get_help(args):
    result = run(*args)
    assert result.exit_code == 2
    assert "--help" in result.stderr


def test_what_people_said_is_shown_and_never_obeyed(tmp_path):
    """Escapes, markup and line breaks in every text of a log, in the name of a column and in the questions asked."""
    nasty = {"en": "[bold red]\x1b[2Jlamp[/] \x9b2J\u202eoff\r\n"}
    rows = [
        r | {"utterance": nasty["en"] + r["utterance"], "hypothesis": r["hypothesis"] and nasty["en"]} for r in lamp_log.rows()
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    asked = nasty["en"] + "turn of the lamp"
    root = tmp_path / "a"
    outputs = [
        good("learn", path, "--out", root),
        good("explain", root, asked),
        good("explain", root, "[bold red]lamp"),
        good("explain", root, asked, "--json"),
        good("evaluate", root, path),
        run("learn", path, "--map", "utterance=\x1b[2J[red]", "--out", root).stderr,
        run("info", "\x1b[2J[red]").stderr,
    ]
    for out in outputs:
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out), ascii(out)
    assert "[red]" in outputs[-1], "markup is printed as it stands"
    assert "bold red" in outputs[1]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example_and_stands_in_the_pages(verb):
    text = good(verb, "--help")
    assert re.search(rf"Examples:\n\s+rewriter {verb}\b", text)
    pages = [Path(__file__).parent.parent / "README.md", *(Path(__file__).parent.parent / "docs").glob("*.md")]
    assert any(f"rewriter {verb}" in page.read_text(encoding="utf-8") for page in pages)


COMMAND = re.compile(r"`rewriter ([^`\n]+)`|^ *rewriter ([a-z]+ .+)$", re.MULTILINE)
"""A command in the text of a page, and one on a line of its own."""


def test_the_pages_give_commands_the_arguments_that_they_take():
    """A word too many, an option that does not exist."""
    root = Path(__file__).parent.parent
    wrong = []
    for page in [root / "README.md", *(root / "docs").glob("*.md")]:
        for found in COMMAND.finditer(page.read_text(encoding="utf-8")):
            verb, *words = (found[1] or found[2]).split()
            if verb not in main.commands:
                continue
            command = main.commands[verb]
            words = shlex.split(" ".join(words), comments=True)
            try:
                too_many = command.make_parser(click.Context(command)).parse_args(words)[1]
            except click.UsageError as error:
                too_many = [error.format_message()]
            wrong += [(page.name, found[0], too_many)] if too_many else []
    assert wrong == []


def test_the_group_names_every_verb_and_the_version():
    assert set(main.commands) == set(VERBS)
    assert all(verb in good("--help") for verb in VERBS)
    assert good("--version") == f"rewriter, version {__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_says_what_it_does(verb):
    """The page of commands is made from this."""
    options = [parameter for parameter in main.commands[verb].params if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not (option.help or "").rstrip(".]")] == []


def test_a_catalog_stands_in_place_of_a_log(tmp_path):
    catalog = tmp_path / "catalog.txt"
    catalog.write_text("turn on the kitchen lights\nturn off the kitchen lights\n?\n", encoding="utf-8")
    told = "catalog: 3 rows, 2 texts; 1 set aside, no text, such as '?'"
    assert good("learn", "--catalog", catalog, "--check").splitlines() == [told]
    settings = tmp_path / "settings.toml"
    settings.write_text("[trigger]\nmax_loss_share = 0.25\n", encoding="utf-8")
    out = good("learn", "--catalog", catalog, "--catalog-is-complete", "--config", settings, "--out", tmp_path / "a")
    assert out.splitlines()[0] == told
    assert "turn off the kitchen lights" in good("rewrite", tmp_path / "a", "turn off the kitchen light", "--after-failure")
    assert complaint("learn", "--catalog", tmp_path / "none.txt", "--out", tmp_path / "a").startswith("no catalog at")


def test_an_empty_catalog_is_refused_in_one_line_by_every_verb(log, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("", encoding="utf-8")
    said = "the catalog is empty; write one text a line that the assistant understands, such as turn on the lamp"
    with_catalog = [["learn", "--check"], ["learn", "--out", tmp_path / "a"], ["learn", log, "--check"]]
    with_catalog += [["learn", log, "--out", tmp_path / "a"], ["try", log, "--out", tmp_path / "t"]]
    with_catalog += [["diagnose", log, "--out", tmp_path / "f.parquet"]]
    assert [complaint(*args, "--catalog", empty) for args in with_catalog] == [said] * len(with_catalog)


def test_an_artefact_of_a_catalog_says_that_it_knows_no_log(tmp_path):
    root, catalog = tmp_path / "a", tmp_path / "catalog.txt"
    catalog.write_text("turn on the kitchen lights\nplay jazz\n", encoding="utf-8")
    good("learn", "--catalog", catalog, "--out", root)
    assert "the artefact was made of a catalog alone" in good("explain", root, "play jaz")
    for args in (["history", root], ["history", root, "play jaz"], ["report", root, "--out", tmp_path / "r.html"],
                 ["explain", root, "play jaz", "--graph", tmp_path / "g.svg"]):  # fmt: skip
        assert complaint(*args).startswith(f"{root} was made of a catalog alone, so it knows of no log")


def test_who_is_not_there_is_not_forgotten(artefact, log, tmp_path):
    root = tmp_path / "a"
    shutil.copytree(artefact, root)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for extra in ([], ["--logs", log]):
        result = run("forget", "annn", root, *extra)
        assert (result.exit_code, result.stdout) == (4, "")
        assert result.stderr.startswith("rewriter: nobody has the id 'annn' in ")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_check_says_what_a_catalog_could_answer(tmp_path):
    catalog, calls = tmp_path / "catalog.txt", tmp_path / "calls.csv"
    catalog.write_text("turn on the kitchen lights\nturn off the kitchen lights\n", encoding="utf-8")
    lines = ["user_id,timestamp,utterance,status"]
    lines += [f"u{i},2026-01-01T08:0{i}:00Z,Turn off the kitchen light,failed" for i in range(4)]
    lines += ["u9,2026-01-01T08:09:00Z,what is my balance,failed", "u9,2026-01-01T08:09:30Z,turn on the kitchen lights,ok"]
    calls.write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = tmp_path / "settings.toml"
    settings.write_text("[trigger]\nmax_loss_share = 0.25\n", encoding="utf-8")
    out = good("learn", calls, "--catalog", catalog, "--catalog-is-complete", "--config", settings, "--check")
    assert "answers 4 of 5 refused turns" in " ".join(out.split())


def test_a_user_teaches_lists_and_takes_back(small, tmp_path):
    root = tmp_path / "a"
    shutil.copytree(small, root)
    assert "movie time" in good(
        "teach", root, "Movie time", "dim the lights", "turn on the tv", "--joined-by", " and ", "--user", "ann"
    )
    assert good("rewrite", root, "movie time", "--user", "ann") == "dim the lights and turn on the tv\n"
    (lesson,) = json.loads(good("lessons", root, "--user", "ann", "--json"))["lessons"]
    assert lesson["id"] in good("lessons", root, "--user", "ann")
    assert "a lesson of this user" in good("explain", root, "movie time", "--user", "ann")
    assert good("teach", root, "i am home", "unlock the door", "--user", "ann").splitlines()[-1] == "nothing was kept"
    assert "now means" in good("teach", root, "i am home", "unlock the door", "--user", "ann", "--confirm")
    assert "ann prefers name: lamp" in good("prefer", root, "i like the lamp", "--user", "ann")
    assert "preferred" in good("lessons", root, "--user", "ann")
    assert "no slot" in good("prefer", root, "i like rain", "--user", "ann")
    assert good("unteach", root, lesson["id"]) == "removed\n"
    assert good("unteach", root, lesson["id"]) == (
        f"no lesson has the id {lesson['id']}; rewriter lessons {root} --user ID lists them\n"
    )
    assert good("lessons", root, "--household", "home-7") == "nothing was taught\n"
    assert "needs the user_id" in complaint("teach", root, "a", "b")
    assert "whose lessons" in run("lessons", root).stderr
