"""Checked releases as rows: a row for each release with what its state follows from, and a row for each of its files.

The state itself is in no row, because it also depends on who may approve now, which `main` says.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from jobserver.domain.base.identifiers import micros
from jobserver.domain.outputs.approvals import file_groups
from jobserver.domain.outputs.documents import CheckedFile, CheckedRelease
from jobserver.domain.outputs.steps import newest_time

ReleaseKey = tuple[str, str]
"""Workspace and identifier: with the branch, they name a release."""

TABLES = """
CREATE TABLE releases (
    branch INTEGER NOT NULL,
    workspace TEXT NOT NULL,
    identifier TEXT NOT NULL,
    project TEXT,
    author TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    comment TEXT NOT NULL,
    files INTEGER NOT NULL,
    size INTEGER NOT NULL,
    groups TEXT NOT NULL,        -- JSON of `FileGroup`s
    PRIMARY KEY (branch, workspace, identifier)
) WITHOUT ROWID;
CREATE TABLE release_files (
    branch INTEGER NOT NULL,
    workspace TEXT NOT NULL,
    identifier TEXT NOT NULL,    -- of its release
    number INTEGER NOT NULL,     -- its position in the release, from 0
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    date INTEGER,
    job TEXT,                    -- JSON of the job that wrote it
    uploaded_by TEXT,
    uploaded_at INTEGER,
    is_gone INTEGER NOT NULL,
    is_public INTEGER NOT NULL,
    PRIMARY KEY (branch, workspace, identifier, number)
) WITHOUT ROWID;
"""
INDEXES = """
CREATE INDEX releases_identifier ON releases (identifier);
CREATE INDEX releases_workspace ON releases (workspace, created_at);
CREATE INDEX release_files_newest ON release_files (workspace, path, uploaded_at) WHERE uploaded_at IS NOT NULL;
"""
RELEASE_COLUMNS = "workspace, identifier, project, author, created_at, changed_at, comment, files, size, groups"
FILE_COLUMNS = (
    "workspace, identifier, number, path, size, sha256, date, job, uploaded_by, uploaded_at, is_gone, is_public"
)


def release_row(branch: int, release: CheckedRelease) -> tuple[Any, ...]:
    groups = [(group.decisions, group.phase, group.count) for group in file_groups(release)]
    return (
        branch,
        release.workspace,
        release.identifier,
        release.project,
        release.author,
        micros(release.created_at),
        micros(newest_time(release)),
        _text(release.comment or ""),
        len(release.files),
        sum(file.size for file in release.files),
        orjson.dumps(groups).decode(),
    )


def file_rows(branch: int, release: CheckedRelease) -> Iterator[tuple[Any, ...]]:
    public = release.public_paths()
    for number, file in enumerate(release.files):
        yield (branch, release.workspace, release.identifier, number, *_file_values(release, file, public))


def _file_values(release: CheckedRelease, file: CheckedFile, public: frozenset[str]) -> tuple[Any, ...]:
    uploaded = file.uploaded
    return (
        file.path,
        file.size,
        file.sha256,
        micros(file.date) if file.date is not None else None,
        orjson.dumps(file.job.model_dump()).decode() if file.job is not None else None,
        uploaded.by if uploaded is not None else None,
        micros(uploaded.at) if uploaded is not None else None,
        int(release.is_gone(file)),
        int(file.path in public),
    )


def _text(text: str) -> str:
    """SQLite's functions end a text at the first NUL."""
    return text.replace("\0", "�")


def insert_releases(sql: sqlite3.Connection, branch: int, releases: Iterator[CheckedRelease]) -> None:
    """For a branch that has none of these rows."""
    for release in releases:
        sql.execute(f"INSERT INTO releases VALUES ({','.join('?' * 11)})", release_row(branch, release))
        sql.executemany(f"INSERT INTO release_files VALUES ({','.join('?' * 13)})", file_rows(branch, release))


def write_releases(sql: sqlite3.Connection, branch: int, releases: Mapping[ReleaseKey, CheckedRelease | None]) -> None:
    for (workspace, identifier), release in releases.items():
        key = (branch, workspace, identifier)
        sql.execute("DELETE FROM releases WHERE branch=? AND workspace=? AND identifier=?", key)
        sql.execute("DELETE FROM release_files WHERE branch=? AND workspace=? AND identifier=?", key)
        if release is not None:
            insert_releases(sql, branch, iter([release]))
