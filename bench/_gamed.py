"""How often a grader is fooled, and how often it passes what is right: the two files of bench/grading."""

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _adversarial import (
    ADVERSARIAL,
    PARAPHRASES,
    SECOND_ADVERSARIAL,
    SECOND_PARAPHRASES,
    answer_of,
    must_not_pass,
    rows,
)

from handbook.practice.grade import grade
from handbook.practice.opinions import Grader
from handbook.records import Question

SHOWN = 40  # false verdicts that a report quotes


def tried(grader: Grader, questions: Mapping[str, Question]) -> dict[str, Any]:
    """Both sets of answers: the first, and the second one, which was written without a look at it."""
    return {
        "adversarial": adversarial(grader, questions),
        "paraphrases": paraphrases(grader, questions),
        "second set": {
            "adversarial": adversarial(grader, questions, SECOND_ADVERSARIAL),
            "paraphrases": paraphrases(grader, questions, SECOND_PARAPHRASES),
        },
    }


def adversarial(
    grader: Grader, questions: Mapping[str, Question], file: Path = ADVERSARIAL
) -> dict[str, Any]:
    """Verdicts on criteria that are not met, by kind of answer: how many, how many yes and unclear."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    fooled = []
    for row in rows(file):
        question = questions[row["question"]]
        given = grade(question, answer_of(row, question.prompt), grader)
        against = set(must_not_pass(row, [each.id for each in question.criteria]))
        counts[row["kind"]]["answers"] += 1
        for each in given.judgements:
            if each.criterion in against:
                counts[row["kind"]][each.verdict] += 1
                if each.verdict == "yes":
                    fooled.append(
                        {
                            "id": row["id"],
                            "criterion": each.criterion,
                            "quote": each.quote[:200],
                            "met": each.met,
                        }
                    )
    every = sum(counts.values(), Counter[str]())
    total = every["yes"] + every["no"] + every["unclear"]
    return {
        "answers": every["answers"],
        "criteria not met": total,
        "yes": every["yes"],
        "false yes": every["yes"] / total,
        "unclear": every["unclear"] / total,
        "kinds": {
            kind: {
                "answers": count["answers"],
                "criteria not met": (all_ := count["yes"] + count["no"] + count["unclear"]),
                "yes": count["yes"],
                "false yes": count["yes"] / max(1, all_),
                "unclear": count["unclear"] / max(1, all_),
            }
            for kind, count in sorted(counts.items())
        },
        "fooled by": fooled[:SHOWN],
    }


def paraphrases(
    grader: Grader, questions: Mapping[str, Question], file: Path = PARAPHRASES
) -> dict[str, Any]:
    """Of criteria that good answers meet: shares of yes, unclear and no. Of those they don't: false yes."""
    met: Counter[str] = Counter()
    unmet: Counter[str] = Counter()
    voices: dict[str, Counter[str]] = defaultdict(Counter)
    seconds = []
    given_rows = rows(file)
    for row in given_rows:
        question = questions[row["question"]]
        begun = time.perf_counter()
        given = grade(question, row["answer"], grader)
        seconds.append(time.perf_counter() - begun)
        for each in given.judgements:
            if each.criterion in row["yes"]:
                met[each.verdict] += 1
                voices[row.get("voice", "")][each.verdict] += 1
            elif each.criterion in row["no"]:
                unmet[each.verdict] += 1
    return {
        "answers": len(given_rows),
        "criteria met": met.total(),
        "yes of met": met["yes"] / max(1, met.total()),
        "unclear of met": met["unclear"] / max(1, met.total()),
        "no of met": met["no"] / max(1, met.total()),
        "criteria not met": unmet.total(),
        "yes of not met": unmet["yes"] / max(1, unmet.total()),
        "voices": {voice: count["yes"] / count.total() for voice, count in sorted(voices.items())},
        "median seconds": statistics.median(seconds),
    }


def told(report: Mapping[str, Any]) -> None:
    """For people."""
    if "adversarial" in report:
        all_ = report["adversarial"]
        print(
            f"\nTrying to pass without knowing: {all_['answers']} answers, {all_['yes']} of "
            f"{all_['criteria not met']} criteria passed wrongly ({all_['false yes']:.1%}), "
            f"{all_['unclear']:.1%} left to the person"
        )
        for kind, each in all_["kinds"].items():
            print(
                f"  {kind:<12}{each['answers']:>4} answers {each['yes']:>4} of {each['criteria not met']:>4}"
                f"  {each['false yes']:>6.1%} yes {each['unclear']:>6.1%} unclear"
            )
    if "paraphrases" in report:
        all_ = report["paraphrases"]
        print(
            f"\nGood answers in other words: {all_['answers']} answers, {all_['criteria met']} criteria met: "
            f"{all_['yes of met']:.1%} yes, {all_['unclear of met']:.1%} unclear, {all_['no of met']:.1%} no"
        )
        wrongly = all_["yes of not met"]
        print(f"  of {all_['criteria not met']} that they don't meet {wrongly:.1%} passed wrongly")
        print(
            "  yes by voice: " + ", ".join(f"{voice} {share:.0%}" for voice, share in all_["voices"].items())
        )
    if "second set" in report:
        print("\nThe second set, written without a look at the first:")
        told(report["second set"])
