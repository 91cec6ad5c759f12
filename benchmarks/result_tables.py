"""One function for each result file: its figures as Markdown."""

import math
import statistics

from cells import Figures, grid, mean, number, outline, per_1000, percent, ratio

ABOUT = frozenset({"command", "seeds", "seed", "python", "versions"})
"""What a file says of itself, which is no figure."""


def peers(result: Figures) -> str:
    """Every system in both modes, and the ceilings."""
    columns = ["system", "rewritten", "wins", "losses", "win/loss", "fixed", "broken ‰, unseen"]
    tables = []
    for mode, heading in (("before", "Before the NLU"), ("after", "After a refusal")):
        rows = {name: system["pooled"][0] for name, system in result["modes"][mode].items()}
        lines = [[name, *_effect(row)] for name, row in rows.items()]
        one = next(iter(rows.values()))
        tables.append(f"{heading}, {one['turns']:,} requests, {one['defects']:,} of them defects:\n\n{grid(columns, lines)}")
    exact, online = (mean(seed[kind] for seed in result["ceilings"]) for kind in ("exact", "online"))
    tables.append(f"Ceilings (mean of the seeds): exact rules {percent(exact)} of the defects, online layer {percent(online)}.")
    return "\n\n".join(tables)


def _effect(row: Figures) -> list[str]:
    counts = [percent(row["trigger_rate"]["value"]), number(row["wins"]), number(row["losses"])]
    return [*counts, ratio(row), percent(row["fixed"]), per_1000(row["broken_unseen"])]


def online(result: Figures) -> str:
    """Each mode, with other hearings and without: by layer and slice, and the latency."""
    columns = ["requests", "rewritten", "wins", "losses", "win/loss", "fixed", "broken ‰, unseen"]
    tables = []
    for name, mode in result["modes"].items():
        first, latency = mode["pooled"][0], mode["latency, microseconds"]
        heading = f"{name.capitalize()}: {first['turns']:,} requests, {first['defects']:,} of them defects; a call took p50"
        about = f"{heading} {number(latency['p50'])} µs, p99 {number(latency['p99'])} µs."
        tables.append(f"{about}\n\n{grid(columns, [[row['name'], *_effect(row)] for row in mode['pooled']])}")
    return "\n\n".join(tables)


def ladder(result: Figures) -> str:
    """Each set of layers in both modes, and what the personal one adds."""
    columns = ["rung", "rewritten", "wins", "losses", "win/loss", "fixed", "broken ‰, unseen"]
    tables = []
    for mode, heading in (("before", "Before the NLU"), ("after", "After a refusal")):
        of = result["modes"][mode]
        one = next(iter(of["rungs"].values()))
        lines = [[name, *_effect(row)] for name, row in of["rungs"].items()]
        added, known = (percent(of[f"personal adds to fixed{who}"]) for who in ("", ", users of the log"))
        tables.append(
            f"{heading}, {one['turns']:,} requests, {one['defects']:,} of them defects:\n\n{grid(columns, lines)}\n\n"
            f"What is personal adds {added} of the defects, of users that the log knows {known}."
        )
    return "\n\n".join(tables)


def slurp(result: Figures) -> str:
    """The same as for peers, and how many defects are due to the strict assistant alone."""
    corpus, runs = result["corpus"], result["ceilings"]
    reached = result["modes"]["before"]["rewriter"]["pooled"][0]["fixed"]
    launched = "; ".join(f"{run['rules']['global']} for everybody, {run['rules']['personal']} personal" for run in runs)
    return (
        f"{peers(result)} Reached: {percent(reached)}. Rules launched, by seed: {launched}.\n\n"
        f"Users are invented and `min_users` is {result['min_users']}, so nothing about k users is claimed. The assistant refuses"
        f" whatever it does not know word by word; the NLU recorded with the corpus was right in"
        f" {percent(corpus['survived'] / corpus['misheard'])} of the {corpus['misheard']:,} recordings heard wrongly."
    )


