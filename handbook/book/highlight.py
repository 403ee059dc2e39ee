"""Code as HTML spans with Pygments' short classes; colours are the stylesheet's business."""

from __future__ import annotations

from functools import lru_cache
from html import escape


@lru_cache(maxsize=1024)
def highlight(code: str, language: str) -> str:
    """Spans without a wrapper, escaped. Unknown languages come out as plain text."""
    if not language or language in ("text", "plain"):
        return escape(code)
    from pygments import highlight as render
    from pygments.formatters.html import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return escape(code)
    return str(render(code, lexer, HtmlFormatter(nowrap=True)))
