"""Measures the effect of a poisoned log. Fake accounts act as if users who say one thing wanted another.

    python benchmarks/attack.py [--seeds 0 1 ... 9] [--users 120] [--days 10] [--victims 8]

There are four parts. k is 3. The figures are written to results/attack.json.

1. *Poison.* For each seed the log of a strict phrase assistant is simulated and learned. The victims are the most frequent
   healthy texts, the sources of the most frequent rules, and failing texts of fewer than k users. Each gets a target, a frequent
   healthy text that no honest user meant by it. Every day fake accounts act as if they wanted the target (`worlds.attack`). Then
   both logs are learned together, and the rules for everybody are looked up. Only the exact layer is used, with the documented
   rule as the detector. Measured are, for each attack and kind of victim, the share that is rewritten to the attacker's target
   (Wilson interval over victims), the good rules that are gone, and new honest requests won and lost.
2. *Floods* (`FLOODS`). Fake accounts say texts over and over, praise or blame the answers, or claim a context: in the log that is
   learned, and on the day after it. Measured are the rules for everybody whose meaning changes, and the texts of honest users
   whose answer then means something else. *Modest* accounts say no more different texts than the busiest honest user. For
   comparison, honest users are added in the place of accounts, which shows how much any new user changes for the others.
3. *Layers* (`LAYERS`). The same with the online layer, whose encoder, ranker, word risk and thresholds are fitted on the log, and
   with a catalog beside the log. While the version serves, the accounts also say what honest users say, reject every rewrite,
   praise everything else, and answer each question (`Rewrite.ask`) accordingly. They do so by feedback alone, or by their turns
   on the next day.
4. *Withdrawal.* The same rules serve, and a log is learned every night. For some days fake accounts say every text that has a
   rule, reject what was rewritten and praise what was left alone. Honest users go on as before. Measured is how many rules are
   withdrawn.
"""

import argparse
import shlex
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from script import RESULTS, options, write_result
from worlds.attack import Pretence, poison, rejected, repeated

from rewriter.config import Config
from rewriter.evaluation.intervals import share
from rewriter.evaluation.judge import judge, proposer
from rewriter.evaluation.loop import SelfAware
from rewriter.evaluation.outcomes import Outcomes, pooled
from rewriter.evaluation.summary import plain, row
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn
from rewriter.online.overlay import MAX_A_DAY
from rewriter.online.rewriter import Rewriter
from rewriter.simulation.dialogue import requests, simulate_days
from rewriter.simulation.turn import Turn, write_log
from rewriter.simulation.world import World
from rewriter.simulation.worlds import phrase_world
from rewriter.text import normalise

START = date(2026, 1, 5)
EXACT = Config.from_dict({"loop": {"refit_days": 0}})
LAYERED = Config.from_dict({"loop": {"refit_days": 7}})
ATTACKS = {  # accounts, and how often each of them acts out each pretence on each day
    "none": (0, 0),
    "one user, flooding": (1, 50),
    "two colluders, flooding": (2, 50),
    "3 accounts": (3, 2),
    "10 accounts": (10, 2),
    "20 accounts": (20, 2),
    "40 accounts": (40, 2),
}
REJECTING = (0, 1, 2, 3, 10, 20, 40)
"""Accounts that reject every rewrite."""
FLOODS: dict[
    str, tuple[bool, int, dict[str, Any]]
] = {  # whether texts are said that work, how often a day, and what else is done
    "praise of what fails": (False, 1, {"feedback": 1}),
    "praise of what fails, flooding": (False, 8, {"feedback": 1}),
    "blame of what works": (True, 8, {"feedback": -1}),
    "silence": (False, 8, {}),
    "a context": (False, 8, {"context": {"room": "attic", "state.x": 1}, "feedback": 1}),
    "other hearings": (False, 8, {"nbest": ("my pin is four seven one one",)}),
    "habits": (True, 8, {"feedback": 1}),
    "modest, praise of what fails": (False, 8, {"feedback": 1}),
    "modest, blame of what works": (True, 8, {"feedback": -1}),
    "modest, silence after what works": (True, 8, {}),
    "a locale": (True, 8, {"locale": "de"}),
    "a later day": (False, 1, {"start": START + timedelta(days=60)}),
}
LAYERS: dict[str, tuple[bool, int, dict[str, Any]]] = {  # the same, of a home with an online layer
    "online layer: praise of what fails": (False, 8, {"feedback": 1}),
    "online layer: blame of what works": (True, 8, {"feedback": -1}),
    "online layer: silence after what works": (True, 8, {}),
    "online layer: modest, blame of what works": (True, 8, {"feedback": -1}),
    "online layer: modest, silence after what works": (True, 8, {}),
}
COMPARED = "honest users in the place of accounts"
HONEST = (1, 2)
"""Honest users that are added for comparison."""
FLOODING = (1, 2, 3, 10, 40)
"""Accounts that flood the log."""
RULES = ("rules", "rules lost, attacked", "rules lost, others", "rules in other words", "rules new")
KINDS = ("healthy", "with a rule", "rare")


