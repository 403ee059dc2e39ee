"""Small PDFs made by hand, with what is to be tested: places, sizes, pages without text, a password."""

import hashlib
from collections.abc import Sequence

Text = tuple[float, float, float, str]  # left, baseline, size, text
PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def pdf(pages: Sequence[Sequence[Text] | None], info: str = "", password: str = "") -> bytes:
    """A PDF with a line of Helvetica a text. A page that is None holds a square and no text: a scan."""
    first = 4
    key = _key(password)
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        3: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    }
    for i, page in enumerate(pages):
        number = first + 2 * i
        drawn = "10 10 100 100 re f" if page is None else "\n".join(_shown(*text) for text in page)
        stream = drawn.encode("cp1252")
        if password:
            salt = (number + 1).to_bytes(3, "little") + b"\0\0"
            stream = rc4(hashlib.md5(key + salt).digest()[: len(key) + 5], stream)
        objects[number] = (
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F 3 0 R>>>>"
            f"/Contents {number + 1} 0 R>>"
        ).encode()
        objects[number + 1] = b"<</Length %d>>\nstream\n%s\nendstream" % (len(stream), stream)
    kids = " ".join(f"{first + 2 * i} 0 R" for i in range(len(pages)))
    objects[2] = f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>".encode()
    trailer = ""
    if info:
        objects[max(objects) + 1] = f"<<{info}>>".encode("cp1252")
        trailer += f"/Info {max(objects)} 0 R"
    if password:
        objects[max(objects) + 1] = _standard(password)
        trailer += f"/Encrypt {max(objects)} 0 R/ID[<{'00' * 16}><{'00' * 16}>]"
    out, places = bytearray(b"%PDF-1.4\n"), {}
    for number in sorted(objects):
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, objects[number])
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    out += b"".join(b"%010d 00000 n \n" % places[number] for number in sorted(places))
    out += f"trailer\n<</Size {len(places) + 1}/Root 1 0 R{trailer}>>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def column(lines: Sequence[str], left: float = 72, top: float = 720, size: float = 10) -> list[Text]:
    """Lines below each other, twelve points apart."""
    return [(left, top - 12 * i, size, line) for i, line in enumerate(lines)]


def _shown(left: float, base: float, size: float, text: str) -> str:
    text = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"BT /F {size} Tf {left} {base} Td ({text}) Tj ET"


def rc4(key: bytes, data: bytes) -> bytes:
    box, j = list(range(256)), 0
    for i in range(256):
        j = (j + box[i] + key[i % len(key)]) % 256
        box[i], box[j] = box[j], box[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + box[i]) % 256
        box[i], box[j] = box[j], box[i]
        out.append(byte ^ box[(box[i] + box[j]) % 256])
    return bytes(out)


def _owner(password: str) -> bytes:
    padded = (password.encode() + PADDING)[:32]
    return rc4(hashlib.md5(padded).digest()[:5], padded)


def _key(password: str) -> bytes:
    """PDF 1.7 (ISO 32000-1), 7.6.3.3, algorithm 2: 40 bits."""
    padded = (password.encode() + PADDING)[:32]
    permissions = (-4).to_bytes(4, "little", signed=True)
    return hashlib.md5(padded + _owner(password) + permissions + bytes(16)).digest()[:5]


def _standard(password: str) -> bytes:
    user = rc4(_key(password), PADDING)
    return f"<</Filter/Standard/V 1/R 2/P -4/O<{_owner(password).hex()}>/U<{user.hex()}>>>".encode()
