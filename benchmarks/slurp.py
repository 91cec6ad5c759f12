"""SLURP as a world: real speech, real recognition, invented users. Every system of peers.py is compared, in both modes.

    python benchmarks/slurp.py [--seeds 0 1 2] [--users 120] [--days 14] [--data ../shared/data/slurp]
        [--out benchmarks/results/slurp]

The corpus does not say who speaks, so users are invented and **nothing about k users is claimed**: `launch.min_users` is 1, which
no log of real people should be learned with. Each user owns up to three takes of a goal. A take is one reading of a sentence,
often heard by two microphones; both go to the same user and to the same side of the split. A user who is not understood says it
again with another recording of the same goal, gives up, or wants something else, by `rewriter.simulation.Behaviour`.

The goal is the sentence itself, or intent and entities where there are entities, so that two wordings can share it. The assistant
understands the sentences of the corpus word by word and refuses everything else, so it can be asked about any text. The NLU whose
predictions were recorded with the corpus cannot be asked, and never refuses. Its predictions are only counted: a strict assistant
fails in more turns than a statistical one, and `survived` is the share of the defects in which the recorded NLU was right.

A quarter of the takes, all takes of some phrases and goals, and a fifth of the users never enter the log. All held-out recordings
are judged, once each. Their users are drawn at random, so personal rules have hardly any effect here; shared rules are what is
measured. The shipped prior was fitted on this corpus, so day_one.py fits one without it. One more system gets the sentences of
the corpus as a catalog. Writes OUT.json, OUT_before.svg and OUT_after.svg like peers.py.
"""

import argparse
import json
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import duckdb
import numpy as np
from peers import MODES, OURS, PeerCase, figures, judge_all
from script import made_with, options, write_result

from rewriter.artefact.versions import current
from rewriter.config import Config, Logs
from rewriter.evaluation.charts import draw, save
from rewriter.evaluation.judge import exact_ceiling, healthy_texts, judge, logged, online_ceiling, proposer
from rewriter.evaluation.outcomes import Outcomes, pooled
from rewriter.evaluation.summary import curve
from rewriter.model.hypothesis import hypothesis
from rewriter.model.prior import Prior
from rewriter.offline.catalog_layer import KeptCatalog
from rewriter.offline.learn import learn
from rewriter.offline.logs import reader
from rewriter.online.rewriter import Rewriter
from rewriter.simulation.assistants import PhraseAssistant
from rewriter.simulation.channels import Heard, Recording, RecordingChannel
from rewriter.simulation.dialogue import simulate_days
from rewriter.simulation.turn import Turn, write_log
from rewriter.simulation.users import Behaviour, User
from rewriter.simulation.world import Request, World, midnight_ms, split_of
from rewriter.text import normalise

ROOT = Path(__file__).parents[1]
START = date(2026, 1, 5)
MIN_USERS = 1
CATALOG: Final = "rewriter with a catalog"
OWNED = 3
"""Takes of one goal that belong to one user."""
KEPT_BACK = 0.25
NEW_USERS = 0.2
PACKAGES = ("rewriter", "rapidfuzz", "symspellpy", "duckdb", "numpy", "scipy")


class Take(NamedTuple):
    """One reading of a sentence, and what the recogniser made of it at each microphone."""

    said: str
    goal: str
    heard: tuple[str, ...]


class Corpus(NamedTuple):
    """All takes, and how often the NLU recorded with the corpus is right where the words were heard wrongly."""

    takes: tuple[Take, ...]
    misheard: int
    survived: int


def main() -> None:
    """Run all seeds and write the results, with a prior that was not fitted on this corpus."""
    args = arguments()
    if not (args.data / "recordings_asr.parquet").exists():
        print(f"skipped: no recordings_asr.parquet in {args.data}")
        return
    from day_one import left_out

    prior = left_out(0, ["slurp"])["slurp"]
    with patch.object(Prior, "load", lambda: prior):
        run(args)


