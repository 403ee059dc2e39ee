"""One span a request, by the conventions, where OpenTelemetry is installed; nothing where it isn't."""

import subprocess
import sys
from typing import Any

import httpx
import pytest
from server_machine import serving, talking

from handbook.engine import spans
from handbook.engine.protocol import ChatBody
from handbook.engine.reading import read

trace = pytest.importorskip("opentelemetry.trace")


class Recorded:
    def __init__(self, name: str, kind: Any, context: Any, attributes: dict[str, Any]) -> None:
        self.name, self.kind, self.context, self.attributes = name, kind, context, dict(attributes)
        self.ended, self.status = 0, None

    def set_attributes(self, attributes: dict[str, Any]) -> None:
        self.attributes.update(attributes)

    def set_attribute(self, name: str, value: Any) -> None:
        self.attributes[name] = value

    def set_status(self, status: Any) -> None:
        self.status = status

    def end(self) -> None:
        self.ended += 1


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    """The API without an SDK collects nothing, so its tracer is replaced."""
    found: list[Recorded] = []

    class Tracer:
        def start_span(self, name: str, context: Any, kind: Any, attributes: dict[str, Any]) -> Recorded:
            found.append(Recorded(name, kind, context, attributes))
            return found[-1]

    monkeypatch.setattr(spans.trace, "get_tracer", lambda name: Tracer())
    return found


def test_a_request_is_a_span(loaded, recorded):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = {"model": "tiny", "messages": [{"role": "user", "content": "my secret"}], "max_tokens": 4}
    body |= {"temperature": 0.5, "seed": 3, "stop": ["zz"], "n": 2}
    with serving(talking(loaded)) as server:
        for streaming in (False, True):
            body["stream"] = streaming
            path = "/v1/chat/completions"
            reply = server.post(path, body, headers={"traceparent": parent})
            assert reply.status_code == 200
        server.post("/v1/completions", {"model": "tiny", "prompt": ""})
    assert len(recorded) == 3
    for span in recorded[:2]:
        assert (span.name, span.kind, span.ended) == ("chat tiny", trace.SpanKind.SERVER, 1)
        assert format(trace.get_current_span(span.context).get_span_context().trace_id, "x") in parent
        assert span.attributes["gen_ai.operation.name"] == "chat"
        assert span.attributes["gen_ai.request.model"] == span.attributes["gen_ai.response.model"] == "tiny"
        assert span.attributes["gen_ai.request.max_tokens"] == 4
        assert span.attributes["gen_ai.request.temperature"] == 0.5
        assert span.attributes["gen_ai.request.stop_sequences"] == ["zz"]
        assert span.attributes["gen_ai.request.choice.count"] == 2
        assert "gen_ai.request.top_p" not in span.attributes
        assert span.attributes["gen_ai.usage.output_tokens"] == 8
        assert span.attributes["gen_ai.response.finish_reasons"] == ["length", "length"]
        assert span.status is None
        assert "secret" not in str(span.attributes)
    failed = recorded[2]
    assert (failed.name, failed.ended) == ("text_completion tiny", 1)
    assert failed.attributes["error.type"] == "Refused"
    assert failed.status.status_code is trace.StatusCode.ERROR


def test_without_the_package():
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from handbook.engine import spans\n"
        "from handbook.engine.protocol import TextBody\n"
        "from handbook.engine.reading import read\n"
        'body = read(TextBody, b\'{"model": "m", "prompt": "p"}\')\n'
        "span = spans.Span({}, 'text_completion', body); span.end()\n"
        "sys.exit(spans.TRACED)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_with_the_api_alone():
    """Without an SDK, spans go nowhere, and cost no error."""
    raw = b'{"model": "m", "messages": [{"role": "user", "content": "x"}]}'
    span = spans.Span(httpx.Headers(), "chat", read(ChatBody, raw))
    span.end(error=ValueError())
    span.end()
