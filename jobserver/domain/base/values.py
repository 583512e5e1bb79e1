"""The types of the values in documents, and the base class of documents: strict, frozen, without unknown keys."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from difflib import get_close_matches
from math import isfinite
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    JsonValue,
    StringConstraints,
    WithJsonSchema,
)

from jobserver.domain.base import names
from jobserver.domain.base.layout import DocPath, Kind
from jobserver.domain.base.permissions import Role

_LINE = r"^[^\x00-\x1f\x7f]*$"
# What each pattern means, for people whose text does not match it.
MEANING = {f"^(?:{pattern})$": f"expected {words}" for pattern, words in names.WORDS.items()}


def named(pattern: str) -> Any:
    """Text of one of the grammars of `names`."""
    assert pattern in names.WORDS
    return StringConstraints(pattern=rf"^(?:{pattern})$")


def mismatch(pattern: str, text: str) -> str:
    """Why ``text`` does not match, without the pattern."""
    if pattern == _LINE:
        char = next(char for char in text if char < " " or char == "\x7f")
        character = {"\t": "a tab", "\n": "a line break", "\r": "a line break"}.get(char, "a control character")
        return f"has {character}: expected one line of text"
    return f"{text!r:.60} is not valid: {MEANING[pattern]}"


def _utc(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError("a time needs a time zone, such as 2026-11-23T20:15:04.123456Z")
    try:
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is before the year 1 or after the year 9999 in UTC") from None


def timestamp(moment: datetime) -> str:
    """``2026-11-23T20:15:04.123456Z``, of a time with a zone: the form of every time in documents and answers."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"


def clean(text: str) -> str:
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("not Unicode text (a lone surrogate)")
    return text


def _day(text: str) -> str:
    try:
        is_day = date.fromisoformat(text).isoformat() == text  # weeks are ISO's too
    except ValueError:
        is_day = False
    if not is_day:
        raise ValueError("expected a day such as 2026-11-23")
    return text