def main() -> None:
    """Run all seeds and attacks."""
    parser = options(__doc__, seeds=list(range(10)), users=120, days=10)
    parser.add_argument("--victims", type=int, default=8, help="of each kind")
    parser.add_argument("--rejecting-days", type=int, default=3, help="on which accounts reject what rules do")
    parser.add_argument("--flooding", type=int, nargs="+", default=list(FLOODING), help="accounts that flood the log")
    parser.add_argument("--processes", type=int, default=1, help="parts that run at once")
    args = parser.parse_args()
    found = Found()
    with ProcessPoolExecutor(args.processes) as pool:
        futures = [pool.submit(_listed, part, seed, n, args) for part, n in _parts(args) for seed in args.seeds]
        for future in as_completed(futures):
            found.add(future.result())
            write_result(found.result(args), RESULTS / "attack.json")


class Found:
    """What the parts that have ended found, and the result file that it makes."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[str, Counter[str]]] = {"poison": {}, "floods": {}, "withdrawn": {}}
        self.judged: dict[str, list[Outcomes]] = defaultdict(list)

    def add(self, rows: Iterable[tuple[str, str, Counter[str], Outcomes | None]]) -> None:
        """Add what one part yielded: the kind of figure, its name, counts, and outcomes of honest requests."""
        for kind, name, counts, outcomes in rows:
            print(f"{name}: {dict(counts)}", flush=True)
            self.counts[kind][name] = self.counts[kind].get(name, Counter()) + counts
            if outcomes is not None:
                self.judged[name].append(outcomes)

    def result(self, args: argparse.Namespace) -> dict[str, Any]:
        """Return the content of the result file."""
        poisoned = self.counts["poison"]
        order = {name: number for number, (name, _) in enumerate(_names(args))}
        floods = sorted(self.counts["floods"].items(), key=lambda pair: order.get(pair[0], len(order)))
        return {
            "command": shlex.join(["python", *sys.argv]),
            "seeds": args.seeds,
            "min_users": Config().launch.min_users,
            "honest users in the log": round(0.8 * args.users),
            "attacks": {name: figures(name, poisoned[name], self.judged[name]) for name in ATTACKS if name in poisoned},
            "floods": dict(floods),
            "rejecting days": args.rejecting_days,
            "rejecting accounts": self.counts["withdrawn"],
        }


Row = tuple[str, str, Counter[str], Outcomes | None]
"""Kind of figure, its name, counts, and outcomes of honest requests."""


def _parts(args: argparse.Namespace) -> list[tuple[Callable[..., Iterable[Row]], int]]:
    """Return what runs by itself: a function, and the number of accounts for it."""
    found = [(one, 0), *((withdrawn, n) for n in REJECTING), *((more_honest, n) for n in HONEST)]
    return found + [(part, n) for n in args.flooding for part in (floods, layers)]


def _names(args: argparse.Namespace) -> list[tuple[str, int]]:
    """Return the names of the floods in the order of the table."""
    layered = [*LAYERS, "feedback", "feedback and answers to questions", "a catalog beside the log"]
    what = [*FLOODS, COMPARED, *layered, f"online layer: {COMPARED}"]
    ways = ("fresh", "additive", "at once")
    return [(f"{name}, {n} accounts, {way}", n) for name in what for way in ways for n in sorted({*args.flooding, *HONEST})]


def _listed(part: Callable[..., Iterable[Row]], seed: int, accounts: int, args: argparse.Namespace) -> list[Row]:
    """Run one part; called in a process of its own."""
    return list(part(seed, accounts, args))


def one(seed: int, _: int, args: argparse.Namespace) -> Iterable[Row]:
    """Yield the effect of each attack, and the outcomes of new honest requests."""
    world = phrase_world(seed, n_users=args.users)
    honest = [turn for day in simulate_days(world, days=args.days, start=START, seed=seed) for turn in day]
    asked = requests(world, n=2000, seed=seed, start=START + timedelta(days=args.days))
    before = answers(learned(honest), {normalise(t.utterance) for t in honest})
    victims = chosen(world, honest, before, args.victims, np.random.default_rng(seed))
    pretences = [pretence for pairs in victims.values() for pretence in pairs]
    for name, (accounts, rounds) in ATTACKS.items():
        fake = poison(world, pretences, accounts=accounts, rounds=rounds, days=args.days, start=START)
        rewriter = learned([*honest, *(turn for day in fake for turn in day)])
        outcomes = judge(asked, proposer(rewriter.rewrite), world.assistant, after_failure=False, healthy_in_log=frozenset())
        yield "poison", name, reached(victims, before, answers(rewriter, before), world.assistant.understand), outcomes


def more_honest(seed: int, users: int, args: argparse.Namespace) -> Iterable[Row]:
    """Yield what honest users change for the others when they join; for comparison with accounts."""
    world = phrase_world(seed, n_users=args.users)
    log = [turn for day in simulate_days(world, days=args.days, start=START, seed=seed) for turn in day]
    joining = sorted({turn.user_id for turn in log})[-users:]
    before = [turn for turn in log if turn.user_id not in joining]
    said = sorted({(turn.user_id, normalise(turn.utterance)) for turn in before})
    with tempfile.TemporaryDirectory() as folder:
        for name, config in (("", EXACT), ("online layer: ", LAYERED)):
            rewriters = [flooded_rules(turns, Path(folder) / f"{len(name)} {len(turns)}", config) for turns in (before, log)]
            alone, joined = (meanings(rewriter, world, said) for rewriter in rewriters)
            yield "floods", f"{name}{COMPARED}, {users} accounts, fresh", changes(alone, joined), None


def chosen_texts(name: str, works: dict[str, bool], working: bool, said: Sequence[tuple[str, str]]) -> list[str]:
    """Return the texts that accounts say: all that work or fail; of *modest* accounts as many as the busiest honest user says."""
    texts = sorted(text for text, well in works.items() if well == working)
    if "modest" not in name:
        return texts
    most = max(Counter(user for user, _ in said).values())
    return sorted(np.random.default_rng(0).permutation(texts)[:most].tolist())


_MANY = 10
"""From so many accounts on, each says a text at most twice a day, which keeps the log small."""


def floods(seed: int, accounts: int, args: argparse.Namespace) -> Iterable[Row]:
    """Yield for each flood and way of learning what so many accounts changed for honest users."""
    world = phrase_world(seed, n_users=args.users)
    honest = [turn for day in simulate_days(world, days=args.days, start=START, seed=seed) for turn in day]
    works = {normalise(turn.utterance): turn.hypothesis is not None for turn in honest}
    said = sorted({(turn.user_id, normalise(turn.utterance)) for turn in honest})
    with tempfile.TemporaryDirectory() as folder:
        clean = Path(folder) / "clean"
        before = meanings(flooded_rules(honest, clean), world, said)
        for name, (working, most, more) in FLOODS.items():
            rounds = most if accounts < _MANY else min(most, 2)
            texts = chosen_texts(name, works, working, said)
            fakes = repeated(world, texts, accounts=accounts, rounds=rounds, days=1, **{"start": START} | more)
            for way in ("fresh", "additive"):
                out = Path(folder) / f"{name} {accounts} {way}"
                if way == "additive":
                    shutil.copytree(clean, out, symlinks=True)
                rewriter = flooded_rules(fakes if way == "additive" else [*honest, *fakes], out)
                yield "floods", f"{name}, {accounts} accounts, {way}", changes(before, meanings(rewriter, world, said)), None
                shutil.rmtree(out)


def layers(seed: int, accounts: int, args: argparse.Namespace) -> Iterable[Row]:
    """Yield the same for a home with an online layer, for what accounts say of the answers, and for a catalog beside the log."""
    world = phrase_world(seed, n_users=args.users)
    honest = [turn for day in simulate_days(world, days=args.days, start=START, seed=seed) for turn in day]
    works = {normalise(turn.utterance): turn.hypothesis is not None for turn in honest}
    said = sorted({(turn.user_id, normalise(turn.utterance)) for turn in honest})
    catalog = [{"text": text, "hypothesis": world.assistant.understand(text)} for text, well in sorted(works.items()) if well]
    with tempfile.TemporaryDirectory() as folder:
        clean, beside = Path(folder) / "clean", Path(folder) / "beside"
        before = meanings(flooded_rules(honest, clean, LAYERED), world, said)
        answered = meanings(flooded_rules(honest, beside, EXACT, catalog), world, said)
        for name, (working, most, more) in LAYERS.items():
            rounds = most if accounts < _MANY else min(most, 2)
            texts = chosen_texts(name, works, working, said)
            fakes = repeated(world, texts, accounts=accounts, rounds=rounds, days=1, start=START, **more)
            for way in ("fresh", "additive"):
                with copied(clean, Path(folder) / "attacked") as out:
                    rewriter = flooded_rules(
                        fakes if way == "additive" else [*honest, *fakes], out, LAYERED, afresh=way == "fresh"
                    )
                    yield "floods", f"{name}, {accounts} accounts, {way}", changes(before, meanings(rewriter, world, said)), None
        with copied(clean, Path(folder) / "attacked") as out:
            rewriter = Rewriter.open(out)
            for number in range(accounts):
                for text in sorted(works)[:MAX_A_DAY]:
                    answer = rewriter.rewrite(text, user_id=f"fake{number}", after_failure=True)
                    rewriter.feedback(answer.id, -1 if answer.applied else 1, f"fake{number}")
            yield "floods", f"feedback, {accounts} accounts, at once", changes(before, meanings(rewriter, world, said)), None
            day = START + timedelta(days=args.days)
            fakes = rejected(world, sorted(works), rewriter.rewrite, accounts=accounts, day=day)
            yield (
                "floods",
                f"feedback and answers to questions, {accounts} accounts, additive",
                changes(before, meanings(flooded_rules(fakes, out, LAYERED), world, said)),
                None,
            )
        texts = sorted(text for text, well in works.items() if not well)
        fakes = repeated(world, texts, accounts=accounts, rounds=2, days=1, start=START, feedback=1)
        with copied(beside, Path(folder) / "attacked") as out:
            rewriter = flooded_rules(fakes, out)
            yield (
                "floods",
                f"a catalog beside the log, {accounts} accounts, additive",
                changes(answered, meanings(rewriter, world, said)),
                None,
            )


@contextmanager
def copied(artefact: Path, out: Path) -> Iterator[Path]:
    """Lend a copy of an artefact."""
    shutil.copytree(artefact, out, symlinks=True)
    yield out
    shutil.rmtree(out)


def flooded_rules(
    turns: Sequence[Turn],
    out: Path,
    config: Config = EXACT,
    catalog: Sequence[dict[str, str | None]] | None = None,
    *,
    afresh: bool = False,
) -> Rewriter:
    """Learn a log into a folder, which may hold what was learned before, and open it."""
    log = out.with_suffix(".parquet")
    write_log(turns, log)
    learn([log], out=out, config=config, detector=RuleDetector(), catalog=catalog, afresh=afresh)
    return Rewriter.open(out)


def meanings(rewriter: Rewriter, world: World, said: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str | None]:
    """Return what the assistant makes of the answer to each (user, text); with an empty user, of everybody's."""
    cases = [*said, *(("", text) for text in sorted({text for _, text in said}))]
    answers = {(user, text): rewriter.rewrite(text, user_id=user or None, after_failure=True).text for user, text in cases}
    return {case: world.assistant.understand(text) for case, text in answers.items()}


