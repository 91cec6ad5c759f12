"""`pack_of`: what is known of the language of a locale beside its words: its keyboard, and how its words sound and are typed.

The data is in ``locales.json``. A language that is not listed there works too: by its letters. Words of a language are in
``guardrail/words`` (numbers, opposites), ``model/phrases.json`` (what people say when they teach) and
``model/prior/<language>.phones.tsv`` (a table of phones). All are looked up by `language_of`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

_DEFAULT: Final = "qwerty"
_SUBTAGS = re.compile("[-_.@]")


@dataclass(frozen=True, slots=True)
class Pack:
    """What is known of a language.

    Attributes:
        language: ISO 639 code.
        keyboard: the letters of its keys, from the left, one text a row.
        sounds: how its words are turned into phonetic keys, ``metaphone`` or ``letters``.
        typed: ``letters`` if its letters are on the keys; ``romanised`` if people type Latin letters, which are converted.
    """

    language: str
    keyboard: tuple[str, ...]
    sounds: str = "letters"
    typed: str = "letters"


def language_of(locale: str) -> str:
    """Return the language of a locale, in lower case.

    Example:
        >>> language_of("de-AT"), language_of("pt_BR.UTF-8"), language_of("")
        ('de', 'pt', '')
    """
    return _SUBTAGS.split(locale, maxsplit=1)[0].lower()


@cache
def pack_of(language: str) -> Pack:
    """Return what is known of a language; the default where it is not listed.

    Args:
        language: as `language_of` returns it.

    Example:
        >>> pack_of("fr").keyboard[0], pack_of("tlh").keyboard[0], pack_of("ja").typed
        ('azertyuiop', 'qwertyuiop', 'romanised')
    """
    data = _data()
    known = dict(data["languages"].get(language, {}))
    return Pack(language, tuple(data["keyboards"][known.pop("keyboard", _DEFAULT)]), **known)


def listed() -> frozenset[str]:
    """Return the languages that are listed in ``locales.json``."""
    return frozenset(_data()["languages"])


@cache
def _data() -> Mapping[str, Any]:
    text = resources.files("rewriter").joinpath("locales.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data
