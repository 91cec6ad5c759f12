"""Mining again in plain Python, written from docs/mining.md and not from the SQL: the reference that the engines must equal."""

import unicodedata
from collections import defaultdict
from fractions import Fraction
from itertools import groupby
from math import floor

import jellyfish

from rewriter.offline.stops import stop_words
from rewriter.text import normalise

DAY = 86_400_000
HALF = Fraction(1, 2)


def mine(turns, detector, config):
    """Return {table: list of rows as dicts} for turns given as dicts; `detector.p(cues)` gives thousandths."""
    placed, texts, users = place(turns)
    sessions = [s for user in sorted(users.values()) for s in follow([t for t in placed if t["user_no"] == user], texts, config)]
    candidates = list(look_ahead(sessions, config))
    alike = {(c["source"], c["target"]): compare(texts, c) for c in candidates}
    scores = []
    for c in candidates:
        words = {"source_text": texts[c["source"]]["text"], "target_text": texts[c["target"]]["text"]}
        if p := detector.p(c | alike[c["source"], c["target"]] | words):
            scores.append({"user_no": c["user_no"], "turn_no": c["turn_no"], "ahead": c["ahead"], "p": p})
    counts, rephrases = spend(sessions, candidates, scores)
    user_nodes, user_edges = rows_of_users(counts, rephrases)
    return {
        "users": [{"user_no": no, "user_id": user} for user, no in users.items()],
        "texts": texts,
        "sessions": sessions,
        "candidates": candidates,
        "scores": scores,
        "counts": counts,
        "rephrases": rephrases,
        "user_nodes": user_nodes,
        "user_edges": user_edges,
        **chain(user_nodes, user_edges, texts, config.chain.user_cap),
        "queries": queries(counts, texts),
    }


def place(turns):
    """Drop empty turns, normalise, and number users and texts."""
    kept = []
    for t in turns:
        said = normalise(t["utterance"])
        if said:
            sent = normalise(t["sent"] or "") or said
            kept.append({**t, "said": said, "sent": sent, "hypothesis": t["hypothesis"] or None})
    is_state = {}

    def use(locale, kind, text, state):
        is_state[locale, kind, text] = is_state.get((locale, kind, text), False) or state

    for t in kept:
        use(t["locale"], "u", t["said"], t["said"] == t["sent"])
        use(t["locale"], "u", t["sent"], t["hypothesis"] is None)
        if t["hypothesis"]:
            use(t["locale"], "h", t["hypothesis"], True)
    for t in turns:
        if t["response"] is not None:
            use(t["locale"], "r", t["response"], False)
    order = sorted(is_state, key=lambda key: (not is_state[key], *(part.encode() for part in key)))
    number = {key: i for i, key in enumerate(order)}
    texts = [
        {"id": i, "locale": loc, "kind": kind, "text": text, "stop": int(kind == "u" and text in stop_words(loc))}
        for i, (loc, kind, text) in enumerate(order)
    ]
    sessions = sorted({t["session_id"] for t in turns if t["session_id"]}, key=str.encode)
    session_no = {None: 0, "": 0} | {session: i for i, session in enumerate(sessions, start=1)}
    locales = sorted({t["locale"] for t in turns}, key=str.encode)
    users = {user: i for i, user in enumerate(sorted({t["user_id"] for t in turns}, key=str.encode))}
    placed = []
    for t in kept:
        said, sent = (number[t["locale"], "u", t[name]] for name in ("said", "sent"))
        hypothesis = number[t["locale"], "h", t["hypothesis"]] if t["hypothesis"] else None
        placed.append(
            {
                **t,
                "user_no": users[t["user_id"]],
                "session_no": session_no[t["session_id"]],
                "locale_no": locales.index(t["locale"]),
                "said": said,
                "sent": sent,
                "hypothesis": hypothesis,
                "state": sent if hypothesis is None else hypothesis,
                "rewritten": int(said != sent),
                "stop": texts[said]["stop"],
                "reply": None if t["response"] is None else number[t["locale"], "r", t["response"]],
                "failed": {"failed": 1, "ok": 0}.get(t["status"]),
            }
        )
    return placed, texts, users


