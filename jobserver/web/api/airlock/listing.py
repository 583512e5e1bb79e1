"""Reads the list of files that Airlock asks to release, and their reviews if it sends any."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobserver.domain.base.validation import checked, kind
from jobserver.domain.outputs.documents import MAX_FILE_BYTES, MAX_FILES, CheckedFile, Decision
from jobserver.errors import Error, Fault, invalid
from jobserver.web.api.airlock.fields import known_fields, sent_fields

_DECISIONS: dict[str, Decision] = {"APPROVED": "approved", "REJECTED": "rejected"}
_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class FileReview:
    """What the call says about one file."""

    path: str
    sha256: str
    decision: Decision
    comment: str


@dataclass(frozen=True, slots=True)
class SentRelease:
    """``identifier``: Airlock's; empty if the call has none. ``comment``: about the whole release."""

    identifier: str
    files: tuple[CheckedFile, ...]
    reviews: tuple[FileReview, ...]
    comment: str


def sent_release() -> SentRelease:
    """The call's release. Raises `Error` (invalid) with every fault."""
    fields = sent_fields("files", "metadata", "review")
    files, metadata, review = fields.take("files"), fields.take("metadata"), fields.take("review")
    fields.done()
    if not isinstance(files, list) or not files:
        raise invalid(f"expected a list of files, found {kind(files) if files != [] else 'an empty one'}", "files")
    if len(files) > MAX_FILES:
        raise invalid(f"{len(files)} files, and the limit is {MAX_FILES}", "files")
    faults: list[Fault] = []
    read = [(number, *file) for number, item in enumerate(files) if (file := _file(item, number, faults)) is not None]
    faults += _repeated([file for _, file, _ in read])
    if faults:
        raise invalid(str(faults[0]), faults=faults)
    tool = known_fields(metadata or {}, "airlock_id")
    identifier = tool.text("airlock_id", None)
    tool.done()
    reviews = tuple(given for _, _, given in read if given is not None)
    return SentRelease(identifier or "", tuple(file for _, file, _ in read), reviews, _comment(review))


def _file(item: Any, number: int, faults: list[Fault]) -> tuple[CheckedFile, FileReview | None] | None:
    """Adds to ``faults`` what is wrong with it."""
    try:
        fields = known_fields(item, "name", "size", "sha256", "date", "review")
        path, sha256, date = fields.text("name"), fields.text("sha256").lower(), fields.text("date", None)
        size, review = fields.take("size"), fields.take("review")
        fields.done()
        if len(sha256) != 64 or not _DIGITS.issuperset(sha256):
            raise invalid("expected a SHA-256, 64 digits of 0-9 and a-f", "sha256")
        if isinstance(size, int) and not isinstance(size, bool) and size > MAX_FILE_BYTES:
            raise invalid(f"File size should be <16Mb. {path} is {in_mb(size)}", "size")
        values = {"path": path, "size": size, "sha256": sha256, "date": _time(date)}
        return checked(CheckedFile, values), _review(path, sha256, review)
    except Error as error:
        wrong = error.faults or (Fault(error.message, key=error.where),)
        faults += [Fault(fault.message, key=f"files[{number}].{fault.key}") for fault in wrong]
        return None


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise invalid("expected a time such as 2026-11-23T20:15:04+00:00", "date") from None


def _review(path: str, sha256: str, review: Any) -> FileReview | None:
    if review is None:
        return None
    fields = known_fields(review, "status", "comments")
    status, comments = fields.text("status"), fields.take("comments")
    fields.done()
    decision = _DECISIONS.get(status)
    if decision is None:
        raise invalid(f"expected one of: {', '.join(_DECISIONS)}", "review.status")
    return FileReview(path, sha256, decision, _comment(comments))


def _comment(comments: Any) -> str:
    """The texts of an object of comments, one to a line."""
    if not isinstance(comments, dict):
        return ""
    return "\n".join(f"{name}: {text}" for name, text in comments.items() if isinstance(text, str))[:10_000]


def _repeated(files: list[CheckedFile]) -> Iterator[Fault]:
    seen: set[str] = set()
    for number, file in enumerate(files):
        if file.path in seen:
            yield Fault(f"{file.path!r} is in the list twice", key=f"files[{number}].name")
        seen.add(file.path)


def in_mb(size: int) -> str:
    """As job-server writes it."""
    return f"{round(size / (1024 * 1024), 2)}Mb"
