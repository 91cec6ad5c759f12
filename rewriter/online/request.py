"""`Call`: the arguments of one request, bounded before anything is copied; `LayerRequest` and `Verdict` of the online layer."""

import itertools
import reprlib
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rewriter.codes import Arm, Layer, Reason, Scope, Standing
from rewriter.errors import RequestError
from rewriter.result import Candidate
from rewriter.text import hash_household, hash_user, normalise

if TYPE_CHECKING:
    from rewriter.model.slots import StatedPreference

Understands = Callable[[str], bool]
"""The assistant's own parser: whether it understands a text."""

MAX_LOCALE: Final = 64
"""Characters of a locale. RFC 5646, section 4.4.1, asks for room for 35."""
MAX_USER: Final = 1_000
"""Characters of a user id; a URL or a certificate name still fits."""
MAX_HEARINGS: Final = 5
"""Hearings that are looked at, the utterance among them; later ones of an n-best list hardly ever hold what was meant."""
MAX_CONTEXT: Final = 256
"""Entries of a context that are looked at; a smart home sends a few dozen."""
_MAX_KEY = 200  # characters of a context key
_MAX_BITS = 128  # of an integer, a user id or a context value: a UUID fits


class Call(NamedTuple):
    """The arguments of one request, checked and bounded.

    Attributes:
        text: the utterance.
        query: the same, normalised; not empty.
        user: keyed hash of the user; empty for nobody.
        locale: as it was given; None for the commonest of the log.
        nbest: other hearings, as they were given.
        context: what is a scalar under a text, texts cut to `max_chars`.
        after_failure: whether the NLU has already refused the utterance.
        max_chars: longer hearings are passed over.
        household: keyed hash of the household; empty for none.
        language: the locale by which texts are normalised: `locale`, or the commonest of the log.
    """

    text: str
    query: str
    user: str
    locale: str | None
    nbest: object
    context: Mapping[str, object]
    after_failure: bool
    max_chars: int
    household: str = ""
    language: str = ""

    def placed(self, locale: str) -> "Call":
        """Return the request in the locale that was detected, by which its texts are normalised."""
        return self._replace(locale=locale, language=locale, query=normalise(self.text, locale))

    def hearings(self) -> list[str]:
        """Return the utterance and what else was heard, normalised, none twice, none empty."""
        if not isinstance(self.nbest, Sequence) or not self.nbest:
            return [self.query]
        others = [self.nbest] if isinstance(self.nbest, str) else itertools.islice(self.nbest, 2 * MAX_HEARINGS)
        short = (other for other in others if isinstance(other, str) and str.__len__(other) <= self.max_chars)
        heard = dict.fromkeys([self.query, *(normalise(str.__str__(other), self.language) for other in short)])
        return [hearing for hearing in heard if hearing][:MAX_HEARINGS]


def read_call(
    utterance: object,
    user_id: object,
    locale: object,
    nbest: object,
    context: object,
    after_failure: object,
    household_id: object = None,
    *,
    max_chars: int,
    key: bytes,
    hashed: bool,
    commonest: Callable[[], str] = str,
) -> Call | Reason:
    """Return the arguments of `Rewriter.rewrite` as a `Call`, or the reason why there is nothing to decide.

    Every length is looked at before anything is copied, and by the methods of `str` itself: a subclass may do as it likes.

    Args:
        utterance: as given to `Rewriter.rewrite`, like the six that follow.
        user_id: a text or an integer.
        locale: BCP 47.
        nbest: other hearings.
        context: scalars by name.
        after_failure: whether the NLU has already refused the utterance.
        household_id: a text or an integer.
        max_chars: longer utterances are left alone.
        key: secret of the artefact, which hashes user ids.
        hashed: whether user ids are given as keyed hashes.
        commonest: tells the locale of a request that names none.
    """
    user, household = read_user(user_id), read_user(household_id)
    if not isinstance(utterance, str) or not (locale is None or isinstance(locale, str)):
        return Reason.NOT_TEXT
    if isinstance(user, Reason):
        return user
    if isinstance(household, Reason):
        return household
    if str.__len__(utterance) > max_chars or (locale is not None and str.__len__(locale) > MAX_LOCALE):
        return Reason.TOO_LONG
    text = str.__str__(utterance)
    language = (str.__str__(locale) if isinstance(locale, str) else "") or commonest()
    query = normalise(text, language)
    if not query:
        return Reason.EMPTY
    return Call(
        text,
        query,
        user if hashed or not user else hash_user(user, key),
        None if locale is None else str.__str__(locale),
        nbest,
        _scalars(context, max_chars),
        bool(after_failure),
        max_chars,
        household if hashed or not household else hash_household(household, key),
        language,
    )


