"""PPO and GRPO from settings: the task, rounds of drawn answers, and success on prompts that are held out.

Book: model-training/preference-alignment
"""

from collections.abc import Callable
from dataclasses import replace
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Literal

from handbook.errors import DataError
from handbook.train.assembly import Assembled
from handbook.train.config import TrainConfig
from handbook.train.examples import encode_prompt
from handbook.train.formats import read_prompts
from handbook.train.material import parted
from handbook.train.methods import Parts
from handbook.train.policies import Grpo, Policy, Ppo
from handbook.train.rounds import Plan, Rounds
from handbook.train.settings import GrpoSettings, PpoSettings, Sampled
from handbook.train.tasks import Judge, Task, anywhere, graded, strict, task_named

ROUNDS = 100  # where steps are not told
LOOKED_AT = 64  # held-out prompts, at most
LONGEST = 64  # tokens of an answer where nobody says
REWARDS = {"strict": strict, "graded": graded, "anywhere": anywhere}


def task_of(settings: Sampled, judge: Judge | None = None) -> Task:
    """A built-in task, or the prompts of a file with their answers; where a reward model pays they need none.
    Raises SettingsError, DataError."""
    if settings.task:
        task = task_named(settings.task)
    else:
        prompts = read_prompts(Path(settings.data).expanduser())
        without = [prompt.line for prompt in prompts if prompt.answer is None]
        if without and judge is None:
            raise DataError(
                f"{settings.data}: {len(without)} prompts have no answer to compare with, the first in line "
                f"{without[0]}.",
                "Give each an `answer`, or let a reward model pay: --reward-model.",
            )
        train, held_out = parted(prompts, settings.held_out, settings.seed)
        truth = None if without else strict
        task = Task(Path(settings.data).stem, train, held_out, strict, LONGEST, truth)
    reward = REWARDS.get(settings.reward, task.reward)
    return replace(task, reward=reward, most=settings.answer or task.most, judge=judge)


def sampled(assembled: Assembled, settings: Sampled, config: Callable[[int], TrainConfig]) -> Parts:
    """Parts of PPO or GRPO. config: the loop's, for so many steps. Raises as `task_of`."""
    task = task_of(settings, assembled.judge)
    kl = getattr(settings, "kl", 0.0)
    plan = Plan(
        prompts=settings.prompts,
        group=settings.group,
        most=task.most,
        passes=settings.passes,
        temperature=settings.temperature,
        precision=assembled.precision,
        budget=settings.tokens,
        beta=kl,
        watch=not settings.full,
    )
    objective: Grpo | Ppo
    if isinstance(settings, PpoSettings):
        assembled.trained = Policy(assembled.loaded.model)
        plan = replace(plan, gamma=settings.gamma, lam=settings.lam)
        objective = Ppo(settings.clip_range, value_weight=settings.value_weight)
    else:
        assert isinstance(settings, GrpoSettings)
        by: Literal["tokens", "answers"] = "tokens" if settings.normalise == "token" else "answers"
        plan = replace(plan, scale=settings.scale, weigh=by)
        objective = Grpo(kl, settings.clip_range, normalise=settings.normalise, longest=task.most)
    rounds = Rounds(assembled.loaded, assembled.trained, task, plan, settings.seed)
    return Parts(
        model=assembled.trained,
        config=config(settings.steps or ROUNDS * settings.passes),
        batches=rounds,
        objective=objective,
        held_out=task.held_out[:LOOKED_AT],
        fingerprint=fingerprint(settings),
        look=lambda model: success(assembled, task, rounds),
        seen=lambda: rounds.seen,
        stride=settings.passes,
    )


def success(assembled: Assembled, task: Task, rounds: Rounds) -> dict[str, float]:
    """On held-out prompts, answered by what is likeliest: the share that is right, the mean of the reward."""
    prompts = task.held_out[:LOOKED_AT]
    texts = [encode_prompt(assembled.loaded, prompt) for prompt in prompts]
    drawn = rounds.voice.answers(texts, task.most, temperature=0.0)
    said = [row[0] for row in drawn]
    right = task.truths(prompts, said)
    found = {} if right is None else {"held_out_right": sum(right) / len(said)}
    return found | {"held_out_reward": sum(task.rewards(prompts, said)) / len(said)}


def fingerprint(settings: Sampled) -> str:
    """Of the file and of the reward model, empty where there is neither."""
    files = [Path(settings.data).expanduser()] if settings.data else []
    if settings.reward_model:
        files += sorted(Path(settings.reward_model).expanduser().rglob("*.safetensors"))
    found = sha256()
    for path in files:
        with path.open("rb") as file:
            found.update(file_digest(file, "sha256").digest())
    return found.hexdigest() if files else ""
