"""Mining again in plain Python, written from docs/mining.md and not from the SQL: the reference that the engines must equal."""

from collections import Counter, defaultdict
from fractions import Fraction
from itertools import groupby
from math import floor

import jellyfish
import numpy as np
from anyascii import anyascii
from hard_logs import CONTEXTS, DEVICES

from rewriter.offline.mining.second_choice import is_second_choice
from rewriter.offline.mining.small_tables import stop_words
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
    turn = {(s["user_no"], s["turn_no"]): s for s in sessions}
    for c in candidates:
        words = {"source_text": texts[c["source"]]["text"], "target_text": texts[c["target"]]["text"]}
        p = detector.p(c | alike[c["source"], c["target"]] | words)
        if p and not chosen_second(c, turn, texts):
            scores.append({"user_no": c["user_no"], "turn_no": c["turn_no"], "ahead": c["ahead"], "p": p})
    told = {t["turn_id"]: CONTEXTS[t["context"]] + DEVICES[t["device_type"]] for t in turns}
    counts, rephrases, context_counts, context_steps = spend(sessions, candidates, scores, told, config)
    newest = newest_days(counts, config.launch.min_users)
    ages = [{"age": age, "weight": weight_of(age, config)} for age in range(21 * config.loop.half_life_days)]
    edge_discount = mix(counts, newest, config)
    user_nodes, user_edges = rows_of_users(counts, rephrases, newest, edge_discount, config)
    left = left_out(counts, config.launch.min_users)
    whole = newest_days([c | {"said": -1, "sent": -1, "state": -1} for c in counts], config.launch.min_users)
    return {
        "ages": ages,
        "row_days": [{"node": node, "last_day": day} for node, day in (newest | whole).items()],
        "left_out": [{"user_no": user} for user in left],
        "evidence_starts": [],
        "edge_discount": [{"source": s, "target": t, "trust": trust} for (s, t), trust in edge_discount.items()],
        "users": [{"user_no": no, "user_id": user} for user, no in users.items()],
        "texts": texts,
        "sessions": sessions,
        "candidates": candidates,
        "scores": scores,
        "counts": counts,
        "rephrases": rephrases,
        "context_counts": context_counts,
        "context_steps": context_steps,
        "user_nodes": user_nodes,
        "user_edges": user_edges,
        **chain(user_nodes, user_edges, texts, config.chain.user_cap, left),
        "queries": queries([c for c in counts if c["user_no"] not in left], texts, config.chain.user_cap),
    }


def place(turns):
    """Drop empty turns, normalise, and number users and texts."""
    kept = []
    for t in turns:
        said = normalise(t["utterance"], t["locale"])
        if said:
            sent = normalise(t["sent"] or "", t["locale"]) or said
            kept.append({**t, "said": said, "sent": sent, "hypothesis": t["hypothesis"] or None})
    is_state = {}

    def use(locale, kind, text, state):
        is_state[locale, kind, text] = is_state.get((locale, kind, text), False) or state

    for t in kept:
        use(t["locale"], "u", t["said"], True)
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
    came = {}
    for t in turns:
        ts_ms, turn = came.get(t["user_id"], (t["ts_ms"], t["turn_id"].encode()))
        came[t["user_id"]] = min(ts_ms, t["ts_ms"]), min(turn, t["turn_id"].encode())
    users = {user: i for i, user in enumerate(sorted(came, key=lambda user: (came[user], user.encode())))}
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
                "rule": t["rule"] or "",
                "share": share(t["arm"], t["propensity"]),
                "counted": 0,
                "stop": texts[said]["stop"],
                "reply": None if t["response"] is None else number[t["locale"], "r", t["response"]],
                "failed": {"failed": 1, "ok": 0}.get(t["status"]),
            }
        )
    return placed, texts, users


def share(arm, propensity):
    """P(the turn is rewritten) in millionths, -1 where nothing was drawn."""
    if propensity is None or arm not in ("rewrite", "leave"):
        return -1
    p = floor(Fraction(propensity) * 1_000_000 + HALF)
    return p if arm == "rewrite" else 1_000_000 - p


