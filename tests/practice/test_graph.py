"""The concept graph of the real book."""

import pytest

from handbook.book.load import open_book
from handbook.practice.graph import Graph, concepts


@pytest.fixture(scope="module")
def graph() -> Graph:
    return concepts(open_book())


def test_every_question_and_exercise_has_a_place(graph: Graph) -> None:
    book = open_book()
    assert set(graph.questions) == set(book.questions)
    assert set(graph.exercises) == set(book.exercises)
    for id, place in graph.places.items():
        listed = graph.concepts[place].questions + graph.concepts[place].exercises
        assert id in listed
    for id, question in graph.questions.items():
        assert graph.concepts[graph.places[id]].chapter == question.chapter.rpartition("/")[2]


def test_an_anchor_belongs_to_the_heading_above_it(graph: Graph) -> None:
    book = open_book()
    for question in book.questions.values():
        chapter = book.chapter(question.chapter)
        assert chapter is not None
        line = chapter.anchors[question.anchor]
        above = [section.id for section in chapter.sections if section.line <= line]
        assert graph.places[question.id] == f"{chapter.slug}#{above[-1]}"


def test_nothing_rests_on_itself_and_orders_keep_to_that(graph: Graph) -> None:
    backwards = list(reversed(graph.concepts))
    order = graph.in_order(backwards)
    assert sorted(order) == sorted(backwards)
    place = {id: number for number, id in enumerate(order)}
    for id, concept in graph.concepts.items():
        assert id not in graph.before(id)
        for other in concept.needs:
            assert place[other] < place[id]
            assert id in graph.needed_by[other]


def test_a_subsection_rests_on_its_section_and_links_relate(graph: Graph) -> None:
    assert "transformer-deep-dive#positions" in graph.concepts["transformer-deep-dive#rope"].needs
    assert "transformer-deep-dive#self-attention" in graph.before("transformer-deep-dive#rope")
    pair = ("transformer-deep-dive#kv-cache", "llm-serving-optimization#two-phases")
    assert pair in graph.related or pair[0] in graph.before(pair[1])
    assert all(one in graph.concepts and two in graph.concepts for one, two in graph.related)


def test_areas_hold_every_section_once(graph: Graph) -> None:
    found = [each.id for area in graph.areas for each in graph.in_area(area)]
    assert sorted(found) == sorted(graph.concepts)
