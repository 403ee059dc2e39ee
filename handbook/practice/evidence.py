"""What of an answer can be evidence, by rules that need no model.

No list is complete. Rules refuse what they know (an echo, keywords in a row, an order to the grader), so that
no model has to be trusted with it; and what they refuse can carry no yes, whoever grades.
"""

import re
from dataclasses import dataclass, replace

from handbook.practice.pieces import READ, SENTENCES, Piece, clauses, pairs, sentences
from handbook.rag.language import language_of
from handbook.rag.orders import orders
from handbook.records import Question

ECHO = 0.8  # share of a piece's content words that stand in the question
ROW, FIGURED = 6, 12  # words without a sentence around them that are keywords; with figures among them
ENGLISH = 0.07  # share of words that are English and hardly another language's
FOREIGN = 0.3  # share of letters of other scripts

STOP = frozenset(
    re.findall(
        r"[a-z']+",
        """
        a about above after again all also an and any are as at be because been before being below between
        both but by can cannot could did do does doing don't down during each either else ever every few for
        from further had has have having he her here hers him his how i if in into is isn't it its itself
        just least less like may me might more most must my near never no nor not now of off often on once
        one only or other our out over own per rather same shall she should since so some still such than
        that that's the their them then there these they this those though through thus to too under until
        up upon us use used very via was we well were what when where whether which while who whom whose why
        will with within without would you your yes ok okay it's we'd i'd i'm we're you're let lets get gets
        """,
    )
)
_GREEK = re.compile("[\u0370-\u03ff\u1f00-\u1fff]{3}")
_STRANGE = re.compile(
    "[\u0400-\u1cff\u2d30-\ud7ff\uf900-\ufdff\ufe70-\uffdc]"
)  # letters, not of Latin or Greek
_LETTERS = re.compile(r"(?<![\w^'\u2019])[^\W\d_]{2,}(?![\w'\u2019])")
_ENGLISH = STOP - set(  # words that mean something in another language, too
    re.findall(
        r"\w+",
        """
        a am an as at be but do does have he her him his i if in just may me more my no nor of off on one or
        other our per same she so some such than then up us use very via was we well what who will you
        """,
    )
) | {"of"}
_VERBISH = re.compile(r"^(?:\w{2,}(?:ed|ing|es)|is|are|needs?|takes?|grows?|reads?|keeps?|makes?)$")
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_SYMBOL = re.compile(r"[=<>≈≤≥→⇒∝\u00d7·+/^~%±]|->|=>|\d")
_RELATION = re.compile(r"[=<>≈≤≥→⇒∝:]|->|=>")
_VERDICTS = re.compile(
    r"\b(?:mark|grade|score|rate|judge|count|treat|consider|accept|give)\b[^.!?]{0,40}"
    r"\b(?:criteri\w+|rubric|full (?:marks|score|credit|points)|as (?:met|correct|complete|fulfilled|passed)"
    r"|top (?:score|marks)|maximum|100 ?%|all (?:points|yes))\b"
    r"|\b(?:all|every|each|these|the)\b[^.!?]{0,20}\bcriteri(?:a|on)\b[^.!?]{0,30}"
    r"\b(?:met|satisfied|fulfilled|yes|true|passed)\b"
    r"|\b(?:this|my|the) (?:answer|response|candidate|submission)\b[^.!?]{0,30}"
    r"\b(?:correct|complete|perfect|right|excellent|meets|covers|contains all|deserves|passes|satisfies)\b"
    r"|\b(?:dear|hey|hello|attention|note (?:to|for)),? (?:the )?(?:grader|judge|examiner|evaluator|marker)\b"
    r"|<!--|^\s*#+\s*(?:rubric|grading|criteri|system|scor)|\[(?:assistant|system|user|grader)\]\s*:"
    r"|\bgrader\s*[:=]|\bscore\s*=\s*\d"
    r"|\bverdict\b\W{0,4}\byes\b|\"(?:verdict|score|met)\"\s*:",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:that|this|which|it)(?:'s| is| was| would be) (?:simply |just |plainly |clearly |completely )?"
    r"(?:wrong|false|untrue|not (?:true|right|so|the case|correct)|a (?:myth|mistake|misconception)|incorrect"
    r"|nonsense)"
    r"|\bit is (?:not|in)(?: true| correct|correct) that\b"
    r"|\bit(?:'s| is) (?:wrong|false|a myth) (?:to|that)\b"
    r"|\b(?:people|those|anyone|everyone|colleagues) who (?:say|claim|think|believe|argue)s?\b"
    r"|\b(?:some|many|most|other)? ?(?:people|folks|colleagues|textbooks|they)\b "
    r"(?:often |sometimes |might )?"
    r"(?:say|claim|think|believe|argue)s?\b"
    r"|\b(?:it is|it's) (?:claimed|said|believed|possible|rumou?red)\b that|\bthe claim that\b"
    r"|\bi (?:don't|do not|wouldn't|would not) (?:think|believe|say|agree)\b",
    re.IGNORECASE,
)
_WAYS = (
    (
        "higher|more|up|larger|bigger|greater|faster|better|rises?|increases?|grows?|long(?:er)?|yes|helps?|compute"
    ),
    ("lower|less|fewer|down|smaller|slower|worse|falls?|decreases?|shrinks?|short(?:er)?|no|hurts?|memory"),
)
_BOTH = re.compile(
    rf"\b(?:(?:{_WAYS[0]})\b[^.;]{{0,12}}\bor (?:\w+ ){{0,2}}(?:{_WAYS[1]})"
    rf"|(?:{_WAYS[1]})\b[^.;]{{0,12}}\bor (?:\w+ ){{0,2}}(?:{_WAYS[0]}))\b"
    r"|\b(?:or|and) (?:maybe |perhaps |possibly |sometimes )?"
    r"(?:the (?:opposite|reverse|contrary|other way(?: a?round)?)|vice versa|not)\b(?=[.,;!]|$)"
    r"|\b(?:may|might|could|can) or (?:may|might|could|can) ?not\b"
    r"|\b(?:it|this|that) (?:could|can|might|may) go either way\b|\bhard to (?:say|tell)\b",
    re.IGNORECASE,
)
_ASKING = re.compile(r"^(?:asks|would|questions|proposes|says which|checks)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer as it can be judged. spoken: nothing stands against grading it ("" or why not). foreign: it
    is in another language than English, so a grader that reads English alone should say nothing of it.

    sentences: all of them, weak ones too. pieces: sentences, clauses and pairs. barred: places that can carry
    no yes.
    """

    question: Question
    answer: str
    sentences: tuple[Piece, ...]
    pieces: tuple[Piece, ...]
    barred: tuple[tuple[int, int], ...]
    nothing: str = ""
    foreign: str = ""
    notes: tuple[str, ...] = ()

    def carries(self, start: int, end: int) -> bool:
        """Whether a yes may rest on answer[start:end]: there is something there that no rule refuses."""
        left = [True] * max(0, end - start)
        for low, high in self.barred:
            for place in range(max(low, start), min(high, end)):
                left[place - start] = False
        kept = "".join(c if keep else " " for c, keep in zip(self.answer[start:end], left, strict=True))
        return bool(_TOKEN.search(kept)) and sum(left) * 2 > end - start


def content(text: str) -> list[str]:
    """Stems of the words that mean something, in order."""
    return [stem(word) for word in _TOKEN.findall(text.lower()) if word not in STOP]


def stem(word: str) -> str:
    """Without the commonest endings; enough to tell whether two words are one."""
    for ending in ("ations", "ation", "ingly", "ings", "ing", "edly", "ies", "ed", "es", "s", "ly", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word


def read(question: Question, answer: str) -> Reading:
    """Never raises. Reads at most READ characters and SENTENCES sentences."""
    notes: list[str] = []
    if not answer.strip():
        return Reading(question, answer, (), (), (), "The answer is empty.", notes=("The answer is empty.",))
    foreign = _foreign(answer[:READ])
    found = _flagged(question, sentences(answer), bool(foreign))
    if len(answer) > READ or len(found) == SENTENCES:
        end = found[-1].end if found else 0
        notes.append(f"It is long: {end:,} of {len(answer):,} characters were read.")
    for weak, note in _NOTES.items():
        if any(piece.weak == weak for piece in found):
            notes.append(note)
    nothing = _nothing(answer, found)
    if nothing:
        notes.append(nothing)
    pieces = [*found, *(part for one in found for part in clauses(one)), *pairs(found, answer)]
    barred = tuple((piece.start, piece.end) for piece in found if piece.weak in _BARRING)
    return Reading(question, answer, tuple(found), tuple(pieces), barred, nothing, foreign, tuple(notes))


ORDER = "It speaks to the grader."
ECHOED = "It repeats the question."
AGAIN = "It was said before."
ROWS = "Words in a row are not a statement."
DENIED = "It says what others say, or that it is wrong."
ASKED = "It asks."
HEDGED = "It says both."
_NOTES = {
    ORDER: "A sentence speaks to the grader; it was left out.",
    ECHOED: "It repeats the question, which is no evidence.",
    ROWS: "Some of it is keywords without a sentence.",
}
_BARRING = (ORDER, ECHOED, AGAIN)


def _flagged(question: Question, found: list[Piece], foreign: bool) -> list[Piece]:
    asked = set(content(question.prompt))
    seen: set[str] = set()
    flagged = []
    for piece in found:
        told = orders(piece.text, [(0, len(piece.text))]) or _VERDICTS.search(piece.text)
        weak = ORDER if told else _weak(piece.text, asked)
        if weak == ROWS and foreign:
            weak = ""
        key = " ".join(_TOKEN.findall(piece.text.lower()))
        if not weak and key in seen:
            weak = AGAIN
        seen.add(key)
        flagged.append(replace(piece, weak=weak) if weak else piece)
    return flagged


def _weak(text: str, asked: set[str]) -> str:
    stems = content(text)
    new = [each for each in stems if each not in asked]
    if (
        len(stems) >= 5
        and 1 - len(new) / len(stems) >= ECHO
        and not any(any(map(str.isdigit, w)) for w in new)
    ):
        return ECHOED
    if _is_row(text):
        return ROWS
    if _DENIED.search(text):
        return DENIED
    if _BOTH.search(text):
        return HEDGED
    return ASKED if text.rstrip(" )\"'").endswith("?") else ""


def _is_row(text: str) -> bool:
    """Keywords: many words, next to none that join them, no signs that relate them."""
    words = _TOKEN.findall(text.lower())
    if len(words) < (FIGURED if any(map(str.isdigit, text)) else ROW) or _RELATION.search(text):
        return False
    joined = sum(word in STOP for word in words) + sum(bool(_VERBISH.match(word)) for word in words)
    listed = re.split(r"[,;|\n]", text)
    if len(listed) >= ROW and all(len(part.split()) <= 3 for part in listed):
        return True
    return joined <= len(words) // 12


def _nothing(answer: str, found: list[Piece]) -> str:
    """Why there is nothing to judge; "" where there is."""
    if not any(not piece.weak or piece.weak in (DENIED, HEDGED, ASKED, ROWS) for piece in found):
        return "Nothing in it is an answer: it repeats the question or speaks to the grader."
    stems = content(answer[:READ])
    if _SYMBOL.search(answer[:READ]):
        return ""
    empty = {
        "fine",
        "good",
        "know",
        "sure",
        "idea",
        "answer",
        "great",
        "correct",
        "thing",
        "don't",
        "think",
        "n",
    }
    if len(set(stems) - empty) < 2:
        return "It is too short to say anything."
    return ""


def _foreign(text: str) -> str:
    strange = len(_STRANGE.findall(text))
    if strange >= 4 and strange > FOREIGN * sum(c.isalpha() for c in text):
        return "another script"
    words = _LETTERS.findall(text)  # notes are full of single letters, which are words in some languages
    english = sum(word.lower() in _ENGLISH for word in words)
    if english >= 2 and english >= ENGLISH * len(words):
        return ""
    found = language_of(" ".join(words))
    greek = found == "el" and not _GREEK.search(text)  # letters of formulas
    return "" if greek or found in ("", "en") else found


def may_ask(criterion: str) -> bool:
    """Whether a criterion asks for a question, so that one is an answer to it."""
    return bool(_ASKING.match(criterion))
