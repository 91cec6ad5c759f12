"""The detector that a log teaches: against the truth of a world, what `learn` makes of it, and where it is not trusted."""

import json
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
from logs_by_hand import listed, turn
from rapidfuzz.distance import Indel
from sklearn.metrics import average_precision_score

import rewriter.offline.run as learning
from rewriter import learn
from rewriter.artefact.versions import current
from rewriter.config import Config
from rewriter.detect import rephrase, select
from rewriter.detect.boosting import FOLDS, Forest, Trees
from rewriter.detect.features import NAMES, Cues
from rewriter.detect.rephrase import LearnedPair, foreign_pairs, learn_pair
from rewriter.detect.select import BestDetector
from rewriter.detect.turns import Listed, Turns
from rewriter.detect.weak_labels import TrainingData, weak_labels
from rewriter.engines import DuckDB
from rewriter.model.detector import RuleDetector
from rewriter.offline.logs import reader
from rewriter.offline.mining.pipeline import mine

SAMPLE = Path(__file__).parents[2] / "data/sample.parquet"


@pytest.fixture(scope="module")
def mined_sample(tmp_path_factory):
    """The mined tables of the sample, a simulated home, and whether each candidate is the first to reach its turn's goal."""
    work = tmp_path_factory.mktemp("sample")
    reader.read([SAMPLE], out=work, key=bytes(16), config=Config().logs)
    engine = DuckDB(work / "mined", threads=2)
    mined = mine(engine, work / "turns.parquet", RuleDetector(), Config())
    engine.close()
    tables = Listed(work / "turns.parquet", mined.sessions, mined.texts, mined.candidates)
    data = TrainingData.read(tables)
    with duckdb.cursor() as con:
        rows = con.execute("SELECT turn_id, goal, COALESCE(hypothesis, '') = goal FROM read_parquet(?)", [str(SAMPLE)]).fetchall()
    goal, reached = ({turn_id: row[k] for turn_id, *row in rows} for k in (0, 1))
    later = data.turns.turn_id[data.turns.rows(data.candidates["user_no"], data.candidates["next_turn_no"])]
    failed = np.array([goal[t] != "" and not reached[t] for t in data.turns.turn_id[data.source]])
    hit, last = np.zeros(len(failed), dtype=bool), -1
    for i, (source, target) in enumerate(zip(data.source, later, strict=True)):
        if failed[i] and source != last and reached[target] and goal[target] == goal[data.turns.turn_id[source]]:
            hit[i], last = True, source
    return data, hit, failed, tables


@pytest.mark.slow
def test_it_finds_more_than_the_rule_and_knows_how_much(mined_sample, tmp_path):
    data, hit, failed, tables = mined_sample
    detector = learn_pair(data, seed=0)
    rule = average_precision_score(hit, RuleDetector().score(data.candidates))
    p = detector.p(data.candidates)
    assert average_precision_score(hit, p) > rule + 0.03
    sure = p >= 0.8
    assert hit[sure].mean() > 0.9
    assert p[~failed].mean() < 0.02  # after a success the next request is a new goal
    detector.learned.save(tmp_path / "pair.json")  # what is kept says the same, to the last bit
    assert LearnedPair.open(tmp_path / "pair.json").of(tables).p(data.candidates).tolist() == p.tolist()
    asked = detector.of_failures()
    assert average_precision_score(hit[failed], asked.p(data.candidates)[failed]) > 0.9
    assert asked.p(data.candidates)[~failed].mean() > p[~failed].mean()


@pytest.mark.slow
def test_labels_are_right_and_come_from_no_column_of_truth(mined_sample):
    data, hit, failed, _ = mined_sample
    assert hit[data.restates].mean() > 0.95
    assert failed[data.failed == 1].mean() > 0.95
    assert failed[data.failed == 0].mean() < 0.25  # silent misunderstandings that most users share


@pytest.mark.slow
def test_learning_says_which_it_used_and_writes_both_figures(sample):
    root, report = sample
    metrics = current(root).manifest.metrics
    rule, found = (metrics[f"rephrases found by the {name} detector, average precision"] for name in ("rule", "pair"))
    assert found > rule > 0.5
    assert report.detector == f"pair (held-out AP {found:.2f}, rule {rule:.2f})"
    assert metrics["rephrases held out to compare detectors"] >= 50


def without_layer(mined, decided, best, doubted, config, online, *others):
    """Fits no online layer, which takes most of the time of learning, in place of `learning._fit`."""
    online.mkdir()
    return {}


