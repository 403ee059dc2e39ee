"""One-time tokens: a change of state needs one that this server gave to this browser and that is unused.

They live in memory. The session is a cookie that scripts can't read and other sites can't send. A form that
is sent twice, or was open while the handbook restarted, is answered with a page that offers to try again,
and holds everything that was typed.
"""

import secrets
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Literal

from fastapi import Depends, Request, Response
from starlette.datastructures import FormData, UploadFile

from handbook.errors import HandbookError

COOKIE = "handbook_session"
HEADER = "X-Handbook-Token"
FIELD = "token"
FILES = "files"
TOKENS_PER_SESSION = 1024
SESSIONS = 64


class TokenRefused(HandbookError):
    """The token was spent (409) or is unknown (403). fields: what the form held; files: whether there were
    documents beside, which have to be chosen again."""

    def __init__(
        self, reason: Literal["spent", "unknown"], fields: Mapping[str, str], files: bool = False
    ) -> None:
        if reason == "spent":
            what = "This form was already sent once, so it was not carried out a second time."
        else:
            what = "This page was opened before the handbook restarted, or in another browser."
        remedy = "Go back, choose the files again and send them." if files else "Try again if you meant it."
        super().__init__(what, remedy)
        self.reason = reason
        self.fields = dict(fields)
        self.files = files


class Tokens:
    """Sets of unused and of spent tokens by session, bounded, safe to call from any thread."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, OrderedDict[str, bool]] = OrderedDict()
        self._lock = threading.Lock()

    def issue(self, session: str) -> str:
        token = secrets.token_urlsafe(24)
        with self._lock:
            tokens = self._sessions.setdefault(session, OrderedDict())
            self._sessions.move_to_end(session)
            tokens[token] = True
            while len(tokens) > TOKENS_PER_SESSION:
                tokens.popitem(last=False)
            while len(self._sessions) > SESSIONS:
                self._sessions.popitem(last=False)
        return token

    def knows(self, session: str) -> bool:
        with self._lock:
            return session in self._sessions

    def forget(self, session: str, token: str) -> None:
        """Make room of a spent one that nobody will send twice."""
        with self._lock:
            tokens = self._sessions.get(session, OrderedDict())
            if tokens.get(token) is False:
                del tokens[token]

    def spend(self, session: str, token: str) -> Literal["ok", "spent", "unknown"]:
        with self._lock:
            unused = self._sessions.get(session, OrderedDict()).get(token)
            if unused:
                self._sessions[session][token] = False
                return "ok"
        return "unknown" if unused is None else "spent"


def cookie_of(request: Request) -> str:
    """The cookie's name. It has the port, since browsers share cookies among the ports of a host: two
    handbooks would overwrite each other's."""
    return f"{COOKIE}_{request.url.port or 80}"


def session_of(request: Request) -> str:
    """This browser's session: the one in its cookie, or a new one that `remember` will set.

    A session that this server did not begin is not taken over: whoever planted the cookie would know it.
    """
    begun: str | None = getattr(request.state, "session", None)
    if begun is None:
        tokens: Tokens = request.app.state.tokens
        offered = request.cookies.get(cookie_of(request), "")
        begun = offered if tokens.knows(offered) else secrets.token_urlsafe(24)
        request.state.session = begun
    return begun


def remember(request: Request, response: Response) -> None:
    if request.cookies.get(cookie_of(request)) != session_of(request):
        response.set_cookie(
            cookie_of(request), session_of(request), httponly=True, samesite="strict", path="/"
        )


def fresh(request: Request) -> str:
    tokens: Tokens = request.app.state.tokens
    return tokens.issue(session_of(request))


async def _form(request: Request) -> AsyncIterator[FormData]:
    """The form as it came; its files stay open until the answer is out."""
    async with request.form() as sent:
        yield sent


Sent = Annotated[FormData, Depends(_form)]


def files(sent: Sent) -> list[UploadFile]:
    """Documents that a form holds in its field `files`, unread. For routes that take `fields` too."""
    return [each for each in sent.getlist(FILES) if isinstance(each, UploadFile) and each.filename]


async def fields(request: Request, sent: Sent) -> dict[str, str]:
    """The dependency of every route that changes state: the form's fields, after its token was spent.

    Uploaded files come as their text, but for those that `files` gives. What a browser sends by itself (a
    link's `ping`) has its token in the address. Raises TokenRefused.
    """
    form: dict[str, str] = {}
    for name, value in sent.items():
        if name == FILES:
            continue
        if isinstance(value, str):
            form[name] = value
        else:
            form[name] = (await value.read()).decode("utf-8", errors="replace")
        form[name] = form[name].replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL takes none
    token = request.headers.get(HEADER) or form.get(FIELD) or request.query_params.get(FIELD, "")
    form.pop(FIELD, None)
    tokens: Tokens = request.app.state.tokens
    outcome = tokens.spend(session_of(request), token)
    if outcome != "ok":
        raise TokenRefused(outcome, form, bool(files(sent)))
    return form
