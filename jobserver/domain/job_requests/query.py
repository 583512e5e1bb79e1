"""The language of searches for job requests: ``asthma status:failed,cancelled by:me since:7d``. Pure.

Words and filters combine: a request has to match all of them. Several values of one filter mean any of these, whether
between commas or by repeating the filter. Quotation marks keep spaces, commas and colons together.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from itertools import chain

from jobserver.domain.base import names
from jobserver.domain.job_requests import outcomes
from jobserver.errors import Error, Fault, invalid, some

FILTERS: Mapping[str, str] = {
    "status": "the status of the request",
    "by": "who requested it; `by:me` is you",
    "workspace": "the name of its workspace",
    "project": "its project, as `org/project`",
    "org": "the organisation of its project",
    "backend": "where it runs",
    "action": "an action that it runs",
    "code": "the status code of one of its jobs, such as `nonzero_exit`",
    "commit": "the commit of the study, or its first digits",
    "id": "the id of the request or of one of its jobs, or the beginning of one",
    "since": "requested on this day or later: `2026-11-01`, or `7d` for the last 7 days",
    "until": "requested on this day or earlier",
}
"""Each filter with what its values are, in the order in which pages and documents show them."""
STATUSES: Mapping[str, str] = {
    {"unknown": "requested"}.get(outcome, outcome): outcome for outcome in outcomes.REQUEST_OUTCOMES
}
"""What people type -> the outcome of a request."""
ME = "me"
MAX_TEXT, MAX_VALUES = 1000, 50
LEAST_ID = 4  # characters of an id or a commit
_ALSO = {"unknown": "requested"}  # names of statuses in the API
_FILTER = re.compile(r"([A-Za-z][A-Za-z_-]*):(.*)", re.DOTALL)
_PLAIN = re.compile(r"[^\s\",:]+")
_COMMIT, _DAYS = re.compile(rf"[0-9a-f]{{{LEAST_ID},40}}"), re.compile(r"([0-9]{1,4})d")
_ID = re.compile(names.JOB_ID)


@dataclass(frozen=True, slots=True)
class Query:
    """What to search for; an empty field matches everything. The fields after ``words`` are those of `FILTERS`."""

    words: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    workspace: tuple[str, ...] = ()
    project: tuple[str, ...] = ()
    org: tuple[str, ...] = ()
    backend: tuple[str, ...] = ()
    action: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    commit: tuple[str, ...] = ()
    id: tuple[str, ...] = ()
    since: tuple[str, ...] = ()
    until: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The text that means this query."""
        filters = ((name, self.values(name)) for name in FILTERS)
        texts = [f"{name}:{','.join(map(_quoted, values))}" for name, values in filters if values]
        return " ".join([*texts, *map(_quoted, self.words)])

    def values(self, name: str) -> tuple[str, ...]:
        """Of one of `FILTERS`."""
        values: tuple[str, ...] = getattr(self, name)
        return values

    def replaced(self, **changes: Sequence[str]) -> "Query":
        """This query with other values for some filters."""
        return replace(self, **{name: tuple(values) for name, values in changes.items()})

    def joined(self, other: "Query") -> "Query":
        """All words and values of both."""
        both = {field.name: (*getattr(self, field.name), *getattr(other, field.name)) for field in fields(self)}
        return _checked({name: tuple(dict.fromkeys(values)) for name, values in both.items()})

    def resolved(self, username: str, today: date) -> "Query":
        """With a name in place of "me", and days in place of numbers of days.

        ``username``: who searches; empty if nobody is logged in. Raises `Error` (invalid) if it has to be known.
        """
        if ME in self.by and not username:
            raise invalid("`by:me` needs a person: log in first", "by")
        by = [username if name == ME else name for name in self.by]
        days = {name: [_day(text, today).isoformat() for text in self.values(name)] for name in ("since", "until")}
        return self.replaced(by=by, **days)

    def statuses(self) -> tuple[str, ...]:
        """The statuses as they are stored."""
        return tuple(STATUSES[status] for status in self.status)

    @property
    def starts_at(self) -> datetime | None:
        """The first moment that matches; None for any. Of a resolved query, as `ends_at`."""
        return _midnight(date.fromisoformat(max(self.since))) if self.since else None

    @property
    def ends_at(self) -> datetime | None:
        """The first moment that does not match any more; None for never."""
        last = date.fromisoformat(min(self.until)) if self.until else date.max
        return _midnight(last + timedelta(days=1)) if last < date.max else None


