"""Spellings: what is sent is the spelling that works, and failures of case, signs or marks alone are mended."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from rewriter.artefact.versions import current
from rewriter.config import Config
from rewriter.evaluation.evaluate import evaluate
from rewriter.model.detector import RuleDetector
from rewriter.model.spellings import KINDS, Mend, Priors, Spellings, Surface, kind_of, save_spellings
from rewriter.offline.catalog_layer import learn_catalog
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter
from rewriter.operate.explain import explain
from rewriter.operate.forget import forget
from rewriter.operate.review import decide, pending

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
USERS = [f"u{i}" for i in range(12)]
STRICT = {  # spelling that works -> spelling that is refused, said by half of the users
    "Set a 5 minute timer": "Set a 5-minute timer",
    "Lampe an": "lampe an",
    "play beyoncé": "play beyonce",
    "I'd like pizza": "I’d like pizza",
}
ALIKE = {"turn on the heater": "Turn on the heater!"}
RARE = ("call the cafe", "call the café")


def turns(said, seconds=300):
    """Rows of a log in which each of `said`, (user, text, hypothesis), comes on each of six days."""
    said = list(said)
    for day in range(6):
        for i, (user, text, meaning) in enumerate(said):
            when = START + timedelta(days=day, seconds=seconds * i)
            status = "failed" if meaning is None else "ok"
            yield {"user_id": user, "timestamp": when.isoformat(), "utterance": text, "hypothesis": meaning, "status": status}


def home():
    """What an assistant that minds some spellings makes of what twelve users say."""
    for n, user in enumerate(USERS):
        for works, fails in (STRICT | ALIKE).items():
            yield user, works, f"do|what={works}"
            if n % 2:
                yield user, fails, f"do|what={works}" if works in ALIKE else None
        yield user, RARE[0], "call|name=cafe"
        if n < 2:
            yield user, RARE[1], None


@pytest.fixture(scope="module")
def strict(once):
    """An artefact of an assistant that minds the spelling of some texts."""

    def build(folder):
        (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in turns(home())), encoding="utf-8")
        learn([folder / "log.jsonl"], out=folder / "artefact", detector=RuleDetector())
        return folder / "artefact"

    return once("strict", build)


@pytest.mark.parametrize(("works", "fails"), STRICT.items())
@pytest.mark.parametrize("after_failure", [False, True])
def test_a_spelling_that_fails_is_sent_in_the_one_that_works(strict, works, fails, after_failure):
    answer = Rewriter.open(strict).rewrite(fails, user_id="new", after_failure=after_failure)
    assert (answer.text, answer.reason, answer.layer, answer.scope) == (works, "spelling", "spelling", "global")
    assert answer.score > 0.65
    assert Rewriter.open(strict).rewrite(works, user_id="new").text == works


@pytest.mark.parametrize("text", [*ALIKE, *ALIKE.values(), *STRICT])
def test_nothing_changes_where_spellings_succeed_alike(strict, text):
    assert Rewriter.open(strict).rewrite(text, user_id="new").text == text


def test_two_users_decide_no_spelling_for_others(strict):
    assert not Rewriter.open(strict).rewrite(RARE[1]).applied
    assert RARE[1] not in (current(strict).folder / "online" / "spellings" / "mends.json").read_text("utf-8")


def test_the_layer_can_be_left_out_and_the_parser_has_the_last_word(strict):
    fails = STRICT["Lampe an"]
    assert not Rewriter.open(strict, layers=("lesson", "precomputed", "online")).rewrite(fails).applied
    assert Rewriter.open(strict, understands=lambda text: text == "Lampe an").rewrite(fails).text == "Lampe an"
    assert not Rewriter.open(strict, understands=lambda text: text == fails).rewrite(fails).applied
    assert not Rewriter.open(strict, understands=lambda text: False).rewrite(fails, after_failure=True).applied


def test_an_undo_and_a_review_stop_it(strict, tmp_path):
    root = tmp_path / "artefact"
    shutil.copytree(strict, root)
    rewriter, fails = Rewriter.open(root), STRICT["Lampe an"]
    rewriter.feedback(rewriter.rewrite(fails, user_id="u1").id, -1, "u1")
    assert rewriter.rewrite(fails, user_id="u1").reason == "undone_by_user"
    assert rewriter.rewrite(fails, user_id="u2").text == "Lampe an"
    listed = {rule.source: rule for rule in pending(root)}
    assert set(STRICT.values()) <= set(listed)
    decide(root, "block", [listed[fails].rule])
    assert not rewriter.rewrite(fails, user_id="u2").applied
    assert fails not in {rule.source for rule in pending(root)}
    assert rewriter.rewrite(STRICT["play beyoncé"]).text == "play beyoncé"


def test_it_is_explained(strict):
    lines = " ".join(explain(strict, "lampe an").sentences())
    assert lines.startswith("'lampe an' is rewritten to 'Lampe an' ")
    assert "the same words in the spelling that works" in lines
    assert "36 turns of 6 users" in lines


def test_it_is_counted_when_later_days_are_replayed(strict, tmp_path):
    what = {text: f"do|what={works}" for works, fails in (STRICT | ALIKE).items() for text in (works, fails)}
    rows = [
        {**row, "timestamp": row["timestamp"].replace("2026-01", "2026-02"), "goal": what.get(row["utterance"], "call|name=cafe")}
        for row in turns(home())
    ]
    (tmp_path / "later.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = evaluate(strict, [tmp_path / "later.jsonl"], truth="goal")
    mended = found.outcomes.layer == "spelling"
    assert int(mended.sum()) == 6 * 6 * len(STRICT)
    assert set(found.outcomes.as_spoken[mended]) == {"failed_honestly"}
    assert set(found.outcomes.rewritten[mended]) == {"ok"}
    assert any("spelling" in row.name for row in found.rows)


def test_forget_removes_what_rests_on_too_few(strict, tmp_path):
    root = tmp_path / "artefact"
    shutil.copytree(strict, root)
    for user in ("u1", "u3", "u5", "u7"):  # six users said each spelling that fails; two are left
        forget(user, root)
    assert not Rewriter.open(root).rewrite(STRICT["Lampe an"]).applied
    assert Rewriter.open(root).rewrite("Lampe an").text == "Lampe an"


def test_a_rewrite_is_sent_as_it_is_spelled(once):
    def build(folder):
        said = [each for user in USERS for each in ((user, "lampe aus mal", None), (user, "Lampe aus", "Off"))]
        rows = list(turns(said, seconds=5))
        for i, row in enumerate(rows):  # the two texts follow each other, the users do not
            row["timestamp"] = (START + timedelta(days=i // 24, seconds=600 * (i // 2) + 5 * (i % 2))).isoformat()
        (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        learn([folder / "log.jsonl"], out=folder / "artefact", detector=RuleDetector())
        return folder / "artefact"

    answer = Rewriter.open(once("spelled", build)).rewrite("lampe aus mal", user_id="new")
    assert (answer.text, answer.reason) == ("Lampe aus", "rule")


def test_a_catalog_gives_its_spelling(tmp_path):
    texts = ["Set a 5 minute timer", "Lampe an", "I'd like pizza"]
    learn_catalog([{"text": text} for text in texts], out=tmp_path, complete=True)
    rewriter = Rewriter.open(tmp_path)
    assert rewriter.rewrite("set a 5-minute timer", after_failure=True).text == "Set a 5 minute timer"
    assert rewriter.rewrite("set a 5-minute timer").text == "set a 5-minute timer"
    assert rewriter.rewrite("i’d like piza", after_failure=True).suggestion in ("I'd like pizza", None)


def test_a_new_spelling_is_mended_after_a_refusal_where_the_assistant_is_known_to_be_strict(tmp_path):
    priors = Priors(dict.fromkeys(KINDS, 0.02) | {"case": 0.9}, 0.65)
    save_spellings(tmp_path, [Surface("de", "Lampe an", 4, 0.9)], [], priors)
    spellings = Spellings.open(tmp_path)
    found = spellings.mend("LAMPE AN", "lampe an", "de")
    assert (found.sent, found.before) == ("Lampe an", False)
    assert 0.65 < found.after < 0.9
    assert spellings.mend("Lampe an.", "lampe an", "de") is None


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("Lampe", "lampe", "case"),
        ("beyoncé", "beyonce", "marks"),
        ("5-minute", "5 minute", "signs"),
        ("I’d", "I'd", "signs"),
        ("Café!", "cafe", "case marks signs"),
        ("straße", "strasse", ""),
        ("same", "same", ""),
    ],
)
def test_kinds_of_difference(one, other, kind):
    assert kind_of(one, other) == kind == kind_of(other, one)
    assert kind in KINDS


def test_a_mend_survives_the_disk(tmp_path):
    mend = Mend("spelling-1", "en", "a-b", "a b", 9, 4, 0.9, 0.8, 0.01, before=True, after=0.8, share=0.9)
    save_spellings(tmp_path, [Surface("en", "a b", 5, 0.9)], [mend], Priors({}, 0.65))
    assert Spellings.open(tmp_path).mends == [mend]
    assert Spellings.open(tmp_path).mend("a-b", "a b", "en") == mend


def test_part_of_the_requests_is_held_out_where_effects_are_measured(tmp_path):
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in turns(home())), encoding="utf-8")
    config = Config.from_dict({"loop": {"draw": True}})
    learn([tmp_path / "log.jsonl"], out=tmp_path / "artefact", config=config, detector=RuleDetector())
    rewriter = Rewriter.open(tmp_path / "artefact")
    answers = [rewriter.rewrite("lampe an", user_id=f"new{i}") for i in range(400)]
    held = [answer for answer in answers if answer.reason == "held_out"]
    assert 5 <= len(held) <= 45  # 5 % of them: canary x k / users = .1 x 3 / 6
    assert {round(answer.propensity, 9) for answer in held} == {0.05}
    assert all(answer.text == "Lampe an" for answer in answers if answer.reason == "spelling")
    assert {round(answer.propensity, 9) for answer in answers if answer.applied} == {0.95}