def follow(turns, texts, config):
    """Number the turns of one user, open sessions, judge friction."""
    turns = sorted(turns, key=lambda t: (t["session_no"], t["ts_ms"], t["turn_id"].encode()))
    rows = []
    for i, t in enumerate(turns):
        before, after = turns[i - 1] if i else None, turns[i + 1] if i + 1 < len(turns) else None
        row = {name: t[name] for name in ("turn_id", "user_no", "session_no", "ts_ms", "locale_no", "said", "sent", "state")}
        row |= {name: t[name] for name in ("rewritten", "stop", "hypothesis", "failed", "reply", "barge_in")}
        row |= {"turn_no": i + 1, "opens": int(not joined(before, t, config)), "day": t["ts_ms"] // DAY}
        row["alone"] = int(not any(o and close(o, t, config) for o in (before, after)))
        row["engaged"] = evidence_of_success(t)
        row["friction"] = friction(t, after if joined(t, after, config) else None, row["engaged"], config.friction)
        rows.append(row)
    return rows


def joined(one, other, config):
    """Whether the second turn goes on with the session of the first."""
    if one is None or other is None or one["session_no"] != other["session_no"]:
        return False
    return one["session_no"] != 0 or other["ts_ms"] - one["ts_ms"] <= config.sessions.gap_ms


def close(one, other, config):
    return one["session_no"] == other["session_no"] and abs(one["ts_ms"] - other["ts_ms"]) <= config.rephrases.window_ms


def evidence_of_success(t):
    if t["feedback"] in (1, -1):
        return 1000 if t["feedback"] == 1 else 0
    return None if t["engaged"] is None else floor(t["engaged"] * 1000 + 0.5)


def friction(t, after, engaged, numbers):
    if t["feedback"] in (1, -1):
        return 0 if t["feedback"] == 1 else 1000
    cues = [numbers.unknown]
    if after is not None and after["ts_ms"] - t["ts_ms"] <= numbers.window_ms:
        cues += [numbers.barge_in] if after["barge_in"] == 1 else []
        cues += [numbers.stop] if after["stop"] else []
    confidences = [t[name] for name in ("asr_confidence", "nlu_confidence") if t[name] is not None]
    cues += [numbers.low_confidence] if any(c < numbers.confidence for c in confidences) else []
    reduced = floor(Fraction(max(cues) * (1000 - (engaged or 0)), 1000))
    return max(reduced, numbers.failed if t["status"] == "failed" else 0)


def look_ahead(sessions, config):
    """List the next turns of the same session and locale."""
    of_session, number = defaultdict(list), 0
    for s in sessions:
        number += s["opens"]
        of_session[number, s["locale_no"]].append(s)
    for turns in of_session.values():
        for i, t in enumerate(turns):
            for ahead, other in enumerate(turns[i + 1 : i + 1 + config.rephrases.reach], start=1):
                gap = other["ts_ms"] - t["ts_ms"]
                if gap <= config.rephrases.window_ms and not other["stop"]:
                    yield {
                        "user_no": t["user_no"],
                        "turn_no": t["turn_no"],
                        "ahead": ahead,
                        "next_turn_no": other["turn_no"],
                        "source": t["said"],
                        "target": other["said"],
                        "gap_ms": gap,
                        "source_friction": t["friction"],
                        "target_friction": other["friction"],
                        "barge_in": other["barge_in"] or 0,
                        "verbatim": int(t["said"] == other["said"]),
                        "source_failed": t["failed"],
                        "target_failed": other["failed"],
                        "source_engaged": t["engaged"],
                        "same_hypothesis": same(t["hypothesis"], other["hypothesis"]),
                        "same_response": same(t["reply"], other["reply"]),
                    }


def same(one, other):
    return None if one is None or other is None else int(one == other)


def compare(texts, c):
    source, target = texts[c["source"]], texts[c["target"]]
    one, other = source["text"].split(), target["text"].split()
    short, long = (one, other) if len(one) <= len(other) else (other, one)
    sounds = [sound(t["text"], t["locale"]) for t in (source, target)]
    return {
        "text_similarity": thousandths(source["text"], target["text"]),
        "sound_similarity": thousandths(*sounds),
        "contained": int(common(short, long) == len(short)),
    }


def sound(text, locale):
    if locale.startswith("en"):
        return " ".join(jellyfish.metaphone(word) or word for word in text.split())
    letters = [c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c)]
    return "".join(c for c, _ in groupby(letters))


def thousandths(one, other):
    """Normalised Indel similarity, from the longest common subsequence."""
    total = len(one) + len(other)
    return round((1 - (total - 2 * common(one, other)) / total) * 1000) if total else 1000


