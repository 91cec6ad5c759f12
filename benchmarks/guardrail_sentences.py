"""Sentences of Home Assistant in many languages, drawn at random: opposites, which the guardrail must stop, and paraphrases."""

import random
import zlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from hassil.expression import Alternative, ListReference, Permutation, RuleReference, Sequence, TextChunk
from hassil.intents import Intents, RangeSlotList, TextSlotList
from home_assistant_intents import get_intents

from rewriter.text import normalise

OPPOSITES = [
    ("HassTurnOn", "HassTurnOff"),
    ("HassMediaPause", "HassMediaUnpause"),
    ("HassMediaNext", "HassMediaPrevious"),
    ("HassMediaPlayerMute", "HassMediaPlayerUnmute"),
    ("HassPauseTimer", "HassUnpauseTimer"),
    ("HassIncreaseTimer", "HassDecreaseTimer"),
    ("HassStartTimer", "HassCancelTimer"),
    ("HassListAddItem", "HassListRemoveItem"),
]
"""Intents that undo each other where their slots are the same."""

_NUMBERS = (5, 20)
_PLACEHOLDER = "blorb"
"""Stands for the names of things and rooms, which are not in the grammar."""


class Drawn(NamedTuple):
    """One sentence: what it means, and whether its template belongs to the half with which the word lists were corrected."""

    text: str
    slots: str
    mended: bool


class SentencePair(NamedTuple):
    """Two sentences of one half."""

    source: str
    target: str
    mended: bool


def pairs(language: str, seed: int, each: int = 20) -> tuple[list[SentencePair], list[SentencePair]]:
    """Return (opposites, paraphrases): same slots and values, of opposite intents or of one intent; up to `each` per meaning."""
    rng = random.Random(f"{language}-{seed}")
    grammar = get_intents(language)
    assert grammar is not None, language
    intents = Intents.from_dict(grammar)
    by_intent = {intent: _by_slots(intents, intent, rng) for pair in OPPOSITES for intent in pair}
    opposite = [
        SentencePair(rng.choice(texts), rng.choice(by_intent[b][key]), key[1])
        for a, b in OPPOSITES
        for key, texts in by_intent[a].items()
        if key in by_intent[b]
        for _ in range(each)
    ]
    alike = [
        SentencePair(rng.choice(texts), rng.choice(texts), key[1])
        for found in by_intent.values()
        for key, texts in found.items()
        for _ in range(each)
    ]
    return sorted(set(opposite)), sorted({pair for pair in alike if pair.source != pair.target})


def _by_slots(intents: Intents, intent: str, rng: random.Random) -> dict[tuple[str, bool], list[str]]:
    found: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for one in _drawn(intents, intent, rng):
        found[one.slots, one.mended].append(one.text)
    return found


def _drawn(intents: Intents, intent: str, rng: random.Random, per_template: int = 6) -> Iterator[Drawn]:
    for block in intents.intents[intent].data if intent in intents.intents else ():
        for template, sentence in zip(block.sentence_texts, block.sentences, strict=True):
            for _ in range(per_template):
                values: list[str] = []
                text = normalise(_draw(sentence.expression, block, intents, rng, values))
                slots = f"{sorted(values)} {sorted(block.slots.items())} {block.requires_context}"
                yield Drawn(text, slots, zlib.crc32(template.encode()) % 2 == 0)


def _draw(expression: Any, block: Any, intents: Intents, rng: random.Random, values: list[str]) -> str:
    """Return one text of an expression, and put what its slots hold into `values`."""
    if isinstance(expression, TextChunk):
        return expression.original_text
    if isinstance(expression, Alternative):
        return _draw(rng.choice(expression.items), block, intents, rng, values)
    if isinstance(expression, Permutation):
        items = rng.sample(list(expression.items), len(expression.items))
        return " ".join(_draw(item, block, intents, rng, values) for item in items)
    if isinstance(expression, Sequence):
        return "".join(_draw(item, block, intents, rng, values) for item in expression.items)
    if isinstance(expression, RuleReference):
        rule = block.expansion_rules.get(expression.rule_name) or intents.expansion_rules[expression.rule_name]
        return _draw(rule.expression, block, intents, rng, values)
    assert isinstance(expression, ListReference)
    slot_list = block.slot_lists.get(expression.list_name) or intents.slot_lists.get(expression.list_name)
    text, value = _PLACEHOLDER, _PLACEHOLDER
    if isinstance(slot_list, RangeSlotList):
        text = value = str(min(max(rng.choice(_NUMBERS), slot_list.start), slot_list.stop))
    elif isinstance(slot_list, TextSlotList):
        chosen = rng.choice(slot_list.values)
        text, value = _draw(chosen.text_in, block, intents, rng, []), str(chosen.value_out)
    values.append(f"{expression.slot_name}={value}")
    return text
