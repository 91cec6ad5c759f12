"""A small log whose right rewrites are known: people with a lamp, a few of them with secrets."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

USERS = ["ann", "ben", "cem", "dan", "eva", "fay", "gus", "hal", "ida", "jon"]
OFF, ON, MIX = "TurnOff|name=lamp", "TurnOn|name=lamp", "Play|list=my mix"
SECRETS = {"ann": "call doctor house about the rash", "ben": "remind me of the divorce lawyer"}
"""Texts that one user said with success."""
RARE = "lamb of wrong"
"""A text that failed for two users only, and was restated well."""
OWN = "play my mess"
"""What only ann says, and has to say again."""

TORN = "play my mox"
"""What only hal says, who then means now this and now that."""


def rows():
    """Turns of ten users over ten days; every day each of them says the same things."""
    start = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    for day in range(10):
        for i, user in enumerate(USERS):
            clock = start + timedelta(days=day, minutes=20 * i)

            def turn(text, hypothesis, seconds, clock=clock, user=user):
                status = "failed" if hypothesis is None else "ok"
                when = (clock + timedelta(seconds=seconds)).isoformat()
                return {"user_id": user, "timestamp": when, "utterance": text, "hypothesis": hypothesis, "status": status}

            if day % 2 == 0:
                yield turn("Turn of the lamp", None, 0)
                yield turn("turn off the lamp", OFF, 6)
            yield turn("turn on the lamp", ON, 400)
            yield turn("turn off the lamp", OFF, 800)
            if i < 5:
                yield turn("switch on lamb", None, 1200)  # the guardrail must stop what people do next
                yield turn("turn off the lamp", OFF, 1206)
            if day == 3 and i in (5, 6):
                yield turn(RARE, None, 1600)
                yield turn("turn off the lamp", OFF, 1606)
            if user == "ann" and day % 2 == 1:
                yield turn(OWN, None, 2000)
                yield turn("play my mix", MIX, 2006)
            if user == "hal" and day % 2 == 1:
                yield turn(TORN, None, 2000)
                yield turn(f"play my {'mix' if day % 4 == 1 else 'max'}", MIX if day % 4 == 1 else "Play|list=my max", 2006)
            if user in SECRETS and day == 5:
                yield turn(SECRETS[user], "Remind|what=private", 2400)


def write(path: Path) -> Path:
    """Write the log as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    return path
