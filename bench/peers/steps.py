"""What every side of the training benchmark trains on, by the step's number: ids drawn from a seed.

Speed and memory hang on shapes alone; both sides get the same ids, so that their losses can be compared.
Standard library only.
"""

from argparse import ArgumentParser, Namespace
from random import Random

LOWEST = 3  # ids below are the vocabulary's own marks


def arguments(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("--model", required=True)
    parser.add_argument("--method", choices=("sft", "dpo"), default="sft")
    parser.add_argument("--precision", default="autocast")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4, help="texts or pairs in a step")
    parser.add_argument("--length", type=int, default=512, help="tokens of a text")
    parser.add_argument("--prompt", type=int, default=128, help="of them the prompt's, in a pair")
    parser.add_argument("--r", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--vocabulary", type=int, default=49152)
    return parser


def texts(options: Namespace, step: int) -> list[list[int]]:
    """[batch][length] ids of a step."""
    random = Random(f"text {step}")
    span = range(LOWEST, options.vocabulary)
    return [random.choices(span, k=options.length) for _ in range(options.batch)]


def pairs(options: Namespace, step: int) -> list[tuple[list[int], list[int], list[int]]]:
    """[batch] prompts with two answers each; a prompt and an answer have `length` together."""
    random = Random(f"pair {step}")
    span = range(LOWEST, options.vocabulary)
    sizes = (options.prompt, options.length - options.prompt, options.length - options.prompt)
    return [
        (random.choices(span, k=sizes[0]), random.choices(span, k=sizes[1]), random.choices(span, k=sizes[2]))
        for _ in range(options.batch)
    ]
