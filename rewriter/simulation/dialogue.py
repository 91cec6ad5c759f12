"""What people say in a world: days of dialogue for a log, and single requests to be judged.

`simulate_days` yields the turns of each day. `requests` draws requests with their goals, users and phrases that the log withholds
included.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from typing import Literal

import numpy as np

from rewriter.model.hypothesis import intent_of, slots_of
from rewriter.result import Rewrite
from rewriter.simulation.channels import Heard
from rewriter.simulation.turn import Turn
from rewriter.simulation.users import User
from rewriter.simulation.world import HOUR_MS, TRIES, Around, Before, Request, Rewriting, World, midnight_ms

Mode = Literal["before", "after_failure"]
_REFUSAL = "Sorry, I did not understand that."
_PAUSE_MS = 30_000
"""Smallest time between two goals of a person."""
_JUST_NOW_MS = 120_000
"""A turn counts as the previous one for this long."""


def simulate_days(
    world: World, *, days: int, start: date, seed: int, rewrite: Rewriting | None = None, mode: Mode = "before"
) -> Iterator[list[Turn]]:
    """Simulate days of a world: people talk to their assistant.

    The log has no withheld user, phrase or goal, neither as said nor as heard. If the channel returns one, another hearing is
    drawn. A day depends only on `seed` and its date, so days can be simulated separately and with different rewriters. Recordings
    are an
    exception: each is played once.

    Args:
        world: the world.
        days: number of days.
        start: the first day, UTC.
        seed: of all draws.
        rewrite: the rewriter, for example `Rewriter.rewrite`; None for no rewriting.
        mode: call the rewriter before the assistant, or only after a refusal.

    Yields:
        The turns of one day, ordered by time and user.
    """
    people = [(i, kept) for i, user in enumerate(world.users) if (kept := world.logged(user))]
    for n in range(days):
        day = start + timedelta(days=n)
        turns: list[Turn] = []
        for i, user in people:
            rng = np.random.default_rng([seed, day.toordinal(), i])
            turns += _Talk(world, user, rng, rewrite, mode).day(midnight_ms(day))
        turns.sort(key=lambda t: (t.ts_ms, t.user_id))
        yield turns


@dataclass(slots=True)
class _Talk:
    """The dialogue of one person on one day."""

    world: World
    user: User
    rng: np.random.Generator
    rewrite: Rewriting | None
    mode: Mode
    turns: list[Turn] = field(default_factory=list)
    clock: int = 0

    def day(self, midnight: int) -> list[Turn]:
        """Return the turns of the day that begins at `midnight`, epoch milliseconds."""
        behaviour, rng = self.world.behaviour, self.rng
        n = int(rng.poisson(behaviour.requests_per_day))
        hours = rng.choice(24, size=n, p=np.asarray(behaviour.hours) / sum(behaviour.hours))
        for at in np.sort((hours + rng.random(n)) * HOUR_MS):
            self.clock = max(midnight + int(at), self.clock + _PAUSE_MS)
            for _ in range(TRIES):
                if self._pursue(self._pick()):
                    break
        return self.turns

    def _around(self) -> Around:
        last = self.turns[-1] if self.turns else None
        before = Before(last.goal, last.utterance) if last and self.clock - last.ts_ms <= _JUST_NOW_MS else None
        return self.world.situations.around(self.user, self.clock, before)

    def _pick(self) -> str:
        return self.world.situations.pick(self.user, self._around(), self.rng)

    def _pursue(self, goal: str, barge_in: bool = False) -> bool:
        """Add turns for a goal until it is reached or given up; return whether any turn was added."""
        behaviour, rng, situations = self.world.behaviour, self.rng, self.world.situations
        said = situations.phrase(self.user, goal, self._around(), behaviour.habit, rng)
        for attempt in range(behaviour.patience):
            turn = self._turn(goal, said, barge_in)
            if turn is None:
                return attempt > 0
            if turn.hypothesis == goal:
                self._after_success(goal)
                return True
            silent = turn.status == "ok"
            if silent and rng.random() >= behaviour.notice:
                return True
            barge_in = silent and rng.random() < behaviour.interrupt
            if silent and self.world.stop and rng.random() < behaviour.stop:
                self._wait(behaviour.interrupt_gap_s if barge_in else behaviour.gap_s)
                self._turn(self.world.assistant.understand(self.world.stop) or "", self.world.stop, barge_in)
                barge_in = False
            self._wait(behaviour.interrupt_gap_s if barge_in else behaviour.gap_s)
            act = rng.random()
            if act < behaviour.rephrase:
                said = situations.otherwise(self.user, goal, said, rng)
            elif act >= behaviour.rephrase + behaviour.repeat:
                if act < behaviour.rephrase + behaviour.repeat + behaviour.switch:
                    self._pursue(self._pick(), barge_in)
                return True
        return True

    def _after_success(self, goal: str) -> None:
        behaviour, rng = self.world.behaviour, self.rng
        if rng.random() < behaviour.follow_up:
            related = rng.random() < behaviour.related
            alike = [g for g in self.user.goals if g != goal and _kind(g) == _kind(goal)] if related else []
            self._wait(behaviour.follow_gap_s)
            following = alike[int(rng.random() * len(alike))] if alike else self._pick()
            self._pursue(following, rng.random() < behaviour.needless_interrupt)

    def _wait(self, median_s: float) -> None:
        self.clock += int(1000 * median_s * np.exp(self.world.behaviour.gap_spread * self.rng.standard_normal()))

    def _turn(self, goal: str, said: str, barge_in: bool) -> Turn | None:
        """Add one turn; None if the channel returns nothing that may be in the log."""
        heard = self._listen(said)
        if heard is None:
            return None
        around = self._around()
        hypothesis, decision = self._ask(heard, around)
        behaviour, rng = self.world.behaviour, self.rng
        right = hypothesis == goal
        feedback = rng.random()
        turn = Turn(
            turn_id=f"{self.user.user_id}-{self.clock}",
            user_id=self.user.user_id,
            ts_ms=self.clock,
            locale=self.world.locale,
            utterance=heard.text,
            hypothesis=hypothesis,
            status="failed" if hypothesis is None else "ok",
            response=_REFUSAL if hypothesis is None else _answer(hypothesis),
            barge_in=barge_in,
            feedback=(1 if feedback < behaviour.praise else None) if right else -1 if feedback < behaviour.complaint else None,
            asr_confidence=heard.confidence,
            nbest=heard.nbest,
            device_id=around.device_id,
            device_type=around.device_type,
            context=json.dumps(around.context),
            sent=decision.text if decision and decision.applied else None,
            rewrite_id=decision.id if decision else None,
            rule=decision.rule if decision else None,
            layer=decision.layer if decision else None,
            scope=decision.scope if decision else None,
            arm=decision.arm if decision else None,
            propensity=decision.propensity if decision else None,
            goal=goal,
            said=said,
        )
        self.turns.append(turn)
        self.clock += 1
        return turn

    def _listen(self, said: str) -> Heard | None:
        withheld, understand = self.world.split, self.world.assistant.understand
        for _ in range(TRIES):
            heard = self.world.channel.hear(said, self.user.speaker, self.rng)
            if heard is None:
                return None
            if heard.text not in withheld.phrases and understand(heard.text) not in withheld.goals:
                kept = tuple(text for text in heard.nbest if text not in withheld.phrases)
                return Heard(heard.text, kept, heard.confidence)
        return None

    def _ask(self, heard: Heard, around: Around) -> tuple[str | None, Rewrite | None]:
        """Return the hypothesis for the text that is sent, and the decision of the rewriter."""
        understand = self.world.assistant.understand
        if self.rewrite is None:
            return understand(heard.text), None
        refused = self.mode == "after_failure"
        if refused and (understood := understand(heard.text)) is not None:
            return understood, None
        decision = self.rewrite(
            heard.text,
            user_id=self.user.user_id,
            locale=self.world.locale,
            nbest=heard.nbest,
            context=around.asked,
            after_failure=refused,
        )
        return understand(decision.text), decision


@cache
def _kind(goal: str) -> str:
    return intent_of(goal)


@cache
def _answer(hypothesis: str) -> str:
    """Return the response of an assistant that understood: the intent in words and the values of its slots."""
    intent = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", intent_of(hypothesis)).lower()
    return ", ".join(["OK", intent, *slots_of(hypothesis).values()])


def requests(world: World, *, n: int, seed: int, start: date, days: int = 7) -> list[Request]:
    """Draw new first requests of all users of a world, in the proportions in which they are made.

    Args:
        world: the world. Users, phrases and goals that are withheld from the log are drawn like all others.
        n: how many. There are fewer if recordings run out.
        seed: of all draws.
        start: the first day, UTC; later than the log.
        days: over how many days they spread.

    Returns:
        Requests ordered by time.
    """
    rng = np.random.default_rng([seed, 2])
    found: list[Request] = []
    for _ in range(n * TRIES):
        if len(found) == n:
            break
        user = world.users[int(rng.random() * len(world.users))]
        asked = (_in_time if world.situations.matter else _at_any_time)(world, user, start, days, rng)
        if asked is not None:
            found.append(_request(world, user, *asked))
    return sorted(found, key=lambda r: (r.ts_ms, r.user_id))


_Asked = tuple[int, Around, str, str, Heard]  # when and where, goal, what was said and heard


def _at_any_time(world: World, user: User, start: date, days: int, rng: np.random.Generator) -> _Asked | None:
    """Draw a goal, then the time."""
    goal = user.pick(rng)
    said = user.phrase(goal, world.behaviour.habit, rng)
    heard = world.judging.hear(said, user.speaker, rng)
    if heard is None:
        return None
    ts_ms = _moment(world, start, days, rng)
    return ts_ms, world.situations.around(user, ts_ms, None), goal, said, heard


def _in_time(world: World, user: User, start: date, days: int, rng: np.random.Generator) -> _Asked | None:
    """Draw the time, whether there was a turn just before, and then the goal."""
    ts_ms, before = _moment(world, start, days, rng), None
    if rng.random() < world.behaviour.follow_up / (1 + world.behaviour.follow_up):
        _, goal, _, heard = _wanted(world, user, ts_ms, None, rng)
        before = Before(goal, heard.text) if heard else None
    around, goal, said, heard = _wanted(world, user, ts_ms, before, rng)
    return None if heard is None else (ts_ms, around, goal, said, heard)


def _wanted(
    world: World, user: User, ts_ms: int, before: Before | None, rng: np.random.Generator
) -> tuple[Around, str, str, Heard | None]:
    around = world.situations.around(user, ts_ms, before)
    goal = world.situations.pick(user, around, rng)
    said = world.situations.phrase(user, goal, around, world.behaviour.habit, rng)
    return around, goal, said, world.judging.hear(said, user.speaker, rng)


def _moment(world: World, start: date, days: int, rng: np.random.Generator) -> int:
    hours = np.asarray(world.behaviour.hours) / sum(world.behaviour.hours)
    hour = int(rng.choice(24, p=hours))
    return midnight_ms(start) + int((rng.integers(days) * 24 + hour + rng.random()) * HOUR_MS)


def _request(world: World, user: User, ts_ms: int, around: Around, goal: str, said: str, heard: Heard) -> Request:
    return Request(
        user_id=user.user_id,
        ts_ms=ts_ms,
        locale=world.locale,
        goal=goal,
        said=said,
        heard=heard.text,
        nbest=heard.nbest,
        confidence=heard.confidence,
        context=around.asked,
        known_user=user.user_id not in world.split.users,
        known_phrase=said not in world.split.phrases,
        known_goal=goal not in world.split.goals,
    )
