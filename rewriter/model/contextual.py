"""`ContextRules`: rules that hold where the context of a request has a certain value."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from rewriter.errors import ArtefactError
from rewriter.model.context import circumstances
from rewriter.model.rules import Rule

_FILE = "context.json"


class ContextRule(NamedTuple):
    """A rule and where it holds; one whose target is its source says that the text is right as it is there.

    Attributes:
        circumstance: see `rewriter.model.context.circumstances`.
        rule: global.
    """

    circumstance: str
    rule: Rule


class ContextRules:
    """The rules of one artefact version that depend on the context. Few sources have any, so all are held in memory.

    Args:
        rules: in any order.

    Example:
        >>> rule = Rule("r", "", "en", "what is the temperature", "what is the temperature of the oven", 0.9)
        >>> book = ContextRules([ContextRule("state.oven=on", rule)])
        >>> book.find("what is the temperature", ["en"], {"hour": 18, "state.oven": "on"}).target
        'what is the temperature of the oven'
        >>> book.find("what is the temperature", ["en"], {"hour": 18, "state.oven": "off"})
    """

    __slots__ = ("_rules",)

    def __init__(self, rules: Iterable[ContextRule]) -> None:
        self._rules: dict[tuple[str, str], dict[str, Rule]] = {}
        for circumstance, rule in sorted(rules, key=lambda of: (of.rule.score, of.rule.rule)):  # the surest overwrites
            self._rules.setdefault((rule.locale, rule.source), {})[circumstance] = rule

    def __len__(self) -> int:
        return sum(map(len, self._rules.values()))

    @property
    def locales(self) -> frozenset[str]:
        """The locales in which there is any rule."""
        return frozenset(locale for locale, _ in self._rules)

    def find(self, text: str, locales: Sequence[str], context: object) -> Rule | None:
        """Return the surest rule for a normalised text that holds in a context.

        Args:
            text: normalised utterance.
            locales: spelled as in the log, best first.
            context: as given with the request, whatever it is.
        """
        for locale in locales:
            rules = self._rules.get((locale, text))
            if rules:
                holding = [rules[said] for said in circumstances(context) if said in rules]
                return max(holding, key=lambda rule: rule.score, default=None)
        return None

    def save(self, folder: Path) -> None:
        """Write ``context.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = [[said, *rule] for of in self._rules.values() for said, rule in of.items()]
        (folder / _FILE).write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8", errors="surrogatepass")

    @classmethod
    def open(cls, folder: Path) -> "ContextRules":
        """Open what `save` wrote; no file holds no rules.

        Raises:
            ArtefactError: the file is none of ours.
        """
        path = folder / _FILE
        if not path.exists():
            return cls(())
        try:
            rows: list[list[object]] = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
            return cls(ContextRule(str(said), Rule(*rule)) for said, *rule in rows)  # type: ignore[arg-type]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ArtefactError(f"cannot read {path}: {error!r}; copy the artefact again or go back a version") from error
