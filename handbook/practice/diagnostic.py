"""A diagnostic of twenty minutes: which sections are solid, which shaky, and which nobody can tell yet.

    diagnostic = Diagnostic(graph, seed=7, level="senior")
    while question := diagnostic.next():
        diagnostic.graded(grade, seconds)             # a typed answer, or
        diagnostic.answered(question.id, 0.0, seconds, how="dont-know")
        diagnostic.answered(question.id, None, seconds)   # skipped: says nothing
    diagnostic.result().sections["transformer-deep-dive#rope"].state

The next question is the one whose answer is expected to tell most per minute about sections that are still
undecided (belief.Belief.gains); equal seeds and answers give equal questions. All that is kept is the list
of answers, so a diagnostic is resumed anywhere from `to_dict`.

What a person has not been asked, or left out, is unknown and never bad.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from handbook.errors import PlanError
from handbook.records import Level

if TYPE_CHECKING:
    from handbook.practice.belief import Belief
    from handbook.practice.graph import Graph
    from handbook.records import Grade, Question

State = Literal["solid", "shaky", "unknown"]
How = Literal["graded", "self", "dont-know", "skipped"]

BUDGET = 20.0  # minutes
GRACE = 1.0  # minutes that the last question may run over
MOST = 200  # answers that a diagnostic holds
LEVELS: tuple[Level, ...] = get_args(Level)
DIFFICULTY: dict[Level, float] = {"foundation": -0.7, "senior": 0.0, "lead": 0.6, "architect": 1.1}  # logits
MINUTES: dict[Level, float] = {"foundation": 1.8, "senior": 2.0, "lead": 2.3, "architect": 2.6}
LONGER = {"derive": 0.5, "design": 1.0, "estimate": 0.5, "debug": 0.5}  # minutes more
# Criteria of one answer hang together, so an answer is worth fewer trials than it has criteria; what people
# say of themselves is worth less (self-assessment and performance correlate at about 0.29: Zell and Krizan
# 2014, "Do people have insight into their abilities?", table 1).
STRENGTH: dict[How, float] = {"graded": 4.0, "self": 1.5, "dont-know": 3.0, "skipped": 0.0}
BAR = 0.6  # of a rubric's weight, expected on questions of the person's level: what solid means
SURE = 0.8  # how probable it has to be, to be called solid or shaky
NEAR = 0.5  # correlation beyond which an answer is named as evidence for another section


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer as it is kept. score: share of the rubric's weight, 0 to 1; None: skipped. sure: share of the
    weight on which the grader decided. note: what to show beside it ("4 of 6 criteria")."""

    question: str
    score: float | None
    seconds: float
    how: How = "graded"
    sure: float = 1.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a section stands. low, high: the middle 80 % of the share of a rubric's weight that an answer at
    the person's level would meet. direct: how many answers were to its own questions."""

    state: State
    low: float
    high: float
    evidence: tuple[str, ...]
    direct: int = 0


@dataclass(frozen=True)
class Result:
    """sections: by id, all that are written. asked: questions that were answered. minutes: that it took."""

    sections: Mapping[str, Standing]
    minutes: float
    asked: int
    skipped: int = 0
    level: Level = "senior"

    def those(self, state: State) -> tuple[str, ...]:
        return tuple(id for id, standing in self.sections.items() if standing.state == state)


