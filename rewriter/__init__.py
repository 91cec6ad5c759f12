"""rewriter: learns from a dialogue log which requests fail and what works instead, and rewrites the next one.

Learn from a log, then ask for rewrites:

>>> from rewriter import Rewriter, learn
>>> learn("logs/", out="artefact")  # doctest: +SKIP
>>> Rewriter.open("artefact").rewrite("turn of the lamp", user_id="ann").text  # doctest: +SKIP
'turn off the lamp'

All public names are here. Each verb of the command line is a function of the same name, and `Rewriter.rewrite` is the verb
``rewrite``. A name is imported when it is first used, so ``import rewriter`` stays quick and serving never loads what only
learning needs. The functions other than the call itself need the extra ``learn``, and `serve` needs ``serve``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from rewriter.errors import MissingExtraError, RewriterError

if TYPE_CHECKING:
    from rewriter.artefact.switch import listed as versions
    from rewriter.artefact.switch import publish, rollback
    from rewriter.config import Config
    from rewriter.config import reference as settings
    from rewriter.connect.synonyms import synonyms
    from rewriter.connect.verbs import export, import_log
    from rewriter.evaluation.compare import compare
    from rewriter.evaluation.evaluate import evaluate
    from rewriter.evaluation.experiment import experiment, plan
    from rewriter.evaluation.report import report
    from rewriter.offline.learn import learn
    from rewriter.online.decisions import DecisionLog
    from rewriter.online.rewriter import Rewriter
    from rewriter.online.teaching_session import TeachingSession
    from rewriter.operate.console.page import console
    from rewriter.operate.demo import demo
    from rewriter.operate.diagnose import diagnose
    from rewriter.operate.explain import explain
    from rewriter.operate.forget import forget
    from rewriter.operate.info import history, info
    from rewriter.operate.label import label
    from rewriter.operate.review import pending as review
    from rewriter.operate.teach import lessons, prefer, teach, unteach
    from rewriter.operate.try_out import try_out
    from rewriter.result import Candidate, Rewrite
    from rewriter.service.serve import serve
    from rewriter.simulation.worlds import simulate

__version__ = "0.1.0"
__all__ = [
    "Candidate",
    "Config",
    "DecisionLog",
    "Rewrite",
    "Rewriter",
    "RewriterError",
    "TeachingSession",
    "__version__",
    "compare",
    "console",
    "demo",
    "diagnose",
    "evaluate",
    "experiment",
    "explain",
    "export",
    "forget",
    "history",
    "import_log",
    "info",
    "label",
    "learn",
    "lessons",
    "plan",
    "prefer",
    "publish",
    "report",
    "review",
    "rollback",
    "serve",
    "settings",
    "simulate",
    "synonyms",
    "teach",
    "try_out",
    "unteach",
    "versions",
]

_HOMES: Final = {
    "Candidate": "rewriter.result:Candidate",
    "Config": "rewriter.config:Config",
    "DecisionLog": "rewriter.online.decisions:DecisionLog",
    "Rewrite": "rewriter.result:Rewrite",
    "Rewriter": "rewriter.online.rewriter:Rewriter",
    "TeachingSession": "rewriter.online.teaching_session:TeachingSession",
    "compare": "rewriter.evaluation.compare:compare",
    "console": "rewriter.operate.console.page:console",
    "demo": "rewriter.operate.demo:demo",
    "diagnose": "rewriter.operate.diagnose:diagnose",
    "evaluate": "rewriter.evaluation.evaluate:evaluate",
    "experiment": "rewriter.evaluation.experiment:experiment",
    "explain": "rewriter.operate.explain:explain",
    "export": "rewriter.connect.verbs:export",
    "forget": "rewriter.operate.forget:forget",
    "history": "rewriter.operate.info:history",
    "import_log": "rewriter.connect.verbs:import_log",
    "info": "rewriter.operate.info:info",
    "label": "rewriter.operate.label:label",
    "learn": "rewriter.offline.learn:learn",
    "lessons": "rewriter.operate.teach:lessons",
    "plan": "rewriter.evaluation.experiment:plan",
    "prefer": "rewriter.operate.teach:prefer",
    "publish": "rewriter.artefact.switch:publish",
    "report": "rewriter.evaluation.report:report",
    "review": "rewriter.operate.review:pending",
    "rollback": "rewriter.artefact.switch:rollback",
    "serve": "rewriter.service.serve:serve",
    "settings": "rewriter.config:reference",
    "simulate": "rewriter.simulation.worlds:simulate",
    "synonyms": "rewriter.connect.synonyms:synonyms",
    "teach": "rewriter.operate.teach:teach",
    "unteach": "rewriter.operate.teach:unteach",
    "try_out": "rewriter.operate.try_out:try_out",
    "versions": "rewriter.artefact.switch:listed",
}
"""Public name -> module and attribute that define it."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the protocol of module attributes
    """Import a public name when it is first used.

    Raises:
        AttributeError: there is no such name.
        MissingExtraError: it needs a package that only an extra brings; names the extra.
    """
    if name not in _HOMES:
        raise AttributeError(f"module 'rewriter' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    try:
        value = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "rewriter":
            raise
        extra = "serve" if module.startswith("rewriter.service.") else "learn"
        raise MissingExtraError(f"rewriter.{name} needs {error.name}: pip install 'rewriter[{extra}]'") from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, whether or not they were used yet."""
    return sorted({*globals(), *__all__})
