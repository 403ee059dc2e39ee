"""Draws the figures of the chapter: one public function a figure, SVG out, its numbers computed here."""

from itertools import pairwise

from handbook.book.pen import ACCENT, INK, LINE, MUTED, PAPER, box, circle, drawing, label, line, text
from handbook.rag.bm25 import saturation
from handbook.rag.recursive import recursive

TEXT = "Pages hold keys and values. Each has sixteen slots.\n\nTables map."
FUNNEL = (
    ("asked", 200),
    ("parsed", 196),
    ("whole in a chunk", 186),
    ("among 100 candidates", 171),
    ("first 10, fused", 150),
    ("first 10, reranked", 158),
    ("in the prompt", 151),
    ("cited", 140),
)


def ten_stages() -> str:
    documents = (("ingest", "text"), ("chunk", "places"), ("embed", "vectors"), ("index", "rows"))
    questions = (
        ("understand", "queries"),
        ("retrieve", "hits"),
        ("fuse", "one list"),
        ("rerank", "order"),
        ("synthesize", "answer"),
    )
    parts = [
        text(12, 24, "once a document", MUTED, size=14),
        text(12, 184, "once a question", MUTED, size=14),
    ]
    wide = 112
    for n, (name, gives) in enumerate(documents):
        x = 12 + n * (wide + 16)
        parts.append(label(x, 36, wide, 54, name, gives))
        if n:
            parts.append(line([(x - 16, 63), (x, 63)], MUTED, head=True))
    wide = 92
    for n, (name, gives) in enumerate(questions):
        x = 12 + n * (wide + 9)
        parts.append(label(x, 196, wide, 54, name, gives))
        if n:
            parts.append(line([(x - 9, 223), (x, 223)], MUTED, head=True))
    parts.append(line([(452, 90), (452, 140), (159, 140), (159, 196)], ACCENT, head=True))
    parts.append(text(300, 132, "what can be found", ACCENT, "middle", 14))
    parts.append(box(12, 290, 496, 44, ACCENT, INK, opacity=0.15))
    parts.append(text(260, 318, "evaluate: a score for each, on the same questions", INK, "middle"))
    for n in range(5):
        x = 58 + n * 101
        parts.append(line([(x, 250), (x, 290)], ACCENT, 1.3, head=True, dash=True))
    return drawing(
        346,
        "The ten stages and what each hands on",
        "Above, once a document: ingest gives text, chunk places, embed vectors, index rows. Below, once a "
        "question: understand gives queries, retrieve hits from the index, fuse one list, rerank an order, "
        "synthesize an answer. Under them evaluate scores each.",
        parts,
    )


def chunk_places() -> str:
    """The worked example of the recursive splitter, drawn to the scale of its characters."""
    left, scale = 16, 7.6
    parts = list[str]()

    def row(y: float, name: str, start: int, end: int, fill: str, opacity: float) -> None:
        x, w = left + start * scale, (end - start) * scale
        parts.append(box(x, y, w, 34, fill, INK, opacity=opacity))
        parts.append(text(x + 8, y + 22, f"{name} {start}:{end}", INK, size=14))

    shown = TEXT.replace("\n\n", "\u21b5\u21b5")
    for n, letter in enumerate(shown):
        parts.append(text(left + (n + 0.5) * scale, 40, letter, INK, "middle", 14))
    parts.append(text(left, 16, "the document's text: 64 characters, fixed once", MUTED, size=14))
    row(62, "document", 0, len(TEXT), LINE, 0.35)
    chunks = recursive(TEXT, 6, lambda piece: len(piece.split()))
    for chunk in chunks:
        row(112, "chunk", chunk.start, chunk.end, ACCENT, 0.3)
    row(162, "sentence", 28, 51, PAPER, 1)
    row(212, "citation", 37, 50, ACCENT, 0.55)
    for place in (0, chunks[0].end, chunks[1].start, len(TEXT)):
        parts.append(line([(left + place * scale, 48), (left + place * scale, 254)], MUTED, 1, dash=True))
    return drawing(
        268,
        "Records as places in one text",
        "A line of 64 characters. Below it bars to scale: the document 0 to 64, two chunks 0 to 27 and 28 to "
        "64, a sentence 28 to 51, a citation of its words 37 to 50.",
        parts,
    )


