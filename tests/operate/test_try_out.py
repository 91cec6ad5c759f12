"""A log that is tried: how it is divided, which losses are found, what the page shows, and logs that are too small."""

import json
import re
from datetime import UTC, datetime, timedelta

import lamp_log
import pytest
from click.testing import CliRunner
from test_demo import Page

from rewriter import try_out
from rewriter.artefact.versions import current
from rewriter.cli import main
from rewriter.codes import NextStep
from rewriter.online.rewriter import Rewriter
from rewriter.operate.try_out import COSTS, MODES, STEPS
from rewriter.text import hash_user

DAY = timedelta(days=1)
START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
USERS = [f"u{i}" for i in range(20)]
OFF, OFTEN = "TurnOff|name=lamp", "Play|list=lamp of"


def rows():
    """Twenty users over ten days. In the first eight "turn of the lamp" fails; then it plays a list of that name."""
    for day in range(10):
        for i, user in enumerate(USERS):

            def turn(text, hypothesis, seconds, day=day, i=i, user=user):
                when = START + day * DAY + timedelta(minutes=20 * i, seconds=seconds)
                status = "ok" if hypothesis else "failed"
                return {
                    "user_id": user,
                    "timestamp": when.isoformat(),
                    "utterance": text,
                    "hypothesis": hypothesis,
                    "status": status,
                    "wanted": hypothesis or OFF,
                }

            yield turn("turn off the lamp", OFF, 600)
            if day < 8:
                yield turn("turn of the lamp", None, 0)
                yield turn("turn off the lamp", OFF, 6)
            elif i < 4:
                yield turn("turn of the lamp", OFTEN, 0)
            elif i < 9:
                yield turn("turn of the lamp", None, 0)
                yield turn("turn off the lamp", OFF, 6)


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tried")
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    steps = []
    return folder, try_out(log, out=folder / "try", seed=5, progress=steps.append), steps


def test_the_log_is_divided_by_day_and_user(tried):
    _, found, steps = tried
    kept = sorted(USERS, key=lambda user: hash_user(user, (5).to_bytes(16, "big")))[:4]
    everything = list(rows())
    times = sorted(row["timestamp"] for row in everything)
    cut = datetime.fromisoformat(times[int(0.7 * len(times))]).replace(hour=0, minute=0, second=0)
    learned = [r for r in everything if datetime.fromisoformat(r["timestamp"]) < cut and r["user_id"] not in kept]
    assert (found.split.new_users, found.split.cut_ms) == (4, int(cut.timestamp() * 1000))
    assert (found.split.learned, found.split.judged) == (len(learned), len(everything) - len(learned))
    assert current(found.artefact).manifest.counts["turns"] == len(learned)
    assert list(dict.fromkeys(steps)) == [step for step in STEPS if step in steps]
    assert {"reading", "mine", "fit", "judging", "the report"} <= set(steps)
    assert set(COSTS) == set(STEPS)
    assert sum(cost.of(5000) for cost in COSTS.values()) == pytest.approx(1)


def test_wins_and_losses_are_those_of_the_judged_turns(tried):
    """Judged are days 7 to 9 of everybody, and all days of four users; the restatement shows what was wanted."""
    _, found, _ = tried
    kept = sorted(USERS, key=lambda user: hash_user(user, (5).to_bytes(16, "big")))[:4]
    cut = found.split.cut_ms
    heard = [r for r in rows() if r["utterance"] == "turn of the lamp"]
    heard = [r for r in heard if datetime.fromisoformat(r["timestamp"]).timestamp() * 1000 >= cut or r["user_id"] in kept]
    lost = [r for r in heard if r["hypothesis"] == OFTEN]
    assert lost
    for mode, late in MODES.items():
        assert found.rows[mode].wins == len(heard) - len(lost)
        assert found.rows[mode].losses == (0 if late else len(lost))
    (pair,) = found.losses
    assert (pair.source, pair.sent, pair.losses, pair.broken) == ("turn of the lamp", "turn off the lamp", len(lost), len(lost))
    assert pair.wins == len(heard) - len(lost)
    assert list(found.best) == [pair]


