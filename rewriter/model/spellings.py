"""`Spellings`: how a text is spelled when it is sent, and which spellings are sent in another one that works.

Texts are looked up by their normal form (`rewriter.text.normalise`), but an assistant is sent a *surface*: case, punctuation and
diacritics included. Some assistants understand "set a 5 minute timer" and refuse "set a 5-minute timer". For each normal form the
file holds the surface that works for most users, and the surfaces that fail where it works (`Mend`).
"""

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from itertools import combinations, groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from rewriter.arrays import Floats, Ints
from rewriter.errors import reading_artefact
from rewriter.model.columns import HashIndex, Keys, TextColumn, mapped, save_texts, text_key
from rewriter.text import normal_forms, normalise, text_hash

FOLDER: Final = "spellings"
"""Its name below the folder of the online layer, or of a catalog."""
_MENDS = "mends.json"


@dataclass(frozen=True, slots=True)
class Mend:
    """A surface that fails where another surface of the same text works.

    Attributes:
        rule: names it, in answers, logs and review.
        locale: BCP 47.
        spoken: the surface that fails.
        sent: the surface that works for most users.
        turns: turns of `spoken` in the recent log.
        users: users who said `spoken`.
        p: P(`sent` succeeds).
        win: expected wins per request before the NLU.
        loss: expected losses per request before the NLU.
        before: whether the evidence keeps the budget of rules, so that it is sent before the NLU.
        after: P(`sent` succeeds | `spoken` was refused).
        share: probability with which it is sent before the NLU; the other requests are held out.
    """

    rule: str
    locale: str
    spoken: str
    sent: str
    turns: int
    users: int
    p: float
    win: float
    loss: float
    before: bool
    after: float
    share: float = 1.0


class Surface(NamedTuple):
    """The surface of a text that is sent.

    Attributes:
        locale: BCP 47.
        surface: as it is spelled.
        users: distinct users who said it so; 0 for the operator's own.
        p: P(it succeeds).
    """

    locale: str
    surface: str
    users: int
    p: float


def kind_of(one: str, other: str) -> str:
    """Return in what two surfaces of the same text differ: in case, in marks above or below letters, in signs or blanks.

    Example:
        >>> kind_of("Lampe an", "lampe an"), kind_of("cafe", "Café"), kind_of("a 5-minute timer", "a 5 minute timer.")
        ('case', 'case marks', 'signs')
    """
    return " ".join(name for name, seen in _PROPERTIES.items() if seen(one) != seen(other))