CENTRES = {"A": (130, 150), "B": (300, 90), "C": (390, 230), "D": (200, 290)}
POINTS = (
    *((90, 110), (110, 190), (160, 120), (70, 160), (150, 180)),
    *((270, 70), (330, 60), (340, 120), (262, 150), (300, 40)),
    *((360, 210), (430, 200), (420, 260), (380, 280)),
    *((180, 310), (240, 300), (210, 260), (160, 270)),
)
ASKED = (218, 146)


def _apart(a: tuple[float, float], b: tuple[float, float]) -> float:
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2


def _cell(point: tuple[float, float]) -> str:
    return min(CENTRES, key=lambda name: _apart(CENTRES[name], point))


def _across(a: str, b: str, y: float) -> tuple[float, float]:
    """Where the border between two cells is at a height."""
    (ax, ay), (bx, by) = CENTRES[a], CENTRES[b]
    return (ax + bx) / 2 - (y - (ay + by) / 2) * (by - ay) / (bx - ax), y


def _down(a: str, b: str, x: float) -> tuple[float, float]:
    """Where it is at a place from the left."""
    (ax, ay), (bx, by) = CENTRES[a], CENTRES[b]
    return x, (ay + by) / 2 - (x - (ax + bx) / 2) * (bx - ax) / (by - ay)


def _corner(a: str, b: str, c: str) -> tuple[float, float]:
    """The point that is as far from each of three centres."""
    (ax, ay), (bx, by), (cx, cy) = CENTRES[a], CENTRES[b], CENTRES[c]
    d = 2 * (ax * (by - cy) + bx * (cy - ay) + cx * (ay - by))
    squares = [ax * ax + ay * ay, bx * bx + by * by, cx * cx + cy * cy]
    x = (squares[0] * (by - cy) + squares[1] * (cy - ay) + squares[2] * (ay - by)) / d
    y = (squares[0] * (cx - bx) + squares[1] * (ax - cx) + squares[2] * (bx - ax)) / d
    return x, y


def ivf_border() -> str:
    nearest = min(POINTS, key=lambda point: _apart(point, ASKED))
    own = _cell(ASKED)
    one, two = _corner("A", "B", "D"), _corner("B", "C", "D")
    borders = [
        [_across("A", "B", 20), one],
        [one, two],
        [one, _down("A", "D", 20)],
        [two, _down("B", "C", 500)],
        [two, _across("C", "D", 340)],
    ]
    parts = [line(border, LINE, 1.5) for border in borders]
    for point in POINTS:
        parts.append(circle(*point, 5, ACCENT if point == nearest else LINE, INK))
    for name, centre in CENTRES.items():
        parts.append(
            text(centre[0], centre[1] + 6, name, ACCENT if name == own else MUTED, "middle", 18, True)
        )
    parts.append(box(ASKED[0] - 5, ASKED[1] - 5, 10, 10, INK, INK))
    parts.append(line([ASKED, nearest], ACCENT, 1.5, dash=True))
    parts.append(text(ASKED[0] - 12, ASKED[1] + 26, "question", INK, "middle", 14))
    parts.append(text(nearest[0] + 12, nearest[1] + 18, "nearest", ACCENT, size=14))
    parts.append(
        text(
            12,
            368,
            f"one probe opens cell {own}; the nearest vector lies in {_cell(nearest)}",
            MUTED,
            size=14,
        )
    )
    return drawing(
        382,
        "A question near a border of two cells",
        f"Vectors in four cells around centres A to D. The question lies in cell {own}, close to the border "
        f"with {_cell(nearest)}, where its nearest vector is: one probe misses it, two find it.",
        parts,
    )


LAYERS = (
    (60, (0, 3, 7), ((0, 3), (3, 7))),
    (160, (0, 2, 3, 5, 7), ((0, 2), (2, 3), (3, 5), (5, 7))),
    (260, tuple(range(9)), ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 8), (0, 2), (4, 6))),
)
WALK = ((0, 0), (0, 3), (0, 7), (1, 7), (1, 5), (2, 5), (2, 6))