def changes(before: dict[tuple[str, str], str | None], after: dict[tuple[str, str], str | None]) -> Counter[str]:
    """Count the answers to everybody and to single users, and those that mean something else than before."""
    changed = [case for case, meant in before.items() if after[case] != meant]
    return Counter(
        {
            "texts": sum(user == "" for user, _ in before),
            "texts changed for everybody": sum(user == "" for user, _ in changed),
            "texts of users": sum(user != "" for user, _ in before),
            "texts changed for users": sum(user != "" for user, _ in changed),
        }
    )


def withdrawn(seed: int, accounts: int, args: argparse.Namespace) -> Iterable[Row]:
    """Let accounts reject what rules do, and yield how many good rules served before, and how many of them were withdrawn."""
    world = phrase_world(seed, n_users=args.users)
    config = Config.from_dict({"loop": {"draw": True, "refit_days": 0}, "launch": {"personal": False}})
    with tempfile.TemporaryDirectory() as folder:
        home = SelfAware(Path(folder), config)
        home.learn([turn for day in simulate_days(world, days=args.days, start=START, seed=seed) for turn in day])
        rules = dict(home.served())
        for number in range(args.rejecting_days):
            day = START + timedelta(days=args.days + number)
            home.begin(day)
            (turns,) = simulate_days(world, days=1, start=day, seed=seed, rewrite=home.rewrite)
            fakes = rejected(world, list(rules), home.rewrite, accounts=accounts, day=day) if home.rewrite else []
            home.learn([*turns, *fakes])
        gone = len(rules.items() - home.served().items())
        yield "withdrawn", str(accounts), Counter({"rules": len(rules), "withdrawn": gone}), None


