"""The log contract of docs/log.md a second time, in plain Python, one row at a time. Cells are texts or None."""

import json
import re
from datetime import UTC, datetime

from rewriter.text import hash_user

WORDS = {
    "status": {"ok": "ok success succeeded true", "failed": "failed fail failure error false"},
    "barge_in": {1: "1 1.0 true t yes y on", 0: "0 0.0 false f no n off"},
}
SPACE = " \t\n\r\u00a0\u3000"


def blank(text):
    return text is None or text.strip(SPACE) == ""


UNITS = ((1e11, 1000), (1e14, 1), (1e17, 1e-3), (1e300, 1e-6))
"""Numbers below -> how many milliseconds one of them is."""


def digits_ms(number):
    """20260105, 202601050800 and 20260105080000 are dates, however they are written."""
    text = str(int(number)) if number == number // 1 and number < 1e14 else ""
    if not re.fullmatch(r"\d{8}|\d{12}|\d{14}", text) or number < 19700101:
        return None
    parts = [text[:4], *re.findall("..", text[4:]), "00", "00", "00"][:6]
    try:
        return round(datetime(*map(int, parts), tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return None


def time_ms(text):
    text = text.strip(" ")
    if not re.match("[0-9]", text):
        return None
    if re.fullmatch(r"\d+\.?\d*(e\+?\d+)?", text):
        number = float(text)
        ms = digits_ms(number)
        if ms is None:
            ms = next(round(number * by) if by >= 1 else int(number * by) for top, by in UNITS if number < top)
    else:
        try:
            when = datetime.fromisoformat(re.sub(" ([+-])", r"\1", text.upper().replace(",", ".")))
        except ValueError:
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        since = when - datetime(1970, 1, 1, tzinfo=UTC)
        ms = (since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds) // 1000
    return ms if 0 <= ms < datetime(2200, 1, 1, tzinfo=UTC).timestamp() * 1000 else None


def word(column, text):
    return next((value for value, words in WORDS[column].items() if text.strip(" ").lower() in words.split()), None)


def number(text, allowed):
    try:
        value = {"true": 1.0, "false": 0.0}.get(text.strip(" ").lower()) if text.strip().isalpha() else float(text)
    except ValueError:
        return None
    return value if value is not None and allowed(value) else None


def parsed(text, fits):
    try:
        return text if fits(json.loads(text)) else None
    except ValueError:
        return None


def is_texts(value):
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


def is_scalars(value):
    return isinstance(value, dict) and not any(isinstance(v, (list, dict)) for v in value.values())


def share(value):
    return 0 <= value <= 1


READ = {
    "status": lambda t: word("status", t),
    "barge_in": lambda t: word("barge_in", t),
    "engaged": lambda t: number(t, share),
    "feedback": lambda t: number(t, lambda v: v in (-1, 0, 1)),
    "asr_confidence": lambda t: number(t, share),
    "nlu_confidence": lambda t: number(t, share),
    "nbest": lambda t: parsed(t, is_texts),
    "context": lambda t: parsed(t, is_scalars),
    "propensity": lambda t: number(t, share),
}
TEXTS = (
    "session_id",
    "hypothesis",
    "response",
    "device_id",
    "device_type",
    "sent",
    "rewrite_id",
    "rule",
    "layer",
    "scope",
    "arm",
)


def reading(row, *, slots_known):
    """(hypothesis, is it wrong) of intent and slots."""
    if blank(row.get("intent")) or not slots_known:
        return None, False
    slots = {} if blank(row.get("slots")) else json.loads(row["slots"]) if parsed(row["slots"], is_scalars) else None
    if slots is None:
        return None, True
    pairs = sorted((k, v) for k, v in slots.items() if v is not None)

    def text(v):
        return (
            {True: "true", False: "false"}[v]
            if isinstance(v, bool)
            else str(int(v) if isinstance(v, float) and v == int(v) else v)
        )

    def escaped(t):
        return re.sub(r"([\\|=])", r"\\\1", t)

    return "|".join([escaped(row["intent"]), *(f"{escaped(k)}={escaped(text(v))}" for k, v in pairs)]), False


def turn(row, key, *, default_id, slots_known, max_chars=500, locale="en"):
    """(turn, None) or (None, reason)."""
    values = {name: None if blank(row.get(name)) else read(row[name]) for name, read in READ.items()}
    ts_ms = None if blank(row.get("timestamp")) else time_ms(row["timestamp"])
    hypothesis, wrong_slots = (
        (row["hypothesis"], False) if not blank(row.get("hypothesis")) else reading(row, slots_known=slots_known)
    )
    reason = next(
        (
            reason
            for reason, holds in (
                ("no user", blank(row.get("user_id"))),
                ("unreadable time", ts_ms is None),
                ("no utterance", blank(row.get("utterance"))),
                ("too long", any(len(row.get(c) or "") > max_chars and not blank(row[c]) for c in ("utterance", "sent"))),
                *((f"wrong type in {n}", not blank(row.get(n)) and values[n] is None) for n in READ),
                ("wrong type in slots", wrong_slots),
            )
            if holds
        ),
        None,
    )
    if reason:
        return None, reason
    texts = {name: None if blank(row.get(name)) else row[name] for name in TEXTS}
    return {
        **texts,
        **values,
        "hypothesis": hypothesis,
        "turn_id": default_id if blank(row.get("turn_id")) else row["turn_id"],
        "user_id": hash_user(row["user_id"], key),
        "ts_ms": ts_ms,
        "locale": locale if blank(row.get("locale")) else row["locale"].replace("_", "-"),
        "utterance": row["utterance"],
    }, None