@dataclass
class Diagnostic:
    """Questions one after the other; see the module. budget: minutes. focus: area -> how much it matters
    (1 where it is not named)."""

    graph: Graph
    seed: int = 0
    level: Level = "senior"
    budget: float = BUDGET
    focus: Mapping[str, float] = field(default_factory=dict)
    answers: list[Answered] = field(default_factory=list)
    edges: bool = True  # False: chapters alone tell of each other; for measuring what the graph is good for
    _belief: Belief | None = field(default=None, repr=False, compare=False)
    _prior: Any = field(default=None, repr=False, compare=False)
    _next: Question | None = field(default=None, repr=False, compare=False)

    # What is asked

    def next(self) -> Question | None:
        """The question to ask now; the same one until it is answered; None when the time is used."""
        if self._next is None:
            self._next = self._choose()
        return self._next

    def expected(self, question: Question) -> float:
        """Minutes that a typed answer to it may take this person."""
        return minutes(question) * self._pace()

    @property
    def minutes(self) -> float:
        return sum(each.seconds for each in self.answers) / 60

    @property
    def left(self) -> float:
        """Minutes of the budget."""
        return max(0.0, self.budget - self.minutes)

    # What comes back

    def answered(
        self,
        question: str,
        score: float | None,
        seconds: float,
        *,
        how: How = "graded",
        sure: float = 1.0,
        note: str = "",
    ) -> None:
        """Take in an answer. score None: left out, and it says nothing. Raises PlanError for what is none."""
        self._take(Answered(question, score, seconds, "skipped" if score is None else how, sure, note))

    def graded(self, grade: Grade, seconds: float) -> None:
        """Take in a typed answer that was graded; of what is unclear nothing is concluded."""
        sure = 1 - (grade.high - grade.low)
        met = sum(each.verdict == "yes" for each in grade.judgements)
        note = f"{met} of {len(grade.judgements)} criteria met"
        note += f", {len(grade.open)} unclear" if grade.open else ""
        score = None if sure < 0.05 else min(1.0, grade.low / sure)
        self.answered(grade.question, score, seconds, sure=sure, note=note)

    def undo(self) -> Answered | None:
        """Take the last answer back; its question comes again."""
        if not self.answers:
            return None
        last = self.answers.pop()
        self._belief = None
        self._next = self.graph.questions.get(last.question)
        return last

    # What it says

    def result(self) -> Result:
        belief, bar = self.belief(), self._bar()
        chances = belief.chance(bar)
        asked = Counter(self.graph.places[a.question] for a in self._counted())
        sections = {}
        for id, chance in zip(belief.ids, chances, strict=True):
            state: State = "unknown"
            if self._near(id):
                state = "solid" if chance >= SURE else "shaky" if chance <= 1 - SURE else "unknown"
            low, high = belief.within(id, DIFFICULTY[self.level])
            sections[id] = Standing(state, low, high, self._evidence(id), asked[id])
        return Result(
            sections=sections,
            minutes=self.minutes,
            asked=len(self._counted()),
            skipped=sum(a.score is None for a in self.answers),
            level=self.level,
        )

    def belief(self) -> Belief:
        """The belief after all answers."""
        if self._belief is None:
            from handbook.practice.belief import Belief

            ids = [id for id, each in self.graph.concepts.items() if each.written]
            self._belief = Belief(self.graph, ids, edges=self.edges)
            self._prior = self._belief.covariance
            for answer in self._counted():
                self._believe(answer)
        return self._belief

    # Kept as plain data

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": "handbook-diagnostic",
            "version": 1,
            "seed": self.seed,
            "level": self.level,
            "budget": self.budget,
            "focus": dict(self.focus),
            "answers": [asdict(each) for each in self.answers],
        }

    @classmethod
    def from_dict(cls, graph: Graph, state: Mapping[str, Any]) -> Diagnostic:
        """Raises PlanError for what `to_dict` did not make. An answer to a question that the book no longer
        has is kept and says nothing."""
        try:
            if state["format"] != "handbook-diagnostic" or state["version"] != 1:
                raise ValueError(f"format {state['format']!r}, version {state['version']!r}")
            level, budget = state["level"], float(state["budget"])
            if level not in LEVELS or not 0 < budget <= 600 or not isinstance(state["seed"], int):
                raise ValueError(f"level {level!r}, budget {budget}, seed {state['seed']!r}")
            focus = {str(area): float(weight) for area, weight in state.get("focus", {}).items()}
            if not all(0 <= weight <= 10 for weight in focus.values()):
                raise ValueError(f"focus {focus}")
            listed = state["answers"]
            if not isinstance(listed, list) or len(listed) > MOST:
                raise ValueError(f"expected a list of at most {MOST} answers")
            answers = [Answered(**each) for each in listed]
            for each in answers:
                _check(each)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise PlanError(
                f"Expected a diagnostic as it was kept, got something else: {error}.", "Begin a new one."
            ) from error
        return cls(graph, state["seed"], cast(Level, level), budget, focus, answers)

    # Inside

    def _take(self, answer: Answered) -> None:
        if answer.question not in self.graph.questions:
            raise PlanError(f"There is no question {answer.question}.", "Reload: the book has changed.")
        if any(each.question == answer.question for each in self.answers):
            raise PlanError(f"{answer.question} was answered already.", "Go on with the next one.")
        if len(self.answers) >= MOST:
            raise PlanError(f"A diagnostic holds at most {MOST} answers.", "End it.")
        try:
            _check(answer)
        except ValueError as error:
            raise PlanError(f"This answer can't be taken: {error}.", "Answer again.") from error
        belief = self.belief()
        self.answers.append(answer)
        self._next = None
        if answer.score is not None:
            self._believe(answer)
        assert belief is self._belief

    def _believe(self, answer: Answered) -> None:
        question = self.graph.questions[answer.question]
        strength = STRENGTH[answer.how] * answer.sure
        assert self._belief is not None
        assert answer.score is not None
        self._belief.answered(
            self.graph.places[question.id], DIFFICULTY[question.level], answer.score, strength
        )

    def _counted(self) -> list[Answered]:
        """Answers that say something."""
        return [a for a in self.answers if a.score is not None and a.question in self.graph.questions]

    def _bar(self) -> float:
        return DIFFICULTY[self.level] + math.log(BAR / (1 - BAR))

    def _pace(self) -> float:
        """How much slower than expected this person is, drawn to 1 while little is known; 0.5 to 2."""
        known = [a for a in self._counted() if a.how != "dont-know"]
        took = sum(a.seconds for a in known) / 60
        thought = sum(minutes(self.graph.questions[a.question]) for a in known)
        return min(2.0, max(0.5, (took + 6.0) / (thought + 6.0)))

    def _choose(self) -> Question | None:
        import numpy as np

        belief = self.belief()
        done = {each.question for each in self.answers}
        highest = LEVELS.index(self.level) + 1
        open_ = [
            q
            for q in self.graph.questions.values()
            if q.id not in done
            and LEVELS.index(q.level) <= highest
            and self.graph.places[q.id] in belief.index
            and self.expected(q) <= self.left + GRACE
        ]
        if not open_ or self.left <= 0:
            return None
        rows = np.array([belief.index[self.graph.places[q.id]] for q in open_], dtype=np.intp)
        difficulties = np.array([DIFFICULTY[q.level] for q in open_])
        gains = belief.gains(rows, difficulties, STRENGTH["graded"], self._worth())
        random = Random(f"{self.seed}/{len(self.answers)}")
        per_minute = [
            float(gain) / self.expected(q) * (1 + 0.05 * random.random())
            for gain, q in zip(gains, open_, strict=True)
        ]
        return open_[max(range(len(open_)), key=per_minute.__getitem__)]

    def _worth(self) -> Any:
        """[N]: what it is worth to know a section: more while it is undecided; chapters with many sections
        don't outweigh the others by their number."""
        import numpy as np

        belief = self.belief()
        chances = belief.chance(self._bar())
        of = Counter(self.graph.concepts[id].chapter for id in belief.ids)
        weight = np.array(
            [
                self.focus.get(concept.area, 1.0) / math.sqrt(of[concept.chapter])
                for concept in (self.graph.concepts[id] for id in belief.ids)
            ]
        )
        return weight * 4 * chances * (1 - chances)

    def _near(self, id: str) -> list[tuple[float, Answered]]:
        """Answers that were about this section, or about one near it; the nearest first."""
        belief = self.belief()
        s = belief.index[id]
        found = []
        for answer in self._counted():
            r = belief.index[self.graph.places[answer.question]]
            correlation = self._prior[s, r] / math.sqrt(self._prior[s, s] * self._prior[r, r])
            if s == r or correlation >= NEAR:
                found.append((1.0 if s == r else float(correlation), answer))
        return sorted(found, key=lambda pair: -pair[0])

    def _evidence(self, id: str) -> tuple[str, ...]:
        near = self._near(id)
        direct = [answer for how_near, answer in near if how_near == 1.0]
        if direct:
            return tuple(f"Asked “{shortened(self._prompt(a))}”: {_said(a)}." for a in direct)
        if near:
            return tuple(
                f"Not asked. {self._relation(id, self.graph.places[a.question])}: {_said(a)}."
                for _, a in near[:2]
            )
        return ("Not asked, nor anything near it.",)

    def _prompt(self, answer: Answered) -> str:
        return self.graph.questions[answer.question].prompt

    def _relation(self, id: str, other: str) -> str:
        title = self.graph.concepts[other].title
        if other in self.graph.before(id):
            return f"It rests on “{title}”"
        if id in self.graph.before(other):
            return f"“{title}” rests on it"
        return f"“{title}” is near it"


