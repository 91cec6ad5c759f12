"""Fault injection: days of dialogue in which one stage of the assistant at a time breaks, so that it is known where.

A request passes the stages wake, speech recognition, NLU, entity resolution and result. `Faults` says how often each breaks,
`Manner` how an assistant talks and what its log tells. Where a stage breaks and a later one makes up for it, nothing failed. The
truth of a turn is the first stage that failed and that no later one made up for, as in failure point isolation (Khaziev et al.,
"FPI: failure point isolation in large-scale conversational assistants", NAACL 2022 industry track).
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from rewriter.codes import FailurePoint
from rewriter.model.hypothesis import hypothesis, intent_of, slots_of
from rewriter.simulation.channels import Heard, common_words
from rewriter.simulation.users import User
from rewriter.simulation.world import HOUR_MS, TRIES, Around, Before, World, midnight_ms

_PAUSE_MS, _JUST_NOW_MS = 30_000, 120_000
_SWAPPED, _NOT_FOUND, _ASKED = 0.35, 0.45, 0.2
"""What becomes of a value that the entity list lacks: another one is taken, none is found, the assistant asks which one."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How often each stage breaks. What the NLU misunderstands and the channel mishears are those of the world."""

    false_wake: float = 0.06
    """Turns nobody meant, for each request."""
    entity: float = 0.12
    """Share of the values that the entity list lacks."""
    result: float = 0.06
    """Share of the requests whose action fails now, and may work when it is asked for again."""
    outage: float = 0.04
    """Share of the intents whose action fails on a whole day."""
    unsupported: float = 0.08
    """Share of the goals that the assistant cannot reach at all."""
    recovered: float = 0.25
    """Share of the failures of entity and result that the assistant itself makes up for."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How an assistant talks, and what its log tells.

    Attributes:
        name: of the assistant.
        replies: kind -> templates with ``{intent}``, ``{value}`` and ``{values}``: ``done``, ``not_understood``, ``not_found``,
            ``which_one``, ``trouble``, ``not_supported``.
        columns: what the log tells: of ``asr_confidence``, ``nlu_confidence``, ``nbest``, ``status``, ``response``.
        silent: share of the failed actions that it reports as done.
        sharpness: how far its confidence in an interpretation tells right from wrong, 0..1.
    """

    name: str
    replies: Mapping[str, tuple[str, ...]]
    columns: frozenset[str]
    silent: float
    sharpness: float


@cache
def manners() -> Mapping[str, Manner]:
    """Return the assistants of ``manners.json`` by name."""
    data = json.loads((Path(__file__).parent / "manners.json").read_text(encoding="utf-8"))
    return {
        name: Manner(
            name, {k: tuple(v) for k, v in of["replies"].items()}, frozenset(of["columns"]), of["silent"], of["sharpness"]
        )
        for name, of in data.items()
    }


@dataclass(frozen=True, slots=True)
class Injected:
    """One turn of the log with its truth.

    Attributes:
        row: the columns of the log.
        failure: the first stage that failed for good; `FailurePoint.CORRECT` if none did.
        failing: every stage that failed for good, first to last.
        unsupported: whether all was right and the assistant cannot do what was asked.
        goal: what the user wanted; empty for a false wake.
    """

    row: Mapping[str, Any]
    failure: FailurePoint
    failing: tuple[FailurePoint, ...]
    unsupported: bool
    goal: str = ""


@dataclass(frozen=True, slots=True)
class _Act:
    """What users do after a failure they notice: shares of saying it differently, again, and of asking for something else."""

    rephrase: float
    repeat: float
    second: float


_ACTS: Final = {
    FailurePoint.ASR: _Act(0.4, 0.35, 0.03),
    FailurePoint.NLU: _Act(0.6, 0.12, 0.05),
    FailurePoint.ENTITY: _Act(0.35, 0.2, 0.2),
    FailurePoint.RESULT: _Act(0.1, 0.4, 0.15),
    FailurePoint.CORRECT: _Act(0.25, 0.05, 0.25),  # the assistant cannot do it
}


