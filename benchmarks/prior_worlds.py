"""The worlds on which the prior is fitted and judged, each with the texts that may be sent and the requests that are made.

Everything is read from ``../shared/data`` or simulated. A `Scene` is one world with one index. The assistant understands the
texts of the world word by word and refuses everything else. So a request is refused if the heard text is not one of them.
"""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
from dstc2 import asked, written
from slurp import goal_of
from worlds.media import media_world
from worlds.typing_errors import mistype

from rewriter.simulation.dialogue import requests
from rewriter.simulation.world import World
from rewriter.simulation.worlds import phrase_world
from rewriter.text import normalise

DATA = Path(__file__).parents[2] / "shared" / "data"
INDEXES = ("catalog", "log", "small")
"""``catalog``: all texts of the world, known to be complete; ``log``: without a tenth of the goals and a fifth of the texts;
``small``: 150 texts of these."""
SMALL = 150
TYPING_RATE = 0.02  # errors per letter
SIMULATED = 3000  # requests of a simulated world
START = date(2026, 3, 2)


class Made(NamedTuple):
    """One request: what was heard or typed, what was said, what it means."""

    heard: str
    said: str
    goal: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """A world: text -> goal of all that its assistant understands, and the requests that are made."""

    name: str
    understood: dict[str, str]
    made: Sequence[Made]


@dataclass(frozen=True, slots=True)
class Scene:
    """A world with an index.

    Attributes:
        world: its name.
        index: its kind, one of `INDEXES`.
        texts: of the index.
        goals: of each.
        understood: what the assistant understands, in the index or not.
        made: the requests.
    """

    world: str
    index: str
    texts: list[str]
    goals: list[str]
    understood: dict[str, str]
    made: Sequence[Made]


def scene(corpus: Corpus, index: str, seed: int) -> Scene:
    """Draw an index of a kind."""
    rng = np.random.default_rng([seed, INDEXES.index(index)])
    texts = list(corpus.understood)
    if index != "catalog":
        goals = sorted(set(corpus.understood.values()))
        gone = {goals[i] for i in rng.permutation(len(goals))[: len(goals) // 10]}
        texts = [text for text in texts if corpus.understood[text] not in gone and rng.random() >= 0.2]
    if index == "small":
        texts = [texts[i] for i in sorted(rng.permutation(len(texts))[:SMALL].tolist())]
    return Scene(corpus.name, index, texts, [corpus.understood[t] for t in texts], corpus.understood, corpus.made)


def slurp(_seed: int) -> Corpus:
    """SLURP: sentences read aloud, heard by a real recogniser."""
    path = DATA / "slurp" / "recordings_asr.parquet"
    made = []
    for sentence, intent, entities, heard in _query(path, "sentence, intent, entities, asr_text", "asr_text", "slurp_id, file"):
        said = normalise(sentence)
        made.append(Made(normalise(heard), said, goal_of(said, intent, json.loads(entities))))
    return Corpus("slurp", {m.said: m.goal for m in made}, made)


def home_spoken(_seed: int) -> Corpus:
    """Home commands by synthesised voices, heard by a real recogniser."""
    rows = _query(DATA / "home_spoken" / "recordings.parquet", "heard, said, goal", "heard", "speaker, said, take")
    made = [Made(normalise(heard), normalise(said), goal) for heard, said, goal in rows]
    return Corpus("home_spoken", {m.said: m.goal for m in made}, made[::3])


def dstc2(_seed: int) -> Corpus:
    """DSTC2: phone calls to a restaurant assistant. Nothing may be fitted on it."""
    path, columns = DATA / "dstc2" / "turns.parquet", "asr_live_nbest, transcription, true_semantics"
    made: list[Made] = []
    means: dict[str, Counter[str]] = {}
    for nbest, said, semantics in _query(path, columns, "transcription", "dialogue_id, turn_index"):
        acts, hearings = json.loads(semantics), json.loads(nbest)
        if asked(acts) and hearings and hearings[0][0]:
            made.append(Made(normalise(hearings[0][0]), normalise(said), written(acts)))
            means.setdefault(made[-1].said, Counter())[made[-1].goal] += 1
    understood = {said: goals.most_common(1)[0][0] for said, goals in means.items() if goals.total() >= 2}
    return Corpus("dstc2", understood, [m for m in made if understood.get(m.said, m.goal) == m.goal])


def simulated_home(seed: int) -> Corpus:
    """The simulated home, heard through the noisy text channel."""
    return _simulated("simulated_home", phrase_world(seed, setting="noisy", misrouted=0, refused=0, guessed=0), seed)


def media(seed: int) -> Corpus:
    """The simulated media assistant, heard through the noisy text channel."""
    return _simulated("media", media_world(seed, setting="noisy", misrouted=0, refused=0, guessed=0), seed)


def typed(seed: int) -> Corpus:
    """Requests of banking77 and clinc150, mistyped."""
    rng = np.random.default_rng([seed, 3])
    every = [(name, row) for name in ("banking77", "clinc150") for row in lines(name)]
    rows = [(normalise(row["text"]), f"{name}: {row['intent']}") for name, row in every if row["intent"] != "oos"]
    understood = dict(rows[i] for i in rng.permutation(len(rows))[:2000].tolist())
    return Corpus("typed", understood, [Made(mistype(text, TYPING_RATE, rng), text, goal) for text, goal in understood.items()])


WORLDS: dict[str, Callable[[int], Corpus]] = {
    "slurp": slurp, "home_spoken": home_spoken, "dstc2": dstc2, "simulated_home": simulated_home, "media": media, "typed": typed,
}  # fmt: skip


def other_domains() -> dict[str, list[str]]:
    """Return requests of other domains than the worlds that are fitted on, by data set; of the wider sets only such parts."""
    parts: dict[str, tuple[str, tuple[str, ...]]] = {
        "clinc150": ("domain", ("banking", "credit_cards", "work", "auto_and_commute")),
        "snips_nlu": ("intent", ("BookRestaurant", "RateBook", "SearchScreeningEvent")),
    }
    found = {"banking77": [normalise(row["text"]) for row in lines("banking77")]}
    return found | {
        name: [normalise(r["text"]) for r in lines(name) if r[key] in values] for name, (key, values) in parts.items()
    }


def out_of_scope() -> list[str]:
    """Return the 1,200 sentences of clinc150 that are outside of everything; never fitted on."""
    return [normalise(r["text"]) for r in lines("clinc150") if r["intent"] == "oos"]


def lines(name: str) -> Iterator[dict[str, Any]]:
    """Read one of the text data sets."""
    with gzip.open(DATA / name / "utterances.jsonl.gz", "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def _simulated(name: str, world: World, seed: int) -> Corpus:
    made = [Made(r.heard, r.said, r.goal) for r in requests(world, n=SIMULATED, seed=seed, start=START)]
    phrases = {text: goal for goal, texts in world.goals.items() for text in texts}
    return Corpus(name, phrases, [m for m in made if phrases.get(m.said) == m.goal])


def _query(path: Path, columns: str, present: str, order: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        sql = f"SELECT {columns} FROM read_parquet(?) WHERE {present} <> '' ORDER BY {order}"
        return con.execute(sql, [str(path)]).fetchall()
