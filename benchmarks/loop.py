"""Measures whether the loop unlearns: three rewriters learn every night in a home where meanings change and a bad rule is live.

    python benchmarks/loop.py [--seeds 0 1 2] [--days 120] [--processes 1]

The home (`worlds.changing`) has 60 users and one source of each kind, each said about 60 times a day. After a sixth of the time a
bad rewrite of a healthy source goes live. After a quarter a new device arrives. After a third the meaning of one source changes.
After three quarters a release of the assistant is broken for two days. Four systems are compared: no rewriting, a loop that
counts successes by what was spoken, a loop that counts them by what was sent, and the self-aware loop of this package. The two
simple loops learn anew every night from the last 14 days. The reachable success is the better of always and never rewriting.
Writes results/loop.json and results/loop.svg.
"""

import json
import os
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from lives import interval
from script import RESULTS, options, write_result
from sklearn.metrics import average_precision_score
from worlds.changing import Changing, ChangingSource

from rewriter.artefact.versions import current
from rewriter.config import Config
from rewriter.evaluation.charts import by_day
from rewriter.evaluation.loop import Day, Learner, NoRewriting, SelfAware, answer, live
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn
from rewriter.offline.rules.assess import rule_id
from rewriter.offline.rules.launch import write
from rewriter.result import Rewrite
from rewriter.simulation.turn import Turn, write_log
from rewriter.text import normalise

START = date(2026, 1, 5)
WINDOW = 14
EXACT = {"launch": {"personal": False}, "loop": {"refit_days": 0}}


@dataclass(slots=True)
class Naive:
    """A loop that keeps one text of each turn and forgets what it decided.

    Args:
        folder: where the logs go.
        key: what is kept of a turn.
    """

    folder: Path
    key: Callable[[Turn], str]
    rules: dict[str, str] = field(default_factory=dict)
    seen: dict[tuple[str, str], float] = field(default_factory=dict)
    logs: list[Path] = field(default_factory=list)

    def rewrite(self, utterance: str, **_: object) -> Rewrite:
        """Look the text up."""
        return answer(utterance, self.rules.get(normalise(utterance)))

    def begin(self, day: date) -> None:
        """Begin a day."""

    def learn(self, turns: Sequence[Turn]) -> None:
        """Learn afresh from the last days; a rule of whose source nothing is heard any more stays."""
        log = self.folder / f"{len(self.logs):04}.parquet"
        write_log([replace(turn, utterance=self.key(turn), sent=None, rewrite_id=None) for turn in turns], log)
        self.logs.append(log)
        root = self.folder / "artefact"
        learn(self.logs[-WINDOW:], out=root, afresh=True, config=Config.from_dict(EXACT), detector=RuleDetector())
        with duckdb.connect() as con:
            state = current(root).state
            found = con.execute(
                f"SELECT source, target, verdict, p_gain FROM '{state}/rules.parquet' WHERE context_value = ''"
            ).fetchall()
            heard = {text for (text,) in con.execute(f"SELECT state FROM '{state}/nodes.parquet' WHERE kind = 'u'").fetchall()}
        kept = {source: target for source, target in self.rules.items() if source not in heard}
        self.rules = kept | {source: target for source, target, verdict, _ in found if verdict == "launched"}
        self.seen = dict.fromkeys(kept.items(), 1.0) | {(source, target): p or 0.0 for source, target, _, p in found}

    def served(self) -> Mapping[str, str]:
        """Return the rules."""
        return self.rules

    def states(self) -> Mapping[str, int]:
        """Return how many there are."""
        return {"live": len(self.rules)}

    def scores(self) -> Mapping[tuple[str, str], float]:
        """Return P(gain), and 1 for rules that stay unheard."""
        return self.seen


SYSTEMS: Mapping[str, Callable[[Path], Learner]] = {
    "no rewriting": lambda _: NoRewriting(),
    "self-aware": lambda folder: SelfAware(folder, Config.from_dict({**EXACT, "loop": {"refit_days": 0, "draw": True}})),
    "keyed by spoken": lambda folder: Naive(folder, lambda turn: turn.utterance),
    "keyed by sent": lambda folder: Naive(folder, lambda turn: turn.sent or turn.utterance),
}
PAIR = ("self-aware", "no rewriting")


class Timed:
    """Notes the seconds of the processor that each night of a learner takes."""

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        self.seconds: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.learner, name)

    def learn(self, turns: Sequence[Turn]) -> None:
        """Learn from the turns of the day."""
        began = time.process_time()
        self.learner.learn(turns)
        self.seconds.append(time.process_time() - began)


def inject(learner: Learner, source: ChangingSource, day: int) -> None:
    """Put a bad rewrite live, as a slip of a person would."""
    if isinstance(learner, Naive):
        learner.rules[source.text] = source.target
    elif isinstance(learner, SelfAware):
        path = current(learner.root).state / "rules.parquet"
        with duckdb.connect() as con:
            rules = con.read_parquet(str(path)).df()
        today = START.toordinal() - date(1970, 1, 1).toordinal() + day
        bad = rules.iloc[:1].assign(
            rule=rule_id("", "en", source.text, source.target), scope="global", locale="en", source=source.text,
            target=source.target, state=source.meant, verdict="launched", detail="", stage="live", since_day=today,
            share=0.995, win=0.9, loss=0.1, stay=0.1, tried=0.0, tried_ok=0.0, left_alone=0.0, left_ok=0.0,
        )  # fmt: skip
        others = rules[rules["source"] != source.text]
        path.unlink()
        write(pd.concat([others, bad], ignore_index=True), path)


