"""From what a grader sees to a probability, and from a probability to yes, no or unclear.

A logistic model over a few signals (Platt 1999, "Probabilistic outputs for support vector machines"), with an
isotonic step where enough is known (Zadrozny and Elkan 2002, KDD, "Transforming classifier scores into
accurate multiclass probability estimates", section 3). Between two thresholds the grader abstains (Chow 1970,
IEEE Trans. Inf. Theory, "On optimum recognition error and reject tradeoff"). The numbers are data
(grade.json), fitted by `handbook bench grading --fit` on questions that no grader was trained on.
"""

import json
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any

from handbook.errors import ModelFileError

FILE = "grade.json"


@dataclass(frozen=True, slots=True)
class Logistic:
    """p = 1 / (1 + exp(-(bias + sum of weight * signal))), then the isotonic steps where there are some:
    a p of steps[i] and more, up to the next one, becomes values[i]."""

    names: tuple[str, ...]
    bias: float
    weights: tuple[float, ...]
    steps: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    def of(self, signals: Sequence[float]) -> float:
        z = self.bias + sum(w * float(x) for w, x in zip(self.weights, signals, strict=True))
        p = 1 / (1 + math.exp(-max(-40.0, min(40.0, z))))
        return self.values[max(0, bisect_right(self.steps, p) - 1)] if self.steps else p

    def aligned(self, names: Sequence[str]) -> "Logistic":
        """The same, its weights in the order of these names. Raises ModelFileError where it has others."""
        if sorted(names) != sorted(self.names):
            raise ModelFileError(
                f"The calibration weighs {', '.join(self.names)}; the grader sees {', '.join(names)}.",
                "Fit it again: handbook bench grading --fit.",
            )
        given = dict(zip(self.names, self.weights, strict=True))
        return replace(self, names=tuple(names), weights=tuple(given[name] for name in names))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Of one grader. yes: from this probability on it says yes; no: up to this one it says no. mistake: from
    which probability a misconception is named. denied: from which probability of a contradiction elsewhere
    in the answer a yes is taken back."""

    met: Logistic
    yes: float
    no: float
    mistakes: Logistic | None = None
    mistake: float = 0.9
    denied: float = 0.9
    about: Mapping[str, Any] = field(default_factory=dict)


@cache
def fitted(name: str) -> Calibration:
    """What ships with the package for the grader of that name. Raises ModelFileError where it has none."""
    try:
        data = json.loads(resources.files("handbook.practice").joinpath(FILE).read_text(encoding="utf-8"))
        return from_json(data[name])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{FILE} has no calibration of the grader {name!r} ({error}).",
            "Fit one: handbook bench grading --fit.",
        ) from error


def from_json(data: Mapping[str, Any]) -> Calibration:
    mistakes = data.get("mistakes")
    return Calibration(
        _logistic(data["met"]),
        float(data["yes"]),
        float(data["no"]),
        _logistic(mistakes) if mistakes else None,
        float(data.get("mistake", 0.9)),
        float(data.get("denied", 0.9)),
        data.get("about", {}),
    )


def _logistic(data: Mapping[str, Any]) -> Logistic:
    weights = {str(name): float(value) for name, value in data["weights"].items()}
    return Logistic(
        tuple(weights),
        float(data["bias"]),
        tuple(weights.values()),
        tuple(float(each) for each in data.get("steps", ())),
        tuple(float(each) for each in data.get("values", ())),
    )


@dataclass(frozen=True, slots=True)
class ChatOdds:
    """How often a chat model's two equal verdicts are right."""

    yes: float
    no: float


def chat_odds() -> ChatOdds:
    """Of `chat` in grade.json. No model was measured for them: they stand below certainty on purpose."""
    data = json.loads(resources.files("handbook.practice").joinpath(FILE).read_text(encoding="utf-8"))
    return ChatOdds(float(data["chat"]["yes"]), float(data["chat"]["no"]))
