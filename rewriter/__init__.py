"""rewriter: learns from a dialogue log which requests fail and what works instead, and rewrites the next one.

>>> from rewriter import Rewriter
>>> Rewriter.open("artefact").rewrite("turn of the lamp", user_id="ann")  # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

from rewriter.config import Config
from rewriter.errors import RewriterError
from rewriter.online.decisions import DecisionLog
from rewriter.online.rewriter import Rewriter
from rewriter.result import Candidate, Rewrite

if TYPE_CHECKING:
    from rewriter.offline.learn import learn

__version__ = "0.1.0"
__all__ = ["Candidate", "Config", "DecisionLog", "Rewrite", "Rewriter", "RewriterError", "__version__", "learn"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the protocol of module attributes
    """Import `learn` when it is first asked for: serving needs none of what learning imports."""
    if name == "learn":
        from rewriter.offline.learn import learn  # noqa: PLC0415

        return learn
    raise AttributeError(f"module 'rewriter' has no attribute {name!r}")
