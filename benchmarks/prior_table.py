"""The figures of train_prior.py as Markdown."""

from cells import Figures, grid, number, percent

_SHOWN = ("20%", "30%", "35%", "45%", "55%")
_INDEXES = {"catalog": "complete catalog", "log": "what a log holds", "small": "150 texts"}


def prior(result: Figures) -> str:
    """Return win/loss by share fixed, what is sent at P >= .5, and how well P is calibrated, by world and index."""
    curves, sent = [], []
    for world, of in result["worlds"].items():
        for index, shown in _INDEXES.items():
            linear, trees = of[index]["logistic"], of[index]["boosted"]
            ceiling = of[index]["ceiling"]
            ratios = [" / ".join(number(model["win_loss"][s]) for model in (linear, trees, ceiling)) for s in _SHOWN]
            curves.append([world, shown, *ratios])
            done, outside = linear["sent"], linear["out_of_scope"][">= 0.5"]
            kept = of[index]["calibrated"]
            ece = [number(linear["ece"]), f"{number(kept['before'])} → {number(kept['after'])}"]
            sent.append(
                [world, shown, number(done["wins"]), number(done["losses"]), percent(done["fixed"]), percent(outside), *ece]
            )
    by_share = grid(["world left out", "index", *(f"{s.removesuffix('%')} %" for s in _SHOWN)], curves)
    columns = ["world left out", "index", "wins", "losses", "fixed", "out of scope rewritten", "ECE", "ECE after an update"]
    about = (
        "Win/loss after a refusal where that share of all defects is fixed: logistic regression / monotone boosted trees / a"
        " ceiling, the logistic regression fitted on the truth of half of this world's phrases. A ratio without a loss counts"
        " half a loss; a dash: the share is not reached."
    )
    return "\n\n".join(
        [about, by_share, "What is sent from P(meant) = .5 on, by the logistic regression:", grid(columns, sent), _fails(result)]
    )


def _fails(result: Figures) -> str:
    rows = [
        [world, *(number(of["fails_as_spoken"][name]) for name in ("share", "auc", "ece"))]
        for world, of in result["worlds"].items()
    ]
    about = "P(fails as spoken) of texts that the index does not hold: share that fails, area under the ROC curve, ECE."
    return f"{about}\n\n{grid(['world left out', 'fails', 'AUC', 'ECE'], rows)}"


def day_one(result: Figures) -> str:
    """Return wins, losses, share fixed and out-of-scope rewrites by the least P(meant) that is sent; and the ceiling."""
    rows, curves = [], []
    for world, of in result["worlds"].items():
        sent = [
            f"{at['wins']} : {at['losses']}, {percent(at['fixed']['value'])}, {percent(at['touched'])}"
            for at in of["thresholds"].values()
        ]
        rows.append([world, number(of["requests"]), percent(of["right_first"]), number(of["right_but_blocked"]), *sent])
        ratios = [f"{number(of['curve'][share])} / {number(of['ceiling'][share])}" for share in of["curve"]]
        best, most = of["target"], of["target of the ceiling"]
        errors = f"{number(of['ece'])} / {number(of['ece of the ceiling'])}"
        curves.append(
            [
                world,
                *ratios,
                number(best["threshold"]),
                percent(best["fixed"]),
                percent(best["touched"]),
                percent(most["fixed"]),
                errors,
            ]
        )
    some = next(iter(result["worlds"].values()))
    columns = ["world", "refused requests", "right one first", "of these forbidden", *(f"P >= {p}" for p in some["thresholds"])]
    shares = [f"{share.removesuffix('%')} %" for share in some["curve"]]
    target = ["40:1 from P", "fixed there", "out of scope", "fixed at 40:1, ceiling", "ECE, ceiling"]
    about = (
        "Wins : losses, share of all defects fixed, and share of out-of-scope sentences rewritten. By default P >= 0.9 is sent."
        " slurp and home_spoken are judged by a prior that was fitted on the other of the two alone."
    )
    below = (
        "Win/loss where that share of the defects is fixed, by the prior / by a ceiling: the prior after an update by the truth"
        " of half of the phrases, judged on the other half. A dash: the share is not reached. No loss counts as half a loss."
    )
    return "\n\n".join((about, grid(columns, rows), below, grid(["world", *shares, *target], curves)))


def prior_map(result: Figures) -> str:
    """Return what the prior sends, and how well it is calibrated, as shipped and after updates by a log, by world and index."""
    worlds = result["worlds"]
    found = [(world, index, way, of) for world, by in worlds.items() for index in _UPDATED for way, of in by[index].items()]
    for index in _UPDATED:
        for way in next(iter(worlds.values()))[index]:
            each = [by[index][way] for by in worlds.values()]
            n = sum(of["requests"] for of in each)
            total = {name: sum(of[name] for of in each) for name in ("requests", *_OF_UPDATE)}
            found.append(("all", index, way, total | {"log loss": sum(of["requests"] * of["log loss"] for of in each) / n}))
    rows = [
        [world, _INDEXES[index], way, number(of["requests"]), *(number(of[name]) for name in _OF_UPDATE)]
        for world, index, way, of in found
    ]
    columns = ["world", "index", "prior", "requests", "wins at P >= .9", "losses", "wins at 20:1 by any threshold", "log loss"]
    return grid(columns, rows)


_UPDATED = ("log", "catalog")
_OF_UPDATE = ("wins", "losses", "wins at 20:1", "log loss")


def prior_habits(result: Figures) -> str:
    """Return win/loss by share fixed and the share fixed at 20:1 and 10:1, by world and weight of the habits."""
    rows = [
        [world, way, percent(of["right_first"]), *map(number, of["win_loss"].values()), *map(percent, of["fixed_at"].values())]
        for world, ways in result["worlds"].items()
        for way, of in ways.items()
    ]
    some = next(iter(next(iter(result["worlds"].values())).values()))
    shares = [f"{share.removesuffix('%')} %" for share in some["win_loss"]]
    columns = ["world", "habits", "right one first", *shares, *(f"fixed at {least}" for least in some["fixed_at"])]
    return f"Win/loss after a refusal where that share of all defects is fixed.\n\n{grid(columns, rows)}"
