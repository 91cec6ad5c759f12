"""Measures what habits add to the shipped prior, by their weight, in worlds where users have habits.

    python benchmarks/prior_habits.py [--seeds 0 1 2] [--requests 7000] [--out benchmarks/results/prior_habits.json]

Requests are drawn as often as users make them. A random four fifths are the log, which only counts who wants what. Of the other
requests those that the assistant refuses are judged, with all texts of the world as a complete catalog. The column ``habit`` of
`rewriter.model.pair_features` is the log of (own turns + 2 x share of everybody's turns), relative to the average. *None* leaves
the column out. *Popularity* uses it without own turns, with a weight of a half. Each other variant gives the whole column the
named weight. The prior is the shipped one, which was fitted on neither world.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from prior_worlds import START
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist
from script import made_with, options, write_result
from worlds.media import media_world

from rewriter.arrays import Floats
from rewriter.model.pair_features import PAIR, PairIndex
from rewriter.model.prior import Prior
from rewriter.simulation.dialogue import requests
from rewriter.simulation.world import Request, World
from rewriter.simulation.worlds import phrase_world

ROOT = Path(__file__).parents[1]
WORLDS: dict[str, Callable[..., World]] = {"simulated home": phrase_world, "media": media_world}
HABIT = PAIR.index("habit")
WEIGHTS = {"none": 0.0, "popularity": 0.5, "own, 0.25": 0.25, "own, 0.5": 0.5, "own, 0.75": 0.75, "own, 1": 1.0}
SHARES = (0.2, 0.3, 0.4, 0.5, 0.6)
LOGGED = 0.8
TOP = 6

Judged = dict[str, list[tuple[float, bool]]]
"""Way of weighing -> the score of the best candidate of each request, and whether it is right."""


def main() -> None:
    """Judge both worlds and write the figures."""
    parser = options(__doc__, seeds=[0, 1, 2], requests=7000, out=ROOT / "benchmarks" / "results" / "prior_habits.json")
    args = parser.parse_args()
    result: dict[str, Any] = {
        **made_with(("rewriter", "rapidfuzz", "numpy")),
        "seeds": args.seeds,
        "worlds": {},
    }
    for name, make in WORLDS.items():
        judged: Judged = {way: [] for way in WEIGHTS}
        defects = sum(ask(make, seed, args.requests, judged) for seed in args.seeds)
        result["worlds"][name] = {way: figures(scores, defects) for way, scores in judged.items()}
        print(name, json.dumps(result["worlds"][name], indent=1), flush=True)
    write_result(result, args.out)


def ask(make: Callable[..., World], seed: int, n: int, judged: Judged) -> int:
    """Judge the refused requests of one seed, and return how many defects there are."""
    world = make(seed, setting="noisy", misrouted=0, refused=0, guessed=0)
    meaning = {text: goal for goal, texts in world.goals.items() for text in texts}
    made = [r for r in requests(world, n=n, seed=seed, start=START) if meaning.get(r.said) == r.goal]
    made = [made[i] for i in np.random.default_rng(seed).permutation(len(made)).tolist()]
    log, later = made[: round(LOGGED * len(made))], made[round(LOGGED * len(made)) :]
    own: dict[str, Counter[str]] = defaultdict(Counter)
    for request in log:
        own[request.user_id][request.goal] += 1
    desk = Desk(meaning, log)
    wrong = [request for request in later if meaning.get(request.heard) != request.goal]
    for request in wrong:
        if request.heard not in meaning:
            desk.judge(request, own[request.user_id], judged)
    return len(wrong)


class Desk:
    """Ranks the candidates of a request by the prior, with habits weighed in several ways."""

    def __init__(self, meaning: dict[str, str], log: list[Request]) -> None:
        self._prior = Prior.load()
        channel = self._prior.channel("spoken", "en")
        self._texts, self._goals = list(meaning), list(meaning.values())
        numbers = {goal: i for i, goal in enumerate(dict.fromkeys(self._goals))}
        wanted = Counter(request.goal for request in log)
        share = np.array([wanted[goal] / len(log) for goal in self._goals])
        interpretations = np.array([numbers[goal] for goal in self._goals])
        self._index = PairIndex(self._texts, interpretations, channel, share=share, complete=True)
        self._views = channel.views(self._texts)

    def judge(self, request: Request, own: Counter[str], judged: Judged) -> None:
        """Add the best candidate of each way of weighing."""
        asked = self._index.asked(request.heard)
        likely = np.argsort(self._index.channel.cost(asked.views, self._views), kind="stable")[:TOP]
        alike = np.argsort(-cdist([request.heard], self._texts, scorer=Indel.normalized_similarity)[0], kind="stable")[:TOP]
        rows = np.unique(np.concatenate([likely, alike]))
        turns = np.array([own[self._goals[i]] for i in rows.tolist()], dtype=np.float64)
        personal, popular = self._index.measure(asked, rows, turns), self._index.measure(asked, rows)
        for way, weight in WEIGHTS.items():
            score = self._score(popular if way == "popularity" else personal, weight)
            best = int(score.argmax())
            judged[way].append((float(score[best]), self._goals[rows[best]] == request.goal))

    def _score(self, columns: Floats, weight: float) -> Floats:
        weights = self._prior.mean[:-1].copy()
        weights[HABIT] = weight
        return np.asarray(columns @ weights, dtype=np.float64)


def figures(scores: list[tuple[float, bool]], defects: int) -> dict[str, Any]:
    """Return win/loss by share fixed, and the share fixed where win/loss is still 20 and 10."""
    score, right = (np.array(of) for of in zip(*scores, strict=True))
    order = np.argsort(-score, kind="stable")
    wins, losses = np.cumsum(right[order]), np.cumsum(~right[order])
    places = {share: int(np.searchsorted(wins, share * defects)) for share in SHARES}
    ratio = {f"{s:.0%}": round(float(wins[i] / max(losses[i], 0.5)), 1) if i < len(wins) else None for s, i in places.items()}
    fixed = {f"{least}:1": round(float(max(wins[wins >= least * losses], default=0) / defects), 3) for least in (20, 10)}
    return {"requests": len(score), "right_first": round(float(right.mean()), 3), "win_loss": ratio, "fixed_at": fixed}


if __name__ == "__main__":
    main()
