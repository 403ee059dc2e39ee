"""One step of a trace as HTML: every page of the cache as a cell, who runs and who waits, tokens a second.

    header, steps = run(SCENARIOS["mixed"], Knobs(page=8))
    html = f"<style>{style()}</style>" + frame(header, steps[20], rates(steps))

A cell carries the letter of the sequence that holds it, a number where several share it, a pattern where
it is cached: colour alone says nothing. The same drawing serves the app's page and the chapter's lab.
No scripts, no style attributes, everything escaped: request ids may come from anybody's file.

Book: inference-ops/llm-serving-optimization
"""

from collections.abc import Iterator, Sequence
from functools import cache
from html import escape
from itertools import accumulate
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase

from handbook.engine.trace import Cell, Header, Part, Step, Text, cells

LETTERS = ascii_uppercase + ascii_lowercase
HUES = 8
MOST_CELLS = 2048
LARGE = 128  # so many pages, or fewer, are drawn larger
POINTS = 300  # of a line of speeds
SPAN = 8  # steps that a speed is taken over
WIDTH, HEIGHT = 640, 64
LEGEND = (
    '<span class="legend"><span><b class="h0 q4">A</b> held by A</span> '
    '<span><b class="h0 q2">A</b> half filled</span> <span><b class="shared">2</b> shared by two</span> '
    '<span><b class="cached"></b> cached</span> <span><b></b> free</span></span>'
)
REASONS = {
    "stop": "said a stop",
    "length": "reached its length",
    "cancelled": "was cancelled",
    "deadline": "passed its deadline",
    "error": "failed",
}


@cache
def style() -> str:
    """The rules that `frame` is drawn with; colours follow light and dark."""
    return Path(__file__).with_name("view.css").read_text(encoding="utf-8")


def letter(sequence: int) -> str:
    """A sequence's letter; they come round again."""
    return LETTERS[sequence % len(LETTERS)]


def rates(given: Sequence[int], seconds: Sequence[float]) -> list[float]:
    """Tokens said a second, at each step over it and those just before."""
    said, time = [0, *accumulate(given)], [0.0, *accumulate(seconds)]
    found = []
    for at in range(1, len(said)):
        low = max(0, at - SPAN)
        span = time[at] - time[low]
        found.append((said[at] - said[low]) / span if span > 0 else 0.0)
    return found


def rates_of(steps: Sequence[Step]) -> list[float]:
    """The same of steps."""
    return rates([step.given for step in steps], [step.seconds for step in steps])


def frame(header: Header, step: Step, speeds: Sequence[float] = (), at: int | None = None) -> str:
    """Everything about a step. speeds: of all steps that are known; at: which of them this one is, the last
    when not given."""
    line = sparkline(speeds, len(speeds) - 1 if at is None else at) if speeds else ""
    return (
        f'<div class="trace">{_now(step)}{block_map(header, step)}{line}{_remarks(step)}{table(step)}</div>'
    )


def _now(step: Step) -> str:
    computed = _counted(step.tokens, "token") + " computed"
    return (
        f'<p class="trace-now"><span>at {step.at:.3f} s</span> <span>took {step.seconds * 1e3:.1f} ms</span> '
        f"<span>{computed}</span> <span>{step.given} said</span></p>"
    )


def block_map(header: Header, step: Step) -> str:
    """The cache's pages in their order, as a figure with its legend."""
    found = cells(header, step)
    count = {
        state: sum(cell.state == state for cell in found) for state in ("held", "shared", "cached", "free")
    }
    says = ", ".join(f"{number} {state}" for state, number in count.items())
    drawn = "".join(_cell(page, cell, header, step) for page, cell in enumerate(found[:MOST_CELLS]))
    large = " large" if len(found) <= LARGE else ""
    more = f" The first {MOST_CELLS:,} are drawn." if len(found) > MOST_CELLS else ""
    places = sum(cell.filled for cell in found if cell.owners)
    room = (count["held"] + count["shared"]) * header.page
    waste = f" {1 - places / room:.0%} of the room held is empty." if room else ""
    caption = f"{_counted(len(found), 'page')} of {header.page} positions: {says}.{waste}{more}"
    return (
        f'<figure class="trace-map"><div class="cells{large}" role="img" '
        f'aria-label="Block map: {len(found)} pages, {says}">{drawn}</div>'
        f"<figcaption>{caption} {LEGEND}</figcaption></figure>"
    )


