"""Opens a job-server database, SQLite or PostgreSQL, and reads its tables as they are at one moment.

A row is a mapping of its columns. Times are text or datetimes, and lists are JSON text or lists, as the database has
them; `values` makes them equal.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import orjson

from jobserver.domain.record import ImportedTable
from jobserver.errors import Error, invalid, unavailable
from jobserver.store.fs import reason

Row: TypeAlias = Mapping[str, Any]
Progress = Callable[[int, int], None]

USERS, ACCOUNTS, ORGS, ORG_MEMBERS = (
    "jobserver_user",
    "social_auth_usersocialauth",
    "jobserver_org",
    "jobserver_orgmembership",
)
PROJECTS, COLLABORATIONS, PROJECT_MEMBERS, INVITATIONS = (
    "jobserver_project",
    "jobserver_projectcollaboration",
    "jobserver_projectmembership",
    "jobserver_projectinvitation",
)
RESEARCHERS, PROJECT_RESEARCHERS = (
    "jobserver_researcherregistration",
    "jobserver_project_researcher_registrations",
)
BACKENDS, REPOS, WORKSPACES = "jobserver_backend", "jobserver_repo", "jobserver_workspace"
REQUESTS, JOBS = "jobserver_jobrequest", "jobserver_job"
RELEASES, RELEASE_FILES = "jobserver_release", "jobserver_releasefile"
TABLES = (
    *(USERS, ACCOUNTS, ORGS, ORG_MEMBERS, PROJECTS, COLLABORATIONS, PROJECT_MEMBERS, INVITATIONS),
    *(RESEARCHERS, PROJECT_RESEARCHERS, BACKENDS, REPOS, WORKSPACES, REQUESTS, JOBS, RELEASES, RELEASE_FILES),
)
"""The tables that an import takes."""
_NEEDED = (USERS, BACKENDS, WORKSPACES, REQUESTS, JOBS)
_OWN = ("jobserver_", "applications_", "interactive_", "redirects_", "reports_")
_MIGRATIONS = "django_migrations"
_PAGE = 2_000  # rows that PostgreSQL sends at a time


class _Connection(Protocol):
    """One transaction that sees the database as it is at one moment."""

    product: str

    def columns(self) -> dict[str, list[str]]:
        """Table -> its columns."""

    def query(self, statement: str) -> Iterator[tuple[Any, ...]]: ...
    def close(self) -> None: ...


class _Sqlite:
    product = "SQLite"

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise invalid("is not a file: expected a SQLite database or a URL such as postgresql://...", str(path))
        self._sql = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        # Years of programs left text that is not UTF-8.
        self._sql.text_factory = lambda data: data.decode("utf-8", "replace")
        self._sql.execute("BEGIN")

    def columns(self) -> dict[str, list[str]]:
        names = [name for (name,) in self.query("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name")]
        return {name: [row[1] for row in self.query(f'PRAGMA table_info("{name}")')] for name in names}

    def query(self, statement: str) -> Iterator[tuple[Any, ...]]:
        return iter(self._sql.execute(statement))

    def close(self) -> None:
        self._sql.close()


class _Postgres:
    product = "PostgreSQL"

    def __init__(self, url: str) -> None:
        try:
            import psycopg
        except ImportError:
            raise invalid("needs psycopg: pip install 'jobserver[postgres]'", "PostgreSQL") from None
        self._sql = psycopg.connect(url)
        self._sql.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._sql.read_only = True
        self._sql.execute("SET TIME ZONE 'UTC'")

    def columns(self) -> dict[str, list[str]]:
        columns: dict[str, list[str]] = {}
        for table, column in self.query(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = ANY"
            " (current_schemas(false)) ORDER BY table_name, ordinal_position"
        ):
            columns.setdefault(table, []).append(column)
        return columns

    def query(self, statement: str) -> Iterator[tuple[Any, ...]]:
        with self._sql.cursor(f"import_{id(statement)}") as cursor:
            cursor.itersize = _PAGE
            cursor.execute(statement.encode())
            yield from cursor

    def close(self) -> None:
        self._sql.close()


class OldDatabase:
    """A job-server database. Raises `Error` (invalid, unavailable) if it can't be read or is another program's."""

    def __init__(self, source: str) -> None:
        """``source``: the path of a SQLite file, or a URL such as ``postgresql://user:password@host/name``."""
        with _database_errors(source):
            is_url = source.startswith(("postgres://", "postgresql://"))
            self._sql: _Connection = _Postgres(source) if is_url else _Sqlite(Path(source))
            self._columns = self._sql.columns()
        self._counts: dict[str, int] = {}
        missing = [table for table in _NEEDED if table not in self._columns]
        if missing:
            self.close()
            raise invalid(f"is not a job-server database: it has no table {missing[0]}", _shown(source))

    def close(self) -> None:
        self._sql.close()

    @property
    def description(self) -> str:
        year = "2021" if self.has(BACKENDS, "display_name") else "2025 or later"
        return f"{self._sql.product}, schema of {year}"

    def has(self, table: str, column: str = "") -> bool:
        return table in self._columns and (not column or column in self._columns[table])

    def count(self, table: str) -> int:
        if table not in self._counts:
            self._counts[table] = self._number(f'SELECT count(*) FROM "{table}"') if self.has(table) else 0
        return self._counts[table]

    def _number(self, statement: str) -> int:
        with _database_errors():
            return int(next(iter(list(self._sql.query(statement))))[0])

    def rows(self, table: str, order: str = "id") -> Iterator[Row]:
        """The rows of one of `TABLES` by id, or by these columns; none if the schema lacks the table."""
        if not self.has(table):
            return
        columns = self._columns[table]
        with _database_errors():
            for cells in self._sql.query(f'SELECT * FROM "{table}" ORDER BY {order}'):
                yield dict(zip(columns, cells, strict=True))

    def orphans(self, table: str, column: str, parent: str, key: str = "id") -> int:
        """The number of rows whose ``column`` names no row of ``parent`` by its ``key``."""
        if not self.has(table, column):
            return 0
        if not self.has(parent, key):
            return self.count(table)
        names = f'SELECT 1 FROM "{parent}" WHERE "{parent}"."{key}" = "{table}"."{column}"'
        return self._number(f'SELECT count(*) FROM "{table}" WHERE NOT EXISTS ({names})')

    def others(self) -> dict[str, int]:
        """Tables of job-server that an import does not take -> the number of their rows, if they have any."""
        names = [name for name in self._columns if name.startswith(_OWN) and name not in TABLES]
        return {name: count for name in names if (count := self.count(name))}

    def identity(self) -> str:
        """A SHA-256 that tells this database from others: of the first migration that made it, with its time."""
        table = _MIGRATIONS if self.has(_MIGRATIONS) else USERS
        return hashlib.sha256(b"".join(map(_line, _first(self.rows(table))))).hexdigest()

    def digests(self, progress: Progress) -> dict[str, ImportedTable]:
        """Of every table that is taken. ``progress``: called with (rows that are read, all rows)."""
        digests, done = {}, 0
        total = sum(map(self.count, TABLES))
        for table in filter(self.has, TABLES):
            hasher = hashlib.sha256()
            for row in self.rows(table):
                hasher.update(_line(row))
                done += 1
                if done % _PAGE == 0:
                    progress(done, total)
            digests[table] = ImportedTable(rows=self.count(table), sha256=hasher.hexdigest())
        return digests


def digest_of(tables: Mapping[str, ImportedTable]) -> str:
    """The SHA-256 of the tables' digests in the form that `sha256sum` prints."""
    listing = "".join(f"{tables[name].sha256}  {name}\n" for name in sorted(tables))
    return hashlib.sha256(listing.encode()).hexdigest()


def _first(rows: Iterator[Row]) -> list[Row]:
    return [row for row, _ in zip(rows, range(1), strict=False)]


def _line(row: Row) -> bytes:
    return orjson.dumps(list(row.items()), default=str, option=orjson.OPT_APPEND_NEWLINE)


def _shown(source: str) -> str:
    """Without the password of a URL."""
    return source.rpartition("@")[2] if "://" in source else source


@contextlib.contextmanager
def _database_errors(source: str = "") -> Iterator[None]:
    try:
        yield
    except Error:
        raise
    except sqlite3.Error as error:
        raise unavailable(f"the database can't be read: {reason(error)}", _shown(source)) from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "psycopg":
            raise
        hint = "check the URL, the password, and that PostgreSQL runs"
        raise unavailable(f"the database can't be read ({reason(error)}): {hint}", _shown(source)) from None