def context(result: Figures) -> str:
    """With context and without, and by what the meaning of a phrase depends on."""
    tables = [peers(result)]
    for mode, heading in (("before", "before the NLU"), ("after", "after a refusal")):
        systems = result["modes"][mode]
        lines = [
            [kind, number(one["turns"]), number(one["defects"])]
            + [text for of in systems.values() for text in (ratio(of["kinds"][kind]), percent(of["kinds"][kind]["fixed"]))]
            for kind, one in next(iter(systems.values()))["kinds"].items()
        ]
        columns = [
            "meaning depends on",
            "turns",
            "defects",
            *(f"{what}, {s}" for s in systems for what in ("win/loss", "fixed")),
        ]
        tables.append(f"By the context that decides the meaning, {heading}:\n\n{grid(columns, lines)}")
    return "\n\n".join(tables)


def chain(result: Figures) -> str:
    """Time and memory for the large chain, and the error against the dense solution."""
    large = [
        ["states", number([run["states"] for run in result["large"]])],
        ["steps between them", number([run["edges"] for run in result["large"]])],
        ["solving, s by the clock", number(result["solve_s"])],
        ["solving, s of the processor", number(result["solve_cpu_s"])],
        ["load of the machine", number([run["load_average"] for run in result["large"]])],
        ["peak memory, GB", number(result["peak_gb_max"])],
    ]
    against = [
        [name, *(f"{max(run[figure] for run in runs):.1g}" for figure in ("error_s_max", "bound_max", "error_b_max"))]
        for name, runs in result["against_dense_2000_states"].items()
    ]
    columns = ["settings", "S off by", "bound says", "B off by"]
    text = "Against the dense solution of 2,000 states, the worst of the seeds:"
    return f"{grid(['by seed', 'value'], large)}\n\n{text}\n\n{grid(columns, against)}"


def mining(result: Figures) -> str:
    """Time and memory by size."""
    columns = ["turns", "way", "s by the clock", "s of the processor", "µs a turn", "peak GB", "load"]
    names = ("turns", "way", "seconds", "cpu_seconds", "us_per_turn", "peak_gb", "load")
    return grid(columns, [[number(row[name]) for name in names] for row in result["rows"]])


def guardrail(result: Figures) -> str:
    """Native sentences and latency by language, then recogniser output."""
    native = [
        [language, percent(found["opposites_stopped"]), percent(found["paraphrases_passed"])]
        + [number(result["latency"][language][layer][p]) for layer in ("offline", "online") for p in ("p50_us", "p99_us")]
        for language, found in result["native"].items()
    ]
    columns = ["language", "opposites stopped", "paraphrases passed"]
    columns += [f"{layer} {p} µs" for layer in ("offline", "online") for p in ("p50", "p99")]
    sets = {f"home_spoken, {kind}": found for kind, found in result.get("home_spoken", {}).items()}
    sets |= {"slurp": result["slurp"]} if "slurp" in result else {}
    heard = [
        [name, layer, percent(found["repairs_passed"]), percent(found["nearest_wrong_stopped"])]
        for name, layers in sets.items()
        for layer, found in layers.items()
    ]
    return f"{grid(columns, native)}\n\n{grid(['heard', 'layer', 'repairs passed', 'nearest wrong stopped'], heard)}"


