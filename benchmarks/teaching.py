"""Measures the effect of teaching: users have words of their own, teach them, state preferences, or answer when they are asked.

    python benchmarks/teaching.py [--seeds 0 1 2] [--users 60] [--days 10] [--share 0.5] [--out benchmarks/results/teaching.json]

The world (`worlds.media`, quiet): people with screens, rooms and tastes. Each calls two goals by a name of their own ("movie
time"), which the assistant refuses; names of several people collide. A log is simulated and learned. Then a week of requests is
asked, before the NLU and, if it is refused, again after the refusal, by the users of the log:

* *not taught*: as learned;
* *lessons*: a random share of the users teaches the two names at the beginning of the week;
* *lessons and preferences*: they also state what they like best, where short requests depend on it ("play music");
* *asked*: nobody teaches unless `Rewrite.teachable` asks, and all answer truthfully.

A defect is a request that does not end in what the user wanted. An answer of a user who does not teach is *leaked* if it differs
from the answer where nobody teaches. A question is right if the lesson makes the request that it follows end in what was wanted.
Recall is over the texts of a user that fail in the week and failed in the log on two days or more, always with the same goal;
*restated* are those of them that the user restated on two days and reached.
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from script import RESULTS, made_with, options, write_result
from worlds.media import Media, media_world

from rewriter.errors import RequestError
from rewriter.model.hypothesis import slots_of
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter
from rewriter.result import Rewrite
from rewriter.simulation.dialogue import requests, simulate_days
from rewriter.simulation.turn import Turn, write_log
from rewriter.simulation.users import User
from rewriter.simulation.world import Request, World

START = date(2026, 1, 5)
PACKAGES = ("rewriter", "numpy", "faiss-cpu", "rapidfuzz")
NAMES = [
    "movie time", "cinema mode", "cozy evening", "party on", "good vibes", "focus please", "wake up call", "sleepy head",
    "rise and shine", "clean sweep", "happy hour", "quiet hour", "my jam", "the usual", "sunday mood", "chill zone", "game on",
    "dinner is ready",
]  # fmt: skip
OWN = 2  # goals of each user with a name of their own, among the commonest
AMONG = 6
DRAWS = 1_000  # of the bootstrap


@dataclass
class JudgedWeek:
    """What became of the requests of a week, one after the other."""

    users: list[str] = field(default_factory=list)
    defects: list[bool] = field(default_factory=list)
    answers: list[tuple[str, str]] = field(default_factory=list)

    def add(self, request: Request, hypothesis: str | None, answer: Rewrite) -> None:
        """Book one request."""
        self.users.append(request.user_id)
        self.defects.append(hypothesis != request.goal)
        self.answers.append((answer.text, answer.reason))


def named(world: World, seed: int) -> tuple[World, Mapping[str, Mapping[str, str]]]:
    """Give each user names for two goals; return the world, and user -> name -> goal."""
    rng = np.random.default_rng([seed, 41])
    users, names = [], {}
    for user in world.users:
        goals = [goal for goal in user.goals if goal not in world.split.goals][:AMONG]
        chosen = [goals[i] for i in rng.permutation(len(goals))[:OWN]]
        called = [NAMES[i] for i in rng.permutation(len(NAMES))[: len(chosen)]]
        names[user.user_id] = dict(zip(called, chosen, strict=True))
        phrases = dict(user.phrases) | {goal: (name, *user.phrases[goal]) for name, goal in names[user.user_id].items()}
        users.append(replace(user, phrases=phrases))
    return replace(world, users=tuple(users)), names


def ask(world: World, rewriter: Rewriter, request: Request) -> tuple[str | None, Rewrite]:
    """Ask before the NLU, and after a refusal once more; return what is understood in the end, and the last answer."""
    understand = world.assistant.understand
    given: dict[str, Any] = {"user_id": request.user_id, "nbest": request.nbest, "context": request.context}
    answer = rewriter.rewrite(request.heard, **given)
    understood = understand(answer.text)
    if understood is not None or answer.applied:
        return understood, answer
    after = rewriter.rewrite(request.heard, after_failure=True, **given)
    return understand(after.text), replace(after, teachable=answer.teachable or after.teachable)


def week(world: World, rewriter: Rewriter, asked: Sequence[Request]) -> JudgedWeek:
    """Ask all requests."""
    judged = JudgedWeek()
    for request in asked:
        judged.add(request, *ask(world, rewriter, request))
    return judged


def teach(world: World, rewriter: Rewriter, names: Mapping[str, Mapping[str, str]], teachers: Sequence[str]) -> int:
    """Let users teach their names; return how many lessons were used by the very next request."""
    users = {user.user_id: user for user in world.users}
    used = 0
    for who in teachers:
        for name, goal in names[who].items():
            rewriter.teach(name, full(world, users[who], goal), user_id=who, confirm=True)
            used += world.assistant.understand(rewriter.rewrite(name, user_id=who).text) == goal
    return used


def full(world: World, user: User, goal: str) -> str:
    """Return a phrase of the world that the assistant takes for a goal."""
    return next(text for text in (*user.phrases[goal], *world.goals[goal]) if world.assistant.understand(text) == goal)


def prefer(world: World, rewriter: Rewriter, teachers: Sequence[str]) -> dict[str, int]:
    """Let users state what they like best; return how often that was possible."""
    media = world.situations
    assert isinstance(media, Media)
    found = {"stated": 0, "unknown to the log": 0}
    for who in teachers:
        for goal in dict.fromkeys(media._own[who].values()):
            for slot, value in list(slots_of(goal).items())[:1]:
                try:
                    rewriter.prefer(slot, value, user_id=who)
                    found["stated"] += 1
                except RequestError:
                    found["unknown to the log"] += 1
    return found


def moments(
    world: World, rewriter: Rewriter, clock: list[float], asked: Sequence[Request]
) -> tuple[JudgedWeek, set[tuple[str, str]], dict[str, list[bool]]]:
    """Ask all requests, and answer each question truthfully; return also what was asked about, and by moment which were right."""
    judged, about = JudgedWeek(), set()
    right: dict[str, list[bool]] = defaultdict(list)
    for request in asked:
        clock[0] = request.ts_ms / 1000
        hypothesis, answer = ask(world, rewriter, request)
        judged.add(request, hypothesis, answer)
        if answer.teachable is not None:
            helps = hypothesis != request.goal and world.assistant.understand(answer.teachable.meant) == request.goal
            rewriter.answer(answer.teachable, helps, user_id=request.user_id)
            about.add((request.user_id, answer.teachable.said))
            right[answer.teachable.moment].append(helps)
    return judged, about, right


def worth_a_lesson(turns: Sequence[Turn], asked: Sequence[Request], judged: JudgedWeek) -> set[tuple[str, str]]:
    """Return (user, text) that fail in the week and failed in the log on two days or more, always with the same goal."""
    days, goals = defaultdict(set), defaultdict(set)
    for turn in turns:
        if turn.hypothesis != turn.goal:
            days[turn.user_id, turn.utterance].add(turn.ts_ms // 86_400_000)
            goals[turn.user_id, turn.utterance].add(turn.goal)
    failing = {(r.user_id, r.heard) for r, defect in zip(asked, judged.defects, strict=True) if defect}
    return {key for key in failing if len(days[key]) >= 2 and len(goals[key]) == 1}


def restated(turns: Sequence[Turn]) -> set[tuple[str, str]]:
    """Return (user, text) that failed and were restated with success within a minute, on two days or more."""
    days: dict[tuple[str, str], set[int]] = defaultdict(set)
    by_user: dict[str, list[Turn]] = defaultdict(list)
    for turn in sorted(turns, key=lambda of: of.ts_ms):
        by_user[turn.user_id].append(turn)
    for of in by_user.values():
        for i, turn in enumerate(of):
            soon = [after for after in of[i + 1 : i + 4] if after.ts_ms - turn.ts_ms <= 60_000 and after.goal == turn.goal]
            if turn.hypothesis != turn.goal and any(after.hypothesis == after.goal for after in soon):
                days[turn.user_id, turn.utterance].add(turn.ts_ms // 86_400_000)
    return {key for key, on in days.items() if len(on) >= 2}


def change(before: JudgedWeek, after: JudgedWeek, users: Sequence[str], seed: int) -> dict[str, Any]:
    """Return the defect rates of some users before and after, and the relative change with a bootstrap by user."""
    rows: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for who, was, now in zip(before.users, before.defects, after.defects, strict=True):
        if who in set(users):
            rows[who].append((was, now))
    sums = np.array([[len(of), sum(a for a, _ in of), sum(b for _, b in of)] for of in rows.values()], dtype=np.float64)
    rng = np.random.default_rng([seed, 43])
    drawn = sums[rng.integers(len(sums), size=(DRAWS, len(sums)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 2] / np.maximum(drawn[:, 1], 1) - 1, [0.025, 0.975])
    n, was, now = sums.sum(axis=0)
    return {
        "requests": int(n), "before": float(was / n), "after": float(now / n),
        "change": {"value": float(now / was - 1), "low": float(low), "high": float(high)},
    }  # fmt: skip


def one(seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Simulate, learn, and ask a week in each of the four ways."""
    world, names = named(media_world(seed, setting="quiet", n_users=args.users), seed)
    turns = [turn for day in simulate_days(world, days=args.days, start=START, seed=seed) for turn in day]
    users = sorted({turn.user_id for turn in turns})
    n = round(len(users) * 7 * world.behaviour.requests_per_day * len(world.users) / len(users))
    later = requests(world, n=n, seed=seed, start=START + timedelta(days=args.days))
    asked = [request for request in later if request.user_id in set(users)]
    teachers = [users[i] for i in np.random.default_rng([seed, 42]).permutation(len(users))[: round(args.share * len(users))]]
    others = [who for who in users if who not in set(teachers)]
    with tempfile.TemporaryDirectory() as folder:
        write_log(turns, Path(folder) / "log.parquet")
        learn([Path(folder) / "log.parquet"], out=Path(folder) / "a")
        clock = [0.0]

        def opened(name: str) -> Rewriter:
            return Rewriter.open(Path(folder) / "a", taught_in=Path(folder) / f"{name}.db", now=lambda: clock[0])

        plain = week(world, opened("none"), asked)
        rewriter = opened("taught")
        used = teach(world, rewriter, names, teachers)
        lessons = week(world, rewriter, asked)
        stated = prefer(world, rewriter, teachers)
        both = week(world, rewriter, asked)
        when_asked, about, right = moments(world, opened("asked"), clock, asked)
    wanted = worth_a_lesson(turns, asked, plain)
    known = wanted & restated(turns)
    leaked = sum(a != b for who, a, b in zip(plain.users, plain.answers, both.answers, strict=True) if who in set(others))
    return {
        "turns of the log": len(turns), "users": len(users), "teachers": len(teachers),
        "lessons": change(plain, lessons, teachers, seed), "lessons used by the next request": used / (OWN * len(teachers)),
        "lessons and preferences": change(plain, both, teachers, seed), "preferences": stated,
        "preferences alone": change(lessons, both, teachers, seed),
        "requests filled in by a preference": sum(reason == "preference" for _, reason in both.answers),
        "all users": change(plain, both, users, seed), "leaked": leaked,
        "asked": change(plain, when_asked, users, seed),
        "questions": sum(map(len, right.values())), "right": sum(map(sum, right.values())),
        "by moment": {kind: {"questions": len(of), "right": sum(of)} for kind, of in sorted(right.items())},
        "restated": len(known), "restated and asked": len(known & about),
        "recall, restated": len(known & about) / max(len(known), 1),
        "moments": len(wanted), "moments asked": len(wanted & about), "recall": len(wanted & about) / max(len(wanted), 1),
        "questions per user and week": sum(map(len, right.values())) / len(users),
    }  # fmt: skip


def main() -> None:
    """Measure all seeds, and write them."""
    parser = options(__doc__, seeds=[0, 1, 2], users=60, days=10, out=RESULTS / "teaching.json")
    parser.add_argument("--share", type=float, default=0.5, help="share of the users who teach")
    args = parser.parse_args()
    result = made_with(PACKAGES) | {"share": args.share, "seeds": {}}
    for seed in args.seeds:
        result["seeds"][str(seed)] = one(seed, args)
        print(seed, result["seeds"][str(seed)], flush=True)
    write_result(result, args.out)


if __name__ == "__main__":
    main()
