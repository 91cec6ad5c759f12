"""The worlds that can be simulated by name, and `simulate`, which writes the log of one of them.

A world function takes a seed, a channel setting and a number of users and returns a `World`. `home_world` is a home with Home
Assistant's own parser, `phrase_world` the same home with a table of phrases. `text_world` builds a world around any assistant.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from rapidfuzz.process import extractOne

from rewriter.errors import ConfigError
from rewriter.simulation.assistants import Assistant, Guessing, HomeAssistant, Household, Misrouting, Phrase, PhraseAssistant
from rewriter.simulation.dialogue import simulate_days
from rewriter.simulation.textchannel import TextChannel
from rewriter.simulation.turn import Turn, write_log
from rewriter.simulation.users import Behaviour, people, shares_said
from rewriter.simulation.world import Withheld, World, split_of

MISROUTED = 0.05
"""Share of the requests that the assistant understands as something else, however clearly they are said."""
REFUSED = 0.03
"""Share of the requests that the assistant refuses although it should understand them."""
GUESSED = 0.3
"""Share of the unknown texts that a phrase assistant takes for the most similar phrase."""
GUESSED_AT_HOME = 0.2
"""The same for Home Assistant; it is lower because its wildcards already cause wrong hypotheses."""

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
    guessed: float = GUESSED_AT_HOME,
) -> World:
    """Return a home with Home Assistant's own parser and a text channel.

    Args:
        seed: of people, split, faults and the speakers' errors.
        setting: of the channel: ``quiet``, ``normal`` or ``noisy``.
        n_users: how many people.
        language: of the household and the parser; the package has ``en`` and ``de``.
        behaviour: how people act; None for the defaults.
        misrouted: share of the requests whose phrase is understood as something else.
        refused: share of the requests whose phrase is not understood.
        guessed: share of the other texts not understood that are taken for the phrase most alike.

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
        guessed=guessed,
    )


def phrase_world(
    seed: int = 0,
    *,
    setting: str = "normal",
    n_users: int = 120,
    behaviour: Behaviour | None = None,
    misrouted: float = MISROUTED,
    refused: float = REFUSED,
    guessed: float = GUESSED,
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
        guessed=guessed,
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
    guessed: float = 0.0,
) -> World:
    """Return a world around any assistant, for example your own NLU, with a text channel.

    Args:
        assistant: the NLU.
        phrases: what people say. A goal is what the assistant makes of the phrase; one that it refuses is left out.
        seed: of people, split, faults and the speakers' errors.
        name: of the world.
        setting: of the channel: ``quiet``, ``normal`` or ``noisy``.
        n_users: how many people.
        locale: BCP 47 locale of the log.
        general: further words that may be heard, which no phrase has; None for the package's English list.
        rooms: where devices stand.
        stop: what people say to call something off; None where nobody does.
        behaviour: how people act; None for the defaults.
        misrouted: share of the requests whose phrase is made to be understood as something else.
        refused: share of the requests whose phrase is made to be refused.
        guessed: share of the other texts refused that are taken for the phrase most alike.

    Raises:
        ConfigError: there is no such setting.

    Example:
        >>> nlu = PhraseAssistant({"lights on": "on", "turn on the lights": "on", "lights off": "off"})
        >>> world = text_world(nlu, [Phrase(text, "", {}) for text in ("lights on", "turn on the lights", "lights off")])
        >>> world.goals
        {'on': ('lights on', 'turn on the lights'), 'off': ('lights off',)}
    """
    meant = [(phrase, goal) for phrase in phrases if (goal := assistant.understand(phrase.text))]
    goals = by_goal((phrase.text, goal) for phrase, goal in meant)
    owned = {goal: phrase.owned for phrase, goal in meant}
    acts = behaviour or Behaviour()
    users = people(goals, n_users, seed=seed, behaviour=acts, owned=owned, rooms=rooms)
    split = split_of(goals, users, seed=seed)
    table = {phrase.text: goal for phrase, goal in meant if goal not in split.goals}
    wrong = faults(goals, split, shares_said(users, acts.habit), seed=seed, misrouted=misrouted, refused=refused)
    faulty = Misrouting(Guessing(assistant, table, guessed), wrong)
    texts = [phrase.text for phrase, _ in meant]
    channel = TextChannel(texts, general=general, setting=setting, locale=locale, seed=seed)
    return World(name, locale, faulty, goals, users, channel, channel, acts, split, stop)


