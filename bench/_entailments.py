"""Public pairs that the grader's model learns from: what a text says, is silent on, or contradicts.

Read from a folder that holds the files of FILES, each as it lies in its repository (option --data of
`handbook bench grader`). A file is read only where its SHA-256 is the one that stands here. Only weights are
made of them; no text of theirs is kept.

SciEntsBank and Beetle: Dzikovska et al. 2013 (SemEval-2013 Task 7, S13-2045), students' answers and the
reference's statement. VitaminC: Schuster et al. 2021 (arXiv:2103.08541), claims that one edit of the evidence
turns over; its real test split, which nothing here is measured on. FEVER symmetric: Schuster et al. 2019
(arXiv:1908.05267). Counterfactual SNLI: Kaushik et al. 2020 (arXiv:1909.12434). ConjNLI: Saha et al. 2020
(arXiv:2010.10418). Negation: Hossain et al. 2020 (2020.emnlp-main.732).

Not read: sets whose licence forbids commercial use (SICK, ANLI), and what the grader is measured on (Mohler;
SAF; questions of the book that are held out).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from handbook.errors import HandbookError

SAYS, SILENT, DENIES, NOT_SAID = 0, 1, 2, 3
LABELS = {
    "entailment": SAYS,
    "neutral": SILENT,
    "contradiction": DENIES,
    "not_entailment": NOT_SAID,
    "SUPPORTS": SAYS,
    "NOT ENOUGH INFO": SILENT,
    "REFUTES": DENIES,
    "correct": SAYS,
    "incorrect": SILENT,
    "contradictory": DENIES,
}


@dataclass(frozen=True, slots=True)
class Example:
    """A text, a statement, and one of SAYS, SILENT, DENIES, NOT_SAID (one of the two last)."""

    premise: str
    statement: str
    label: int
    source: str


@dataclass(frozen=True, slots=True)
class File:
    """Where a file is from, and its SHA-256. most: examples of it in a round, 0 for all."""

    name: str
    repository: str
    commit: str
    path: str
    licence: str
    sha256: str
    most: int = 0


FILES = (
    File(
        "semeval-3way.zip",
        "github.com/myrosia/semeval-2013-task7",
        "5157c69f914e8c581045c03e98f96398d40a91b8",
        "semeval-3way.zip",
        "CC-BY-SA-3.0",
        "783223ff624a70a5e6435fd49798b88d87d89d362d943695003a3e9f4060dbff",
    ),
    File(
        "vitaminc_real.zip",
        "github.com/TalSchuster/talschuster.github.io",
        "152c9639f1e33ca295d0776b618c17884088f72f",
        "static/vitaminc_real.zip",
        "CC-BY-SA-3.0",
        "04cce67d000a61fd83885d68924210dd08f3d0ac91fde9f5a4b0bfb768339418",
        30_000,
    ),
    File(
        "fever_symmetric.zip",
        "github.com/TalSchuster/talschuster.github.io",
        "152c9639f1e33ca295d0776b618c17884088f72f",
        "static/vitaminc_baselines/fever_symmetric.zip",
        "CC-BY-SA-3.0",
        "f9355f0ba824b2e8cf7caadc41b2e69304e3d4d611628a9ec68999464a0cf7ff",
    ),
    File(
        "cad-train.tsv",
        "github.com/acmi-lab/counterfactually-augmented-data",
        "6f232a1d2a11462a30ce08fb4825b734ab30828e",
        "NLI/all_combined/train.tsv",
        "Apache-2.0 (SNLI: CC-BY-SA-4.0)",
        "b04c0e249b71949345afc20f8c31c355533a705a68805492f21cddc49d27234f",
    ),
    File(
        "conjnli-15k.tsv",
        "github.com/swarnaHub/ConjNLI",
        "10e0515c0d1777651b5084d9cca4664ead8162a4",
        "data/NLI/adversarial_train_15k.tsv",
        "MIT (Wikipedia: CC-BY-SA-3.0)",
        "00133a82516686b321cf8e0077935a975e7d924f04dda5b7c655e5886996de33",
        12_000,
    ),
    File(
        "neg-mnli.txt",
        "github.com/mosharafhossain/negation-and-nli",
        "e7848fb621c32ec43511a5bfc406fc9208baf4f8",
        "data/new_benchmarks/clean_data/MNLI.txt",
        "MIT (MultiNLI: OANC)",
        "eaf31305308483a00bf6f915baa78cfe63c1fd6b4f27dc3cca3f5fb48ae2b57e",
    ),
    File(
        "neg-snli.txt",
        "github.com/mosharafhossain/negation-and-nli",
        "e7848fb621c32ec43511a5bfc406fc9208baf4f8",
        "data/new_benchmarks/clean_data/SNLI.txt",
        "MIT (SNLI: CC-BY-SA-4.0)",
        "962685f85f1580fe562b82bbb160b7d789103d62d6ed8c7444186bbe0cba92c5",
    ),
    File(
        "neg-rte.txt",
        "github.com/mosharafhossain/negation-and-nli",
        "e7848fb621c32ec43511a5bfc406fc9208baf4f8",
        "data/new_benchmarks/clean_data/RTE.txt",
        "MIT",
        "e020a9287242d8e0ba51b29b8364887d3a75fa0c71e99a925f11563f49fdc927",
    ),
)
HELD_OUT = "test/3way"  # of SemEval: questions that are not among those trained on


def read(folder: Path, held_out: bool = False) -> dict[str, list[Example]]:
    """Examples by file. held_out: of SemEval's unseen questions instead, and nothing else.

    Raises HandbookError that names files that are missing or other than expected, before any is parsed.
    """
    wrong = []
    for file in FILES:
        path = folder / file.name
        if not path.is_file():
            wrong.append(f"{file.name} is missing ({file.repository}, commit {file.commit[:9]}, {file.path})")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != file.sha256:
            wrong.append(f"{file.name} is another file than the one named here")
    if wrong:
        raise HandbookError(
            f"{folder} doesn't hold the training data: {'; '.join(wrong)}.",
            "Take the files from the repositories named in bench/_entailments.py.",
        )
    if held_out:
        return {"semeval-3way.zip": list(_semeval(folder / "semeval-3way.zip", HELD_OUT, "unseen-questions"))}
    return {file.name: list(_READERS[file.name](folder / file.name)) for file in FILES}


def _semeval(path: Path, under: str = "training/3way", also: str = "") -> Iterator[Example]:
    """Answers with the reference that they were matched to, or the first of the best."""
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if not name.startswith(under) or also not in name or not name.endswith(".xml"):
                continue
            root = ElementTree.fromstring(archive.read(name))
            references = {
                each.get("id", ""): " ".join((each.text or "").split())
                for each in root.iter("referenceAnswer")
            }
            best = [
                references[each.get("id", "")]
                for each in root.iter("referenceAnswer")
                if each.get("category", "BEST") == "BEST"
            ] or list(references.values())
            for answer in root.iter("studentAnswer"):
                label = LABELS[answer.get("accuracy", "incorrect")]
                reference = (
                    references.get(answer.get("answerMatch", ""), best[0]) if label == SAYS else best[0]
                )
                text = " ".join((answer.text or "").split())
                if text and reference:
                    yield Example(text, reference, label, "semeval")


def _claims(path: Path) -> Iterator[Example]:
    """VitaminC's files: JSON lines of claim, evidence, label."""
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".jsonl"):
                for line in archive.read(name).decode().splitlines():
                    row = json.loads(line)
                    yield Example(row["evidence"], row["claim"], LABELS[row["label"]], path.stem)


def _table(path: Path) -> Iterator[Example]:
    """Tab-separated with a header that names premise, hypothesis and label in one of some ways."""
    rows = csv.DictReader(
        io.StringIO(path.read_text(encoding="utf-8-sig", errors="replace")),
        delimiter="\t",
        quoting=csv.QUOTE_NONE,
    )
    names = {name.lower(): name for name in rows.fieldnames or ()}
    premise = next(names[n] for n in ("premise", "sentence1", "text") if n in names)
    statement = next(names[n] for n in ("hypothesis", "sentence2") if n in names)
    label = next(names[n] for n in ("label", "gold_label") if n in names)
    for row in rows:
        if row[label] in LABELS and row[premise] and row[statement]:
            yield Example(row[premise].strip(), row[statement].strip(), LABELS[row[label]], path.stem)


_READERS = {
    file.name: _semeval
    if file.name.startswith("semeval")
    else _claims
    if file.name.endswith(".zip")
    else _table
    for file in FILES
}


def by_statement(examples: list[Example]) -> list[list[Example]]:
    """Examples of one statement together, in the order in which statements first come."""
    found: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        found[example.statement].append(example)
    return list(found.values())
