"""Every kind of fault: break the tiny book in one place, see that fault, in that line, and no other."""

import pytest

from .tiny import CHAPTER, FOLDER, Tiny

QUESTIONS = f"{FOLDER}/questions.yaml"
CLAIMS = f"{FOLDER}/claims.toml"
EXERCISE = f"{FOLDER}/exercises/adding"
TOML = f"{EXERCISE}/exercise.toml"


def test_the_tiny_book_has_none(tiny: Tiny) -> None:
    assert tiny.faults() == []


# file, what stands there, what comes instead, kind of the fault, a piece of the line that it names
ONE_PLACE = [
    (CHAPTER, "#boxed)", "#nowhere)", "dangling-link", "#nowhere"),
    (CHAPTER, "chapter:two", "chapter:three", "dangling-link", "chapter:three"),
    (CHAPTER, "chapter:two", "chapter:two#no", "dangling-link", "two#no"),
    (CHAPTER, "question:why-add", "question:why", "dangling-link", "question:why"),
    (CHAPTER, "exercise:adding", "exercise:no", "dangling-link", "exercise:no"),
    (CHAPTER, "zoo:mixtral-8x7b", "zoo:mixtral", "dangling-link", "zoo:mixtral"),
    (CHAPTER, "zoo:mixtral-8x7b", "zoo:mixtral-8x7b,gpt-9", "dangling-link", "gpt-9"),
    (CHAPTER, "zoo:mixtral-8x7b", "zoo:" + ",".join(["mixtral-8x7b"] * 5), "dangling-link", "zoo:mixtral"),
    (CHAPTER, "lab:plot", "lab:nothing", "dangling-link", "lab:nothing"),
    (CHAPTER, "cite:lovelace1843). See", "cite:nobody). See", "dangling-link", "cite:nobody"),
    (CHAPTER, "claim:the-sum", "claim:a-sum", "dangling-link", "claim:a-sum"),
    (CHAPTER, "chapter:two", "javascript:alert(1)", "unknown-scheme", "javascript"),
    (CHAPTER, "chapter:two", "two.md", "unknown-scheme", "two.md"),
    (CHAPTER, "(code:CODE.sums:add)", "(code:CODE.sums:sub)", "unknown-symbol", "sums:sub"),
    (CHAPTER, "(code:CODE.sums:add)", "(code:json:dumps)", "unknown-symbol", "json:dumps"),
    (
        CHAPTER,
        "```python code=CODE.sums:add",
        "```python code=CODE.none:add",
        "unknown-symbol",
        "code=CODE.none",
    ),
    (CHAPTER, "code: [CODE.sums]", "code: [CODE.sums, CODE.gone]", "unknown-symbol", "code: ["),
    (CHAPTER, "    return a + b", "    return b + a", "stale-code", "```python"),
    (CHAPTER, "[7](claim", "[8](claim", "stale-claim", "[8](claim"),
    (CHAPTER, "{#boxed}", "{#opening}", "duplicate-id", "::: worked"),
    (CHAPTER, "{#deeper}", "{#first}", "duplicate-id", "### Deeper"),
    (CHAPTER, "{#deeper}", "{#Deep_er}", "bad-id", "### Deeper"),
    (CHAPTER, "{#deeper}", "{#note-x}", "bad-id", "### Deeper"),
    (CHAPTER, " {#deeper}", "", "no-id", "### Deeper"),
    (CHAPTER, "### Deeper", "# Deeper", "bad-heading", "# Deeper"),
    (CHAPTER, "Two and five.", "## Inside {#inside}", "bad-heading", "## Inside"),
    (CHAPTER, "::: definition Sum", "::: remark Sum", "unknown-box", "::: remark"),
    (CHAPTER, "What addition gives.\n:::", "What addition gives.", "open-box", "::: definition"),
    (CHAPTER, "Before any heading.", "Before.\n\n:::", "stray-box", ":::"),
    (CHAPTER, "Before any heading.", "Before\n{#it}", "stray-attribute", "{#it}"),
    (CHAPTER, "Before any heading.", "{#it .loud}\nBefore", "stray-attribute", "{#it"),
    (
        CHAPTER,
        "What addition gives.\n:::",
        "What addition gives.\n\n{#gone}\n:::",
        "stray-attribute",
        "{#gone}",
    ),
    (CHAPTER, "Before any heading.", "Before <b>any</b>", "raw-html", "<b>"),
    (CHAPTER, "Before any heading.", r"A line.\nThen $ \alpha$", "stray-tex", r"\alpha"),
    (CHAPTER, "Before any heading.", "Before[^gone]", "dangling-footnote", "[^gone]"),
    (CHAPTER, "![Two bars](figure:two-bars)", "So ![Two bars](figure:two-bars)", "bad-figure", "So !["),
    (CHAPTER, "title: One", "title: Two", "title-mismatch", "title: Two"),
    (CHAPTER, "status: written", "status: done", "bad-choice", "status: done"),
    (CHAPTER, "summary: The first.", "summary: [a", "syntax", "code: ["),
    (CHAPTER, "summary: The first.", "sumary: The first.\nsummary: x", "unknown-key", "sumary"),
    (CHAPTER, "status: written\n", "", "missing-key", "title: One"),
    (QUESTIONS, "why-add\n", "Why add\n", "bad-id", "Why add"),
    (QUESTIONS, "senior", "expert", "bad-choice", "expert"),
    (QUESTIONS, "kind: explain", "kind: recite", "bad-choice", "recite"),
    (QUESTIONS, "prompt: Why add?", "promt: Why add?", "unknown-key", "promt"),
    (QUESTIONS, "prompt: Why add?", "prompt: ''", "missing-key", "prompt: ''"),
    (QUESTIONS, "prompt: Why add?", "prompt: [Why]", "bad-value", "prompt: [Why]"),
    (QUESTIONS, "anchor: opening", "anchor: closing", "dangling-anchor", "anchor: closing"),
    (QUESTIONS, "    - {id: third, yes: Says three.}\n", "", "no-rubric", "- id: first"),
    (QUESTIONS, "{id: third,", "{id: second,", "duplicate-id", "Says three"),
    (QUESTIONS, "weight: 2", "weight: -2", "bad-value", "weight: -2"),
    (QUESTIONS, "weight: 2", "weight: heavy", "bad-value", "heavy"),
    (QUESTIONS, "must: true", "must: maybe", "bad-value", "maybe"),
    (QUESTIONS, "criterion: first", "criterion: fifth", "dangling-criterion", "criterion: fifth"),
    (QUESTIONS, "It says [7]", "It says [9]", "stale-claim", "It says [9]"),
    (QUESTIONS, "It says [7]", "It says [x](chapter:nine), [7]", "dangling-link", "chapter:nine"),
    (QUESTIONS, "It says [7]", "It <i>says</i> [7]", "raw-html", "<i>"),
    (QUESTIONS, "prompt: Why add?", "prompt: 'Why", "syntax", "prompt: 'Why"),
    (CLAIMS, "# a comment", "bogus = 1\n#", "unknown-key", "bogus"),
    (CLAIMS, 'unit = "count"\n', "", "missing-key", "[[claim]]"),
    (CLAIMS, 'unit = "count"', "unit = 3", "bad-value", "[[claim]]"),
    (CLAIMS, 'unit = "count"', 'unit = "count"\nunits = "x"', "unknown-key", "[[claim]]"),
    (CLAIMS, 'unit = "count"', 'unit = "count"\nneeds = ["luck"]', "unknown-need", "[[claim]]"),
    (CLAIMS, '"the_sum"', '"a_sum"', "no-lab-function", "[[claim]]"),
    (CLAIMS, "== 7", "about 7", "bad-bound", "[[claim]]"),
    (CLAIMS, "== 7", "<= 6", "broken-claim", "[[claim]]"),
    (CLAIMS, "low = 7.0", "low = 7.5", "broken-claim", "[[claim]]"),
    (CLAIMS, "{value:.0f}", "{values:.0f}", "bad-text", "[[claim]]"),
    (CLAIMS, "{value:.0f}", "{value.real}", "bad-text", "[[claim]]"),
    (CLAIMS, '"the-sum"', '"The Sum"', "bad-id", "[[claim]]"),
    (CLAIMS, 'unit = "count"', "unit = count", "syntax", "unit = count"),
    (TOML, '"Three."', '"Three.", "Four."', "bad-hints", "hints"),
    (TOML, "foundation", "easy", "bad-choice", "level"),
    (TOML, "minutes = 5", "minutes = 0", "bad-value", "minutes"),
    (TOML, 'entry = "add"', 'entry = "a b"', "bad-value", "entry"),
    (TOML, 'anchor = "opening"', 'anchor = "closing"', "dangling-anchor", "anchor"),
    (TOML, "CODE.sums:add", "CODE.sums:minus", "unknown-symbol", "solution"),
    (TOML, "minutes = 5", "minutes = 5\nmood = 1", "unknown-key", "title"),
    (TOML, "minutes = 5", "minutes = five", "syntax", "minutes"),
    (f"{EXERCISE}/starter.py", "def add", "def sum_up", "no-entry", "def sum_up"),
    (f"{EXERCISE}/solution.py", "def add(a, b):", "def add(a, b:", "syntax", "def add"),
    (f"{EXERCISE}/tests.py", "def test_small", "def small", "no-tests", "def small"),
    (f"{EXERCISE}/hidden.py", "(submission)", "()", "no-tests", "def test_negative"),
    (f"{EXERCISE}/statement.md", "Write", "[Write](chapter:nine)", "dangling-link", "Write"),
    (f"{FOLDER}/lab.py", "def plot() -> None:", "def plot( -> None:", "syntax", "def plot"),
    (f"{FOLDER}/lab.py", "def plot", "from handbook.lab import kat\n\ndef plot", "unknown-symbol", "kat"),
    (
        f"{FOLDER}/lab.py",
        "def plot",
        "from handbook.lab.kit import (\n    quiet,\n    loud,\n)\n\ndef plot",
        "unknown-symbol",
        "loud",
    ),
    ("book/references.bib", "title = {Notes on {\\'e}ngines},", "", "incomplete-source", "@article"),
    ("book/references.bib", "year = {1843},", "year = {1843,", "syntax", ""),
    ("book/book.toml", 'title = "Tiny"', 'title = "Tiny"\nmood = 1', "unknown-key", "mood"),
    ("book/book.toml", '"one", "two"]', '"one", "ten"]', "dangling-link", "[[path]]"),
    ("book/book.toml", 'title = "The way"', "", "missing-key", "[[path]]"),
    ("book/book.toml", ', summary = "The second."', "", "missing-key", 'slug = "two"'),
    ("book/book.toml", 'slug = "two"', 'slug = "one"', "duplicate-id", 'title = "Two"'),
]


