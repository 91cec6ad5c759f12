"""`sentence_world`: people who type the sentences that native speakers wrote for an assistant, in any of 23 locales."""

from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np

from rewriter.simulation.assistants import Guessing, Misrouting, PhraseAssistant
from rewriter.simulation.channels import Heard
from rewriter.simulation.textchannel import TextChannel
from rewriter.simulation.users import Behaviour, people, shares_said
from rewriter.simulation.world import World, split_of
from rewriter.simulation.worlds import by_goal, faults
from rewriter.text import normalise, unspaced
from worlds.typing_errors import Keyboard, keyboard_of, mistype

SENTENCES = Path(__file__).parents[3] / "shared" / "data" / "ha_sentences" / "sentences.parquet"
TYPING_RATE = 0.03
"""Errors per letter: about every other sentence has one, as in hurried messages on a phone."""
GUESSED = 0.2
"""Share of the unknown texts that the assistant takes for the most similar sentence, so that some failures are silent."""
MISROUTED, REFUSED = 0.03, 0.03
"""Shares of the requests whose sentence is misunderstood, and refused, however it is typed."""


@dataclass(frozen=True, slots=True)
class TypingChannel:
    """Delivers what people type, with their errors. It has one hearing, and its confidence says nothing."""

    rate: float
    keyboard: Keyboard = field(default_factory=lambda: keyboard_of("en"))

    def hear(self, said: str, speaker: str, rng: np.random.Generator) -> Heard:  # noqa: ARG002 - all type alike
        """Return the text as it was typed."""
        typed = unspaced(normalise(mistype(unspaced(said), self.rate, rng, self.keyboard)) or said)
        return Heard(typed, (typed,), 1.0)


def sentence_world(
    locale: str, *, seed: int = 0, n_users: int = 60, path: Path = SENTENCES, rate: float = TYPING_RATE, spoken: bool = False
) -> World:
    """Return a world of one locale. A tenth of its goals and a fifth of its sentences never occur in its log.

    Args:
        locale: one that the table has.
        seed: of people, split, faults and errors.
        n_users: how many people.
        path: table with the columns locale, text, intent and slots.
        rate: typing errors per letter.
        spoken: whether people speak, and are misheard by the sounds of the locale, and do not type.
    """
    sql = "SELECT text, intent, slots FROM read_parquet(?) WHERE locale = ? ORDER BY ALL"
    with duckdb.connect() as con:
        rows = [
            (normalise(text), f"{intent}|{slots}") for text, intent, slots in con.execute(sql, [str(path), locale]).fetchall()
        ]
    goals_of_text: dict[str, set[str]] = {}
    for text, goal in rows:
        goals_of_text.setdefault(text, set()).add(goal)
    table = {text: next(iter(goals)) for text, goals in goals_of_text.items() if len(goals) == 1}
    goals = by_goal((text, goal) for text, goal in table.items())
    behaviour = Behaviour()
    users = people(goals, n_users, seed=seed, behaviour=behaviour)
    split = split_of(goals, users, seed=seed)
    known = {text: goal for text, goal in table.items() if goal not in split.goals}
    wrong = faults(goals, split, shares_said(users, behaviour.habit), seed=seed, misrouted=MISROUTED, refused=REFUSED)
    assistant = Misrouting(Guessing(PhraseAssistant(table), known, GUESSED), wrong)
    channel: TextChannel | TypingChannel = TypingChannel(rate, keyboard_of(locale, table))
    if spoken:
        channel = TextChannel(table, general=(), locale=locale, seed=seed)
    return World(f"sentences {locale}", locale, assistant, goals, users, channel, channel, behaviour, split)
