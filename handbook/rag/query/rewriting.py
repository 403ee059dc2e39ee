"""A question of a conversation, made to stand alone: "and how does it fail?" says what "it" is.

The task: Elgohary et al. 2019 ("Can You Unpack That? Learning to Rewrite Questions-in-Context"). Without a
chat model by rules, which know fragments ("and for LoRA?", `ellipsis`) and what points back (`pronouns`).
With one it writes, and what it wrote is taken only where its words are the conversation's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from handbook.chat import Chat
from handbook.errors import ChatError
from handbook.rag.query import ellipsis
from handbook.rag.query.asking import foreign, quoted, say
from handbook.rag.query.pronouns import candidates, pointed, resolved, sided
from handbook.records import Message

TURNS = 8  # of the conversation's end that are looked at
CUT = 500  # characters of a turn that a chat model is given
GROWN = 300  # characters that a model may add to a question
ADDED = 1  # content words of its own that a model's rewriting may have

TASK = (
    "You rewrite the last question of a conversation so that it can be understood alone. Put what "
    "pronouns and missing parts stand for in their place, change nothing else, and do not answer. If the "
    "question stands alone already, repeat it. Reply with the question only."
)

By = Literal["rule", "model", "nothing"]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """text: the question as it can be understood alone. by: what made it; "nothing" where it is as given."""

    given: str
    text: str
    by: By
    why: str
    cost: dict[str, float] = field(default_factory=dict)


def rewrite(question: str, history: Sequence[Message], chat: Chat | None = None) -> Rewritten:
    """The last question of a conversation, standing alone.

    A chat model is asked only where something was said before. Where it doesn't answer, or brings words
    that nobody said, the rules' result is taken, and `why` says so.

    Args:
        history: the turns before, oldest first.
    """
    turns = [turn for turn in history if turn.role in ("user", "assistant") and turn.content.strip()][-TURNS:]
    ruled = by_rule(question, turns)
    if chat is None or not turns:
        return ruled
    told = "\n".join(f"{turn.role}: {turn.content[:CUT]}" for turn in turns)
    try:
        said = say(chat, TASK, f"{quoted('conversation', told)}\n{quoted('question', question)}")
    except ChatError as error:
        return replace(ruled, why=f"{ruled.why}; the chat model gave nothing: {error.what}")
    text = said.lines[0] if said.lines else ""
    fault = _fault(text, question, [turn.content for turn in turns])
    if fault:
        return replace(ruled, why=f"{ruled.why}; the chat model's rewriting {fault}", cost=dict(said.cost))
    if text == question and ruled.by == "rule":
        return replace(ruled, why=f"{ruled.why}; the chat model saw nothing to do", cost=dict(said.cost))
    by: By = "nothing" if text == question else "model"
    return Rewritten(
        question, text, by, "written by the chat model, in words of the conversation", dict(said.cost)
    )


def by_rule(question: str, history: Sequence[Message]) -> Rewritten:
    """As `rewrite`, by rules alone. Earlier questions are resolved first, so that chains of "it" hold."""
    before = ""
    answers = ""
    for turn in history:
        if turn.role == "user":
            before = _one(turn.content.strip(), before, answers).text
        else:
            answers = turn.content
    return _one(question, before, answers)


def _one(question: str, before: str, answer: str) -> Rewritten:
    """A question after another one that stands alone (and what was answered to it)."""
    if not before:
        return Rewritten(question, question, "nothing", "nothing was asked before")
    if made := ellipsis.filled(question, before):
        return Rewritten(question, made[0], "rule", made[1])
    topics = candidates(before) or candidates(answer[:CUT])
    if not topics:
        return Rewritten(question, question, "nothing", "what was said before names nothing")
    made = _order(question, before) or resolved(question, topics, answer[:CUT]) or sided(question, topics)
    if made := made or pointed(question, topics, (before, answer[:CUT])):
        return Rewritten(question, made[0], "rule", made[1])
    return Rewritten(question, question, "nothing", "it stands alone")


def _order(question: str, before: str) -> tuple[str, str] | None:
    """ "Give me an example" is about the whole question before."""
    if not ellipsis.ORDER.fullmatch(question):
        return None
    return f"{question.rstrip(' ?.!')}: {before}", "an order without a subject is about the question before"


def _fault(text: str, question: str, said: Sequence[str]) -> str:
    """What is wrong with a model's rewriting, '' for nothing."""
    if not text:
        return "was empty"
    if len(text) > len(question) + GROWN:
        return "was far longer than the question"
    if len(own := foreign(text, [question, *said])) > ADDED:
        return f"brought words that nobody said ({', '.join(own[:3])})"
    return ""
