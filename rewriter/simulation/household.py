"""`Household`: the names, words and phrases of a home, as data."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from rewriter.errors import ConfigError
from rewriter.model.hypothesis import hypothesis
from rewriter.text import normalise

_HERE = Path(__file__).parent
SLOT = re.compile(r"{(\w+)}")


class Phrase(NamedTuple):
    """Something that people say.

    Attributes:
        text: the words, normalised.
        meaning: what they want by it, an intent of the household and its slots; not yet what an assistant makes of it.
        owned: kind -> thing, where the phrase mentions what not everybody has.
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
        personal: kind of ownership -> the slots and domains whose things not everybody has.
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
        """Yield every phrase once, in the order of the templates; a text that means two things goes to the first."""
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
        """Return (where it comes from, value) for everything that can stand in a slot."""
        if slot == "it":
            return [(domain, name) for domain in template["it"] for name in self.names[domain]]
        values = {"area": self.areas, "floor": self.floors, **self.words}[slot]
        return [(slot, value) for value in values]
