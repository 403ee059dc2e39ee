"""Readers of training data: every format, every container, and all faults of a file at once, by line."""

import json
import random

import pytest

from handbook.errors import DataError
from handbook.records import Message, Tool, ToolCall
from handbook.train import lines
from handbook.train.formats import (
    Conversation,
    Pair,
    Prompt,
    read_conversations,
    read_pairs,
    read_prompts,
    scan,
)

S, U, A = (lambda text, role=role: Message(role, text) for role in ("system", "user", "assistant"))


def turns(*texts):
    return [
        {"role": role, "content": text} for role, text in zip(["user", "assistant"] * 9, texts, strict=False)
    ]


def shared(*texts):
    return [{"from": who, "value": text} for who, text in zip(["human", "gpt"] * 9, texts, strict=False)]


CONVERSATIONS = {
    "messages": {"messages": turns("q", "a")},
    "sharegpt": {"conversations": shared("q", "a")},
    "alpaca": {"instruction": "q", "input": "", "output": "a"},
    "prompt-completion": {"prompt": "q", "completion": turns("q", "a")[1:]},
}
PAIRS = {
    "messages": {"messages": turns("q"), "chosen": "a", "rejected": "b"},
    "sharegpt": {
        "conversations": shared("q"),
        "chosen": shared("", "a")[1],
        "rejected": shared("", "b")[1],
    },
    "alpaca": {"instruction": "q", "chosen": "a", "rejected": "b"},
    "preference": {"prompt": "q", "chosen": turns("q", "a"), "rejected": turns("q", "b")},
    "question": {"question": "q", "chosen": "a", "rejected": "b"},
    "implicit": {"chosen": turns("q", "a"), "rejected": turns("q", "b")},
}
ONE, BOTH = Conversation((U("q"), A("a"))), Pair((U("q"),), (A("a"),), (A("b"),))


@pytest.fixture
def write(tmp_path):
    def make(content, name="data.jsonl"):
        path = tmp_path / name
        if isinstance(content, list) and name.endswith(".jsonl"):
            content = "".join(json.dumps(row) + "\n" for row in content)
        if isinstance(content, list) and name.endswith(".json"):
            content = json.dumps(content, indent=1)
        if isinstance(content, list):
            import pyarrow as pa
            import pyarrow.parquet as pq

            pq.write_table(pa.Table.from_pylist(content), path)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content, encoding="utf-8")
        return path

    return make


def faults(read, path):
    with pytest.raises(DataError) as raised:
        read(path)
    assert all(fault in str(raised.value) for fault in raised.value.faults)
    return list(raised.value.faults)


@pytest.mark.parametrize("container", ["data.jsonl", "data.json", "data.parquet"])
@pytest.mark.parametrize("form", CONVERSATIONS)
def test_conversations(write, form, container):
    path = write([CONVERSATIONS[form]] * 2, container)
    assert read_conversations(path) == read_conversations(path, form) == (ONE, ONE)
    assert scan(path, Conversation).form == form


@pytest.mark.parametrize("container", ["data.jsonl", "data.json", "data.parquet"])
@pytest.mark.parametrize("form", PAIRS)
def test_pairs(write, form, container):
    path = write([PAIRS[form]] * 2, container)
    assert read_pairs(path) == read_pairs(path, form) == (BOTH, BOTH)
    assert scan(path, Pair).form == form


def test_prompts(write):
    rows = [{"prompt": "1 + 1", "answer": 2}, {"prompt": turns("q", "a"), "answer": "b"}, {"prompt": "q"}]
    asked = (U("1 + 1"),), (U("q"),), (U("q"),)
    assert read_prompts(write(rows)) == tuple(map(Prompt, asked, ("2", "b", None)))
    for row in (*PAIRS.values(), *CONVERSATIONS.values()):
        if "prompt" in row or "question" in row or "instruction" in row or "messages" in row:
            assert read_prompts(write([row])) == (Prompt((U("q"),)),)


def test_alpaca_in_full(write):
    row = {
        "instruction": "Add.",
        "input": "1 2",
        "output": "3",
        "system": "Be brief.",
        "history": [["Hi", "Hello"]],
    }
    (read,) = read_conversations(write([row]))
    assert read.messages == (S("Be brief."), U("Hi"), A("Hello"), U("Add.\n\n1 2"), A("3"))


