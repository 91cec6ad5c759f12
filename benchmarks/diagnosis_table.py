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