def hnsw_walk() -> str:
    def place(layer: int, id: int) -> tuple[float, float]:
        return 120 + id * 46, LAYERS[layer][0] + (14 if id % 2 else -8)

    parts = list[str]()
    for number, (y, members, links) in enumerate(LAYERS):
        parts.append(text(12, y + 4, f"layer {2 - number}", MUTED, size=14))
        for a, b in links:
            if b - a > 1 and number == 2:
                middle = ((place(2, a)[0] + place(2, b)[0]) / 2, y - 34)
                parts.append(line([place(2, a), middle, place(2, b)], LINE, 1.5))
            else:
                parts.append(line([place(number, a), place(number, b)], LINE, 1.5))
        for id in members:
            walked = (number, id) in WALK
            parts.append(circle(*place(number, id), 8, ACCENT if walked else PAPER, INK))
    for before, after in pairwise(WALK):
        (ax, ay), (bx, by) = place(*before), place(*after)
        parts.append(line([(ax, ay), (bx, by)], ACCENT, 2.2, head=True))
    asked = place(2, 6)
    parts.append(box(asked[0] - 5, asked[1] + 42, 10, 10, INK, INK))
    parts.append(text(asked[0] + 12, asked[1] + 52, "question", INK, size=14))
    parts.append(text(place(0, 0)[0], 30, "entry", ACCENT, "middle", 14))
    parts.append(
        text(12, 330, "every vector is in layer 0, a share of them in each layer above", MUTED, size=14)
    )
    return drawing(
        344,
        "A walk through the layers of a graph",
        "Three layers of a graph of nine vectors. The walk enters at the left of the top layer, crosses to "
        "the right in two long steps, comes down, goes back one place in the middle layer, comes down again "
        "and ends beside the question in the lowest layer.",
        parts,
    )


def bm25_saturation() -> str:
    left, bottom, wide, high = 56, 270, 430, 230

    def at(count: float, worth: float) -> tuple[float, float]:
        return left + wide * count / 12, bottom - high * worth / 2.4

    parts = [
        line([(left, bottom), (left + wide + 12, bottom)], INK, 1.3),
        line([(left, bottom), (left, bottom - high - 8)], INK, 1.3),
        line([at(0, 2.2), at(12, 2.2)], MUTED, 1.2, dash=True),
        text(at(0, 2.2)[0] + 6, at(0, 2.2)[1] - 6, "never above 2.2", MUTED, size=14),
        text(left + wide / 2, bottom + 42, "times that the word occurs", MUTED, "middle", 14),
    ]
    for count in (0, 1, 2, 5, 10):
        parts.append(text(at(count, 0)[0], bottom + 20, str(count), MUTED, "middle", 14))
    for worth in (1, 2):
        parts.append(text(left - 8, at(0, worth)[1] + 5, str(worth), MUTED, "end", 14))
    for share, colour, words in (
        (0.5, MUTED, "half the average length"),
        (1, ACCENT, "average"),
        (4, INK, "four times"),
    ):
        curve = [at(count / 4, saturation(count / 4, share, 1)) for count in range(49)]
        parts.append(line(curve, colour, 2))
        where = 7.5 if share < 1 else 12
        x, y = at(where, saturation(where, share, 1))
        parts.append(text(x, y - 6 if share < 1 else y + 18, words, colour, "end", 14))
    return drawing(
        322,
        "What occurrences of a word are worth",
        "Three curves that rise fast and flatten below 2.2: in a text of half the average length, of the "
        "average length (1 for one occurrence, 1.375 for two) and of four times the average, where each "
        "occurrence counts for less.",
        parts,
    )


def funnel() -> str:
    left, scale, parts = 190, 1.38, list[str]()
    for n, (name, count) in enumerate(FUNNEL):
        y = 14 + n * 38
        before = FUNNEL[n - 1][1] if n else count
        parts.append(text(left - 12, y + 20, name, INK, "end", 14))
        parts.append(box(left, y, count * scale, 28, ACCENT, INK, opacity=0.3))
        parts.append(text(left + 8, y + 19, str(count), INK, size=14))
        if count < before:
            parts.append(box(left + count * scale, y, (before - count) * scale, 28, PAPER, MUTED, dash=True))
        if n:
            change = f"{count - before:+d}".replace("-", "\u2212")
            parts.append(text(508, y + 19, change, ACCENT if count > before else MUTED, "end", 14))
    return drawing(
        326,
        "Where 200 questions lose their passage",
        "Bars by stage: " + ", ".join(f"{name} {count}" for name, count in FUNNEL) + ".",
        parts,
    )
