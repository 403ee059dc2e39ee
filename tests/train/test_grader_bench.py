"""What the grader's model is trained on: readers of small files of our own, rules, steps."""

import hashlib
import json
import random
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handbook.book.load import open_book
from handbook.errors import HandbookError
from handbook.practice.statements import statement

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
import _cases
import _entailments as entailments
import _taught as own
import grader
from _entailments import DENIES, NOT_SAID, SAYS, SILENT, Example
from _lessons import Lessons, chunks, limited
from _splits import split_of

QUESTION = """<question><referenceAnswers>
<referenceAnswer id="a" category="MINIMAL">a gap</referenceAnswer>
<referenceAnswer id="b" category="BEST">the path is open</referenceAnswer></referenceAnswers>
<studentAnswers><studentAnswer accuracy="correct" answerMatch="a">there's a gap</studentAnswer>
<studentAnswer accuracy="contradictory">it is closed</studentAnswer>
<studentAnswer accuracy="incorrect">the bulb</studentAnswer></studentAnswers></question>"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files by name, each with two or three examples, and their hashes in the place of the real ones."""
    for file in entailments.FILES:
        path = tmp_path / file.name
        if file.name.startswith("semeval"):
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("training/3way/beetle/x.xml", QUESTION)
                archive.writestr("test/3way/beetle/test-unseen-questions/y.xml", QUESTION)
        elif file.name.endswith(".zip"):
            with zipfile.ZipFile(path, "w") as archive:
                lines = [
                    {"claim": "over 5 .", "evidence": "it is 6", "label": "SUPPORTS"},
                    {"claim": "over 5 .", "evidence": "it is 4", "label": "REFUTES"},
                ]
                archive.writestr("x/test.jsonl", "\n".join(map(json.dumps, lines)))
        elif file.name == "conjnli-15k.tsv":
            path.write_text("\ufeffPremise\tHypothesis\tLabel\nA and b\tA\tentailment\nA\tA and b\tneutral\n")
        elif file.name.startswith("neg"):
            path.write_bytes(
                b"index\tText\tHypothesis\tgold_label\n0\tnot \x94a\tb\tnot_entailment\n1\ta\ta\t-\n"
            )
        else:
            path.write_text("sentence1\tsentence2\tgold_label\na man\ta woman\tcontradiction\n")
    files = [
        replace(each, sha256=hashlib.sha256((tmp_path / each.name).read_bytes()).hexdigest())
        for each in entailments.FILES
    ]
    monkeypatch.setattr(entailments, "FILES", tuple(files))
    return tmp_path


def test_each_kind_of_file_is_read(folder: Path) -> None:
    found = entailments.read(folder)
    assert found["semeval-3way.zip"] == [
        Example("there's a gap", "a gap", SAYS, "semeval"),
        Example("it is closed", "the path is open", DENIES, "semeval"),
        Example("the bulb", "the path is open", SILENT, "semeval"),
    ]
    assert [each.label for each in found["vitaminc_real.zip"]] == [SAYS, DENIES]
    assert [each.label for each in found["conjnli-15k.tsv"]] == [SAYS, SILENT]
    assert [each.label for each in found["neg-rte.txt"]] == [NOT_SAID]
    assert len(entailments.read(folder, held_out=True)["semeval-3way.zip"]) == 3


def test_another_file_is_refused_before_any_is_read(folder: Path) -> None:
    (folder / "cad-train.tsv").write_text("something else")
    (folder / "neg-rte.txt").unlink()
    with pytest.raises(HandbookError, match=r"cad-train\.tsv is another file.*neg-rte\.txt is missing"):
        entailments.read(folder)


def test_a_changed_claim_is_another_claim() -> None:
    random_ = random.Random(0)
    seen = {own.spoiled("The cache shrinks by a factor of 4.", random_) for _ in range(60)}
    assert "The cache grows by a factor of 4." in seen
    assert any("40" in text for text in seen)
    assert {own.spoiled("Text is sampled once.", random_) for _ in range(9)} == {"Text is not sampled once."}
    assert (
        own.spoiled("Softmax before the choice and after it.", random_)
        == "Softmax after the choice and before it."
    )
    assert own.spoiled("A plain remark.", random_) == ""
    assert all(text != "The cache shrinks by a factor of 4." for text in seen)


def nothing_near(texts: Any, others: Any) -> Any:
    return np.full((len(texts), len(others)), 0.5)


def test_nothing_of_held_out_questions_is_taught() -> None:
    book = open_book()
    taught = {each.statement for group in own.lessons(book, 0, nothing_near) for each in group}
    for question in book.questions.values():
        if split_of(question.id) != "train":
            held = {statement(each.yes) for each in question.criteria}
            assert not held & taught, question.id
    assert len(taught) > 500


