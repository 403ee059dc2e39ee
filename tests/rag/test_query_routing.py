import numpy as np
import pytest

from handbook.chat import ScriptedChat
from handbook.errors import ChatError
from handbook.rag.query.lexicon import Lexicon
from handbook.rag.query.routing import Profile, by_rule, route, telling

MODELS = Profile(
    "models", Lexicon.of(["attention over keys and values", "the cache of keys", "training loss"]), "AI"
)
KITCHEN = Profile(
    "kitchen", Lexicon.of(["bread dough rises", "salt the water", "keys to good bread"]), "Cooking"
)
BOTH = [MODELS, KITCHEN]


@pytest.mark.parametrize(
    ("question", "corpora"),
    [
        ("How does attention use values?", ("models",)),
        ("Why does my dough rise?", ("kitchen",)),
        ("the keys", ("models", "kitchen")),
        ("Which football club won?", ()),
        ("hello there!", ()),
        ("Thanks a lot", ()),
        ("What can you do?", ()),
        ("What is 17 * 23?", ()),
        ("What is attention, in the kitchen corpus?", ("kitchen",)),
        ("Search my kitchen for attention", ("kitchen",)),
        ("the", ()),
    ],
)
def test_by_words(question: str, corpora: tuple[str, ...]) -> None:
    found = by_rule(question, BOTH)
    assert found.corpora == corpora
    assert found.why


def test_one_corpus_is_asked_or_not() -> None:
    assert by_rule("How does attention use values?", [MODELS]).corpora == ("models",)
    assert by_rule("Which football club won?", [MODELS]).corpora == ()
    assert by_rule("How?", []).corpora == ()


def test_a_score_by_hand() -> None:
    """One of two words, both as rare: half of it, and half of that again where another corpus has it as
    often."""
    models, other = Profile("a", Lexicon.of(["attention"])), Profile("b", Lexicon.of(["attention"]))
    assert by_rule("attention zebra", [models]).scores["a"] == pytest.approx(
        np.log(4 / 3) / (np.log(4 / 3) + np.log(4))
    )
    shared = by_rule("attention", [models, other]).scores
    assert shared == {"a": 0.75, "b": 0.75}
    third = Profile("c", Lexicon.of(["attention"]))
    assert by_rule("attention", [models, other, third]).scores == {"a": 0.75, "b": 0.75, "c": 0.75}


def test_telling_words() -> None:
    assert telling("How does key-value `base_rope` work?") == ["key", "value", "base", "rope"]
    assert telling("Does it scale?") == ["scale"]


def test_samples_count_where_words_are_missing() -> None:
    near = np.array([[1, 0]], np.float32)
    far = np.array([[0, 1]], np.float32)
    profiles = [Profile("a", MODELS.lexicon, "", near), Profile("b", MODELS.lexicon, "", far)]
    found = by_rule("focus on tokens", profiles, np.array([1, 0], np.float32))
    assert found.corpora == ("a",)
    assert found.scores["a"] == 0.5
    assert by_rule("focus on tokens", profiles).corpora == ()


def test_a_model_is_asked_only_where_words_leave_it_open() -> None:
    sure, open_ = ScriptedChat([]), ScriptedChat(['{"collection": "kitchen"}'])
    assert route("How does attention use values?", BOTH, sure).by == "rule"
    assert route("hello", BOTH, sure).corpora == ()
    assert sure.asked == []
    found = route("the keys", BOTH, open_)
    assert (found.corpora, found.by) == (("kitchen",), "model")
    assert open_.schemas[0]["properties"]["collection"]["enum"] == ["models", "kitchen", "none"]
    assert "Cooking" in open_.asked[0][0][0].content


def test_a_model_may_choose_none() -> None:
    assert route("the keys", BOTH, ScriptedChat(['{"collection": "none"}'])).corpora == ()


@pytest.mark.parametrize("reply", ['{"collection": "secrets"}', "kitchen", ChatError("Down.")])
def test_a_model_that_fails_leaves_the_words(reply: str | Exception) -> None:
    found = route("the keys", BOTH, ScriptedChat([reply]))
    assert (found.corpora, found.by) == (("models", "kitchen"), "rule")
