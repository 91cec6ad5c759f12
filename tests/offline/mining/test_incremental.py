"""Adding days is the same as one run over all of them, wherever the log is cut; and what is told twice counts once."""

import json
import random
import shutil
from datetime import date
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import duckdb
import hard_logs
import pytest
from hard_logs import long_log, write_turns

from rewriter import tables as declared
from rewriter.artefact.versions import current
from rewriter.config import Config
from rewriter.engines import DuckDB
from rewriter.errors import ArtefactError
from rewriter.guardrail.contrasts import KeptContrasts
from rewriter.model.detector import RuleDetector
from rewriter.model.layer_slices import Promise
from rewriter.offline import run
from rewriter.offline.learn import learn
from rewriter.offline.mining import pipeline
from rewriter.offline.mining.incremental import SUMMED, SUMMED_BY, Carried
from rewriter.offline.mining.pipeline import mine
from rewriter.simulation.dialogue import simulate_days
from rewriter.simulation.turn import write_log
from rewriter.simulation.worlds import phrase_world
from rewriter.text import normalise

EXACT = Config.from_dict({"loop": {"refit_days": 0}, "logs": {"max_rejected": 1.0}})
WEEKLY = Config.from_dict({"loop": {"refit_days": 7}})
KEY = bytes(range(32))

COUNTED = """
SELECT c.day, u.user_id, a.text, b.text, d.kind, d.text, c.rule, c.share, SUM(c.turns), SUM(c.failed), SUM(c.success),
       SUM(c.failure)
FROM counts AS c JOIN users AS u USING (user_no) JOIN texts AS a ON a.id = c.said JOIN texts AS b ON b.id = c.sent
JOIN texts AS d ON d.id = c.state GROUP BY ALL ORDER BY ALL
"""
RESTATED = """
SELECT c.day, u.user_id, a.text, b.text, d.text, e.text, c.again, SUM(c.mass), SUM(c.turns)
FROM rephrases AS c JOIN users AS u USING (user_no) JOIN texts AS a ON a.id = c.said JOIN texts AS b ON b.id = c.sent
JOIN texts AS d ON d.id = c.state JOIN texts AS e ON e.id = c.target GROUP BY ALL ORDER BY ALL
"""
CHAIN = "SELECT * EXCLUDE (node) FROM nodes ORDER BY ALL"
STEPS = """
SELECT a.kind, a.text, b.kind, b.text, mass, users
FROM edges JOIN texts AS a ON a.id = source JOIN texts AS b ON b.id = target ORDER BY ALL
"""
QUERIES = "SELECT q.* EXCLUDE (node), t.text FROM queries AS q JOIN texts AS t ON t.id = q.node ORDER BY ALL"
WEIGHED = """
SELECT rule, users, turns, score, stay, similarity, p_goal, win, loss FROM rules ORDER BY rule
"""


def tables(root):
    """What the private state knows, with names in place of numbers."""
    state = current(root).state
    with duckdb.cursor() as con:
        for name in ("counts", "rephrases", "users", "texts", "nodes", "edges", "queries", "rules"):
            path = state / f"{name}.parquet"
            con.read_parquet(str(path / "*.parquet") if path.is_dir() else str(path)).create_view(name)
        names = {"counts": COUNTED, "rephrases": RESTATED, "nodes": CHAIN, "edges": STEPS, "queries": QUERIES, "rules": WEIGHED}
        return {name: con.execute(sql).fetchall() for name, sql in names.items()}


def folder(path):
    """An artefact folder with a known key, so that users can be compared."""
    (path / "state").mkdir(parents=True)
    (path / "state" / "user.key").write_bytes(KEY)
    return path


def pieces(turns, n, seed):
    """Cut turns, in the order of time, at random places."""
    ordered = sorted(turns, key=lambda t: t.ts_ms)
    evidence_starts = sorted(random.Random(seed).sample(range(1, len(ordered)), n - 1))
    return [ordered[a:b] for a, b in zip([0, *evidence_starts], [*evidence_starts, len(ordered)], strict=True)]


