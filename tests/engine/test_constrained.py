"""Masks against every token tried one by one, texts against what they were to be, grammars that attack."""

import json
import random
import re
import time
from collections import defaultdict

import jsonschema
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wordy import SPARE, tokenizer, wordy

from handbook.engine.asked import Piece
from handbook.engine.constrained import (
    KEPT,
    Constraint,
    Vocabulary,
    any_object,
    choice,
    json_schema,
    lark,
    regex,
)
from handbook.engine.engine import Engine
from handbook.engine.schemas import BadGrammar
from handbook.engine.work import Limits
from handbook.records import Message, Sampling

PLACE = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 12},
        "kind": {"enum": ["warm", "cold", None]},
        "days": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 31}, "maxItems": 3},
    },
    "required": ["city", "days"],
    "additionalProperties": False,
}
DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]"
GRAMMARS = {
    "schema": json_schema(PLACE),
    "object": any_object(),
    "regex": regex(DATE),
    "choice": choice(["name", "names", "no", "Ärger und 漢字"]),
    "lark": lark('start: sum\nsum: NUMBER ("+" NUMBER)*\nNUMBER: /[0-9]+/'),
    "ebnf": lark('root ::= "(" root ")" | "x"'),
}


def vocabulary(stops: bool = True) -> Vocabulary:
    loaded = wordy(stops)
    return Vocabulary.of(loaded.tokenizer, loaded.config.vocab_size)


def one_by_one(constraint: Constraint) -> list[bool]:
    """Whether each token may come next, each asked for by itself; and of some, by letting a copy go on."""

    def goes(token: int) -> bool:
        try:
            constraint.fork().accept(token)
        except BadGrammar:
            return False
        return True

    tried = [constraint.fits([token]) == 1 for token in range(constraint.vocabulary.size)]
    for token in random.Random(0).sample(range(len(tried)), 10):
        assert goes(token) == tried[token]
    if (end := constraint.vocabulary.own_end) is not None:
        tried[end] = False
    return tried


@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("name", GRAMMARS)
def test_masks_are_what_trying_every_token_gives(name, stops):
    draw = random.Random(5)
    for _ in range(3):
        constraint, said = vocabulary(stops).compile(GRAMMARS[name]), []
        for _ in range(12):
            if constraint.ended:
                break
            mask, tried = constraint.allowed(), one_by_one(constraint)
            forced = constraint.forced(5)
            if forced:  # of the ways to cut forced bytes, the tokenizer's own
                assert tried[forced[0]]
                tried = [token == forced[0] for token in range(len(tried))]
            assert mask.tolist() == tried, tokenizer().decode(said)
            assert [constraint.allows(token) for token in range(len(tried))] == tried
            assert not mask[-SPARE:].any()
            assert bool(mask[0]) == (stops and constraint.may_end)
            usable = [token for token in mask.nonzero()[:, 0].tolist() if token != 0]
            assert constraint.fits(forced) == len(forced)
            if not usable:
                break
            said.append(draw.choice(usable))
            constraint.accept(said[-1])


def test_a_mask_by_hand():
    """Of the texts `name`, `names`, `no`, after `n`."""
    constraint = vocabulary().compile(choice(["name", "names", "no"]))
    (n,) = tokenizer().encode("n")
    constraint.accept(n)
    texts = {tokenizer().token_text(token) for token in constraint.allowed().nonzero()[:, 0].tolist()}
    assert {"a", "o"} <= texts
    assert texts <= {"a", "am", "ame", "ames", "o"}
    for token in tokenizer().encode("ame"):
        constraint.accept(token)
    assert constraint.may_end
    assert not constraint.ended
    assert {0, *tokenizer().encode("s")} == set(constraint.allowed().nonzero()[:, 0].tolist())
    with pytest.raises(BadGrammar):
        constraint.accept(tokenizer().encode("x")[0])


def test_copies_go_their_own_ways():
    first = vocabulary().compile(choice(["no", "name"]))
    (n, o, a) = (tokenizer().encode(text)[0] for text in ("n", "o", "a"))
    first.accept(n)
    second = first.fork()
    first.accept(o)
    assert first.ended
    assert second.fits([a]) == 1
    assert not second.ended


# --- through the engine


