"""A trace in the terminal: each page of the cache as a coloured cell with its letter, and the queues."""

import time
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text as Line

from handbook.engine.trace import Cell, Header, Part, Step, Text, cells
from handbook.engine.tracefile import Trace
from handbook.lab.serving.view import happened, letter, pages, rates, what_it_did

COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "red", "bright_cyan", "bright_yellow")
ROWS = 16  # of those that wait, and of those that run
BARS = "▁▂▃▄▅▆▇█"
MOST_CELLS = 4096


def show(trace: Trace, index: int) -> None:
    """One step, printed."""
    Console().print(drawn(trace, index, _speeds(trace)))


def play(trace: Trace, speed: float) -> None:
    """All steps, one after the other, in place; the last one alone where nothing can be drawn in place."""
    console, speeds = Console(), _speeds(trace)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            for index in range(len(trace)):
                live.update(drawn(trace, index, speeds), refresh=True)
                time.sleep(1 / speed)
    console.print(drawn(trace, len(trace) - 1, speeds))


def _speeds(trace: Trace) -> list[float]:
    return rates(trace.given, trace.seconds)


def drawn(trace: Trace, index: int, speeds: Sequence[float]) -> Group:
    step, header = trace[index], trace.header
    title = Line(f"{clean(header.model)}: step {index + 1} of {len(trace)}", style="bold")
    clock = " (made up)" if header.clock == "simulated" else ""
    times = f"at {step.at:.3f} s, took {step.seconds * 1e3:.1f} ms{clock}; "
    work = f"{step.tokens} tokens computed, {step.given} said"
    said = Line(" ".join(happened(step)))
    return Group(title, Line(times + work), _line(speeds, index), _map(header, step), _table(step), said)


def _line(speeds: Sequence[float], index: int) -> Line:
    """Tokens a second so far."""
    top = max(speeds) or 1.0
    recent = speeds[max(0, index - 59) : index + 1]
    bars = "".join(BARS[min(7, int(8 * value / top))] for value in recent)
    return Line(f"{bars} {speeds[index]:,.0f} tokens a second, at most {max(speeds):,.0f}")


def _map(header: Header, step: Step) -> Group:
    found = cells(header, step)
    line = Line()
    for cell in found[:MOST_CELLS]:
        line.append(*_cell(cell, header.page))
    states = [cell.state for cell in found]
    count = ", ".join(f"{states.count(state)} {state}" for state in ("held", "shared", "cached", "free"))
    more = f"; the first {MOST_CELLS:,} are drawn" if len(found) > MOST_CELLS else ""
    legend = "a letter: its text, small ~: half empty; a number: shared by so many; ░ cached; · free"
    return Group(
        line, Line(f"{len(found)} pages of {header.page} positions: {count}{more} ({legend})", "dim")
    )


def _cell(cell: Cell, size: int) -> tuple[str, str]:
    """Two characters, and how they are coloured."""
    if cell.state == "free":
        return "· ", "dim"
    if cell.state == "cached":
        return "░░", "dim"
    if cell.state == "shared":
        return f"{min(len(cell.owners), 99):<2}", "reverse"
    owner = cell.owners[0]
    return letter(owner) + (
        "~" if cell.filled <= size // 2 else " "
    ), f"black on {COLOURS[owner % len(COLOURS)]}"


def _table(step: Step) -> Table:
    table = Table(box=None, pad_edge=False)
    for name, side in (("", "left"), ("request", "left"), ("this step", "left"), ("computed", "right")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    table.add_column("said", justify="right")
    table.add_column("pages")
    parts = {part.sequence: part for part in step.parts}
    swapped = step.swapped
    waiting = [number for number in step.waiting if number not in swapped]
    for title, count, members in (
        ("Running", len(step.running), step.running),
        ("Waiting", step.waiting_count - len(swapped), waiting),
        ("Swapped out", len(swapped), swapped),
        ("Ended", len(step.ended), [one.sequence for one in step.ended if one.sequence in step.texts]),
    ):
        table.add_row("", Line(f"{title} {count}", "bold"))
        for number in members[:ROWS]:
            table.add_row(*_row(step.texts[number], parts.get(number), step))
        if len(members) > ROWS:
            table.add_row("", Line(f"and {len(members) - ROWS} more", "dim"))
    return table


def _row(text: Text, part: Part | None, step: Step) -> tuple[str | Line, ...]:
    sample = f" {text.sample + 1}" if text.sample else ""
    return (
        Line(letter(text.sequence), f"black on {COLOURS[text.sequence % len(COLOURS)]}"),
        Line(clean(text.request) + sample),
        what_it_did(text, part, step),
        f"{text.computed} of {text.tokens}",
        f"{max(0, text.tokens - text.prompt)} of {text.most}",
        pages(text.pages),
    )


def clean(name: str) -> str:
    """A name out of a file, without what a terminal would act on."""
    return "".join(each if each.isprintable() else "?" for each in name[:60])