def _cell(page: int, cell: Cell, header: Header, step: Step) -> str:
    if cell.state == "free":
        return "<b></b>"
    if cell.state == "cached":
        return f'<b class="cached" title="page {page}: cached, held by nobody"></b>'
    who = escape(", ".join(step.texts[number].request for number in cell.owners[:4])[:200])
    filled = f"{cell.filled} of {header.page} positions"
    if cell.state == "shared":
        return f'<b class="shared" title="page {page}: {who}; {filled}">{min(len(cell.owners), 99)}</b>'
    quarter = -(-4 * cell.filled // header.page)
    owner = cell.owners[0]
    return f'<b class="h{owner % HUES} q{quarter}" title="page {page}: {who}; {filled}">{letter(owner)}</b>'


def _remarks(step: Step) -> str:
    """A line that is always there, so that nothing jumps."""
    return f'<p class="trace-said">{" ".join(happened(step)) or "Nothing else happened."}</p>'


def happened(step: Step) -> Iterator[str]:
    """What was out of the ordinary, in sentences."""
    if step.preempted:
        yield f"{_letters(step.preempted)} had to make room."
    if step.out:
        yield f"{_counted(step.out, 'page')} moved out."
    if step.back:
        yield f"{_counted(step.back, 'page')} moved back."
    for copy in step.copies[:8]:
        yield f"Page {copy.source} copied to {copy.target} before it is written."
    if step.reused:
        yield f"{_counted(step.reused, 'token')} found in the cache."
    if step.evicted:
        yield f"{_counted(step.evicted, 'cached page')} given up."
    for each in step.ended[:8]:
        yield f"{letter(each.sequence)} {REASONS[each.reason]}."


def table(step: Step) -> str:
    """Who runs, waits, is swapped out, and who ended: the picture in words."""
    parts = {part.sequence: part for part in step.parts}
    texts, swapped = step.texts, step.swapped
    waiting = [number for number in step.waiting if texts[number].state == "waiting"]
    count = step.waiting_count - len(swapped)
    ended = [each.sequence for each in step.ended if each.sequence in texts]
    groups = (
        ("Running", len(step.running), step.running),
        ("Waiting", count, waiting),
        ("Swapped out", len(swapped), swapped),
        ("Ended", len(step.ended), ended),
    )
    body = "".join(
        f'<tbody><tr class="group"><th colspan="5" scope="rowgroup">{title} <span>{number}</span></th></tr>'
        + "".join(_row(texts[one], parts.get(one), step) for one in members)
        + "</tbody>"
        for title, number, members in groups
    )
    return (
        '<div class="trace-table" tabindex="0" role="region" aria-label="Requests"><table><thead><tr>'
        '<th scope="col">Request</th><th scope="col">This step</th>'
        '<th scope="col" class="right">Computed</th><th scope="col" class="right">Said</th>'
        f'<th scope="col">Pages</th></tr></thead>{body}</table></div>'
    )


def _row(text: Text, part: Part | None, step: Step) -> str:
    mark = f'<b class="h{text.sequence % HUES} q4">{letter(text.sequence)}</b>'
    name = escape(text.request[:60]) + (f" <small>{text.sample + 1}</small>" if text.sample else "")
    again = (
        f' <small title="times that it made room">made room: {text.preempted}</small>'
        if text.preempted
        else ""
    )
    said = max(0, text.tokens - text.prompt)
    return (
        f'<tr><th scope="row">{mark} {name}{again}</th><td>{what_it_did(text, part, step)}</td>'
        f'<td class="right">{text.computed} of {text.tokens}</td><td class="right">{said} of {text.most}</td>'
        f'<td class="pages">{pages(text.pages)}</td></tr>'
    )


def what_it_did(text: Text, part: Part | None, step: Step) -> str:
    """What a step was for one sequence."""
    if part is None:
        return "makes room" if text.sequence in step.preempted else "" if text.state == "ended" else "waits"
    if part.kind == "prefill":
        end = part.start + part.tokens
        says = f", says {part.given}" if part.given else ""
        return f"reads {part.start}–{end - 1} ({_counted(part.tokens, 'token')}){says}"  # noqa: RUF001
    guessed = f", {part.accepted} of {part.drafts} guesses right" if part.drafts else ""
    return f"says {part.given}{guessed}"


def pages(numbers: Sequence[int]) -> str:
    """3, 4, 5, 9 as `3–5, 9`, the first runs."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = [f"{low}–{high}" if high > low else str(low) for low, high in runs[:8]]  # noqa: RUF001
    return ", ".join(shown) + (", …" if len(runs) > 8 else "")


def sparkline(speeds: Sequence[float], at: int) -> str:
    """Tokens a second over the steps, with a mark where `at` stands."""
    group = -(-len(speeds) // POINTS)
    points = [max(speeds[low : low + group]) for low in range(0, len(speeds), group)]
    top, last = max(points) or 1.0, max(1, len(points) - 1)
    line = " ".join(
        f"{WIDTH * n / last:.0f},{HEIGHT - 2 - (HEIGHT - 6) * value / top:.0f}"
        for n, value in enumerate(points)
    )
    x = round(WIDTH * (at // group) / last)
    now = speeds[at]
    return (
        f'<figure class="trace-speed"><svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" '
        f'role="img" aria-label="Tokens a second: {now:,.0f} at this step, {max(speeds):,.0f} at most">'
        f'<polyline points="{line}"/><line x1="{x}" x2="{x}" y1="0" y2="{HEIGHT}"/></svg>'
        f"<figcaption><strong>{now:,.0f}</strong> tokens a second, at most {max(speeds):,.0f}</figcaption>"
        "</figure>"
    )


def _letters(sequences: Sequence[int]) -> str:
    return ", ".join(letter(number) for number in sequences[:12])


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