@pytest.mark.slow
def test_between_two_fits_days_are_scored_by_what_was_learned(tmp_path, monkeypatch):
    days = ("<", ">=")
    with duckdb.cursor() as con:
        for i, side in enumerate(days):
            last = f"(SELECT MAX(timestamp) - INTERVAL 2 HOUR FROM '{SAMPLE}')"
            con.execute(f"COPY (SELECT * FROM '{SAMPLE}' WHERE timestamp {side} {last}) TO '{tmp_path / str(i)}.parquet'")
    root = tmp_path / "artefact"
    monkeypatch.setattr(learning, "_fit", without_layer)
    first = learn([tmp_path / "0.parquet"], out=root)
    kept = (current(root).state / "detector" / "pair.json").read_bytes()
    monkeypatch.setattr(select, "learn_pair", None)
    second = learn([tmp_path / "1.parquet"], out=root)
    assert second.detector == first.detector != "documented rule (small log)"
    assert (current(root).state / "detector" / "pair.json").read_bytes() == kept
    assert second.log.turns > 20

    monkeypatch.undo()
    monkeypatch.setattr(select, "version", lambda name: "0.1")  # another version may measure other columns
    assert not select.is_kept(current(root).state / "detector")


def test_a_small_log_falls_back_to_the_rule(tmp_path, lamp):
    best = BestDetector(seed=0)
    chosen = best.choose(listed([turn("ann", 0, "lamp off"), turn("ann", 5, "lamp off", "TurnOff")], tmp_path))
    assert isinstance(chosen, RuleDetector)
    assert (best.name, best.metrics()) == ("rule", {})
    _, report = lamp
    assert report.detector == "documented rule (small log)"


@pytest.mark.slow
def test_a_kept_detector_needs_no_hearings_but_those_about_the_candidates(mined_sample, tmp_path, monkeypatch):
    """Of each third turn the candidates are open: P(defect) and P(restates) are those of all hearings, texts and labels."""
    data, _, _, tables = mined_sample
    learned = learn_pair(data, seed=0).learned
    few = tmp_path / "candidates.parquet"
    duckdb.sql(f"FROM '{tables.candidates}' WHERE turn_no % 3 = 0").write_parquet(str(few))
    of_few = replace(tables, candidates=few)
    found, read = learned.of(of_few), Turns.read
    heard = data.turns.text[data.turns.kind == "n"]
    assert len(heard)
    more = replace(of_few, texts=with_older_texts(tables.texts, heard, tmp_path))
    monkeypatch.setattr(Turns, "read", lambda of, **_: read(of))
    monkeypatch.setattr(rephrase, "weak_labels", lambda of, turns, items, _: weak_labels(of, turns, items))
    wanted = learned.of(more)
    assert len(found.turns.heard) < 0.9 * len(wanted.turns.heard)
    np.testing.assert_array_equal(found.defect, wanted.defect)
    rows = data.candidates["turn_no"] % 3 == 0
    candidates = {name: values[rows] for name, values in data.candidates.items()}
    np.testing.assert_array_equal(found.p(candidates), wanted.p(candidates))


def with_older_texts(texts, heard, tmp_path):
    """Texts of other days, too: hypotheses, and utterances that are now heard besides."""
    path = tmp_path / "texts.parquet"
    with duckdb.cursor() as con:
        con.read_parquet(str(texts)).create_view("known")
        con.register("heard", {"text": np.array(heard, dtype=np.str_)})
        older = "SELECT kind, text || ' once' AS text FROM known UNION ALL SELECT 'u' AS kind, text FROM heard"
        more = f"SELECT 1000000 + ROW_NUMBER() OVER () AS id, 'en' AS locale, kind, text, 0 AS stop FROM ({older})"
        con.sql(f"SELECT id, locale, kind, text, stop FROM known UNION ALL {more}").write_parquet(str(path))
    return path


def test_an_empty_log_has_nothing_to_tell(tmp_path):
    assert learn_pair(TrainingData.read(listed([], tmp_path)), seed=0) is None