def learned(turns: Sequence[Turn]) -> Rewriter:
    """Learn the exact layer from a log; the rules stay readable after the folder is gone."""
    with tempfile.TemporaryDirectory() as folder:
        write_log(turns, Path(folder) / "log.parquet")
        learn([Path(folder) / "log.parquet"], out=Path(folder) / "artefact", config=EXACT, detector=RuleDetector())
        return Rewriter.open(Path(folder) / "artefact")


def answers(rewriter: Rewriter, texts: Iterable[str]) -> dict[str, str]:
    """Return what everybody's rules make of each text."""
    return {text: rewriter.rewrite(text, after_failure=True).text for text in texts}  # after a refusal nothing is drawn


def chosen(
    world: World, honest: Sequence[Turn], before: dict[str, str], n: int, rng: np.random.Generator
) -> dict[str, list[Pretence]]:
    """Choose victims of each kind, the most frequent first, and for each a target of another meaning."""
    said = Counter(normalise(t.utterance) for t in honest)
    users: dict[str, set[str]] = defaultdict(set)
    meant: dict[str, set[str]] = defaultdict(set)
    for turn in honest:
        users[normalise(turn.utterance)].add(turn.user_id)
        meant[normalise(turn.utterance)].add(turn.goal)
    means = {text: world.assistant.understand(text) for text in said}
    frequent = [text for text, _ in said.most_common()]
    healthy = [text for text in frequent if means[text] and before[text] == text]
    found = {
        "healthy": healthy[:n],
        "with a rule": [text for text in frequent if before[text] != text][:n],
        "rare": [text for text in frequent if not means[text] and len(users[text]) < Config().launch.min_users][:n],
    }

    def target(source: str) -> str:
        others = [t for t in healthy[: 4 * n] if means[t] not in meant[source]]
        return others[int(rng.integers(len(others)))]

    return {kind: [(source, target(source)) for source in sources] for kind, sources in found.items()}


