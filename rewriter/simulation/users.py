"""How people behave (`Behaviour`), one person (`User`), and many (`people`)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rewriter.model.hypothesis import intent_of

_HOURS = (1, 0.5, 0.3, 0.3, 0.5, 1.5, 5, 9, 7, 4, 3, 3, 4, 4, 3, 3, 4, 6, 9, 10, 9, 7, 5, 2.5)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Parameters of how people act.

    They are assumptions, not measurements. Their orders of magnitude are those of real logs: after a failed turn more people
    restate than repeat, and many give up.
    """

    requests_per_day: float = 6.0
    """Mean number of goals of one person on one day (Poisson); follow-ups are added."""
    zipf: float = 1.1
    """The r-th commonest goal of a person is wanted in proportion to r ** -zipf."""
    variety: float = 0.7
    """How much the order of goals differs between people: standard deviation of the logarithm of the rank."""
    repertoire: int = 30
    """Number of different goals of one person."""
    owns_device: float = 0.5
    """Probability that a person has a given device."""
    owns_name: float = 0.15
    """Probability that a person has a given playlist, town, message or task."""
    fashion: float = 1.5
    """The r-th listed phrase of a goal is the favourite of a person in proportion to r ** -fashion."""
    habit: float = 0.8
    """Probability of the favourite phrase; else a random phrase of the goal."""
    hours: tuple[float, ...] = _HOURS
    """Relative traffic of each hour of the day."""

    follow_up: float = 0.25
    """Probability that a goal reached is followed by another at once."""
    related: float = 0.6
    """Probability that a follow-up has the same intent, if the person has another goal of that intent."""

    rephrase: float = 0.5
    """After a failure: probability of saying it differently."""
    repeat: float = 0.2
    """After a failure: probability of saying the same again."""
    switch: float = 0.08
    """After a failure: probability of wanting something else at once. The rest gives up."""
    patience: int = 4
    """Largest number of turns for one goal."""

    notice: float = 0.75
    """Probability of noticing that the assistant did something else."""
    interrupt: float = 0.5
    """Probability that a person who noticed interrupts the answer with the next turn."""
    stop: float = 0.1
    """Probability that a person who noticed first says the stop phrase."""
    needless_interrupt: float = 0.01
    """Probability that a follow-up interrupts the answer although all was well."""
    complaint: float = 0.05
    """Probability of negative feedback on a failure that was noticed."""
    praise: float = 0.02
    """Probability of positive feedback on a goal reached."""

    gap_s: float = 5.0
    """Median silence between a failed turn and the next, seconds."""
    interrupt_gap_s: float = 2.0
    """Median silence before an interruption, seconds."""
    follow_gap_s: float = 15.0
    """Median silence before a follow-up, seconds."""
    gap_spread: float = 0.5
    """Standard deviation of the logarithm of a silence."""


@dataclass(frozen=True, slots=True)
class User:
    """One person.

    Attributes:
        user_id: pseudonym.
        speaker: the voice, which decides how the channel mishears.
        goals: all goals of this person, commonest first.
        weights: probability of each goal; they add up to 1.
        phrases: goal -> phrases of this person, the favourite first.
        room: where the device of this person stands.
        device_id: the device.
    """

    user_id: str
    speaker: str
    goals: tuple[str, ...]
    weights: tuple[float, ...]
    phrases: Mapping[str, tuple[str, ...]]
    room: str
    device_id: str

    def pick(self, rng: np.random.Generator) -> str:
        """Draw the next goal."""
        left = rng.random()
        for goal, weight in zip(self.goals, self.weights, strict=True):  # commonest first, so this ends soon
            left -= weight
            if left < 0:
                return goal
        return self.goals[-1]

    def phrase(self, goal: str, habit: float, rng: np.random.Generator) -> str:
        """Draw a phrase for a goal: with probability `habit` the favourite one."""
        phrases = self.phrases[goal]
        return phrases[0 if rng.random() < habit else int(rng.random() * len(phrases))]

    def without(self, goals: frozenset[str], phrases: frozenset[str]) -> "User | None":
        """Return the person without some goals and phrases; None if no goal is left."""
        said = {g: tuple(p for p in self.phrases[g] if p not in phrases) for g in self.goals if g not in goals}
        kept = {g: w for g, w in zip(self.goals, self.weights, strict=True) if said.get(g)}
        if not kept:
            return None
        weights = tuple(w / sum(kept.values()) for w in kept.values())
        return User(self.user_id, self.speaker, tuple(kept), weights, {g: said[g] for g in kept}, self.room, self.device_id)


