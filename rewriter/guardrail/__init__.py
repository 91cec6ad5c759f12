"""The guardrail: checks that forbid a rewrite, whatever its score is.

A rewrite may not flip a polarity, change a number, drop a negation or swap one known name for another. ``docs/guardrail.md``
explains the rules. The rest of the package uses only the methods of `Guardrail`. `Guardrails` holds one for each locale of an
artefact.

lexicon   the word list of a language, read from ``words/<language>.json``
numbers   the numbers of a text
reading   the values that a text has in each slot of the word list, and its names
compare   differences of meaning between source and target, as a `Finding`
contrasts what the texts of a log or catalog show about words
verdict   `Guardrail`, which applies these tests in order and checks that the target was heard in the source
"""

from rewriter.guardrail.compare import Finding
from rewriter.guardrail.verdict import DEFAULT, HOME, Guardrail, Guardrails

__all__ = ["DEFAULT", "HOME", "Finding", "Guardrail", "Guardrails"]