def reached(
    victims: dict[str, list[Pretence]], before: dict[str, str], after: dict[str, str], means: Callable[[str], str | None]
) -> Counter[str]:
    """Count victims, those rewritten to what the attacker wants, and good rules that vanished or mean something else now."""
    counts: Counter[str] = Counter()
    for kind, pairs in victims.items():
        counts[f"victims, {kind}"] = len(pairs)
        counts[f"taken, {kind}"] = sum(
            after[source] != source and means(after[source]) == means(target) for source, target in pairs
        )
    attacked = {source for pairs in victims.values() for source, _ in pairs}
    rules = {source for source, text in before.items() if text != source}
    lost = {source for source in rules if means(after[source]) != means(before[source])}
    counts["rules"] = len(rules)
    counts["rules lost, attacked"] = len(lost & attacked)
    counts["rules lost, others"] = len(lost - attacked)
    counts["rules in other words"] = sum(after[source] != before[source] for source in rules - lost)
    counts["rules new"] = sum(after[text] != text for text in before.keys() - rules - attacked)
    return counts


def figures(name: str, counts: Counter[str], judged: list[Outcomes]) -> dict[str, Any]:
    """Return the figures of one attack over all seeds."""
    taken = {}
    for kind in KINDS:
        hits, trials = np.array([counts[f"taken, {kind}"]]), np.array([counts[f"victims, {kind}"]])
        taken[kind] = {"victims": int(trials[0]), "taken": int(hits[0]), "share": vars_of(share(hits, trials))}
    honest = plain(row(name, pooled(judged)))
    return {
        "accounts": ATTACKS[name][0],
        "a day": ATTACKS[name][1],
        "taken": taken,
        "rules": {kind: counts[kind] for kind in RULES},
        "honest requests": {key: honest[key] for key in ("turns", "defects", "wins", "losses", "broken")},
    }


def vars_of(interval: Any) -> dict[str, float]:
    """Return an interval as JSON wants it."""
    return {"value": interval.value, "low": interval.low, "high": interval.high}


if __name__ == "__main__":
    main()
