"""Reports of the judge as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from handbook.app.cli.output import shown

if TYPE_CHECKING:
    from handbook.practice.custom import Tried
    from handbook.practice.verdicts import Difference, Growth, Incident, Isolation, Report, Verdict

WORDS = {"passed": "pass", "failed": "FAIL", "error": "FAIL", "not_run": "----"}
PRINTED = 12  # lines of output that are shown
WIDE = 160  # characters of a line


def _indented(text: str, by: str) -> Iterator[str]:
    lines = text.rstrip("\n").split("\n")
    for line in lines[:PRINTED]:
        yield f"{by}{shown(line[:WIDE])}{'...' if len(line) > WIDE else ''}"
    if len(lines) > PRINTED:
        yield f"{by}... {len(lines) - PRINTED} lines more"


def _difference(difference: Difference, message: str) -> Iterator[str]:
    """What the message does not say already."""
    for word, value in (("expected", difference.expected), ("got", difference.got)):
        if value and value not in message:
            first, *rest = _indented(value, "")
            yield f"        {word:<10}{first}"
            yield from (f"{'':<18}{line}" for line in rest)
    if difference.expected_shape is not None and difference.expected_shape != difference.got_shape:
        yield f"        {'shape':<10}expected {difference.expected_shape}, got {difference.got_shape}"
    if difference.expected_dtype != difference.got_dtype:
        yield f"        {'dtype':<10}expected {difference.expected_dtype}, got {difference.got_dtype}"
    if difference.first is not None:
        at = f"at {list(difference.first)}: expected {difference.first_expected}, got {difference.first_got}"
        yield f"        {'first':<10}{shown(at)}"
    if difference.of > 1:
        worst = "" if difference.worst is None else f", by at most {difference.worst:.3g}"
        yield f"        {'differ':<10}{difference.differing} of {difference.of}{worst}"
    for word, value in (("tolerance", difference.tolerance), ("peer", difference.peer)):
        if value:
            yield f"        {word:<10}{shown(value)}"


def _verdict(verdict: Verdict) -> Iterator[str]:
    times = f"{verdict.wall * 1000:.1f} ms" if verdict.state != "not_run" else ""
    hidden = " (hidden)" if verdict.hidden else ""
    yield f"{WORDS[verdict.state]}  {shown(verdict.name)}{hidden}  {times}".rstrip()
    if verdict.passed or verdict.state == "not_run":
        return
    if verdict.says:
        yield f"      {shown(verdict.says)}"
    yield from _indented(verdict.message, "      ")
    if verdict.difference is not None:
        yield from _difference(verdict.difference, verdict.message)
    if verdict.output:
        yield "      printed:"
        yield from _indented(verdict.output, "        ")


def growth_line(growth: Growth) -> str:
    """One line: what the times look like, beside what was asked for."""
    slope = "" if growth.exponent is None else f", exponent {growth.exponent:.2f}"
    if growth.exponent is not None and growth.low is not None and growth.high is not None:
        slope += f" ({growth.low:.2f} to {growth.high:.2f})"
    meets = {True: "as asked", False: "MORE than asked", None: "not to be told"}[growth.meets]
    looks = growth.looks_like or "not measured"
    return f"growth: {looks}{slope}; asked for {growth.expected}: {meets}. {shown(growth.note)}".rstrip()


def isolation_lines(isolation: Isolation) -> Iterator[str]:
    yield f"isolation: {isolation.name} ({', '.join(isolation.layers)})"
    if isolation.open:
        yield f"not contained: {'; '.join(isolation.open)}"


def incident_lines(incidents: tuple[Incident, ...]) -> Iterator[str]:
    for incident in incidents:
        yield f"contained: {incident.kind}: {shown(incident.what)}"


def report_lines(report: Report) -> Iterator[str]:
    """Everything, verdicts first."""
    if report.broken:
        yield from _indented(report.broken, "")
        yield f"None of {len(report.verdicts)} tests ran."
    else:
        for verdict in report.verdicts:
            yield from _verdict(verdict)
    yield from incident_lines(report.incidents)
    if report.growth is not None:
        yield growth_line(report.growth)
    yield from isolation_lines(report.isolation)
    if not report.broken:
        passed = sum(verdict.passed for verdict in report.verdicts)
        used = f"{report.wall:.2f} s, {report.cpu:.2f} s of processor time, {report.memory / 2**20:.0f} MiB"
        yield f"{passed} of {len(report.verdicts)} passed. {used}."


def tried_lines(tried: Tried) -> Iterator[str]:
    """A snippet's result, and the reference's beside it."""
    if tried.output:
        yield "printed:"
        yield from _indented(tried.output, "  ")
    yield from _indented(
        tried.error or tried.value or "no value", "yours:     " if not tried.error else "error:     "
    )
    if tried.reference_value or tried.reference_error:
        yield from _indented(tried.reference_error or tried.reference_value, "reference: ")
    yield from incident_lines(tried.incidents)


def echo(lines: Iterator[str]) -> None:
    for line in lines:
        click.echo(line)
