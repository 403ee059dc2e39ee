"""Drawing the next token from a model's logits: small filters, applied in a fixed order, then one draw.

A filter sets the logits of tokens that may not be drawn to -inf and leaves the others. All are pure and take
and give logits [V]. The order is that of transformers: repetition penalty, temperature, top-k, top-p, min-p;
what OpenAI's interface adds (bias, presence and frequency penalties) comes before the temperature.

The randomness of a token hangs on the seed and on the token's place in its text, and on nothing else: not on
who shares the batch, not on how often the text was preempted, not on how much of it was guessed right.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from handbook.records import Sampling


def repetition_penalty(logits: Tensor, history: Sequence[int], penalty: float) -> Tensor:
    """Make tokens of the history less likely: positive logits are divided by penalty, negative ones
    multiplied.

    Keskar et al. 2019, CTRL (arXiv:1909.05858), section 4.1. penalty 1 changes nothing.
    """
    if penalty == 1.0 or not history:
        return logits
    seen = torch.tensor(sorted(set(history)), device=logits.device)
    scores = logits[seen]
    return logits.index_copy(0, seen, torch.where(scores > 0, scores / penalty, scores * penalty))


def top_k_filter(logits: Tensor, k: int) -> Tensor:
    """Keep the k largest (and what equals the last of them). Fan et al. 2018 (arXiv:1805.04833). 0 keeps
    all."""
    if k <= 0 or k >= len(logits):
        return logits
    return logits.masked_fill(logits < logits.topk(k).values[-1], -math.inf)


def top_p_filter(logits: Tensor, p: float) -> Tensor:
    """Keep the smallest set of tokens whose probabilities sum to at least p, the largest always.

    Nucleus sampling, Holtzman et al. 2019 (arXiv:1904.09751), equation 2. p = 1 keeps all.
    """
    if p >= 1.0:
        return logits
    probabilities, order = logits.softmax(dim=-1).sort(descending=True, stable=True)
    before = probabilities.cumsum(dim=-1) - probabilities  # what larger tokens sum to
    drop = before >= p
    drop[0] = False
    return logits.index_fill(0, order[drop], -math.inf)


def min_p_filter(logits: Tensor, p: float) -> Tensor:
    """Keep tokens that are at least p times as likely as the most likely one. Nguyen et al. 2024
    (arXiv:2407.01082), section 3. p = 0 keeps all."""
    if p <= 0.0:
        return logits
    return logits.masked_fill(logits < logits.max() + math.log(p), -math.inf)


def count_penalty(logits: Tensor, said: Sequence[int], presence: float, frequency: float) -> Tensor:
    """Less likely by `presence` for every token that was said, and by `frequency` for each time it was.

    OpenAI's API reference, presence_penalty and frequency_penalty; the prompt does not count as said.
    """
    if not said or presence == frequency == 0.0:
        return logits
    counts = Counter(said)
    ids = torch.tensor(list(counts), device=logits.device)
    times = torch.tensor([float(n) for n in counts.values()], device=logits.device)
    return logits.index_add(0, ids, -(presence + frequency * times))


def add_bias(logits: Tensor, bias: Mapping[int, float]) -> Tensor:
    """Each token's own number added to its logit. OpenAI's API reference, logit_bias."""
    if not bias:
        return logits
    ids = torch.tensor(list(bias), device=logits.device)
    return logits.index_add(0, ids, torch.tensor(list(bias.values()), device=logits.device))


def distribution(logits: Tensor, sampling: Sampling, history: Sequence[int] = (), prompt: int = 0) -> Tensor:
    """What the next token is drawn from: logits [V] of one position -> probabilities [V] in fp32.

    history: the ids so far, of which the first `prompt` are the prompt's. Temperature 0 leaves one token.
    """
    logits = repetition_penalty(logits.float(), history, sampling.repetition_penalty)
    logits = count_penalty(logits, history[prompt:], sampling.presence_penalty, sampling.frequency_penalty)
    logits = add_bias(logits, sampling.logit_bias)
    if sampling.temperature <= 0:
        return torch.zeros_like(logits).index_fill(0, logits.argmax(), 1.0)
    logits = top_k_filter(logits / sampling.temperature, sampling.top_k)
    logits = min_p_filter(top_p_filter(logits, sampling.top_p), sampling.min_p)
    return logits.softmax(dim=-1)


def draw(probabilities: Tensor, uniform: float) -> int:
    """The token whose stretch of [0, 1) holds `uniform`, the tokens' probabilities [V] laid end to end."""
    ends = probabilities.double().cumsum(0)
    found = int(torch.searchsorted(ends, uniform * float(ends[-1]), right=True))
    return min(found, int(probabilities.nonzero()[-1]))  # rounding may point behind the last


def sample(
    logits: Tensor, sampling: Sampling, history: Sequence[int] = (), uniform: float = 0.5, prompt: int = 0
) -> int:
    """The next token's id: logits [V] of one position; temperature 0 takes the likeliest.

    history, prompt: see `distribution`. uniform: the randomness, in [0, 1), see `randomness`.
    """
    plain = sampling.repetition_penalty == 1.0 and not sampling.logit_bias
    if sampling.temperature <= 0 and plain and sampling.presence_penalty == sampling.frequency_penalty == 0.0:
        return int(logits.argmax())
    return draw(distribution(logits, sampling, history, prompt), uniform)


def randomness(seed: int, position: int, stream: int = 0) -> float:
    """A number in [0, 1) for one place of a text: SplitMix64 (Steele et al. 2014, OOPSLA, figure 17) started
    at the seed, as many steps on as the position says. stream: another text of the same seed."""
    state = (seed + (stream << 32) * 0x9E37 + (position + 1) * 0x9E3779B97F4A7C15) & MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return float((state ^ (state >> 31)) >> 11) / float(1 << 53)


MASK = (1 << 64) - 1
