"""Margin notes: what stands behind a measured claim or a citation."""

from __future__ import annotations

from html import escape
from urllib.parse import urlsplit

from handbook.book.claims import Claim, Measured
from handbook.book.references import Reference


def number(value: float) -> str:
    """Up to four significant digits; whole numbers in full."""
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.4g}"


def interval(measured: Measured) -> str:
    if measured.samples == 1 or measured.low == measured.high:
        return number(measured.value)
    low, high = number(measured.low), number(measured.high)
    return f"{number(measured.value)} (median of {measured.samples}; {low} to {high})"


def repeat(claim: Claim) -> str:
    """What a reader runs. The recorded command also writes, which is for those who keep the book."""
    return f"handbook verify {claim.chapter}"


def claim_note(claim: Claim) -> str:
    """The aside of a claim. data-machine lets a page say that the reader's machine is another one."""
    rows = []
    measured = claim.measured
    if measured:
        unit = "" if claim.unit in ("ratio", "") else f" {escape(claim.unit)}"
        size = " with small settings" if measured.small else ""
        rows += [
            ("Measured", f"{interval(measured)}{unit}{size}"),
            (
                "Must hold",
                f"<code>{escape(claim.bound)}</code>" + (", and repeats exactly" if claim.exact else ""),
            ),
            ("Machine", escape(measured.machine)),
            ("Date", f'<time datetime="{escape(measured.date)}">{escape(measured.date)}</time>'),
            ("Repeat", f"<code>{escape(repeat(claim))}</code>"),
        ]
    else:
        rows += [("Measured", "not yet"), ("Must hold", f"<code>{escape(claim.bound)}</code>")]
    rows.append(("Lab", f'<a href="/book/{claim.chapter}/lab">{escape(claim.lab)}</a>'))
    machine = f' data-machine="{escape(measured.machine)}"' if measured else ""
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)
    return (
        f'<aside class="note claim-note" id="note-claim-{claim.id}" data-claim="{claim.id}"{machine} '
        f'aria-label="What was measured"><p>{escape(claim.says)}</p><dl>{listed}</dl></aside>\n'
    )


def people(names: tuple[str, ...]) -> str:
    if len(names) > 4 or names[-1:] == ("et al.",):
        return f"{names[0]} et al."
    return ", ".join(names)


def describe(reference: Reference) -> str:
    """One line of HTML: who, what, where, when, and where to read it."""
    stop = "" if reference.title.endswith(("?", "!")) else "."
    place = ", ".join(filter(None, (escape(reference.venue), escape(reference.year))))
    who = escape(people(reference.authors)).rstrip(".")
    text = f"{who}. <cite>{escape(reference.title)}</cite>{stop} {place}."
    if reference.url and reference.url.startswith(("https://", "http://")):
        host = urlsplit(reference.url).netloc.removeprefix("www.")
        url = escape(reference.url)
        text += f' <a class="external" href="{url}" rel="noopener noreferrer">{escape(host)}</a>'
    return text


def cite_note(reference: Reference) -> str:
    key = escape(reference.key)
    return (
        f'<aside class="note cite-note" id="note-cite-{key}" aria-label="Source"><p>{describe(reference)} '
        f'<a href="/references#{key}">In the list of sources</a></p></aside>\n'
    )
