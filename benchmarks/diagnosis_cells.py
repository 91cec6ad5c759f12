"""Logs in which it is known where requests break, and their columns: what `diagnosis.py` learns from."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
from worlds.media import media_world
from worlds.recorded import recorded_world

from rewriter.arrays import Ints
from rewriter.config import Config, Logs
from rewriter.detect.failure_cues import LISTED, NAMES, FailureCues
from rewriter.detect.failure_rules import CLASSES
from rewriter.detect.turns import Listed
from rewriter.detect.weak_labels import TrainingData
from rewriter.engines import DuckDB
from rewriter.model.detector import RuleDetector
from rewriter.offline.logs import reader
from rewriter.offline.mining import pipeline
from rewriter.operate.diagnose import restatements
from rewriter.simulation.assistants import Household, PhraseAssistant
from rewriter.simulation.channels import Rates
from rewriter.simulation.fault_injection import Faults, Injected, inject, manners, write_injected
from rewriter.simulation.textchannel import TextChannel
from rewriter.simulation.world import World
from rewriter.simulation.worlds import home_world, phrase_world, text_world

START = date(2026, 1, 5)
SPOKEN = Path(__file__).parents[2] / "shared" / "data" / "home_spoken"
CATALOG = 0.8  # share of the phrases that a catalog lists
CONFIG = Config(logs=Logs(max_rejected=0.5))


class Cell(NamedTuple):
    """One log: its columns, what its turns have in common, the class of each turn, and in which turns two stages failed."""

    columns: np.ndarray
    groups: Mapping[str, Ints]
    label: Ints
    two: np.ndarray

    @property
    def unlisted(self) -> np.ndarray:
        """The columns as they are without a catalog."""
        found = self.columns.copy()
        found[:, [NAMES.index(name) for name in LISTED]] = np.nan
        return found


def worlds(seed: int, users: int) -> Mapping[str, Callable[[], World]]:
    """Return the worlds by name; the one of recordings only where these are."""
    found: dict[str, Callable[[], World]] = {
        "home": lambda: home_world(seed, n_users=users),
        "phrases": lambda: phrase_world(seed, n_users=users, setting="quiet", guessed=0.6),
        "closed": lambda: closed_world(seed, users),
        "media": lambda: media_world(seed, n_users=users, setting="quiet"),
        "heim": lambda: home_world(seed, n_users=users, language="de"),
    }
    if (SPOKEN / "recordings.parquet").exists():
        found["recordings"] = lambda: recorded_world(
            SPOKEN / "recordings.parquet", SPOKEN / "phrases.csv", seed=seed, n_users=users, again=True
        )
    return found


def closed_world(seed: int, users: int) -> World:
    """Return a home whose recogniser knows only the words of the home, and mishears everybody alike."""
    phrases = list(Household.of("en").phrases())
    table = {phrase.text: phrase.meaning for phrase in phrases}
    world = text_world(
        PhraseAssistant(table), phrases, seed=seed, name="closed", n_users=users, misrouted=0.03, refused=0.02, guessed=0.4
    )
    rates = replace(Rates.from_json(), speaker_habit=0.95, shared_habit=0.95, fluent=0.8)
    channel = TextChannel(table, general=(), seed=seed, rates=rates)
    return replace(world, channel=channel, judging=channel)


def assistants(world: str) -> list[str]:
    """Return the names of the assistants that can stand in a world; a German home is answered in German."""
    return ["deutsch", "silent"] if world == "heim" else [name for name in manners() if name != "deutsch"]


def listed(world: World, seed: int) -> Mapping[str, str]:
    """Return what an operator would list: a part of the phrases that the assistant should understand, and their meanings."""
    every = sorted((phrase, goal) for goal, phrases in world.goals.items() for phrase in phrases)
    kept = np.random.default_rng([seed, 9]).random(len(every)) < CATALOG
    return {phrase: goal for (phrase, goal), yes in zip(every, kept, strict=True) if yes}


def cell(world: World, assistant: str, *, days: int, seed: int) -> Cell:
    """Simulate a log, read and mine it as a user would, and measure its turns."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        turns = list(inject(world, Faults(), manners()[assistant], days=days, start=START, seed=seed))
        write_injected(turns, work / "log.jsonl")
        columns, groups, turn_id = measured(work / "log.jsonl", work, catalog=listed(world, seed))
    truth = {t.row["turn_id"]: (CLASSES.index(named(t)), len(t.failing) > 1) for t in turns}
    label, two = zip(*(truth[i] for i in turn_id), strict=True)
    return Cell(columns, groups, np.asarray(label), np.asarray(two))


def named(turn: Injected) -> str:
    """Return the class of a turn."""
    return "unsupported" if turn.unsupported else turn.failure


def measured(
    log: Path, work: Path, config: Config = CONFIG, catalog: Mapping[str, str] | None = None
) -> tuple[np.ndarray, Mapping[str, Ints], np.ndarray]:
    """Read and mine a log; return its columns, what its turns have in common, and the id of each turn."""
    reader.read([log], out=work, key=bytes(32), config=config.logs)
    engine = DuckDB(work / "mined", threads=1)
    try:
        mined = pipeline.mine(engine, work / "turns.parquet", RuleDetector(), config)
    finally:
        engine.close()
    data = TrainingData.read(Listed(work / "turns.parquet", mined.sessions, mined.texts, mined.candidates))
    cues = FailureCues(data.turns, data.items, data.likeness, restatements(data, mined.scores), catalog)
    return cues.measure(), cues.groups(), data.turns.turn_id