@pytest.mark.parametrize(
    ("file", "old", "new", "kind", "where"),
    ONE_PLACE,
    ids=[f"{i}-{row[3]}" for i, row in enumerate(ONE_PLACE)],
)
def test_one_place(tiny: Tiny, file: str, old: str, new: str, kind: str, where: str) -> None:
    tiny.swap(file, old, new)
    found = tiny.faults(kind)
    assert found, f"expected {kind}, got {tiny.faults()}"
    assert found[0].file == file
    lines = tiny.text(file).splitlines()
    assert where.replace("CODE", tiny.package) in lines[found[0].line - 1], str(found[0])
    assert found[0].what.endswith((".", "]", "}"))


IMPORTING = """
    import marimo

    app = marimo.App()

    with app.setup:
        from handbook.lab import kit
        from handbook.lab.WHERE

    @app.cell
    def plot():
        return
    """


@pytest.mark.parametrize(
    ("where", "kinds"),
    [
        ("kit import seconds as the_sum", []),
        ("kit import seconds", ["no-lab-function"]),
        ("charts import SERIES as the_sum", ["no-lab-function"]),  # there, but no function
        ("kit import the_sum", ["no-lab-function", "unknown-symbol"]),
        ("gone import the_sum", ["no-lab-function", "unknown-symbol"]),
    ],
)
def test_a_claim_may_be_measured_by_what_the_lab_imports(tiny: Tiny, where: str, kinds: list[str]) -> None:
    tiny.put(f"{FOLDER}/lab.py", IMPORTING.replace("WHERE", where))
    assert sorted(fault.kind for fault in tiny.faults()) == kinds


