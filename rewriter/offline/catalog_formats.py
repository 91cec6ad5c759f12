"""Readers of other assistants' training files, as rows of a catalog: Rasa, Alexa, Dialogflow and OVOS.

Each reader yields rows with the columns text, intent, slots and perhaps locale, and a `BadRow` for what it cannot use.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MOST_TEXTS: Final = 200
"""Texts that one sample may expand to. A sample with more is set aside: few of its texts would ever be said."""
_MOST_NESTED = 20  # brackets inside brackets
_RASA_HEAD = re.compile(r"(\s*)-\s*(intent|synonym|lookup|regex)\s*:\s*(.*)")
_RASA_ENTITY = re.compile(r"\[([^\[\]]*)\](?:\(([^()]*)\)|(\{[^{}]*\}))")
_SLOT = re.compile(r"\{+\s*([^{}|]+?)\s*(?:\|[^{}]*)?\}+")
_TOO_MANY, _NO_VALUES = f"expands to more than {MOST_TEXTS} texts", "a slot without a list of values"


@dataclass(frozen=True, slots=True)
class BadRow:
    """What a reader cannot use, and why."""

    reason: str
    example: str


Found = Iterator[Mapping[str, Any] | BadRow]


def rasa(path: Path) -> Found:
    """Read the intents of a Rasa NLU file; of YAML only the form that Rasa documents: blocks of ``- text`` lines below examples.

    Entities become slots: ``[bath](room)``, ``[bath](room:bathroom)`` and ``[bath]{"entity": "room", "value": "bathroom"}``.
    """
    intent, block = "", -1  # indentation of the key whose block is read; -1 outside
    for line in _text(path).splitlines():
        said, indent = line.strip(), len(line) - len(line.lstrip())
        if not said or said.startswith("#"):
            continue
        if block >= 0 and indent > block:
            yield from _rasa_example(said, intent)
            continue
        block, head = -1, _RASA_HEAD.match(line)
        if head:
            intent = head[3].strip("\"' ") if head[2] == "intent" else ""
        elif said.startswith("examples:") and intent:
            if said.removeprefix("examples:").strip() in ("|", "|-", "|+", ">", ">-", ">+"):
                block = indent
            else:
                yield BadRow("examples that are no block of lines (examples: |)", f"{intent}: {said}")
        elif not re.match(r"-?\s*[\w-]+\s*:", said) and intent:
            yield BadRow("a line that is no example", said)


def _rasa_example(said: str, intent: str) -> Found:
    slots: dict[str, str] = {}

    def plain(entity: re.Match[str]) -> str:
        name, value = _rasa_entity(entity)
        _put(slots, name, value)
        return entity[1]

    if not said.startswith("-"):
        yield BadRow("a line that is no example", said)
        return
    try:
        text = _RASA_ENTITY.sub(plain, said[1:].strip())
    except (ValueError, AttributeError):
        yield BadRow("an entity that cannot be read", said)
        return
    yield {"text": text, "intent": intent, "slots": slots}


def _rasa_entity(found: re.Match[str]) -> tuple[str, str]:
    if found[3]:
        fields = json.loads(found[3])
        name = str(fields["entity"]) if "entity" in fields else ""
        if not name:
            raise ValueError(found[3])
        role = f".{fields['role']}" if "role" in fields else ""
        return name + role, str(fields.get("value", found[1]))
    name, _, value = found[2].partition(":")
    return name.strip(), value.strip() or found[1]


def is_alexa(path: Path) -> bool:
    """Return whether a JSON file is an Alexa interaction model: the name stands in its first 4,096 characters."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            start = file.read(4096)
    except OSError:
        return False
    return start.lstrip().startswith("{") and re.match(r'\s*\{\s*"(interactionModel|languageModel)"\s*:', start) is not None


def alexa(path: Path) -> Found:
    """Read the samples of an Alexa interaction model, its slots filled with the values of its own types.

    The locale is the file's name where that is one, such as ``en-US.json``.
    """
    model = _json(path)
    try:
        inner = model.get("interactionModel", model)["languageModel"]
        values = {kind["name"]: list(_alexa_values(kind)) for kind in inner.get("types", [])}
        intents = [
            (str(of["name"]), [str(text) for text in of.get("samples", [])], {s["name"]: s["type"] for s in of.get("slots", [])})
            for of in inner["intents"]
        ]
    except (AttributeError, LookupError, TypeError):
        yield BadRow("no Alexa interaction model", path.name)
        return
    for intent, samples, slots in intents:
        known = {name: values[kind] for name, kind in slots.items() if kind in values}
        for sample in samples:
            yield from _filled(sample, [sample], intent, known, _locale(path.stem))