def run(task: tuple[int, str, int]) -> dict[str, Any]:
    """Live through the days of one seed with one system, and return what it came to."""
    seed, name, days = task
    slip = days // 6
    home = Changing(seed, turns=days // 3, new=days // 4, broken=(3 * days // 4, 3 * days // 4 + 1))
    wrong = next(s for s in home.sources if s.kind == "wrong")
    with tempfile.TemporaryDirectory() as folder:
        learner = Timed(SYSTEMS[name](Path(folder)))
        before = {slip: partial(inject, learner.learner, wrong, slip)}
        lived = list(live(home.world, learner, days=days, start=START, seed=seed, before=before))
    return summary(home, lived, days, learner.seconds)


def summary(home: Changing, lived: list[Day], days: int, seconds: list[float]) -> dict[str, Any]:
    """Return the figures of one system."""
    sources = {s.kind: s for s in home.sources}
    served = {kind: [s.text in day.served for day in lived] for kind, s in sources.items()}
    first = next((i for i, on in enumerate(served["steady"]) if on), days)
    bad = [any(t.utterance == sources["wrong"].text and t.sent is not None for t in day.turns) for day in lived]
    late = lived[-min(30, days // 2) :]
    turned = [(day, t) for day in late for t in day.turns if t.utterance == sources["turns"].text]
    wins, losses = sum(day.wins for day in lived), sum(day.losses for day in lived)
    return {
        "defect rate": rate(not ok(t) for day in lived for t in day.turns),
        "success after the turn": rate(ok(t) for _, t in turned),
        "reachable after the turn": max(
            rate(home.world(day.number).assistant.understand(text) == t.goal for day, t in turned)
            for text in (sources["turns"].text, sources["turns"].target)
        ),
        "flips of the good rule": sum(
            a != b for a, b in zip(served["steady"][first:], served["steady"][first + 1 :], strict=False)
        ),
        "days on which the bad rule answered": sum(bad),
        "points lost by leaving alone": 100
        * sum(lost(home.world(day.number).assistant.understand, day) for day in lived)
        / sum(len(day.turns) for day in lived),
        "loss share": losses / max(wins + losses, 1),
        "1 - PR-AUC": 1 - precision(home, lived),
        "CPU seconds a night": float(np.median(seconds)) if seconds else 0.0,
        "by day": [rate(not ok(t) for t in day.turns) for day in lived],
    }


def precision(home: Changing, lived: list[Day]) -> float:
    """Return the average precision of the scores, over all days: a rule is good where most people mean its target.

    Sources that nobody said on a day are left out: no system can know them yet.
    """
    truth, score = [], []
    for day in lived:
        heard = {turn.utterance for turn in day.turns}
        for s in (s for s in home.sources if s.text in heard):
            truth.append(home.share_meant(s, day.number) > 0.5)
            score.append(day.scores.get((s.text, s.target), 0.0))
    return float(average_precision_score(truth, score))


def lost(understand: Callable[[str], str | None], day: Day) -> int:
    """Return how many successes were lost on a day by leaving requests alone, less those that were won."""
    left = [(turn, target) for turn in day.turns if turn.arm == "leave" and (target := day.served.get(turn.utterance))]
    return sum((understand(target) == turn.goal) - ok(turn) for turn, target in left)


def ok(turn: Turn) -> bool:
    """Whether a turn gave what was wanted."""
    return turn.hypothesis == turn.goal


def rate(values: Any) -> float:
    """Return a mean, 0 where there is nothing."""
    seen = list(values)
    return float(sum(seen) / max(len(seen), 1))


def main() -> None:
    """Run the seeds and write the results; and those that are done already, should it be stopped."""
    parser = options(__doc__, seeds=list(range(10)), days=120)
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    tasks = [(seed, name, args.days) for seed in args.seeds for name in SYSTEMS]
    found: dict[str, list[dict[str, Any]]] = {}
    with ProcessPoolExecutor(args.processes, mp_context=get_context("spawn")) as pool:
        for (seed, name, days), each in zip(tasks, pool.map(run, tasks), strict=True):
            found.setdefault(name, []).append(each)
            print(f"seed {seed}, {name}: {json.dumps({k: v for k, v in each.items() if k != 'by day'})}", flush=True)
            report(found, args.seeds, days)


def report(found: Mapping[str, list[dict[str, Any]]], seeds: list[int], days: int) -> None:
    """Write the figures with their intervals over seeds, and the picture."""
    figures = [name for name in next(iter(found.values()))[0] if name != "by day"]
    fewer = [1 - a["defect rate"] / b["defect rate"] for a, b in zip(*(found.get(name, []) for name in PAIR), strict=False)]
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "days": days,
        "versions": {name: metadata.version(name) for name in ("duckdb", "numpy", "pandas", "scipy")}
        | {"python": platform.python_version()},
        "load": os.getloadavg()[0],
        "systems": {
            name: {"seeds": seeds[: len(runs)]} | {each: interval([run[each] for run in runs]) for each in figures}
            for name, runs in found.items()
        },
        "defects fewer than without": interval(fewer) if fewer else None,
    }
    RESULTS.mkdir(exist_ok=True)
    write_result(result, RESULTS / "loop.json")
    lines = {name: np.mean([run["by day"] for run in runs], axis=0) for name, runs in found.items()}
    dates = [date.fromordinal(START.toordinal() + n).isoformat() for n in range(days)]
    picture = by_day({name: dict(zip(dates, line.tolist(), strict=True)) for name, line in lines.items()})
    (RESULTS / "loop.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