def guardrail_pairs(result: Figures) -> str:
    """Return what passes of the dangerous pairs, what is stopped of the harmless ones, and what is sent in the end."""
    named = {
        "contrasts": "contrasts alone",
        "no lists": "contrasts and sounds, without word lists",
        "floor": "word lists and sounds alone",
        "log": "log's layer",
        "catalog": "catalog's layer",
    }
    ways = named | {"before": "log's layer, before the NLU"}
    shares = [
        [name, shown, *(percent(of["all"][way][figure]) for figure in ("dangerous passed", "harmless stopped"))]
        for name, of in result["sets"].items()
        for way, shown in ways.items()
    ]
    languages = [
        [
            language,
            *(
                f"{percent(result['sets'][name]['languages'][language][way]['dangerous passed']['share'])} /"
                f" {percent(result['sets'][name]['languages'][language][way]['harmless stopped']['share'])}"
                for name in ("ours", "unseen")
                for way in ("no lists", "log", "catalog")
            ),
            *(_hits(result["ours sent"][language][meaning]) for meaning in ("dangerous", "harmless")),
            *(_hits(of[figure]) for figure in ("wrong", "right", "suggested")),
        ]
        for language, of in result["sent"].items()
    ]
    kinds = [
        [
            name,
            kind,
            *(_hits(of[way][figure]) for way in ("log", "catalog") for figure in ("dangerous passed", "harmless stopped")),
        ]
        for name in ("ours", "unseen")
        for kind, of in result["sets"][name]["kinds"].items()
    ]
    total, wrong = (sum(of["wrong"][figure] for of in result["sent"].values()) for figure in ("n", "hits"))
    ours = result["ours sent"].values()
    bad, asked = (sum(of["dangerous"][figure] for of in ours) for figure in ("hits", "n"))
    good, asked_well = (sum(of["harmless"][figure] for of in ours) for figure in ("hits", "n"))
    known = result["checked"]
    about = (
        f"The catalogs hold both texts of {known['in a catalog']} of our {known['pairs']} pairs, and say otherwise about"
        f" {known['otherwise']} of these. After a refusal, unless said otherwise:"
    )
    decided = (
        "By language: dangerous passed / harmless stopped. Sent: what an artefact of the catalog without these texts sends for"
        f" them after a refusal, guardrail and P(meant) together. Another interpretation: {wrong} of {total}. Of our dangerous"
        f" pairs {bad} of {asked} are sent to their target, of the harmless ones {good} of {asked_well}, if the catalog holds it."
    )
    columns = [
        "language",
        "ours, no lists",
        "ours, log",
        "ours, catalog",
        "unseen, no lists",
        "unseen, log",
        "unseen, catalog",
        "ours: dangerous sent",
        "harmless sent",
        "unseen: sent wrong",
        "sent right",
        "suggested",
    ]
    by_kind = ["set", "what differs", "log: passed", "log: stopped", "catalog: passed", "catalog: stopped"]
    return "\n\n".join((
        about,
        grid(["pairs", "judged by", "dangerous passed", "harmless stopped"], shares),
        decided,
        grid(columns, languages),
        grid(by_kind, kinds),
    ))  # fmt: skip


LANGUAGE_WAYS = {
    "log, before": "log, before the NLU",
    "log, after": "log, after a refusal",
    "log and catalog, after": "log and catalog, after a refusal",
    "nearest text, after": "nearest text, after a refusal",
    "OVOS corrections, after": "OVOS corrections, after a refusal",
    "rapidfuzz WRatio, after": "rapidfuzz WRatio, after a refusal",
}


def languages(result: Figures) -> str:
    """Return wins, losses and the share fixed of each locale, then the worst locale, the median and all together."""
    locales = result["locales"]
    rows = [
        [
            locale,
            *(f"{of[way]['wins']}:{of[way]['losses']}, {percent(of[way]['fixed']['value'])}" for way in LANGUAGE_WAYS),
        ]
        for locale, of in locales.items()
    ]
    columns = {way: [of[way] for of in locales.values()] for way in LANGUAGE_WAYS}
    ratios = {way: [of["wins"] / of["losses"] if of["losses"] else math.inf for of in found] for way, found in columns.items()}
    fixed = {way: [of["fixed"]["value"] for of in found] for way, found in columns.items()}
    for name, choose in (("worst", min), ("median", statistics.median)):
        rows.append([name, *(f"{_times(choose(ratios[way]))}, {percent(choose(fixed[way]))}" for way in LANGUAGE_WAYS)])
    totals = ([sum(of[figure] for of in found) for figure in ("wins", "losses")] for found in columns.values())
    rows.append(["all", *(f"{wins:,}:{losses:,}" for wins, losses in totals)])
    turns = sorted(turns for of in locales.values() for turns in of["log, after"]["log_turns"])
    about = (
        f"Wins:losses and the share of defects fixed. Logs of {turns[0]:,} to {turns[-1]:,} turns, seeds"
        f" {', '.join(map(str, result['seeds']))}, {result['channel']} requests. The lines *worst* and *median* are of the"
        " win/loss ratios and of the shares, each by itself."
    )
    return f"{about}\n\n{grid(['locale', *LANGUAGE_WAYS.values()], rows)}"


