"""SmolLM2-135M-Instruct, once on real weights: logits and greedy continuations against transformers.

transformers reads the same GGUF file with its own code (names, dequantization, head order), in fp32.
"""

import time

import pytest
import torch

from handbook.chat import Sampling
from handbook.engine.generate import generate
from handbook.model.load import load_model
from handbook.model.transformer import Trace

pytestmark = [pytest.mark.models, pytest.mark.slow]

# Of 20 texts the first 12 tokens each, so that they run as one batch without padding.
TEXTS = (
    "The old lighthouse keeper climbed the stairs every evening to light the lamp, and one night",
    "In a distributed system, a consensus protocol lets a group of machines agree on a value even if",
    "def fibonacci(n):\n    # Return the n-th Fibonacci number.\n    if n < 2:\n        return n\n    return",
    "The capital of France is Paris. The capital of Italy is Rome. The capital of Spain is",
    "Ingredients: two eggs, a cup of flour, a pinch of salt. First, beat the eggs in a large bowl",
    "Once upon a time there was a small dragon who was afraid of fire and lived in a cave near",
    "Dear hiring manager, I am writing to apply for the position of machine learning engineer at your",
    "Question: Why is the sky blue during the day and red at sunset? Answer: Because the light",
    "The mitochondrion is an organelle found in most cells. Its main task is to produce energy in",
    "SELECT name, count(*) FROM orders JOIN customers ON orders.customer = customers.id WHERE",
    "To be, or not to be, that is the question: whether 'tis nobler in the mind to suffer the",
    "1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597",
    "The stock market fell sharply on Monday after the central bank raised interest rates by half a",
    "Gradient descent updates the parameters in the direction of the negative gradient of the loss with",
    "import numpy as np\n\n\nclass Matrix:\n    def __init__(self, rows, columns):\n        self.data",
    "Le petit prince habitait une planète à peine plus grande que lui, et il avait besoin d'un ami",
    "Patients with high blood pressure should reduce their intake of salt, exercise regularly, and see",
    "The train left the station at six in the morning with only four passengers in the last carriage and",
    "A binary search tree keeps its keys in order, so that a lookup takes time proportional to the",
    '{\n  "name": "example",\n  "version": "1.0.0",\n  "scripts": {\n    "test": "echo"',
)


@pytest.fixture(scope="module")
def theirs(smollm2_path):
    from transformers import AutoConfig, LlamaForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    config = AutoConfig.from_pretrained(smollm2_path.parent, gguf_file=smollm2_path.name)
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    state = load_gguf_checkpoint(smollm2_path, return_tensors=True, model_to_load=model)["tensors"]
    model = LlamaForCausalLM(config)
    assert model.load_state_dict(state, strict=False).missing_keys == ["lm_head.weight"]  # tied
    return model.eval()


@pytest.fixture(scope="module")
def prompts(smollm2):
    ids = [smollm2.tokenizer.encode(text)[:12] for text in TEXTS]
    assert len({tuple(prompt) for prompt in ids}) == 20
    return torch.tensor(ids)


def test_the_weights_are_the_same_bits(smollm2, theirs):
    """Dequantized by our code and by the gguf package's."""
    ours = smollm2.model.blocks[7]
    layer = theirs.model.layers[7]
    assert torch.equal(smollm2.model.embed.weight, theirs.model.embed_tokens.weight)
    assert torch.equal(ours.attention.query.weight, layer.self_attn.q_proj.weight)
    assert torch.equal(ours.attention.key.weight, layer.self_attn.k_proj.weight)
    assert torch.equal(ours.mlp.down.weight, layer.mlp.down_proj.weight)
    assert torch.equal(ours.mlp_norm.weight, layer.post_attention_layernorm.weight)


def test_logits(smollm2, theirs):
    """Over 30 layers rounding adds up: logits of size 20 may differ by a few 1e-5 (fp32 has 24 bits)."""
    text = " ".join(TEXTS)
    tokens = torch.tensor([smollm2.tokenizer.encode(text)])
    with torch.inference_mode():
        expected = theirs(tokens).logits
        plain = smollm2.model(tokens, trace=Trace())
        fused = smollm2.model(tokens)
    assert tokens.shape[1] > 400
    assert expected.abs().max() > 10
    assert (fused - expected).abs().max() < 1e-4
    assert (plain - expected).abs().max() < 1e-4


@pytest.fixture(scope="module")
def expected(theirs, prompts):
    """Their greedy continuations, [20, 64]; min_new_tokens keeps stop tokens out, so that all 64 are
    compared."""
    greedy = {"max_new_tokens": 64, "min_new_tokens": 64, "do_sample": False}
    return theirs.generate(prompts, attention_mask=torch.ones_like(prompts), **greedy)[:, prompts.shape[1] :]


def test_greedy_continuations(smollm2, prompts, expected):
    """20 prompts, 64 tokens each, token for token."""
    cache = smollm2.model.new_cache(prompts.shape[1] + 64, batch=20)
    new, got = prompts, []
    with torch.inference_mode():
        for _ in range(64):
            logits = smollm2.model(new, cache, last_only=True)[:, -1]
            logits[:, list(smollm2.tokenizer.stops)] = -torch.inf
            new = logits.argmax(dim=-1, keepdim=True)
            got.append(new)
    assert torch.equal(torch.cat(got, dim=1), expected)


def test_generate_continues_alike(smollm2, prompts, expected):
    """The public function: one sequence, ending where the model ends."""
    sampling = Sampling(temperature=0, max_tokens=32)
    got = [list(generate(smollm2, prompt.tolist(), sampling)) for prompt in prompts[:3]]
    assert got == [row[: len(ids)].tolist() for row, ids in zip(expected, got, strict=False)]
    assert max(map(len, got)) == 32


@pytest.mark.alone
def test_it_loads_fast(smollm2_path):
    """Well under 2 s on two cores; the bound leaves room for a machine that does other things too."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        load_model(smollm2_path)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 5
