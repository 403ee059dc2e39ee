"""The formats that people have their data in, read into conversations, pairs and prompts.

    messages            messages: a list of role and content (OpenAI's)
    sharegpt            conversations: a list of from and value
    alpaca              instruction, input, output (Taori et al. 2023); history: earlier questions and answers
    prompt-completion   prompt, completion: texts or messages
    preference          prompt, chosen, rejected: texts or messages
    implicit            chosen, rejected: lists of messages that begin with the same ones, the prompt

`messages`, `conversations` and `instruction` with chosen and rejected are pairs, too, as LLaMA-Factory
writes them (Zheng et al. 2024, arXiv:2403.13372); `system` and `tools` may stand in any. The format is found
from the first record that fits one, or named.

Book: model-training/fine-tuning-strategies
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from handbook.errors import DataError
from handbook.records import Message
from handbook.train.conversations import Conversation as Conversation
from handbook.train.conversations import Pair as Pair
from handbook.train.conversations import Prompt as Prompt
from handbook.train.conversations import Turns, faults_of
from handbook.train.lines import FORMATS, Faults, Json, lines_of, listed
from handbook.train.turns import Say, text_of, tools_of, turn_of, turns_of

Record = TypeVar("Record", Conversation, Pair, Prompt)
Make = Callable[[Json, int, Say], Any]
First = Callable[[Json, Say], Turns]  # a row's turns before the answer


@dataclass(frozen=True, slots=True)
class Scan(Generic[Record]):
    """What could be read, in order, and what could not: the first faults, and how many there are."""

    records: tuple[Record, ...]
    form: str
    faults: tuple[str, ...]
    count: int


def read_conversations(path: Path | str, form: str | None = None) -> tuple[Conversation, ...]:
    """Raises DataError with all faults by line, the first twenty written out."""
    return _whole(Path(path), Conversation, form)


def read_pairs(path: Path | str, form: str | None = None) -> tuple[Pair, ...]:
    """Raises DataError as `read_conversations`."""
    return _whole(Path(path), Pair, form)


def read_prompts(path: Path | str, form: str | None = None) -> tuple[Prompt, ...]:
    """Raises DataError as `read_conversations`. Where the turns end with an answer, it is left out."""
    return _whole(Path(path), Prompt, form)


def scan(path: Path, kind: type[Record], form: str | None = None) -> Scan[Record]:
    """Read what can be read. Raises DataError where the file as a whole can't be: it is missing, is of no
    known format, or has no record; ValueError for an unknown `form`."""
    forms = _FORMS[kind]
    if form is not None and form not in forms:
        raise ValueError(f"formats of a {kind.__name__.lower()} are {', '.join(forms)}, got {form!r}")
    faults, records = Faults(), list[Record]()
    unfit: list[tuple[int, Json]] = []
    for line, row in lines_of(path, COLUMNS, faults):
        if form is None:
            form = next((name for name, (keys, _) in forms.items() if _has(row, keys)), None)
            if kind is Conversation and _has(row, BOTH):
                raise DataError(
                    f"{path} holds pairs of a chosen and a rejected answer (line {line}), no conversations.",
                    "Train on them with dpo, orpo or reward.",
                )
            if form is None:
                unfit.append((line, row))
                continue
            for earlier, misfit in unfit:
                faults.add(earlier, f"has {_keys(misfit)}, which is not {form}")
        said: list[str] = []
        record = forms[form][1](row, line, said.append)
        for what in said or (found := faults_of(record)):
            faults.add(line, what)
        if not said and not found:
            records.append(record)
    if form is None and unfit:
        wanted = "; ".join(f"{', '.join(keys)} ({name})" for name, (keys, _) in forms.items())
        raise DataError(
            f"{path} is of no known format: {faults.unit} {unfit[0][0]} has {_keys(unfit[0][1])}.",
            f"A {kind.__name__.lower()} has {wanted}.",
        )
    if not records and not faults.count:
        raise DataError(f"{path} holds no record.", FORMATS)
    return Scan(tuple(records), form or "", tuple(faults.kept), faults.count)


def _whole(path: Path, kind: type[Record], form: str | None) -> tuple[Record, ...]:
    read = scan(path, kind, form)
    if read.count:
        more = f", the first {len(read.faults)}" if read.count > len(read.faults) else ""
        what = f"{path} has {read.count} fault{'s' * (read.count > 1)}{more}:"
        raise DataError(
            listed(what, read.faults),
            f"Correct or remove them; {len(read.records)} records are sound.",
            read.faults,
            read.count,
        )
    return read.records


def _listed(key: str) -> First:
    """Turns in a list, after `system`. Many files say `system: ""` for none."""

    def first(row: Json, say: Say) -> Turns:
        turns = turns_of(row.get(key), key, say)
        empty = bool(turns) and turns[0].role == "system" and not turns[0].content.strip()
        return _system(row, say) + turns[empty:]

    return first


def _asked(key: str) -> First:
    """A text that a user asked, or turns in a list."""

    def first(row: Json, say: Say) -> Turns:
        if isinstance(row.get(key), list):
            return _listed(key)(row, say)
        return (*_system(row, say), Message("user", text_of(row, key, say)))

    return first


def _alpaca(row: Json, say: Say) -> Turns:
    """instruction and input with a blank line between, after `history`."""
    turns = list(_system(row, say))
    history = row.get("history")
    for number, pair in enumerate(
        history if isinstance(history, list) else [history] * (history is not None), 1
    ):
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(each, str) for each in pair):
            turns += [Message("user", pair[0]), Message("assistant", pair[1])]
        else:
            say(f"history, {number} should be a list of two texts")
    asked = (text_of(row, "instruction", say), text_of(row, "input", say, needed=False))
    return (*turns, Message("user", "\n\n".join(text for text in asked if text.strip())))


def _shared(row: Json, say: Say) -> Turns:
    """The turns that both answers begin with."""
    one, other = (turns_of(row.get(key), key, say) for key in BOTH)
    same = next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    if not same:
        say("there is no prompt: chosen and rejected begin with no turn in common")
    return one[:same]


def _system(row: Json, say: Say) -> Turns:
    text = text_of(row, "system", say, needed=False)
    return (Message("system", text),) if text.strip() else ()


def _answer(row: Json, key: str, prompt: Turns, say: Say) -> Turns:
    """What follows the prompt: a text, a turn or a list of turns, which may repeat the prompt."""
    value = row.get(key)
    if isinstance(value, dict):
        return (turn_of(value, f"{key}: ", say),)
    if not isinstance(value, list):
        return (Message("assistant", text_of(row, key, say)),)
    turns = turns_of(value, key, say)
    return turns[len(prompt) :] if prompt and turns[: len(prompt)] == prompt else turns


def _conversation(first: First, key: str = "") -> Make:
    def make(row: Json, line: int, say: Say) -> Conversation:
        prompt = first(row, say)
        answer = _answer(row, key, prompt, say) if key else ()
        return Conversation(prompt + answer, tools_of(row, say), line)

    return make


def _pair(first: First) -> Make:
    def make(row: Json, line: int, say: Say) -> Pair:
        prompt = first(row, say)
        chosen, rejected = (_answer(row, key, prompt, say) for key in BOTH)
        return Pair(prompt, chosen, rejected, tools_of(row, say), line)

    return make


def _prompt(first: First) -> Make:
    def make(row: Json, line: int, say: Say) -> Prompt:
        turns = first(row, say)
        while turns and turns[-1].role == "assistant":
            turns = turns[:-1]
        answer = row.get("answer")
        if answer is not None:
            number = isinstance(answer, int | float) and not isinstance(answer, bool)
            answer = str(answer) if number else text_of(row, "answer", say)
        return Prompt(turns, answer, tools_of(row, say), line)

    return make


def _has(row: Json, keys: tuple[str, ...]) -> bool:
    return all(row.get(key) is not None for key in keys)


def _keys(row: Json) -> str:
    return ", ".join(repr(key[:40]) for key in list(row)[:12]) or "no keys"


BOTH = ("chosen", "rejected")
COLUMNS = (
    *("messages", "conversations", "instruction", "input", "output", "history", "prompt", "completion"),
    *("question", "answer", *BOTH, "system", "tools"),
)
_FIRST: dict[str, tuple[str, First]] = {
    "messages": ("messages", _listed("messages")),
    "sharegpt": ("conversations", _listed("conversations")),
    "alpaca": ("instruction", _alpaca),
    "preference": ("prompt", _asked("prompt")),
    "question": ("question", _asked("question")),
}
_FORMS: dict[type, dict[str, tuple[tuple[str, ...], Make]]] = {
    Conversation: {
        "messages": (("messages",), _conversation(_listed("messages"))),
        "sharegpt": (("conversations",), _conversation(_listed("conversations"))),
        "alpaca": (("instruction", "output"), _conversation(_alpaca, "output")),
        "prompt-completion": (("prompt", "completion"), _conversation(_asked("prompt"), "completion")),
    },
    Pair: {name: ((key, *BOTH), _pair(first)) for name, (key, first) in _FIRST.items()}
    | {"implicit": (BOTH, _pair(_shared))},
    Prompt: {name: ((key,), _prompt(first)) for name, (key, first) in _FIRST.items()},
}
