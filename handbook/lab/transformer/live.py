"""A tiny mixture trained in front of the reader, beside a dense model of equal active size.

Far shorter than what the claims measure: enough to see the losses part and the loads differ.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean

from handbook.lab.kit import threads
from handbook.settings import load as load_settings
from handbook.train import runs, text, tiny
from handbook.train.characters import Corpus
from handbook.train.loop import Point

SHAPE = tiny.Shape(dim=64, layers=2, heads=4, hidden=128, experts=8, k=2, length=64, batch=16)
MODELS = {
    "mixture": "mixture, balanced",
    "mixture-unbalanced": "mixture, not balanced",
    "dense": "dense",
}
CHARACTERS = 300_000  # of the text; a tenth is held out


def corpus() -> Corpus:
    """The text that this machine has. Raises TextUnavailable, with the command that brings one."""
    settings = load_settings()
    path = text.find(settings) or text.pinned(settings)
    return Corpus.of(text.read(path)[:CHARACTERS], SHAPE.length)


def train_all(
    given: Corpus, steps: int, watch: Callable[[str, Point], None] = lambda name, point: None
) -> dict[str, runs.Trained]:
    """Each of MODELS on the same batches, by the name that is shown; nothing is saved. watch sees every
    step.
    """
    found = {}
    with threads(1):  # so small a model gains nothing by a second, and loses much on a busy machine
        for name, shown in MODELS.items():
            recipe = tiny.recipe(name, len(given.tokenizer), SHAPE)
            plan = runs.Run(recipe=recipe, shape=SHAPE, schedule=tiny.schedule(steps), seed=0)
            found[shown] = runs.train(plan, given, partial(watch, shown))
    return found


def smooth(curve: Sequence[Point], over: int = 10) -> list[tuple[float, float]]:
    """(step, mean loss on text of the `over` steps up to it), once every `over` steps."""
    losses = [point.losses["text"] for point in curve]
    return [(end, fmean(losses[end - over : end])) for end in range(over, len(losses) + 1, over)]


def summary(found: Mapping[str, runs.Trained]) -> list[dict[str, str | float]]:
    """A row of a table for each model, on the text that was held out."""
    rows = []
    for name, run in found.items():
        seen = run.held_out
        mixed = seen.busiest is not None
        row: dict[str, str | float] = {
            "model": name,
            "parameters": run.recipe.parameters,
            "active": run.recipe.active_parameters,
            "held-out loss": seen.loss,
            "busiest over mean": f"{seen.busiest:.2f}" if mixed else "",
            "dropped at 1.25": f"{seen.dropped:.1%}" if mixed else "",
        }
        rows.append(row)
    return rows