def languages_detected(result: Figures) -> str:
    """Return how often the language of a request was found, by locale."""
    kinds = ("as written", "mistyped")
    rows = [
        [locale, *(_hits(of[kind]) for kind in kinds), ", ".join(f"{other} {n}" for other, n in of["mistaken for"]) or "–"]
        for locale, of in result["locales"].items()
    ]
    sums = {kind: [sum(of[kind][part] for of in result["locales"].values()) for part in ("hits", "n")] for kind in kinds}
    rows.append(["all", *(f"{hits:,} of {n:,}, {percent(hits / n)}" for hits, n in sums.values()), ""])
    return grid(["locale", "as written", "mistyped", "mistaken for"], rows)


def _times(value: float) -> str:
    return "no loss" if math.isinf(value) else f"{value:.1f}:1"


def _hits(found: Figures) -> str:
    return f"{found['hits']} of {found['n']}" if found["n"] else "–"


def calibration(result: Figures) -> str:
    """Promised, expected and true share of losses by budget."""
    rows = []
    for found in result["budgets"]:
        true = {"value": found["loss share"], "low": found["low"], "high": found["high"]}
        shares = [percent(part) for part in (found["q"], found["expected loss share"], true)]
        rows.append([*shares, number(found["wins"]), number(found["losses"])])
    return grid(["budget of losses", "expected at launch", "true", "wins", "losses"], rows)


def house(result: Figures) -> str:
    """Return the figures of the source of each tree, by its commit."""
    trees = result["trees"]
    last = list(trees.values())[-1]
    rows = [[name, *(number(of[name]) for of in trees.values())] for name, figure in last.items() if not isinstance(figure, dict)]
    longest = ["lines of the longest function", *(number(of["longest function"]["lines"]) for of in trees.values())]
    return grid(["figure", *trees], [*rows, longest])


def small_logs(result: Figures) -> str:
    """What a log of a few thousand turns gives, by world and mode."""
    columns = [
        "world",
        "mode",
        "turns",
        "rewritten",
        "wins",
        "losses",
        "win/loss",
        "fixed",
        "broken ‰, unseen",
        "calibration error",
    ]
    found = [*result["worlds"].items(), ("all", result["all worlds"])]
    rows = [
        [name, mode, f"{min(of['turns']):,}–{max(of['turns']):,}", *_effect(of["pooled"]), number(calibration_error(of["bands"]))]
        for name, modes in found
        for mode, of in modes.items()
    ]
    kept = [used for modes in result["worlds"].values() for of in modes.values() for used in of["by the shipped prior"]]
    note = f"In {sum(kept)} of {len(kept)} logs and modes the shipped prior stood in. ECE: expected calibration error."
    promised = [
        [name, mode, percent(of["promised loss share"]), *(part(of["online"], key) for key in ("loss share", "wins", "losses"))]
        for name, modes in result["worlds"].items()
        for mode, of in modes.items()
    ]
    bands = [
        [mode, band, number(row["mean score"]), *(part(row, key) for key in ("loss share", "wins", "losses"))]
        for mode, of in result["all worlds"].items()
        for band, row in of["bands"].items()
        if row["rewrites"]
    ]
    return "\n\n".join((
        grid(columns, rows),
        note,
        "The share of losses that held-out texts promised of the online layer, and the true one; then by band of the score:",
        grid(["world", "mode", "promised", "true loss share", "wins", "losses"], promised),
        grid(["all worlds", "score", "mean score", "true loss share", "wins", "losses"], bands),
    ))  # fmt: skip