def parse(text: str) -> Query:
    """Raises `Error` (invalid) that names everything that can't be read."""
    if len(text) > MAX_TEXT:
        raise invalid(f"too long: {len(text)} characters, the limit is {MAX_TEXT}", "q")
    if text.count('"') % 2:
        raise invalid('a quotation mark has no end: write "two words"', "q")
    words: list[str] = []
    filters: dict[str, list[str]] = {}
    unknown: list[str] = []
    for token in _split(text, str.isspace):
        if (match := _FILTER.fullmatch(token)) is None:
            words.append(_bare(token))
        elif (name := match[1].lower()) in FILTERS:
            filters.setdefault(name, []).extend(map(_bare, _split(match[2], ",".__eq__) or [""]))
        else:
            unknown.append(match[1])
    if unknown:
        listed = some([repr(name) for name in dict.fromkeys(unknown)])
        verdict = "is not a filter" if len(set(unknown)) == 1 else "are not filters"
        raise invalid(f"{listed} {verdict}; the filters are {', '.join(FILTERS)}", "q")
    return of_values(filters, words)


def of_values(filters: Mapping[str, Iterable[str]], words: Iterable[str] = ()) -> Query:
    """A query of these values of `FILTERS`. Raises `Error` (invalid) for values that no request can have."""
    values = {name: tuple(dict.fromkeys(_normal(name, value) for value in given)) for name, given in filters.items()}
    return _checked({**values, "words": tuple(dict.fromkeys(filter(None, words)))})


def _checked(values: Mapping[str, tuple[str, ...]]) -> Query:
    if sum(map(len, values.values())) > MAX_VALUES:
        raise invalid(f"more than {MAX_VALUES} words and values", "q")
    faults = [
        Fault(reason, key=name)
        for name, value in chain.from_iterable(((name, value) for value in given) for name, given in values.items())
        if name != "words" and (reason := _fault(name, value))
    ]
    if faults:
        raise invalid(faults[0].message, faults[0].key, faults)
    return Query(**values)


def _split(text: str, is_separator: Callable[[str], bool]) -> list[str]:
    """The parts between separators that stand outside quotation marks; a last one that is empty is left out."""
    parts, is_quoted = [""], False
    for char in text:
        is_quoted ^= char == '"'
        if not is_quoted and is_separator(char):
            parts.append("")
        else:
            parts[-1] += char
    return parts if parts[-1] else parts[:-1]


def _bare(text: str) -> str:
    return text.replace('"', "").strip()


def _normal(name: str, value: str) -> str:
    if name == "status":
        return _ALSO.get(value.lower(), value.lower())
    return value.lower() if name in ("commit", "since", "until") else value


def _fault(name: str, value: str) -> str:
    """Why no request can have this value; empty if one can."""
    if not value:
        return "expected a value after the colon"
    match name:
        case "status" if value not in STATUSES:
            return f"status {value!r} does not exist, expected one of: {', '.join(STATUSES)}"
        case "commit" if not _COMMIT.fullmatch(value):
            return f"expected {LEAST_ID} to 40 digits of 0-9 and a-f, not {value!r:.60}"
        case "id" if len(value) < LEAST_ID or not _ID.fullmatch(value):
            return f"expected {LEAST_ID} to 64 letters, digits, - and _, not {value!r:.60}"
        case "since" | "until":
            try:
                _day(value, date.max)
            except Error as error:
                return error.message
    return ""


def _day(text: str, today: date) -> date:
    """Raises `Error` (invalid)."""
    if match := _DAYS.fullmatch(text):
        return today - timedelta(days=int(match[1]))
    try:
        if len(text) != len("2026-11-01"):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise invalid(f"expected a day such as 2026-11-01, or 7d for the last 7 days, not {text!r:.60}") from None


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _quoted(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else f'"{value}"'