def inject(world: World, faults: Faults, manner: Manner, *, days: int, start: date, seed: int) -> Iterator[Injected]:
    """Yield the turns of some days of a world whose stages break.

    Args:
        world: the world. Its withheld users stay out of the log.
        faults: how often each stage breaks.
        manner: how the assistant talks.
        days: number of days.
        start: the first day, UTC.
        seed: of all draws.
    """
    broken = _Broken.draw(world, faults, days, seed)
    for n in range(days):
        for i, user in enumerate(world.users):
            kept = world.logged(user)
            if kept:
                talk = _Talk(world, kept, faults, manner, broken, n, np.random.default_rng([seed, n, i]))
                yield from talk.day(midnight_ms(start + timedelta(days=n)))


def write_injected(turns: Iterable[Injected], path: Path) -> int:
    """Write turns as JSON lines in the log contract, with the truth in the columns ``failure``, ``failing`` and ``unsupported``.

    Returns:
        The number of rows.
    """
    n = 0
    with path.open("w", encoding="utf-8") as file:
        for turn in turns:
            truth = {"failure": turn.failure, "failing": " ".join(turn.failing), "unsupported": turn.unsupported}
            file.write(json.dumps(dict(turn.row) | truth, ensure_ascii=False) + "\n")
            n += 1
    return n


@dataclass(frozen=True, slots=True)
class _Broken:
    """What is broken for everybody: values, goals, and intents by day; and what may stand for a value."""

    values: frozenset[tuple[str, str]]
    goals: frozenset[str]
    outages: frozenset[tuple[int, str]]
    others: Mapping[str, tuple[str, ...]]

    @classmethod
    def draw(cls, world: World, faults: Faults, days: int, seed: int) -> "_Broken":
        rng = np.random.default_rng([seed, 8])
        slots: dict[str, dict[str, None]] = {}
        for goal in world.goals:
            for slot, value in slots_of(goal).items():
                if not value.replace(".", "").isdigit():
                    slots.setdefault(slot, {})[value] = None
        values = [(slot, value) for slot, of in sorted(slots.items()) for value in of if len(of) > 1]
        intents = sorted({intent_of(goal) for goal in world.goals})
        return cls(
            frozenset(one for one in values if rng.random() < faults.entity),
            frozenset(goal for goal in sorted(world.goals) if rng.random() < faults.unsupported),
            frozenset((n, intent) for n in range(days) for intent in intents if rng.random() < faults.outage),
            {slot: tuple(of) for slot, of in slots.items()},
        )


