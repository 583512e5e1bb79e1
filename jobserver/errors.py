"""The one error that every layer raises and every front end shows. Imports nothing of jobserver.

The code says what kind of refusal the error is; each front end maps codes in one place (HTTP status, exit code). The
faults list each thing that is wrong with a document.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

MAX_FAULTS = 100
"""Faults in one error: enough to fix a document, and never an answer much larger than the request."""

_MAX_NAMES, _MAX_CHARS = 20, 128


class Code(StrEnum):
    INVALID = "invalid"  # the input is wrong: fix it
    CONFLICT = "conflict"  # the input was right for another state: read the current state
    NOT_FOUND = "not_found"
    FORBIDDEN = "forbidden"  # the caller is known, and not allowed
    UNAUTHENTICATED = "unauthenticated"  # the caller is not known
    UNAVAILABLE = "unavailable"  # not now: try again
    TOO_MANY = "too_many"  # too many requests: try again later


def printable(text: str) -> str:
    """The text on one line, without characters that move a terminal's cursor: strangers choose names and messages."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with one file. ``line`` counts from 1; 0 is the whole file."""

    message: str
    path: str = ""
    line: int = 0
    key: str = ""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.path and self.line else self.path
        return printable(": ".join(part for part in (place, self.key, self.message) if part))


class Error(Exception):
    """A refusal: a code, one clear line, the place that it is about, and its faults (MAX_FAULTS at most).

    ``seconds``: when to try again, if that is known. ``field``: the input that is wrong, for forms; the text leaves it
    out where it would say the same twice.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        where: str = "",
        faults: Sequence[Fault] = (),
        seconds: int | None = None,
        field: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.where = where
        self.faults = _limited(faults)
        self.seconds = seconds
        self.field = field

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


def _limited(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Each fault once. If there are more than MAX_FAULTS, the last one says how many more."""
    unique = tuple(dict.fromkeys(faults))
    if len(unique) <= MAX_FAULTS + 1:  # the last one may already say how many more
        return unique
    return (*unique[:MAX_FAULTS], Fault(f"and {len(unique) - MAX_FAULTS} more"))


def invalid(message: str, where: str = "", faults: Sequence[Fault] = (), field: str = "") -> Error:
    return Error(Code.INVALID, message, where, faults, field=field)


def conflict(message: str, where: str = "", field: str = "") -> Error:
    return Error(Code.CONFLICT, message, where, field=field)


def not_found(message: str, where: str = "", field: str = "") -> Error:
    return Error(Code.NOT_FOUND, message, where, field=field)


def forbidden(message: str, where: str = "", faults: Sequence[Fault] = (), field: str = "") -> Error:
    return Error(Code.FORBIDDEN, message, where, faults, field=field)


def unauthenticated(message: str, where: str = "") -> Error:
    return Error(Code.UNAUTHENTICATED, message, where)


def too_many(message: str, seconds: int) -> Error:
    return Error(Code.TOO_MANY, f"{message}: try again in {seconds} s", seconds=seconds)


def unavailable(message: str, where: str = "") -> Error:
    return Error(Code.UNAVAILABLE, message, where)


def some(names: Sequence[str], between: str = ", ") -> str:
    """The first names, each cut to a readable length, and how many more there are, for names that callers choose."""
    shown = [name if len(name) <= _MAX_CHARS else f"{name[: _MAX_CHARS - 3]}..." for name in names[:_MAX_NAMES]]
    more = [f"and {len(names) - _MAX_NAMES} more"] if len(names) > _MAX_NAMES else []
    return between.join([*shown, *more])
