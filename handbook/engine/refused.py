"""Errors in the form that OpenAI's clients understand."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from starlette.responses import JSONResponse

KINDS = {
    401: "authentication_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
}


class Fault(NamedTuple):
    """A field, by its path, and what is wrong with it."""

    field: str
    what: str


class Refused(Exception):
    """An answer that is an error. param: the field that it is about. headers: to send with it."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.headers = dict(headers or {})

    @classmethod
    def listing(cls, faults: Sequence[Fault], code: str | None = None) -> "Refused":
        """400 with every fault (of hundreds, the first few)."""
        shown = [f"{fault.field}: {fault.what}" for fault in faults[:20]]
        more = [f"and {len(faults) - 20} more"] if len(faults) > 20 else []
        return cls(400, "; ".join(shown + more) + ".", code, faults[0].field if len(faults) == 1 else None)

    @property
    def body(self) -> dict[str, Any]:
        kind = KINDS.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    @property
    def response(self) -> JSONResponse:
        return JSONResponse(self.body, self.status, self.headers)