def full_log(result: Figures) -> str:
    """Return what a full log gives, alone and with a catalog, with and without habits, and the ceiling of its ranker."""
    found = [*result["worlds"].items(), ("all", result["all worlds"])]
    ways = ("before", "after", "after, with a catalog")
    rows = [
        [name, way, f"{min(of['turns']):,}–{max(of['turns']):,}", *_effect(of[way]), number(calibration_error(of[way]["bands"]))]
        for name, of in found
        for way in ways
    ]
    columns = [
        "world",
        "mode",
        "turns",
        "rewritten",
        "wins",
        "losses",
        "win/loss",
        "fixed",
        "broken ‰, unseen",
        "calibration error",
    ]
    habits = [
        [name, mode, *(figure for way in ("with", "without") for figure in (ratio(of[way]), percent(of[way]["fixed"])))]
        for name, whole in found
        for mode, of in whole["habits"].items()
    ]
    some = found[0][1]["curves"]["ranker"]
    curves = [
        [
            name,
            percent(of["reachable"]),
            *(f"{number(of['curves']['ranker'][s])} / {number(of['curves']['ceiling'][s])}" for s in some),
        ]
        for name, of in found
    ]
    return "\n\n".join((
        grid(columns, rows),
        "Requests of users whom the log knows, with and without what is known of the single user:",
        grid(["world", "mode", "with habits", "fixed", "without", "fixed"], habits),
        "After a refusal, win/loss where that share of the defects is fixed: the ranker of the log / a ceiling, the same form of"
        " model fitted on the truth of half of the phrases. Reachable: the share of the defects whose goal succeeded in the log.",
        grid(["world", "reachable", *(f"{s.removesuffix('%')} %" for s in some)], curves),
    ))  # fmt: skip


def spelling(result: Figures) -> str:
    """What mending of spellings does, by the share of texts whose spelling the assistant minds."""
    columns = [
        "minded",
        "mode",
        "layer `spelling`",
        "rewritten",
        "wins",
        "losses",
        "win/loss",
        "fixed",
        "broken ‰, unseen",
        "mended",
    ]
    rows = [
        [share, *case.split(", "), *_effect(row), f"{row['mended']['wins']}:{row['mended']['losses']}"]
        for share, of in result["minded"].items()
        for case, row in of.items()
        if isinstance(row, dict)
    ]
    mends = "; ".join(f"{share} minded: {of['texts mended before the NLU']}" for share, of in result["minded"].items())
    return f"{grid(columns, rows)}\n\nMended: wins and losses of mended spellings alone. Texts mended by seed: {mends}."


def teaching(result: Figures) -> str:
    """The effect of teaching, by seed: the relative change of defects, and the questions that were asked."""
    seeds = result["seeds"]
    ways = {
        "lessons": "lessons, users who teach",
        "preferences alone": "preferences besides, users who teach",
        "all users": "both, all users",
        "asked": "only when asked, all users",
    }
    rows = [
        [
            title,
            *(
                f"{percent(of[way]['before'])} → {percent(of[way]['after'])}, {percent(of[way]['change'])}"
                for of in seeds.values()
            ),
        ]
        for way, title in ways.items()
    ]
    figures = ["lessons used by the next request", "leaked", "questions per user and week", "recall, restated", "recall"]
    rows += [[name, *(number(of[name]) for of in seeds.values())] for name in figures]
    kinds = sorted({kind for of in seeds.values() for kind in of["by moment"]})
    nothing = {"questions": 0, "right": 0}
    rows += [
        [f"right: {kind}", *("{right} of {questions}".format(**of["by moment"].get(kind, nothing)) for of in seeds.values())]
        for kind in kinds
    ]
    return grid(["", *(f"seed {seed}" for seed in seeds)], rows)