class Heard:
    def __init__(self) -> None:
        self.text: dict[int, str] = defaultdict(str)
        self.reason: dict[int, str] = {}
        self.tokens: dict[int, int] = defaultdict(int)
        self.likely: dict[int, list] = defaultdict(list)

    def __call__(self, piece: Piece) -> None:
        self.text[piece.sample] += piece.text
        self.tokens[piece.sample] += piece.tokens
        self.likely[piece.sample] += piece.likely
        if piece.reason:
            self.reason[piece.sample] = piece.reason


def engine_of(stops: bool = True, speculation: str = "lookup", memory: int = 1 << 20, **limits) -> Engine:
    given = Limits(**{"tokens": 64, "running": 12, **limits})
    draft = wordy(stops) if speculation == "draft" else None
    return Engine(wordy(stops), memory, page=8, limits=given, speculation=speculation, draft=draft)


def say(engine: Engine, grammar: str, sampling: Sampling, prompt: str = "say: ", **options) -> Heard:
    heard = Heard()
    engine.ask(
        "one",
        engine.loaded.tokenizer.encode(prompt),
        sampling,
        heard,
        constraint=Vocabulary.of(engine.loaded.tokenizer, engine.loaded.config.vocab_size).compile(grammar),
        **options,
    )
    while engine.busy:
        engine.step()
    return heard


def is_whole(name: str, text: str) -> bool:
    """By other means than the parser's."""
    if name == "schema":
        return not list(jsonschema.Draft202012Validator(PLACE).iter_errors(json.loads(text)))
    if name == "object":
        return isinstance(json.loads(text), dict)
    patterns = {
        "regex": DATE,
        "choice": "name|names|no|Ärger und 漢字",
        "lark": r"\d+(\+\d+)*",
        "ebnf": r"\(*x\)*",
    }
    return bool(re.fullmatch(patterns[name], text)) and text.count("(") == text.count(")")


@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("name", GRAMMARS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_whole_texts_satisfy_their_grammar(name, stops, temperature):
    whole = 0
    for seed in range(3):
        engine = engine_of(stops)
        heard = say(engine, GRAMMARS[name], Sampling(150, temperature=temperature, seed=seed, top_p=0.95))
        if heard.reason[0] == "stop":
            whole += 1
            assert is_whole(name, heard.text[0]), heard.text[0]
        else:
            assert heard.reason[0] == "length"
            assert heard.tokens[0] == 150
        assert engine.pages.available == engine.pages.count
    assert (
        whole or temperature == 0 or (name, stops) in {("lark", False), ("object", True), ("object", False)}
    )


@st.composite
def schemas(draw, depth=2):
    kinds = ["string", "integer", "boolean", "null", "enum", "date", "pattern"]
    kind = draw(st.sampled_from(kinds + (["object", "array", "anyOf"] if depth else [])))
    inner = schemas(depth=depth - 1)
    if kind == "string":
        least = draw(st.integers(0, 3))
        return {"type": kind, "minLength": least, "maxLength": least + draw(st.integers(0, 5))}
    if kind == "integer":
        least = draw(st.integers(-1000, 1000))
        return {"type": kind, "minimum": least, "maximum": least + draw(st.integers(0, 5000))}
    if kind == "enum":
        values = st.sampled_from(["a", 'b"c', 1, -2.5, None, True, [1], {"a": 1}])
        return {"enum": draw(st.lists(values, min_size=1, max_size=4))}
    if kind == "date":
        return {"type": "string", "format": "date"}
    if kind == "pattern":
        return {
            "type": "string",
            "pattern": draw(st.sampled_from(["^[a-f]{2,5}$", "^(ab|c)+d?$", "^\\d{3}-x$"])),
        }
    if kind == "object":
        names = draw(st.lists(st.sampled_from(["a", "b", "name", 'Ä "q']), unique=True, max_size=3))
        return {
            "type": kind,
            "properties": {name: draw(inner) for name in names},
            "required": [name for name in names if draw(st.booleans())],
            "additionalProperties": False,
        }
    if kind == "array":
        least = draw(st.integers(0, 2))
        return {
            "type": kind,
            "items": draw(inner),
            "minItems": least,
            "maxItems": least + draw(st.integers(0, 2)),
        }
    if kind == "anyOf":
        return {"anyOf": draw(st.lists(inner, min_size=1, max_size=3))}
    return {"type": kind}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(schemas(), st.sampled_from([0.0, 1.0, 2.0]))
def test_what_is_said_under_a_schema_validates(schema, temperature):
    heard = say(engine_of(), json_schema(schema), Sampling(400, temperature=temperature, seed=3))
    if heard.reason[0] == "stop":
        said = json.loads(heard.text[0])
        jsonschema.validate(said, schema, jsonschema.Draft202012Validator)
    else:
        assert heard.reason[0] == "length"  # (ab|c)+ has no end


@pytest.mark.models
def test_what_smollm2_says_under_a_schema_validates(smollm2):
    """Greedy and sampled, all at once, beside one that is free."""
    engine = Engine(smollm2, memory=64 << 20)
    vocabulary = Vocabulary.of(smollm2.tokenizer, smollm2.config.vocab_size)
    person = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "age": {
        "type": "integer", "minimum": 0, "maximum": 120}}, "required": ["name", "age"],
        "additionalProperties": False}  # fmt: skip
    wanted = [person, {"type": "array", "items": person, "minItems": 2, "maxItems": 2}, PLACE]
    prompt = smollm2.template.encode([Message("user", "Describe Ada Lovelace.")], smollm2.tokenizer)
    said: dict[str, Heard] = {"free": Heard()}
    engine.ask("free", prompt, Sampling(20, temperature=0.0), said["free"])
    for number, schema in enumerate(wanted):
        for temperature in (0.0, 1.0):
            heard = said[f"{number} {temperature}"] = Heard()
            sampling = Sampling(90, temperature=temperature, seed=number)
            constraint = vocabulary.compile(json_schema(schema))
            engine.ask(f"{number} {temperature}", prompt, sampling, heard, constraint=constraint)
    while engine.busy:
        engine.step()
    assert "Ada" in said.pop("free").text[0]
    for name, heard in said.items():
        assert heard.reason[0] == "stop", heard.text[0]
        jsonschema.validate(json.loads(heard.text[0]), wanted[int(name[0])])


