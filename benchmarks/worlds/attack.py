"""Turns of fake accounts.

`poison`    pretends that people who say one thing want another
`rejected`  pretends that rewrites do harm
`repeated`  says texts over and over, praises or blames the answers, or claims some context
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from rewriter.simulation.turn import Turn
from rewriter.simulation.world import Rewriting, World, midnight_ms

Pretence = tuple[str, str]
"""A text that others say, and the text that it shall be rewritten to."""

_HASTE_MS = 3_000  # between the text and its restatement
_PAUSE_MS = 60_000  # between two pretences
_APART_MS = 400_000  # between two texts that have nothing to do with each other
_DAY_MS = 86_400_000


def poison(
    world: World, pretences: Sequence[Pretence], *, accounts: int, rounds: int, days: int, start: date
) -> Iterator[list[Turn]]:
    """Let fake accounts talk to the assistant, day by day, and do all that speaking can do.

    They say the text, complain, interrupt the answer with the target, and praise. What the assistant makes of either is true: an
    attacker has no access to the log itself.

    Args:
        world: where.
        pretences: all of which each account acts out.
        accounts: how many.
        rounds: how often each account acts out each pretence on each day.
        days: how many.
        start: the first day, UTC.

    Yields:
        The turns of one day, ordered by account and time.
    """
    for n in range(days):
        midnight = midnight_ms(start + timedelta(days=n))
        turns: list[Turn] = []
        for account in range(accounts):
            for act, (source, target) in enumerate([*pretences] * rounds):
                at = midnight + act * _PAUSE_MS
                turns += [_turn(world, account, at, source, -1), _turn(world, account, at + _HASTE_MS, target, 1)]
        yield turns


def rejected(world: World, sources: Sequence[str], rewrite: Rewriting, *, accounts: int, day: date) -> list[Turn]:
    """Let fake accounts say texts that are rewritten, reject every rewrite and praise whatever is left alone, for one day.

    Args:
        world: where.
        sources: each account says each of them once.
        rewrite: what serves.
        accounts: how many.
        day: UTC.
    """
    turns = []
    for account in range(accounts):
        for act, source in enumerate(sources):
            answer = rewrite(
                source, user_id=f"fake{account}", locale=world.locale, nbest=(source,), context={}, after_failure=False
            )
            at = midnight_ms(day) + act * _PAUSE_MS
            turn = _turn(world, account, at, answer.text, -1 if answer.applied else 1)
            decided = {name: getattr(answer, name) for name in ("rule", "layer", "scope", "arm", "propensity")}
            sent = answer.text if answer.applied else None
            turns.append(replace(turn, utterance=source, said=source, barge_in=False, sent=sent, rewrite_id=answer.id, **decided))
    return turns


def repeated(
    world: World,
    texts: Sequence[str],
    *,
    accounts: int,
    rounds: int,
    days: int,
    start: date,
    feedback: int | None = None,
    context: Mapping[str, object] | None = None,
    locale: str | None = None,
    nbest: Sequence[str] = (),
) -> list[Turn]:
    """Let fake accounts say texts over and over, with silence between them.

    Args:
        world: where. What the assistant makes of a text is true.
        texts: what is said.
        accounts: how many.
        rounds: how often each account says each text on each day.
        days: how many.
        start: the first day, UTC.
        feedback: 1 praises every answer, -1 blames it, None says nothing.
        context: of every turn.
        locale: of every turn; that of the world if None.
        nbest: what the recogniser claims to have heard besides.
    """
    turns = []
    for day in range(days):
        for account in range(accounts):
            for n, text in enumerate([*texts] * rounds):
                at = midnight_ms(start + timedelta(days=day)) + (n * _APART_MS + account) % _DAY_MS
                turn = _turn(world, account, at, text, 0)
                turns.append(
                    replace(
                        turn,
                        turn_id=f"{turn.turn_id}-{n}",
                        locale=locale or world.locale,
                        feedback=feedback,
                        context=json.dumps(dict(context or {})),
                        nbest=(text, *nbest),
                    )
                )
    return turns


def _turn(world: World, account: int, ts_ms: int, text: str, feedback: int) -> Turn:
    hypothesis = world.assistant.understand(text)
    return Turn(
        turn_id=f"fake{account}-{ts_ms}",
        user_id=f"fake{account}",
        ts_ms=ts_ms,
        locale=world.locale,
        utterance=text,
        hypothesis=hypothesis,
        status="failed" if hypothesis is None else "ok",
        response="",
        barge_in=feedback > 0,
        feedback=feedback,
        asr_confidence=1.0,
        nbest=(text,),
        device_id=f"fake{account}",
        device_type="speaker",
        context=json.dumps({}),
        sent=None,
        rewrite_id=None,
        rule=None,
        layer=None,
        scope=None,
        arm=None,
        propensity=None,
        goal="",
        said=text,
    )
