"""What the parts of one import share: the database, the notes, and the names of the rows that other rows refer to."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from jobserver.domain.base import names
from jobserver.domain.base.layout import Kind
from jobserver.domain.base.permissions import SERVER, Actor, ActorKind
from jobserver.domain.base.state import Origin
from jobserver.domain.documents import AnyDocument
from jobserver.errors import Error
from jobserver.service.imports.database import BACKENDS, ORGS, USERS, WORKSPACES, OldDatabase, Row
from jobserver.service.imports.naming import RowNames
from jobserver.service.imports.notes import ImportNotes

T = TypeVar("T")
DELETED_USER, UNKNOWN_BACKEND, UNKNOWN_ORG = "deleted-user", "unknown-backend", "unknown-org"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ImportedDocument:
    """A document of main. ``row``: the row that it comes from, such as ``jobserver_user/7``."""

    kind: Kind
    name: str
    document: AnyDocument
    origin: Origin
    row: str


@dataclass(slots=True)
class ImportContext:
    """``projects``: id of the row -> ``org/slug``."""

    database: OldDatabase
    notes: ImportNotes
    users: RowNames = field(init=False)
    orgs: RowNames = field(init=False)
    backends: RowNames = field(init=False)
    workspaces: RowNames = field(init=False)
    projects: dict[object, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.users = RowNames(USERS, Kind.USER, names.USERNAME, 64, self.notes)
        self.orgs = RowNames(ORGS, Kind.ORG, names.SLUG, 64, self.notes)
        self.backends = RowNames(BACKENDS, Kind.BACKEND, names.SLUG, 64, self.notes)
        self.workspaces = RowNames(WORKSPACES, Kind.WORKSPACE, names.WORKSPACE, 128, self.notes)

    def person(self, table: str, row: object, column: str, user: object) -> str:
        """The username of the user with this id, or the one that stands for deleted users."""
        username = self.users.get(user)
        if username is None:
            self.notes.add(table, row, column, "names no user", f"takes {DELETED_USER!r}")
        return username or DELETED_USER

    def not_taken(self, table: str, row: object, error: Error) -> None:
        """Notes a row whose document can't be made."""
        column = error.faults[0].key if error.faults else ""
        problem = error.faults[0].message if error.faults else error.message
        self.notes.add(table, row, column or "row", problem, "not taken")

    def documents(self, table: str, make: Callable[[Row], T]) -> Iterator[T]:
        """What ``make`` returns for each row of the table. Rows for which it raises `Error` get a note."""
        for row in self.database.rows(table):
            try:
                yield make(row)
            except Error as error:
                self.not_taken(table, row["id"], error)


def origin(username: str | None, time: datetime | None) -> Origin:
    """The author of an imported commit: the person, or the server where the old record names nobody."""
    actor = Actor(ActorKind.USER, username) if username else SERVER
    return Origin(actor, time or EPOCH)
