"""From a request's body to its answer: encode, ask the engine, then wait with one eye on the client.

Book: inference-ops/llm-serving-optimization
"""

import asyncio
import json
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from handbook.engine.constrained import Constraint
from handbook.engine.desk import Desk, Job
from handbook.engine.engine import Engine
from handbook.engine.grammars import constraint_of
from handbook.engine.protocol import ChatBody, Drawn, TextBody
from handbook.engine.refused import Fault, Refused
from handbook.engine.replies import CallingForm, ChatForm, Form, Reply, TextForm
from handbook.engine.served import Closing
from handbook.engine.spans import Span
from handbook.engine.work import CannotServe, NoAdapter, QueueFull
from handbook.errors import ChatError
from handbook.model.load import Loaded

T = TypeVar("T")
HUNG_UP = 499  # what the log of a proxy calls it; nobody reads it


def encoded(loaded: Loaded, body: Drawn) -> list[list[int]]:
    """The prompts as token ids. Raises Refused.

    In a conversation, names of special tokens are the template's alone. A completion's prompt is all that the
    model reads, so there they count, and what the model puts around a text (BOS) is added.
    """
    if isinstance(body, ChatBody):
        if loaded.template is None:
            raise Refused(400, "This model has no chat template; use /v1/completions.", param="messages")
        try:
            tools = [] if body.tool_choice == "none" else [spec.tool for spec in body.tools or ()]
            messages = [turn.message for turn in body.messages]
            return [loaded.template.encode(messages, loaded.tokenizer, tools=tools)]
        except ChatError as error:
            raise Refused(400, str(error), param="messages") from None
    assert isinstance(body, TextBody)
    return [loaded.tokenizer.encode(one, wrap=True) if isinstance(one, str) else one for one in body.prompt]


def checked(engine: Engine, body: Drawn, prompts: list[list[int]]) -> int:
    """How many tokens may be drawn. Raises Refused, with everything that this model can't do."""
    config, pages = engine.loaded.config, engine.pages
    room = min(config.context, pages.count * pages.size)
    place = "messages" if isinstance(body, ChatBody) else "prompt"
    faults = [
        Fault("logit_bias", f"there is no token {token}; ids go up to {config.vocab_size - 1}")
        for token in map(int, body.logit_bias or ())
        if token >= config.vocab_size
    ]
    if body.samples > engine.limits.running:
        faults.append(Fault("n", f"{engine.limits.running} at most, got {body.samples}"))
    long = []
    for number, prompt in enumerate(prompts):
        where = f"{place}.{number}" if len(prompts) > 1 else place
        if not prompt:
            faults.append(Fault(where, "is empty"))
        elif strange := [token for token in prompt if not 0 <= token < config.vocab_size]:
            faults.append(Fault(where, f"there is no token {str(strange[0])[:20]}"))
        elif len(prompt) + (body.asked or 1) > room:
            long.append(Fault(where, f"has {len(prompt)} tokens"))
    if long:
        asked = f", and {body.asked} more were asked for" if body.asked else ""
        long.append(Fault(place, f"{room} are the most that prompt and answer may have together{asked}"))
    if faults or long:
        raise Refused.listing(faults + long, "context_length_exceeded" if long else None)
    left = room - max(map(len, prompts))
    return left if body.most is None else min(body.most, left)


async def answer(request: Request, desk: Desk, body: Drawn) -> Response:
    """The whole way. Raises Refused before anything was said."""
    engine = desk.served.engine
    loaded = engine.loaded
    if body.model not in (loaded.name, *engine.adapters):
        raise unknown(body.model, loaded.name, *engine.adapters)
    if desk.draining:
        raise draining()
    form = form_of(body)
    span = Span(request.headers, form.operation, body)
    try:
        prompts = await run_in_threadpool(encoded, loaded, body)
        most = checked(engine, body, prompts)
        constraint = await compiled(request, desk, body)
        job = await take(desk, form, body, prompts, most, constraint)
    except BaseException as error:
        span.end(error=error)
        raise
    reply = Reply(form, job, body.model, loaded.tokenizer, body.likeliest is not None)
    if body.stream:
        return Events(desk, reply, span, body.with_usage, body.counting)
    try:
        whole = await until_gone(request.receive, gather(job, reply))
    finally:
        desk.leave(job)
        span.end(reply)
    if reply.failed:
        raise failure(reply.failed, job)
    return Response(status_code=HUNG_UP) if whole is None else JSONResponse(whole)