def test_the_last_stage_knows_all_criteria_and_none_of_the_texts_kept_back() -> None:
    book = open_book()
    groups = [each for seed in range(4) for each in own.lessons(book, seed, nothing_near, every=True)]
    groups += own.crossed(book, 5, every=True)
    taught = {each.premise for group in groups for each in group}
    back = {each.premise for group in own.back(book) for each in group}
    assert len(back) > 300
    assert not back & taught
    statements = {each.statement for group in groups for each in group}
    for question in book.questions.values():
        if split_of(question.id) != "train":
            assert {statement(each.yes) for each in question.criteria} <= statements, question.id
    calibrated = {
        text for row in _cases.untaught(dict(book.questions)) for kind in own.KINDS for text in row[kind]
    }
    assert calibrated == back


def test_a_round_has_cases_of_each_kind_and_no_pair_twice() -> None:
    groups = own.lessons(open_book(), 0, nothing_near)
    for group in groups:
        pairs = [(each.premise, each.statement) for each in group]
        assert len(set(pairs)) == len(pairs)
    labels = [each.label for group in groups for each in group if each.source == "case"]
    assert {SAYS, SILENT, DENIES} == set(labels)
    other = own.lessons(open_book(), 1, nothing_near)
    assert groups != other
    assert own.lessons(open_book(), 0, nothing_near) == groups


class Letters:
    """A tokenizer of letters."""

    def no_padding(self) -> None: ...

    def enable_truncation(self, limit: int) -> None: ...

    def encode_batch_fast(self, texts: list[str]) -> Any:
        from types import SimpleNamespace

        return [SimpleNamespace(ids=[1, *map(ord, text), 2]) for text in texts]


def test_steps_hold_every_pair_once_a_round_and_keep_groups_whole() -> None:
    groups = [[Example("a" * n, f"s{g}", SAYS, "") for n in range(1, 5)] for g in range(20)]
    taught = Lessons(Letters(), [groups, groups], 120, 0)
    assert taught.pairs == 160
    steps = [taught(step)[0] for step in range(len(taught))]
    assert sum(len(step.labels) for step in steps) == 160
    for step in steps:
        assert len(step.tokens) <= 120
        assert all(step.statements.count(name) % 4 == 0 for name in step.statements)
    again = Lessons(Letters(), [groups, groups], 120, 0)
    assert [again(n)[0].statements for n in range(len(again))] == [step.statements for step in steps]


def test_chunks_and_limits() -> None:
    group = [Example(str(n), "s", SAYS if n % 2 else DENIES, "") for n in range(20)]
    parts = chunks([group], random.Random(0), 8)
    assert sorted(len(part) for part in parts) == [6, 7, 7]
    assert all({each.label for each in part} == {SAYS, DENIES} for part in parts)
    assert 8 <= sum(len(part) for part in limited(parts * 3, 8, random.Random(0))) < 16
    assert limited(parts, 0, random.Random(0)) == parts


def test_areas() -> None:
    scores = np.array([3.0, 2.0, 1.0, 0.0])
    assert grader.area(scores, np.array([True, True, False, False])) == 1.0
    assert grader.area(scores, np.array([True, False, True, False])) == 0.75
    said = grader.told_apart(scores, np.array([SAYS, DENIES, SAYS, SILENT]))
    assert said["area"] == 0.75
    assert said["area_silent"] == 1.0
    assert said["area_denies"] == 0.5
    assert said["found_at_2_percent_false"] == 0.5


def test_crossed_cases_are_of_taught_questions_and_numbers_change() -> None:
    book = open_book()
    groups = own.crossed(book, 0)
    assert groups == own.crossed(book, 0)
    assert {each.label for group in groups for each in group} == {SAYS, SILENT, DENIES, NOT_SAID}
    held = {
        text
        for (question, _), row in own.cases().items()
        if split_of(question) != "train"
        for kind in own.KINDS
        for text in row.get(kind, ())
        if len(text) > 40
    }
    taught = {text for group in groups for each in group for text in (each.premise, each.statement)}
    assert held
    assert not held & taught
    changed = [each for group in groups for each in group if each.source == "number"]
    assert len(changed) > 100
    right = {text for row in own.cases().values() for text in row.get("yes", ())}
    for each in changed:
        assert each.premise not in right | {each.statement}


def test_the_mean_of_states_is_of_what_trains(tmp_path: Path) -> None:
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    model[1].requires_grad_(False)
    states = [{"0.weight": torch.full((2, 2), float(n)), "0.bias": torch.zeros(2)} for n in (1, 2, 6)]
    for place, state in enumerate(states):
        torch.save(state, tmp_path / f"{place}.pt")
    found = grader.averaged(model, sorted(tmp_path.glob("*.pt")))
    assert found.keys() == {"0.weight", "0.bias"}
    assert found["0.weight"].tolist() == [[3.0, 3.0], [3.0, 3.0]]
