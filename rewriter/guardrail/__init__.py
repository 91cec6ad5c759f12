"""The guardrail: what a rewrite may never do, whatever the statistics say.

A rewrite may not flip a polarity, change a number, drop a negation or swap one known name for another. ``docs/guardrail.md``
explains the rules. The methods of `Guardrail` are all that the rest of the package asks; `Guardrails` are those of one artefact.

lexicon   the word list of a language, read from ``words/<language>.json``
numbers   the numbers of a text
reading   what a text says in each slot of the word list, and its names
compare   what the target says otherwise than the source, as a `Finding`
contrasts what the texts of a log or catalog show about words
heard     whether what the target says was heard in the source
verdict   `Guardrail`, which applies these tests in order
"""

from rewriter.guardrail.compare import Finding
from rewriter.guardrail.verdict import DEFAULT, HOME, Guardrail, Guardrails

__all__ = ["DEFAULT", "HOME", "Finding", "Guardrail", "Guardrails"]