async def compiled(request: Request, desk: Desk, body: Drawn) -> Constraint | None:
    """What the answer is held to; None where it is free. Grammars are compiled one after the other, away from
    the loop and the engine; as many may wait for it as texts may wait. Raises Refused.
    """
    if not body.formats and not (isinstance(body, ChatBody) and body.callable):
        return None
    engine = desk.served.engine
    if desk.forms >= engine.limits.queue:
        raise Refused(
            429, "Too many forms of answers are waiting.", "queue_full", headers={"Retry-After": "1"}
        )

    begun = False

    async def compile() -> Constraint | None:
        nonlocal begun
        async with desk.compiling:
            begun = True
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(desk.compiler, constraint_of, engine.loaded, body)

    async def waited() -> tuple[Constraint | None]:
        return (await asyncio.shield(compiling),)

    def ended(task: "asyncio.Task[Constraint | None]") -> None:
        desk.forms -= 1
        if not task.cancelled():
            task.exception()  # looked at, whoever waits

    desk.forms += 1
    compiling = asyncio.create_task(compile())
    compiling.add_done_callback(ended)
    done = await until_gone(request.receive, waited())
    if done is None:
        if not begun:  # else it counts until it has ended: a thread can't be stopped
            compiling.cancel()
        raise Refused(400, "The client hung up.")  # nobody reads it
    return done[0]


def form_of(body: Drawn) -> Form:
    """How the answer is worded."""
    if not isinstance(body, ChatBody):
        return TextForm()
    if body.callable:
        return CallingForm([tool.function.name for tool in body.callable], body.samples)
    return ChatForm()


async def take(
    desk: Desk, form: Form, body: Drawn, prompts: list[list[int]], most: int, constraint: Constraint | None
) -> Job:
    """Hand a job in. Raises Refused."""
    try:
        return await desk.take(
            form.prefix,
            prompts,
            body.sampling(most),
            samples=body.samples,
            logprobs=body.likeliest,
            past_stops=bool(body.ignore_eos),
            constraint=constraint,
            adapter=None if body.model == desk.served.engine.loaded.name else body.model,
        )
    except NoAdapter:  # unloaded meanwhile
        engine = desk.served.engine
        raise unknown(body.model, engine.loaded.name, *engine.adapters) from None
    except Closing:
        raise draining() from None
    except QueueFull as error:
        wait = {"Retry-After": str(desk.retry_after)}
        raise Refused(429, f"The queue is full: {error}.", "queue_full", headers=wait) from None
    except CannotServe as error:
        raise Refused(400, f"{error}.") from None


async def gather(job: Job, reply: Reply) -> dict[str, Any]:
    """The whole answer."""
    while not reply.complete:
        reply.add(await job.pieces())
    return reply.full()


class Events(Response):
    """A stream of server-sent events. Pieces that came meanwhile go out together."""

    media_type = "text/event-stream"

    def __init__(self, desk: Desk, reply: Reply, span: Span, with_usage: bool, counting: bool) -> None:
        self.desk, self.reply, self.span = desk, reply, span
        self.with_usage, self.counting = with_usage, counting
        self.status_code, self.background = 200, None
        self.init_headers({"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await until_gone(receive, self._send(send))
        finally:
            self.desk.leave(self.reply.job)
            self.span.end(self.reply)

    @property
    def more(self) -> dict[str, Any]:
        """What each chunk says besides."""
        if not self.with_usage:
            return {}
        return {"usage": self.reply.job.usage if self.counting else None}

    async def _send(self, send: Send) -> None:
        reply, job = self.reply, self.reply.job

        async def say(*events: dict[str, Any] | str, last: bool = False) -> None:
            text = "".join(f"data: {one if isinstance(one, str) else dumps(one)}\n\n" for one in events)
            await send({"type": "http.response.body", "body": text.encode(), "more_body": not last})

        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await say(*({**chunk, **self.more} for chunk in reply.openings()))
        while not reply.complete:
            news = reply.add(await job.pieces())
            if reply.failed:
                await say(failure(reply.failed, job).body, last=True)
                return
            await say(*({**chunk, **self.more} for chunk in reply.chunks(news)))
        usage = [{**reply.head, "choices": [], "usage": job.usage}] if self.with_usage else []
        await say(*usage, "[DONE]", last=True)


dumps = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))


async def until_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T | None:
    """What the work returns; None, the work cancelled, when the client hangs up before."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    working, watching = asyncio.create_task(work), asyncio.create_task(gone())
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


def unknown(name: str, *known: str) -> Refused:
    return Refused(
        404,
        f"There is no model {name[:200]!r} here; there is {' and '.join(known)}.",
        "model_not_found",
        "model",
    )


def failure(reason: str, job: Job) -> Refused:
    if fault := next((told.fault for told in job.told if told.fault), ""):
        return Refused(400, f"The answer can't be held to its form any further: {fault}.", "form_too_complex")
    if reason == "cancelled":
        return Refused(503, "The server was stopped before the answer was complete.", "shutting_down")
    return Refused(500, "The engine failed at this request; its log says more.", "engine_failed")


def draining() -> Refused:
    return Refused(503, "The server is being stopped.", "shutting_down", headers={"Retry-After": "5"})
