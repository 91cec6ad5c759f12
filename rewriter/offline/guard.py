"""The guardrail with what this log's assistant knows: its words and its names, per locale."""

from collections import defaultdict
from pathlib import Path

from rewriter.database import connect
from rewriter.guardrail import Guardrail
from rewriter.model.hypothesis import slots_of
from rewriter.offline.decide import Guard
from rewriter.text import normalise

_UNDERSTOOD = "FROM queries AS q JOIN nodes AS n ON q.node = n.node WHERE q.users >= ? AND q.success > 0"
_WORDS = f"SELECT DISTINCT q.locale, UNNEST(string_split(q.query, ' ')) {_UNDERSTOOD}"
_STATES = f"SELECT DISTINCT q.locale, n.state {_UNDERSTOOD} AND n.kind = 'h'"


def guard_of(queries: Path, nodes: Path, min_users: int) -> Guard:
    """Return the guardrail as a function of (locale, source, target, personal).

    A word is known to the assistant if an utterance of `min_users` users holds it and was understood; a name is the value of
    a slot of such an utterance.
    """
    words: dict[str, set[str]] = defaultdict(set)
    names: dict[str, set[str]] = defaultdict(set)
    with connect(queries=queries, nodes=nodes) as con:
        for locale, word in con.execute(_WORDS, [min_users]).fetchall():
            words[locale].add(word)
        for locale, state in con.execute(_STATES, [min_users]).fetchall():
            names[locale].update(normalise(value) for value in slots_of(state).values())
    known = {locale: frozenset(values) for locale, values in names.items()}

    def guard(locale: str, source: str, target: str, personal: bool) -> str | None:
        return Guardrail.open(locale).verdict(
            source, target, names=known.get(locale, frozenset()), knows=words[locale].__contains__, personal=personal
        )

    return guard