def test_an_empty_system_is_none(write):
    empty = {"role": "system", "content": ""}
    rows = [{"messages": [empty, *turns("q", "a")]}, {"messages": turns("q", "a"), "system": " "}]
    assert read_conversations(write(rows)) == (ONE, ONE)
    (read,) = read_conversations(write([{"conversations": shared("q", "a"), "system": "s"}]))
    assert read.messages == (S("s"), U("q"), A("a"))


def test_records_before_the_first_that_fits_are_faults(write):
    found = faults(read_pairs, write([{"text": "x"}, {}, PAIRS["preference"], {"text": "x"}]))
    assert found == [
        "line 1: has 'text', which is not preference",
        "line 2: has no keys, which is not preference",
        "line 4: prompt is missing",
        "line 4: chosen is missing",
        "line 4: rejected is missing",
    ]


def test_calls_of_tools_in_both_spellings(write):
    told = {"name": "add", "description": "adds", "parameters": {"type": "object"}}
    openai = {
        "tools": [{"type": "function", "function": told}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "1 + 1"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call-1", "function": {"name": "add", "arguments": '{"a": 1}'}}],
            },
            {"role": "tool", "content": "2"},
            {"role": "assistant", "content": "2"},
        ],
    }
    sharegpt = {
        "tools": json.dumps([told]),
        "conversations": [
            {"from": "human", "value": "1 + 1"},
            {"from": "function_call", "value": '{"name": "add", "arguments": {"a": 1}}'},
            {"from": "observation", "value": "2"},
            {"from": "gpt", "value": "2"},
        ],
    }
    call = Message("assistant", "", (ToolCall("call-1", "add", '{"a": 1}'),))
    expected = (U("1 + 1"), call, Message("tool", "2", answers="call-1"), A("2"))
    for row in (openai, sharegpt):
        (read,) = read_conversations(write([row]))
        assert read == Conversation(expected, (Tool("add", "adds", {"type": "object"}),))


def test_lines_are_told_in_each_container(write):
    rows = [CONVERSATIONS["alpaca"]] * 2
    text = "\n" + json.dumps(rows[0]) + "\r\n\n" + json.dumps(rows[0])  # no newline at the end
    assert [one.line for one in read_conversations(write("\ufeff" + text))] == [2, 4]
    array = write(
        "\ufeff \n[" + json.dumps(rows[0]) + "\n,\n" + json.dumps(rows[1], indent=2) + "]\n", "a.json"
    )
    assert [one.line for one in read_conversations(array)] == [2, 4]
    assert [one.line for one in read_conversations(write(rows, "a.parquet"))] == [1, 2]


ALPACA = json.dumps(CONVERSATIONS["alpaca"])
BROKEN = [
    (b'{"instruction": "q", "output": "a\xff"}', "byte 34 is no UTF-8"),
    (b'{"instruction": "q", "output": NaN}', "NaN is not JSON"),
    (b'{"instruction": "q", "output": "a", "score": -Infinity}', "-Infinity is not JSON"),
    (b'{"instruction": "q", "output": "a", "output": "b"}', "given more than once: 'output'"),
    (b'{"instruction": "q", "output": null}', "output is missing"),
    (b'{"instruction": 7, "output": ["a"]}', "instruction should be a text, got a number"),
    (b'{"instruction": "q", "output": true}', "output should be a text, got true or false"),
    (b'{"instruction": "q", "output": " \\n"}', "turn 2, the assistant's, is empty"),
    (b'{"instruction": "q", "output": "\\ud83d"}', "output holds half a character (a lone surrogate)"),
    (b"[1, 2]", "expected an object, got a list"),
    (b"null", "expected an object, got null"),
    (b"{", "not JSON: Expecting property name enclosed in double quotes, at character 2 of line 1"),
    (b'{"instruction": "q", "output": "a"} x', "more follows after the object, at character 36"),
    (b"[" * 100_000, "nested too deeply"),
    (b'{"n": ' + b"9" * 5000 + b"}", "Exceeds the limit"),
    (b'{"instruction": "q", "output": "a", "tools": "{"}', "tools should be JSON, got '{'"),
    (b'{"instruction": "q", "output": "a", "history": 3}', "history, 1 should be a list of two texts"),
]