def test_a_link_may_lead_to_what_the_lab_imports(tiny: Tiny) -> None:
    tiny.put(f"{FOLDER}/lab.py", IMPORTING.replace("WHERE", "kit import seconds as the_sum"))
    tiny.swap(CHAPTER, "lab:plot", "lab:the_sum")
    assert tiny.faults() == []


def test_unmeasured_claim(tiny: Tiny) -> None:
    text = tiny.text(CLAIMS)
    tiny.put(CLAIMS, text[: text.index("[claim.measured]")])
    (fault,) = tiny.faults()
    assert (fault.kind, fault.line) == ("unmeasured-claim", tiny.line(CLAIMS, "[[claim]]"))


@pytest.mark.parametrize(
    ("key", "kind"), [("misconceptions", "no-misconception"), ("follow_ups", "no-follow-up")]
)
def test_question_without(tiny: Tiny, key: str, kind: str) -> None:
    text = tiny.text(QUESTIONS)
    start = text.index(f"  {key}:")
    end = text.index("  follow_ups:") if key == "misconceptions" else len(text)
    tiny.put(QUESTIONS, text[:start] + text[end:])
    assert [fault.kind for fault in tiny.faults(kind)] == [kind]


def test_too_many_criteria(tiny: Tiny) -> None:
    more = "".join(f"    - {{id: more-{i}, yes: More.}}\n" for i in range(5))
    tiny.swap(QUESTIONS, "  misconceptions:", more + "  misconceptions:")
    assert "9 criteria" in tiny.faults("no-rubric")[0].what