def read_user(user_id: object) -> str | Reason:
    """Return a user id as text, empty for nobody, or what is wrong with it.

    Example:
        >>> read_user(5), read_user("ann"), read_user(None), read_user(0.5)
        ('5', 'ann', '', <Reason.NOT_TEXT: 'not_text'>)
    """
    if user_id is None:
        return ""
    if isinstance(user_id, str):
        return Reason.TOO_LONG if str.__len__(user_id) > MAX_USER else str.__str__(user_id)
    if isinstance(user_id, bool) or not isinstance(user_id, Integral):
        return Reason.NOT_TEXT
    number = int(user_id)
    return Reason.TOO_LONG if number.bit_length() > _MAX_BITS else str(number)


def hashed_user(user_id: object, key: bytes) -> str:
    """Return the keyed hash of a user id, empty for nobody.

    Args:
        user_id: a text or an integer; None for nobody.
        key: secret of the artefact.

    Raises:
        RequestError: it is no user id.
    """
    user = read_user(user_id)
    if isinstance(user, Reason):
        raise RequestError(f"user_id is one id as the log gives it, such as 'ann' or 7, not {shown(user_id)}")
    return hash_user(user, key) if user else ""


def _scalars(context: object, max_chars: int) -> Mapping[str, object]:
    """Return the entries of a context that may be read, at most `MAX_CONTEXT` of them."""
    if context is None or not isinstance(context, Mapping) or not context:
        return {}
    entries = itertools.islice(context.items(), MAX_CONTEXT)
    named = ((str.__str__(key), value) for key, value in entries if isinstance(key, str) and str.__len__(key) <= _MAX_KEY)
    read = ((key, _scalar(value, max_chars)) for key, value in named)
    return {key: value for key, value in read if value is not None}


def _scalar(value: object, max_chars: int) -> Any:  # noqa: ANN401 - a context holds whatever the assistant knows
    if isinstance(value, str):
        return str.__getitem__(value, slice(max_chars))
    if isinstance(value, int):  # bool among them
        return value if value.bit_length() <= _MAX_BITS else None
    return float(value) if isinstance(value, Real) else None


class LayerRequest(NamedTuple):
    """What the online layer is asked.

    Attributes:
        hearings: normalised, the utterance first, none twice, none empty.
        locale: one of the artefact's.
        user: keyed hash; empty for nobody.
        after_failure: whether the NLU has already refused the utterance.
        stated: what the user said to prefer.
        weight: turns that a stated preference weighs.
    """

    hearings: Sequence[str]
    locale: str
    user: str
    after_failure: bool
    stated: Sequence["StatedPreference"] = ()
    weight: float = 0.0


class Considered(NamedTuple):
    """A candidate of the online layer and what becomes of it.

    Attributes:
        text: what would be sent.
        scope: whose evidence it rests on.
        meant: P(it is meant | the request fails).
        score: what is compared with the threshold: after a refusal P(it is meant), before the NLU P(it wins).
        standing: what becomes of it.
        threshold: the score from which on a candidate is sent; infinite if nothing is.
        detail: what the guardrail found (`rewriter.guardrail.Finding.packed`), if it is forbidden; else empty.
        features: column of `rewriter.model.features.RANK` -> its value for this candidate.
        weights: the same columns -> the weight that the ranker gives to one unit.
    """

    text: str
    scope: Scope
    meant: float
    score: float
    standing: Standing
    threshold: float
    detail: str
    features: Mapping[str, float]
    weights: Mapping[str, float]


class Verdict(NamedTuple):
    """What is decided on a request, by a rule or by the online layer.

    Attributes:
        text: to be sent; None if the request is left alone.
        reason: why.
        layer: which layer found `text`; None if the request is left alone.
        scope: whose evidence it rests on; None if the request is left alone for any reason but a draw.
        score: P(success) of `text`; None if the request is left alone.
        suggestion: worth asking about, if nothing is sent.
        candidates: what was considered, best first.
        rule: id of the rule, or slice of the online layer (`rewriter.model.layer_slices`), that answers or is held out.
        mark: of the rewrite to `text` (`overlay.mark_of`).
        arm: what was drawn; None if nothing was.
        propensity: probability with which that was drawn, 0..1.
        steps: of a lesson; empty if `text` is the only one.
    """

    text: str | None
    reason: Reason
    layer: Layer | None = None
    scope: Scope | None = None
    score: float | None = None
    suggestion: str | None = None
    candidates: tuple[Candidate, ...] = ()
    rule: str | None = None
    mark: str = ""
    arm: Arm | None = None
    propensity: float | None = None
    steps: tuple[str, ...] = ()


def is_duration(value: object) -> bool:
    """Return whether a value is a number that is not negative.

    Example:
        >>> is_duration(20), is_duration(0.5), is_duration("20"), is_duration(float("nan"))
        (True, True, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def shown(value: object) -> str:
    """Return a value for a message: cut to some dozen characters, or its type where it cannot be shown.

    Example:
        >>> shown("ann"), shown(10**5000)
        ("'ann'", 'a value of type int')
    """
    try:
        return reprlib.repr(value)
    except Exception:  # noqa: BLE001 - an object may refuse; Python refuses integers of very many digits
        return f"a value of type {type(value).__name__}"
