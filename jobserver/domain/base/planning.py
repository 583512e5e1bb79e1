"""Helpers for plans: one document's change on `main`, and refusals of names that are taken, unknown or reserved."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from jobserver.domain.base.layout import MAIN, Kind, main_path
from jobserver.domain.base.reserved import is_page
from jobserver.domain.base.state import Change, Changes
from jobserver.errors import conflict, invalid, not_found

if TYPE_CHECKING:
    from jobserver.domain.documents import AnyDocument

D = TypeVar("D")


def write_document(
    kind: Kind,
    name: str,
    before: AnyDocument | None,
    after: AnyDocument,
    event: str,
    subject: str,
    trailers: tuple[tuple[str, str], ...] = (),
) -> Changes:
    change = (Change(main_path(kind, name), before, after),)
    if before == after:
        return Changes(MAIN, event, subject, trailers=trailers, unchanged=change)
    return Changes(MAIN, event, subject, change, trailers=trailers)


# The input that names a new document, and the one that names another document.
_OWN_FIELD = {
    Kind.WORKSPACE: "name",
    Kind.BACKEND: "slug",
    Kind.ORG: "slug",
    Kind.PROJECT: "slug",
    Kind.USER: "username",
}
_OTHER_FIELD = {
    Kind.WORKSPACE: "workspace",
    Kind.BACKEND: "backend",
    Kind.ORG: "org",
    Kind.PROJECT: "project",
    Kind.USER: "username",
}


def require_absent(document: object | None, kind: Kind, name: str) -> None:
    if document is not None:
        raise conflict(f"{kind} {name!r} already exists", field=_OWN_FIELD.get(kind, ""))


def require(document: D | None, kind: Kind, name: str) -> D:
    if document is None:
        raise not_found(f"{kind} {name!r} does not exist", field=_OTHER_FIELD.get(kind, ""))
    return document


def require_free_url(kind: Kind, name: str) -> None:
    """Raises `Error` (invalid) if the server has a page of its own at the URL of this document."""
    if is_page(kind, name):
        raise invalid(f"{name.rpartition('/')[2]!r} is reserved for a page of the server: choose another name", "name")
