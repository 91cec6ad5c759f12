"""The table of diagnosis.json."""

from cells import Figures, grid, percent


def diagnosis(result: Figures) -> str:
    """F1 of each stage in worlds and with assistants that were not seen, each cell, and the corpora."""
    stages = list(result["pooled"]["model"]["f1"])
    columns = ["by", "macro-F1", *(stage.replace("_", " ") for stage in stages), "ECE", "first of two"]
    rows = [
        [by, _two(of["macro_f1"]), *(_two(of["f1"][stage]) for stage in stages), f"{of['ece']:.3f}", percent(of["two"])]
        for by, of in result["pooled"].items()
    ]
    cells = [[name, *(_two(of[by]["macro_f1"]) for by in result["pooled"])] for name, of in result["worlds"].items()]
    corpora = [
        [name, f"{of['n']:,}", _two(of["macro_f1"]), *(_two(f) for f in of["f1"].values()), f"{of['ece']:.3f}"]
        for name, of in result["corpora"].items()
    ]
    known = grid(["corpus", "turns", "macro-F1", "recognition", "understanding", "correct", "ECE"], corpora) if corpora else ""
    speed = "; ".join(f"{name.partition(',')[0]} {int(n):,}" for name, n in result["throughput"].items())
    return "\n\n".join(
        part
        for part in (
            f"{result['turns']:,} turns; each log is judged by what was learned from other worlds and other assistants:",
            grid(columns, rows),
            "Macro-F1 by world and assistant:",
            grid(["world, assistant", *result["pooled"]], cells),
            "Real corpora, by what ships:" if known else "",
            known,
            f"Turns scored in a second of one core, once the columns are measured: {speed}.",
        )
        if part
    )


def _two(figure: float) -> str:
    return f"{figure:.2f}"


def diagnosis_mining(result: Figures) -> str:
    """What rewrites of later days do, if every restatement teaches and if only those do that words could have helped."""
    names = list(dict.fromkeys(name for of in result["total"].values() for name in of))
    rows = [[name.replace("_", " "), *(f"{of.get(name, 0):,}" for of in result["total"].values())] for name in names]
    heads = {"before": "every restatement teaches", "after": "only failures that other words could help"}
    return f"{', '.join(result['runs'])}:\n\n" + grid(["requests", *(heads[by] for by in result["total"])], rows)


def preferences(result: Figures) -> str:
    """How open and full requests of users with stated preferences end, and whether others notice."""
    by_seed = result["seeds"]

    def row(name: str, well: str, of: str) -> list[str]:
        return [name, *(f"{run[well]:,} of {run[of]:,}" for run in by_seed.values())]

    rows = [
        row("open, well before", "open: well before", "open"),
        row("open, well after", "open: well after", "open"),
        row("open, contrary: filled in all the same", "open, contrary: filled in after", "open, contrary"),
        row("full, well before", "full: well before", "full"),
        row("full, well after", "full: well after", "full"),
        ["answers of others that changed", *(f"{run['leaked']:,}" for run in by_seed.values())],
    ]
    return grid(["requests", *(f"seed {seed}" for seed in by_seed)], rows)
