import io
import tarfile
from pathlib import Path

import pytest

from handbook.errors import DataError, DataUnavailable
from handbook.rag import cacm
from handbook.rag.beir import Text

PAGE = """<html>
<pre>


A Paper on Sets
with i < n &amp; more

The abstract goes
over two lines.

CACM JUly, 1968

Author, A.
Other, B.

sets, maps

4.22 4.34

CA680702 JB January 3, 1978  12:05 AM

2095	4	3000

</pre>
</html>"""
TOPICS = (
    "<DOC>\n<DOCNO> 1 </DOCNO>\n\n\n What about\nsets?\n\n</DOC>\n<DOC>\n<DOCNO> 2 </DOCNO>\nNo.\n</DOC>\n"
)


def test_a_page_without_what_says_nothing() -> None:
    text = "The abstract goes over two lines.\nAuthor, A. Other, B.\nsets, maps"
    assert cacm.page(PAGE) == Text("A Paper on Sets with i < n & more", text)
    assert cacm.page("<html><pre>\n\nCACM June, 1960\n\n</pre></html>") == Text("", "")


def test_topics_and_judgements() -> None:
    assert cacm.topics(TOPICS) == {"1": "What about sets?", "2": "No."}
    assert cacm.judgements("1 Q0 CACM-5 1\n\n1 Q0 CACM-7 0\n") == {"1": {"CACM-5": 1, "CACM-7": 0}}
    with pytest.raises(DataError, match="line 2 is not") as raised:
        cacm.judgements("1 Q0 CACM-5 1\n1 CACM-5 1\n1 Q0 CACM-5 x\n")
    assert raised.value.count == 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with tarfile.open(tmp_path / "cacm.tar.gz", "w:gz") as tar:
        for name, data in (
            ("CACM-0005.html", PAGE),
            ("../CACM-0006.html", "<pre>Away</pre>"),
            ("x.txt", "x"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data.encode()))
        link = tarfile.TarInfo("CACM-0007.html")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    (tmp_path / "topics.cacm.txt").write_text(TOPICS)
    (tmp_path / "qrels.cacm.txt").write_text("1 Q0 CACM-5 1\n")
    return tmp_path


def test_the_set(folder: Path) -> None:
    found = cacm.read(folder)
    assert list(found.documents) == ["CACM-5", "CACM-6"]  # names are names: nothing is written anywhere
    assert (found.queries, found.judged) == ({"1": "What about sets?"}, {"1": {"CACM-5": 1}})


def test_bad_tars(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "cacm.tar.gz"
    whole = path.read_bytes()
    monkeypatch.setattr(cacm, "PAGE", 100)
    with pytest.raises(DataError, match="more than 100 bytes"):
        cacm.read(folder)
    monkeypatch.undo()
    for broken in (whole[: len(whole) // 2], b"no tar", b""):
        path.write_bytes(broken)
        with pytest.raises(DataError, match="cannot be read"):
            cacm.read(folder)
    path.unlink()
    with pytest.raises(DataUnavailable):
        cacm.read(folder)


@pytest.mark.shared
def test_the_collection(retrieval_path: Path) -> None:
    found = cacm.read(retrieval_path / "cacm")
    assert (len(found.documents), len(found.queries)) == (3204, 52)
    assert found.lacking == ()
    assert sum(map(len, found.judged.values())) == 796
    assert found.documents["CACM-3000"].title == "Segment Sizes and Lifetimes in Algol 60 Programs"
    assert all(text.title and "\t" not in text.whole for text in found.documents.values())