def follow(turns, texts, config):
    """Number the turns of one user, open sessions, judge friction."""
    turns = sorted(turns, key=lambda t: (t["session_no"], t["ts_ms"], t["turn_id"].encode()))
    rows = []
    for i, t in enumerate(turns):
        before, after = turns[i - 1] if i else None, turns[i + 1] if i + 1 < len(turns) else None
        row = {name: t[name] for name in ("turn_id", "user_no", "session_no", "ts_ms", "locale_no", "said", "sent", "state")}
        row |= {
            name: t[name]
            for name in ("rewritten", "rule", "share", "stop", "counted", "hypothesis", "failed", "reply", "barge_in")
        }
        row |= {"turn_no": i + 1, "opens": int(not joined(before, t, config)), "day": t["ts_ms"] // DAY}
        row["is_isolated"] = int(not any(o and close(o, t, config) for o in (before, after)))
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
    if t["feedback"] == -1:
        return 1000
    if t["feedback"] == 1 and t["status"] != "failed":
        return 0
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


def chosen_second(c, turn, texts):
    """Whether a failed turn was followed by a request for something else."""
    one, other = turn[c["user_no"], c["turn_no"]], turn[c["user_no"], c["next_turn_no"]]
    if one["failed"] != 1 or other["hypothesis"] is None or one["hypothesis"] == other["hypothesis"] or c["verbatim"]:
        return False
    said, meant = texts[c["source"]], "" if one["hypothesis"] is None else texts[one["hypothesis"]]["text"]
    later = texts[c["target"]]["text"], texts[other["hypothesis"]]["text"]
    return is_second_choice(said["text"], meant, *later, said["locale"])


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
    return " ".join("".join(c for c, _ in groupby(anyascii(word).lower() or word)) for word in text.split())


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


def spend(sessions, candidates, scores, told, config):
    """Let each turn spend its 1,000 thousandths, and once more in each context value that it tells of.

    What may still go on after the end of the log is counted apart.
    """
    end = max((s["ts_ms"] for s in sessions), default=0) - config.rephrases.window_ms - config.friction.window_ms
    p = {(s["user_no"], s["turn_no"], s["ahead"]): s["p"] for s in scores}
    turn = {(s["user_no"], s["turn_no"]): s for s in sessions}
    by_turn = defaultdict(list)
    for c in candidates:
        by_turn[c["user_no"], c["turn_no"]].append(c)
    within, onward = defaultdict(lambda: [0, 0]), defaultdict(lambda: [0])
    counts, rephrases = defaultdict(lambda: [0, 0, 0, 0]), defaultdict(lambda: [0, 0])
    for key, s in turn.items():
        cell, left = (s["day"], s["user_no"], s["said"], s["sent"], s["rewritten"], s["state"]), 1000
        for c in sorted(by_turn[key], key=lambda c: c["ahead"]):
            mass = floor(Fraction(left * p.get((*key, c["ahead"]), 0), 1000) + HALF)
            left -= mass
            if mass:
                other = turn[c["user_no"], c["next_turn_no"]]
                again = int(other["said"] == s["said"] and not other["rewritten"])
                add(rephrases[(*cell, other["state"], again, s["ts_ms"] <= end)], mass, 1)
                for said in told[s["turn_id"]]:
                    target = s["said"] if again else other["state"]
                    add(onward[s["day"], s["user_no"], s["said"], said, target, s["ts_ms"] <= end], mass)
        failure = floor(Fraction(left * s["friction"], 1000) + HALF)
        add(counts[*cell, s["rule"], s["share"], s["ts_ms"] <= end], 1, int(s["failed"] == 1), left - failure, failure)
        for said in told[s["turn_id"]]:
            where = (s["day"], s["user_no"], s["said"], s["rewritten"], s["state"], said, s["ts_ms"] <= end)
            add(within[where], 1, left - failure)
    key = ("day", "user_no", "said", "sent", "rewritten", "state")
    return (
        dicts(counts, (*key, "rule", "share", "closed", "turns", "failed", "success", "failure")),
        dicts(rephrases, (*key, "target", "again", "closed", "mass", "turns")),
        dicts(within, ("day", "user_no", "said", "rewritten", "state", "context_value", "closed", "turns", "success")),
        dicts(onward, ("day", "user_no", "said", "context_value", "target", "closed", "mass")),
    )


def add(cell, *values):
    for i, value in enumerate(values):
        cell[i] += value


def dicts(table, names):
    return [dict(zip(names, (*key, *values), strict=True)) for key, values in table.items()]


def newest_days(counts, k):
    """The newest day of each row of the chain that k users had reached; of fewer users the newest day."""
    reached = defaultdict(lambda: defaultdict(int))
    for c in counts:
        for node in (c["said"], c["state"]):
            reached[node][c["user_no"]] = max(reached[node][c["user_no"]], c["day"])
    days = {node: sorted(of.values(), reverse=True) for node, of in reached.items()}
    return {node: of[k - 1] if len(of) >= k else of[0] for node, of in days.items()}


def weight_of(age, config):
    return round(1_000_000 * 2.0 ** (-max(age, 0) / config.loop.half_life_days))


def mix(counts, newest, config):
    """{(said, understood as): trust} for every pair that was ever rewritten."""
    understood = defaultdict(lambda: defaultdict(list))
    for c in counts:
        understood[c["sent"]][c["state"]] += [c["user_no"]] * c["turns"]
    reading = {
        sent: max(states, key=lambda state: (len(set(states[state])), len(states[state]), state))
        for sent, states in understood.items()
    }
    trials, ruled = defaultdict(lambda: [0, 0]), defaultdict(set)
    for c in counts:
        if c["rewritten"] or c["rule"]:
            ruled[c["user_no"], c["day"]].add(c["said"])
        key = (c["said"], c["sent"], c["rewritten"], c["rule"], c["share"], c["day"], c["user_no"])
        add(trials[key], c["success"], c["turns"])
    spoken, sent = defaultdict(list), defaultdict(list)
    for (said, text, rewritten, _, drawn, day, user), (success, turns) in sorted(trials.items()):
        user_weight = min(1.0, 5 / max(len(ruled[user, day]), 1))
        p = 1.0 if drawn < 0 else drawn / 1_000_000 if rewritten else 1 - drawn / 1_000_000
        worth = user_weight * weight_of(newest[said] - day, config) / 1_000_000 / max(p, 1e-6)
        (sent[said, reading[text]] if rewritten else spoken[said]).append((worth, success / 1000 / turns))
    return {
        (said, state): floor(1000 * min(1.0, better(kish(spoken[said]), kish(tried)) / better(kish(spoken[said]), (0.0, 0.0))))
        for (said, state), tried in sent.items()
    }


def kish(trials):
    total, squares = sum(w for w, _ in trials), sum(w * w for w, _ in trials)
    if not total:
        return 0.0, 0.0
    n = total**2 / squares
    return n, n * sum(w * y for w, y in trials) / total


def better(spoken, sent):
    """P(Y > X) under the bivariate beta with a = b = c = 1, by summing over a grid of rates."""
    edges = np.sin(np.arange(65) / 64 * np.pi / 2) ** 2
    rate, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    x, y = np.meshgrid(rate, rate, indexing="ij")
    density = 2 * (1 - x) * (1 - y) / (1 - x * y) ** 3 * np.outer(width, width)
    (n, s), (m, t) = spoken, sent
    log = np.log(density) + s * np.log(x) + (n - s) * np.log(1 - x) + t * np.log(y) + (m - t) * np.log(1 - y)
    mass = np.exp(log - log.max())
    return (mass[x < y].sum() + 0.5 * mass[x == y].sum()) / mass.sum()


def rows_of_users(counts, rephrases, newest, edge_discount, config):
    """Give each turn's spending to the row of what was said and, unless it was rewritten, to that of how it was understood."""
    rows = Rows()
    for c in counts:
        if c["rewritten"]:
            rows.charge(c, c["said"], False, 0, c["failure"], 1)
            rows.charge(c, c["state"], False, 0, 0, 0)
            if c["success"]:
                rows.step(c, c["said"], c["state"], c["success"])
        else:
            for node in {c["said"], c["state"]}:
                rows.charge(c, node, True, c["success"], c["failure"], 1)
    for r in rephrases:
        rows.step(r, r["said"], r["said"] if r["again"] else r["target"], r["mass"])
        if not r["rewritten"] and r["state"] != r["sent"]:
            rows.step(r, r["state"], r["target"], r["mass"])
    nodes, edges = rows.read(newest, edge_discount, config)
    names = ("turns", "spoken", "mass", "success", "failure")
    user_nodes = [
        {"user_no": u, "node": n, **dict(zip(names, values, strict=True)), "first_day": min(days), "last_day": max(days)}
        for (u, n), (*values, days) in nodes.items()
    ]
    return user_nodes, dicts(edges, ("user_no", "source", "target", "mass", "turns"))


class Rows:
    """The rows of the chain, by day and user."""

    def __init__(self):
        self.by_day, self.steps = defaultdict(lambda: [0, 0, 0, 0]), defaultdict(lambda: [0, 0])

    def charge(self, c, node, spoken, success, failure, charged):
        turns = c["turns"] if spoken else 0
        add(self.by_day[c["day"], c["user_no"], node], turns, c["turns"] * charged, success, failure)

    def step(self, c, source, target, mass):
        add(self.steps[c["day"], c["user_no"], source, target], mass, c["turns"])

    def read(self, newest, edge_discount, config):
        """Age, and trust; return the rows and steps of each user."""

        def aged(mass, node, day):
            return floor(Fraction(mass * weight_of(newest[node] - day, config), 1_000_000))

        nodes, edges = defaultdict(lambda: [0, 0, 0, 0, 0, []]), defaultdict(lambda: [0, 0])
        for (day, user, node), (turns, charged, success, failure) in self.by_day.items():
            cell = nodes[user, node]
            add(cell, turns, *(aged(mass, node, day) for mass in (1000 * turns, 1000 * charged, success, failure)))
            cell[5].append(day)
        for (day, user, source, target), (mass, turns) in self.steps.items():
            left = aged(mass, source, day)
            stands = floor(Fraction(left * edge_discount.get((source, target), 1000), 1000))
            if stands:
                add(edges[user, source, target], stands, turns)
            if left > stands:
                add(nodes[user, source], 0, 0, 0, 0, left - stands)
                nodes[user, source][5].append(newest[source])
        return nodes, edges


def left_out(counts, k):
    """The users, at most k - 1, who say more than three times as many different texts as the k-th; nobody among few users."""
    texts = defaultdict(set)
    for c in counts:
        texts[c["user_no"]].add(c["said"])
    busiest = sorted(texts, key=lambda user: (-len(texts[user]), user))
    if len(busiest) < 5 * k:
        return set()
    return {user for user in busiest[: k - 1] if len(texts[user]) > 3 * len(texts[busiest[k - 1]])}


def chain(user_nodes, user_edges, texts, cap, left):
    """Cap each user, and add up; who is left out only keeps a row that nobody else has."""
    charged = {(u["user_no"], u["node"]): u["mass"] for u in user_nodes}

    def capped(mass, user, node):
        n = charged[user, node]
        return mass if n <= 1000 * cap else floor(Fraction(mass * cap * 1000, n))

    nodes, edges = {}, defaultdict(lambda: [0, 0])
    others = {u["node"] for u in user_nodes if u["user_no"] not in left}
    for row in user_nodes:
        gone = row["user_no"] in left
        if gone and row["node"] in others:
            continue
        u = row | {"success": 0, "failure": 0, "turns": 0} if gone else row
        text = texts[u["node"]]
        start = {"node": u["node"], "locale": text["locale"], "kind": text["kind"], "state": text["text"]}
        start |= {"success": 0, "failure": 0, "turns": 0, "users": 0, "first_day": u["first_day"], "last_day": u["last_day"]}
        node = nodes.setdefault(u["node"], start)
        node["success"] += capped(u["success"], u["user_no"], u["node"])
        node["failure"] += capped(u["failure"], u["user_no"], u["node"])
        node["turns"] += u["turns"]
        node["users"] += int(u["turns"] > 0)
        node["first_day"] = min(node["first_day"], u["first_day"])
        node["last_day"] = max(node["last_day"], u["last_day"])
    for e in user_edges:
        if e["user_no"] not in left and (mass := capped(e["mass"], e["user_no"], e["source"])):
            add(edges[e["source"], e["target"]], mass, 1)
    return {"nodes": list(nodes.values()), "edges": dicts(edges, ("source", "target", "mass", "users"))}


def queries(counts, texts, cap):
    found, spoken, by_user, by_day = {}, Counter(), defaultdict(Counter), defaultdict(Counter)
    for c in counts:
        if c["rewritten"]:
            continue
        text = texts[c["sent"]]
        start = {"locale": text["locale"], "query": text["text"], "node": c["state"], "turns": 0, "success": 0, "failed": 0}
        start |= {"share": 0, "well": 0}
        query = found.setdefault((c["sent"], c["state"]), (start, set()))
        query[1].add(c["user_no"])
        spoken[c["sent"], c["user_no"]] += c["turns"]
        spoken[c["sent"], c["user_no"], c["day"]] += c["turns"]
        by_day[c["sent"], c["state"], c["user_no"], c["day"]].update(turns=c["turns"], success=c["success"], failed=c["failed"])
        by_user[c["sent"], c["state"], c["user_no"]].update(turns=c["turns"], success=c["success"], failed=c["failed"])
    for (sent, state, user), sums in by_user.items():
        query = found[sent, state][0]
        query["share"] += 1000 * sums["turns"] // spoken[sent, user]
        query["well"] += sums["success"] // spoken[sent, user]
    for (sent, state, user, day), sums in by_day.items():
        query, n = found[sent, state][0], spoken[sent, user, day]
        query["turns"] += sums["turns"] if n <= cap else -(-sums["turns"] * cap // n)
        for name in ("success", "failed"):
            query[name] += sums[name] if n <= cap else sums[name] * cap // n
    return [row | {"users": len(who)} for row, who in found.values()]
