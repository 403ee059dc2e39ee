"""Style sheets, scripts and fonts: where they lie, and addresses that change when they do.

So a browser may keep them for good.
"""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).parent.parent / "static"
VENDOR = STATIC / "vendor"
FOREVER = "public, max-age=31536000, immutable"


@lru_cache(maxsize=8)
def _manifest(mtime: int) -> dict[str, str]:
    loaded: dict[str, str] = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))
    return loaded


def built(name: str) -> str | None:
    """Address of something that the front-end build makes (`app.js`); None when it was not built."""
    try:
        found = _manifest((VENDOR / "manifest.json").stat().st_mtime_ns).get(name)
    except (OSError, ValueError):
        return None
    return f"/static/vendor/{found}" if found else None


@lru_cache(maxsize=64)
def _digest(name: str, mtime: int) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]


def static(name: str) -> str:
    """Address of a file of our own, with a mark of its content."""
    return f"/static/{name}?v={_digest(name, (STATIC / name).stat().st_mtime_ns)}"


class Assets(StaticFiles):
    """Static files; an address with a mark of its content may be kept for good."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        marked = scope.get("query_string", b"").startswith(b"v=")
        if response.status_code in (200, 304) and (marked or path.replace("\\", "/").startswith("vendor/")):
            response.headers["Cache-Control"] = FOREVER
        return response
