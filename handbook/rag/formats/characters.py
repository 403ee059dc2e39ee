"""Bytes as text, and text as all stages want it: in composed form, with one kind of line end, nothing unseen.

What the bytes are is asked in the order of how sure the answer is: a byte order mark, UTF-8 without a fault,
what the document or its server declares, and a guess by charset-normalizer at last. Normal forms: Unicode
Standard Annex 15. Of what can't be seen, control characters, soft hyphens and the tag characters (U+E0000 to
U+E007F, which spell out instructions to models that no reader sees) go; joiners stay, since scripts and emoji
need them.
"""

import codecs
import re
import unicodedata

from handbook.rag.formats.faults import Unreadable

SAMPLE = 64 << 10  # bytes that a guess looks at
PILE = 30  # marks on a letter
CONTROLS = 0.02  # share of control characters above which bytes are no text
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROLS = bytes((*range(9), 11, *range(14, 32), 127))
_SEEN_AS_ENDS = (b"\r\n", b"\r", b"\x0c", "\x85".encode(), "\u2028".encode(), "\u2029".encode())
# Beyond ASCII, as UTF-8: U+0080 to U+009F, soft hyphen; U+2060; byte order mark; U+FFFE, U+FFFF; tags. Each
# begins with bytes that are looked for as fast as memory is read.
_UNSEEN = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        rb"\xc2[\x80-\x9f\xad]",
        rb"\xe2\x81\xa0",
        rb"\xef\xbb\xbf",
        rb"\xef\xbf[\xbe\xbf]",
        rb"\xf3\xa0[\x80\x81].",
    )
)
_PILES = re.compile(r"[^\w\s\x00-\x7f]{31,}")
_BEYOND = bytes([32] * 128 + [*range(128, 256)])  # ASCII as spaces
_ODD = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufffd]")
_HALVES = re.compile("[\ud800-\udfff]")
_REPLACED = "\ufffd"
# What is declared as these is Windows' or China's larger set, as browsers read it (WHATWG Encoding, section
# 4.2).
_MEANT = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
}


def decode(data: bytes, declared: str = "") -> tuple[str, str, str]:
    """(text, name of its encoding, what was lost: '' where nothing was).

    declared: what the document or its server says, '' where they say nothing.
    Raises Unreadable for what is no text at all.
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return _with_loss(data[len(mark) :], name)
    if b"\0" not in data:
        try:
            return data.decode("utf-8"), "utf-8", ""
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data" and error.start > len(data) - 4:
                return data[: error.start].decode("utf-8"), "utf-8", "the last character: it is cut off"
    name = known(declared)
    return _with_loss(data, name if name and name != "utf-8" else _guess(data))


def known(name: str) -> str:
    """Python's name of a declared encoding, '' for one that it does not know or that is no encoding of
    text.
    """
    try:
        info = codecs.lookup(name.strip().strip("\"'"))
    except (LookupError, ValueError):
        return ""
    return _MEANT.get(info.name, info.name) if info._is_text_encoding and info.name not in _ESCAPES else ""


_ESCAPES = ("idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7")


def _with_loss(data: bytes, name: str) -> tuple[str, str, str]:
    text = data.decode(name, errors="replace")
    _refuse_binary(text)
    bad = text.count(_REPLACED) if _REPLACED in text else 0
    return text, name, f"{bad:,} characters that are no {name}" if bad else ""


def _guess(data: bytes) -> str:
    """The likeliest encoding of bytes that declare none and are not UTF-8."""
    sample = data[:SAMPLE]
    zeros = sample.count(0)
    if zeros:
        odd = sample[1::2].count(0)
        if zeros > 0.3 * len(sample) / 2 and (odd > 0.9 * zeros or odd < 0.1 * zeros):
            return "utf-16-le" if odd > zeros - odd else "utf-16-be"
        return "utf-8"  # with faults, which are counted; `_refuse_binary` looks at the rest
    try:
        sample.decode("utf-8")
        return "utf-8"  # only what comes after the sample is not
    except UnicodeDecodeError as error:
        if error.start > len(sample) - 4:
            return "utf-8"
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    name = known(best.encoding) if best else ""
    return name or "cp1252"


def _refuse_binary(text: str) -> None:
    sample = text[:SAMPLE]
    odd = len(_ODD.findall(sample))
    if len(sample) >= 16 and odd > max(8, CONTROLS * len(sample)):
        raise Unreadable("This is no text: control characters and bytes of no encoding are in it.")


def _safe(pile: re.Match[str]) -> str:
    """Marks on one letter in streams of at most PILE (UAX 15, section 13): sorting them takes time with the
    square of their number, and no script has so many.
    """
    kept, run = [], 0
    for character in pile[0]:
        run = run + 1 if unicodedata.combining(character) else 0
        if run <= PILE:
            kept.append(character)
    return "".join(kept)


def clean(text: str) -> str:
    """A text in NFC with \\n as its line ends and without what can't be seen."""
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:  # halves of pairs, as JSON can hold them
        data = _HALVES.sub(_REPLACED, text).encode("utf-8")
    data = data.translate(None, _CONTROLS)
    ascii_only = data.isascii()
    for end in _SEEN_AS_ENDS[: 3 if ascii_only else None]:
        data = data.replace(end, b"\n")
    if ascii_only:
        return data.decode("ascii")
    for unseen in _UNSEEN:
        data = unseen.sub(b"", data)
    text = data.decode("utf-8")
    if max(map(len, data.translate(_BEYOND).split()), default=0) > 2 * PILE:  # else there is no pile
        text = _PILES.sub(_safe, text)
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)