@pytest.mark.parametrize("name", GRAMMARS)
@pytest.mark.parametrize(
    "sampling", [Sampling(120, temperature=0.0), Sampling(120, temperature=1.2, seed=9, top_k=30)]
)
def test_speculation_preemption_and_samples_change_nothing(name, sampling):
    """The same draws, with drafts and without, on many pages and on few, alone and beside others."""
    prompt = '{"city": "Paris", "days": [1, 2]} 2024-05-06 name (((x))) 12+12+12 say: '
    plain = [
        say(engine_of(speculation="off"), GRAMMARS[name], sampling, prompt, samples=1).text[0],
    ]
    for speculation in ("lookup", "draft"):
        drafted = engine_of(speculation=speculation)
        assert [say(drafted, GRAMMARS[name], sampling, prompt).text[0]] == plain
    three = say(engine_of(speculation="off"), GRAMMARS[name], sampling, prompt, samples=3)
    tight = engine_of(memory=26 * 2048)
    again = say(tight, GRAMMARS[name], sampling, prompt, samples=3)
    assert three.text == again.text
    assert three.reason == again.reason
    assert three.text[0] == plain[0]


def test_few_pages_preempt_under_constraints():
    """So that the test above means what it says."""
    tight = engine_of(memory=26 * 2048)
    say(tight, GRAMMARS["lark"], Sampling(120, temperature=0.0), "x" * 60, samples=3)
    assert tight.scheduler.counts.preempted > 0


def test_forced_tokens_are_drafted_and_right():
    """Each step gives out as many as may be drafted, and one: all of the text is forced."""
    text = "a text of some length, which leaves no choice at all; 1234567890"
    engine = engine_of()
    heard = say(engine, choice([text]), Sampling(200, temperature=1.0, seed=1))
    counts = engine.scheduler.counts
    assert heard.text[0] == text
    assert heard.reason[0] == "stop"
    assert counts.accepted >= counts.drafted - 1  # the last ends the text, and is counted as what came anyway
    assert counts.steps <= 2 + heard.tokens[0] // 9 + 1


def test_logprobs_are_the_models_own():
    heard = say(engine_of(), GRAMMARS["regex"], Sampling(30, temperature=0.0), logprobs=2)
    likely = heard.likely[0]
    assert len(likely) == heard.tokens[0]
    assert "".join(tokenizer().token_text(one.token) for one in likely) == heard.text[0]
    assert any(one.token != one.top[0][0] for one in likely)  # the model would have said something else