def test_rubric_missing_altogether(tiny: Tiny) -> None:
    text = tiny.text(QUESTIONS)
    tiny.put(QUESTIONS, text[: text.index("  criteria:")] + text[text.index("  misconceptions:") :])
    assert "0 criteria" in tiny.faults("no-rubric")[0].what


@pytest.mark.parametrize(
    "name", ["exercise.toml", "statement.md", "starter.py", "solution.py", "tests.py", "hidden.py"]
)
def test_exercise_without_a_file(tiny: Tiny, name: str) -> None:
    tiny.file(f"{EXERCISE}/{name}").unlink()
    (fault,) = tiny.faults("missing-file")
    assert fault.file == f"{EXERCISE}/{name}"


def test_uncited_source(tiny: Tiny) -> None:
    bib = "book/references.bib"
    tiny.put(bib, tiny.text(bib) + "\n@misc{extra, author={A B}, title={Extra}, year={2000}}\n")
    (fault,) = tiny.faults()
    assert (fault.kind, fault.line) == ("uncited-source", tiny.line(bib, "@misc{extra"))


def test_duplicate_source(tiny: Tiny) -> None:
    bib = "book/references.bib"
    tiny.put(bib, tiny.text(bib) * 2)
    (fault,) = tiny.faults()
    assert fault.kind == "duplicate-id"
    assert fault.line == 8


def test_source_with_an_unsafe_address(tiny: Tiny) -> None:
    tiny.swap("book/references.bib", "eprint = {1234.5678}", "url = {javascript:alert(1)}")
    assert [fault.kind for fault in tiny.faults()] == ["unsafe-url"]


def test_ids_are_unique_over_chapters(tiny: Tiny) -> None:
    tiny.put("book/part/two.md", "---\ntitle: Two\nstatus: outline\nsummary: x\n---\n\n{#opening}\nText.\n")
    tiny.put("book/part/two/questions.yaml", tiny.text(QUESTIONS))
    (fault,) = tiny.faults()
    assert (fault.kind, fault.file, fault.line) == ("duplicate-id", "book/part/two/questions.yaml", 1)


