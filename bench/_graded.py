"""Answers that people have graded: two public sets, and anybody's CSV.

Mohler, Bunescu and Mihalcea 2011 ("Learning to Grade Short Answer Questions using Semantic Similarity
Measures and Dependency Graph Alignments", ACL): computer science, two graders, 0 to 5. SAF: Filighera et al.
2022 ("Your Answer is Incorrect... Would you like to know why?", ACL): a networking course, 0 to 1. Neither
lies in this repository; the setting `grading` names the folder.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from handbook.errors import HandbookError
from handbook.rag.sentences import split
from handbook.records import Criterion, Question

LARGEST = 200 * 2**20  # bytes of a file
LONGEST = 50_000  # characters of one text
MOST = 12  # statements of a reference that are criteria
COLUMNS = {
    "question": ("question", "question_text", "prompt"),
    "reference": ("reference", "desired_answer", "reference_answer", "model_answer"),
    "answer": ("answer", "student_answer", "provided_answer", "response"),
    "score": ("score", "score_avg", "grade"),
}


@dataclass(frozen=True, slots=True)
class Answered:
    """One graded answer. others: what each human grader gave, where that is known."""

    question: str
    reference: str
    answer: str
    score: float
    others: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Graded:
    """A set, on the scale low..high."""

    name: str
    rows: tuple[Answered, ...]
    low: float
    high: float

    @property
    def asked(self) -> tuple[str, ...]:
        """Of each row, what counts as its question: text and reference together."""
        return tuple(f"{row.question}\n{row.reference}" for row in self.rows)


def mohler(folder: Path) -> Graded:
    rows = _table(folder / "mohler" / "mohler_dataset_edited.csv")
    found = [
        Answered(
            row["question"],
            row["desired_answer"],
            row["student_answer"],
            float(row["score_avg"]),
            (float(row["score_me"]), float(row["score_other"])),
        )
        for row in rows
    ]
    return Graded("mohler", tuple(found), 0.0, 5.0)


def saf(folder: Path, part: str = "unseen_answers") -> Graded:
    """part: training or unseen_answers (other answers to the questions of training)."""
    from lxml import etree

    found = []
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    for file in sorted((folder / "saf" / part / "english").glob("*.xml")):
        root = etree.parse(file, parser).getroot()
        asked = _text(root.find("questionText"))
        reference = " ".join(_text(each) for each in root.iter("referenceAnswer"))
        for each in root.iter("studentAnswer"):
            given, score = _text(each.find("response")), _text(each.find("score"))
            if given and score:
                found.append(Answered(asked, reference, given, float(score)))
    if not found:
        raise HandbookError(f"No graded answers in saf/{part}.", "The setting `grading` names the folder.")
    top = max(row.score for row in found)
    return Graded(f"saf {part.replace('_', ' ')}", tuple(found), 0.0, top)


def from_csv(file: Path, low: float | None = None, high: float | None = None) -> Graded:
    """Any CSV with columns of `COLUMNS`. The scale is what occurs, where it is not given.

    Raises HandbookError that names the faulty lines.
    """
    rows = _table(file)
    names = (
        {name.strip().lower(): name for name in rows[0] if name} if rows else {}
    )  # None: cells beyond the head
    chosen = {}
    for wanted, candidates in COLUMNS.items():
        at_hand = [names[each] for each in candidates if each in names]
        if not at_hand:
            raise HandbookError(
                f"{file.name}: expected a column {wanted} ({', '.join(candidates)}), got {', '.join(names)}.",
                "Rename the column.",
            )
        chosen[wanted] = at_hand[0]
    found, faults = [], []
    for line, row in enumerate(rows, start=2):
        try:
            score = float(row[chosen["score"]])
            if not abs(score) < 1e6:
                raise ValueError("a score that is no number")
        except (TypeError, ValueError):
            faults.append(f"line {line}: {row[chosen['score']]!r} is no score")
            continue
        texts = [(row[chosen[each]] or "")[:LONGEST] for each in ("question", "reference", "answer")]
        found.append(Answered(texts[0], texts[1], texts[2], score))
    if faults or not found:
        told = "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
        raise HandbookError(f"{file.name}: {told or 'no rows'}.", "Nothing was graded. Correct the file.")
    scores = [row.score for row in found]
    bottom, top = min(0.0, *scores) if low is None else low, max(scores) if high is None else high
    if not bottom < top:
        raise HandbookError(f"{file.name}: all scores are {top}.", "Give the scale: --low 0 --high 5.")
    if outside := sum(not bottom <= score <= top for score in scores):
        raise HandbookError(
            f"{file.name}: {outside} scores lie outside {bottom}..{top}.", "Correct --low, --high."
        )
    return Graded(file.stem, tuple(found), bottom, top)


def as_question(row: Answered) -> Question:
    """With the reference's statements as criteria, each of weight 1: where a set has no rubric."""
    said = [text for line in row.reference.splitlines() for text in split(line.strip()) if text]
    criteria = tuple(Criterion(f"s{n}", text) for n, text in enumerate(said[:MOST])) or (
        Criterion("s0", row.reference or row.question),
    )
    return Question(
        id="given",
        chapter="",
        level="senior",
        kind="explain",
        prompt=row.question,
        answer=row.reference,
        criteria=criteria,
        misconceptions=(),
        follow_ups=(),
        anchor="",
    )


def _text(node: object) -> str:
    return " ".join("".join(node.itertext()).split()) if node is not None else ""  # type: ignore[attr-defined]


def _table(file: Path) -> list[dict[str, str]]:
    try:
        if file.stat().st_size > LARGEST:
            raise HandbookError(f"{file.name} has more than {LARGEST >> 20} MB.", "Split it.")
        text = file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise HandbookError(f"{file} can't be read: {error.strerror}.", "Name a CSV file.") from error
    before = csv.field_size_limit(10 * 2**20)  # of the whole process
    try:
        return list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise HandbookError(f"{file.name} is no CSV: {error}.", "Name a CSV file.") from error
    finally:
        csv.field_size_limit(before)
