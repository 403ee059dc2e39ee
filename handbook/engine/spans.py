"""OpenTelemetry spans, where opentelemetry-api is installed: one a request, named and described by the
semantic conventions for generative AI. What was asked and answered is never in them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from handbook.engine.protocol import Drawn

if TYPE_CHECKING:
    from handbook.engine.replies import Reply

try:
    from opentelemetry import propagate, trace
except ImportError:
    TRACED = False
else:
    TRACED = True

ASKED = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "most": "max_tokens",
    "stop": "stop_sequences",
}


class Span:
    """The span of a request, a child of the client's where it sent `traceparent`. Does nothing without the
    package, and next to nothing while nobody collects.

    operation: "chat" or "text_completion".
    """

    def __init__(self, headers: Mapping[str, str], operation: str, body: Drawn) -> None:
        self._span: Any = None
        if not TRACED:
            return
        asked = {f"gen_ai.request.{name}": getattr(body, field) for field, name in ASKED.items()}
        attributes = {key: value for key, value in asked.items() if value is not None}
        if body.samples != 1:
            attributes["gen_ai.request.choice.count"] = body.samples
        self._span = trace.get_tracer("handbook").start_span(
            f"{operation} {body.model}",
            context=propagate.extract(headers),
            kind=trace.SpanKind.SERVER,
            attributes={
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": "handbook",
                "gen_ai.request.model": body.model,
                **attributes,
            },
        )

    def end(self, reply: "Reply | None" = None, error: BaseException | None = None) -> None:
        """What came of it. Calling it again changes nothing."""
        span, self._span = self._span, None
        if span is None:
            return
        if reply is not None:
            usage = reply.job.usage
            span.set_attributes(
                {
                    "gen_ai.response.id": reply.job.id,
                    "gen_ai.response.model": str(reply.head["model"]),
                    "gen_ai.response.finish_reasons": [reason or "cancelled" for reason in reply.ends],
                    "gen_ai.usage.input_tokens": usage["prompt_tokens"],
                    "gen_ai.usage.output_tokens": usage["completion_tokens"],
                }
            )
        failed = type(error).__name__ if error is not None else reply.failed if reply is not None else None
        if failed:
            span.set_attribute("error.type", failed)
            span.set_status(trace.Status(trace.StatusCode.ERROR))
        span.end()