def minutes(question: Question) -> float:
    """That an answer of a few typed sentences takes, with reading the question: an assumption."""
    return MINUTES[question.level] + LONGER.get(question.kind, 0.0) + len(question.prompt.split()) / 200


def shortened(text: str, most: int = 80) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: text.rfind(" ", 0, most)] + " …"


def _said(answer: Answered) -> str:
    if answer.how == "dont-know":
        return "you said that you don't know it"
    if answer.note:
        return answer.note
    told = "by your own rating, " if answer.how == "self" else ""
    return f"{told}{answer.score:.1f} of 1 of its rubric's weight"


def _check(answer: Answered) -> None:
    """Raises ValueError. Imported state may hold anything."""
    if not isinstance(answer.question, str) or len(answer.question) > 200:
        raise ValueError("question: expected an id")
    numbers: dict[str, tuple[object, float]] = {
        "seconds": (answer.seconds, 86_400.0),
        "sure": (answer.sure, 1.0),
        "score": (0.0 if answer.score is None else answer.score, 1.0),
    }
    for name, (value, most) in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise ValueError(f"{name}: expected 0 to {most:g}, got {value!r}")
    if answer.how not in STRENGTH or (answer.how == "skipped") != (answer.score is None):
        raise ValueError(f"how: {answer.how!r} with score {answer.score!r}")
    if not isinstance(answer.note, str) or len(answer.note) > 500:
        raise ValueError("note: expected at most 500 characters")
