"""Reads the recordings of `../shared/data` for the benchmarks of retrieval, split into a part to learn from and a part to judge.

A *probe* is a recording that was misheard as a text which is not a query. Any query that means what was said is a right answer.
Two fifths of the goals were used while the encoders were designed; the probes are of the other three fifths.
"""

import gzip
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import pandas as pd

from rewriter.text import normalise

DATA = Path(__file__).parents[2] / "shared" / "data"
TAUGHT = 0.75  # of the goals: the share whose misheard recordings may train


@dataclass(frozen=True, slots=True)
class SpokenRecording:
    """One thing said and heard.

    Attributes:
        said: normalised.
        hearings: normalised, best first.
        goal: what it means.
        group: what the split is by: a voice, a take.
    """

    said: str
    hearings: tuple[str, ...]
    goal: str
    group: str


@dataclass(frozen=True, slots=True)
class ProbeSplit:
    """A part to learn from and a part to judge.

    Attributes:
        queries: text -> goal, what the index holds.
        rephrases: (what was heard, what was meant), from the part to learn from.
        probes: from the part to judge.
        taught: the goals that the rephrases are about.
    """

    queries: dict[str, str]
    rephrases: list[tuple[str, str]]
    probes: list[SpokenRecording]
    taught: frozenset[str]


def home(seed: int) -> ProbeSplit:
    """`home_spoken`: one voice is judged, the phrases heard right by the other three are the queries."""
    rows = pd.read_parquet(DATA / "home_spoken" / "recordings.parquet")
    recordings = [
        SpokenRecording(normalise(said), _normal([heard, *json.loads(nbest)]), goal, speaker.split("-")[0])
        for said, heard, nbest, goal, speaker in zip(rows.said, rows.heard, rows.nbest, rows.goal, rows.speaker, strict=True)
    ]
    voices = sorted({r.group for r in recordings})
    judged = voices[seed % len(voices)]
    learned = [r for r in recordings if r.group != judged]
    queries = {r.said: r.goal for r in learned if r.said == r.hearings[0]}
    return _split(queries, learned, [r for r in recordings if r.group == judged], seed)


def slurp(seed: int) -> ProbeSplit:
    """`slurp`: half of the takes are judged; the queries are all its sentences."""
    rows = pd.read_parquet(DATA / "slurp" / "recordings_asr.parquet")
    rows = rows[rows.asr_text.notna() & (rows.intent != "general_quirky")]
    recordings = [
        SpokenRecording(
            normalise(said),
            _normal([heard]),
            _goal(intent, json.loads(entities)),
            file.removesuffix(".flac").removesuffix("-headset"),
        )
        for said, heard, intent, entities, file in zip(
            rows.sentence, rows.asr_text, rows.intent, rows.entities, rows.file, strict=True
        )
    ]
    takes = sorted({r.group for r in recordings})
    judged = set(random.Random(seed).sample(takes, len(takes) // 2))
    meaningful = [s for s in sentences() if s["intent"] != "general_quirky"]
    queries = {normalise(s["sentence"]): _goal(s["intent"], s["entities"]) for s in meaningful}
    return _split(queries, [r for r in recordings if r.group not in judged], [r for r in recordings if r.group in judged], seed)


SPLITS = {"home_spoken": home, "slurp": slurp}


def sentences() -> list[dict[str, Any]]:
    """The sentences of `slurp`, with their annotation."""
    with gzip.open(DATA / "slurp" / "sentences.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def is_judged(goal: str) -> bool:
    """Whether a goal is one of the three fifths that nothing was designed on."""
    return crc32(goal.encode()) % 5 >= 2


def _split(queries: dict[str, str], learned: list[SpokenRecording], judged: list[SpokenRecording], seed: int) -> ProbeSplit:
    goals = sorted({r.goal for r in learned})
    taught = frozenset(random.Random(seed).sample(goals, round(TAUGHT * len(goals))))
    meant = set(queries.values())
    return ProbeSplit(
        queries,
        [(r.hearings[0], r.said) for r in learned if r.goal in taught and r.said in queries and _misheard(r, queries)],
        [r for r in judged if r.goal in meant and is_judged(r.goal) and _misheard(r, queries)],
        taught,
    )


def _misheard(recording: SpokenRecording, queries: dict[str, str]) -> bool:
    return recording.hearings[0] not in ("", recording.said) and recording.hearings[0] not in queries


def _normal(hearings: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(normalise(hearing) for hearing in hearings))


def _goal(intent: str, entities: list[dict[str, str]]) -> str:
    return f"{intent}|{sorted((e['type'], e['filler']) for e in entities)}"
