"""Which grader the settings mean. Looks for files; opens none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbook.errors import HandbookError
from handbook.practice.opinions import Grader

if TYPE_CHECKING:
    from handbook.chat import Forming
    from handbook.embed import Embedder
    from handbook.settings import Settings

ENCODER = "all-minilm-l6-v2"  # whose vectors the calibration holds for, whatever embedder the search uses


def opened(settings: Settings, chat: Forming | None = None, embedder: Embedder | None = None) -> Grader:
    wish = settings.grader
    if wish == "auto":
        wish = "chat" if settings.chat_url else "local" if local_is_here(settings) else "none"
    if wish == "chat":
        from handbook.chat import open_chat
        from handbook.practice.graders.asked import ChatGrader

        return ChatGrader(chat or open_chat(settings))
    if wish == "none":
        from handbook.practice.graders.nobody import NoGrader

        return NoGrader()
    from handbook.embed import LocalEmbedder
    from handbook.entailing import open_entailer
    from handbook.practice.graders.cross import CrossGrader
    from handbook.practice.graders.embedding import EmbeddingGrader

    own = settings.model_copy(update={"embedder": ENCODER, "embed_url": None, "embed_dimension": None})
    fits = isinstance(embedder, LocalEmbedder) and embedder.name == ENCODER
    vectors = embedder if fits and embedder is not None else LocalEmbedder(own)
    if wish == "embedding":
        return EmbeddingGrader(vectors)
    return CrossGrader(vectors, open_entailer(settings))


def local_is_here(settings: Settings) -> bool:
    """Whether the local grader's weights and the encoder that they change are on this machine."""
    from handbook.embed import folder_of
    from handbook.entailing import WEIGHTS

    if not WEIGHTS.is_file():
        return False
    try:
        return folder_of(ENCODER, settings).is_dir()
    except HandbookError:
        return False
