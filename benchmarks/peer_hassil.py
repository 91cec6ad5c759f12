"""Home Assistant's fuzzy matcher as a peer: hassil 3.8.1, the last version with it, in a separate environment.

The matcher is not a rewriter: given a text, it returns an intent with slots. So its proposal is a text that only `Acting`, a
wrapper of the world's assistant, understands: as that intent. The matcher knows the names of the household, as it did in Home
Assistant, and learns nothing from the log.
"""

import json
import subprocess
import venv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rewriter.evaluation.outcomes import LEFT_ALONE, Proposal
from rewriter.evaluation.replay import RecordedTurn
from rewriter.model.hypothesis import hypothesis, intent_of, slots_of
from rewriter.simulation.assistants import Assistant, Household
from rewriter.simulation.world import Request
from rewriter.text import normalise

PINNED = ("hassil==3.8.1", "home-assistant-intents==2026.6.1")
_ACT = "act: "


def environment(folder: Path) -> Path:
    """Return the Python of the environment in `folder`, made and filled where it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINNED], check=True)
    return python


class RemovedMatcher:
    """The matcher, in a process of its own; close it, or use it as a context.

    Args:
        python: of the environment with hassil 3.8.1.
        household: whose names it knows.
        goals: hypotheses of the strict parser. The matcher names the domain of a light less often than the parser; where
            that is all that differs, its answer counts as the parser's.
    """

    name, threshold = "Home Assistant fuzzy", -13.0

    def __init__(self, python: Path, household: Household, goals: Iterable[str]) -> None:
        self._goals = frozenset(goals)
        self._without_domain: dict[str, set[str]] = defaultdict(set)
        for goal in self._goals:
            self._without_domain[_without_domain(goal)].add(goal)
        worker = Path(__file__).with_name("hassil_worker.py")
        self._process = subprocess.Popen([python, worker], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        names = {domain: list(things) for domain, things in household.names.items()}
        self._write({"language": household.language, "names": names, "areas": household.areas, "floors": household.floors})

    def __enter__(self) -> "RemovedMatcher":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.communicate()

    def fit(self, log: Sequence[RecordedTurn]) -> None:
        """It learns nothing."""

    def propose(self, request: Request, after_failure: bool) -> Proposal:
        """Return what it would do; higher scores are likelier."""
        del after_failure
        self._write(normalise(request.heard))
        assert self._process.stdout is not None
        found = json.loads(self._process.stdout.readline())
        if found is None:
            return LEFT_ALONE
        return Proposal(_ACT + self._as_parsed(hypothesis(found["intent"], found["slots"])), found["score"])

    def _as_parsed(self, answer: str) -> str:
        alike = self._without_domain.get(answer, set())
        return next(iter(alike)) if answer not in self._goals and len(alike) == 1 else answer

    def _write(self, value: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()


class Acting:
    """An assistant that also does what `RemovedMatcher` says."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant

    def understand(self, text: str) -> str | None:
        """Return the intent of the matcher's answer, else what the assistant understands."""
        return text.removeprefix(_ACT) if text.startswith(_ACT) else self._assistant.understand(text)


def _without_domain(goal: str) -> str:
    return hypothesis(intent_of(goal), {name: value for name, value in slots_of(goal).items() if name != "domain"})
