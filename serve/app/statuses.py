"""Which refusal is which HTTP status: one table, and the body that OpenAI's clients read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from serve import errors
from vlm.errors import GeometryError, InputError, NadirError, PairError, RasterError, WindowError

STATUS: dict[type[NadirError], int] = {
    errors.AccessError: 401,
    errors.MissingError: 404,
    errors.TooLargeError: 413,
    errors.FormatError: 415,
    errors.RequestError: 400,
    errors.StallError: 408,
    errors.RateError: 429,
    errors.BusyError: 503,
    errors.StoppedError: 503,
    RasterError: 422,
    WindowError: 422,
    PairError: 422,
    GeometryError: 422,
    InputError: 400,
}
_SHOWN_PROBLEMS = 3
_AS_JSON = "send JSON, with the header Content-Type: application/json"
_SEE_DOCS = "/docs lists what there is"


class LateRefusalError(HTTPException):
    """Carry a refusal out of FastAPI's reading of a body, which lets HTTPException alone through."""

    def __init__(self, error: NadirError) -> None:
        super().__init__(status_of(error), str(error))
        self.error = error


def status_of(error: NadirError) -> int:
    """Find the status of a refusal by its nearest class in the table; 500 for a fault of the server's own."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def error_body(error: NadirError, status: int, *, hidden: Sequence[Path] = ()) -> dict[str, Any]:
    """Give the body that OpenAI's clients read; `hidden` are the folders of rasters, which no client needs to know.

    Names of files lose their folders: DATA/rasters/<id>/scene.tif is scene.tif.
    """
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return _body(without_folders(str(error), hidden), kind, type(error).__name__)


def without_folders(sentence: str, hidden: Sequence[Path]) -> str:
    """Take the folders `hidden`, and those in them, out of a sentence."""
    for folder in hidden:
        sentence = re.sub(re.escape(str(folder)) + r"/(?:[^/\s]+/)*", "", sentence)
    return sentence


def add_handlers(app: FastAPI, *, hidden: Sequence[Path]) -> None:
    """Answer every refusal of an app by the table, and anything unexpected as a 500 that names nothing."""

    async def refuse(_: Request, error: Exception) -> JSONResponse:
        found = error.error if isinstance(error, LateRefusalError) else error
        assert isinstance(found, NadirError)
        return refusal(found, hidden=hidden)

    async def refuse_shape(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        kind = request.headers.get("content-type", "")
        said = _problems(error) if not kind or "json" in kind else f"the body is said to be {kind[:60]!r}: {_AS_JSON}"
        return JSONResponse(_body(said, "invalid_request_error", "ValidationError"), 422)

    async def refuse_route(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        asked = f"{request.method} {request.url.path[:60]}"
        known = {404: f"there is no {asked}: {_SEE_DOCS}", 405: f"{asked} is not served: {_SEE_DOCS}"}
        body = _body(known.get(error.status_code, str(error.detail)), "invalid_request_error", "HTTPException")
        return JSONResponse(body, error.status_code, headers=error.headers)

    async def fail(_: Request, error: Exception) -> JSONResponse:
        sentence = "the server met an error of its own; its log says which"
        return JSONResponse(_body(sentence, "server_error", type(error).__name__), 500)

    app.add_exception_handler(NadirError, refuse)
    app.add_exception_handler(LateRefusalError, refuse)
    app.add_exception_handler(RequestValidationError, refuse_shape)
    app.add_exception_handler(HTTPException, refuse_route)
    app.add_exception_handler(Exception, fail)


def refusal(error: NadirError, *, hidden: Sequence[Path] = ()) -> JSONResponse:
    """Build the response of a refusal."""
    status = status_of(error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if status in (429, 503):
        headers["Retry-After"] = str(max(1, round(getattr(error, "retry_s", 2.0))))
    return JSONResponse(error_body(error, status, hidden=hidden), status, headers=headers)


def _body(sentence: str, kind: str, code: str) -> dict[str, Any]:
    return {"error": {"message": sentence, "type": kind, "param": None, "code": code}}


def _problems(error: RequestValidationError) -> str:
    problems = error.errors()
    said = [
        f"{'.'.join(str(part) for part in problem['loc'] if part != 'body') or 'the body'}: {problem['msg']}"
        for problem in problems[:_SHOWN_PROBLEMS]
    ]
    more = f"; and {len(problems) - len(said)} more" if len(problems) > len(said) else ""
    return "; ".join(said) + more