def _decomposed(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the characters of a text and whether each is a mark; a letter with a mark is two characters (Unicode NFD)."""
    return ((c, unicodedata.category(c)[0] == "M") for c in unicodedata.normalize("NFD", text))


_PROPERTIES: Final[Mapping[str, Callable[[str], list[object]]]] = {
    "case": lambda text: [upper for upper, _ in groupby(c.isupper() for c, _ in _decomposed(text) if c.isalpha())],
    "marks": lambda text: [c for c, is_mark in _decomposed(text) if is_mark],
    "signs": lambda text: [c for c, is_mark in _decomposed(text) if not is_mark and not c.isalnum()],
}
KINDS: Final = tuple(" ".join(names) for n in range(len(_PROPERTIES) + 1) for names in combinations(_PROPERTIES, n))
"""Everything that `kind_of` may return. Surfaces that differ in none of these are spelled with other letters (ss and ß)."""


def unmarked(text: str) -> str:
    """Return a normalised text without marks, in normal form.

    Example:
        >>> unmarked("allume la lumière")
        'allume la lumiere'
    """
    return text if text.isascii() else normalise("".join(c for c, is_mark in _decomposed(text) if not is_mark))


def p_of_unseen(p: Floats | float, differs: float) -> Any:  # noqa: ANN401 - of the type of `p`
    """Return P(the best surface succeeds | another one, of which nothing is known, was refused).

    Args:
        p: P(the best surface succeeds).
        differs: P(the two surfaces have rates of their own); the other one then fails in half of all cases.
    """
    return p * differs * 0.5 / (differs * 0.5 + (1 - differs) * (1 - p))


def mend_id(locale: str, spoken: str) -> str:
    """Return the id of a mend.

    Example:
        >>> mend_id("en", "set a 5-minute timer")
        'spelling-91fe95b6'
    """
    return f"spelling-{text_hash(locale, spoken, size=4).hex()}"


@dataclass(frozen=True, slots=True)
class Priors:
    """What holds for surfaces of which nothing is known.

    Attributes:
        differs: kind of difference -> P(a surface that differs so from the best one has a rate of its own).
        least: P(success) below which nothing is sent after a refusal.
    """

    differs: Mapping[str, float]
    least: float

    def after(self, spoken: str, sent: str, p: float) -> float:
        """Return P(the best surface succeeds | a surface of which nothing is known was refused); 0 if that is too little."""
        found = float(p_of_unseen(p, self.differs.get(kind_of(spoken, sent), 0.0)))
        return found if found >= self.least else 0.0


class Spellings:
    """The surfaces of one log or catalog. Safe to use from many threads.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> save_spellings(folder, [Surface("de", "Lampe an", 4, 0.9)], [], Priors({"case": 0.8}, 0.65))
        >>> spellings = Spellings.open(folder)
        >>> spellings.surface("lampe an", "de"), spellings.surface("lampe aus", "de")
        ('Lampe an', None)
        >>> spellings.mend("lampe an", "lampe an", "de").sent, spellings.mend("Lampe an!", "lampe an", "de")
        ('Lampe an', None)
    """

    __slots__ = ("_index", "_mends", "_p", "_priors", "_surfaces", "_users")

    def __init__(
        self,
        index: HashIndex,
        surfaces: TextColumn,
        users: Ints,
        p: Floats,
        mends: Mapping[tuple[str, str], Mend],
        priors: Priors,
    ) -> None:
        self._index, self._surfaces, self._users, self._p = index, surfaces, users, p
        self._mends, self._priors = mends, priors

    @classmethod
    def open(cls, folder: Path) -> "Spellings":
        """Map what `save_spellings` wrote.

        Raises:
            ArtefactError: a file is missing or damaged.
        """
        with reading_artefact(folder):
            held = json.loads((folder / _MENDS).read_text("utf-8", "surrogatepass"))
            mends = [Mend(**row) for row in held["mends"]]
            index, surfaces = HashIndex.open(folder, "keys"), TextColumn.open(folder, "surfaces")
            users, p = mapped(folder / "users.npy").astype(np.int64), mapped(folder / "p.npy").astype(np.float64)
            return cls(index, surfaces, users, p, {(one.locale, one.spoken): one for one in mends}, Priors(**held["priors"]))

    @property
    def mends(self) -> Sequence[Mend]:
        """All mends, the most frequent first."""
        return sorted(self._mends.values(), key=lambda one: (-one.turns, one.locale, one.spoken))

    def surface(self, text: str, locale: str) -> str | None:
        """Return the surface of a normalised text that is sent; None if it is not known, or is the normal form itself."""
        place = self._place(text, locale)
        return None if place is None else self._surfaces.take(np.array([place]))[0]

    def mend(self, spoken: str, text: str, locale: str) -> Mend | None:
        """Return what is known about a surface that was spoken; None if it is nothing, or if it is spelled as it should be.

        Args:
            spoken: the utterance as it was heard.
            text: its normal form.
            locale: spelled as in the log or catalog.
        """
        found = self._mends.get((locale, spoken))
        if found is not None:
            return found
        place = self._place(text, locale, alike=True)
        if place is None:
            return None
        return self._unseen(spoken, self._surfaces.take(np.array([place]))[0], locale, float(self._p[place]))

    def by_operator(self, spoken: str, sent: str, locale: str) -> Mend | None:
        """Return what is known about a surface of a text that the operator spelled otherwise; None if it is nothing.

        Args:
            spoken: the utterance as it was heard.
            sent: the same text as the operator spells it for one user; these spellings do not hold it.
            locale: of the request.
        """
        return self._unseen(spoken, sent, locale, float(self._p.max(initial=self._priors.least)))

    def _unseen(self, spoken: str, sent: str, locale: str, p: float) -> Mend | None:
        """Return what holds for a surface of which nothing is known but the one that works, which succeeds with p."""
        after = 0.0 if sent == spoken else self._priors.after(spoken, sent, p)
        if not after:
            return None
        return Mend(mend_id(locale, spoken), locale, spoken, sent, 0, 0, after, 0.0, 0.0, before=False, after=after)

    def _place(self, text: str, locale: str, *, alike: bool = False) -> int | None:
        """Return the place of a text; with `alike` else of the only text that differs from it in marks alone.

        The texts are compared, because two may share a hash.
        """
        letters = unmarked(text)
        found = self._index.find_all(text_key(locale, letters))
        held = {normalise(self._surfaces.take(np.array([at]))[0], locale): at for at in range(found.start, found.stop)}
        if text in held or not alike:
            return held.get(text)
        others = [at for one, at in held.items() if unmarked(one) == letters]
        return others[0] if len(others) == 1 else None

    def without(self, said: Set[str], k: int, folder: Path) -> int:
        """Write them into another folder, without those that may rest on fewer than k users once one user is gone.

        Which spelling the user used is not kept, so one user is taken off all spellings of these texts.

        Args:
            said: normalised texts of the user who is forgotten.
            k: the least number of users.
            folder: to write to.

        Returns:
            How many were left out.
        """
        surfaces, users = self._surfaces.take(np.arange(len(self._surfaces))), self._users.tolist()

        def left(surface: str, of: int) -> int:
            return of - (of > 0 and not said.isdisjoint(normal_forms(surface)))

        held = enumerate(zip(surfaces, users, strict=True))
        places = [place for place, (surface, of) in held if left(surface, of) == of or left(surface, of) >= k]
        counts = np.array([left(surfaces[at], users[at]) for at in places], dtype=np.int64)
        gone = {*surfaces} - {surfaces[place] for place in places}
        mends = [replace(one, users=left(one.spoken, one.users)) for one in self._mends.values() if one.sent not in gone]
        mends = [one for one in mends if one.users >= k]
        _write(folder, self._index.keys[places], [surfaces[at] for at in places], counts, self._p[places], mends, self._priors)
        return len(surfaces) - len(places) + len(self._mends) - len(mends)


def save_spellings(folder: Path, surfaces: Iterable[Surface], mends: Iterable[Mend], priors: Priors) -> None:
    """Write surfaces and mends for `Spellings.open`.

    Args:
        folder: created if it is missing.
        surfaces: at most one for each normal form of a locale. It holds those to which a mend leads.
        mends: the surfaces that fail.
        priors: what holds for others.
    """
    rows = list(surfaces)
    index, order = HashIndex.sort(text_key(row.locale, unmarked(normalise(row.surface, row.locale))) for row in rows)
    ordered = [rows[i] for i in order.tolist()]
    users = np.array([row.users for row in ordered], dtype=np.int64)
    p = np.array([row.p for row in ordered], dtype=np.float64)
    _write(folder, index.keys, [row.surface for row in ordered], users, p, mends, priors)


def _write(
    folder: Path, keys: Keys, surfaces: Sequence[str], users: Ints, p: Floats, mends: Iterable[Mend], priors: Priors
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    HashIndex(keys).save(folder, "keys")
    save_texts(folder, "surfaces", surfaces)
    np.save(folder / "users.npy", users)
    np.save(folder / "p.npy", p)
    held = json.dumps({"mends": list(map(asdict, mends)), "priors": asdict(priors)}, ensure_ascii=False, indent=0)
    (folder / _MENDS).write_text(held, encoding="utf-8", errors="surrogatepass")
