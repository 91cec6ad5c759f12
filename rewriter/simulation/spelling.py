"""A world in which spelling matters: people spell in their own ways, and the assistant refuses some spellings of some texts."""

from dataclasses import replace
from typing import Final
from zlib import crc32

import numpy as np

from rewriter.simulation.assistants import Assistant
from rewriter.simulation.channels import Channel, Heard
from rewriter.simulation.world import World
from rewriter.text import normalise


def _hyphen(text: str) -> str:
    return "-".join(text.rsplit(" ", 1))


STYLES: Final = {"capital": str.capitalize, "names": str.title, "stop": lambda text: text + ".", "hyphen": _hyphen}
"""Ways to spell a text that all have the same normal form."""
_OWN = 0.6
"""Share of a person's requests that are spelled in that person's own way; the others are plain."""


class SpellingChannel:
    """A channel whose result is spelled as the speaker spells.

    Args:
        channel: hears what is spelled here.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def hear(self, said: str, speaker: str, rng: np.random.Generator) -> Heard | None:
        """Return what is heard, in the spelling of the speaker."""
        heard = self._channel.hear(said, speaker, rng)
        if heard is None or rng.random() >= _OWN:
            return heard
        spell = STYLES[_choice(speaker, list(STYLES))]
        return Heard(spell(heard.text), tuple(map(spell, heard.nbest)), heard.confidence)


class MindsSpelling:
    """An assistant that refuses one style of spelling for a share of all texts.

    Args:
        assistant: the assistant that reads all spellings alike.
        share: share of the texts of which it minds the spelling, 0..1.

    Example:
        >>> from rewriter.simulation.assistants import PhraseAssistant
        >>> strict = MindsSpelling(PhraseAssistant({"lamp on": "On"}), 1.0)
        >>> [strict.understand(spell("lamp on")) for spell in (str, *STYLES.values())].count(None)
        1
    """

    def __init__(self, assistant: Assistant, share: float) -> None:
        self._assistant, self._share = assistant, share

    def understand(self, text: str) -> str | None:
        """Return the hypothesis of a text; None where it is not understood, or its spelling is minded."""
        query = normalise(text)
        if crc32(f"minds {query}".encode("utf-8", "surrogatepass")) / 2**32 < self._share:
            style = STYLES[_choice(query, list(STYLES))]
            if text == style(query) != query:
                return None
        return self._assistant.understand(text)


def minding_spelling(world: World, share: float) -> World:
    """Return a world in which people spell in their own ways and the assistant minds it for a share of the texts."""
    return replace(
        world,
        assistant=MindsSpelling(world.assistant, share),
        channel=SpellingChannel(world.channel),
        judging=SpellingChannel(world.judging),
    )


def _choice(text: str, of: list[str]) -> str:
    return of[crc32(f"style {text}".encode("utf-8", "surrogatepass")) % len(of)]