def test_all_faults_of_a_file_at_once(write):
    """Among sound lines each broken one is told by its own, and reading goes on after it."""
    content = b"\n".join(line for broken, _ in BROKEN for line in (ALPACA.encode(), broken))
    found = faults(read_conversations, write(content))
    told = [[fault for fault in found if fault.startswith(f"line {2 * n + 2}: ")] for n in range(len(BROKEN))]
    for (_, what), (first, *_) in zip(BROKEN, told, strict=True):
        assert what in first
    assert len(found) == len(BROKEN) + 1  # the two wrong types of one line
    read = scan(write(content), Conversation)
    assert len(read.records) == len(BROKEN)
    assert read.count == len(found)


@pytest.mark.parametrize(("broken", "what"), [each for each in BROKEN if each[0][:1] == b"{"][1:])
def test_the_same_faults_in_an_array(write, broken, what):
    content = b"[" + ALPACA.encode() + b",\n" + broken + b",\n" + ALPACA.encode() + b"]"
    if what.startswith("not JSON"):
        what = "not JSON"
    if "more follows" in what:
        what = "expected a comma"
    found = faults(read_conversations, write(content, "a.json"))
    assert found[0].startswith(f"line 2: {what}")


def test_faults_of_turns(write):
    rows = [
        {"messages": []},
        {"messages": "hello"},
        {"messages": ["hello", {"role": "user", "content": "q"}]},
        {"messages": [{"role": "king", "content": "q"}]},
        {"messages": [{"content": "q"}]},
        {"messages": turns("q", "a", "q")},
        {"messages": turns("", "a")},
        {"messages": [*turns("q", "a"), {"role": "system", "content": "s"}, *turns("q", "a")]},
        {"messages": turns("q", "a")[::-1]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": "x"}]},
                turns("", "a")[1],
            ]
        },
        {"messages": [*turns("q"), {"role": "assistant", "tool_calls": [{"function": {"arguments": "[]"}}]}]},
    ]
    assert faults(read_conversations, write(rows)) == [
        "line 1: there are no turns",
        "line 2: messages should be a list of turns, got a text",
        "line 3: messages, turn 1: should be an object, got a text",
        "line 4: messages, turn 1: role is 'king'; known are system, user, assistant, tool, developer, "
        "human, gpt, model, function_call, observation, function",
        "line 5: messages, turn 1: role is missing",
        "line 6: ends with the user's turn, which nothing answers",
        "line 7: turn 1, the user's, is empty",
        "line 8: turn 3, the system's, should come first or not at all",
        "line 9: the assistant's turn comes first; a user's should",
        "line 9: ends with the user's turn, which nothing answers",
        "line 10: messages, turn 1: content, part 1 is of type 'image_url'; only text is trained on",
        "line 11: messages, turn 2: call 1: arguments should be an object, got a list",
        "line 11: messages, turn 2: call 1: name is missing",
    ]


def test_faults_of_pairs(write):
    rows = [
        {"prompt": "q", "chosen": "a", "rejected": "a"},
        {"prompt": "q", "chosen": "a", "rejected": " "},
        {"prompt": turns("q", "a"), "chosen": "a", "rejected": "b"},
        {"prompt": "q", "chosen": [], "rejected": "b"},
        {"prompt": "q", "chosen": turns("p", "a"), "rejected": "b"},
        {"prompt": "q", "chosen": 3, "rejected": None},
    ]
    assert faults(read_pairs, write(rows)) == [
        "line 1: chosen and rejected are the same",
        "line 2: rejected: turn 2, the assistant's, is empty",
        "line 3: the prompt ends with the assistant's turn",
        "line 4: chosen: ends with the user's turn, which nothing answers",
        "line 5: chosen: the answer begins with the user's turn",
        "line 6: chosen should be a text, got a number",
        "line 6: rejected is missing",
    ]
    nothing = [{"chosen": turns("q", "a"), "rejected": turns("p", "b")}]
    assert "begin with no turn in common" in faults(read_pairs, write(nothing))[0]


