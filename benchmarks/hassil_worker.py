# mypy: ignore-errors
# It is written against releases that the environment of this project does not have.
"""Runs Home Assistant's fuzzy matcher, removed in May 2026, line by line, in a separate environment (peer_hassil.py).

The first line of standard input is a household, ``{"language", "names": {domain: [name]}, "areas", "floors"}``; every other line
is a text as JSON. The answer to each text is one line: ``{"intent", "slots", "score"}``, or null if nothing matches.
"""

import json
import sys
from typing import Any

from hassil import Intents, TextSlotList
from hassil.fuzzy import FuzzyNgramMatcher, SlotCombinationInfo
from hassil.ngram import Sqlite3NgramModel
from home_assistant_intents import get_fuzzy_config, get_fuzzy_language, get_intents


def matcher(home: dict[str, Any]) -> FuzzyNgramMatcher:
    """Build the matcher as Home Assistant did, with the names of a household."""
    shared, language = get_fuzzy_config(), get_fuzzy_language(home["language"])
    named = [(name, name, {"domain": domain}) for domain, names in home["names"].items() for name in names]
    return FuzzyNgramMatcher(
        intents=Intents.from_dict(get_intents(home["language"])),
        intent_models={
            intent: Sqlite3NgramModel(m.order, {word: str(i) for word, i in m.words.items()}, m.database_path)
            for intent, m in language.ngram_models.items()
        },
        intent_slot_list_names=shared.slot_list_names,
        slot_combinations={
            intent: {slots: SlotCombinationInfo(c.context_area, c.name_domains or None) for slots, c in combinations.items()}
            for intent, combinations in shared.slot_combinations.items()
        },
        domain_keywords=language.domain_keywords,
        stop_words=language.stop_words,
        slot_lists={
            "name": TextSlotList.from_tuples(named, name="name"),
            "area": TextSlotList.from_strings(home["areas"], name="area"),
            "floor": TextSlotList.from_strings(home["floors"], name="floor"),
        },
    )


def main() -> None:
    """Answer until standard input ends."""
    fuzzy = matcher(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        found = fuzzy.match(json.loads(line))
        slots = {name: str(slot.value).strip() for name, slot in found.slots.items()} if found else {}
        print(json.dumps({"intent": found.intent_name, "slots": slots, "score": found.score} if found else None), flush=True)


if __name__ == "__main__":
    main()
