"""The figures of experiments and attacks as Markdown."""

from cells import Figures, grid, number, per_1000, percent, ratio

_METHODS = ("IPS", "SNIPS", "DR")


def off_policy(result: Figures) -> str:
    """How often the truth is inside the interval, by method, and by kind of release."""
    columns = [
        "estimate",
        "truth inside its 95 % interval",
        "of the difference",
        "mean absolute error",
        "mean error",
        "mean width",
    ]
    lines = []
    for method in _METHODS:
        found = result["all"][method]
        cells = (percent(found[name]) for name in ("inside", "difference inside"))
        lines.append([method, *cells, *(number(found[f"mean {name}"]) for name in ("absolute error", "error", "width"))])
    kinds = [[kind, *(percent(of[method]["inside"]["value"]) for method in _METHODS)] for kind, of in result["kinds"].items()]
    about = (
        f"{result['releases']} releases, each from a log of about {result['requests']:,} requests. The truth spreads by"
        f" {number(result['spread of the truth'])} (standard deviation) over the releases; errors are shares of requests."
    )
    return f"{about}\n\n{grid(columns, lines)}\n\nInside, by kind of release:\n\n{grid(['release', *_METHODS], kinds)}"


def attack(result: Figures) -> str:
    """What each attack reached."""
    columns = ["attack", "healthy texts taken", "with a rule", "rare", "rules lost, attacked", "others", "wins", "losses"]
    lines = []
    for name, found in result["attacks"].items():
        taken = [f"{of['taken']} of {of['victims']}" for of in found["taken"].values()]
        rules, honest = found["rules"], found["honest requests"]
        lost = [f"{rules[f'rules lost, {kind}']}" for kind in ("attacked", "others")]
        lines.append([name, *taken, *lost, number(honest["wins"]), number(honest["losses"])])
    rules, honest = (next(iter(result["attacks"].values()))[name] for name in ("rules", "honest requests"))
    about = (
        f"k is {result['min_users']}; {result['honest users in the log']} honest users; {rules['rules']} rules without an attack;"
        f" wins and losses of {honest['turns']:,} fresh honest requests, before the NLU. Rare: failing texts that fewer than k"
        " people said. A rule is lost that is gone or means something else."
    )
    days, served = result["rejecting days"], result["rejecting accounts"]
    ordered = sorted(served.items(), key=lambda pair: int(pair[0]))
    withdrawn = [[name, f"{of.get('withdrawn', 0)} of {of['rules']}"] for name, of in ordered]
    rejected = f"Rules that serve, and accounts that say all of their texts for {days} days and reject every rewrite:"
    parts = [
        about,
        grid(columns, lines),
        *_floods(result.get("floods", {})),
        rejected,
        grid(["accounts", "rules withdrawn"], withdrawn),
    ]
    return "\n\n".join(parts)


def _floods(floods: Figures) -> list[str]:
    """Answers that mean something else after a flood, by what was done and by the number of accounts."""
    if not floods:
        return []
    table: dict[tuple[str, str], dict[str, str]] = {}
    for name, of in floods.items():
        what, accounts, way = name.rsplit(", ", 2)
        changed = f"{of.get('texts changed for everybody', 0)} / {of.get('texts changed for users', 0)}"
        table.setdefault((what, way), {})[accounts.removesuffix(" accounts")] = changed
    numbers = sorted({n for found in table.values() for n in found}, key=int)
    first = next(iter(floods.values()))
    about = (
        f"Answers that mean something else after a flood, to everybody (of {first['texts']:,} texts) / to single honest users (of"
        f" {first['texts of users']:,}), by the number of accounts. Fresh: learned anew with the flood in the log. Additive: on"
        " the next day."
    )
    rows = [[what, way, *(found.get(n, "") for n in numbers)] for (what, way), found in table.items()]
    return [about, grid(["flood", "way", *numbers], rows)]


def reliability(result: Figures) -> str:
    """What was tried how often."""
    rows = [
        [
            name,
            "; ".join(f"{what}: {n:,}" for what, n in of["tried"].items()),
            *(str(of[count]) for count in ("passed", "failed", "skipped")),
            f"`{of['command']}`",
        ]
        for name, of in result["trials"].items()
    ]
    return grid(["what", "tried", "tests passed", "failed", "skipped", "command"], rows)


def detector_effect(result: Figures) -> str:
    """What the counts of the rule, of the learned detector and of the truth come to."""
    labels = {"rule": "of the rule", "learned": "of the learned detector", "truth": "of the truth"}
    rows = [
        [
            mode,
            labels[name],
            str(row["wins"]),
            str(row["losses"]),
            ratio(row),
            percent(row["fixed"]),
            per_1000(row["broken_unseen"]),
        ]
        for mode, found in result["modes"].items()
        for name, row in found["systems"].items()
    ]
    columns = ["mode", "counts", "wins", "losses", "win/loss", "fixed", "broken ‰, unseen"]
    gaps = {mode: found["gap_closed"] for mode, found in result["modes"].items()}
    closed = [f"{mode} {gap:.0%}" for mode, gap in gaps.items() if gap is not None and 0 <= gap <= 1]
    if not closed:
        return grid(columns, rows)
    about = f"Share of the gap between rule and truth, in fixed, that the learned detector closes: {', '.join(closed)}."
    return f"{grid(columns, rows)}\n\n{about}"
