"""The online layer as a whole, in worlds whose truth is known: a good one is left alone less and less, a bad one is withdrawn."""

import math
from dataclasses import replace
from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import pytest

from rewriter.config import Config, Loop
from rewriter.model.layer_slices import SLICES, Promise
from rewriter.offline.fit import ranker
from rewriter.offline.fit.cross_validation import Outcome
from rewriter.offline.lifecycle import transitions
from rewriter.offline.lifecycle.evidence import assess_slices, slice_shares, withdrawn_slices
from rewriter.offline.mining.small_tables import write_ages
from rewriter.online.options import drawn

BEFORE, AFTER = "online-before-global", "online-after-global"
COUNTS = "day user_no said sent rewritten state rule share turns failed success failure"
START, K, KEY = 20_000, 3, bytes(16)
PROMISED = {name: Promise(0.6 if of.after_failure else 0.7, 10.0, 0.0) for name, of in SLICES.items() if of.method == "online"}
GOOD = {True: 0.85, False: 0.2}
BROKEN = {True: 0.02, False: 0.2}


class World:
    """Users whose requests the layer finds something for; every text is said once."""

    def __init__(self, folder, *, part=BEFORE, users=40, seed=0):
        self.folder, self.part, self.users, self.rng = folder, part, users, np.random.default_rng(seed)
        self.rows, self.before, self.day, self.share = [], transitions.Lifecycle.empty(), START, None
        for name, columns in {"texts": "id locale kind text", "users": "user_no user_id"}.items():
            self._write(name, [], columns)
        write_ages(Loop().half_life_days, folder / "ages.parquet")

    def _write(self, name, rows, columns):
        types = {"locale": "", "kind": "", "text": "", "user_id": "", "rule": ""}
        frame = pd.DataFrame(rows, columns=columns.split())
        frame = frame.astype({c: object if c in types else np.int64 for c in frame})
        with duckdb.cursor() as con:
            con.register("given", frame)
            kinds = ", ".join(f"CAST({c} AS {'VARCHAR' if c in types else 'BIGINT'}) AS {c}" for c in frame)
            con.sql(f"SELECT {kinds} FROM given").write_parquet(str(self.folder / f"{name}.parquet"))

    def request(self, user, truth):
        text = len(self.rows)
        arm = drawn(self.share, f"u{user}", f"text {text}", self.day, KEY) if self.share < 1 else "rewrite"
        sent = arm == "rewrite"
        ok = int(self.rng.random() < truth[sent])
        share = round(1e6 * self.share) if self.share < 1 else -1
        self.rows.append(
            (
                self.day,
                user,
                text,
                text + 1_000_000 * sent,
                int(sent),
                0,
                self.part,
                share,
                1,
                1 - ok,
                1_000 * ok,
                1_000 - 1_000 * ok,
            )
        )

    def learn(self, *, fitted=False, draw=True, promised=PROMISED):
        """Learn the day, and return the share and the stage of the slice from the next day on."""
        self._write("counts", self.rows, COUNTS)
        self._write("row_days", [(row[2], row[0]) for row in self.rows], "node last_day")
        named = {name: self.folder / f"{name}.parquet" for name in ("counts", "texts", "users", "row_days", "ages")}
        mined = SimpleNamespace(named=lambda *names: {name: named[name] for name in names}, **named)
        waiting = withdrawn_slices(self.before.rules, self.before.evidence_starts)
        decided = assess_slices(promised, waiting, self.day, fitted=fitted)
        self.before = transitions.advance(decided, self.before, mined, self.day, Loop(), min_users=K, draw=draw, fitted=fitted)
        self.share = slice_shares(self.before.rules)[self.part]
        self.day += 1
        return self.share, self.life()

    def life(self):
        return self.before.rules.set_index("rule")["stage"][self.part]

    def live(self, days, truth, *, each=1, draw=True, promised=PROMISED):
        """Live through some days, until the part is withdrawn, and return its share after each; it is fitted weekly."""
        shares = []
        for _ in range(days):
            for user in range(self.users):
                for _ in range(each):
                    self.request(user, truth)
            shares.append(self.learn(fitted=(self.day - START) % 7 == 0, draw=draw, promised=promised)[0])
            if self.life() == "retired":
                break
        return shares


@pytest.fixture
def world(tmp_path):
    def begun(**arguments):
        draw = arguments.pop("draw", True)
        made = World(tmp_path, **arguments)
        made.learn(fitted=True, draw=draw)
        return made

    return begun


