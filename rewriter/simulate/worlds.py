"""Worlds ready to use: Home Assistant's parser, a strict phrase assistant, and recordings of real speech recognition."""

import csv
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from rapidfuzz.process import extractOne

from rewriter.errors import LogError
from rewriter.simulate.assistants import Assistant, HomeAssistant, Misrouting, PhraseAssistant
from rewriter.simulate.channels import Recording, RecordingChannel, read_recordings
from rewriter.simulate.household import Household, Phrase
from rewriter.simulate.textchannel import TextChannel
from rewriter.simulate.users import Behaviour, people
from rewriter.simulate.world import Split, World, split_of
from rewriter.text import normalise

MISROUTED = 0.03
"""Share of the phrases that an assistant takes for something else."""
REFUSED = 0.03
"""Share of the phrases that an assistant ought to know and does not."""
KEPT_BACK = 0.25
"""Share of the recordings that are kept for judging, beside all of withheld people and phrases."""

Goals = dict[str, tuple[str, ...]]


def home_world(
    seed: int = 0,
    *,
    setting: str = "normal",
    n_users: int = 120,
    language: str = "en",
    behaviour: Behaviour | None = None,
    misrouted: float = MISROUTED,
    refused: float = REFUSED,
) -> World:
    """Return a home with Home Assistant's own parser, heard through a text channel.

    Args:
        seed: of people, split, faults and the speakers' errors.
        setting: of the channel: ``quiet``, ``normal`` or ``noisy``.
        n_users: how many people.
        language: of the household and the parser; the package has ``en`` and ``de``.
        behaviour: how people act; None for the defaults.
        misrouted: share of the phrases that are understood as something else.
        refused: share of the phrases that are not understood.

    Raises:
        ConfigError: there is no household of this language, or no such setting.
        MissingExtraError: hassil or home-assistant-intents is not installed.
    """
    home = Household.of(language)
    assistant = _home_assistant(language)
    return text_world(
        assistant,
        list(home.phrases()),
        seed=seed,
        name=f"home {language}, {setting}",
        setting=setting,
        n_users=n_users,
        locale=language,
        general=None if language == "en" else assistant.vocabulary(),
        rooms=home.areas,
        stop=home.stop,
        behaviour=behaviour,
        misrouted=misrouted,
        refused=refused,
    )


def phrase_world(
    seed: int = 0,
    *,
    setting: str = "normal",
    n_users: int = 120,
    behaviour: Behaviour | None = None,
    misrouted: float = MISROUTED,
    refused: float = REFUSED,
) -> World:
    """Return the same home with an assistant that knows its phrases word by word, which is much faster.

    The arguments are those of `home_world`.
    """
    home = Household.of("en")
    phrases = list(home.phrases())
    table = {phrase.text: phrase.meaning for phrase in phrases}
    return text_world(
        PhraseAssistant(table | ({home.stop: "stop"} if home.stop else {})),
        phrases,
        seed=seed,
        name=f"phrases, {setting}",
        setting=setting,
        n_users=n_users,
        rooms=home.areas,
        stop=home.stop,
        behaviour=behaviour,
        misrouted=misrouted,
        refused=refused,
    )


def text_world(
    assistant: Assistant,
    phrases: Sequence[Phrase],
    *,
    seed: int = 0,
    name: str = "text",
    setting: str = "normal",
    n_users: int = 120,
    locale: str = "en",
    general: Iterable[str] | None = None,
    rooms: Sequence[str] = ("kitchen", "living room", "bedroom"),
    stop: str | None = None,
    behaviour: Behaviour | None = None,
    misrouted: float = 0.0,
    refused: float = 0.0,
) -> World:
    """Return a world around any assistant, heard through a text channel; the way to plug in one's own NLU.

    Args:
        assistant: the NLU.
        phrases: what people say. A goal is what the assistant makes of the phrase; one that it refuses is left out.
        seed: of people, split, faults and the speakers' errors.
        name: of the world.
        setting: of the channel: ``quiet``, ``normal`` or ``noisy``.
        n_users: how many people.
        locale: BCP 47 locale of the log.
        general: words that may be misheard though no phrase has them; None for the package's English list.
        rooms: where devices stand.
        stop: what people say to call something off; None where nobody does.
        behaviour: how people act; None for the defaults.
        misrouted: share of the phrases that are made to be understood as something else.
        refused: share of the phrases that are made to be refused.

    Raises:
        ConfigError: there is no such setting.

    Example:
        >>> nlu = PhraseAssistant({"lights on": "on", "turn on the lights": "on", "lights off": "off"})
        >>> world = text_world(nlu, [Phrase(text, "", {}) for text in ("lights on", "turn on the lights", "lights off")])
        >>> world.goals
        {'on': ('lights on', 'turn on the lights'), 'off': ('lights off',)}
    """
    meant = [(phrase, goal) for phrase in phrases if (goal := assistant.understand(phrase.text))]
    goals = _by_goal((phrase.text, goal) for phrase, goal in meant)
    owned = {goal: phrase.owned for phrase, goal in meant}
    acts = behaviour or Behaviour()
    users = people(goals, n_users, seed=seed, behaviour=acts, owned=owned, rooms=rooms)
    split = split_of(goals, users, seed=seed)
    faulty = Misrouting(assistant, faults(goals, split, seed=seed, misrouted=misrouted, refused=refused))
    words = {word for phrase, _ in meant for word in phrase.text.split()}
    channel = TextChannel(words, general=general, setting=setting, locale=locale, seed=seed)
    return World(name, locale, faulty, goals, users, channel, channel, acts, split, stop)