# For editors, which have no check but a pattern.
_DAY_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIME_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$"
# As `_repo` decides, without possessive quantifiers, which JavaScript does not have.
_REPO_PATTERN = (
    r"^(?!(?:.*/)?\.\.(?:/|$))"
    r"(?:https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[^/\s@?#]+)+/?|(?![-/~])(?=\s*\S)[^:]+)$"
)
_URL = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[^/\s@?#]++)+/?")


def is_repo(text: str) -> bool:
    """Whether a workspace can have this repository."""
    try:
        return bool(_repo(text))
    except ValueError:
        return False


def _repo(text: str) -> str:
    """Whether a path leads out of STUDY_REPOS by a link is for whoever opens it to see."""
    is_path = bool(text.strip()) and ":" not in text and not text.startswith(("/", "-", "~"))
    if ".." in text.split("/") or not (is_path or _URL.fullmatch(text)):
        raise ValueError("expected an https URL, or the path of a study on the server")
    return text


def _known(version: int) -> int:
    if version != 1:
        raise ValueError("expected 1")
    return version


MEANING |= {
    _DAY_PATTERN: "expected a day such as 2026-11-23",
    _TIME_PATTERN: "expected a time in UTC such as 2026-11-23T20:15:04.123456Z",
    _REPO_PATTERN: "expected an https URL, or the path of a study on the server",
}
MAX_DEPTH = 8  # of JSON
MAX_KEY = 128  # characters


def _known_request(version: int) -> int:
    if version not in (1, 2):
        raise ValueError("expected 1 or 2")
    return version


def _json(value: Any, depth: int = MAX_DEPTH) -> Any:
    """JSON that every YAML reader reads back as it is: finite, of 64 bits, neither deep nor with giant keys."""
    kind = type(value)
    if kind is str:
        clean(value)
    elif kind is int:
        if not -(2**63) <= value < 2**63:
            raise ValueError("a whole number must fit in 64 bits")
    elif kind is float:
        if not isfinite(value):
            raise ValueError("a number must be finite")
    elif kind is list or kind is dict:
        if depth == 0:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        for key in value if kind is dict else ():
            if len(clean(key)) > MAX_KEY:
                raise ValueError(f"a key must be at most {MAX_KEY} characters")
        for item in value.values() if kind is dict else value:
            _json(item, depth - 1)
    return value


def _role(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return Role(value)
    except ValueError:
        meant = get_close_matches(value.lower(), [role.lower() for role in Role], 1)
        near = next((role for role in Role if [role.lower()] == meant), None)
        known = f"did you mean {near}?" if near else f"expected one of: {', '.join(sorted(Role))}"
        raise ValueError(f"{value!r:.60} is not a valid role: {known}") from None


# `WithJsonSchema` says for editors what pydantic can't derive from the check before it (`web.api.document_schemas`).
Version: TypeAlias = Annotated[int, AfterValidator(_known), WithJsonSchema({"const": 1})]
RequestVersion: TypeAlias = Annotated[int, AfterValidator(_known_request), WithJsonSchema({"enum": [1, 2]})]
Time: TypeAlias = Annotated[
    datetime,
    AfterValidator(_utc),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": _TIME_PATTERN}),
]
Slug: TypeAlias = Annotated[str, named(names.SLUG)]
Username: TypeAlias = Annotated[str, named(names.USERNAME)]
WorkspaceName: TypeAlias = Annotated[str, named(names.WORKSPACE)]
ActionName: TypeAlias = Annotated[str, named(names.ACTION)]
Database: TypeAlias = Annotated[str, named(names.DATABASE)]
ProjectName: TypeAlias = Annotated[str, named(names.PROJECT)]
LINE_SCHEMA = {"type": "string", "maxLength": 1000, "pattern": _LINE}
TEXT_SCHEMA = {"type": "string", "maxLength": 10_000}
Text: TypeAlias = Annotated[str, AfterValidator(clean), StringConstraints(max_length=10_000)]
Line: TypeAlias = Annotated[
    str,
    AfterValidator(clean),
    StringConstraints(max_length=1000, pattern=_LINE),
    WithJsonSchema(LINE_SCHEMA),
]
Repo: TypeAlias = Annotated[Line, AfterValidator(_repo), WithJsonSchema({**LINE_SCHEMA, "pattern": _REPO_PATTERN})]
Day: TypeAlias = Annotated[
    str, AfterValidator(_day), WithJsonSchema({"type": "string", "format": "date", "pattern": _DAY_PATTERN})
]
JsonMap: TypeAlias = Annotated[dict[str, JsonValue], AfterValidator(_json)]
RoleName: TypeAlias = Annotated[Role, BeforeValidator(_role)]


class Document(BaseModel):
    """A document of the record, or a part of one. The order of its fields is the order of the keys in its YAML."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    max_bytes: ClassVar[int] = 64 * 1024
    """How many bytes of YAML a document of this kind may have."""

    optional_keys: ClassVar[frozenset[str]] = frozenset()
    """Keys that the YAML leaves out when the value is None or an empty list."""

    def written_items(self) -> Iterable[tuple[str, Any]]:
        """The keys and values of the document's YAML."""
        items, optional = self.__dict__.items(), self.optional_keys
        if not optional:
            return items
        return [(key, value) for key, value in items if key not in optional or (value is not None and value != ())]

    def path_keys(self, path: DocPath) -> dict[str, object]:
        """The keys that the path of a document repeats, with the values that it gives them."""
        return {}

    def path_faults(self, path: DocPath) -> list[tuple[str, str]]:
        """(key, message) for each key that disagrees with the path of the document."""
        return [
            (key, f"is {getattr(self, key)!r}, but the path says {value!r}")
            for key, value in self.path_keys(path).items()
            if getattr(self, key) != value
        ]

    def refers_to(self, kind: Kind, name: str) -> bool:
        """Whether this document refers to this user, org or project, which then cannot be deleted."""
        return False


def same(first: Document | None, second: Document | None) -> bool:
    """Whether two documents of one kind are equal: as ``==`` says, but faster."""
    return first is second or (first is not None and second is not None and first.__dict__ == second.__dict__)