@pytest.mark.parametrize(
    ("content", "name", "what"),
    [
        ("", "a.jsonl", "holds no record"),
        (" \n\n", "a.jsonl", "holds no record"),
        ("\ufeff", "a.json", "holds no record"),
        ("[ ]\n", "a.json", "holds no record"),
        ('{"text": "x"}\n{"prompt": "q"}', "a.jsonl", "is of no known format: line 1 has 'text'"),
        ("{}", "a.jsonl", "is of no known format: line 1 has no keys"),
        ('{"prompt": "q", "chosen": "a", "rejected": "b"}', "a.jsonl", "holds pairs of a"),
        (json.dumps(PAIRS["sharegpt"]), "a.jsonl", "holds pairs of a"),
        ("a,b\n1,2".encode("utf-16"), "a.csv", "is written in UTF-16"),
        ("[" + ALPACA, "a.json", "line 1: expected a comma or the end of the array"),
        ("[" + ALPACA + "]\n3", "a.json", "line 1: more follows after the array"),
        ("[" + ALPACA + ",\n]", "a.json", "line 1: a comma ends the array"),
        ("[[1], 2," + ALPACA + "]", "a.json", "line 1: expected an object, got a list\n  line 1: exp"),
        (b"[\n\xff]", "a.json", "line 2: byte 3 is no UTF-8"),
        (b"[" * 100_000, "a.json", "nested too deeply"),
        (b"", "a.parquet", "row 1: "),
        (b"PAR1" + bytes(100) + b"PAR1", "a.bin", "row 1: "),
        ([{"text": "x", "label": 3}], "a.parquet", "has the columns 'text', 'label'"),
        ([{"messages": 3}], "a.parquet", "row 1: messages should be a list of turns, got a number"),
        ([{"instruction": b"\xff", "output": "a"}], "a.parquet", "instruction should be a text, got bytes"),
    ],
    ids=str,
)  # fmt: skip
def test_files_that_are_something_else(write, content, name, what):
    with pytest.raises(DataError) as raised:
        read_conversations(write(content, name))
    assert what in str(raised.value)


def test_files_that_are_not_there(tmp_path):
    for path in (tmp_path, tmp_path / "none.jsonl"):
        with pytest.raises(DataError, match="can't be read"):
            read_pairs(path)
    with pytest.raises(ValueError, match="formats of a pair are messages, sharegpt"):
        read_pairs(tmp_path, form="csv")


def test_a_parquet_with_a_text_that_is_no_utf8(write, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = pa.array([b"a", b"\xff", b"c"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"instruction": texts, "output": ["a"] * 3}), tmp_path / "a.parquet")
    assert faults(read_conversations, tmp_path / "a.parquet") == ["row 2: byte 1 is no UTF-8"]


def test_a_line_without_end_takes_no_memory(write, monkeypatch):
    monkeypatch.setattr(lines, "MOST_LINE", 2 << 20)
    huge = json.dumps({"instruction": "q", "output": "x" * (5 << 20)})
    path = write(f"{ALPACA}\n{huge}\n{ALPACA}\n{huge}")
    assert faults(read_conversations, path) == ["line 2: longer than 2 MiB", "line 4: longer than 2 MiB"]
    assert [one.line for one in scan(path, Conversation).records] == [1, 3]
    monkeypatch.setattr(lines, "MOST_ARRAY", 1 << 20)
    with pytest.raises(DataError, match="Write it as JSON lines"):
        read_conversations(write("[" + huge + "]", "a.json"))


def test_many_faults_are_counted_and_twenty_told(write):
    path = write(f"{ALPACA}\n" + "x\n" * 1000)
    with pytest.raises(DataError, match="has 1000 faults, the first 20:\n  line 2: not JSON") as raised:
        read_conversations(path)
    assert raised.value.count == 1000
    assert len(raised.value.faults) == 20
    assert raised.value.remedy == "Correct or remove them; 1 records are sound."


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet"])
def test_damaged_files_never_escape_as_another_error(write, name):
    path = write([PAIRS["sharegpt"], PAIRS["sharegpt"]] * 5, name)
    whole, chance = path.read_bytes(), random.Random(5)
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged[: chance.randint(1, len(damaged))] if chance.random() < 0.3 else damaged)
        try:
            read_pairs(path)
        except DataError as error:
            assert error.what  # noqa: PT017 (either outcome is right)


@pytest.mark.shared
def test_the_public_sets(sets_path):
    instructions = read_conversations(sets_path / "alpaca_en_demo.json")
    pairs = read_pairs(sets_path / "dpo_en_demo.json")
    assert (len(instructions), len(pairs)) == (999, 300)
    raw = json.loads((sets_path / "dpo_en_demo.json").read_text(encoding="utf-8"))
    assert [pair.chosen[0].content for pair in pairs] == [row["chosen"]["value"] for row in raw]
    assert [[turn.content for turn in pair.prompt] for pair in pairs] == [
        [turn["value"] for turn in row["conversations"]] for row in raw
    ]
    assert len(read_prompts(sets_path / "alpaca_en_demo.json")) == 999
