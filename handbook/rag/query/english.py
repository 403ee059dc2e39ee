"""What the rules of this stage know of English: words of closed classes, common verbs of questions, and where
a question's noun phrases stand.

No tagger: a phrase is a run of words that are of no closed class and no verb, as Rose et al. 2010 ("Automatic
Keyword Extraction from Individual Documents", section 1.2.1) cut keywords at stop words.
"""

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"`[^`]+`|[^\W_][\w']*(?:[-/+.][^\W_][\w']*)*|[^\w\s]")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ARTICLES = _words("a an the")
POINTERS = _words("this that these those")
DETERMINERS = ARTICLES | POINTERS | _words("my your our their its his her some any each every no all")
PREPOSITIONS = _words(
    "of in on at for with without by from to into onto over under during before after between among "
    "against through across within about like as than per via since until instead beyond above below "
    "behind"
)
AUXILIARIES = _words(
    "is are was were be been being am do does did have has had can could will would shall should may "
    "might must isn't aren't wasn't weren't don't doesn't didn't can't couldn't won't wouldn't "
    "shouldn't"
)
ASKING = _words("what which who whom whose when where why how")
PRONOUNS = _words(
    "i you he she it we they me him us them mine yours ours theirs itself themselves one ones there "
    "here something anything nothing everything someone anyone"
)
CONJUNCTIONS = _words("and or but nor so yet if because while whereas though although vs versus")
ADVERBS = _words(
    "not also only just even still then now again ever never always often usually really actually "
    "exactly very too much many more most less least few well better worse best worst same other else "
    "than rather quite so both either neither such long far fast soon ok okay yes please yesterday "
    "today first last next latter former thanks thank hello also away else once yet almost"
)
CLOSED = (
    ARTICLES | DETERMINERS | PREPOSITIONS | AUXILIARIES | ASKING | PRONOUNS | CONJUNCTIONS | ADVERBS
)  # fmt: skip

_LEMMAS = _words(
    "affect allow apply ask avoid become begin behave break bring build calculate call cause change "
    "choose come combine compare compute consist contain convert cost cut deal decide define depend "
    "describe detect differ do drop encode exist expect explain extend fail feed find fit follow get "
    "give go grow handle happen help hold implement improve increase interact introduce invent keep "
    "know last learn lead let list look lose lower make matter mean measure merge need outperform pay "
    "perform pick prefer prevent produce provide put reach reduce refer remain remember remove replace "
    "represent require return run save say scale see select serve set share show slow solve split stand "
    "start stay stop store suffer take tell think tune turn understand use want work write yield hurt "
    "speed replay compete extrapolate generalise generalize decrease limit differ raise rise shrink "
    "waste buy sell eat drink play read watch visit meet call send receive open close try"
)


def _forms(lemma: str) -> set[str]:
    stem = lemma[:-1] if lemma.endswith("e") else lemma
    plural = (
        lemma + "es"
        if re.search(r"(?:s|x|ch|sh|o)$", lemma)
        else re.sub(r"(?<=[^aeiou])y$", "ie", lemma) + "s"
    )
    past = re.sub(r"(?<=[^aeiou])y$", "i", stem) + "ed"
    return {lemma, plural, past, stem + "ing", stem + stem[-1] + "ed", stem + stem[-1] + "ing"}


VERBS = frozenset(form for lemma in _LEMMAS for form in _forms(lemma)) | _words(
    "became came broke brought built chose cut found gave given got grew kept knew known learnt lost made "
    "meant put ran said saw shown stood taken took thought told understood went wrote written held"
)

# Adjectives that say something of a noun in front of them: "is the cache large at".
PREDICATES = _words(
    "bad better big cheap common different difficult easy enough expensive good hard high important "
    "large long low necessary possible quick short slow small sure true useful wrong worth"
)
_NO_ADVERBS = _words("family assembly anomaly reply supply apply multiply monopoly assembly only")
# Heads that name a side of something, and not the thing: "the purpose of X" is about X.
SIDES = _words(
    "advantage alternative assumption benefit case complexity con cost definition detail difference "
    "disadvantage downside drawback effect example explanation formula goal idea impact implication "
    "input intuition kind limit limitation meaning number origin output part pitfall point problem pro "
    "proof purpose reason risk role side step tradeoff trade-off use usage value way weakness "
    "weaknesses strength"
)
# Nouns that stand for what was named before, with "this" or "that" in front.
STANDINS = _words(
    "algorithm approach architecture concept idea layer mechanism method metric model operation problem "
    "procedure process scheme setting step strategy system technique term thing trick topic way"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a mark: text[start:end]. low: in lower case."""

    text: str
    start: int
    end: int

    @property
    def low(self) -> str:
        return self.text.lower().replace("\u2019", "'")

    @property
    def is_word(self) -> bool:
        return self.text[0].isalnum() or self.text[0] == "`"


def tokens(text: str) -> list[Token]:
    """Words (with hyphens, points and apostrophes inside; code in backticks is one) and marks, in order."""
    return [Token(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(text)]


def singular(word: str) -> str:
    """A noun without its plural's ending, by Harman 1991 ("How effective is suffixing?", table 1: the S
    stemmer)."""
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    return word[:-1] if word.endswith("s") and not word.endswith(("us", "ss", "is")) else word


def plural(phrase: str) -> bool:
    """Whether a phrase stands for several: its last word ends like a plural, or it joins two with "and"."""
    return " and " in phrase or singular(phrase.split()[-1].lower()) != phrase.split()[-1].lower()


def name_like(word: str) -> bool:
    """Whether a word is written like a name: a capital after the first letter, a digit, or backticks."""
    return word.startswith("`") or any(c.isupper() for c in word[1:]) or any(c.isdigit() for c in word)


def content(text: str) -> list[str]:
    """Words of no closed class, in lower case and singular, in order; verbs are among them."""
    return [singular(token.low) for token in tokens(text) if token.is_word and token.low not in CLOSED]


def phrases(text: str) -> list[Token]:
    """Noun phrases, in order, as places in the text; verbs and closed classes end one. A verb's form counts
    as a noun behind an article, a pointer or a preposition other than "to" ("the use", "of scale")."""
    found: list[Token] = []
    run: list[Token] = []
    before = ahead = ""  # the word before this one, and before the run
    for token in [*tokens(text), Token(".", len(text), len(text))]:
        low = token.low
        noun = before in (DETERMINERS | PREPOSITIONS) - {"to"}
        verb = low in VERBS and not noun and not name_like(token.text)
        said_of = bool(run) and low in PREDICATES
        adverb = low.endswith("ly") and len(low) > 4 and low not in _NO_ADVERBS
        if token.is_word and low not in CLOSED and not verb and not said_of and not adverb:
            ahead = ahead if run else before
            run.append(token)
        elif run:
            how = len(run) == 1 and ahead == "how" and low in AUXILIARIES  # "how exact is"
            if not how and any(one.low not in PREDICATES for one in run):
                found.append(Token(text[run[0].start : run[-1].end], run[0].start, run[-1].end))
            run = []
        before = low
    return found
