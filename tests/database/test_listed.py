"""Documents of a corpus, a page of them at a time, with what was lost."""

from typing import Any

from handbook.database import Database
from handbook.database.corpora import Catalogue


def document(name: str, **values: Any) -> dict[str, Any]:
    plain = {
        "origin": "",
        "digest": "0" * 64,
        "title": name,
        "kind": "markdown",
        "language": "en",
        "seen": {},
    }
    counts = {"chunks": 1, "characters": 10, "lost": [], "fault": "", "seconds": 0.0}
    return {"source": name, **plain, **counts, **values}


def test_documents_come_by_the_page_and_by_what_was_lost(database: Database) -> None:
    catalogue = Catalogue(database)
    for corpus in ("mine", "other"):
        catalogue.add_corpus(name=corpus, title=corpus, model="m", dimension=2, settings={})
    torn = document("c.pdf", lost=["page 3: no text", "page 4: no text"], language="de")
    broken = document("b.pdf", fault="It is broken.", chunks=0, language="")
    whole = [document(f"{letter}.md") for letter in "aedf"]
    catalogue.put_documents("mine", [torn, broken, *whole])
    catalogue.put_documents("other", [document("z.md", fault="no", lost=["all"], language="fr")])

    def names(*asked: Any) -> list[str]:
        return [row["source"] for row in catalogue.listed("mine", *asked)]

    assert names(0, 4) == ["a.md", "b.pdf", "c.pdf", "d.md"]
    assert names(4, 4) == ["e.md", "f.md"]
    assert names(0, 9, True) == ["b.pdf", "c.pdf"]
    assert names(1, 9, True) == ["c.pdf"]
    assert catalogue.spread("mine") == (1, 1, [("en", 4), ("de", 1)])
    assert catalogue.spread("none") == (0, 0, [])
