"""`recorded_world`: users whose requests are heard as in recordings, by a real recogniser."""

import csv
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from rewriter.errors import LogError
from rewriter.simulation.assistants import Assistant, Household, PhraseAssistant
from rewriter.simulation.channels import Recording, RecordingChannel, read_recordings
from rewriter.simulation.users import Behaviour, people
from rewriter.simulation.world import Withheld, World, split_of
from rewriter.simulation.worlds import by_goal
from rewriter.text import normalise

KEPT_BACK = 0.25
"""Share of the recordings that are kept for judging, beside all of withheld people and phrases."""

_SLOT = re.compile(r"(\w+)=([^|;]+)")
_DOMAINS = {  # what a phrase and its goal tell of the domain of a name; the first that matches
    "light": re.compile(r"HassLightSet"),
    "media_player": re.compile(r"HassMedia|HassSetVolume"),
    "climate": re.compile(r"HassClimate"),
    "vacuum": re.compile(r"HassVacuum"),
    "lock": re.compile(r"state=(un)?locked|(un)?lock "),
    "cover": re.compile(r"state=(open|closed)|HassSetPosition|(open|close) "),
}


def recorded_world(
    recordings: Path,
    phrases: Path,
    *,
    seed: int = 0,
    n_users: int = 120,
    assistant: Assistant | None = None,
    behaviour: Behaviour | None = None,
    again: bool = False,
) -> World:
    """Return a world in which people are heard as in recordings, each of which is heard once.

    A recogniser's scores order its hearings, and are rarely probabilities: a confidence of this world is the share of the
    recordings whose score is no higher.

    People share the voices of the recordings; a quarter of the recordings is kept for judging.

    Args:
        recordings: Parquet table, see `read_recordings`.
        phrases: CSV table with the columns ``said`` and ``goal``.
        seed: of people and split.
        n_users: how many people.
        assistant: the NLU; a goal is then what it makes of the clean phrase, and phrases it refuses are left out. None for
            one that knows the phrases word by word, with the goals of the table.
        behaviour: how people act; None for the defaults.
        again: whether the log may hear a recording any number of times, so that few recordings make a long log. Judging hears
            other ones, each once.

    Raises:
        LogError: a table cannot be read, or lacks a column.
    """
    table = read_phrases(phrases)
    nlu = assistant or PhraseAssistant(table)
    goals = by_goal((text, goal) for text in table if (goal := nlu.understand(text)))
    heard = _ranked(read_recordings(recordings))
    acts = behaviour or Behaviour()
    voices = sorted({r.speaker for r in heard})
    users = people(goals, n_users, seed=seed, behaviour=acts, speakers=voices)
    split = split_of(goals, users, seed=seed)
    log, judging = _deal(heard, split, {u.speaker for u in users if u.user_id in split.users}, seed)
    channels = RecordingChannel(log, again=again), RecordingChannel(judging)
    return World("recordings", "en", nlu, goals, users, *channels, acts, split)


def read_phrases(path: Path) -> dict[str, str]:
    """Read a CSV table of phrases: normalised ``said`` -> ``goal``.

    Raises:
        LogError: the file cannot be read, or lacks a column.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {normalise(row["said"]): row["goal"] for row in csv.DictReader(file)}
    except (OSError, UnicodeDecodeError, KeyError) as error:
        raise LogError(f"cannot read phrases {path}: {type(error).__name__} {error}") from error


def household_of(phrases: Mapping[str, str]) -> Household:
    """Return a household with the names, areas and floors that goals of Home Assistant mention.

    Args:
        phrases: English phrase -> goal, slots written ``name=value``. The domain of a name is guessed from what is asked of it;
            what nothing tells apart is a switch.
    """
    found: dict[str, set[str]] = {"name": set(), "area": set(), "floor": set()}
    domains: dict[str, str] = {}
    for phrase, goal in phrases.items():
        slots = dict(_SLOT.findall(goal))
        for slot in found.keys() & slots.keys():
            found[slot].add(slots[slot])
        guess = next((domain for domain, sign in _DOMAINS.items() if sign.match(phrase) or sign.search(goal)), None)
        if guess and "name" in slots:
            domains[slots["name"]] = guess
    names: dict[str, tuple[str, ...]] = {}
    for name in sorted(found["name"]):
        domain = domains.get(name, "switch")
        names[domain] = (*names.get(domain, ()), name)
    return Household("en", tuple(sorted(found["area"])), tuple(sorted(found["floor"])), names, {}, {}, (), None)


def _ranked(recordings: list[Recording]) -> list[Recording]:
    """Replace each confidence by the share of recordings that have no higher one."""
    scores = np.asarray([r.heard.confidence for r in recordings])
    shares = np.searchsorted(np.sort(scores), scores, side="right") / max(1, len(scores))
    return [r._replace(heard=replace(r.heard, confidence=float(c))) for r, c in zip(recordings, shares, strict=True)]


def _deal(heard: list[Recording], split: Withheld, voices: set[str], seed: int) -> tuple[list[Recording], list[Recording]]:
    """Part recordings into those of the log and those kept for judging."""
    rng = np.random.default_rng([seed, 5])
    groups: dict[tuple[str, str], list[Recording]] = {}
    for recording in heard:
        groups.setdefault((recording.speaker, recording.said), []).append(recording)
    log: list[Recording] = []
    judging: list[Recording] = []
    for (speaker, said), group in groups.items():
        kept = len(group) if speaker in voices or said in split.phrases else -int(-KEPT_BACK * len(group) // 1)
        order = [group[i] for i in rng.permutation(len(group))]
        judging += order[:kept]
        log += order[kept:]
    return log, judging
