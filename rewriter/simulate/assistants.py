"""`Assistant`: what a world asks of an NLU, one method, so that people plug in their own."""

from typing import Protocol


class Assistant(Protocol):
    """Understands a text, or says that it does not."""

    def understand(self, text: str) -> str | None:
        """Return the hypothesis of a text, None for "I don't understand".

        A hypothesis is ``Intent|slot=value|…`` with the slots in alphabetical order. The same text always gets the same
        hypothesis.
        """
