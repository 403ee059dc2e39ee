"""The rooms, one module each: a router, and little else."""

from types import ModuleType

from handbook.app.web.rooms import (
    about,
    ask,
    chapter,
    claims,
    code,
    contents,
    engine,
    exercise,
    lab,
    live,
    progress,
    questions,
    reading,
    references,
    search,
    signals,
    today,
    token,
    training,
    zoo,
)

ROOMS: tuple[ModuleType, ...] = (
    today,
    contents,
    lab,
    questions,
    chapter,
    exercise,
    ask,
    engine,
    live,
    training,
    code,
    references,
    zoo,
    search,
    signals,
    progress,
    about,
    reading,
    claims,
    token,
)
