"""One place to ask: the book, a corpus by its name, or whichever a question is for."""

from types import SimpleNamespace
from typing import Any

import pytest

from handbook.chat import ScriptedChat
from handbook.errors import HandbookError
from handbook.rag.nouns import Row
from handbook.rag.query.lexicon import Lexicon
from handbook.records import Message, Sentence
from handbook.settings import Settings
from handbook.tutor import Desk, Tutor, stages_of
from tests.rag.conftest import Open, open_small  # noqa: F401  (a fixture)
from tests.rag.fakes import HashEmbedder
from tests.rag.held import Held
from tests.rag.rows import chunks
from tests.test_tutor import weights

NOTES = ("Saffron threads are picked by hand. Paella rice wants saffron.", "Basmati rice is rinsed before.")


class Shelves:
    """Corpora in memory, as `handbook.rag.corpora` has them."""

    def __init__(self, **texts: Any) -> None:
        self.embedder = HashEmbedder()
        self.held: dict[str, tuple[Held, Lexicon]] = {}
        for name, some in texts.items():
            self.write(name, chunks(f"{name}.md", some, "local", kind="markdown"))
        self.faults: dict[str, str] = {}

    def write(self, name: str, rows: list[Row]) -> None:
        self.held[name] = Held(rows, self.embedder), Lexicon.of(row.text for row in rows)

    def all(self) -> list[Any]:
        return [SimpleNamespace(name=name, fault=self.faults.get(name, "")) for name in sorted(self.held)]

    def reader(self, name: str) -> Any:
        if name not in self.held:
            raise HandbookError(f"There is no corpus {name!r}.")
        return self.held[name][0]

    def vocabulary(self, name: str) -> Lexicon:
        return self.held[name][1]


@pytest.fixture
def desk(open_small: Open) -> Desk:  # noqa: F811
    shelves = Shelves(recipes=NOTES, garden=("Roses want sun. Hedges are cut in autumn.",))
    tutor = Tutor(open_small(), weights=weights())
    return Desk(lambda: tutor, shelves, ScriptedChat(["Saffron threads are picked by hand [1]."] * 2))


def asked(desk: Desk, question: str, corpus: str, *history: Message) -> Any:
    for name in desk.names()[1:]:
        desk.pipeline(name).weights = weights()
    return desk.ask(question, corpus, history)


def test_whom_one_asks_answers(desk: Desk) -> None:
    assert desk.names() == ["book", "garden", "recipes"]
    book = asked(desk, "What network of proteins is gluten?", "book")
    assert (book.corpus, book.refused) == ("book", False)
    own = asked(desk, "How are saffron threads picked?", "recipes")
    assert (own.corpus, own.refused) == ("recipes", False)
    assert own.hits[0].chunk.url.startswith("/corpora/recipes/passage/")
    assert asked(desk, "How are saffron threads picked?", "garden").refused
    with pytest.raises(HandbookError, match="no corpus 'letters'"):
        desk.ask("What?", "letters")


@pytest.mark.parametrize(
    ("question", "corpus"),
    [
        ("What network of proteins is gluten?", "book"),
        ("How are saffron threads picked?", "recipes"),
        ("When are hedges cut?", "garden"),
    ],
)
def test_auto_finds_whom_to_ask(desk: Desk, question: str, corpus: str) -> None:
    answer = asked(desk, question, "auto")
    assert (answer.corpus, answer.refused, answer.question) == (corpus, False, question)
    stages = [step.stage for step in answer.steps]
    assert stages.index("understand.route") < stages.index("retrieve")


def test_auto_asks_nobody_for_small_talk(desk: Desk) -> None:
    answer = asked(desk, "thank you!", "auto")
    assert answer.refused
    assert answer.hits == ()
    assert answer.steps[-1].stage == "understand.route"


def test_auto_reads_the_question_after_what_was_said(desk: Desk) -> None:
    before = Message("user", "How are saffron threads picked?")
    answer = asked(desk, "What rice wants them?", "auto", before)
    assert answer.corpus == "recipes"
    assert answer.question == "What rice wants them?"


def test_a_corpus_that_cannot_be_asked_is_not_offered(desk: Desk) -> None:
    desk._corpora.faults["garden"] = "Made with another model."
    assert desk.names() == ["book", "recipes"]


def test_a_corpus_is_opened_once_until_it_changes(desk: Desk) -> None:
    first = desk.pipeline("recipes")
    assert desk.pipeline("recipes") is first
    desk._corpora.write("recipes", chunks("new.md", ("Sumac is sour.",), "local"))
    assert desk.pipeline("recipes") is not first


def test_new_words_are_known_at_once(desk: Desk) -> None:
    first = desk.pipeline("recipes")
    held, _ = desk._corpora.held["recipes"]
    desk._corpora.held["recipes"] = held, Lexicon.of(["sumac"])
    assert desk.pipeline("recipes").profile.lexicon.frequency == {"sumac": 1}
    assert desk.pipeline("recipes") is not first


def test_of_two_that_may_answer_the_surer_one_does(desk: Desk) -> None:
    desk._corpora.write(
        "kitchen", chunks("k.md", ("Saffron threads are stored by hand in the dark.",), "local")
    )
    asked(desk, "x", "kitchen")
    answer = asked(desk, "How are saffron threads picked by hand?", "auto")
    (route,) = [step for step in answer.steps if step.stage == "understand.route"]
    assert set(route.produced["corpora"]) == {"kitchen", "recipes"}
    assert answer.corpus == "recipes"
    assert answer.confidence > desk.ask("How are saffron threads picked by hand?", "kitchen").confidence
    desk.pipeline("recipes").weights = weights(2.0)  # refuses all
    assert desk.ask("How are saffron threads picked by hand?", "auto").corpus == "kitchen"


def test_who_answered_generates(desk: Desk) -> None:
    answer = asked(desk, "How are saffron threads picked?", "auto")
    (sentence,) = [s for s in desk.generate(answer.question, answer) if isinstance(s, Sentence)]
    assert sentence.supported
    assert sentence.citations[0].chunk.kind == "document"
    with pytest.raises(HandbookError, match="No chat model"):  # the book's tutor has none here
        desk.generate("x", asked(desk, "What network of proteins is gluten?", "book"))


def test_the_book_is_opened_only_where_it_is_asked() -> None:
    def closed() -> Tutor:
        raise AssertionError

    desk = Desk(closed, Shelves(recipes=NOTES))
    assert desk.ask("How are saffron threads picked?", "recipes").corpus == "recipes"
    with pytest.raises(HandbookError, match="no corpus"):
        Desk(closed).ask("What?", "recipes")


def test_the_settings_may_name_a_reranker() -> None:
    assert stages_of(Settings()).rerank is None
    named = stages_of(Settings(reranker="some/cross-encoder")).rerank
    assert getattr(named, "name", "") == "some/cross-encoder"