def run(args: argparse.Namespace) -> None:
    """Judge every seed and mode, and write the figures."""
    corpus = read(args.data)
    judged: dict[str, dict[str, list[Outcomes]]] = {mode: {} for mode in MODES}
    thresholds: dict[str, float] = {}
    runs = []
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as folder:
            case, rules = prepare(corpus.takes, args, seed, Path(folder))
            for name, threshold, mode, outcomes in judge_all(case, Path()):
                thresholds[name] = threshold
                judged[mode].setdefault(name, []).append(outcomes)
            thresholds[CATALOG] = thresholds[OURS]
            judged["after"].setdefault(CATALOG, []).append(with_catalog(case, Path(folder)))
            runs.append({"seed": seed, "turns": len(case.log), "requests": len(case.requests), "rules": rules})
            runs[-1] |= ceilings(judged["before"][OURS][-1], case)
            print(runs[-1], flush=True)
    result = {
        **made_with(PACKAGES),
        "seeds": args.seeds,
        "corpus": {"takes": len(corpus.takes), "misheard": corpus.misheard, "survived": corpus.survived},
        "min_users": MIN_USERS,
        "ceilings": runs,
        "modes": {mode: figures(systems, thresholds, args.seeds) for mode, systems in judged.items()},
    }
    write_result(result, args.out.with_suffix(".json"))
    for mode, systems in judged.items():
        curves = {name: curve(pooled(parts)) for name, parts in systems.items()}
        title = f"SLURP: {mode} {'the NLU' if mode == 'before' else 'a refusal'}"
        save(draw(curves, operating=thresholds, title=title), args.out.with_name(f"{args.out.name}_{mode}.svg"))


def with_catalog(case: PeerCase, folder: Path) -> Outcomes:
    """Return the outcomes after a refusal where the sentences of the corpus are given as a catalog, too."""
    rows = [{"text": text, "hypothesis": goal} for goal, texts in case.world.goals.items() for text in texts]
    kept = KeptCatalog.given(rows, Config(), channel="spoken", complete=True)
    shutil.copytree(case.artefact, folder / "both")
    kept.write(current(folder / "both").folder / "catalog", Config())
    propose = proposer(Rewriter.open(folder / "both").rewrite)
    return judge(case.requests, propose, case.world.assistant, after_failure=True, healthy_in_log=healthy_texts(case.log))


def read(folder: Path) -> Corpus:
    """Read all recordings with any heard text, grouped by take."""
    with duckdb.connect() as con:
        rows = con.execute(
            """SELECT replace(file, '-headset', ''), sentence, intent, entities, asr_text, nlu_exact
            FROM read_parquet(?) WHERE asr_text <> '' ORDER BY slurp_id, file""",
            [str(folder / "recordings_asr.parquet")],
        ).fetchall()
    goals: dict[str, str] = {}
    takes: dict[tuple[str, str], list[str]] = defaultdict(list)
    wrong = []
    for take, sentence, intent, entities, asr_text, right in rows:
        said, heard = normalise(sentence), normalise(asr_text)
        goals.setdefault(said, goal_of(said, intent, json.loads(entities)))
        takes[take, said].append(heard)
        if heard != said:
            wrong.append(bool(right))
    return Corpus(tuple(Take(said, goals[said], tuple(heard)) for (_, said), heard in takes.items()), len(wrong), sum(wrong))


def goal_of(said: str, intent: str, entities: Sequence[dict[str, str]]) -> str:
    """Return intent and entities as a hypothesis; the sentence by itself where there are no entities."""
    slots: dict[str, str] = {}
    for kind, filler in sorted((e["type"], normalise(e["filler"])) for e in entities):
        slots[kind] = f"{slots[kind]} and {filler}" if kind in slots else filler
    return hypothesis(intent, slots) if slots else hypothesis(f"{intent}: {said}")


def prepare(takes: Sequence[Take], args: argparse.Namespace, seed: int, folder: Path) -> tuple[PeerCase, dict[str, int]]:
    """Deal the takes, simulate a log and learn from it; also return the rules launched, by scope."""
    names = [f"user{i:04d}" for i in range(args.users)]
    learners = names[: round((1 - NEW_USERS) * len(names))]
    world, kept = world_of(takes, learners, seed)
    turns = [turn for day in simulate_days(world, days=args.days, start=START, seed=seed) for turn in day]
    path = folder / "log.parquet"
    write(turns, path)
    config = Config.from_dict({"launch": {"min_users": MIN_USERS}})
    report = learn([path], out=folder / "artefact", config=config)
    reader.read([path], out=folder / "read", key=bytes(32), config=Logs())
    asked = list(requests(kept, names, frozenset(learners), turns, START + timedelta(days=args.days), seed))
    return PeerCase(world, folder / "artefact", folder / "read" / "turns.parquet", logged(turns), asked), dict(report.rules)


