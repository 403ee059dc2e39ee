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
CONTROLS = 0.02  # share of control characters above which bytes are no text
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNSEEN_ASCII = bytes((*range(9), 11, *range(14, 32), 127))
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u2060\ufeff\ufffe\uffff\U000e0000-\U000e007f]"
)
_LINE_ENDS = re.compile("\r\n?|[\x0c\x85\u2028\u2029]")
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
    unseen = sum(1 for _ in _UNSEEN.finditer(sample)) + sample.count(_REPLACED)
    if len(sample) >= 16 and unseen > CONTROLS * len(sample) and sample.count("\0") + unseen > 8:
        raise Unreadable("This is no text: control characters and bytes of no encoding are in it.")


def clean(text: str) -> str:
    """A text in NFC with \\n as its line ends and without what can't be seen; as fast as can be where it is
    so.
    """
    if text.isascii():
        data = text.encode("ascii").translate(None, _UNSEEN_ASCII)
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\x0c", b"\n")
        return data.decode("ascii")
    text = _UNSEEN.sub("", text)
    text = _LINE_ENDS.sub("\n", text)
    text = _HALVES.sub(_REPLACED, text)
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)
