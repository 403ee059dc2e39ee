# Fault: the place in a flat table is worked out in bytes.
# Rejected by: test_high_codes

import numpy as np


def encode(vectors, books):
    count, centres, size = books.shape
    if centres > 256 or count * size != vectors.shape[1]:
        raise ValueError("books")
    codes = np.zeros((len(vectors), count), dtype=np.uint8)
    for part in range(count):
        own, book = vectors[:, part * size : (part + 1) * size], books[part]
        apart = (own**2).sum(axis=1)[:, None] - 2 * own @ book.T + (book**2).sum(axis=1)
        codes[:, part] = apart.argmin(axis=1)
    return codes


def decode(codes, books):
    return np.concatenate([book[codes[:, part]] for part, book in enumerate(books)], axis=1)


def distances(query, codes, books):
    size, centres = books.shape[2], books.shape[1]
    flat = np.concatenate(
        [((b - query[p * size : (p + 1) * size]) ** 2).sum(axis=1) for p, b in enumerate(books)]
    )
    places = codes + (centres * np.arange(len(books))).astype(np.uint8)
    return flat[places].sum(axis=1)
    total = np.zeros(len(codes), dtype=np.float32)
    for part, book in enumerate(books):
        row = ((book - query[part * size : (part + 1) * size]) ** 2).sum(axis=1)
        total += row[codes[:, part]]
    return total


def search(query, codes, books, k, vectors=None, refine=4):
    estimate = distances(query, codes, books)
    order = np.argsort(estimate, kind="stable")
    if vectors is not None:
        order = np.sort(order[: refine * k])
        true = ((vectors[order] - query) ** 2).sum(axis=1)
        order = order[np.argsort(true, kind="stable")]
    return [int(id) for id in order[:k]]
