"""The byte-level BPE tokenizer that a GGUF file describes: tokens, merges, and the name of how text is cut
first.

The cutting rules are llama.cpp's `llama-vocab.cpp`, by the name in `tokenizer.ggml.pre`; a test compares them
with the models' own tokenizers.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from handbook.errors import ModelFileError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CONTROL, USER_DEFINED = 3, 4  # kinds of tokens in GGUF that are not made by merges
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
KNOWN = ("gpt-2", "default", "smollm", "llama-bpe", "qwen2")


def byte_level_bpe(metadata: Mapping[str, Any]) -> "Tokenizer":
    """Build the tokenizer. Raises ModelFileError for another kind, or a vocabulary that doesn't hold
    together."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

    kind, cut = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre", "default")
    if kind != "gpt2" or cut not in KNOWN:
        raise ModelFileError(
            f"The file's tokenizer is {kind!r}, {cut!r}; 'gpt2' and one of {', '.join(KNOWN)} was expected.",
            "Put the model's own tokenizer.json beside the file.",
        )
    tokens, merges, kinds = _vocabulary(metadata)
    vocabulary = {token: i for i, token in enumerate(tokens)}
    built = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=cut == "llama-bpe"))
    built.pre_tokenizer = _pre_tokenizer(cut)
    built.decoder = decoders.ByteLevel()
    if cut == "qwen2":
        built.normalizer = normalizers.NFC()
    special = [AddedToken(t, special=True) for t, k in zip(tokens, kinds, strict=True) if k == CONTROL]
    plain = [AddedToken(t, normalized=False) for t, k in zip(tokens, kinds, strict=True) if k == USER_DEFINED]
    built.add_special_tokens(special)
    built.add_tokens(plain)
    if metadata.get("tokenizer.ggml.add_bos_token", cut == "llama-bpe"):
        _begin_with(built, tokens, metadata.get("tokenizer.ggml.bos_token_id"))
    return built


def _vocabulary(metadata: Mapping[str, Any]) -> tuple[list[str], list[tuple[str, str]], list[int]]:
    """Tokens, merges and kinds of tokens."""
    tokens: list[str] = _list(metadata, "tokens", str)
    kinds: list[int] = _list(metadata, "token_type", int) or [1] * len(tokens)
    merges: list[tuple[str, str]] = [merge.partition(" ")[::2] for merge in _list(metadata, "merges", str)]
    known = set(tokens)
    faults = [
        f"{len(tokens)} tokens" if not tokens else "",
        f"{len(kinds)} kinds for {len(tokens)} tokens" if len(kinds) != len(tokens) else "",
        "a token twice" if len(known) != len(tokens) else "",
        *(f"the merge {a!r}, {b!r} of unknown tokens" for a, b in merges if not known >= {a, b, a + b}),
    ]
    if found := [fault for fault in faults if fault]:
        raise ModelFileError(
            f"The GGUF file's vocabulary can't be used: it has {found[0]}.", "Fetch the model again."
        )
    return tokens, merges, kinds


def _list(metadata: Mapping[str, Any], name: str, kind: type) -> list[Any]:
    """A list of the vocabulary, empty where it's missing. Raises ModelFileError for anything else."""
    found = metadata.get(f"tokenizer.ggml.{name}") or []
    if not isinstance(found, list) or not all(isinstance(each, kind) for each in found):
        raise ModelFileError(
            f"The GGUF file's tokenizer.ggml.{name} should be a list of {kind.__name__}.",
            "Fetch the model again.",
        )
    return found


def _pre_tokenizer(cut: str) -> Any:
    """How text is cut before merging; no merge crosses a cut."""
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split

    match cut:
        case "smollm":  # each digit alone, then GPT-2's rule
            return Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])
        case "llama-bpe" | "qwen2":
            rule = Regex(LLAMA3 if cut == "llama-bpe" else QWEN2)
            plain = ByteLevel(add_prefix_space=False, use_regex=False)
            return Sequence([Split(rule, "isolated"), plain])
        case _:
            return ByteLevel(add_prefix_space=False)


def _begin_with(built: "Tokenizer", tokens: list[str], bos: int | None) -> None:
    """Let `wrap` put the start token first."""
    from tokenizers.processors import TemplateProcessing

    if not isinstance(bos, int) or not 0 <= bos < len(tokens):
        raise ModelFileError(f"The GGUF file's start token is {bos!r}.", "Fetch the model again.")
    built.post_processor = TemplateProcessing(
        single=[tokens[bos], "$A"], pair=None, special_tokens=[(tokens[bos], bos)]
    )
