"""Refusals in the shape that Airlock reads: every answer but 201 has a ``detail``."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from bottle import HTTPResponse

from jobserver.errors import Code, Error
from jobserver.web import http

_BAD = (Code.INVALID, Code.CONFLICT)
_SHOWN = 20


def detailed(handle: Callable[..., HTTPResponse]) -> Callable[..., HTTPResponse]:
    """The handler, whose refusals of what was sent are 400 with one text."""

    @wraps(handle)
    def answered(*arguments: Any, **parts: str) -> HTTPResponse:
        try:
            return handle(*arguments, **parts)
        except Error as error:
            if error.code not in _BAD:
                raise
            faults = "; ".join(str(fault) for fault in error.faults[:_SHOWN])
            return http.answer({"detail": faults or str(error)}, 400)

    return answered
