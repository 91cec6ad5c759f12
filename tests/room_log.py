"""A small log in which a phrase means another thing in each room, and what is right everywhere is known."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

USERS = [f"user{i:02d}" for i in range(16)]
ROOMS = ("kitchen", "office")
SAID, GARBLE = "turn on the light", "turn of the fan"
TARGETS = {room: f"turn on the {room} light" for room in ROOMS}
OWN = USERS[15]
"""Who means the kitchen light wherever she says it."""


def rows():
    """Turns of twelve days.

    Every day each user says SAID, three days in the kitchen and one in the office, which fails, and then the light of that room
    in full, which works; OWN says the kitchen's. GARBLE fails in the bedroom alone, and is said again well. In all three rooms
    people ask for the time.
    """
    start = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    for day in range(12):
        for i, user in enumerate(USERS):
            clock = start + timedelta(days=day, minutes=30 * i)
            room = ROOMS[(day + i) % 4 == 0]
            light = TARGETS["kitchen" if user == OWN else room]

            def turn(text, hypothesis, seconds, room, clock=clock, user=user):
                status = "failed" if hypothesis is None else "ok"
                when = (clock + timedelta(seconds=seconds)).isoformat()
                row = {"user_id": user, "timestamp": when, "utterance": text, "hypothesis": hypothesis, "status": status}
                return row | {"context": {"room": room, "hour": 8}, "device_type": "speaker"}

            yield turn(SAID, None, 0, room)
            yield turn(light, f"LightOn|name={light.split()[3]}", 6, room)
            if day % 3 == 0:
                yield turn(GARBLE, None, 400, "bedroom")
                yield turn("turn off the fan", "TurnOff|name=fan", 406, "bedroom")
            for place, at in (("kitchen", 800), ("office", 1000), ("office", 1100), ("bedroom", 1200)):
                yield turn("what time is it", "Time", at, place)


def write(path: Path) -> Path:
    """Write the log as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    return path
