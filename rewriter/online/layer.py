"""The online stages of a request: find, measure, rank, ask the guardrail, clear the threshold."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from rewriter.guardrail import Guardrail
from rewriter.model.ambiguity import Ambiguity
from rewriter.model.candidates import MEASURED, Finder, Pool
from rewriter.model.decider import Decider, Threshold, choose, may
from rewriter.model.features import RANK, Look, look, risk
from rewriter.model.fluency import Wording
from rewriter.model.retrieve import Retriever
from rewriter.model.risk import Risk
from rewriter.online.request import Considered, Request, Understands, Verdict
from rewriter.result import Candidate, Reason, Scope
from rewriter.similarity import text_similarity

_TOLD = 5  # of them that the answer names
_LIKELY = 0.5  # P(meant) from which on it is the text's fluency, and not the candidates, that speaks against a rewrite


class OnlineLayer:
    """The online layer of one artefact version.

    Args:
        finder: finds candidates.
        wording: how healthy texts are made, by locale.
        decider: what `learn` fitted.
        student: the risk of texts and words, of which the decider reads columns.
        ambiguity: texts that mean different things to different users; None where `learn` found none worth serving.
    """

    __slots__ = ("_ambiguity", "_decider", "_finder", "_wording", "student")

    def __init__(
        self, finder: Finder, wording: Mapping[str, Wording], decider: Decider, student: Risk, ambiguity: Ambiguity | None = None
    ) -> None:
        self._finder = finder
        self._wording = wording
        self._decider = decider
        self.student = student
        self._ambiguity = ambiguity

    @classmethod
    def open(cls, folder: Path) -> "OnlineLayer":
        """Open what `learn` wrote.

        Raises:
            ArtefactError: a file is missing, or is none of ours.
        """
        wording = {path.name: Wording.open(path) for path in sorted((folder / "wording").glob("*"))}
        retriever = Retriever.open(folder)
        return cls(
            retriever, wording, Decider.open(folder), Risk.open(folder), Ambiguity.open(folder / "ambiguity", retriever.user_view)
        )

    @property
    def locales(self) -> frozenset[str]:
        """The locales in which there is anything to rewrite to."""
        return frozenset(self._wording)

    def ambiguity(self, request: Request, rule: str | None) -> Verdict | None:
        """Say what to do with a text that means different things to different users; None where habits tell nothing.

        Args:
            request: what is asked.
            rule: what the rule for everybody would send; None where there is none.
        """
        if self._ambiguity is None:
            return None
        text = request.hearings[0]
        posterior = self._ambiguity.of(text, request.locale, request.user)
        if posterior is None or (not request.after_failure and self._finder.knows(text, request.locale, request.user)):
            return None
        texts, p, fails = posterior
        if fails * p[0] < self._ambiguity.threshold:
            return None if rule in (None, texts[0]) else Verdict(None, "keep_source")
        near = text_similarity([text] * len(texts), texts).tolist()
        candidates = tuple(Candidate(of, "online", "personal", *told) for of, *told in zip(texts, near, p, strict=True))
        return Verdict(texts[0], "ambiguity", fails * p[0], None, candidates, "personal")

    def decide(  # noqa: PLR0911 - each way out has its reason
        self, request: Request, *, late: Callable[[], bool], understands: Understands | None
    ) -> Verdict:
        """Say what to do with a request that no rule knows.

        Args:
            request: what is asked.
            late: whether the time is up; asked between stages.
            understands: the assistant's own parser; candidates that it does not understand are not sent.
        """
        hearings = request.hearings if self._decider.hears else request.hearings[:1]
        wording = self._wording[request.locale]
        if not request.after_failure and self._finder.knows(hearings[0], request.locale, request.user):
            return Verdict(None, "healthy")
        pool = self._finder.find(hearings, request.locale, request.user, MEASURED + 1)
        pool = pool.keep(np.array([text != hearings[0] for text in pool.texts], dtype=bool), MEASURED)
        if not len(pool):
            return Verdict(None, "no_candidate")
        if late():
            return Verdict(None, "deadline")
        seen = look(hearings, pool, wording, request.locale)
        p = self._decider.ranker.p(seen.features).tolist()
        if late():
            return Verdict(None, "deadline", candidates=_named(seen, p))
        guardrail = Guardrail.open(request.locale)

        def allowed(i: int) -> bool:
            text = seen.pool.texts[i]
            return may(hearings, text, guardrail, wording, after_failure=request.after_failure) and (
                understands is None or understands(text)
            )

        best = choose(p, allowed)
        if best is None:
            return Verdict(None, "blocked", candidates=_named(seen, p))
        threshold, score = self._decider.after, p[best]
        if not request.after_failure:
            threshold = self._decider.before
            score *= float(self._decider.risk.p(risk(seen, best, p[best], wording, self.student)[None])[0])
        if late():
            return Verdict(None, "deadline", candidates=_named(seen, p))
        return _against(threshold, score, p[best], seen.pool, best, _named(seen, p))

    def consider(self, request: Request) -> tuple[Considered, ...]:
        """Tell of each candidate what was measured and what becomes of it, the likeliest first; the answer itself is `decide`'s.

        Args:
            request: what is asked.
        """
        hearings = request.hearings if self._decider.hears else request.hearings[:1]
        wording, guardrail = self._wording[request.locale], Guardrail.open(request.locale)
        pool = self._finder.find(hearings, request.locale, request.user, MEASURED + 1)
        pool = pool.keep(np.array([text != hearings[0] for text in pool.texts], dtype=bool), MEASURED)
        seen = look(hearings, pool, wording, request.locale)
        ranker = self._decider.ranker
        p = ranker.p(seen.features).tolist()
        may_be = [may(hearings, text, guardrail, wording, after_failure=request.after_failure) for text in pool.texts]
        best = choose(p, lambda i: may_be[i])

        def one(i: int) -> Considered:
            text, score, threshold = pool.texts[i], p[i], self._decider.after
            if not request.after_failure:
                threshold = self._decider.before
                score *= float(self._decider.risk.p(risk(seen, i, p[i], wording, self.student)[None])[0])
            why = "another one is likelier" if i != best else _held(threshold, score)
            if not may_be[i]:
                forbidden = guardrail.verdict(hearings[0], text, names=wording.names.keys(), knows=wording.knows, online=True)
                why = f"guardrail: {forbidden or 'the utterance says otherwise'}"
            measured = dict(zip(RANK, seen.features[i].tolist(), strict=True))
            return Considered(
                text, _scope(pool, i), p[i], score, why, measured, dict(zip(RANK, ranker.weights.tolist(), strict=True))
            )

        return tuple(one(i) for i in sorted(range(len(p)), key=lambda i: -p[i]))


def _held(threshold: Threshold, score: float) -> str:
    """Say how a score stands to a threshold."""
    if not math.isfinite(threshold.apply):
        return "held-out evidence could promise no threshold"
    if score >= threshold.apply:
        return f"clears the threshold of {threshold.apply:.2f}"
    return f"below the threshold of {threshold.apply:.2f}" + (", worth asking about" if score >= threshold.suggest else "")


def _against(
    threshold: Threshold, score: float, meant: float, pool: Pool, best: int, candidates: tuple[Candidate, ...]
) -> Verdict:
    text = pool.texts[best]
    if score >= threshold.apply:
        return Verdict(text, "online", score, None, candidates, _scope(pool, best))
    why: Reason = "unsure" if score == meant or meant < _LIKELY else "fluent"
    return Verdict(None, why, None, text if score >= threshold.suggest else None, candidates)


def _named(seen: Look, p: Sequence[float]) -> tuple[Candidate, ...]:
    order = sorted(range(len(p)), key=lambda i: -p[i])[:_TOLD]
    pool, similarity = seen.pool, seen.features[:, 0].tolist()
    return tuple(Candidate(pool.texts[i], "online", _scope(pool, i), similarity[i], p[i]) for i in order)


def _scope(pool: Pool, i: int) -> Scope:
    return "personal" if pool.own_turns[i] > 0 else "global"
