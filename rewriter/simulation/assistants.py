"""`Assistant`: the interface of an NLU, one method; and the assistants that come with the package.

A `Household` holds the names, words and phrases of a home, as data.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from zlib import crc32

from rapidfuzz.distance import Indel
from rapidfuzz.process import extractOne

from rewriter.errors import ConfigError, MissingExtraError
from rewriter.model.hypothesis import hypothesis
from rewriter.text import normalise

_HERE = Path(__file__).parent
SLOT = re.compile(r"{(\w+)}")


class Phrase(NamedTuple):
    """Something that people say.

    Attributes:
        text: the words, normalised.
        meaning: what they want by it: an intent of the household and its slots. An assistant may understand it otherwise.
        owned: kind -> thing, if the phrase mentions something that not everybody has.
    """

    text: str
    meaning: str
    owned: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Household:
    """A home.

    Attributes:
        language: of its people.
        areas: rooms.
        floors: storeys.
        names: Home Assistant domain -> names of the things in it.
        words: slot of the phrases -> what people put there.
        personal: kind of ownership -> the slots and domains of the things that not everybody has.
        asked: the phrase templates, ``intent``, ``say`` and the domains that ``{it}`` stands for.
        stop: what people say to call something off.
    """

    language: str
    areas: tuple[str, ...]
    floors: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]]
    words: Mapping[str, tuple[str, ...]]
    personal: Mapping[str, tuple[str, ...]]
    asked: tuple[Mapping[str, Any], ...]
    stop: str | None

    @classmethod
    def of(cls, language: str) -> "Household":
        """Return the household that comes with the package.

        Raises:
            ConfigError: there is none for this language.
        """
        path = _HERE / f"home.{language}.json"
        if not path.exists():
            there = sorted(p.name.split(".")[1] for p in _HERE.glob("home.*.json"))
            raise ConfigError(f"no household speaks {language!r}; there are {', '.join(there)}: write one as JSON and read it")
        return cls.from_json(path)

    @classmethod
    def from_json(cls, path: Path) -> "Household":
        """Read a household from a file like `home.en.json`.

        Raises:
            ConfigError: the file cannot be read, or a part is missing.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                data["language"],
                tuple(data["areas"]),
                tuple(data["floors"]),
                {domain: tuple(names) for domain, names in data["names"].items()},
                {slot: tuple(words) for slot, words in data["words"].items()},
                {kind: tuple(slots) for kind, slots in data["personal"].items()},
                tuple(data["phrases"]),
                data.get("stop"),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"cannot read household {path}: {type(error).__name__} {error}") from error

    def phrases(self) -> Iterator[Phrase]:
        """Yield every phrase once, in the order of the templates. A text with two meanings gets the first."""
        seen: set[str] = set()
        for template in self.asked:
            slots = sorted({slot for say in template["say"] for slot in SLOT.findall(say)})
            for filling in product(*(self._fillings(slot, template) for slot in slots)):
                values = {slot: value for slot, (_, value) in zip(slots, filling, strict=True)}
                meaning = hypothesis(template["intent"], values)
                owned = {kind: value for source, value in filling for kind in self.personal if source in self.personal[kind]}
                for say in template["say"]:
                    text = normalise(say.format(**values))
                    if text not in seen:
                        seen.add(text)
                        yield Phrase(text, meaning, owned)

    def _fillings(self, slot: str, template: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return (origin, value) for everything that can fill a slot."""
        if slot == "it":
            return [(domain, name) for domain in template["it"] for name in self.names[domain]]
        values = {"area": self.areas, "floor": self.floors, **self.words}[slot]
        return [(slot, value) for value in values]


class Assistant(Protocol):
    """An NLU: returns a hypothesis for a text, or refuses it."""

    def understand(self, text: str) -> str | None:
        """Return the hypothesis of a text, None for "I don't understand".

        A hypothesis is ``Intent|slot=value|…`` with the slots in alphabetical order (`rewriter.model.hypothesis`). The same
        text always gets the same hypothesis.
        """


class PhraseAssistant:
    """Understands exactly the phrases of a table and refuses all others.

    Args:
        table: phrase -> hypothesis.

    Example:
        >>> PhraseAssistant({"Lights on!": "on"}).understand("lights on")
        'on'
    """

    def __init__(self, table: Mapping[str, str]) -> None:
        self._table = {normalise(phrase): found for phrase, found in table.items()}

    def understand(self, text: str) -> str | None:
        """Return the hypothesis of the phrase, None if it is not in the table."""
        return self._table.get(normalise(text))


class Misrouting:
    """An assistant with injected faults: it understands some texts as something else, or refuses them.

    Args:
        assistant: the assistant without them.
        table: text -> the wrong hypothesis, None where the text is refused.
    """

    def __init__(self, assistant: Assistant, table: Mapping[str, str | None]) -> None:
        self._assistant = assistant
        self._table = {normalise(text): found for text, found in table.items()}

    def understand(self, text: str) -> str | None:
        """Return the injected hypothesis, else that of the assistant."""
        query = normalise(text)
        return self._table[query] if query in self._table else self._assistant.understand(text)


class Guessing:
    """An assistant that guesses: it takes a share of the unknown texts for the most similar phrase.

    A wrong guess is a failure without a refusal. Whether it guesses depends only on the text, so the same text always gets the
    same answer.

    Args:
        assistant: the assistant that would refuse.
        phrases: phrase, normalised -> hypothesis.
        share: share of the refused texts that are guessed at, 0..1.
        alike: a text less similar than this to every phrase stays refused (normalised Indel similarity, 0..1).
    """

    def __init__(self, assistant: Assistant, phrases: Mapping[str, str], share: float, *, alike: float = 0.6) -> None:
        self._assistant = assistant
        self._phrases = dict(phrases)
        self._texts = list(phrases)
        self._share = share
        self._alike = alike
        self._guesses: dict[str, str | None] = {}

    def understand(self, text: str) -> str | None:
        """Return the hypothesis of the assistant, else possibly that of the most similar phrase."""
        understood = self._assistant.understand(text)
        if understood is not None:
            return understood
        query = normalise(text)
        if query not in self._guesses:
            self._guesses[query] = self._guess(query)
        return self._guesses[query]

    def _guess(self, query: str) -> str | None:
        if crc32(query.encode("utf-8", "surrogatepass")) / 2**32 >= self._share:
            return None
        best = extractOne(query, self._texts, scorer=Indel.normalized_similarity, score_cutoff=self._alike)
        return self._phrases[best[0]] if best else None


class HomeAssistant:
    """Home Assistant's own parser (hassil) and sentences (home-assistant-intents), with the names of a household.

    It is strict: a text must match a whole sentence, or it is refused. The room of the speaker plays no part. A parse takes some
    milliseconds and is cached.

    Args:
        household: the names; None for the package's household of the language.
        language: one of `home_assistant_intents.get_languages()`.

    Raises:
        MissingExtraError: hassil or home-assistant-intents is not installed.
        ConfigError: the language is unknown.

    Example:
        >>> HomeAssistant().understand("turn off the desk lamp")
        'HassTurnOff|name=desk lamp'
    """

    def __init__(self, household: Household | None = None, *, language: str = "en") -> None:
        try:
            from hassil import Intents, TextSlotList, recognize_best  # noqa: PLC0415 - an optional tier
            from home_assistant_intents import get_intents  # noqa: PLC0415
        except ImportError as error:
            cure = "pip install 'rewriter[learn]'"
            raise MissingExtraError(f"the Home Assistant world needs hassil and home-assistant-intents: {cure}") from error
        sentences = get_intents(language)
        if sentences is None:
            raise ConfigError(f"Home Assistant has no sentences in {language!r}")
        home = household or Household.of(language)
        self._sentences = sentences
        self._language = language
        names = [(name, name, {"domain": domain}) for domain, names in home.names.items() for name in names]
        self._lists: dict[str, Any] = {
            "name": TextSlotList.from_tuples(names, name="name"),
            "area": TextSlotList.from_tuples([(area, area) for area in home.areas], name="area"),
            "floor": TextSlotList.from_tuples([(floor, floor) for floor in home.floors], name="floor"),
        }
        self._intents = Intents.from_dict(self._sentences)
        self._recognise = recognize_best
        self._parses: dict[str, str | None] = {}

    def understand(self, text: str) -> str | None:
        """Return intent and slots, None where no sentence matches."""
        query = normalise(text)
        if query not in self._parses:
            self._parses[query] = self._parse(query)
        return self._parses[query]

    def vocabulary(self) -> frozenset[str]:
        """Return the words of all sentences of the language, without the names of the household."""
        groups = (group for intent in self._sentences["intents"].values() for group in intent["data"])
        templates = [text for group in groups for text in group["sentences"]] + list(self._sentences["expansion_rules"].values())
        texts = (re.sub(r"<[^<>]*>|{[^{}]*}|[()\[\]|;]", " ", text) for text in templates)
        return frozenset(word for text in texts for word in normalise(text).split() if len(word) > 1)

    def _parse(self, query: str) -> str | None:
        found = self._recognise(query, self._intents, slot_lists=self._lists, language=self._language, best_slot_name="name")
        if found is None:
            return None
        slots = {name: str(entity.value).strip() for name, entity in found.entities.items()}
        return hypothesis(found.intent.name, slots)
