"""Says why a text is rewritten, or why not."""

from rewriter.explanation.explanation import CANDIDATE_COLUMNS, COLUMNS, CONTEXT_COLUMNS, FIGURES, SHOWN, Explanation
from rewriter.explanation.why import draw, explain, graph

__all__ = ["CANDIDATE_COLUMNS", "COLUMNS", "CONTEXT_COLUMNS", "FIGURES", "SHOWN", "Explanation", "draw", "explain", "graph"]
