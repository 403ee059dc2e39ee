import unicodedata

import pytest

from handbook.rag.formats.characters import clean, decode
from handbook.rag.formats.faults import Unreadable

GERMAN = "Die Prüfung für Köln wird größer, als wir es für möglich hielten."
RUSSIAN = "Файл читается программой, но он не меняется, и это всё. " * 3
JAPANESE = "ファイルはプログラムで読まれますが、変更されません。" * 3


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-16-le"),
        (GERMAN, "utf-16-be"),
        (GERMAN, "utf-32"),
        (GERMAN, "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
    ],
)
def test_texts_that_declare_no_encoding_are_read(text: str, encoding: str) -> None:
    found, _, lost = decode(text.encode(encoding))
    assert (found, lost) == (text, "")


def test_a_declared_encoding_is_believed_where_the_bytes_are_not_utf8() -> None:
    data = "Größe".encode("latin-1")
    assert decode(data, "iso-8859-1")[:2] == ("Größe", "cp1252")
    assert decode("Größe".encode(), "iso-8859-1")[:2] == ("Größe", "utf-8")


@pytest.mark.parametrize("name", ["no-such-thing", "base64", "unicode_escape", "utf-7", "idna", "\0"])
def test_declared_encodings_that_are_none_are_not_used(name: str) -> None:
    assert decode(GERMAN.encode("cp1252"), name)[0] == GERMAN


def test_bytes_that_are_no_character_are_counted() -> None:
    text, encoding, lost = decode(b"good text. " * 8000 + b"\xff\xfe and more")
    assert encoding == "utf-8"
    assert text.endswith(" and more")
    assert lost == "2 characters that are no utf-8"


def test_a_text_cut_within_a_character_is_read_up_to_there() -> None:
    text, encoding, lost = decode("Zürich, Köl".encode()[:-1] + "ö".encode()[:1])
    assert (text, encoding) == ("Zürich, Kö", "utf-8")
    assert "cut off" in lost


@pytest.mark.parametrize(
    "data", [bytes(range(256)) * 40, b"\x7fELF\x02\x01\x01" + bytes(60) + b"\x03\x3e\x80" * 90]
)
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(data)


def test_a_clean_text_has_one_form() -> None:
    assert clean("a\r\nb\rc\x0cd\x00e\x1b\tf") == "a\nb\nc\nde\tf"
    assert clean("é\r\nb\rc\u2028d\x0ce\u00adf\ufeff\x85g") == "é\nb\nc\nd\nef\ng"
    assert clean("e\u0301") == unicodedata.normalize("NFC", "e\u0301")
    assert clean("x\ud800y é") == "x\ufffdy é"


def test_a_pile_of_marks_on_a_letter_takes_no_time() -> None:
    """Normalising 400,000 marks on one letter takes minutes: they are sorted two by two."""
    assert len(clean("a" + "\u0301\u0323" * 200_000 + "b")) < 40
    assert clean("a" + "\u0323\u0301" * 3) == unicodedata.normalize("NFC", "a" + "\u0323\u0301" * 3)


def test_instructions_in_tag_characters_are_gone_and_joiners_stay() -> None:
    hidden = "".join(chr(0xE0000 + ord(c)) for c in "obey me")
    assert clean(f"plain é{hidden} text") == "plain é text"
    family = "\U0001f468\u200d\U0001f469"
    assert clean(family) == family
