"""What every plan is made of: one document's change, and refusals of names that are there, missing, or no names."""

from typing import TypeVar

from jobserver.domain.base import names
from jobserver.domain.base.names import Kind
from jobserver.domain.base.state import Change, Changes
from jobserver.domain.documents import AnyDocument
from jobserver.errors import conflict, invalid, not_found

D = TypeVar("D")


def write(kind: Kind, name: str, before: AnyDocument | None, after: AnyDocument, event: str, subject: str) -> Changes:
    change = (Change(names.main_path(kind, name), before, after),)
    if before == after:
        return Changes(names.MAIN, event, subject, unchanged=change)
    return Changes(names.MAIN, event, subject, change)


def absent(document: AnyDocument | None, kind: str, name: str) -> None:
    if document is not None:
        raise conflict(f"the {kind} {name!r} is there already")


def present(document: D | None, kind: str, name: str) -> D:
    if document is None:
        raise not_found(f"there is no {kind} {name!r}")
    return document


def fitting(kind: Kind, name: str) -> None:
    """Raises `Error` (invalid) where a page of the server stands."""
    if names.is_page(kind, name):
        raise invalid(f"{name.rpartition('/')[2]!r} is a page of the server: choose another name", "name")