def assert_alike(one, other):
    for name, rows in one.items():
        if name == "rules":
            theirs = {row[0]: row[1:] for row in other[name]}
            for rule, *figures in rows:  # strays are drawn in the order of numbers, so posteriors agree roughly
                assert theirs[rule][:5] == pytest.approx(figures[:5], rel=1e-12)
                assert theirs[rule][5:] == pytest.approx(figures[5:], rel=0.08, abs=0.02)
        else:
            assert rows == other[name], name


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_days_add_up_to_a_full_rebuild(tmp_path, seed):
    world = phrase_world(seed, n_users=25)
    turns = [turn for day in simulate_days(world, days=3, start=date(2026, 1, 5), seed=seed) for turn in day]
    daily, whole = folder(tmp_path / "daily"), folder(tmp_path / "whole")
    parts = []
    for i, part in enumerate(pieces(turns, 4, seed)):
        parts.append(tmp_path / f"{i}.parquet")
        write_log(part, parts[-1])
        learn([parts[-1]], out=daily, config=EXACT, detector=RuleDetector())
    learn(parts, out=whole, config=EXACT, detector=RuleDetector())
    assert_alike(tables(whole), tables(daily))
    assert current(daily).manifest.counts["turns"] == len(turns)
    assert current(daily).manifest.locales == current(whole).manifest.locales


@pytest.mark.slow
def test_a_log_made_to_hurt_adds_up_too(tmp_path):
    """Sessions, odd texts, rewritten turns, arms; cut into days at random places."""
    turns = sorted(long_log(500, seed=5), key=lambda t: (t["ts_ms"], t["turn_id"]))
    daily, whole, parts = folder(tmp_path / "daily"), folder(tmp_path / "whole"), []
    for i, start in enumerate(range(0, 500, 125)):
        parts.append(tmp_path / f"{i}.parquet")
        as_log(write_turns(turns[start : start + 125], tmp_path / "t.parquet"), parts[-1])
        learn([parts[-1]], out=daily, config=EXACT, detector=RuleDetector())
    learn(parts, out=whole, config=EXACT, detector=RuleDetector())
    assert_alike(tables(whole), tables(daily))


def as_log(path, out):
    with duckdb.cursor() as con:
        con.sql(f"SELECT * EXCLUDE (ts_ms), ts_ms AS timestamp FROM '{path}'").write_parquet(str(out))