def recorded_world(
    recordings: Path,
    phrases: Path,
    *,
    seed: int = 0,
    n_users: int = 120,
    assistant: Assistant | None = None,
    behaviour: Behaviour | None = None,
) -> World:
    """Return a world in which people are heard as in recordings, each of them used once.

    People share the voices of the recordings; a quarter of the recordings is kept for judging.

    Args:
        recordings: Parquet table, see `read_recordings`.
        phrases: CSV table with the columns ``said`` and ``goal``.
        seed: of people and split.
        n_users: how many people.
        assistant: the NLU; a goal is then what it makes of the clean phrase, and phrases it refuses are left out. None for
            one that knows the phrases word by word, with the goals of the table.
        behaviour: how people act; None for the defaults.

    Raises:
        LogError: a table cannot be read, or lacks a column.
    """
    table = read_phrases(phrases)
    nlu = assistant or PhraseAssistant(table)
    goals = _by_goal((text, goal) for text in table if (goal := nlu.understand(text)))
    heard = read_recordings(recordings)
    acts = behaviour or Behaviour()
    voices = sorted({r.speaker for r in heard})
    users = people(goals, n_users, seed=seed, behaviour=acts, speakers=voices)
    split = split_of(goals, users, seed=seed)
    log, judging = _deal(heard, split, {u.speaker for u in users if u.user_id in split.users}, seed)
    return World("recordings", "en", nlu, goals, users, RecordingChannel(log), RecordingChannel(judging), acts, split)


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


@cache
def _home_assistant(language: str) -> HomeAssistant:
    """Return the one parser of a language, so that what it has parsed serves every world of the process."""
    return HomeAssistant(language=language)


def faults(goals: Goals, split: Split, *, seed: int, misrouted: float, refused: float) -> dict[str, str | None]:
    """Draw phrases that an assistant gets wrong, whoever says them however clearly.

    Each goal keeps a phrase that works. A misrouted phrase is taken for the goal, not withheld from the log, whose phrase
    looks most like it.

    Args:
        goals: goal -> phrases.
        split: what the log withholds.
        seed: of the draw.
        misrouted: share of all phrases.
        refused: share of all phrases.

    Returns:
        Phrase -> the wrong goal, None where the phrase is refused; a table for `Misrouting`.
    """
    rng = np.random.default_rng([seed, 4])
    every = [(goal, phrase) for goal, phrases in goals.items() for phrase in phrases]
    known = {phrase: goal for goal, phrase in every if goal not in split.goals}
    working = {goal: len(phrases) for goal, phrases in goals.items()}
    table: dict[str, str | None] = {}
    n_misrouted, n_refused = round(misrouted * len(every)), round(refused * len(every))
    for i in rng.permutation(len(every)):
        goal, phrase = every[i]
        if len(table) == n_misrouted + n_refused:
            break
        if working[goal] > 1:
            working[goal] -= 1
            others = [p for p, g in known.items() if g != goal]
            table[phrase] = known[extractOne(phrase, others)[0]] if len(table) < n_misrouted else None
    return table


def _by_goal(pairs: Iterable[tuple[str, str]]) -> Goals:
    goals: dict[str, list[str]] = {}
    for text, goal in pairs:
        goals.setdefault(goal, []).append(text)
    return {goal: tuple(dict.fromkeys(texts)) for goal, texts in goals.items()}


def _deal(heard: list[Recording], split: Split, voices: set[str], seed: int) -> tuple[list[Recording], list[Recording]]:
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