def test_more_losses_than_the_budget_are_to_be_looked_at_first(tried):
    _, found, _ = tried
    assert found.step is NextStep.LOOK
    assert str(found.artefact) in found.next


def test_the_artefact_knows_the_users_as_the_log_names_them(tried):
    _, found, _ = tried
    assert Rewriter.open(found.artefact).rewrite("turn of the lamp", user_id="u7").text == "turn off the lamp"


def test_the_page_shows_losses_first_and_no_text_of_few_users(tried, tmp_path):
    _, found, _ = tried
    page = Page(found.report.read_text(encoding="utf-8"))
    assert page.headings[:3] == ["Losses", "Losses and wins", "The ten best rewrites"]
    assert all(source.startswith("#") for source in page.sources)
    assert "script" not in page.tags
    assert page.table("heard", "sent", "losses")[0][:3] == ["turn of the lamp", "turn off the lamp", f"{found.losses[0].losses}"]
    lamp = try_out(lamp_log.write(tmp_path / "log.jsonl"), out=tmp_path / "try")
    assert lamp_log.OWN in {pair.source for pair in lamp.best}, "what only ann says is won, and is told to whom the log belongs"
    text = lamp.report.read_text(encoding="utf-8")
    assert "turn of the lamp" in text
    assert not any(private in text for private in (lamp_log.OWN, lamp_log.RARE, *lamp_log.SECRETS.values()))
    assert "with texts of fewer than 3 users" in text


@pytest.mark.parametrize(
    "text",
    [
        "user_id,timestamp,utterance\nann,2026-01-05T08:00:00Z,hello\n",
        "user_id,timestamp,utterance,status\n" + "".join(f"u{i},2026-01-05T08:00:{i:02}Z,text {i},failed\n" for i in range(30)),
    ],
    ids=["one turn", "nobody restates"],
)
def test_too_little_data_is_told_in_one_line(tmp_path, text):
    (tmp_path / "log.csv").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(main, ["try", str(tmp_path / "log.csv"), "--out", str(tmp_path / "try")])
    assert (result.exit_code, result.stderr) == (3, "")
    assert result.stdout.startswith("not enough data: ")
    assert result.stdout.count("\n") == 1
    assert not (tmp_path / "try").exists()


def test_the_command_prints_losses_before_wins_in_eighty_columns(tried):
    folder, found, _ = tried
    result = CliRunner().invoke(
        main, ["try", str(folder / "log.jsonl"), "--out", str(folder / "again"), "--seed", "5", "--truth", "wanted"]
    )
    assert result.exit_code == 0, result.output
    before = found.rows["before the NLU"]
    assert re.search(rf"before the NLU +{before.losses} +{before.wins} ", result.stdout), "the truth agrees with the strict rule"
    places = [
        result.stdout.index(text)
        for text in ("rewrites that lost: 1", "replayed", "the ten best", "is the data enough?", "next: ")
    ]
    assert places == sorted(places)
    assert max(map(len, result.stdout[places[0] : places[3]].splitlines())) <= 80


def test_where_nothing_can_be_judged_the_exit_code_is_three(tmp_path):
    """Failures that nobody restates later tell nothing, whatever was learned before."""
    kept = [row for row in rows() if row["timestamp"] < (START + 5 * DAY).isoformat() or row["utterance"] == "turn off the lamp"]
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in kept if row["user_id"] in USERS[:14]), encoding="utf-8")
    result = CliRunner().invoke(main, ["try", str(log), "--out", str(tmp_path / "try")])
    assert result.exit_code == 3, result.output
    assert "nothing was rewritten that could be judged" in result.stdout


def test_a_log_without_interpretations_is_judged_where_texts_stand_for_themselves(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(row | {"hypothesis": None}) + "\n" for row in rows()), encoding="utf-8")
    unknown = try_out(log, out=tmp_path / "unknown", seed=5)
    assert (unknown.step, "--map hypothesis=COLUMN" in unknown.next) == (NextStep.MARK, True)
    judged = try_out(log, out=tmp_path / "judged", seed=5, mapping={"hypothesis": "utterance"})
    assert judged.step is not NextStep.MARK
    assert judged.rows["after a refusal"].wins > 0
