"""The shared nouns. Frozen, and without behaviour beyond what can be derived from their fields."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]
Level = Literal["foundation", "senior", "lead", "architect"]
Kind = Literal["explain", "derive", "debug", "design", "estimate", "judge-tradeoff"]
Verdict = Literal["yes", "no", "unclear"]


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that a model may call. parameters: a JSON Schema of the object that it takes."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool. arguments: a JSON object, written out."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. calls: of an assistant. answers: a tool's turn names the call that it
    answers, by its id."""

    role: Role
    content: str
    calls: tuple[ToolCall, ...] = ()
    answers: str = ""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn.

    temperature 0 is greedy; top_k 0, top_p 1, min_p 0, repetition_penalty 1 and the other penalties 0 switch
    those off. logit_bias: token id -> what is added to its logit. stop: texts that end it.
    """

    max_tokens: int = 256
    temperature: float = 0.7
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and seconds of one reply. A remote server's times are measured from here."""

    prompt_tokens: int
    completion_tokens: int
    prefill_seconds: float
    decode_seconds: float

    @property
    def tokens_per_second(self) -> float:
        return self.completion_tokens / self.decode_seconds if self.decode_seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a reply. The last one carries the usage (and usually no text)."""

    text: str
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A text that can be retrieved from: here a chapter, a question set or a module of code."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage with an address. `url` is where a person reads it: `/book/<part>/<slug>#<anchor>` of the
    book, `/corpora/<name>/passage/<id>` of somebody's documents (kind "document", without an anchor)."""

    id: str
    document: str
    anchor: str
    title: str
    text: str
    url: str
    kind: Literal["paragraph", "question", "code", "document"] = "paragraph"


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk with the scores that brought it. A score is None where that retriever did not return it.

    dense: cosine similarity, -1 to 1. lexical: BM25, 0 and up. score: fused; only its order means anything.
    """

    chunk: Chunk
    score: float
    dense: float | None = None
    lexical: float | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage that a sentence rests on, and how well it does (cosine similarity, -1 to 1)."""

    chunk: Chunk
    score: float


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer. Supported means: each citation exists and at least one carries it."""

    text: str
    citations: tuple[Citation, ...]
    supported: bool


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two sentences of different sources that can't both be right. about: their common subject, in their
    words. why: what differs ("5 mg" and "50 mg"; one denies it), in words."""

    one: Citation
    other: Citation
    about: str
    why: str


@dataclass(frozen=True, slots=True)
class Step:
    """What a stage did, for the trace: what it received and produced, in words and numbers that can be shown,
    and the seconds it took. stage: ingest, chunk, embed, index, understand, retrieve, fuse, rerank, pack,
    synthesize or evaluate, with a part of it after a dot where there is one ("understand.spell"). cost: what
    else it used (tokens, calls, bytes), by name."""

    stage: str
    received: Mapping[str, object]
    produced: Mapping[str, object]
    seconds: float
    cost: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a corpus says to a question, or a refusal with the nearest passages.

    timings: seconds by stage. steps: the same stages, with what each received and produced. corpus: "book" or
    the name of one's own. conflicts: between the sources that were found.
    """

    question: str
    sentences: tuple[Sentence, ...]
    refused: bool
    hits: tuple[Hit, ...]
    confidence: float
    timings: Mapping[str, float] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    corpus: str = "book"
    conflicts: tuple[Conflict, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)


@dataclass(frozen=True, slots=True)
class Criterion:
    """One yes-or-no thing that an answer shows. `yes` says what a yes needs."""

    id: str
    yes: str
    weight: float = 1.0
    must: bool = False


@dataclass(frozen=True, slots=True)
class Misconception:
    """A wrong statement that people make, why it tempts them, and what is true."""

    wrong: str
    tempts: str
    correction: str


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What an interviewer asks next, and the criterion that it probes."""

    ask: str
    criterion: str


@dataclass(frozen=True, slots=True)
class Question:
    """An interview question with its rubric. `anchor` is the paragraph of the chapter that answers it."""

    id: str
    chapter: str
    level: Level
    kind: Kind
    prompt: str
    answer: str
    criteria: tuple[Criterion, ...]
    misconceptions: tuple[Misconception, ...]
    follow_ups: tuple[FollowUp, ...]
    anchor: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether an answer meets a criterion. A yes has a quote: answer[start:end] of the answer, verbatim.

    met: probability, 0 to 1, that the criterion is met, as its grader sees it, calibrated. confidence: that
    the verdict is right. start, end: -1 where nothing is quoted. by: the grader's name, or "person". weight,
    must: the criterion's, so that a score can be computed from judgements alone.
    """

    criterion: str
    verdict: Verdict
    quote: str = ""
    start: int = -1
    end: int = -1
    met: float = 0.5
    confidence: float = 0.0
    why: str = ""
    by: str = ""
    weight: float = 1.0
    must: bool = False


@dataclass(frozen=True, slots=True)
class Recognised:
    """A misconception of the question, by its place in it, that an answer makes, and where."""

    misconception: int
    quote: str
    start: int
    end: int
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class Grade:
    """What an answer to a question is worth, criterion by criterion. The score is computed, never asked for.

    notes: what was noticed of the answer as a whole ("it repeats the question"). seconds: to grade it.
    """

    question: str
    answer: str
    judgements: tuple[Judgement, ...]
    misconceptions: tuple[Recognised, ...] = ()
    grader: str = ""
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def low(self) -> float:
        """Share of the weight that is met, 0 to 1, what is unclear counted as not met."""
        return self._share(("yes",))

    @property
    def high(self) -> float:
        """The same, what is unclear counted as met."""
        return self._share(("yes", "unclear"))

    @property
    def score(self) -> float | None:
        """Share of the weight that is met; None while something is unclear."""
        return None if self.open else self.low

    @property
    def open(self) -> tuple[str, ...]:
        """Criteria that wait for a person."""
        return tuple(each.criterion for each in self.judgements if each.verdict == "unclear")

    def _share(self, verdicts: tuple[str, ...]) -> float:
        total = sum(each.weight for each in self.judgements)
        met = sum(each.weight for each in self.judgements if each.verdict in verdicts)
        return met / total if total else 0.0
