"""A criterion as a statement about the world. Pure; the local grader's model is trained on these, too.

A criterion says what an answer does: "Says that decode is limited by memory". A model that was taught whether
one text says another needs what is said: "Decode is limited by memory." Criteria that ask for something done
("Checks the rendered template") become the advice ("Check the rendered template."), results the result, and
names of things a sentence about the thing.

    >>> statement("Says that the output is a mean of the values.")
    'The output is a mean of the values.'
    >>> statement("Gets weights of about 0.88 and 0.12.")
    'The result is weights of about 0.88 and 0.12.'
    >>> statement("Names memory for all experts as the price.")
    'Memory for all experts is the price.'
"""

import re

_SAYING = (
    "says|states|explains|shows|concludes|notes|mentions|argues|finds|sees|warns|derives|computes|names"
    "|suspects"
)
_THAT = re.compile(
    rf"^(?:{_SAYING})(?: (?:or|and) (?:{_SAYING}))?"
    r"(?: plainly| openly| by numbers| by an example| as an invariant)? that ",
    re.I,
)
_LATER_THAT = re.compile(rf"(,? (?:or|and)) (?:{_SAYING}) that ")
_OR_THAT = re.compile(r", (or|and) that ")
_NUMBER = re.compile(r"[\d\[(]")
_NAMING = re.compile(
    r"^(?:names|gives|states|mentions|identifies|explains|says|shows|recognises) (?!aloud|to )", re.I
)
_AS = re.compile(
    r"(?<!such)(?<!as [a-z]{4})(?<!as [a-z]{5}),? as "
    r"(?=(?:the|a|an|one|another|other|its|what|further|reasons)\b)"
)
_PLURAL_AS = re.compile(r" as (?=(?:reasons|further costs|further leaks|conditions|costs)\b)")
_SUCH_AS = re.compile(r",? such as ")
_ONE = re.compile(r"^(?:at least one|an?|another|one|something|the)\b", re.I)
_FOUND = re.compile(r"^finds (?P<what>the \w+|multi-head|[A-Z]\S+) (?=about |at |on )", re.I)
_EXPLAINED = re.compile(r"^explains (?P<what>(?:(?! by |, ).)+) by ", re.I)
_NEXT_VERB = re.compile(
    r"(?:(?<= and )|(?<= or ))"
    r"(?:adds|arrives|asks|assigns|bounds|compares|converts|discards|divides|draws|falls|gets|gives|investigates"
    r"|keeps|looks|mentions|mutates|names|needs|picks|plans|proposes|puts|questions|quotes|reads|removes|reports"
    r"|says|separates|sets|sorts|states|stores|suspects|takes|tunes|uses|wants|writes)(?= )"
)
# What criteria begin with; a test holds that each criterion of the book begins with one of these.
VERBS = frozenset(
    re.findall(
        r"\w+",
        """
    adds allows argues arrives asks asserts assigns begins bounds breaks builds changes checks chooses
    closes compares computes concludes confirms connects considers contains contrasts corrects counts
    cuts deals decides declines decodes deletes delivers demands derives describes distinguishes divides
    does draws drops estimates evaluates executes explains fails filters finds fixes gates gets gives
    goes handles hardens has identifies improves includes initialises judges keeps labels leaves lets
    lifts limits looks makes maps masks matches measures mentions moves multiplies names notes notices
    offers orders packs parses plans plants points prefers prevents proposes proves puts quantifies
    questions ranks reaches reads records refuses rejects releases removes repairs replaces reports
    requires rescales restates rewards rules runs says searches sees selects sends separates serves sets
    shares shows shrinks solves splits stacks starts states stops stores subtracts suspects switches
    takes tests ties treats turns uses varies versions warns weighs works writes
        """,
    )
)
_NOUN = re.compile(r"(?:is|are|was|were|can|may|must|will|have|do|does|and|of)\b")
_IRREGULAR = {"has": "have", "ties": "tie", "goes": "go", "does": "do", "is": "be", "dies": "die"}


def statement(yes: str) -> str:
    """What an answer that meets a criterion says or advises, as a sentence with its full stop.

    yes: the criterion's words, "Says that X." or "Checks Y." A text without a verb in front stays as it is
    (a reference's own sentence, say). Never raises; an empty text stays empty.
    """
    text = " ".join(yes.split())
    if not text:
        return ""
    return _finish(_LATER_THAT.sub(r"\1 ", _turned(text)))


def _turned(text: str) -> str:
    that = _THAT.match(text)
    if that:
        return _OR_THAT.sub(r", \1 ", text[that.end() :])
    explained = _EXPLAINED.match(text)
    if explained:
        return f"{explained['what']} is explained by {text[explained.end() :]}"
    found = _FOUND.match(text)
    if found:
        return f"{found['what']} is {text[found.end() :]}"
    first, _, rest = text.partition(" ")
    verb = first.lower()
    if verb == "arrives" and rest.startswith("at "):
        return _result(rest.removeprefix("at "))
    if verb in ("gets", "computes", "derives", "gives", "estimates") and _is_figure(rest, verb):
        return _result(rest)
    naming = _NAMING.match(text)
    if naming:
        return _joined(_named(text[naming.end() :]))
    return _advice(first, rest)


def _is_figure(rest: str, verb: str) -> bool:
    if verb == "gets":
        return bool(_NUMBER.search(rest))
    return bool(re.match(r"(?:about |an? (?:\w+ ){1,4}of (?:about )?)?[\d(\[±-]", rest))


def _result(rest: str) -> str:
    return rest if re.match(r"[\w']+ (?:transposed .*)?= ", rest) else f"The result is {rest}"


def _named(rest: str) -> str:
    """A thing that is named, as a sentence: "X is the price", "A cause is, for example, X", or the thing."""
    plural = _PLURAL_AS.search(rest)
    if plural:
        return f"{rest[: plural.start()]} are {rest[plural.end() :]}"
    by_role = _AS.search(rest)
    if by_role:
        return f"{rest[: by_role.start()]} is {rest[by_role.end() :]}"
    example = _SUCH_AS.search(rest)
    if example:
        verb = "is" if _ONE.match(rest) else "are"
        return f"{rest[: example.start()]} {verb}, for example, {rest[example.end() :]}"
    return rest


def _advice(first: str, rest: str) -> str:
    """ "Checks the template" -> "Check the template"."""
    if first.lower() not in VERBS or not rest or _NOUN.match(rest):
        return f"{first} {rest}".strip()
    return f"{_plain(first)} {_joined(rest)}"


def _joined(rest: str) -> str:
    """The verbs after "and" and "or" follow the first one."""
    return _NEXT_VERB.sub(_plainly, _LATER_THAT.sub(r"\1 ", rest))


def _plainly(verb: re.Match[str]) -> str:
    return _plain(verb[0])


def _plain(verb: str) -> str:
    low = verb.lower()
    if low in _IRREGULAR:
        plain = _IRREGULAR[low]
    elif low.endswith("ies"):
        plain = low[:-3] + "y"
    elif re.search(r"(?:ss|sh|ch|x|zz)es$", low):
        plain = low[:-2]
    elif low.endswith("ss"):
        plain = low
    else:
        plain = low[:-1]
    return plain.capitalize() if verb[0].isupper() else plain


def _finish(text: str) -> str:
    """A capital where the first word is an ordinary one (not k1, dx, nDCG or theta'), and a full stop."""
    first = text.split(" ", 1)[0]
    if re.fullmatch(r"[a-z][a-z-]*[,;:]?", first) and first not in ("dx", "k", "x", "d", "z", "p", "q", "b"):
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."
