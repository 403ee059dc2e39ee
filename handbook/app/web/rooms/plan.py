"""Plan: from a few answers to every day until the interview; moved, spread anew, taken back, exported."""

import json
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from handbook.app.web import studying
from handbook.app.web.pages import shelf_of, show
from handbook.app.web.shelf import Shelf
from handbook.app.web.tokens import fields
from handbook.errors import PlanError
from handbook.practice.plan import ROLES

if TYPE_CHECKING:
    from handbook.practice.study import Study

router = APIRouter()
Form = Annotated[dict[str, str], Depends(fields)]
HISTORY = 12  # changes that are listed
BEGUN = "Your plan stands."
TAKEN = "Taken back: {}."
NOTHING = "There is nothing to take back."


@router.get("/plan")
def page(request: Request, done: str = "", why: str = "") -> Response:
    shelf = shelf_of(request)
    said = {"began": BEGUN, "undone": TAKEN.format(why[:200]) if why else NOTHING, "imported": "Imported."}
    return _page(request, shelf, said=said.get(done, ""), begun=done == "began")


def _page(
    request: Request,
    shelf: Shelf,
    *,
    said: str = "",
    notes: tuple[str, ...] = (),
    fault: PlanError | None = None,
    form: dict[str, str] | None = None,
    begun: bool = False,
) -> Response:
    """form: what was typed, where it can't be used as it is; fault: why."""
    values: dict[str, Any] = {
        "said": said,
        "notes": notes,
        "fault": fault,
        "begun": begun,
        "book": shelf.book,
        "roles": ROLES,
        "levels": studying.LEVELS,
        "weekdays": studying.WEEKDAYS,
        "plan": None,
        **shelf.studied(_values, {"tracks": (), "first": "", "known": None, "history": ()}),
    }
    values["typed"] = form if form is not None else _typed(values["plan"])
    return show(request, "plan.html", values, status=400 if fault else 200)


def _values(study: "Study") -> dict[str, Any]:
    graph, plan, day = study.graph, study.plan(), study.day()
    tracks = [
        (id, graph.track_titles[id], [title for title, _ in steps]) for id, steps in graph.tracks.items()
    ]
    values: dict[str, Any] = {
        "tracks": tracks,
        "first": day.isoformat(),
        "known": study.rows.last_diagnostic(),
        "history": study.history()[:HISTORY],
    }
    calendar = study.calendar() if plan is not None else None
    if plan is None or calendar is None:
        return values
    left = calendar.material
    return values | {
        "plan": plan,
        "day": day,
        "countdown": studying.countdown(plan.date, day),
        "weeks": studying.weeks(calendar, plan, graph),
        "calendar_notes": calendar.notes,
        "left_out": studying.by_chapter(left.left_out, graph),
        "left_count": len(left.left_out),
        "solid": studying.by_chapter(left.known, graph),
        "unwritten": [graph.titles[slug] for slug in left.unwritten],
        "track_title": graph.track_titles.get(plan.track, plan.track),
    }


def _typed(plan: Any) -> dict[str, str]:
    """A plan as the fields of its form; what the form proposes while there is none."""
    if plan is None:
        return {"hours": "6", "level": "lead", "role": "lead", **{f"day-{n}": "1" for n in range(7)}}
    return {
        "date": plan.date.isoformat() if plan.date else "",
        "hours": f"{plan.hours:g}",
        "level": plan.level,
        "role": plan.role,
        "track": plan.track,
        **{f"day-{n}": "1" for n in plan.days},
    }


@router.post("/plan")
def make(request: Request, form: Form) -> Response:
    """Begin a plan, or change the one that holds; what can't be used is said beside what was typed."""
    shelf = shelf_of(request)
    study = shelf.study
    try:
        given = studying.answers(form)
        if study.plan() is None:
            study.start(**given)
            return RedirectResponse("/plan?done=began", 303)
        if not given["track"]:
            del given["track"]
        notes = study.change(**given).notes
    except PlanError as error:
        return _page(request, shelf, fault=error, form=form)
    return _changed(request, shelf, notes)


@router.post("/plan/date")
def move(request: Request, form: Form) -> Response:
    """Another date of the interview, or none yet."""
    shelf = shelf_of(request)
    try:
        notes = shelf.study.change(date=studying.date_of(form.get("date", ""))).notes
    except PlanError as error:
        return _page(request, shelf, fault=error)
    return _changed(request, shelf, notes)


@router.post("/plan/away")
def away(request: Request, form: Form) -> Response:
    """Days without time, gone or to come."""
    shelf = shelf_of(request)
    try:
        first = studying.date_of(form.get("first", ""), "first day")
        last = studying.date_of(form.get("last", ""), "last day") or first
        if first is None or last is None:
            raise PlanError("Expected the first day without time.", "Choose one.")
        notes = shelf.study.away(first, last).notes
    except PlanError as error:
        return _page(request, shelf, fault=error)
    return _changed(request, shelf, notes)


def _changed(request: Request, shelf: Shelf, notes: tuple[str, ...]) -> Response:
    """The page after a change, with what the change means. It is the answer to the form itself, since that
    can't be told from the plan later."""
    return _page(request, shelf, said="Changed." if notes != ("Nothing changed.",) else "", notes=notes)


@router.post("/plan/undo")
def undo(request: Request, form: Form) -> Response:
    from urllib.parse import urlencode

    why = shelf_of(request).study.undo() or ""
    return RedirectResponse(f"/plan?{urlencode({'done': 'undone', 'why': why})}", 303)


@router.post("/plan/take-in")
def take_in(request: Request, form: Form) -> Response:
    """The plan with what the last diagnostic found."""
    shelf = shelf_of(request)
    shelf.study.take_in()
    return _page(request, shelf, said="The plan knows the diagnostic now.")


@router.get("/plan/export")
def export(request: Request) -> Response:
    study = shelf_of(request).study
    name = f"handbook-plan-{study.day().isoformat()}.json"
    return Response(
        json.dumps(study.export(), ensure_ascii=False, indent=1),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


@router.post("/plan/import")
def import_(request: Request, form: Form) -> Response:
    shelf = shelf_of(request)
    try:
        try:
            values = json.loads(form.get("file", ""))
        except (ValueError, RecursionError) as error:  # RecursionError: brackets in brackets in brackets
            raise PlanError(
                "Expected a file that the export of a plan wrote, got something that is not JSON.",
                "Choose another file. Nothing was imported.",
            ) from error
        shelf.study.import_(values)
    except PlanError as error:
        return _page(request, shelf, fault=error)
    return RedirectResponse("/plan?done=imported", 303)
