"""Worlds: goals, splits, faults, recordings."""

import json
from collections import Counter
from datetime import date
from pathlib import Path

import duckdb
import pytest
from worlds.recorded import household_of, read_phrases, recorded_world

from rewriter.errors import ConfigError, LogError
from rewriter.simulation import (
    Behaviour,
    HomeAssistant,
    Phrase,
    PhraseAssistant,
    home_world,
    phrase_world,
    requests,
    simulate_days,
    text_world,
)
from rewriter.simulation.users import people, shares_said
from rewriter.simulation.world import split_of
from rewriter.simulation.worlds import MISROUTED, REFUSED, faults

SPOKEN = Path("../shared/data/home_spoken")
GOALS = {f"g{i}": tuple(f"say {i} {j}" for j in range(1 + i % 4)) for i in range(100)}
START = date(2026, 1, 5)


def users(n=50, speakers=()):
    return people(GOALS, n, seed=0, behaviour=Behaviour(), speakers=speakers)


def test_the_split_withholds_its_shares():
    everybody = users()
    split = split_of(GOALS, everybody, seed=1)
    assert len(split.users) == 10
    assert len(split.goals) == 10
    phrases = {p for goal, said in GOALS.items() if goal not in split.goals for p in said}
    assert len(split.phrases & phrases) == round(0.2 * len(phrases))
    assert split.phrases >= {p for goal in split.goals for p in GOALS[goal]}
    for goal, said in GOALS.items():
        assert goal in split.goals or set(said) - split.phrases
    assert split == split_of(GOALS, everybody, seed=1) != split_of(GOALS, everybody, seed=2)


@pytest.mark.parametrize("seed", range(8))
def test_popular_and_rare_goals_are_withheld_alike(seed):
    everybody = users()
    use = Counter()
    for user in everybody:
        use.update(dict(zip(user.goals, user.weights, strict=True)))
    places = [place for place, goal in enumerate(sorted(GOALS, key=lambda g: (-use[g], g))) if goal in _withheld(everybody, seed)]
    assert [place // 10 for place in places] == list(range(10))


def _withheld(everybody, seed):
    return split_of(GOALS, everybody, seed=seed).goals


def test_people_of_one_voice_are_withheld_together():
    everybody = users(40, speakers=[f"v{i}" for i in range(10)])
    split = split_of(GOALS, everybody, seed=1)
    voices = {u.speaker for u in everybody if u.user_id in split.users}
    assert len(voices) == 2
    assert split.users == {u.user_id for u in everybody if u.speaker in voices}


def test_faults_take_their_share_of_requests_leave_every_goal_a_phrase_and_point_to_known_goals():
    everybody = users()
    split = split_of(GOALS, everybody, seed=1)
    said = shares_said(everybody, 0.8)
    table = faults(GOALS, split, said, seed=1, misrouted=0.1, refused=0.2)
    for kind, share in (("misrouted", 0.1), ("refused", 0.2)):
        found = [phrase for phrase, goal in table.items() if (goal is None) == (kind == "refused")]
        assert sum(said[phrase] for phrase in found) == pytest.approx(share, abs=0.01)
        assert sum(said[phrase] for phrase in found) <= share
    owner = {p: goal for goal, phrases in GOALS.items() for p in phrases}
    for phrase, goal in table.items():
        assert goal not in (owner[phrase], *split.goals)
    assert all(set(phrases) - table.keys() for phrases in GOALS.values())
    assert faults(GOALS, split, said, seed=1, misrouted=0.0, refused=0.0) == {}


def test_a_misrouted_phrase_is_taken_for_the_goal_most_alike():
    goals = {"jazz": ("play jazz", "start jazz"), "chess": ("play chess", "open chess"), "time": ("what time is it", "the time")}
    said = {phrase: 1 / 6 for phrases in goals.values() for phrase in phrases}
    table = faults(goals, split_of(goals, (), seed=0, goal_share=0.0), said, seed=0, misrouted=1.0, refused=0.0)
    assert table.get("play jazz", "chess") == "chess"
    assert table.get("play chess", "jazz") == "jazz"
    assert len(table) == 3


def test_how_often_phrases_are_said():
    table = {"a": ("a1", "a2"), "b": ("b1",)}
    said = shares_said(people(table, 1, seed=0, behaviour=Behaviour(variety=0.0, zipf=1.0)), 0.8)
    assert sum(said.values()) == pytest.approx(1)
    first, second = sorted((said["a1"] + said["a2"], said["b1"]), reverse=True)
    assert first == pytest.approx(2 * second)
    assert max(said["a1"], said["a2"]) == pytest.approx(0.9 * (said["a1"] + said["a2"]))


def test_any_assistant_with_its_phrases_is_a_world():
    table = {"lights on": "on", "turn on the lights": "on", "lights off": "off"}
    world = text_world(PhraseAssistant(table), [Phrase(t, "", {}) for t in (*table, "make coffee")], n_users=10)
    assert world.goals == {"on": ("lights on", "turn on the lights"), "off": ("lights off",)}
    assert all(turn.goal in ("on", "off") for day in simulate_days(world, days=2, start=START, seed=0) for turn in day)


def test_the_phrase_world_understands_its_phrases_but_for_the_faults():
    world = phrase_world(1, n_users=30)
    wrong = {p for goal, phrases in world.goals.items() for p in phrases if world.assistant.understand(p) != goal}
    said = shares_said(world.users, world.behaviour.habit)
    assert sum(said[p] for p in wrong) == pytest.approx(MISROUTED + REFUSED, abs=0.01)
    pure = phrase_world(1, n_users=30, misrouted=0.0, refused=0.0, guessed=0.0)
    assert all(pure.assistant.understand(p) == goal for goal, said in pure.goals.items() for p in said)
    assert all(len(said) > 1 for said in world.goals.values())


def test_unknown_setting():
    with pytest.raises(ConfigError, match="loud"):
        phrase_world(setting="loud")


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["quiet", "normal", "noisy"])
def test_the_home_world_has_silent_defects_in_every_setting(setting):
    world = home_world(3, setting=setting)
    drawn = requests(world, n=500, seed=1, start=START)
    made = [(r.goal, world.assistant.understand(r.heard)) for r in drawn]
    log = [t for day in simulate_days(world, days=1, start=START, seed=1) for t in day if t.said != world.stop]
    made_of_log = [(t.goal, t.hypothesis) for t in log]
    for turns in (made, made_of_log):
        defects = [understood for goal, understood in turns if understood != goal]
        assert 0.1 < len(defects) / len(turns) < 0.55
        assert sum(understood is not None for understood in defects) / len(defects) >= 0.15