@cache
def _home_assistant(language: str) -> HomeAssistant:
    """Return the parser of a language. All worlds of the process share it and its cache."""
    return HomeAssistant(language=language)


def faults(
    goals: Goals, split: Withheld, said: Mapping[str, float], *, seed: int, misrouted: float, refused: float
) -> dict[str, str | None]:
    """Draw phrases that an assistant misunderstands, whoever says them.

    Each goal keeps a phrase that works. A misrouted phrase gets the goal, among those in the log, of the most similar phrase.

    Args:
        goals: goal -> phrases.
        split: what the log withholds.
        said: phrase -> share of all requests in which it is said, see `shares_said`.
        seed: of the draw.
        misrouted: largest share of all requests that is understood as something else.
        refused: largest share of all requests that is refused.

    Returns:
        Phrase -> the wrong goal, None where the phrase is refused; a table for `Misrouting`.
    """
    rng = np.random.default_rng([seed, 4])
    every = [(goal, phrase) for goal, phrases in goals.items() for phrase in phrases]
    known = {phrase: goal for goal, phrase in every if goal not in split.goals}
    working = {goal: len(phrases) for goal, phrases in goals.items()}
    left = {"misrouted": misrouted, "refused": refused}
    table: dict[str, str | None] = {}
    for i in rng.permutation(len(every)):
        goal, phrase = every[i]
        fault = max(left, key=lambda kind: left[kind])
        if working[goal] == 1 or not 0 < said.get(phrase, 0.0) <= left[fault]:
            continue
        working[goal] -= 1
        left[fault] -= said[phrase]
        others = [p for p, g in known.items() if g != goal]
        table[phrase] = known[extractOne(phrase, others)[0]] if fault == "misrouted" else None
    return table


def by_goal(pairs: Iterable[tuple[str, str]]) -> Goals:
    """Gather (phrase, goal) pairs: goal -> phrases, each once."""
    goals: dict[str, list[str]] = {}
    for text, goal in pairs:
        goals.setdefault(goal, []).append(text)
    return {goal: tuple(dict.fromkeys(texts)) for goal, texts in goals.items()}


def simulate(
    kind: str,
    out: Path,
    *,
    days: int = 10,
    users: int = 120,
    seed: int = 0,
    setting: str = "normal",
    start: date = date(2026, 1, 5),
    on_day: Callable[[date, int], None] | None = None,
) -> int:
    """Write the log of some days of a world, without a rewriter, as a file.

    The same arguments give the same rows.

    Args:
        kind: name in `WORLDS`: ``home`` (Home Assistant's parser), ``phrases`` (a strict phrase table, faster), or one that
            was registered there.
        out: file to write, see `write_log`.
        days: number of days.
        users: number of users; a fifth of them is kept out of the log.
        seed: of the world and its days.
        setting: of the speech channel: ``quiet``, ``normal`` or ``noisy``.
        start: the first day, UTC; a later one gives a later part of the same log.
        on_day: called after each day with its date and the number of its turns.

    Returns:
        The number of rows.

    Raises:
        ConfigError: `kind` or `setting` is unknown, there is no day or no user, or the days end after the year 9999.
        LogError: the file cannot be written.
    """
    if kind not in WORLDS:
        raise ConfigError(f"unknown world {kind!r}; choose one of {', '.join(WORLDS)}")
    if min(days, users) < 1:
        raise ConfigError(f"a log has at least 1 day and 1 user, such as 10 days of 120 users, not {days} days of {users} users")
    if start.toordinal() + days > date.max.toordinal():
        raise ConfigError(f"{days} days from {start} end after the year 9999; start earlier, such as on 2026-01-05")
    world = WORLDS[kind](seed, setting=setting, n_users=users)

    def turns() -> Iterator[Turn]:
        for n, day in enumerate(simulate_days(world, days=days, start=start, seed=seed)):
            if on_day:
                on_day(date.fromordinal(start.toordinal() + n), len(day))
            yield from day

    return write_log(turns(), out)


WORLDS: Final[dict[str, Callable[..., World]]] = {"home": home_world, "phrases": phrase_world}
"""Registry: name -> function that makes a world. `simulate` and the verb ``simulate`` take these names.

To register a world of your own, add its function, which is called with ``(seed, setting=..., n_users=...)``::

    WORLDS["office"] = office_world
"""
