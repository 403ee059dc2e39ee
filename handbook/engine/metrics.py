"""What `/metrics` tells, in Prometheus' text format.

Times are observed as answers come; everything that the engine counts anyway is read when somebody asks, so
that a step of the engine pays nothing for it.

Book: inference-ops/llm-serving-optimization
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from handbook.engine.asked import Piece
from handbook.engine.engine import Engine

if TYPE_CHECKING:
    from handbook.engine.desk import Job

WAITS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
STEPS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Metrics:
    """The figures of one server."""

    def __init__(self, engine: Engine) -> None:
        self.registry = CollectorRegistry()
        self.first = Histogram(
            "handbook_time_to_first_token_seconds",
            "From taking a request in to its first token.",
            buckets=WAITS,
            registry=self.registry,
        )
        self.each = Histogram(
            "handbook_time_per_output_token_seconds",
            "Of each request, the mean time between two tokens of a continuation.",
            buckets=STEPS,
            registry=self.registry,
        )
        self.whole = Histogram(
            "handbook_request_seconds",
            "From taking a request in to its last token.",
            buckets=WAITS,
            registry=self.registry,
        )
        self.ended = Counter(
            "handbook_continuations",
            "Continuations that ended, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.prompt = Counter(
            "handbook_prompt_tokens",
            "Tokens of prompts, computed or found in the cache.",
            registry=self.registry,
        )
        self.output = Counter("handbook_output_tokens", "Tokens given out.", registry=self.registry)
        for reason in ("stop", "length", "cancelled", "error"):
            self.ended.labels(reason)
        self.registry.register(EngineFigures(engine))

    def saw(self, job: "Job", choice: int, piece: Piece) -> None:
        """A piece has come, and the job knows of it."""
        self.output.inc(piece.tokens)
        if sum(job.tokens) == piece.tokens > 0 and job.waited is not None:
            self.first.observe(job.waited)
            self.prompt.inc(job.prompt_tokens)
        if piece.reason is not None:
            self.ended.labels(piece.reason).inc()
        if not job.open and not {"cancelled", "error"} & set(job.reasons):
            self.whole.observe(job.last - job.began)
            if job.first is not None and max(job.tokens) > 1:
                self.each.observe((job.last - job.first) / (max(job.tokens) - 1))

    def page(self) -> bytes:
        return generate_latest(self.registry)


class EngineFigures(Collector):
    """What the engine and its scheduler count, read as they stand."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def collect(self) -> Iterator[Metric]:
        scheduler, pages = self.engine.scheduler, self.engine.pages
        counts = scheduler.counts
        gauges = {
            "queue": ("Continuations that wait.", len(scheduler.queue)),
            "running": ("Continuations that run.", len(scheduler.running)),
            "cache_pages": ("Pages of the KV cache.", pages.count),
            "cache_use": ("Share of the pages that somebody holds.", 1 - pages.available / pages.count),
        }
        counters = {
            "prefix_cache_hit_tokens": ("Tokens of prompts that were found in the cache.", counts.reused),
            "computed_tokens": ("Tokens that went through the model.", counts.computed),
            "steps": ("Steps of the model.", counts.steps),
            "preemptions": ("Continuations that had to make room.", counts.preempted),
            "draft_tokens": ("Tokens guessed ahead.", counts.drafted),
            "draft_tokens_accepted": ("Guessed tokens that were right.", counts.accepted),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"handbook_{name}", text, value)
        for name, (text, value) in counters.items():
            yield CounterMetricFamily(f"handbook_{name}", text, value)