def people(
    goals: Mapping[str, tuple[str, ...]],
    n: int,
    *,
    seed: int,
    behaviour: Behaviour,
    owned: Mapping[str, Mapping[str, str]] | None = None,
    rooms: Sequence[str] = ("kitchen", "living room", "bedroom"),
    speakers: Sequence[str] = (),
) -> tuple[User, ...]:
    """Invent people with habits.

    Args:
        goals: what can be wanted -> how it can be asked for.
        n: how many people.
        seed: of all draws.
        behaviour: `zipf`, `variety`, `repertoire`, `fashion` and the two `owns_…` are used here.
        owned: goal -> kind (``device`` or ``name``) -> the thing that a user must have to want it; empty for what all can want.
        rooms: rooms of the devices.
        speakers: voices, assigned in turn; if empty, every person has their own voice.

    Returns:
        n people, without those who have no goal.
    """
    rng = np.random.default_rng([seed, 1])
    every = list(goals)
    needs = [dict((owned or {}).get(goal, {})) for goal in every]
    things = sorted({(kind, thing) for need in needs for kind, thing in need.items()})
    chances = np.array([behaviour.owns_device if kind == "device" else behaviour.owns_name for kind, _ in things])
    popularity = np.log1p(_places(every, rng))
    found = []
    for i in range(n):
        has = {thing for thing, yes in zip(things, rng.random(len(things)) < chances, strict=True) if yes}
        liked = np.argsort(popularity + behaviour.variety * rng.standard_normal(len(every)))
        mine = [every[g] for g in liked if has.issuperset(needs[g].items())][: behaviour.repertoire]
        if not mine:
            continue
        weights = np.arange(1, len(mine) + 1, dtype=np.float64) ** -behaviour.zipf
        phrases = {g: _liked(goals[g], behaviour.fashion, rng) for g in mine}
        name = f"user{i:04d}"
        speaker = speakers[i % len(speakers)] if speakers else name
        room = rooms[int(rng.random() * len(rooms))]
        shares = tuple((weights / weights.sum()).tolist())
        found.append(User(name, speaker, tuple(mine), shares, phrases, room, f"device{i:04d}"))
    return tuple(found)


def shares_said(users: Iterable[User], habit: float) -> dict[str, float]:
    """Return the share of all requests in which each phrase is said.

    Args:
        users: who ask, equally often.
        habit: `Behaviour.habit`.
    """
    shares: dict[str, float] = {}
    everybody = list(users)
    for user in everybody:
        for goal, weight in zip(user.goals, user.weights, strict=True):
            phrases = user.phrases[goal]
            for place, phrase in enumerate(phrases):
                chance = (habit if place == 0 else 0.0) + (1 - habit) / len(phrases)
                shares[phrase] = shares.get(phrase, 0.0) + weight * chance / len(everybody)
    return shares


def _places(goals: list[str], rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Draw the rank of each goal, 0 for the most popular: first one goal of each intent, then a second of each, and so on.

    So an intent with many goals (a brightness for every lamp) is not commoner because of their number.
    """
    places = np.empty(len(goals), dtype=np.intp)
    rounds: Counter[str] = Counter()
    keys: list[tuple[int, int, int]] = []
    for i in rng.permutation(len(goals)):
        kind = intent_of(goals[i])
        keys.append((rounds[kind], len(keys), int(i)))
        rounds[kind] += 1
    for place, (_, _, i) in enumerate(sorted(keys)):
        places[i] = place
    return places


def _liked(phrases: tuple[str, ...], fashion: float, rng: np.random.Generator) -> tuple[str, ...]:
    """Draw a person's order of phrases, without replacement in proportion to rank ** -fashion (Gumbel-max trick)."""
    keys = rng.gumbel(size=len(phrases)) - fashion * np.log1p(np.arange(len(phrases)))
    return tuple(phrases[i] for i in np.argsort(-keys))
