"""Checked releases: those of a workspace, one by its identifier, and the newest version of each file."""

import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from jobserver.domain.base.identifiers import moment
from jobserver.domain.base.layout import branch_backend
from jobserver.domain.base.state import Main
from jobserver.domain.outputs.approvals import FileGroup, ReleaseState, Standing, release_state
from jobserver.index.queries.branches import branch_numbers, marks
from jobserver.index.sqlite.releases import FILE_COLUMNS, RELEASE_COLUMNS


@dataclass(frozen=True, slots=True)
class ReleaseSummary:
    """A release without its files."""

    backend: str
    workspace: str
    identifier: str
    project: str | None
    author: str
    created_at: datetime
    changed_at: datetime
    comment: str
    files: int
    size: int
    groups: tuple[FileGroup, ...]

    def state(self, main: Main) -> ReleaseState:
        """As it is now: people may have got or lost the right to approve."""
        people = {name for group in self.groups for name, _ in group.decisions}
        standing = Standing.among(main, self.workspace, self.project, self.author, self.backend, people)
        return release_state(self.groups, standing)


@dataclass(frozen=True, slots=True)
class ReleasedFile:
    """A file that left its backend. ``number``: its position in the release, which names it for good."""

    backend: str
    workspace: str
    release: str
    number: int
    path: str
    size: int
    sha256: str
    date: datetime | None
    job: dict[str, Any] | None
    uploaded_by: str
    uploaded_at: datetime
    is_gone: bool
    is_public: bool


def releases_of(sql: sqlite3.Connection, workspace: str, backends: Collection[str]) -> list[ReleaseSummary]:
    """Newest first."""
    return _summaries(sql, "workspace = ?", workspace, backends)


def releases_named(sql: sqlite3.Connection, identifier: str, backends: Collection[str]) -> list[ReleaseSummary]:
    """Those with this identifier, oldest first: two backends may have chosen the same, and who comes later does not get
    the address of a release."""
    return _summaries(sql, "identifier = ?", identifier, backends)[::-1]


def _summaries(sql: sqlite3.Connection, condition: str, value: str, backends: Collection[str]) -> list[ReleaseSummary]:
    numbers = branch_numbers(sql, backends)
    rows = sql.execute(
        f"SELECT name, {RELEASE_COLUMNS} FROM releases JOIN branches ON id = branch"
        f" WHERE {condition} AND branch IN ({marks(numbers)}) ORDER BY created_at DESC, identifier DESC",
        (value, *numbers),
    )
    return [_summary(*row) for row in rows]


def _summary(branch: str, workspace: str, identifier: str, project: str | None, *values: Any) -> ReleaseSummary:
    author, created_at, changed_at, comment, files, size, groups = values
    return ReleaseSummary(
        _backend(branch),
        workspace,
        identifier,
        project,
        author,
        moment(created_at),
        moment(changed_at),
        comment,
        files,
        size,
        tuple(
            FileGroup(tuple((name, decision) for name, decision in decisions), phase, count)
            for decisions, phase, count in orjson.loads(groups)
        ),
    )


def newest_files(
    sql: sqlite3.Connection, workspace: str, backends: Collection[str], *, is_public: bool = False
) -> list[ReleasedFile]:
    """The newest version of each file that left and was not withdrawn, by path. ``is_public``: of published ones."""
    condition = "is_public" if is_public else "NOT is_gone"
    return list(_files(sql, f"workspace = ? AND {condition}", workspace, backends, "GROUP BY path"))


def versions_of(sql: sqlite3.Connection, workspace: str, path: str, backends: Collection[str]) -> list[ReleasedFile]:
    """Every version of a file that ever left, also those that were withdrawn; newest first."""
    rows = _files(sql, "workspace = ? AND path = ?", (workspace, path), backends, "")
    return sorted(rows, key=lambda file: (file.uploaded_at, file.release), reverse=True)


def _files(
    sql: sqlite3.Connection, condition: str, values: str | tuple[str, ...], backends: Collection[str], grouped: str
) -> Iterator[ReleasedFile]:
    numbers = branch_numbers(sql, backends)
    newest = ", max(uploaded_at)" if grouped else ""  # SQLite takes the other columns from that row
    rows = sql.execute(
        f"SELECT name, {FILE_COLUMNS}{newest} FROM release_files INDEXED BY release_files_newest"
        f" JOIN branches ON id = branch WHERE uploaded_at IS NOT NULL AND {condition}"
        f" AND branch IN ({marks(numbers)}) {grouped} ORDER BY path",
        (*((values,) if isinstance(values, str) else values), *numbers),
    )
    return (_file(*row[:13]) for row in rows)


def _file(branch: str, workspace: str, release: str, number: int, path: str, *values: Any) -> ReleasedFile:
    size, sha256, date, job, uploaded_by, uploaded_at, is_gone, is_public = values
    return ReleasedFile(
        _backend(branch),
        workspace,
        release,
        number,
        path,
        size,
        sha256,
        moment(date) if date is not None else None,
        orjson.loads(job) if job is not None else None,
        uploaded_by,
        moment(uploaded_at),
        bool(is_gone),
        bool(is_public),
    )


def _backend(branch: str) -> str:
    slug = branch_backend(branch)
    assert slug is not None
    return slug
