"""The plot that only this lab draws: who sits in which slot when."""

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

from handbook.lab.charts import ACCENT, GREY, framed
from handbook.lab.serving.simulator import Story, to_the_longest, waves
from handbook.lab.serving.streams import Job

Bar = dict[str, Any]


def static_bars(jobs: Sequence[Job], slots: int) -> list[Bar]:
    """One bar for each sequence, and one for what its slot computes after its end, in decode steps."""
    bars, now = [], 0
    for wave in waves(jobs, slots):
        longest = to_the_longest(wave)[0].output
        for slot, job in enumerate(wave, start=1):
            bars.append(bar("static", slot, now, now + job.output, "useful"))
            if job.output < longest:
                bars.append(bar("static", slot, now + job.output, now + longest, "wasted"))
        now += longest
    return bars


def continuous_bars(story: Story) -> list[Bar]:
    """Slots as they become free. story: by a clock that counts steps."""
    bars, busy, fresh = [], list[tuple[float, int]](), 1
    for served in sorted(story.served, key=lambda s: s.times[0]):
        start, end = served.times[0] - 1, served.times[-1]
        if busy and busy[0][0] <= start:
            slot = heappop(busy)[1]
        else:
            slot, fresh = fresh, fresh + 1
        heappush(busy, (end, slot))
        bars.append(bar("continuous", slot, start, end, "useful"))
    return bars


def bar(way: str, slot: int, start: float, end: float, kind: str) -> Bar:
    return {"way": way, "slot": slot, "start": start, "end": end, "kind": kind}


def timeline(bars: Sequence[Bar], slots: int) -> list[Any]:
    """A chart each way, on the same axis of steps, one row a slot."""
    import altair as alt

    last = max(one["end"] for one in bars)
    return [
        framed(_rows(alt, [one for one in bars if one["way"] == way], way, last), max(70, 9 * slots))
        for way in ("static", "continuous")
    ]


def _rows(alt: Any, bars: Sequence[Bar], way: str, last: float) -> Any:
    first = way == "static"
    colour = alt.Color(
        "kind:N",
        title=None,
        scale=alt.Scale(domain=["useful", "wasted"], range=[ACCENT, GREY]),
        legend=alt.Legend(orient="top") if first else None,
    )
    title = None if first else "step"
    return (
        alt.Chart(alt.Data(values=list(bars)), title=alt.Title(way, anchor="start"))
        .mark_bar(stroke="white", strokeWidth=0.5, strokeOpacity=0.6)
        .encode(
            x=alt.X("start:Q", title=title, scale=alt.Scale(domain=[0, last], nice=False)),
            x2="end:Q",
            y=alt.Y("slot:O", title="slot", axis=alt.Axis(labels=False, ticks=False)),
            color=colour,
            opacity=alt.condition("datum.kind == 'useful'", alt.value(1.0), alt.value(0.4)),
            tooltip=[
                alt.Tooltip("slot:O"),
                alt.Tooltip("start:Q", title="from step"),
                alt.Tooltip("end:Q", title="to step"),
                alt.Tooltip("kind:N", title="slot-steps"),
            ],
        )
    )