def test_penalties_and_bias_do_not_break_a_constraint():
    (brace,) = tokenizer().encode("}")
    sampling = Sampling(200, temperature=1.0, seed=4, repetition_penalty=1.5, presence_penalty=1.0,
                        logit_bias={brace: 100.0, 5: 100.0}, min_p=0.2)  # fmt: skip
    heard = say(engine_of(), json_schema(PLACE), sampling)
    assert is_whole("schema", heard.text[0])
    assert heard.reason[0] == "stop"


def test_past_stops_ends_where_the_grammar_does():
    heard = say(engine_of(), GRAMMARS["choice"], Sampling(50, temperature=1.0, seed=1), past_stops=True)
    assert is_whole("choice", heard.text[0])
    assert heard.reason[0] == "stop"


def test_a_text_whole_at_its_last_token_is_not_cut_off():
    (token,) = {len(tokenizer().encode(text)) for text in ("no",)} or {0}
    heard = say(engine_of(False), choice(["no"]), Sampling(token, temperature=0.0))
    assert heard.tokens[0] <= token
    if heard.text[0] == "no":
        assert heard.reason[0] == "stop"


def test_a_constraint_that_fails_ends_its_request_and_no_other():
    engine = engine_of()
    constraint = vocabulary().compile(regex("[0-9]{50}"))
    good, bad = Heard(), Heard()

    class Failing(Constraint):
        left = 3

        def accept(self, token: int) -> None:
            self.left -= 1
            if not self.left:
                raise BadGrammar("too complex")
            super().accept(token)

        def fork(self) -> Constraint:
            return Failing(self.vocabulary, self._matcher.deep_copy())

    prompt, sampling = tokenizer().encode("x"), Sampling(20, temperature=1.0, seed=2)
    engine.ask("bad", prompt, sampling, bad, constraint=Failing(vocabulary(), constraint._matcher), samples=3)
    engine.ask("good", prompt, sampling, good)
    while engine.busy:
        engine.step()
    assert set(bad.reason.values()) == {"error"}
    assert len(bad.reason) == 3
    assert good.reason[0] in ("length", "stop")
    assert engine.pages.available == engine.pages.count


# --- grammars that are wrong, and that attack


@pytest.mark.parametrize(
    ("make", "given", "says"),
    [
        (json_schema, 5, "is an object, got int"),
        (json_schema, {"type": "dict"}, "/type: 'dict'"),
        (json_schema, {"type": "object", "required": "a"}, "/required"),
        (json_schema, {"$ref": "https://example.com/s.json"}, "nothing elsewhere"),
        (json_schema, {"$ref": "file:///etc/passwd"}, "nothing elsewhere"),
        (json_schema, {"$ref": "#/$defs/none"}, "none"),
        (
            json_schema,
            {"properties": {"a": {"not": {}}, "b": {"uniqueItems": True}}},
            "/properties/b/uniqueItems",
        ),
        (json_schema, {"type": "string", "pattern": "("}, "regex"),
        (json_schema, {"type": "integer", "minimum": 5, "maximum": 3}, "greater than maximum"),
        (json_schema, False, "empty"),
        (json_schema, {"$ref": "#"}, "no text can satisfy it"),
        (json_schema, {"x-guidance": {"lenient": True}, "if": {}}, "/if"),
        (regex, "(a", "regex"),
        (regex, " ", "is empty"),
        (regex, "(?=a)b", "look"),
        (lark, "start: x", "unknown name"),
        (lark, "start: start", "no text can satisfy it"),
        (lark, '%import "/etc/passwd"\nstart: x', "Expected"),
        (lark, 'start: %json {"$ref": "file:///etc/passwd"}', "nothing elsewhere"),
        (choice, [], "one or more texts"),
        (choice, ["a", ""], "none of them empty"),
    ],
)
def test_wrong_grammars_are_refused_with_the_reason(make, given, says):
    with pytest.raises(BadGrammar, match=re.escape(says)):
        vocabulary().compile(make(given))


def test_all_faults_of_a_schema_are_told():
    schema = {
        "properties": {"a": {"if": {}, "contains": {}}, "b": {"$ref": "http://x"}},
        "multipleOf": 999_983,
    }
    with pytest.raises(BadGrammar) as told:
        json_schema(schema)
    for part in ("/properties/a/if", "/properties/a/contains", "/properties/b/$ref", "multipleOf"):
        assert part in str(told.value)
    with pytest.raises(BadGrammar) as told:
        json_schema({"type": 5, "required": 3, "minLength": "x"})
    assert all(part in str(told.value) for part in ("/type", "/required", "/minLength"))