def test_duplicate_claim(tiny: Tiny) -> None:
    tiny.put(CLAIMS, tiny.text(CLAIMS) * 2)
    (fault,) = tiny.faults()
    assert fault.kind == "duplicate-id"
    assert tiny.text(CLAIMS).splitlines()[fault.line - 1] == "[[claim]]"
    assert fault.line > 5


def test_module_that_names_no_chapter(tiny: Tiny) -> None:
    tiny.module.write_text(tiny.module.read_text().replace("Book: part/one\n", ""))
    (fault,) = tiny.faults()
    assert (fault.kind, fault.file, fault.line) == ("one-way-code", CHAPTER, tiny.line(CHAPTER, "code: ["))


def test_chapter_that_does_not_list_a_module(tiny: Tiny) -> None:
    tiny.swap(CHAPTER, "code: [CODE.sums]", "code: []")
    (fault,) = tiny.faults()
    assert (fault.kind, fault.file, fault.line) == ("one-way-code", f"{tiny.package}/sums.py", 3)


def test_module_of_an_unknown_chapter(tiny: Tiny) -> None:
    tiny.module.write_text(tiny.module.read_text().replace("part/one", "part/nine"))
    assert {fault.kind for fault in tiny.faults()} == {"dangling-link", "one-way-code"}


def test_changed_code_is_stale_in_the_book(tiny: Tiny) -> None:
    tiny.module.write_text(tiny.module.read_text().replace("return a + b", "return b + a"))
    (fault,) = tiny.faults()
    assert (fault.kind, fault.line) == ("stale-code", tiny.line(CHAPTER, "```python"))


def test_unlisted_chapter(tiny: Tiny) -> None:
    tiny.put("book/part/three.md", "Hello")
    (fault,) = tiny.faults()
    assert (fault.kind, fault.file) == ("unlisted-chapter", "book/part/three.md")


def test_unreadable_file(tiny: Tiny) -> None:
    tiny.file(CHAPTER).write_bytes(b"---\ntitle: One\n---\n\n\xff\xfe")
    (fault,) = tiny.faults("unreadable")
    assert (fault.file, fault.line) == (CHAPTER, 5)


def test_alias_that_contains_itself(tiny: Tiny) -> None:
    tiny.put(QUESTIONS, "- &a\n  id: *a\n")
    assert tiny.faults("syntax")[0].file == QUESTIONS


def test_no_front_matter(tiny: Tiny) -> None:
    text = tiny.text(CHAPTER)
    tiny.file(CHAPTER).write_text(text[text.index("Before") :])
    assert tiny.faults("missing-key")[0].line == 1


def test_all_faults_at_once(tiny: Tiny) -> None:
    """The loader does not stop at the first, and the other chapter stands."""
    tiny.swap(CHAPTER, "chapter:two", "chapter:three")
    tiny.swap(QUESTIONS, "senior", "expert")
    tiny.swap(CLAIMS, "== 7", "about 7")
    tiny.swap(TOML, "minutes = 5", "minutes = five")
    tiny.put("book/part/two.md", "---\ntitle: Two\nstatus: outline\nsummary: x\n---\n\nPlan.\n")
    book = tiny.open()
    assert {"dangling-link", "bad-choice", "bad-bound", "syntax"} <= {fault.kind for fault in book.faults}
    assert book.chapters["two"].paragraphs[0].text == "Plan."
    assert list(book.faults) == sorted(book.faults)


@pytest.mark.parametrize("name", ["front", "questions", "claims", "exercise", "lab", "figures", "references"])
def test_garbage_breaks_nothing_else(tiny: Tiny, name: str) -> None:
    files = {
        "front": CHAPTER,
        "questions": QUESTIONS,
        "claims": CLAIMS,
        "exercise": TOML,
        "lab": f"{FOLDER}/lab.py",
        "figures": f"{FOLDER}/figures.py",
        "references": "book/references.bib",
    }
    tiny.file(files[name]).write_bytes(b"\x00---\n\xff{[(\n" * 3)
    book = tiny.open()
    assert book.faults
    assert list(book.chapters) == ["one", "two"]