def calibration_error(bands: Figures) -> float:
    """Return the expected calibration error: the mean distance of score and share of wins over bands, weighed by rewrites."""
    rows = [row for row in bands.values() if row["loss share"] is not None]
    away = [(row["wins"] + row["losses"]) * abs(row["mean score"] + row["loss share"] - 1) for row in rows]
    return float(sum(away) / max(sum(row["wins"] + row["losses"] for row in rows), 1))


def part(row: Figures, key: str) -> str:
    """Return one figure of a row, a share as percent."""
    return percent(row[key]) if key == "loss share" else number(row[key])


def dstc2_mining(result: Figures) -> str:
    """How well restatements are found in real calls, and what was launched."""
    rows = [
        [part, name, *(number(found[figure]) for figure in ("average_precision", "best_f1", "strict_recall"))]
        for part, detectors in result["pairs"].items()
        for name, found in detectors.items()
    ]
    learned = result["learn"]
    launched = ", ".join(f"{number(n)} {scope}" for scope, n in learned["rules"].items())
    text = f"Rules launched from {number(learned['turns'])} turns: {launched}."
    return f"{grid(['calls', 'detector', 'average precision', 'best F1', 'recall, strict'], rows)}\n\n{text}"


def home_spoken_mining(result: Figures) -> str:
    """How well restatements are found among recordings, by seed."""
    rows = [
        [number(run["seed"]), name, number(found["average_precision"]), number(found["best_f1"]), number(found["events"])]
        for run in result["runs"]
        for name, found in run["pairs"].items()
    ]
    return grid(["seed", "detector", "average precision", "best F1", "restatements"], rows)


def detectors(result: Figures) -> str:
    """How well each detector finds restatements, by log and part, and what learning costs."""
    rows = [
        [f"{run['log']} {run['seed']}, {part}", name, *(number(ways[way][f]) for way in ways for f in ways[way])]
        for run in result["runs"]
        for part, found in run["parts"].items()
        for name, ways in found.items()
    ]
    columns = ["log and seed, part", "detector", "AP", "best F1", "AP, as spent", "best F1, as spent"]
    titles = {name: title for name, title in _COSTS.items() if any(name in run["cost"] for run in result["runs"])}
    costs = [[f"{run['log']} {run['seed']}", *(number(run["cost"].get(name)) for name in titles)] for run in result["runs"]]
    return f"{grid(columns, rows)}\n\n{grid(['log and seed', *titles.values()], costs)}"


_COSTS = {
    "turns": "turns",
    "candidates": "candidates",
    "restatements_told": "labelled restatements",
    "train_cpu_s": "pair: learning, s of the processor",
    "train_s": "of the clock",
    "pairs_per_cpu_s": "pairs a s of the processor",
    "span_train_and_read_cpu_s": "span: learning and reading, s of the processor",
    "span_train_and_read_s": "of the clock",
    "span_read": "turns read",
    "span_dialogues_per_cpu_s": "turns read a s of the processor",
}