@pytest.mark.slow
def test_of_a_large_log_one_part_is_learned_from_and_each_is_scored(mined_sample, tmp_path, monkeypatch):
    """The sample in three parts: each user in one of them, each candidate scored once, hardly worse than all at once."""
    data, hit, _, tables = mined_sample
    monkeypatch.setattr(select, "_AT_ONCE", -(-len(data.turns) // 3))
    best = BestDetector(seed=0)
    engine = DuckDB(tmp_path / "mined", threads=2)
    mined = mine(engine, tables.turns, best, Config())
    engine.close()
    assert best.name == "pair"
    users = [set(np.unique(TrainingData.read(part).turns["user_no"]).tolist()) for part in parts_of(tmp_path / "mined", 3)]
    assert set.union(*users) == set(data.turns["user_no"].tolist())
    assert sum(map(len, users)) == len(set.union(*users))
    assert best.pair is not None
    assert set(best.pair.turns["user_no"].tolist()) == users[0]
    with duckdb.cursor() as con:
        sql = "SELECT user_no, turn_no, ahead, p FROM read_parquet(?)"
        found = con.execute(sql, [str(mined.scores.parent / "all_scores.parquet/*.parquet")]).fetchnumpy()
    place = data.places(data.turns.rows(found["user_no"], found["turn_no"]), found["ahead"])
    assert len(np.unique(place)) == len(place)
    p = np.zeros(len(hit))
    p[place] = found["p"]
    whole = average_precision_score(hit, learn_pair(data, seed=0).p(data.candidates))
    assert average_precision_score(hit, p) > whole - 0.05


def parts_of(work, n):
    names = ("turns", "sessions", "texts", "compared")
    return [Listed(*(work / f"dealt_{name}.parquet" / f"part={k}" for name in names)) for k in range(n)]


def rooms():
    """People of whom the recogniser hears little; for half of them the right words are among the other hearings.

    After a failure they say it in other words, mostly at once, or want something else, mostly after a while. What is heard first
    is less like what was meant than all that they might want is like each other.
    """
    rng = np.random.default_rng(0)
    names = ["martin", "marten", "marton", "martyn", "martan", "martun"]
    for u in range(120):
        for n in range(6):
            name, other = (names[i] for i in rng.permutation(len(names))[:2])
            garbled = f"all m {u}"
            nbest = json.dumps([garbled, f"call {name}"]) if rng.random() < 0.5 else None
            again = rng.random() < 0.7
            meant = name if again else other
            yield turn(f"u{u}", 4000 * n, garbled, nbest=nbest)
            at_once = again if rng.random() < 0.85 else not again
            yield turn(f"u{u}", 4000 * n + (5 if at_once else 25), f"call {meant}", f"Call|name={meant}")


def test_what_nobody_overheard_is_restated_too(tmp_path):
    data = TrainingData.read(listed(list(rooms()), tmp_path))
    p = learn_pair(data, seed=0).p(data.candidates)
    at_once, unheard = data.candidates["gap_ms"] == 5000, ~np.isfinite(data.failed)
    assert unheard.sum() > 200
    # At once 7 of 10 restate with .85, 3 want something else with .15; after a while it is the other way round.
    assert p[at_once & unheard].mean() == pytest.approx(0.7 * 0.85 / (0.7 * 0.85 + 0.3 * 0.15), abs=0.05)
    assert p[~at_once & unheard].mean() == pytest.approx(0.7 * 0.15 / (0.7 * 0.15 + 0.3 * 0.85), abs=0.08)


def test_turns_of_other_dialogues_restate_nothing(tmp_path):
    turns = [
        turn(f"user {i}", at, text, meant)
        for i in range(6)
        for at, text, meant in ((0, f"lamp {i}", None), (5 + i, f"play abba {i}", "Play"))
    ]
    data = TrainingData.read(listed(turns, tmp_path))
    cues = Cues(data.turns, data.items)
    rows = np.arange(len(data.source))
    found, of = foreign_pairs(data, cues, rows, seed=0)
    other = np.random.default_rng(0).integers(0, 12, 6)
    foreign = data.turns["user_no"][other] != data.candidates["user_no"]
    assert of.tolist() == rows[foreign].tolist()
    by_name = dict(zip(NAMES, found.T, strict=True))
    assert by_name["gap_ms"].tolist() == data.candidates["gap_ms"][of].tolist()
    text = data.turns.text[data.turns["said"]]
    alike = [
        round(1000 * Indel.normalized_similarity(text[s], text[o])) for s, o in zip(data.source[of], other[foreign], strict=True)
    ]
    assert by_name["text_similarity"].tolist() == alike
    assert by_name["target_failed"].tolist() == data.turns["failed"][other[foreign]].tolist()


def test_what_the_trees_are_taught_first(tmp_path, monkeypatch):
    """Restatements that the log tells of against the other candidates of the same turns, and turns of other people."""
    seen = []

    def fit(columns, examples, fold, seed, **kinds):
        seen.append((len(columns), examples))
        return Forest((Trees.read(""),) * FOLDS)

    data = TrainingData.read(listed(list(rooms()), tmp_path))
    monkeypatch.setattr(rephrase, "Forest", type("Taught", (), {"fit": staticmethod(fit)}))
    monkeypatch.setattr(rephrase, "log_odds", np.nan_to_num)
    learn_pair(data, seed=0, min_users=1)
    n, (_, first) = len(data.source), seen[0]
    own, foreign = first.row < n, first.row >= n
    assert first.row[own].tolist() == np.flatnonzero(data.failed == 1).tolist()
    assert first.label[own].tolist() == data.restates[data.failed == 1].tolist()
    assert foreign.sum() > 0.9 * own.sum()
    assert not first.label[foreign].any()
    assert (first.weight == 1).all()
    seen.clear()
    learn_pair(data, seed=0, min_users=3)  # the two users with most examples weigh no more than the third
    users = data.candidates["user_no"][np.where(own, first.row, 0)]
    assert np.bincount(users[own], seen[0][1].weight[own]).max() < np.bincount(users[own]).max()
