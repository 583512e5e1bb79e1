"""Backends and workspaces of the old server, as documents."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jobserver.domain.backends import Backend
from jobserver.domain.base import names
from jobserver.domain.base.layout import Kind
from jobserver.domain.base.validation import checked
from jobserver.domain.base.values import is_repo
from jobserver.domain.job_requests.requests import RequestedWorkspace
from jobserver.domain.tokens import Token
from jobserver.domain.workspaces import Workspace
from jobserver.service.accounts.tokens import token_digest
from jobserver.service.imports import database as tables
from jobserver.service.imports.context import EPOCH, UNKNOWN_BACKEND, ImportContext, ImportedDocument, origin
from jobserver.service.imports.database import Row
from jobserver.service.imports.values import line_of, minutes_of, time_of

_DATABASE = re.compile(names.DATABASE)
_GITHUB_SSH = re.compile(r"(?:ssh://)?git@([A-Za-z0-9.-]+)[:/](.+)")


class ImportedWorkspaces:
    """``requested``: id of a workspace's row -> what its job requests say of it, and its project."""

    def __init__(self, context: ImportContext) -> None:
        self._context = context
        self._database, self._notes = context.database, context.notes
        self._digests: set[str] = set()
        self.requested: dict[object, tuple[RequestedWorkspace, str | None]] = {}

    def backends(self) -> Iterator[ImportedDocument]:
        yield from self._context.documents(tables.BACKENDS, self._backend)
        if self._database.orphans(tables.REQUESTS, "backend_id", tables.BACKENDS):
            unknown = Backend(slug=UNKNOWN_BACKEND, name="Unknown backend", active=False, created_at=EPOCH)
            yield ImportedDocument(Kind.BACKEND, UNKNOWN_BACKEND, unknown, origin(None, EPOCH), tables.BACKENDS)

    def _backend(self, row: Row) -> ImportedDocument:
        is_first_schema = self._database.has(tables.BACKENDS, "display_name")
        slug_column, name_column = ("name", "display_name") if is_first_schema else ("slug", "name")
        slug = self._context.backends.add(row["id"], row.get(slug_column), slug_column)
        created_at = time_of(row.get("created_at")) or EPOCH
        backend = checked(
            Backend,
            {
                "slug": slug,
                "name": line_of(row.get(name_column)) or slug,
                "parent_directory": line_of(row.get("parent_directory")),
                "active": bool(row.get("is_active", True)),
                "alert_after_minutes": minutes_of(row["alert_timeout"]) if row.get("alert_timeout") else 5,
                "tokens": self._tokens(row, created_at),
                "created_at": created_at,
            },
        )
        return ImportedDocument(Kind.BACKEND, slug, backend, origin(None, created_at), f"{tables.BACKENDS}/{row['id']}")

    def _tokens(self, row: Row, created_at: Any) -> tuple[Token, ...]:
        """The digest of the old token, so that the runner can go on with it."""
        secret = str(row.get("auth_token") or "")
        if not secret:
            self._notes.add(tables.BACKENDS, row["id"], "auth_token", "is empty", "takes no token")
            return ()
        digest = token_digest(secret)
        if digest in self._digests:
            self._notes.add(tables.BACKENDS, row["id"], "auth_token", "is another backend's too", "takes no token")
            return ()
        self._digests.add(digest)
        return (Token(sha256=digest, label="job-server", created_at=created_at),)

    def workspaces(self) -> Iterator[ImportedDocument]:
        repos = {row["id"]: row.get("url") for row in self._database.rows(tables.REPOS)}
        return self._context.documents(tables.WORKSPACES, lambda row: self._workspace(row, repos))

    def _workspace(self, row: Row, repos: Mapping[object, object]) -> ImportedDocument:
        key = row["id"]
        name = self._context.workspaces.add(key, row.get("name"), "name")
        workspace = checked(
            Workspace,
            {
                "name": name,
                "project": self._context.projects.get(row.get("project_id")),
                "repo": self._repo(key, row.get("repo", repos.get(row.get("repo_id")))),
                "branch": line_of(row.get("branch")) or "main",
                "db": self._db(row),
                "created_by": self._context.person(tables.WORKSPACES, key, "created_by_id", row.get("created_by_id")),
                "created_at": time_of(row.get("created_at")) or EPOCH,
                "archived": bool(row.get("is_archived")),
                "should_notify": bool(row.get("should_notify")),
            },
        )
        author = self._context.users.get(row.get("created_by_id"))
        values = {field: getattr(workspace, field) for field in RequestedWorkspace.model_fields}
        self.requested[key] = checked(RequestedWorkspace, {**values, "created_by": author}), workspace.project
        created = origin(author, workspace.created_at)
        return ImportedDocument(Kind.WORKSPACE, name, workspace, created, f"{tables.WORKSPACES}/{key}")

    def _repo(self, key: object, cell: object) -> str:
        """The repository's https URL, or a path that no study has."""
        old = line_of(cell)
        url = _GITHUB_SSH.sub(r"https://\1/\2", old).replace("http://", "https://", 1).removesuffix(".git")
        for candidate in (old, url):
            if is_repo(candidate):
                return candidate
        missing = f"unknown-repository-{key}"
        self._notes.add(tables.WORKSPACES, key, "repo", f"{old!r:.80} is no https URL", f"takes {missing!r}")
        return missing

    def _db(self, row: Row) -> str:
        """Only the schema of 2021 has databases."""
        old = line_of(row.get("db", "full"))
        if _DATABASE.fullmatch(old):
            return old
        self._notes.add(tables.WORKSPACES, row["id"], "db", f"{old!r:.80} is no database", "takes 'full'")
        return "full"
