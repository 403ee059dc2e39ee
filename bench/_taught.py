"""What the grader's model learns of the book itself: cases written for its criteria, and what rules add.

A case is an answer that meets a criterion, one that is false to it, or one beside it (bench/grading/cases).
Rules add what nobody needs to write: a statement says itself; with a number or a direction changed it denies
itself; the question, keywords in a row, words in disorder and orders to the grader say nothing; two sentences
of which one says it say it. They are drawn anew each round. McCoy et al. 2019 (arXiv:1902.01007), section 6,
show what a model takes for entailment that never saw such pairs.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from _entailments import DENIES, NOT_SAID, SAYS, SILENT, Example
from _rules import NOTHING, ORDERS, ended, keywords, shared_number, spoiled, styled
from _splits import Split, split_of

from handbook.practice.statements import statement
from handbook.rag import sentences

CASES = Path(__file__).parent / "grading" / "cases"
REST = CASES.parent / "rest"  # of the questions of the split "test": taught last, if at all
MORE = CASES.parent / "more"  # of all criteria, by other hands: taught nowhere, a measure
KINDS = {"yes": SAYS, "wrong": DENIES, "beside": SILENT}
WRITTEN = ("case", "model answer", "neighbour")
AGAIN = 0.15  # share of the questions of "train" in a round of all
RULES = 0.6  # share of what rules make that a round has
SHORT = 14  # words: in a text so short a changed number or direction is a changed claim


def cases(folders: Sequence[Path] = (CASES,)) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Rows by (question, criterion's id or the misconception's place)."""
    rows = [
        json.loads(line)
        for folder in folders
        for file in sorted(folder.glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if line
    ]
    return {(row["question"], str(row.get("criterion", row.get("misconception")))): row for row in rows}


def kept_back(row: Mapping[str, Any]) -> dict[str, Any]:
    """The last text of each kind, of a question that is not of the split "train": never taught, so that
    criteria which the model knows can be tried with answers that it does not."""
    return {**row, **{kind: list(row.get(kind, ())[1:][-1:]) for kind in KINDS}}


def back(book: Any) -> list[list[Example]]:
    """What is kept back of the questions that only the last stage teaches."""
    found = []
    for (question, _), row in cases((CASES, REST)).items():
        if split_of(question) != "train":
            said = _statement(book.questions[question], row)
            kind = "criterion" if "criterion" in row else "misconception"
            kept = kept_back(row)
            found.append(
                [Example(text, said, KINDS[key], kind) for key in KINDS for text in kept.get(key, ())]
            )
    return found


def more(book: Any) -> list[list[Example]]:
    """Texts of criteria by other hands than those of the cases, which no stage teaches."""
    found = []
    for (question, _), row in cases((MORE,)).items():
        said = _statement(book.questions[question], row)
        found.append([Example(text, said, KINDS[key], "more") for key in KINDS for text in row[key]])
    return found


def _for_teaching(every: bool) -> tuple[dict[tuple[str, str], Mapping[str, Any]], set[Split]]:
    """Rows, and splits. every: of all splits, without what is kept back."""
    if not every:
        return cases(), {"train"}
    rows = dict(cases((CASES, REST)))
    for key, row in rows.items():
        if split_of(key[0]) != "train":
            kinds = {kind: list(row[kind][:-1]) for kind in KINDS if len(row.get(kind, ())) > 1}
            rows[key] = {**row, **kinds}
    return rows, {"train", "dev", "test"}


def written(book: Any, split: Split) -> list[list[Example]]:
    """The cases as they are, of the questions of a split: those of one statement together."""
    found = []
    for (question, which), row in cases().items():
        if split_of(question) == split:
            said = _statement(book.questions[question], row)
            kind = "criterion" if "criterion" in row else "misconception"
            found.append(
                [Example(text, said, KINDS[key], kind) for key in KINDS for text in row.get(key, ())]
            )
            assert found[-1], which
    return found


def _statement(question: Any, row: Mapping[str, Any]) -> str:
    if "criterion" in row:
        return statement(next(each.yes for each in question.criteria if each.id == row["criterion"]))
    return str(question.misconceptions[row["misconception"]].wrong)


def lessons(book: Any, seed: int, near: Any, every: bool = False) -> list[list[Example]]:
    """One round: the cases of the split "train" and what rules make of them and of the book's own texts.

    near: (texts, texts) -> cosines, to know which sentence of the model answer a criterion is about.
    every: of all splits, with some of the questions of "train", which were taught before.
    """
    random_ = random.Random(seed)
    rows, splits = _for_teaching(every)
    groups = []
    for question in book.questions.values():
        if not _drawn(question.id, splits, every, random_):
            continue
        mine = [rows[key] for key in ((question.id, each.id) for each in question.criteria) if key in rows]
        texts = {row["criterion"]: row for row in mine}
        model = _model_answer(question, near)
        for criterion in question.criteria:
            group = [*model[criterion.id], *_plain(question, criterion, random_)]
            if criterion.id in texts:
                group += _of_cases(criterion, texts, random_)
            groups.append(_thinned(_unique(group), random_))
        for place, misconception in enumerate(question.misconceptions):
            said = misconception.wrong
            group = [
                Example(said, said, SAYS, "rule"),
                Example(misconception.correction, said, DENIES, "book"),
                Example(random_.choice(NOTHING), said, SILENT, "rule"),
                *_changed(said, said, random_),
            ]
            row = rows.get((question.id, str(place)), {})
            group += [Example(text, said, KINDS[key], "case") for key in KINDS for text in row.get(key, ())]
            groups.append(_unique(group))
    return groups


def _drawn(question: str, splits: set[Split], every: bool, random_: random.Random) -> bool:
    split = split_of(question)
    return split in splits and not (every and split == "train" and random_.random() > AGAIN)


def _of_cases(criterion: Any, texts: Mapping[str, Any], random_: random.Random) -> Iterator[Example]:
    row = texts[criterion.id]
    said = statement(criterion.yes)
    yes, wrong, beside = (list(row.get(kind, ())) for kind in KINDS)
    for kind, label in KINDS.items():
        for text in row.get(kind, ()):
            yield Example(text, said, label, "case")
    others = [text for name, other in texts.items() if name != criterion.id for text in other.get("yes", ())]
    for text in random_.sample(others, min(3, len(others))):
        yield Example(text, said, SILENT, "neighbour")
    for found, label in ((yes, SAYS), (wrong, DENIES), (beside, SILENT)):
        if found:
            yield Example(styled(random_.choice(found), random_), said, label, "style")
    if yes and (beside or others):
        extra = random_.choice(beside or others)
        pair = [random_.choice(yes), extra]
        random_.shuffle(pair)
        yield Example(" ".join(map(ended, pair)), said, SAYS, "two")
    if wrong and (beside or others):
        pair = [random_.choice(wrong), random_.choice(beside or others)]
        random_.shuffle(pair)
        yield Example(" ".join(map(ended, pair)), said, DENIES, "two")
    if beside and others:
        yield Example(f"{ended(random_.choice(beside))} {random_.choice(others)}", said, SILENT, "two")
    if yes:
        text = random_.choice(yes)
        shuffled = text.split()
        random_.shuffle(shuffled)
        if len(shuffled) > 9:  # a short note is hardly more ordered than this
            yield Example(" ".join(shuffled), said, SILENT, "salad")
        yield from _changed(text, said, random_, only_short=True)
        turned = spoiled(said, random_)
        if turned:
            yield Example(random_.choice(yes), turned, NOT_SAID, "rule")


def _plain(question: Any, criterion: Any, random_: random.Random) -> Iterator[Example]:
    """What needs no case: of the statement itself and of the question."""
    said = statement(criterion.yes)
    yield Example(said if random_.random() < 0.3 else styled(said, random_), said, SAYS, "style")
    yield from _changed(said, said, random_)
    if changed := spoiled(said, random_):
        yield Example(styled(changed, random_), said, DENIES, "style")
    prompt = sentences.split(" ".join(question.prompt.split()))
    yield Example(random_.choice(prompt), said, SILENT, "echo")
    draw = random_.random()
    if draw < 0.25:
        yield Example(random_.choice(ORDERS), said, SILENT, "order")
    elif draw < 0.5:
        yield Example(random_.choice(NOTHING), said, SILENT, "nothing")
    elif draw < 0.75:
        yield Example(keywords(said, random_), said, SILENT, "salad")
    elif draw < 0.85:
        low = said[0].lower() + said[1:].rstrip(".")
        frame = random_.choice(
            (
                "It is wrong that {}.",
                "Many people think that {}, but that is a mistake.",
                "I do not think that {}.",
            )
        )
        yield Example(frame.format(low), said, DENIES, "rule")


def _changed(text: str, said: str, random_: random.Random, only_short: bool = False) -> Iterator[Example]:
    if only_short and len(text.split()) > SHORT:
        return
    if changed := spoiled(text, random_):
        yield Example(changed, said, NOT_SAID if only_short else DENIES, "rule")


def _model_answer(question: Any, near: Any) -> dict[str, list[Example]]:
    """For each criterion the sentence of the model answer that is nearest to it, if it is near, as one that
    says it, and the farthest as one that does not."""
    parts = [part for part in sentences.split(" ".join(question.answer.split())) if len(part.split()) > 4]
    said = [statement(each.yes) for each in question.criteria]
    if not parts:
        return {each.id: [] for each in question.criteria}
    table = near(said, parts)
    found: dict[str, list[Example]] = defaultdict(list)
    for criterion, text, row in zip(question.criteria, said, table, strict=True):
        best, worst = int(row.argmax()), int(row.argmin())
        if row[best] >= NEAR:
            found[criterion.id].append(Example(parts[best], text, SAYS, "model answer"))
        if row[worst] < FAR:
            found[criterion.id].append(Example(parts[worst], text, SILENT, "model answer"))
        found.setdefault(criterion.id, [])
    return found


NEAR, FAR = 0.72, 0.3  # cosines


def crossed(book: Any, seed: int, every: bool = False) -> list[list[Example]]:
    """One round of the cases against each other, so that four statements are where there was one: what a
    right answer says is a statement too, and another right answer says nearly it; so is a wrong one's."""
    random_ = random.Random(seed)
    rows, splits = _for_teaching(every)
    groups = []
    for question in book.questions.values():
        if not _drawn(question.id, splits, every, random_):
            continue
        for criterion in question.criteria:
            row = rows.get((question.id, criterion.id))
            if row:
                said = statement(criterion.yes)
                groups += [group for group in _crosses(said, row, random_) if len(group) > 1]
        for place, each in enumerate(question.misconceptions):
            false = (each.wrong, *rows.get((question.id, str(place)), {}).get("yes", ()))
            group = [Example(text, each.correction, DENIES, "cross") for text in false]
            group.append(Example(styled(each.correction, random_), each.correction, SAYS, "cross"))
            group.append(Example(random_.choice(NOTHING), each.correction, SILENT, "cross"))
            groups.append(_unique(group))
    return groups


def _crosses(said: str, row: Mapping[str, Any], random_: random.Random) -> Iterator[list[Example]]:
    yes, wrong, beside = (list(row.get(kind, ())) for kind in KINDS)
    full = [text for text in yes if len(text.split()) > 7] or yes
    if full:
        right = random_.choice(full)
        group = [Example(text, right, SAYS, "cross") for text in yes if text != right]
        group += [Example(text, right, NOT_SAID, "cross") for text in (*wrong, *beside)]
        yield _unique(group)
    if wrong:
        false = random_.choice(wrong)
        group = [Example(styled(false, random_), false, SAYS, "cross"), Example(said, false, DENIES, "cross")]
        group += [Example(text, false, NOT_SAID, "cross") for text in yes]
        group += [Example(text, false, SILENT, "cross") for text in beside[:1]]
        yield _unique(group)
    numbers = [changed for text in (*yes, said) if (changed := shared_number(text, said, random_))]
    if numbers:
        group = [Example(text, said, DENIES, "number") for text in numbers]
        yield _unique([*group, *(Example(text, said, SAYS, "case") for text in yes)])


def _thinned(group: list[Example], random_: random.Random) -> list[Example]:
    """What is written stays; of what rules made, a share, another one each round."""
    return [each for each in group if each.source in WRITTEN or random_.random() < RULES]


def _unique(group: Sequence[Example]) -> list[Example]:
    """Each text once; the first label stands, and what is written stands before what is made by rule."""
    written_first = sorted(group, key=lambda each: each.source != "case")
    seen: dict[tuple[str, str], Example] = {}
    for each in written_first:
        seen.setdefault((each.premise, each.statement), each)
    return list(seen.values())