def world_of(takes: Sequence[Take], learners: Sequence[str], seed: int) -> tuple[World, list[Take]]:
    """Return the world in which the log is made, and the takes that are kept back."""
    goals: dict[str, dict[str, None]] = defaultdict(dict)
    for take in takes:
        goals[take.goal][take.said] = None
    phrases = {goal: tuple(said) for goal, said in goals.items()}
    split = split_of(phrases, (), seed=seed)
    rng = np.random.default_rng([seed, 7])
    judged = [take.said in split.phrases or rng.random() < KEPT_BACK for take in takes]
    owned = deal([take for take, away in zip(takes, judged, strict=True) if not away], learners, rng)
    recordings = [Recording(user, t.said, Heard(h, (h,), 1.0)) for user, mine in owned.items() for t in mine for h in t.heard]
    assistant = PhraseAssistant({said: goal for goal, sayings in phrases.items() for said in sayings})
    users = tuple(person(name, mine) for name, mine in owned.items())
    channel = RecordingChannel(recordings)
    world = World("slurp", "en", assistant, phrases, users, channel, channel, Behaviour(), split)
    return world, [take for take, away in zip(takes, judged, strict=True) if away]


def deal(takes: Iterable[Take], names: Sequence[str], rng: np.random.Generator) -> dict[str, list[Take]]:
    """Deal takes to users, those of one goal OWNED at a time, so that a user can say a thing again."""
    by_goal: dict[str, list[Take]] = defaultdict(list)
    for take in takes:
        by_goal[take.goal].append(take)
    owned: dict[str, list[Take]] = defaultdict(list)
    for group in by_goal.values():
        order = rng.permutation(len(group))
        owners = rng.permutation(len(names))
        for place, i in enumerate(order):
            owned[names[owners[place // OWNED % len(names)]]].append(group[i])
    return dict(sorted(owned.items()))


def person(name: str, takes: Sequence[Take]) -> User:
    """Return a user who wants what the takes ask for, each take as often as the others."""
    counts: dict[str, int] = defaultdict(int)
    phrases: dict[str, dict[str, None]] = defaultdict(dict)
    for take in takes:
        counts[take.goal] += 1
        phrases[take.goal][take.said] = None
    order = sorted(counts, key=lambda goal: -counts[goal])
    weights = tuple(counts[goal] / len(takes) for goal in order)
    return User(name, name, tuple(order), weights, {g: tuple(phrases[g]) for g in order}, "", name)


def requests(
    kept: Sequence[Take], names: Sequence[str], learners: frozenset[str], turns: Sequence[Turn], start: date, seed: int
) -> Iterator[Request]:
    """Yield every recording that was kept back once, each take by one user."""
    rng = np.random.default_rng([seed, 11])
    phrases, goals = {turn.said for turn in turns}, {turn.goal for turn in turns}
    ts_ms = midnight_ms(start)
    for i in rng.permutation(len(kept)):
        take, user = kept[i], names[int(rng.integers(len(names)))]
        flags = (user in learners, take.said in phrases, take.goal in goals)
        for heard in take.heard:
            ts_ms += 60_000
            yield Request(user, ts_ms, "en", take.goal, take.said, heard, (heard,), 1.0, {}, *flags)


def write(turns: Sequence[Turn], path: Path) -> None:
    """Write the log without the confidence, which the corpus does not have."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        whole = Path(folder) / "log.parquet"
        write_log(turns, whole)
        con.read_parquet(str(whole)).project("* EXCLUDE (asr_confidence)").write_parquet(str(path))


def ceilings(reference: Outcomes, case: PeerCase) -> dict[str, Any]:
    """Return what exact rules and the online layer could fix at best."""
    return {
        "exact": exact_ceiling(reference, case.log, min_users=MIN_USERS),
        "online": online_ceiling(reference, case.log),
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = options(__doc__, seeds=[0, 1, 2], users=120, days=14, out=ROOT / "benchmarks" / "results" / "slurp")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "slurp")
    return parser.parse_args()


if __name__ == "__main__":
    main()