def defects(result: Figures) -> str:
    """How well defects are predicted, on calls and with growing feedback in a home, and how callers judged their calls."""
    calls = result["dstc2"]
    turn = [
        [name, *(number([run["turn"][name][figure] for run in calls]) for figure in ("auc", "f1", "ece"))]
        for name in calls[0]["turn"]
    ]
    chance = [
        ["calibration error that chance leaves to what is exactly right", number([run["even"] for run in calls])],
        ["of those that were refused, defects", percent(calls[0]["refused"]["defects"])],
        ["the same, as the teacher has it", number([run["refused"]["teacher"] for run in calls])],
    ]
    call = [[name, number([run["call"][name] for run in calls])] for name in calls[0]["call"]]
    figures = ("auc", "f1", "ece", "f1, feedback alone")
    labels = [
        [f"{percent(found['share'])}, {found['asked']}"]
        + [number([run["labels"][i][figure] for run in result["home"]]) for figure in figures]
        for i, found in enumerate(result["home"][0]["labels"])
    ]
    return "\n\n".join((
        "Turns of the dev callers of DSTC2, by seed:",
        grid(["predictor", "AUC", "F1", "calibration error"], turn),
        grid(["of the same turns", "value"], chance),
        "Its calls, by seed:",
        grid(["figure", "value"], call),
        "A home with feedback on a part of the turns, by seed:",
        grid(["feedback", "AUC", "F1", "calibration error", "F1, of feedback alone"], labels),
    ))  # fmt: skip


def replay_check(result: Figures) -> str:
    """The same turns judged in three ways, and how good the strict rule is."""
    columns = ["judged by", "defects", "wins", "losses", "unknown", "win/loss", "at worst", "fixed"]
    rows = []
    for found in result["pooled"]:
        counts = [number(found[name]) for name in ("defects", "wins", "losses", "unknown")]
        rows.append([found["name"], *counts, ratio(found), ratio(found, "win_loss_worst"), percent(found["fixed"])])
    strict = [[name, number(r["turns"]), percent(r["named"]), percent(r["right"])] for name, r in result["strict_rule"].items()]
    goals = grid(["goal by the strict rule", "turns", "goal inferred", "of these right"], strict)
    return f"{grid(columns, rows)}\n\n{goals}"


def fit_channel(result: Figures) -> str:
    """The word errors of real recognition and of the channel, which were fitted, by seed."""
    rows = [[name, number(value), number(result["simulated"][name])] for name, value in result["real"].items()]
    return grid(["figure", "real", "simulated, by seed"], rows)


def teacher_student(result: Figures) -> str:
    """Recall at 10 of each stage by locale, what the student lacks beside its teacher, and the time of a text."""
    kinds = ("typed with errors", "in other words")
    tables = []
    for kind in kinds:
        found = {locale: of[kind] for locale, of in result["locales"].items()}
        stages = [name for name in next(iter(found.values())) if name != "student less teacher"]
        rows = [
            [locale, number(of[stages[0]]["probes"]), *(percent(of[name]["recall_10"]["value"]) for name in stages), _points(of)]
            for locale, of in found.items()
        ]
        columns = ["locale", "requests", *stages, "student less adapted teacher, points"]
        tables.append(f"Recall@10, requests {kind}:\n\n{grid(columns, rows)}")
    first = {locale: of[kinds[0]] for locale, of in result["locales"].items()}
    rows = [[locale, *(percent(of[name]["recall_1"]["value"]) for name in stages)] for locale, of in first.items()]
    tables.append(f"Recall@1, requests {kinds[0]}:\n\n{grid(['locale', *stages], rows)}")
    sizes = [size for of in result["locales"].values() for size in of["learned from"]]
    held = ", ".join(f"{min(s[name] for s in sizes):,} to {max(s[name] for s in sizes):,} {name}" for name in sizes[0])
    spent = result["microseconds a text"]
    about = (
        f"The teacher is {result['teacher']}. Seeds {', '.join(map(str, result['seeds']))}. A world has {held}. In processor"
        f" time, one text takes {number(spent['teacher'])} µs with the teacher in 8 bits and {number(spent['student'])} µs with"
        f" the student, {number(spent['ratio'])} times as fast, in one run."
    )
    return "\n\n".join([about, *tables])


def _points(of: Figures) -> str:
    less = of["student less teacher"]
    return f"{100 * less['value']:+.1f} ({100 * less['low']:+.1f} to {100 * less['high']:+.1f})"


def whole(result: Figures) -> str:
    """Every figure by its name."""
    return outline(result, ABOUT)