def _alexa_values(kind: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (what is said, what it means) of the values of a type."""
    for each in kind.get("values", []):
        name = each["name"]
        for said in (name["value"], *name.get("synonyms", [])):
            yield str(said), str(name["value"])


def dialogflow(folder: Path) -> Found:
    """Read the training phrases of a Dialogflow agent that was exported and unpacked: ``intents/*_usersays_LOCALE.json``."""
    for path in sorted((folder / "intents").glob("*_usersays_*.json")):
        intent, _, locale = path.stem.rpartition("_usersays_")
        phrases = _json(path)
        if not isinstance(phrases, list):
            yield BadRow("no list of training phrases", path.name)
            continue
        for phrase in phrases:
            slots: dict[str, str] = {}
            try:
                parts = [(str(part["text"]), part.get("alias")) for part in phrase["data"]]
                template = bool(phrase.get("isTemplate"))
            except (AttributeError, LookupError, TypeError):
                yield BadRow("no training phrase", f"{path.name}: {phrase}")
                continue
            if template:
                yield BadRow("a template phrase", "".join(text for text, _ in parts))
                continue
            for text, alias in parts:
                if alias:
                    _put(slots, str(alias), text.strip())
            yield {"text": "".join(text for text, _ in parts), "intent": intent, "slots": slots, "locale": locale}


def ovos(path: Path) -> Found:
    """Read an OVOS ``.intent`` file: one sample a line, with ``(a|b)``, ``[optional]`` and ``{slot}``.

    A slot takes the lines of the ``.entity`` file of its name in the same folder. The locale is the folder's name where that is
    one, such as ``en-us``.
    """
    known: dict[str, list[tuple[str, str]]] = {}
    for file in sorted(path.parent.glob("*.entity")):
        lines = [line for line in map(str.strip, _text(file).splitlines()) if line and not line.startswith("#")]
        known[file.stem] = [(line, line) for line in lines]
    for line in map(str.strip, _text(path).splitlines()):
        if not line or line.startswith("#"):
            continue
        try:
            texts = expand(line)
        except ValueError as error:
            yield BadRow(str(error), line)
            continue
        yield from _filled(line, texts, path.stem, known, _locale(path.parent.name))


def expand(sample: str) -> list[str]:
    """Return the texts of a sample with ``(a|b)`` and ``[optional]``, each once.

    Raises:
        ValueError: a bracket has no partner, or there are more than `MOST_TEXTS` texts.

    Example:
        >>> expand("(turn|switch) on [all] lights")
        ['turn on all lights', 'turn on lights', 'switch on all lights', 'switch on lights']
    """
    tokens = re.findall(r"[()\[\]|]|[^()\[\]|]+", sample)
    texts, rest = _alternatives(tokens, 0, 0)
    if rest < len(tokens):
        raise ValueError("a bracket without a partner")
    return list(dict.fromkeys(" ".join(text.split()) for text in texts))


def _alternatives(tokens: Sequence[str], at: int, depth: int) -> tuple[list[str], int]:
    """Return the texts of what stands from a place up to the end of its bracket, and where that is."""
    if depth > _MOST_NESTED:
        raise ValueError(f"more than {_MOST_NESTED} brackets inside each other")
    found, begun = list[str](), [""]
    while at < len(tokens) and tokens[at] not in ")]":
        sign = tokens[at]
        if sign == "|" and depth:
            found, begun = found + begun, [""]
        elif sign in ("(", "["):
            inner, at = _alternatives(tokens, at + 1, depth + 1)
            if at >= len(tokens) or tokens[at] != {"(": ")", "[": "]"}[sign]:
                raise ValueError("a bracket without a partner")
            inner = [*inner, ""] if sign == "[" else inner
            begun = [start + end for start, end in itertools.islice(itertools.product(begun, inner), MOST_TEXTS + 1)]
        else:
            begun = [start + sign for start in begun]
        if len(found) + len(begun) > MOST_TEXTS:
            raise ValueError(_TOO_MANY)
        at += 1
    return found + begun, at


def _filled(
    sample: str, texts: Sequence[str], intent: str, known: Mapping[str, Sequence[tuple[str, str]]], locale: str | None
) -> Found:
    """Yield the rows of one sample, with every value of its slots."""
    rows: list[Mapping[str, Any]] = []
    for text in texts:
        names = list(dict.fromkeys(_SLOT.findall(text)))
        if any(not known.get(name) for name in names):
            yield BadRow(_NO_VALUES, sample)
            return
        for chosen in itertools.product(*(known[name] for name in names)):
            if len(rows) == MOST_TEXTS:
                yield BadRow(_TOO_MANY, sample)
                return
            said = {name: value[0] for name, value in zip(names, chosen, strict=True)}
            meant = {name: value[1] for name, value in zip(names, chosen, strict=True)}
            filled = _SLOT.sub(lambda slot, said=said: said[slot[1]], text)  # type: ignore[misc]
            rows.append({"text": filled, "intent": intent, "slots": meant} | ({"locale": locale} if locale else {}))
    yield from rows


def _put(slots: dict[str, str], name: str, value: str) -> None:
    """Add a slot; a second one of the same name gets a number."""
    n = sum(known == name or known.startswith(f"{name}#") for known in slots)
    slots[f"{name}#{n + 1}" if n else name] = value


def _locale(name: str) -> str | None:
    language = re.fullmatch(r"[a-z]{2,3}-[A-Za-z]{2}", name)
    return None if language is None else name[:-2] + name[-2:].upper()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig", errors="replace")


def _json(path: Path) -> Any:  # noqa: ANN401 - a file may hold anything; its reader checks
    try:
        return json.loads(_text(path))
    except (json.JSONDecodeError, RecursionError):
        return None


READERS: Final[Mapping[str, Callable[[Path], Found]]] = {".yml": rasa, ".yaml": rasa, ".intent": ovos}
"""Readers by the ending of the file."""


def folder(path: Path) -> Found | None:
    """Read a Dialogflow agent, or the ``.intent`` files of a folder; None if it holds neither."""
    if any((path / "intents").glob("*_usersays_*.json")):
        return dialogflow(path)
    files = sorted(path.rglob("*.intent"))
    return itertools.chain.from_iterable(map(ovos, files)) if files else None
