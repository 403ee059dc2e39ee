"""Training runs: their curves, drawn as they grow."""

import asyncio
import time
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

from handbook.app.panels import panel
from handbook.app.web.events import encode
from handbook.app.web.pages import environment, shelf_of, show
from handbook.app.web.trainings import Training, Trainings
from handbook.book.svg import inline

router = APIRouter()
LOOK = 0.4  # seconds between looks at the files while somebody follows them
LASTS = 0.8  # seconds of a stream; the browser comes back, and stopping the handbook waits no longer
STARTS = (
    ("handbook train sft --data examples.jsonl --lora r=16", "answers as in your examples"),
    ("handbook train dpo --data pairs.jsonl --lora r=16", "prefers what your pairs prefer"),
    ("handbook train tiny", "small models from nothing, about four minutes"),
)
STATES = {
    "running": "runs now",
    "done": "done",
    "stopped": "stopped; the same command goes on",
    "failed": "broke off",
    "killed": "was ended from outside; the same command goes on from its last checkpoint",
    "unknown": "",
}
TITLES = {  # of what metrics.jsonl tells beside the loss; others go by their name
    "rate": ("Learning rate", ""),
    "tokens_per_second": ("Speed", "tokens/s"),
    "norm": ("Gradient norm, before clipping", ""),
    "reward": ("Reward", ""),
    "right": ("Right answers", "share"),
    "total": ("Loss", ""),
    "policy": ("Loss of the policy", ""),
    "value": ("Loss of the values", ""),
    "entropy": ("Entropy of a token", "nats"),
    "clipped": ("Tokens whose gradient is clipped", "share"),
    "accuracy": ("Pairs ranked rightly", "share"),
    "margin": ("Margin of chosen over rejected", "nats"),
    "kl": ("Distance from the reference (KL)", "nats"),
    "text": ("Loss of the text alone", "nats per token"),
    "odds": ("Loss of the odds ratio", "nats"),
    "chosen": ("Chosen answers, log of policy over reference", "nats"),
    "rejected": ("Rejected answers, log of policy over reference", "nats"),
    "length": ("Length of answers", "tokens"),
}
LAST = ("rate", "norm", "tokens_per_second")
HIDDEN = {"seconds", "tokens"}


def runs_of(request: Request) -> list[Training]:
    """The runs, newest first; those that go on before all others."""
    trainings = getattr(request.app.state, "trainings", None)
    if trainings is None:
        trainings = request.app.state.trainings = Trainings(shelf_of(request).settings.data / "train")
    found: list[Training] = trainings.all()
    return found


def chosen(runs: list[Training], name: str | None) -> Training | None:
    """The run of that name, the first where none is asked for. Raises 404 for one that isn't there."""
    if name is None:
        return runs[0] if runs else None
    for run in runs:
        if run.name == name:
            return run
    raise HTTPException(404, f"no training run {name[:80]!r}")


def panels(run: Training) -> list[dict[str, Any]]:
    """The run's plots: first the loss, then what else is told, then rate, norm and speed."""
    metrics = run.metrics
    unit = "nats per character" if run.told("method") is None else "nats per token"
    if run.told("method") not in (None, "sft"):
        unit = "nats"
    plain = [name for name in metrics.series if not name.startswith("held_out")]
    hidden = (
        HIDDEN | {run.main} | ({"text"} if run.told("method") == "sft" else set())
    )  # there it is the loss
    rest = [name for name in plain if name not in hidden and name not in LAST]
    names = [run.main, *rest, *(name for name in LAST if name in plain)]
    drawn = []
    for number, name in enumerate(name for name in names if name in metrics.series):
        title, of = TITLES.get(name, (name.replace("_", " ").capitalize(), ""))
        if name in ("total", "text") and number == 0:
            title, of = "Loss", unit
        beside = metrics.series.get(run.held_out if number == 0 else f"held_out_{name}")
        points, dots = metrics.series[name].points, beside.points if beside else []
        svg = panel(title, of, points, dots, run.steps, small=number > 0, smooth=name != "rate")
        caption = f"plot-{number}-title"
        drawn.append(
            {"title": title, "unit": of, "id": caption, "svg": inline(svg, f"plot-{number}-", caption)}
        )
    return drawn


def mark_of(runs: list[Training]) -> str:
    """Changes whenever a file of a run does."""
    return sha256("|".join(f"{each.name} {each.mark}" for each in runs).encode()).hexdigest()[:16]


def context(runs: list[Training], name: str | None) -> dict[str, Any]:
    """What the page's middle is made of."""
    run = chosen(runs, name)
    return {
        "runs": runs,
        "run": run,
        "asked_run": name,
        "panels": panels(run) if run is not None else [],
        "states": STATES,
        "starts": STARTS,
        "mark": mark_of(runs),
    }


@router.get("/training")
def page(request: Request, run: str | None = None) -> Response:
    shelf = shelf_of(request)
    values = context(runs_of(request), run)
    return show(request, "training.html", {"book": shelf.book, "folder": shelf.settings.data, **values})


@router.get("/training/follow")
async def follow(request: Request, run: str | None = None, mark: str = "") -> Response:
    """The page's middle whenever a file of a run has changed: server-sent events. mark: what the page that
    asks was drawn from; afterwards the browser sends the last one's id."""
    seen = request.headers.get("last-event-id", mark)
    chosen(await asyncio.to_thread(runs_of, request), run)  # its 404 comes before the stream

    async def text() -> AsyncIterator[str]:
        sent = seen
        end = time.monotonic() + LASTS
        yield "retry: 500\n\n"
        while time.monotonic() < end:
            runs = await asyncio.to_thread(runs_of, request)
            if (now := mark_of(runs)) != sent and (run is None or any(each.name == run for each in runs)):
                sent = now
                html = environment.get_template("fragments/training.html").render(context(runs, run))
                yield f"id: {sent}\n{encode('runs', {'html': html})}"
            await asyncio.sleep(LOOK)

    return StreamingResponse(text(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
