"""Constrained decoding: at each place of a text only the tokens that a grammar lets follow may be drawn.

Willard and Louf 2023 (arXiv:2307.09702): the grammar is run beside the text, and says at each place which
tokens of the vocabulary can come next; the logits of all others become -inf before anything is drawn. The
parser is llguidance (Earley's, over lexemes that derivatives of regular expressions match), which needs some
microseconds for a mask.

    grammar = Vocabulary.of(tokenizer, vocab_size).compile(json_schema({"type": "object"}))
    engine.ask(..., constraint=grammar)

A constraint belongs to one continuation, not to its pages: preemption does not touch it, and samples of one
prompt each have a copy.

Book: inference-ops/llm-serving-optimization
"""

import json
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import llguidance
import numpy as np
import torch
from llguidance.gbnf_to_lark import any_to_lark
from numpy.typing import NDArray
from torch import Tensor

from handbook.engine.schemas import BadGrammar, bounded, checked
from handbook.model.tokenizer import Tokenizer

LIMITS: dict[str, Any] = {  # a step's work in the parser; some ten times what ordinary schemas need
    "max_items_in_row": 500,
    "initial_lexer_fuel": 200_000,
    "step_lexer_fuel": 20_000,
    "step_max_items": 5_000,
    "max_lexer_states": 50_000,
    "max_grammar_size": 50_000,
    "verbose_errors": False,
}
LONGEST = 65_536  # characters of a grammar
KEPT = 16  # compiled grammars: a heavy one takes 1.6 MB, and compiling takes milliseconds

SPACE = r"[ \n\t]{1,16}"  # between JSON's tokens, at most: unbounded, small models never stop
COMPACT: dict[str, Any] = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}


def json_schema(schema: object) -> str:
    """The grammar of what a JSON Schema takes, its properties in the schema's order.

    Raises BadGrammar for what is no schema, what can't be held to, and what would take too long, with all
    reasons.
    """
    given = checked(schema)
    try:
        return str(
            llguidance.LLMatcher.grammar_from_json_schema(given, overrides={"whitespace_pattern": SPACE})
        )
    except ValueError as error:  # a number that is no double
        raise BadGrammar(str(error)[:200]) from None


def any_object() -> str:
    """The grammar of JSON objects."""
    return json_schema({"type": "object"})


def regex(pattern: str) -> str:
    """The grammar of what a regular expression matches as a whole (Rust's dialect: no look-around, no
    references)."""
    _short(pattern, "regular expression")
    return str(llguidance.LLMatcher.grammar_from_regex(pattern))


def choice(texts: Sequence[str]) -> str:
    """The grammar of some texts. Raises BadGrammar."""
    if not texts or not all(texts):
        raise BadGrammar("expected one or more texts, none of them empty")
    return lark("start: " + " | ".join(json.dumps(text, ensure_ascii=False) for text in dict.fromkeys(texts)))


def lark(text: str) -> str:
    """A grammar in Lark's form, or in the EBNF of llama.cpp (`root ::= ...`). Raises BadGrammar."""
    _short(text, "grammar")
    schemas = []
    for schema in EMBEDDED.finditer(text):
        try:
            given, _ = json.JSONDecoder().raw_decode(text, schema.end())
        except (ValueError, RecursionError):
            continue  # the parser says it better
        schemas.append(checked(given))
    bounded({"schemas": schemas})
    try:
        text = any_to_lark(text)
    except Exception as error:  # its parser raises what it likes
        raise BadGrammar(f"is not EBNF: {str(error)[:200]}") from None
    return str(llguidance.LLMatcher.grammar_from_lark(text))


EMBEDDED = re.compile(r"%json\s*(?=\{)")


def _short(text: str, what: str) -> None:
    if not text.strip():
        raise BadGrammar(f"the {what} is empty")
    if len(text) > LONGEST:
        raise BadGrammar(f"the {what} has {len(text):,} characters; {LONGEST:,} are the most")


def unspoken(tokenizer: str) -> str:
    """A `tokenizer.json` whose special tokens have names that no text can hold: where a schema wants the text
    `<|im_end|>`, the parser would cut it as the token that ends a turn."""
    given = json.loads(tokenizer)
    nonce = secrets.token_hex(16)
    names = {one["content"]: f"<{nonce} {one['id']}>" for one in given["added_tokens"] if one["special"]}
    for one in given["added_tokens"]:
        one["content"] = names.get(one["content"], one["content"])
    vocabulary = given["model"]["vocab"]
    if isinstance(vocabulary, dict):
        given["model"]["vocab"] = {names.get(text, text): id for text, id in vocabulary.items()}
    else:  # pieces with their weights
        given["model"]["vocab"] = [[names.get(text, text), weight] for text, weight in vocabulary]
    if (strange := given["model"].get("unk_token")) is not None:
        given["model"]["unk_token"] = names.get(strange, strange)
    return json.dumps(given)


