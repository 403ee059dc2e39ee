"""Mathematics for a terminal: TeX between dollars as one line of plain characters.

`$\\frac{q k^\\top}{\\sqrt{d}}$` becomes `(q k^⊤)/√d`. Whatever stands above or below a line gets brackets
where it would read otherwise without them. TeX that can't be read stays as it is.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_TEX = re.compile(r"(?<![\\\d])\$(?!\s)([^$\n]+)(?<![\s\\])\$(?!\d)")
_RAISED = re.compile(r"([_^])\{([^{}]*)\}")
_SINGLE = re.compile(r"-?(?:[^\W_]|[.,'%√\N{DOWN TACK}])*|\([^()]*\)")
_OPERATOR = re.compile(r" *([=≤≥≈→←⊙·\N{MULTIPLICATION SIGN}∈]) *")
_INSIDE = re.compile(r"(?<=\() +| +(?=[),;.])")
_FRACTIONS = ("frac", "tfrac", "dfrac")


def plain(text: str) -> str:
    """Text of the book with its mathematics as plain characters. Dollars of money stay."""
    return _TEX.sub(lambda found: _line(found[1]), text).replace("\\$", "$")


def _line(tex: str) -> str:
    line = _reader()(f"${tex}$")
    if line.startswith("$"):
        return line
    while (flat := _RAISED.sub(lambda found: found[1] + _bracketed(found[2]), line)) != line:
        line = flat
    line = _OPERATOR.sub(r" \1 ", line.replace("{", "").replace("}", ""))
    return _INSIDE.sub("", " ".join(line.split()))


def _bracketed(part: str) -> str:
    part = part.strip()
    return part if _SINGLE.fullmatch(part) else f"({part})"


def _arguments(node: Any, l2tobj: Any) -> list[str]:
    texts = [l2tobj.nodelist_to_text([each]) for each in node.nodeargd.argnlist if each is not None]
    return [_bracketed(re.sub(r"^\{([^{}]*)\}$", r"\1", text)) for text in texts]


def _fraction(node: Any, l2tobj: Any) -> str:
    return f" {'/'.join(_arguments(node, l2tobj))} "


def _choose(node: Any, l2tobj: Any) -> str:
    return f"C({', '.join(_arguments(node, l2tobj))})"


def _root(node: Any, l2tobj: Any) -> str:
    *index, inside = _arguments(node, l2tobj)
    return f"{''.join(index).strip('()[]')}√{inside}"


@lru_cache
def _reader() -> Callable[[str], str]:
    """pylatexenc's converter, which keeps groups in braces: they say what is raised."""
    from pylatexenc import latex2text, latexwalker
    from pylatexenc.macrospec import std_macro

    known = latexwalker.get_default_latex_context_db()
    taking_two = [std_macro(name, "{{") for name in (*_FRACTIONS, "binom")]
    known.add_context_category("handbook", macros=taking_two, prepend=True)
    shown = latex2text.get_default_latex_context_db()
    ours = [latex2text.MacroTextSpec(name, _fraction) for name in _FRACTIONS]
    ours += [latex2text.MacroTextSpec("sqrt", _root), latex2text.MacroTextSpec("binom", _choose)]
    shown.add_context_category("handbook", macros=ours, prepend=True)
    converter = latex2text.LatexNodes2Text(
        latex_context=shown,
        keep_braced_groups=True,
        keep_braced_groups_minlen=2,
        strict_latex_spaces="macros",
    )

    def read(tex: str) -> str:
        walker = latexwalker.LatexWalker(tex, latex_context=known, tolerant_parsing=False)
        try:
            return str(converter.nodelist_to_text(walker.get_latex_nodes()[0]))
        except latexwalker.LatexWalkerError:  # a model's sentence: shown as it was written
            return tex

    return read