@dataclass(slots=True)
class _Talk:
    """The dialogue of one person on one day."""

    world: World
    user: User
    faults: Faults
    manner: Manner
    broken: _Broken
    day_no: int
    rng: np.random.Generator
    turns: list[Injected] = field(default_factory=list)
    clock: int = 0
    last: tuple[int, Before] | None = None

    def day(self, midnight: int) -> list[Injected]:
        """Return the turns of the day that begins at `midnight`, epoch milliseconds."""
        behaviour, rng = self.world.behaviour, self.rng
        n = int(rng.poisson(behaviour.requests_per_day))
        hours = rng.choice(24, size=n, p=np.asarray(behaviour.hours) / sum(behaviour.hours))
        for at in np.sort((hours + rng.random(n)) * HOUR_MS):
            self.clock = max(midnight + int(at), self.clock + _PAUSE_MS)
            if rng.random() < self.faults.false_wake:
                self._false_wake()
            else:
                self._pursue(self._pick())
        return self.turns

    def _around(self) -> Around:
        before = self.last[1] if self.last and self.clock - self.last[0] <= _JUST_NOW_MS else None
        return self.world.situations.around(self.user, self.clock, before)

    def _pick(self) -> str:
        return self.world.situations.pick(self.user, self._around(), self.rng)

    def _chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def _false_wake(self) -> None:
        """Somebody talks to somebody else, or a television does."""
        heard, meant = self._overheard(), self.world.assistant.understand
        understood = meant(heard.text)
        if understood is None and self._chance(0.3):
            reply = ""
        else:
            reply = self._reply("done" if understood else "not_understood", understood)
        self._add(heard, understood, reply, understood is not None, (FailurePoint.FALSE_WAKE,), barge_in=False)
        if self._chance(0.4 if understood else 0.1):
            self._stop(barge_in=self._chance(0.5))

    def _overheard(self) -> Heard:
        rng, world = self.rng, self.world
        if rng.random() < 0.2:  # words that could be a request
            said = self.user.phrase(self._pick(), 0.3, rng)
            heard = world.channel.hear(said, self.user.speaker, rng) or Heard(said, (said,), 0.8)
            return Heard(heard.text, heard.nbest, float(heard.confidence * rng.uniform(0.6, 1)))
        words = sorted(common_words()["common"] | common_words()["function"]) if world.locale == "en" else _words(world)
        drawn = [words[int(i)] for i in rng.integers(0, len(words), 1 + rng.poisson(3.5))]
        others = {i: words[int(rng.integers(len(words)))] for i in range(len(drawn)) if rng.random() < 0.3}
        text, other = " ".join(drawn), " ".join(others.get(i, word) for i, word in enumerate(drawn))
        return Heard(text, tuple(dict.fromkeys((text, other))), float(rng.beta(3, 3)))

    def _pursue(self, goal: str, barge_in: bool = False, depth: int = 0) -> None:
        """Add turns for a goal until it is reached or given up."""
        behaviour, rng, situations = self.world.behaviour, self.rng, self.world.situations
        said = situations.phrase(self.user, goal, self._around(), behaviour.habit, rng)
        for _ in range(behaviour.patience):
            found = self._turn(goal, said, barge_in)
            if found is None:
                return
            failing, told = found
            if not failing:
                if depth < 2 and self._chance(behaviour.follow_up):
                    self._wait(behaviour.follow_gap_s)
                    self._pursue(self._pick(), self._chance(behaviour.needless_interrupt), depth + 1)
                return
            if not told and not self._chance(behaviour.notice):
                return
            barge_in = not told and self._chance(behaviour.interrupt)
            if not told and self._chance(behaviour.stop):
                self._wait(behaviour.interrupt_gap_s)
                self._stop(barge_in)
                barge_in = False
            self._wait(behaviour.interrupt_gap_s if barge_in else behaviour.gap_s)
            act, drawn = _ACTS[failing[0]], rng.random()
            if drawn < act.rephrase:
                said = situations.otherwise(self.user, goal, said, rng)
            elif drawn >= act.rephrase + act.repeat:
                if drawn < act.rephrase + act.repeat + act.second and depth < 2:
                    self._pursue(self._second(goal), barge_in, depth + 1)
                return

    def _second(self, goal: str) -> str:
        """Return another goal of the same intent, where this person has one."""
        alike = [g for g in self.user.goals if g != goal and intent_of(g) == intent_of(goal)]
        return alike[int(self.rng.random() * len(alike))] if alike else self._pick()

    def _stop(self, barge_in: bool) -> None:
        if self.world.stop:
            understood = self.world.assistant.understand(self.world.stop)
            text = self.world.stop
            self._add(Heard(text, (text,), 0.95), understood, "", True, (), barge_in=barge_in)

    def _wait(self, median_s: float) -> None:
        self.clock += int(1000 * median_s * np.exp(self.world.behaviour.gap_spread * self.rng.standard_normal()))

    def _turn(self, goal: str, said: str, barge_in: bool) -> tuple[tuple[FailurePoint, ...], bool] | None:
        """Add one turn; return the stages that failed for good (CORRECT if it cannot be done), and whether the user was told."""
        heard = self._listen(said)
        if heard is None:
            return None
        understand = self.world.assistant.understand
        understood, clean = understand(heard.text), understand(said)
        failing: list[FailurePoint] = []
        if understood != goal:
            if heard.text != said and understood != clean:
                failing.append(FailurePoint.ASR)
            if clean != goal:
                failing.append(FailurePoint.NLU)
        shown, kind, reply = understood, "done", ""
        if understood is None:
            kind = "not_understood"
        else:
            resolved, kind, reply = self._resolve(understood)
            if kind != "done" or resolved != understood:
                failing.append(FailurePoint.ENTITY)
                shown = resolved
        unsupported = understood in self.broken.goals and kind == "done"
        if unsupported:
            kind, shown = "not_supported", understood if self._chance(0.6) else None
        elif kind == "done" and understood is not None and self._fails(understood):
            failing.append(FailurePoint.RESULT)
            kind = "done" if self._chance(self.manner.silent) else "trouble"
            reply = self._reply("done", self._second(understood)) if kind == "done" else ""
        told, fine = kind != "done", not failing and not unsupported
        reply = reply or self._reply(kind, understood)
        self._add(heard, shown, reply, not told, tuple(failing), barge_in, fine=fine,
                  unsupported=unsupported and not failing, goal=goal)  # fmt: skip
        self.last = (self.clock, Before(goal, heard.text))
        return (() if fine else tuple(failing) or (FailurePoint.CORRECT,)), told

    def _resolve(self, understood: str) -> tuple[str, str, str]:
        """Return the hypothesis after the entity list was asked, the kind of answer, and the answer where it names a value."""
        slots = slots_of(understood)
        lost = next((pair for pair in slots.items() if pair in self.broken.values), None)
        if lost is None or self._chance(self.faults.recovered):
            return understood, "done", ""
        slot, value = lost
        others = [v for v in self.broken.others[slot] if v != value]
        drawn = self.rng.random()
        if drawn < _SWAPPED:
            other = others[int(self.rng.random() * len(others))]
            return hypothesis(intent_of(understood), slots | {slot: other}), "done", ""
        kind = "not_found" if drawn < _SWAPPED + _NOT_FOUND else "which_one"
        left = {k: v for k, v in slots.items() if k != slot} if self._chance(0.5) else slots
        return hypothesis(intent_of(understood), left), kind, self._reply(kind, understood, value)

    def _fails(self, understood: str) -> bool:
        down = (self.day_no, intent_of(understood)) in self.broken.outages
        return (down or self._chance(self.faults.result)) and not self._chance(self.faults.recovered)

    def _listen(self, said: str) -> Heard | None:
        withheld = self.world.split
        for _ in range(TRIES):
            heard = self.world.channel.hear(said, self.user.speaker, self.rng)
            if heard is None:
                return None
            if heard.text not in withheld.phrases and self.world.assistant.understand(heard.text) not in withheld.goals:
                return Heard(heard.text, tuple(t for t in heard.nbest if t not in withheld.phrases), heard.confidence)
        return None

    def _reply(self, kind: str, understood: str | None, value: str = "") -> str:
        templates: Sequence[str] = self.manner.replies[kind]
        slots = slots_of(understood) if understood else {}
        words = intent_of(understood).replace("Hass", "").replace("_", " ") if understood else ""
        template = templates[int(self.rng.random() * len(templates))]
        named = value or next(iter(slots.values()), "that")
        return template.format(intent=words, value=named, values=", ".join(slots.values()) or words)

    def _add(
        self,
        heard: Heard,
        understood: str | None,
        reply: str,
        ok: bool,
        failing: tuple[FailurePoint, ...],
        barge_in: bool,
        *,
        fine: bool = True,
        unsupported: bool = False,
        goal: str = "",
    ) -> None:
        rng, around, manner = self.rng, self._around(), self.manner
        right = not {FailurePoint.ASR, FailurePoint.NLU, FailurePoint.FALSE_WAKE}.intersection(failing)
        sure = rng.beta(8, 1.5) if right else rng.beta(8 - 6 * manner.sharpness, 1.5 + 2.5 * manner.sharpness)
        feedback, behaviour = rng.random(), self.world.behaviour
        told = {
            "asr_confidence": round(float(heard.confidence), 3),
            "nlu_confidence": round(float(sure if understood else sure / 2), 3),
            "nbest": list(heard.nbest),
            "status": "ok" if ok else "failed",
            "response": reply,
        }
        row = {
            "turn_id": f"{self.user.user_id}-{self.clock}",
            "user_id": self.user.user_id,
            "timestamp": datetime.fromtimestamp(self.clock / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "locale": self.world.locale,
            "utterance": heard.text,
            "hypothesis": understood,
            "barge_in": barge_in,
            "feedback": (1 if feedback < behaviour.praise else None) if fine else -1 if feedback < behaviour.complaint else None,
            "device_id": around.device_id,
            "device_type": around.device_type,
            "context": dict(around.context),
        }
        known = {name: value for name, value in told.items() if name in manner.columns}
        self.turns.append(Injected(row | known, failing[0] if failing else FailurePoint.CORRECT, failing, unsupported, goal))
        self.clock += 1


@cache
def _vocabulary(phrases: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted({word for phrase in phrases for word in phrase.split()}))


def _words(world: World) -> Sequence[str]:
    return _vocabulary(frozenset(phrase for of in world.goals.values() for phrase in of))
