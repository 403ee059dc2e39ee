import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.rag.nouns import Block
from handbook.rag.outline import Titles, markdown_blocks, title

TEXT = """---
title: matter
---
# Top #
Under top.

## First {#first}
- item
  goes on

  1. second

```python
# no heading

x = 1
```
Setext
------
| a | b |
|---|--:|
| 1 | 2 |

    indented code
    # no heading
#hashtag
### Deep
~~~
never closed
# no heading
"""


def test_blocks_by_hand() -> None:
    found = [(b.kind, b.level, TEXT[b.start : b.end]) for b in markdown_blocks(TEXT)]
    assert found == [
        ("code", 0, "---\ntitle: matter\n---"),
        ("heading", 1, "# Top #"),
        ("paragraph", 0, "Under top."),
        ("heading", 2, "## First {#first}"),
        ("list", 0, "- item\n  goes on"),
        ("list", 0, "  1. second"),
        ("code", 0, "```python\n# no heading\n\nx = 1\n```"),
        ("heading", 2, "Setext\n------"),
        ("table", 0, "| a | b |\n|---|--:|\n| 1 | 2 |"),
        ("code", 0, "    indented code\n    # no heading\n#hashtag"),
        ("heading", 3, "### Deep"),
        ("code", 0, "~~~\nnever closed\n# no heading"),
    ]


def test_titles_above() -> None:
    titles = Titles(TEXT, markdown_blocks(TEXT))

    def over(part: str) -> tuple[str, ...]:
        return titles.over(TEXT.index(part), TEXT.index(part) + len(part))

    assert over("title: matter") == ()
    assert over("Under top.") == ("Top",)
    assert over("# Top #\nUnder") == ("Top",)
    assert over("x = 1") == ("Top", "First")
    assert over("indented") == ("Top", "Setext")
    assert over("never closed") == ("Top", "Setext", "Deep")
    assert over("x = 1\n```\nSetext\n------\n| a |") == ("Top",)  # what stands over all of it
    assert titles.over(0, len(TEXT)) == ()
    assert Titles("any", ()).over(0, 3) == ()


@pytest.mark.parametrize(
    ("text", "over"),
    [
        ("# A\n\n## B\n\ntext", ("A", "B")),
        ("# A\n\n## B", ("A",)),
        ("# A\n\nx\n\n# B\n\ny", ()),
        ("# A\n\n## B\n\nx\n\n# A\n\ny", ("A",)),
        ("x\n\n# A\n\ny", ()),
    ],
)
def test_titles_over_all_of_a_text(text: str, over: tuple[str, ...]) -> None:
    assert Titles(text, markdown_blocks(text)).over(0, len(text)) == over


def test_what_is_indented_below_an_item_is_no_code() -> None:
    assert [block.kind for block in markdown_blocks("- item\n\n    goes on")] == ["list", "paragraph"]


@pytest.mark.parametrize(
    ("line", "level", "words"),
    [
        ("## C# and F# ##", 2, "C# and F#"),
        ("#", 1, ""),
        ("   ###### Six", 6, "Six"),
        ("# On {braces} in it", 1, "On {braces} in it"),
        ("====\n", 0, None),
        ("####### seven", 0, None),
        ("Title\n===", 1, "Title"),
    ],
)
def test_what_is_a_heading(line: str, level: int, words: str | None) -> None:
    (block,) = markdown_blocks(line)
    assert block.level == level
    assert (title(line, block) if block.kind == "heading" else None) == words


def test_a_title_of_a_parser_without_marks() -> None:
    assert title("Intro\ntext", Block("heading", 0, 5, 1)) == "Intro"


_lines = st.sampled_from(
    [
        "# a",
        "## b",
        "text",
        "- x",
        "",
        "",
        "```",
        "~~~",
        "a | b",
        "|-|-|",
        "---",
        "===",
        "    c",
        "  - y",
        "\t",
    ]
)


@given(st.lists(_lines, max_size=14).map("\n".join))
def test_blocks_hold_every_character_once_and_in_order(text: str) -> None:
    end = 0
    for block in markdown_blocks(text):
        assert text[end : block.start].strip() == ""
        assert block.start < block.end
        assert text[block.start : block.end].strip()
        assert (block.level > 0) == (block.kind == "heading")
        end = block.end
    assert text[end:].strip() == ""
