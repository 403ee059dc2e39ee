"""Learners who were made up, to see what a diagnostic finds out about them.

They follow another model than the one that judges them (practice/belief.py): a section is mastered or it is
not. Chapters were studied or were not, more of them by better learners; in a studied one a section is
mastered with the depth of that study, and hardly ever without what it rests on. Each criterion of an answer
is then met with a chance that hangs on mastery and level, and a grader gets one in ten of them wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from handbook.practice.diagnostic import LEVELS, Diagnostic, Result
from handbook.records import Level

if TYPE_CHECKING:
    from handbook.practice.graph import Graph
    from handbook.records import Question

MET = {True: (0.95, 0.88, 0.8, 0.72), False: (0.3, 0.2, 0.12, 0.08)}  # by mastery, by level
WITHOUT = 0.2  # how much of its chance a section has whose prerequisites are missing
WRONG = 0.1  # verdicts that the grader turns round
SKIPS = 0.05  # questions that are left out


@dataclass(frozen=True)
class Learner:
    """mastered: sections."""

    mastered: frozenset[str]
    graph: Graph
    seed: int

    def met(self, question: Question) -> float:
        """Chance of meeting a criterion."""
        known = self.graph.places[question.id] in self.mastered
        return MET[known][LEVELS.index(question.level)]

    def answers(self, question: Question) -> float | None:
        """The score that a grader gives; None for one that is left out."""
        random = Random(f"{self.seed}/{question.id}")
        if random.random() < SKIPS:
            return None
        chance = self.met(question)
        verdicts = [
            (random.random() < chance) != (random.random() < WRONG) for _ in range(len(question.criteria))
        ]
        total = sum(each.weight for each in question.criteria)
        met = sum(each.weight for each, yes in zip(question.criteria, verdicts, strict=True) if yes)
        return met / total

    def expected(self, area: str, level: Level) -> float:
        """Share of the rubric that answers at that level would meet, over the area's questions."""
        sections = [(each.id in self.mastered, len(each.questions)) for each in self.graph.in_area(area)]
        total = sum(count for _, count in sections)
        return sum(MET[known][LEVELS.index(level)] * count for known, count in sections) / total


def learner(graph: Graph, seed: int) -> Learner:
    random = Random(seed)
    ability = random.uniform(0.05, 0.95)
    depth = {
        chapter: random.uniform(0.6, 1.0) if random.random() < ability else random.uniform(0.0, 0.25)
        for chapter in graph.chapters
    }
    mastered: set[str] = set()
    for id in graph.in_order(graph.concepts):
        concept = graph.concepts[id]
        chance = depth[concept.chapter]
        if any(other not in mastered for other in concept.needs):
            chance *= WITHOUT
        if random.random() < chance:
            mastered.add(id)
    return Learner(frozenset(mastered), graph, seed)


def examined(someone: Learner, diagnostic: Diagnostic, pace: float = 1.0) -> Result:
    """Put a learner through a diagnostic. pace: how much slower than expected they are."""
    from handbook.practice.diagnostic import minutes

    random = Random(someone.seed)
    while (question := diagnostic.next()) is not None:
        score = someone.answers(question)
        seconds = 60 * minutes(question) * pace * random.uniform(0.6, 1.4)
        diagnostic.answered(question.id, score, 15 if score is None else seconds)
    return diagnostic.result()