@pytest.mark.slow
def test_a_good_layer_begins_with_a_tenth_left_alone_and_ends_at_the_floor(world):
    good = world()
    assert (good.share, good.life()) == (pytest.approx(0.9), "canary")
    shares = good.live(20, GOOD, each=2)
    assert good.life() == "live"
    assert all(share >= 0.9 for share in shares)
    assert shares[-1] == pytest.approx(1 - Loop().floor)
    row = good.before.rules.set_index("rule").loc[BEFORE]
    assert row["tried_ok"] / row["tried"] == pytest.approx(GOOD[True], abs=0.05)
    assert row["left_ok"] / row["left_alone"] == pytest.approx(GOOD[False], abs=0.15)
    told = good.before.changes[good.before.changes["rule"] == BEFORE]
    assert told["stage"].tolist() == ["canary", "live"]
    assert set(told["scope"]) == {"online"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_an_nlu_release_that_breaks_its_targets_withdraws_it_within_days(world, seed):
    layer = world(seed=seed)
    layer.live(15, GOOD, each=2)
    assert layer.life() == "live"
    assert len(layer.live(30, BROKEN)) <= 4
    assert (layer.share, layer.life()) == (0.0, "retired")


def test_a_layer_that_does_harm_from_the_start_is_withdrawn_by_both_arms(world):
    layer = world()
    days = len(layer.live(40, {True: 0.45, False: 0.9}))
    assert days < 30
    assert layer.before.changes.iloc[-1]["reason"] == "worse"


@pytest.mark.slow
def test_after_a_refusal_nothing_is_drawn_and_a_drop_below_what_it_reached_withdraws_it(world):
    layer = world(part=AFTER)
    assert (layer.share, layer.life()) == (1.0, "live")
    layer.live(15, GOOD, each=2)
    assert layer.life() == "live"
    assert len(layer.live(30, {True: 0.4})) <= 7
    assert layer.life() == "retired"


@pytest.mark.slow
@pytest.mark.parametrize(("users", "life"), [(K - 1, "live"), (2 * K, "retired")])
def test_fewer_than_k_users_withdraw_nothing(world, users, life):
    layer = world(draw=False)
    assert layer.life() == "live"
    layer.live(10, GOOD, each=2, draw=False)
    layer.users = users
    layer.live(15, {True: 0.0}, each=20, draw=False)
    assert layer.life() == life


@pytest.mark.slow
def test_what_is_withdrawn_waits_for_a_fit_that_promises_it_again_on_what_was_heard_since(world):
    layer = world()
    layer.live(10, GOOD, each=2)
    layer.live(30, BROKEN)
    doubt = withdrawn_slices(layer.before.rules, layer.before.evidence_starts)
    assert doubt == {BEFORE: layer.day}
    again = since(0.75)
    assert layer.learn(fitted=False, promised=again)[1] == "retired"
    assert layer.learn(fitted=True, promised=since(math.inf))[1] == "retired"
    assert layer.learn(fitted=True, promised=again) == (pytest.approx(0.9), "canary")
    assert layer.before.rules.set_index("rule")["tried"][BEFORE] == 0  # what it did before the doubt is not held against it
    layer.live(15, GOOD, each=2)
    assert layer.life() == "live"


def since(threshold):
    """The promises, where that of one slice is known on what was first heard since it was in doubt."""
    return PROMISED | {BEFORE: replace(PROMISED[BEFORE], threshold_since=threshold)}


def test_a_part_of_which_nothing_is_promised_is_not_at_work():
    none = {name: replace(PROMISED[name], threshold=math.inf) for name in (BEFORE, "online-before-personal")}
    found = assess_slices(PROMISED | none, {}, START, fitted=True)
    assert dict(zip(found["rule"], found["verdict"], strict=True)) == {
        BEFORE: "no_threshold",
        "online-before-personal": "no_threshold",
        AFTER: "launched",
        "online-after-personal": "launched",
    }
    assert assess_slices({}, {}, START, fitted=False).empty


@pytest.mark.parametrize(("day", "texts"), [(0, 40), (15, 25), (35, 5)])
def test_a_withdrawn_part_is_promised_again_by_what_was_first_heard_since(day, texts):
    """Forty texts, one first heard each day, of which all are won; (0 + 1) / (19 + 1) is the budget."""
    cases = [SimpleNamespace(text=SimpleNamespace(first_day=START + n)) for n in range(40)]
    outcomes = [(case, Outcome(0.9, 1.0, 0.0)) for case in cases]
    evidence = ranker.ModeEvidence.of("before", outcomes, Config().trigger, 0.0)
    assert (evidence.promise().win, math.isfinite(evidence.promise().threshold)) == (40.0, True)
    since = evidence.promise_since(START + day)
    assert (since.win, math.isfinite(since.threshold)) == ((texts, True) if texts >= 19 else (0.0, False))