@pytest.mark.slow
def test_a_german_home():
    world = home_world(1, language="de", n_users=15)
    turns = [t for day in simulate_days(world, days=1, start=START, seed=1) for t in day]
    assert {t.locale for t in turns} == {"de"}
    assert 0.5 < sum(t.hypothesis == t.goal for t in turns) / len(turns) < 0.95


@pytest.fixture
def tables(tmp_path):
    said = [f"say {i} {j}" for i in range(12) for j in range(2)]
    rows = [
        {"speaker": f"v{v}", "said": s, "heard": f"{s} take {t}", "nbest": json.dumps([s]), "confidence": 0.5}
        for v in range(5)
        for s in said
        for t in range(4)
    ]
    lines = tmp_path / "rows.jsonl"
    lines.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    duckdb.execute(f"COPY (SELECT * FROM '{lines}') TO '{tmp_path}/recordings.parquet'")
    text = "said,goal\n" + "".join(f"{s},goal {s.split()[1]}\n" for s in said)
    (tmp_path / "phrases.csv").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_recording_enters_the_log_or_is_judged_once(tables):
    world = recorded_world(tables / "recordings.parquet", tables / "phrases.csv", seed=2, n_users=30)
    voice = {u.user_id: u.speaker for u in world.users}
    turns = [t for day in simulate_days(world, days=20, start=START, seed=1) for t in day]
    drawn = requests(world, n=500, seed=1, start=START)
    played = Counter((voice[t.user_id], t.utterance) for t in turns) + Counter((voice[r.user_id], r.heard) for r in drawn)
    assert max(played.values()) == 1
    assert len(turns) > 100
    assert len(drawn) > 100
    assert all(r.heard.startswith(r.said) for r in drawn)
    withheld = {voice[u] for u in world.split.users}
    assert not withheld & {voice[t.user_id] for t in turns}
    assert withheld & {voice[r.user_id] for r in drawn}


def test_confidences_of_recordings_are_ranks(tables):
    columns = (
        "* REPLACE (CASE WHEN heard LIKE '%take 0' THEN 0.001 WHEN heard LIKE '%take 3' THEN 0.003 ELSE 0.002 END AS confidence)"
    )
    duckdb.execute(f"COPY (SELECT {columns} FROM '{tables}/recordings.parquet') TO '{tables}/scored.parquet'")
    world = recorded_world(tables / "scored.parquet", tables / "phrases.csv", seed=2, n_users=30)
    share = {"0": 0.25, "1": 0.75, "2": 0.75, "3": 1.0}
    drawn = requests(world, n=200, seed=1, start=START)
    assert all(r.confidence == share[r.heard[-1]] for r in drawn)
    assert {r.confidence for r in drawn} == {0.25, 0.75, 1.0}


def test_tables_that_cannot_be_read(tables, tmp_path):
    (tmp_path / "bad.csv").write_text("text\nhello\n", encoding="utf-8")
    with pytest.raises(LogError, match=r"bad\.csv"):
        read_phrases(tmp_path / "bad.csv")
    with pytest.raises(LogError, match=r"missing\.csv"):
        read_phrases(tmp_path / "missing.csv")


@pytest.mark.skipif(not SPOKEN.exists(), reason="needs ../shared/data/home_spoken")
@pytest.mark.slow
def test_the_household_of_recorded_goals_parses_every_phrase_to_its_goal():
    table = read_phrases(SPOKEN / "phrases.csv")
    assistant = HomeAssistant(household_of(table))
    for phrase, goal in table.items():
        assert assistant.understand(phrase) == goal.replace(";", "|").rstrip("|")
