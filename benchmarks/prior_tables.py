"""Computes the features of candidates of requests: the rows on which the prior is fitted and judged."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from prior_worlds import Made, Scene
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

from rewriter.arrays import Bools, Floats, Ints
from rewriter.model.channel import NoisyChannel
from rewriter.model.pair_features import PairIndex

TOP = 6  # candidates by each of two measures, the channel and the letters


class CandidateRows(NamedTuple):
    """Measured candidates of requests.

    Attributes:
        columns: (m, len(PAIR)).
        right: (m,) whether the candidate means what was said.
        request: (m,) number of the request, ascending from 0.
        fails: (requests,) whether the request fails as it was heard.
        said: (requests,) what was said.
        wording: (requests, len(REQUEST)) the requests by themselves.
    """

    columns: Floats
    right: Bools
    request: Ints
    fails: Bools
    said: list[str]
    wording: Floats

    def best(self, score: npt.NDArray[np.floating]) -> Ints:
        """Return the row of the best candidate of each request, (requests,)."""
        order = np.lexsort((-score, self.request))
        return order[np.unique(self.request[order], return_index=True)[1]]

    def of(self, requests: Bools) -> "CandidateRows":
        """Return the rows of some requests, (requests,) bool."""
        kept = requests[self.request]
        numbers = (np.cumsum(requests) - 1)[self.request[kept]]
        said = [text for text, stays in zip(self.said, requests, strict=True) if stays]
        return CandidateRows(self.columns[kept], self.right[kept], numbers, self.fails[requests], said, self.wording[requests])


class Desk:
    """Measures requests against the index of one scene."""

    def __init__(self, scene: Scene, channel: NoisyChannel) -> None:
        self.scene = scene
        self._numbers = {goal: i for i, goal in enumerate(dict.fromkeys(scene.goals))}
        self._goals = np.array([self._numbers[goal] for goal in scene.goals])
        self._index = PairIndex(scene.texts, self._goals, channel, complete=scene.index == "catalog")
        self._everything = channel.views(scene.texts)

    def measure(self, made: Sequence[Made]) -> CandidateRows:
        """Measure the candidates of some requests."""
        columns, right, request, wording = [], [], [], []
        for i, one in enumerate(made):
            asked = self._index.asked(one.heard)
            likely = np.argsort(self._index.channel.cost(asked.views, self._everything), kind="stable")[:TOP]
            alike = cdist([one.heard], self.scene.texts, scorer=Indel.normalized_similarity)[0]
            rows = np.unique(np.concatenate([likely, np.argsort(-alike, kind="stable")[:TOP]]))
            columns.append(self._index.measure(asked, rows))
            right.append(self._goals[rows] == self._numbers.get(one.goal, -1))
            request.append(np.full(len(rows), i))
            wording.append(self._index.wording(asked))
        fails = np.array([self.scene.understood.get(m.heard) != m.goal for m in made])
        said = [one.said for one in made]
        table, meant, numbers = (np.concatenate(part) for part in (columns, right, request))
        return CandidateRows(table, meant, numbers, fails, said, np.array(wording))


def draw(made: Sequence[Made], n: int, seed: int) -> list[Made]:
    """Return at most so many requests, in their order."""
    chosen = np.sort(np.random.default_rng([seed, 5]).permutation(len(made))[:n])
    return [made[i] for i in chosen.tolist()]