def deep(levels: int) -> dict:
    schema: dict = {"type": "integer"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


def fan(levels: int) -> dict:
    """Every level names the one below twice, in alternatives of a conjunction."""
    below = {f"n{n}": {"allOf": [{"anyOf": [{"$ref": f"#/$defs/n{n - 1}"}, {"required": [f"y{n}"]}]},
                                 {"anyOf": [{"$ref": f"#/$defs/n{n - 1}"}, {"required": [f"z{n}"]}]}]}
             for n in range(1, levels)}  # fmt: skip
    return {"$defs": {"n0": {"type": "object"}, **below}, "$ref": f"#/$defs/n{levels - 1}"}


ATTACKS = {
    "deep": lambda: json_schema(deep(20_000)),
    "wide": lambda: json_schema({"properties": {f"p{n}": {"type": "integer"} for n in range(50_000)}}),
    "long": lambda: json_schema({"const": "x" * 100_000}),
    "fan": lambda: json_schema(fan(10)),
    "remainders": lambda: json_schema({"allOf": [{"multipleOf": p} for p in (7, 11, 13, 17, 19, 23)]}),
    "embedded": lambda: lark('start: A %json {"multipleOf": 1999993}\nA: /a/'),
    "tiny steps": lambda: json_schema({"type": "number", "multipleOf": 1e-300}),
    "huge range": lambda: json_schema({"type": "number", "minimum": 1e-300, "maximum": 1e300}),
    "alternatives": lambda: lark("root ::= " + '"a" | ' * 9_000 + '"b"'),
    "brackets": lambda: lark("root ::= " + "(" * 30_000),
    "enum": lambda: json_schema({"enum": [f"value {n * 7919}" for n in range(3_900)]}),
    "lengths": lambda: json_schema({"type": "string", "minLength": 10**9}),
    "items": lambda: json_schema({"type": "array", "items": {}, "minItems": 10**18}),
    "counted": lambda: regex("((a{1000}){1000}){1000}"),
    "nested": lambda: regex("(" * 5000 + "a" + ")" * 5000),
    "states": lambda: regex("(.|\n)*a(.|\n){40}"),
    "stars": lambda: regex("(((a*)*)*)*b"),
    "both": lambda: lark("start: A\nA: /.*a.{20}/ & /.*b.{20}/ & ~/.*c.{20}/"),
    "ambiguous": lambda: lark('start: s\ns: s s | s s s | "a" | "aa" | '),
    "many": lambda: lark("start: " + " ".join(f'("a" | "b{n}")?' for n in range(3000))),
    "text": lambda: lark("start: " + "x" * 100_000),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_refused_or_bounded(name):
    """Refused at once, or no step of theirs takes long. The times are generous: other work may be running."""
    draw = random.Random(1)
    begin = time.process_time()
    try:
        constraint = vocabulary().compile(ATTACKS[name]())
    except BadGrammar:
        assert time.process_time() - begin < 5
        return
    assert time.process_time() - begin < 5
    for _ in range(60):
        begin = time.process_time()
        try:
            mask = constraint.allowed().nonzero()[:, 0].tolist()
            constraint.accept(draw.choice(mask))
        except BadGrammar:  # too many items, or states
            break
        assert time.process_time() - begin < 2
        if constraint.ended:
            break


def test_smaller_bounds_hold():
    """What ordinary schemas need lies within."""
    props = {f"p{n}": {"type": "string", "description": "a field"} for n in range(200)}
    vocabulary().compile(json_schema({"type": "object", "properties": props, "required": list(props)}))
    vocabulary().compile(json_schema({"type": "number", "multipleOf": 0.01}))
    vocabulary().compile(json_schema(deep(15)))


def test_compiled_grammars_are_kept(monkeypatch):
    loaded = wordy()
    fresh = Vocabulary(loaded.tokenizer, loaded.config.vocab_size)
    first = fresh.compile(any_object())
    token = int(first.allowed().nonzero()[0, 0])
    first.accept(token)
    second = fresh.compile(any_object())
    assert second.allowed()[token]  # a new text, not the first one's
    for n in range(100):
        fresh.compile(choice([f"a{n}"]))
    assert len(fresh._compiled) == KEPT
    assert Vocabulary.of(loaded.tokenizer, loaded.config.vocab_size) is vocabulary()
    assert torch.equal(fresh.compile(any_object()).allowed(), second.allowed())
