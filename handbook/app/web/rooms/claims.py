"""Claims: measure one on this machine, and say how it stands beside the recorded value."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from handbook.app.web.faults import wants
from handbook.app.web.pages import shelf_of, show
from handbook.app.web.shelf import Shelf
from handbook.app.web.tokens import fields
from handbook.book.claims import Claim
from handbook.errors import HandbookError

router = APIRouter()


def job_name(claim: Claim) -> str:
    return f"claim:{claim.id}"


def standing(shelf: Shelf, claim: Claim, own: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the fragment needs: recorded machine against this one, own measurement, running job."""
    recorded = claim.measured.machine if claim.measured else ""
    row = own.get(claim.id)
    return {
        "claim": claim,
        "elsewhere": bool(recorded) and not same_machine(recorded, shelf.machine.label),
        "here": row,
        "here_text": shown(claim, row) if row else "",
        "holds": claim.holds(float(row["value"])) if row else None,
        "job": shelf.jobs.get(job_name(claim)),
    }


def same_machine(recorded: str, label: str) -> bool:
    """By processor and core count, the first two parts of the label: the software around them changes."""
    return [part.strip() for part in recorded.split(",")][:2] == [part.strip() for part in label.split(",")][
        :2
    ]


def shown(claim: Claim, row: Mapping[str, Any]) -> str:
    from handbook.book.claims import Measured, format

    at = str(row["at"])[:10]
    measured = Measured(row["value"], row["low"], row["high"], row["samples"], True, row["machine"], at, "")
    return format(claim.text, measured)


def measure(shelf: Shelf, claim: Claim) -> None:
    """Run the lab's function for this claim, with its small settings, and keep the result.

    Raises HandbookError where it can't be measured here.
    """
    from handbook.book import modules, verify

    chapter = shelf.book.chapter(claim.chapter)
    if chapter is None or chapter.lab is None:
        raise HandbookError("This chapter has no lab.", "")
    if reason := verify.missing(claim):
        raise HandbookError(f"This claim can't be measured here yet. {reason}", "")
    with shelf.measuring:
        lab = modules.load(chapter.lab, f"handbook_claim_{claim.id.replace('-', '_')}")
        outcome = verify.measure(claim, lab, small=True, compare=False)
    if math.isnan(outcome.value):
        raise HandbookError(f"This claim could not be measured here: {outcome.reason}", "")
    shelf.database.save_measurement(
        claim.id, outcome.value, outcome.low, outcome.high, outcome.samples, shelf.machine.label
    )


def find(shelf: Shelf, id: str) -> Claim:
    claim = shelf.book.claims.get(id)
    if claim is None:
        raise HTTPException(404)
    return claim


def _fragment(request: Request, shelf: Shelf, claim: Claim) -> Response:
    own = shelf.own_measurements()
    return show(request, "fragments/claim.html", standing(shelf, claim, own))


@router.get("/claims/{id}")
def here(request: Request, id: str) -> Response:
    shelf = shelf_of(request)
    return _fragment(request, shelf, find(shelf, id))


@router.post("/claims/{id}")
def begin(request: Request, id: str, form: Annotated[dict[str, str], Depends(fields)]) -> Response:
    shelf = shelf_of(request)
    claim = find(shelf, id)
    shelf.jobs.start(job_name(claim), claim.says, lambda progress: measure(shelf, claim))
    if wants(request) == "fragment":
        return _fragment(request, shelf, claim)
    chapter = shelf.book.chapter(claim.chapter)
    return RedirectResponse(f"{chapter.url if chapter else '/book'}#note-claim-{claim.id}", 303)
