"""The one error that every layer raises and every front end shows. Imports nothing of ours.

A code says what kind of refusal it is; each front end maps the codes once (HTTP status, exit code). Faults
list what was wrong with a document, one by one, for whoever has to mend it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

MAX_FAULTS = 100
"""That one error names: enough to mend, and an answer that is never much larger than what it answers."""

_SHOWN, _MOST_CHARS = 20, 128


class Code(StrEnum):
    INVALID = "invalid"  # the input is wrong: mend it
    CONFLICT = "conflict"  # the input was right for another state: read again
    NOT_FOUND = "not_found"
    FORBIDDEN = "forbidden"  # known, and not allowed
    UNAUTHENTICATED = "unauthenticated"  # not known
    UNAVAILABLE = "unavailable"  # not now: try again
    TOO_MANY = "too_many"  # asked too often: try again later


def printable(text: str) -> str:
    """On one line, and without what would move a terminal's cursor: names and messages come from strangers."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with one file. ``line`` counts from 1; 0 means the whole file."""

    message: str
    path: str = ""
    line: int = 0
    key: str = ""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.path and self.line else self.path
        return printable(": ".join(part for part in (place, self.key, self.message) if part))


class Error(Exception):
    """A refusal with a code, one clear line, where it applies, and the single faults (MAX_FAULTS at most).

    ``seconds`` is after how long it makes sense to try again, where that is known.
    """

    def __init__(
        self, code: Code, message: str, where: str = "", faults: Sequence[Fault] = (), seconds: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.where = where
        self.faults = _named(faults)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


def _named(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Each once; where there are more than MAX_FAULTS, the last one says how many."""
    unique = tuple(dict.fromkeys(faults))
    if len(unique) <= MAX_FAULTS + 1:  # the one may say already that there are more
        return unique
    return (*unique[:MAX_FAULTS], Fault(f"and {len(unique) - MAX_FAULTS} more"))


def invalid(message: str, where: str = "", faults: Sequence[Fault] = ()) -> Error:
    return Error(Code.INVALID, message, where, faults)


def conflict(message: str, where: str = "") -> Error:
    return Error(Code.CONFLICT, message, where)


def not_found(message: str, where: str = "") -> Error:
    return Error(Code.NOT_FOUND, message, where)


def forbidden(message: str, where: str = "") -> Error:
    return Error(Code.FORBIDDEN, message, where)


def unauthenticated(message: str, where: str = "") -> Error:
    return Error(Code.UNAUTHENTICATED, message, where)


def too_many(message: str, seconds: int) -> Error:
    return Error(Code.TOO_MANY, f"{message}: try again in {seconds} s", seconds=seconds)


def unavailable(message: str, where: str = "") -> Error:
    return Error(Code.UNAVAILABLE, message, where)


def some(names: Sequence[str], between: str = ", ") -> str:
    """Of names that others chose as many as anybody reads, each cut; and how many more there are."""
    shown = [name if len(name) <= _MOST_CHARS else f"{name[: _MOST_CHARS - 3]}..." for name in names[:_SHOWN]]
    more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return between.join([*shown, *more])
