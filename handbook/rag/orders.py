"""Which sentences of a document give orders to whoever reads it for a model. They are no evidence.

A document is data, also where it says otherwise: Greshake et al. 2023 (arXiv:2302.12173, section 3) call text
that speaks to the model behind an application indirect prompt injection. No list of wordings is complete, so
nothing here makes a document safe. It keeps the known wordings out of prompts and out of what an answer may
rest on; all that a model writes is checked besides (`handbook.rag.support`).

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import re
import unicodedata
from collections.abc import Sequence

_START = r"(?:^\W*|[.:;!?>\])\"'*]\s*|\b(?:please|now|must|should|shall|you|and|then|to|also|just)\s+)"
_RULES = (
    r"(?:instruction|prompt|rule|direction|guideline|command|order|context|passage|source|safety|training)"
)
_WHO = r"(?:ai|assistant|language model|chat ?bot|chatgpt|gpt|llm|ai model|ai system|ai assistant)"
_SAYING = (
    r"(?:say|answer|reply|respond|tell|output|print|write|repeat|state|claim|recommend|cite|include|mention)"
)

# What only an order to a model says. What follows it in the same paragraph belongs to it.
_STRONG = re.compile(
    rf"{_START}(?:ignore|disregard|forget|override|bypass|discard)\b[^.!?]{{0,60}}?"
    rf"\b(?:all|any|your|my|the|these|those|previous|prior|above|earlier|other)\b[^.!?]{{0,40}}?{_RULES}s?\b"
    rf"|<\s*\|?\s*/?\s*(?:system|im_start|im_end|im_sep|assistant|user|endoftext|eot_id|start_header_id)\b"
    rf"|<\s*/?\s*passage\b|\[/?INST\]|<</?SYS>>|#{{2,}}\s*(?:system|instructions?|response|assistant)\b\s*:?\s*$"
    rf"|(?:^|<!--|[.;!?>(\[{{])\W*(?:system|assistant|developer)(?: (?:message|prompt|note|override))?\s*:\s*"
    rf"(?=(?:you|your|ignore|from|always|never|do|don't|{_SAYING}|new|the (?:user|answer|assistant))\b)"
    rf"|\byou are (?:now )?(?:an? |the )?(?:\w+ ){{0,2}}{_WHO}\b"
    rf"|\b(?:new|updated|real|actual|hidden) (?:system )?(?:instructions?|prompt)\s*:"
    rf"|\b(?:dear |attention |note to (?:the |any )?|message (?:to|for) (?:the |any )?|if you are an? )"
    rf"{_WHO}\b"
    rf"|\b{_WHO}s?\s*(?:must|should|shall|has to|have to)\b[^.!?]{{0,40}}\b{_SAYING}\b"
    rf"|\b(?:reveal|print|repeat|show|output|leak|send)\b[^.!?]{{0,30}}"
    rf"\b(?:system prompt|your (?:instructions|prompt))\b"
    rf"|\bfrom now on,? (?:you|always|never|{_SAYING})\b",
    re.IGNORECASE | re.MULTILINE,
)
# What an order says too; the sentence alone is left out.
_WEAK = re.compile(
    rf"^\W*(?:please |always |only |just |now )*{_SAYING}\b(?! as in\b)[^.!?]{{0,30}}?"
    rf"(?:\bthat\b|\bonly\b|\bthe (?:user|reader)\b|\bthis (?:passage|document|page|source|text)\b"
    rf"|:\s*[\"'\u201c])"
    rf"|\b(?:do not|don't|never|must not)\s+(?:\w+ )?(?:{_SAYING}|reveal|trust)\b[^.!?]{{0,40}}"
    rf"\b(?:user|other (?:passages?|sources?|documents?)|passages?|these instructions|this instruction)\b"
    rf"|\b(?:end|begin|start|finish)\b[^.!?]{{0,20}}"
    rf"\b(?:your|each|every|the) (?:answer|reply|response|sentence)s?\b"
    rf"|\byour (?:answer|reply|response|output)\s+(?:must|should|has to|shall|is)\b"
    rf"|\b(?:cite|quote|use|trust|prefer|rely on)\b[^.!?]{{0,30}}\bthis (?:passage|document|source|page)\b"
    rf"|\bthis (?:passage|document|source|page)\b[^.!?]{{0,40}}\b(?:overrides|outranks|must be (?:cited|used|"
    rf"trusted|believed)|is the only (?:true|trusted|correct|reliable|authoritative))\b",
    re.IGNORECASE,
)
_BREAK = "\n\n"


def orders(text: str, spans: Sequence[tuple[int, int]]) -> frozenset[int]:
    """Which of a text's sentences are part of an order, by number. spans: of the sentences in the text."""
    found, given_until = set(), -1
    for number, (start, end) in enumerate(spans):
        plain = _plain(text[start:end])
        if start < given_until:
            found.add(number)
        elif _STRONG.search(plain):
            found.add(number)
            stop = text.find(_BREAK, end)
            given_until = len(text) if stop < 0 else stop
        elif _WEAK.search(plain):
            found.add(number)
    return frozenset(found)


def _plain(text: str) -> str:
    """Without what hides letters from a pattern and not from a model: forms, marks that can't be seen."""
    folded = unicodedata.normalize("NFKC", text)
    return "".join(c for c in folded if unicodedata.category(c) != "Cf").replace("\u2019", "'")