def common(one, other):
    """Length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for a in one:
        previous = row
        row = [0]
        for j, b in enumerate(other):
            row.append(previous[j] + 1 if a == b else max(previous[j + 1], row[j]))
    return row[-1]


def spend(sessions, candidates, scores):
    """Let each turn spend its 1,000 thousandths."""
    p = {(s["user_no"], s["turn_no"], s["ahead"]): s["p"] for s in scores}
    turn = {(s["user_no"], s["turn_no"]): s for s in sessions}
    by_turn = defaultdict(list)
    for c in candidates:
        by_turn[c["user_no"], c["turn_no"]].append(c)
    counts, rephrases = defaultdict(lambda: [0, 0, 0, 0]), defaultdict(lambda: [0, 0])
    for key, s in turn.items():
        cell, left = (s["day"], s["user_no"], s["sent"], s["rewritten"], s["state"]), 1000
        for c in sorted(by_turn[key], key=lambda c: c["ahead"]):
            mass = floor(Fraction(left * p.get((*key, c["ahead"]), 0), 1000) + HALF)
            left -= mass
            if mass:
                other = turn[c["user_no"], c["next_turn_no"]]
                again = int(other["said"] == s["said"] and not other["rewritten"])
                add(rephrases[(*cell, other["state"], again)], mass, 1)
        failure = floor(Fraction(left * s["friction"], 1000) + HALF)
        add(counts[cell], 1, int(s["failed"] == 1), left - failure, failure)
    key = ("day", "user_no", "sent", "rewritten", "state")
    return (
        dicts(counts, (*key, "turns", "failed", "success", "failure")),
        dicts(rephrases, (*key, "target", "again", "mass", "turns")),
    )


def add(cell, *values):
    for i, value in enumerate(values):
        cell[i] += value


def dicts(table, names):
    return [dict(zip(names, (*key, *values), strict=True)) for key, values in table.items()]


def rows_of_users(counts, rephrases):
    """Give each turn's spending to the row of what was said, and to the row of how it was understood."""
    nodes, edges = defaultdict(lambda: [0, 0, 0, []]), defaultdict(lambda: [0, 0])
    for c in counts:
        for node in rows(c):
            cell = nodes[c["user_no"], node]
            add(cell, c["turns"], c["success"], c["failure"])
            cell[3].append(c["day"])
    for r in rephrases:
        for node in rows(r):
            spoken = node == r["sent"] and not r["rewritten"]
            add(edges[r["user_no"], node, r["sent"] if spoken and r["again"] else r["target"]], r["mass"], r["turns"])
    user_nodes = [
        {"user_no": u, "node": n, "turns": t, "success": s, "failure": f, "first_day": min(days), "last_day": max(days)}
        for (u, n), (t, s, f, days) in nodes.items()
    ]
    return user_nodes, dicts(edges, ("user_no", "source", "target", "mass", "turns"))


def rows(cell):
    spoken = set() if cell["rewritten"] else {cell["sent"]}
    return spoken | {cell["state"]}


def chain(user_nodes, user_edges, texts, cap):
    """Cap each user, and add up."""
    turns = {(u["user_no"], u["node"]): u["turns"] for u in user_nodes}

    def capped(mass, user, node):
        n = turns[user, node]
        return mass if n <= cap else floor(Fraction(mass * cap, n))

    nodes, edges = {}, defaultdict(lambda: [0, 0])
    for u in user_nodes:
        text = texts[u["node"]]
        start = {"node": u["node"], "locale": text["locale"], "kind": text["kind"], "state": text["text"]}
        start |= {"success": 0, "failure": 0, "turns": 0, "users": 0, "first_day": u["first_day"], "last_day": u["last_day"]}
        node = nodes.setdefault(u["node"], start)
        node["success"] += capped(u["success"], u["user_no"], u["node"])
        node["failure"] += capped(u["failure"], u["user_no"], u["node"])
        node["turns"] += u["turns"]
        node["users"] += 1
        node["first_day"] = min(node["first_day"], u["first_day"])
        node["last_day"] = max(node["last_day"], u["last_day"])
    for e in user_edges:
        if mass := capped(e["mass"], e["user_no"], e["source"]):
            add(edges[e["source"], e["target"]], mass, 1)
    return {"nodes": list(nodes.values()), "edges": dicts(edges, ("source", "target", "mass", "users"))}


def queries(counts, texts):
    found = {}
    for c in counts:
        text = texts[c["sent"]]
        start = {"locale": text["locale"], "query": text["text"], "node": c["state"], "turns": 0, "success": 0, "failed": 0}
        query = found.setdefault((c["sent"], c["state"]), (start, set()))
        for name in ("turns", "success", "failed"):
            query[0][name] += c[name]
        query[1].add(c["user_no"])
    return [row | {"users": len(who)} for row, who in found.values()]
