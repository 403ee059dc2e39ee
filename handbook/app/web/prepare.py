"""After the start, in the background: bring the models that are missing, make the index ready, and compile
the engine's kernels, so that the first reply need not wait for them.

Reading works meanwhile, and search does by full text; a quiet line on the pages says how far it is.
"""

from handbook.app.web.jobs import Progress
from handbook.app.web.shelf import Shelf

DELAY = 2.0  # seconds: the first page goes first
JOB = "prepare"


def wanted(shelf: Shelf) -> list[str]:
    """The catalogue models that the settings ask for."""
    from handbook.model.weights.catalog import CATALOG

    named = []
    if shelf.settings.embed_url is None:
        named.append(shelf.settings.embedder)
    if shelf.settings.chat_url is None:
        named.append(shelf.settings.model)
    return [name for name in named if name in CATALOG]


def begin(shelf: Shelf, delay: float = DELAY) -> None:
    def work(progress: Progress) -> None:
        from handbook.model.weights import fetch

        shelf.corpus.search("attention", 1)  # full text first: it needs no model
        for name in wanted(shelf):
            fetch.get(name, shelf.settings, progress)
        corpus = shelf.corpus
        if not corpus.ready:
            corpus.build(progress)
        if shelf.settings.chat_url is None:
            from handbook.engine.kernels.build import load

            progress(0, 0, "compiling the engine's kernels, once")
            load()  # where there are none, the engine says why and takes torch

    shelf.jobs.start(JOB, "Getting ready", work, delay)
