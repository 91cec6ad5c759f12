"""`Metrics`: what the service counts, for Prometheus. No label holds what a user said or who it was."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rewriter.result import Rewrite

_SECONDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Bounds of the buckets: a rule answers in microseconds, the online layer in about a millisecond."""


class Metrics:
    """The counters of one service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._decisions = Counter(
            "rewriter_decisions", "Requests by mode and reason.", ("mode", "reason"), registry=self._registry
        )
        self._applied = Counter("rewriter_rewrites", "Rewrites that were sent.", ("layer", "scope"), registry=self._registry)
        self._seconds = Histogram(
            "rewriter_decision_seconds", "Time of a decision, without HTTP.", ("mode",), buckets=_SECONDS, registry=self._registry
        )
        self._feedback = Counter("rewriter_feedback", "Feedback by value.", ("value",), registry=self._registry)
        self._answers = Counter(
            "rewriter_http_answers", "Answers by path and status.", ("path", "status"), registry=self._registry
        )
        self._dropped = Gauge("rewriter_decisions_dropped", "Decisions that were not logged.", registry=self._registry)
        self._version = Gauge("rewriter_artefact", "1 for the version that answers.", ("version",), registry=self._registry)
        self._serving = ""

    def decided(self, answer: Rewrite, *, after_failure: bool, seconds: float) -> None:
        """Count a decision."""
        mode = "after" if after_failure else "before"
        self._decisions.labels(mode, str(answer.reason)).inc()
        self._seconds.labels(mode).observe(seconds)
        if answer.applied:
            self._applied.labels(str(answer.layer), str(answer.scope)).inc()
        self.serves(answer.artefact)

    def serves(self, version: str) -> None:
        """Note the version that answers."""
        if version != self._serving:
            self._version.clear()
            self._version.labels(version).set(1)
            self._serving = version

    def count_feedback(self, value: int) -> None:
        """Count feedback."""
        self._feedback.labels(str(value)).inc()

    def answered(self, path: str, status: int) -> None:
        """Count an answer; `path` is that of an endpoint, so that there are few."""
        self._answers.labels(path, str(status)).inc()

    def text(self, dropped: int) -> bytes:
        """Return all figures in the text format of Prometheus.

        Args:
            dropped: decisions that the decision log did not write.
        """
        self._dropped.set(dropped)
        return generate_latest(self._registry)


class Counting:
    """Middleware that counts the answers by path and status. Paths of no endpoint are counted together, so that there are few.

    Args:
        app: what stands behind.
        metrics: where they are counted.
        paths: of the endpoints.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, paths: frozenset[str]) -> None:
        self._app, self._metrics, self._paths = app, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self._paths else "other"

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.answered(path, message["status"])
            await send(message)

        await self._app(scope, receive, counted)