class Vocabulary:
    """A tokenizer's tokens as the parser needs them, and the grammars compiled for it. For any thread.

    size: of the model's vocabulary, V; it may be larger than the tokenizer's.
    """

    _all: ClassVar["WeakKeyDictionary[Tokenizer, Vocabulary]"] = WeakKeyDictionary()
    _building: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, tokenizer: Tokenizer, size: int) -> None:
        from tokenizers import Tokenizer as Backend

        self.size, stops = size, sorted(tokenizer.stops)
        self._token: Callable[[str], int | None] = tokenizer.backend.token_to_id
        text = unspoken(tokenizer.backend.to_str())
        if not stops:  # the parser wants one; this one is cut off every mask
            backend = Backend.from_str(text)
            backend.add_special_tokens(["<|the end of a constrained text|>"])
            text, stops = backend.to_str(), [backend.get_vocab_size() - 1]
        self.own_end = None if tokenizer.stops else stops[0]
        self.tokens = llguidance.LLTokenizer(text, n_vocab=max(size, stops[-1] + 1), eos_token=stops)
        self._compiled: OrderedDict[str, Constraint] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, tokenizer: Tokenizer, size: int) -> "Vocabulary":
        """The one of this tokenizer, built when it is first asked for (a quarter of a second for 49,152
        tokens)."""
        with cls._building:
            if tokenizer not in cls._all:
                cls._all[tokenizer] = cls(tokenizer, size)
            return cls._all[tokenizer]

    def tag(self, text: str) -> str | None:
        """How a grammar names a text that is one token, of those that a tokenizer adds to its vocabulary and
        that the parser takes for no text; None for any other."""
        token = self._token(text)
        if token is None or not self.tokens.is_special_token(token):
            return None
        return f"<[{token}]>"

    def compile(self, grammar: str) -> "Constraint":
        """A constraint at its beginning. One at a time; it may take some tenths of a second.

        Raises BadGrammar for a grammar that is wrong, too large, or takes no text at all.
        """
        with self._lock:
            if grammar not in self._compiled:
                matcher = llguidance.LLMatcher(
                    self.tokens, grammar, log_level=0, limits=llguidance.LLParserLimits(**LIMITS)
                )
                first = Constraint(self, matcher)
                first.fork().allowed()  # an endless rule shows at its first mask
                self._compiled[grammar] = first
                if len(self._compiled) > KEPT:
                    self._compiled.popitem(last=False)
            self._compiled.move_to_end(grammar)
            return self._compiled[grammar].fork()


class Constraint:
    """A grammar beside one text. For one thread."""

    def __init__(self, vocabulary: Vocabulary, matcher: llguidance.LLMatcher) -> None:
        self.vocabulary, self._matcher = vocabulary, matcher
        self._bits: NDArray[np.uint8] | None = None  # the mask of this place
        if matcher.is_error():
            raise BadGrammar(_told(matcher.get_error()))

    def fork(self) -> "Constraint":
        """Another text that goes on from here."""
        return Constraint(self.vocabulary, self._matcher.deep_copy())

    def allowed(self) -> Tensor:
        """Which tokens may come next: bool [V]. Stop tokens may where the text can end here; where the next
        bytes are forced, only the first of `forced` may.

        Raises BadGrammar when there are none, or when the place is too complex to say.
        """
        mask = np.unpackbits(self._mask(), count=self.vocabulary.size, bitorder="little")
        return torch.from_numpy(mask.view(np.bool_))  # no copy, so no threads wake for it

    def allows(self, token: int) -> bool:
        """Whether `allowed` has this token. Raises as that does."""
        return bool(self._mask()[token >> 3] >> (token & 7) & 1)

    def _mask(self) -> NDArray[np.uint8]:
        """A bit for each token, from the lowest of the first byte on."""
        if self._bits is None:
            vocabulary = self.vocabulary
            bits = np.zeros((vocabulary.tokens.vocab_size + 31) // 32 * 4, np.uint8)
            self._matcher.unsafe_compute_mask_ptr(bits.ctypes.data, bits.size)
            if self._matcher.is_error():
                raise BadGrammar(_told(self._matcher.get_error()))
            if (end := vocabulary.own_end) is not None:
                bits[end >> 3] &= ~np.uint8(1 << (end & 7))
            if not bits.any():
                raise BadGrammar("no text can satisfy it")
            self._bits = bits
        return self._bits

    def fits(self, tokens: Sequence[int]) -> int:
        """How many of these tokens the grammar takes, one after the other."""
        return int(self._matcher.validate_tokens(list(tokens)))

    def accept(self, token: int) -> None:
        """The text goes on with this token. Raises BadGrammar for one that the grammar does not take."""
        self._bits = None
        if not self._matcher.consume_token(token):
            raise BadGrammar(_told(self._matcher.get_error()))

    def forced(self, most: int) -> list[int]:
        """Tokens, at most so many, of the bytes that the grammar leaves no choice about, as the tokenizer
        cuts them: drafts that are always right."""
        return list(self._matcher.compute_ff_tokens()[:most])

    @property
    def may_end(self) -> bool:
        """Whether the text satisfies the grammar as it stands."""
        return bool(self._matcher.is_accepting())

    @property
    def ended(self) -> bool:
        """Whether nothing can follow."""
        return bool(self._matcher.is_stopped())


def _told(error: str) -> str:
    """The parser's words, without its state."""
    words = " ".join(error.replace("<non-verbose/>", " ").split())[:300]
    return "no text can satisfy it" if words in ("", "NoExtensionBias") else words
