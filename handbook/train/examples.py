"""From a conversation to what a model is trained on: token ids, and which of them it is to produce.

The model is trained on exactly what it meets when it is used: the text before an answer is encoded as the
prompt would be, and what counts is what it has to write from there on, up to the token that stops it. So a
template is checked as it is used: it must write every message, and what it writes of a conversation must
begin with what it writes of the first turns.

No pad token is needed: rows are packed (`packing`), and `padded` fills up with any id.

Book: model-training/fine-tuning-strategies
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from handbook.errors import ChatError, DataError
from handbook.model.template import ChatTemplate, Guarded
from handbook.records import Message, Role, Tool
from handbook.train.conversations import Conversation, Pair, Prompt, Turns, faults_of

if TYPE_CHECKING:
    from handbook.model.load import Loaded


@dataclass(frozen=True, slots=True)
class Example:
    """One document. counted[i]: whether tokens[i] is one that the model is trained to produce.

    The first token has nothing before it to be produced from, so it never is one, whatever counted says.
    Raises ValueError for no token, or lengths that differ.
    """

    tokens: tuple[int, ...]
    counted: tuple[bool, ...]

    def __post_init__(self) -> None:
        if not self.tokens or len(self.tokens) != len(self.counted):
            raise ValueError(
                f"an example has tokens and as many marks, got {len(self.tokens)} and {len(self.counted)}"
            )

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def weight(self) -> int:
        """Tokens that count: what a mean over tokens is divided by."""
        return sum(self.counted[1:])


def encode_conversation(loaded: "Loaded", conversation: Conversation, most: int | None = None) -> Example:
    """Its tokens, of which those of every assistant's turn count, with the token that ends it.

    most: tokens to keep, the first ones. Raises ChatError where the template can't be trained with or refuses
    the conversation, DataError where nothing counts in what is kept.
    """
    _sound(conversation)
    example = _encode(loaded, conversation.messages, 0, conversation.tools)
    return example if most is None else shortened(example, most)


def encode_pair(loaded: "Loaded", pair: Pair, most: int | None = None) -> tuple[Example, Example]:
    """The prompt with the chosen and with the rejected answer, of which the answers count. Raises as
    `encode_conversation`, and DataError where both are equal in what is kept."""
    _sound(pair)
    given = len(pair.prompt)
    chosen = _encode(loaded, pair.prompt + pair.chosen, given, pair.tools)
    rejected = _encode(loaded, pair.prompt + pair.rejected, given, pair.tools)
    return (chosen, rejected) if most is None else shortened_pair((chosen, rejected), most)


def encode_prompt(loaded: "Loaded", prompt: Prompt) -> list[int]:
    """What an answer is sampled after. Raises ChatError where the template refuses it."""
    _sound(prompt)
    guarded = _guarded(loaded, prompt.messages, prompt.tools)
    text = guarded.text(len(prompt.messages))
    _written(loaded, guarded, prompt.messages, text)
    return guarded.encode(text)


def _encode(loaded: "Loaded", messages: Turns, first: int, tools: Sequence[Tool]) -> Example:
    """Assistant's turns from message `first` on count."""
    guarded = _guarded(loaded, messages, tools)
    pieces: list[str] = []  # by turns what is given, what is to be produced
    done = ""
    for index in range(first, len(messages)):
        if messages[index].role != "assistant":
            continue
        before, after = guarded.text(index), guarded.text(index + 1, add_generation_prompt=False)
        if not (before.startswith(done) and after.startswith(before)):
            raise ChatError(
                f"The chat template writes what precedes turn {index + 1} in another way once that is there, "
                "so the model would be trained on what it never meets.",
                "Train on conversations with one answer, or give a template that only ever adds text.",
            )
        pieces += [before[len(done) :], after[len(before) :]]
        done = after
    _written(loaded, guarded, messages, done)
    tokens: list[int] = []
    counted: list[bool] = []
    for number, ids in enumerate(_ids(guarded, pieces)):
        end = 0
        if number % 2:
            if not ids:
                raise ChatError("The chat template writes nothing for an answer.", "Give another template.")
            end = next((at + 1 for at, token in enumerate(ids) if token in loaded.tokenizer.stops), len(ids))
        tokens += ids
        counted += [True] * end + [False] * (len(ids) - end)
    last = max(index for index, counts in enumerate(counted) if counts)  # nothing after it matters
    return Example(tuple(tokens[: last + 1]), tuple(counted[: last + 1]))


def _ids(guarded: Guarded, pieces: Sequence[str]) -> list[list[int]]:
    """Token ids of each piece. The whole text is encoded at once, as a prompt would be, where that has a
    boundary between tokens at the beginning of each piece; else each is encoded alone."""
    whole = guarded.encode("".join(pieces))
    found: list[list[int]] = []
    start, text = 0, ""
    for piece in pieces[:-1]:
        text += piece
        until = guarded.encode(text)
        if whole[: len(until)] != until:
            return [guarded.encode(piece) for piece in pieces]
        found.append(until[start:])
        start = len(until)
    return [*found, whole[start:]]


def _guarded(loaded: "Loaded", messages: Turns, tools: Sequence[Tool]) -> Guarded:
    if loaded.template is None:
        raise ChatError(
            f"{loaded.name} has no chat template, so conversations can't be written for it.",
            "Choose an instruct model, or give the base model a template.",
        )
    return Guarded(loaded.template, messages, loaded.tokenizer, tools)


def _written(loaded: "Loaded", guarded: Guarded, messages: Turns, text: str) -> None:
    """Raises ChatError where a message is not in what the template wrote."""
    assert loaded.template is not None
    dropped = _dropped(loaded.template, tuple(message.role for message in messages))
    text = text.replace(guarded.mark, "") if guarded.mark else text
    at = 0
    for number, message in enumerate(messages, 1):
        found = text.find(message.content.strip(), at)
        if found < 0 or number == dropped:
            raise ChatError(
                f"The chat template drops or changes the text of turn {number}, the {message.role}'s.",
                "Leave such turns out (a system's text may go to the user's), or give another template.",
            )
        at = found + len(message.content.strip())


@lru_cache(maxsize=256)
def _dropped(template: ChatTemplate, roles: tuple[Role, ...]) -> int:
    """Which of turns of these roles (from 1) it does not write, 0 for none. Found with words that no template
    has: a short text may be in its own."""
    turns = [Message(role, f"probe {number}.") for number, role in enumerate(roles, 1)]
    try:
        text = template.render(turns, add_generation_prompt=False)
    except ChatError:  # some want a call before a tool's answer
        return 0
    return next((number for number, turn in enumerate(turns, 1) if turn.content not in text), 0)


def shortened(example: Example, most: int) -> Example:
    """Its first tokens, at most so many. Raises DataError where none of them counts."""
    if len(example) <= most:
        return example
    cut = Example(example.tokens[:most], example.counted[:most])
    if not cut.weight:
        raise DataError(
            f"Of {len(example)} tokens the first {most} hold none that counts.", "Allow more tokens."
        )
    return cut


def shortened_pair(pair: tuple[Example, Example], most: int) -> tuple[Example, Example]:
    """Each of the two `shortened`. Raises DataError where they are equal then."""
    chosen, rejected = (shortened(example, most) for example in pair)
    if chosen == rejected:
        raise DataError(f"In the first {most} tokens chosen and rejected are equal.", "Allow more tokens.")
    return chosen, rejected


def _sound(record: Conversation | Pair | Prompt) -> None:
    if found := faults_of(record):
        raise DataError(f"The record can't be trained on: {'; '.join(found)}.", "Correct it.", tuple(found))