def log(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def said(seconds, utterance, user="ann", **values):
    return {"user_id": user, "timestamp": 1_767_571_200 + seconds, "utterance": utterance, **values}


def counted(root):
    return {(row[2], row[8]): row[9:] for row in tables(root)["counts"]}


def test_a_session_goes_on_over_midnight(tmp_path):
    """Two seconds before midnight it fails, four after it is said right: the first day does not know that yet."""
    root, midnight = folder(tmp_path / "a"), 86_400
    first = log(
        tmp_path / "1.jsonl", said(midnight - 2, "lamp of", status="failed"), said(9, "what time is it", "ben", status="ok")
    )
    learn([first], out=root, config=EXACT, detector=RuleDetector())
    assert tables(root)["rephrases"] == []
    assert counted(root)["lamp of", 1] == (1, 0, 1000)
    learn(
        [log(tmp_path / "2.jsonl", said(midnight + 4, "lamp off", status="ok"))], out=root, config=EXACT, detector=RuleDetector()
    )
    ((*_, mass, turns),) = tables(root)["rephrases"]
    assert counted(root)["lamp of", 1] == (1, 0, 1000 - mass)
    assert (mass > 500, turns) == (True, 1)


def test_files_and_turns_told_twice_count_once(tmp_path):
    root = folder(tmp_path / "a")
    rows = [said(i, "lamp on", turn_id=f"t{i}") for i in (0, 200, 400)]
    one = log(tmp_path / "1.jsonl", *rows)
    learn([one], out=root, config=EXACT, detector=RuleDetector())
    before = tables(root)
    copy = Path(shutil.copyfile(one, tmp_path / "copy.jsonl"))
    report = learn([copy], out=root, config=EXACT, detector=RuleDetector())
    assert [skipped.reason for skipped in report.log.skipped] == ["learned before"]
    assert tables(root) == before
    learn(
        [log(tmp_path / "2.jsonl", rows[2], said(500, "lamp off", turn_id="t5"))], out=root, config=EXACT, detector=RuleDetector()
    )
    assert {text: row[8] for row in tables(root)["counts"] for text in [row[2]]} == {"lamp on": 3, "lamp off": 1}
    assert current(root).manifest.counts["turns"] == 5


def test_a_late_file_goes_to_its_own_days(tmp_path):
    root, day = folder(tmp_path / "a"), 86_400
    for name, at in (("1", 3 * day), ("2", day)):
        learn([log(tmp_path / f"{name}.jsonl", said(at, "lamp on"))], out=root, config=EXACT, detector=RuleDetector())
    days = [row[0] for row in tables(root)["counts"]]
    assert days[1] - days[0] == 2


def test_afresh_forgets(tmp_path):
    root = folder(tmp_path / "a")
    learn([log(tmp_path / "1.jsonl", said(0, "lamp on"))], out=root, config=EXACT, detector=RuleDetector())
    two = log(tmp_path / "2.jsonl", said(0, "lamp off"))
    learn([two], out=root, config=EXACT, detector=RuleDetector(), afresh=True)
    assert [row[2] for row in tables(root)["counts"]] == ["lamp off"]
    assert (root / "state" / "user.key").read_bytes() == KEY


def test_closed_parts_are_linked_and_small_ones_joined(tmp_path):
    """Many turns on the first day, one on each of the next: the first part stays, of the others there are few."""
    root, day = folder(tmp_path / "a"), 86_400
    many = [said(100 * i, f"lamp {i} on", turn_id=f"t{i}") for i in range(800)]
    learn([log(tmp_path / "0.jsonl", *many)], out=root, config=EXACT, detector=RuleDetector())
    for i in range(1, 6):
        learn([log(tmp_path / f"{i}.jsonl", said(i * day, "lamp on"))], out=root, config=EXACT, detector=RuleDetector())
    parts = current(root).state / "counts.parquet"
    names = sorted(p.name for p in parts.glob("*"))
    assert (names[0], names[-1], len(names) < 5) == ("000001.parquet", "open.parquet", True)
    assert (parts / "000001.parquet").stat().st_nlink == 3
    assert sum(row[8] for row in tables(root)["counts"]) == 805


def test_turns_that_are_counted_are_looked_at_and_not_counted_again(tmp_path):
    """The second day, mined beside all of the first or beside its open turns alone, counts the same."""
    turns = sorted(long_log(300, seed=7), key=lambda t: (t["ts_ms"], t["turn_id"]))
    first, second = (write_turns(part, tmp_path / f"{i}.parquet") for i, part in enumerate((turns[:200], turns[200:])))
    as_log(first, tmp_path / "log.parquet")
    learn([tmp_path / "log.parquet"], out=tmp_path / "a", config=EXACT, detector=RuleDetector())
    carried, found = Carried.read(current(tmp_path / "a").state), []
    for whole in (False, True):
        engine = DuckDB(tmp_path / f"work{whole}", threads=1)
        found.append(mine(engine, second, RuleDetector(), Config(), carried=carried, whole=whole))
        engine.close()
    beside, counted = (duckdb.sql(f"SELECT COUNT(*), SUM(counted) FROM '{m.sessions}'").fetchall()[0] for m in found)
    assert beside[1] == 0 < counted[1] == counted[0] - beside[0]
    for table in (declared.COUNTS, declared.REPHRASES, declared.NODES, declared.EDGES, declared.QUERIES):
        one, other = (hard_logs.rows(table, getattr(m, table.name)) for m in found)
        assert one == other
        assert one
    # Turns are numbered otherwise beside the turns before them.
    listed = [sum(hard_logs.rows(declared.CANDIDATES, m.candidates).values()) for m in found]
    assert listed[0] == listed[1] > 0


class Nights:
    """A state that grows night by night, from turns alone."""

    def __init__(self, folder, config):
        self.folder, self.config, self.state, self.n = folder, config, None, 0

    def add(self, turns, starts):
        """Mine a night; return the rows of every table of sums."""
        self.n += 1
        work, state = self.folder / f"work{self.n}", self.folder / f"state{self.n}"
        state.mkdir(parents=True)
        engine, carried = DuckDB(work, threads=1), Carried.read(self.state)
        mined = mine(engine, turns, RuleDetector(), self.config, evidence_starts=starts, carried=carried)
        engine.close()
        ((last_ms, n),) = duckdb.sql(f"SELECT MAX(ts_ms), COUNT(*) FROM '{turns}'").fetchall()
        log = SimpleNamespace(turns=n, last_ms=last_ms, files=())
        carried.after(log, self.config, fitted=False, weighed=False, summed_by=pipeline.summed_by(self.config)).write(state)
        for name in run._KEPT:
            shutil.move(getattr(mined, name), state / f"{name}.parquet")
        self.state = state
        return {table.name: hard_logs.rows(table, state / f"{table.name}.parquet") for table in (*SUMMED, *SUMMED_BY)}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_what_a_night_touches_is_summed_again_and_gives_what_all_days_give(tmp_path, monkeypatch, seed):
    """Random cuts, many texts, rewritten turns, ages of days, and evidence that starts later for some texts."""
    rng, config = random.Random(seed), Config.from_dict({"loop": {"half_life_days": 2}})
    turns = sorted(long_log(600, seed=seed), key=lambda t: (t["ts_ms"], t["turn_id"]))
    for i, turn in enumerate(turns):  # many days, and most texts on few of them
        turn["ts_ms"] += i // 40 * 9_000_000
        if rng.random() < 0.7:
            turn["utterance"] += f" {rng.randrange(40)}"
    cuts = [0, *sorted(rng.sample(range(100, 590), 5)), 600]
    daily, whole, starts, found = Nights(tmp_path / "daily", config), Nights(tmp_path / "whole", config), {}, []
    real, near = pipeline._summed_again, []
    monkeypatch.setattr(pipeline, "_summed_again", lambda *args: near.append(night) or real(*args))
    for night, (a, b) in enumerate(pairwise(cuts)):
        path = write_turns(turns[a:b], tmp_path / f"{night}.parquet")
        if night in (2, 4):
            today = {turn["utterance"] for turn in turns[a - 20 : b]}
            said = rng.choice([turn for turn in turns[:a] if turn["utterance"] not in today])
            starts[said["locale"], normalise(said["utterance"], said["locale"]), ""] = turns[a]["ts_ms"] // 86_400_000
        found.append(daily.add(path, starts))
        with monkeypatch.context() as patch:
            patch.setattr(Carried, "has_sums", lambda *_: False)
            assert whole.add(path, starts) == found[-1]
    assert near[-1] == 5
    assert len(near) >= 3
    touched, every = (
        duckdb.sql(f"SELECT COUNT(*) FROM '{daily.folder}/{name}'").fetchall()[0][0]
        for name in ("work6/touched.parquet", "state6/nodes.parquet")
    )
    assert 0 < touched < 0.8 * every
    assert any(found[-1]["edge_discount"].values())
    assert found[-1]["evidence_starts"]


def test_other_settings_or_a_flood_sum_all_days_again(tmp_path, monkeypatch):
    real, near = pipeline._summed_again, []
    monkeypatch.setattr(pipeline, "_summed_again", lambda *args: near.append(True) or real(*args))
    turns = sorted(long_log(300, seed=3), key=lambda t: (t["ts_ms"], t["turn_id"]))
    parts = [write_turns(turns[a : a + 100], tmp_path / f"{a}.parquet") for a in (0, 100, 200)]
    nights = Nights(tmp_path / "a", Config())
    nights.add(parts[0], {})
    nights.config = Config.from_dict({"chain": {"user_cap": 3}})
    nights.add(parts[1], {})
    assert near == []
    nights.add(parts[2], {})
    assert near == [True]
    (nights.state / "left_out.parquet").unlink()
    duckdb.sql("SELECT 0::BIGINT AS user_no").write_parquet(str(nights.state / "left_out.parquet"))
    nights.add(write_turns([dict(turns[-1], turn_id="last")], tmp_path / "last.parquet"), {})
    assert near == [True]


def test_the_rule_looks_at_no_turn_twice(tmp_path, monkeypatch):
    """A log too small to learn from keeps the rule: its days are mined beside the open turns alone."""
    import rewriter.offline.run as module

    seen, real = [], module.pipeline.mine
    monkeypatch.setattr(module.pipeline, "mine", lambda *args, **options: seen.append(options["whole"]) or real(*args, **options))
    root, config = folder(tmp_path / "a"), Config.from_dict({"loop": {"refit_days": 7}})
    for i in range(3):
        rows = [said(86_400 * i + 60 * j, f"lamp {j % 5}", f"u{j % 4}") for j in range(90 if i == 0 else 5)]
        learn([log(tmp_path / f"{i}.jsonl", *rows)], out=root, config=config)
    assert seen == [True, False, False]


def test_what_was_kept_is_not_used_where_nothing_stands(tmp_path, monkeypatch):
    """A folder whose priors stood between fits is learned into with `refit_days` = 0: they are fitted anew."""
    import rewriter.offline.rules.launch as module

    fitted, real = [], module.fit_priors
    monkeypatch.setattr(module, "fit_priors", lambda *args, **options: fitted.append(day) or real(*args, **options))
    root = folder(tmp_path / "a")
    for day, refit in enumerate((7, 7, 0, 0)):
        rows = [said(86_400 * day + 60 * j, f"lamp {j % 5}", f"u{j % 4}") for j in range(90 if day == 0 else 5)]
        config = Config.from_dict({"loop": {"refit_days": refit}})
        learn([log(tmp_path / f"{day}.jsonl", *rows)], out=root, config=config)
    assert fitted == [0, 2, 3]


def test_without_a_layer_what_launch_knows_of_the_log_stands_until_it_has_grown(tmp_path, monkeypatch):
    """Of 200 turns, ten are a twentieth. Until then contrasts are one file, linked from state to state."""
    import rewriter.offline.fit.query_index as module

    mined, real = [], module.contrasts
    monkeypatch.setattr(module, "contrasts", lambda *args: mined.append(day) or real(*args))
    root, added = folder(tmp_path / "a"), (200, 5, 4, 1, 5)
    for day, n in enumerate(added):
        rows = [said(86_400 * day + 60 * j, f"lamp {j % 5}", f"u{j % 4}") for j in range(n)]
        learn([log(tmp_path / f"{day}.jsonl", *rows)], out=root, config=EXACT, detector=RuleDetector())
        linked = (current(root).state / "contrasts.json").stat().st_nlink
        assert linked == (1 if mined[-1] == day else 1 + day - mined[-1])
    assert mined == [0, 3]


def test_more_users_are_asked_for_and_contrasts_are_found_anew(tmp_path):
    """Contrasts hold words of k users; those of a smaller k are not used."""
    root, words = folder(tmp_path / "a"), ("on", "off")
    turns = [
        said(60 * i + 20 * j, f"lamp {word}", f"u{i}", hypothesis=f"lamp|to={word}", status="ok")
        for i in range(6)
        for j, word in enumerate(words)
    ]
    shown = []
    for name, k in (("1", 3), ("2", 7)):
        config = Config.from_dict({"loop": {"refit_days": 0}, "launch": {"min_users": k}})
        learn([log(tmp_path / f"{name}.jsonl", *turns[: 12 if k == 3 else 1])], out=root, config=config, detector=RuleDetector())
        shown.append({pair for of in KeptContrasts(current(root).state).values() for pair in of.words})
    assert shown == [{("off", "on")}, set()]


def test_turns_older_than_the_last_days_are_not_kept(tmp_path):
    root, day = folder(tmp_path / "a"), 86_400
    config = Config.from_dict({"loop": {"refit_days": 0, "recent_days": 2}})
    for i in range(4):
        learn([log(tmp_path / f"{i}.jsonl", said(i * day, f"lamp {i}"))], out=root, config=config, detector=RuleDetector())
    with duckdb.cursor() as con:
        kept = con.execute(f"SELECT utterance FROM '{current(root).state}/recent.parquet/*.parquet' ORDER BY ts_ms").fetchall()
    assert kept == [("lamp 2",), ("lamp 3",)]


@pytest.mark.parametrize(("late", "kept"), [(2, 6), (3, 3)])
def test_fewer_than_k_who_speak_later_do_not_remove_the_turns_of_others(tmp_path, late, kept):
    """Four people speak, and weeks later two of them again: their days are no reason to drop what the others said."""
    root, config = folder(tmp_path / "a"), Config.from_dict({"loop": {"refit_days": 0, "recent_days": 2}})
    for name, day, users in (("early", 0, 4), ("later", 40, late)):
        rows = [said(86_400 * day + i, "lamp on", f"u{i}") for i in range(users)]
        learn([log(tmp_path / f"{name}.jsonl", *rows)], out=root, config=config, detector=RuleDetector())
    with duckdb.cursor() as con:
        found = con.execute(f"SELECT COUNT(*) FROM '{current(root).state}/recent.parquet/*.parquet'").fetchall()
    assert found == [(kept,)]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A folder that was learned into between fits; nobody writes into it."""
    place = tmp_path_factory.mktemp("fitted")
    rows = [said(60 * i, f"lamp {i % 5}", f"u{i % 4}") for i in range(90)]
    learn([log(place / "1.jsonl", *rows)], out=folder(place / "a"), config=WEEKLY)
    return place / "a"


@pytest.mark.parametrize(
    "name", ["days.json", "files.json", "priors.json", "evidence_starts.json", "contents.json", "detector/choice.json"]
)
def test_a_damaged_state_is_told_in_one_line(tmp_path, fitted, name):
    root = shutil.copytree(fitted, tmp_path / "a")
    served = current(root).id
    (current(root).state / name).write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ArtefactError, match=f"{name} is damaged .*; put it back from a backup, or learn with --afresh"):
        learn([log(tmp_path / "2.jsonl", said(9_000, "lamp 1"))], out=root, config=WEEKLY)
    assert current(root).id == served
    assert learn([tmp_path / "2.jsonl"], out=root, config=EXACT, detector=RuleDetector(), afresh=True).log.turns == 1


@pytest.mark.slow
def test_the_online_layer_is_taken_over_until_it_is_due(tmp_path, monkeypatch):
    import rewriter.offline.run as module

    fitted = []

    def fit(mined, decided, best, doubted, config, online, *others):
        fitted.append(i)
        online.mkdir()
        (online / "decider.json").write_text(str(i), encoding="utf-8")
        return {"online-before-global": Promise(0.7, 10.0, 0.0)}

    monkeypatch.setattr(module, "_fit", fit)
    world = phrase_world(0, n_users=5)
    root, config = folder(tmp_path / "a"), Config.from_dict({"loop": {"refit_days": 2}})
    for i, turns in enumerate(simulate_days(world, days=6, start=date(2026, 1, 5), seed=0)):
        write_log(turns, tmp_path / f"{i}.parquet")
        learn([tmp_path / f"{i}.parquet"], out=root, config=config, detector=RuleDetector())
        version = current(root)
        assert (version.folder / "online" / "decider.json").read_text(encoding="utf-8") == str(fitted[-1])
        assert any(name.startswith("online before") for name in version.manifest.metrics)
    assert fitted == [0, 1, 2, 4]  # the log doubles, then grows by half, then two days have passed
