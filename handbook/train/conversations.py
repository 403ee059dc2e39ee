"""What models are aligned with: conversations, pairs of answers, prompts; and what makes one unfit."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from handbook.records import Message, Tool

Turns = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns that end with an assistant's. line: where it stood in its file, 0 where it came from none."""

    messages: Turns
    tools: tuple[Tool, ...] = ()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two ways to go on after the prompt, of which people liked `chosen` better. Each is one assistant's turn
    or more, and ends with one."""

    prompt: Turns
    chosen: Turns
    rejected: Turns
    tools: tuple[Tool, ...] = ()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is to be answered. answer: the right one, for rewards that can be checked."""

    messages: Turns
    answer: str | None = None
    tools: tuple[Tool, ...] = ()
    line: int = field(default=0, compare=False)


def faults_of(record: Conversation | Pair | Prompt) -> list[str]:
    """All that makes a record unfit to train on. The system comes first, if at all, then a user, an assistant
    ends it, and nobody says nothing."""
    if isinstance(record, Conversation):
        return list(_faults(record.messages, len(record.messages)))
    if isinstance(record, Prompt):
        return list(_faults((*record.messages, Message("assistant", "...")), len(record.messages)))
    found = [*_faults(record.prompt + record.chosen, len(record.prompt), "chosen: ")]
    found += _faults(record.prompt + record.rejected, len(record.prompt), "rejected: ")
    if record.chosen == record.rejected:
        found.append("chosen and rejected are the same")
    return list(dict.fromkeys(found))  # those of the prompt are found twice


def _faults(turns: Turns, given: int, where: str = "") -> Iterator[str]:
    """given: turns of the prompt. where: which answer it is, said of the turns after these."""
    if not turns:
        yield "there are no turns"
        return
    for number, turn in enumerate(turns, 1):
        place = f"{where if number > given else ''}turn {number}, the {turn.role}'s,"
        if turn.role == "system" and number > 1:
            yield f"{place} should come first or not at all"
        if turn.role != "tool" and not turn.content.strip() and not turn.calls:
            yield f"{place} is empty"
    first = next((turn.role for turn in turns if turn.role != "system"), "user")
    if first != "user":
        yield f"the {first}'s turn comes first; a user's should"
    if turns[-1].role != "assistant":
        yield f"{where}ends with the {turns[-1].role}'s turn, which nothing answers"
    if given < len(turns):
        if turns[given].role != "assistant":
            yield f"{where}the answer begins with the {turns[given].role}'s turn"
        if given and turns[given - 1].role == "assistant":
            yield "the prompt ends with the assistant's turn"
