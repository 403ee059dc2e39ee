"""Is a drawing safe to put into a page? Nothing that runs, nothing from elsewhere, no inline style."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import lru_cache

NAMESPACE = "{http://www.w3.org/2000/svg}"
ELEMENTS = frozenset(  # no script, style, image or foreignObject
    """
    svg g defs title desc path line polyline polygon rect circle ellipse text tspan textPath marker
    use symbol clipPath mask pattern linearGradient radialGradient stop
    """.split()  # noqa: SIM905
)
_ID = re.compile(r'(\sid=)"([^"]+)"')
_REFERENCES = re.compile(r'url\(#([^)"]+)\)|(href=")#([^"]+)"|(aria-(?:labelledby|describedby)=")([^"]+)"')
_XML = re.compile(r"<\?xml.*?\?>|<!--.*?-->", re.DOTALL)
_OUTSIDE = re.compile(r"url\(\s*['\"]?\s*(?!#)", re.IGNORECASE)


@lru_cache(maxsize=256)
def unsafe(text: str) -> tuple[str, ...]:
    """What must not be in a drawing; empty where it is fine."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return ("it declares a document type or entities",)
    if "<![CDATA[" in text or "<?" in _XML.sub("", text):  # a browser may see elements where XML sees none
        return ("it holds a CDATA section or a processing instruction",)
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        return (f"it is not well-formed XML: {error}",)
    found = (
        [] if root.tag == f"{NAMESPACE}svg" else ["its root is not <svg xmlns='http://www.w3.org/2000/svg'>"]
    )
    if "viewBox" not in root.attrib:
        found.append("it has no viewBox, so it cannot shrink with the page")
    for element in root.iter():
        tag = str(element.tag).removeprefix(NAMESPACE)
        if tag not in ELEMENTS:
            found.append(f"it holds <{tag}>")
        for attribute, value in element.attrib.items():
            name = attribute.rpartition("}")[2].lower()
            if name.startswith("on") or name == "style":
                found.append(f"<{tag}> has the attribute {name}")
            elif (name in ("href", "src") and not value.startswith("#")) or _OUTSIDE.search(value):
                found.append(f"<{tag}> refers to {value!r}, outside of the drawing")
    return tuple(dict.fromkeys(found))


def inline(text: str, prefix: str, label: str) -> str:
    """The drawing ready for a page: no XML head or comments, ids of its own, labelled by the element `label`.

    The text must have passed `unsafe`.
    """
    text = _XML.sub("", text).strip()
    text = _ID.sub(lambda m: f'{m[1]}"{prefix}{m[2]}"', text)

    def reference(match: re.Match[str]) -> str:
        if match[1]:
            return f"url(#{prefix}{match[1]})"
        if match[2]:
            return f'{match[2]}#{prefix}{match[3]}"'
        return match[4] + " ".join(prefix + id for id in match[5].split()) + '"'

    text = _REFERENCES.sub(reference, text)
    root, rest = text[: text.index(">") + 1], text[text.index(">") + 1 :]
    root = re.sub(r'\s(?:role|aria-label|aria-labelledby|id)="[^"]*"', "", root)
    return root.replace("<svg", f'<svg role="img" aria-labelledby="{label}"', 1) + rest
