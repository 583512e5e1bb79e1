"""The documents on `audit`: receipts of pushes, checkpoints of all branches and statements of imports; and who may
change the signing keys.

An import reads the database of a job-server. The server makes each imported commit itself, and the commit's author is
the person of the old database. Such a commit proves what the server read, and not who did it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeAlias, assert_never

from pydantic import Field

from jobserver.domain.base import names
from jobserver.domain.base.layout import AUDIT, CHECKPOINT_PATH, IMPORT_PATH, MAIN, RECEIPT_PATH, Kind
from jobserver.domain.base.permissions import Actor, ActorKind, Permission
from jobserver.domain.base.rights import permissions_of
from jobserver.domain.base.rules import Rules
from jobserver.domain.base.state import Change, Changes, Main, State
from jobserver.domain.base.values import Document, Line, Time, Version, named
from jobserver.errors import forbidden

KEY_EVENTS = frozenset({"keys.rotated", "key.revoked"})
"""Events that change the server's signing keys. They change `allowed_signers`, which is not a document."""

STATED = "database.imported"
SUFFIX = ".imported"
TRAILER = "Imported"
IMPORTED_KINDS = frozenset(
    {Kind.BACKEND, Kind.USER, Kind.ORG, Kind.PROJECT, Kind.WORKSPACE, Kind.REQUEST, Kind.PIPELINE, Kind.JOB}
)
"""The kinds of documents that an import may write."""


class Receipt(Document):
    """A push that was judged and accepted. Written before git moves the branch, which may still fail."""

    version: Version = 1
    number: Annotated[int, Field(ge=1)]
    branch: Line
    old: Annotated[str, named(names.SHA)]
    new: Annotated[str, named(names.SHA)]
    pusher: Annotated[str, named(names.PUSHER)]
    received_at: Time


class Checkpoint(Document):
    """The tip of every other branch: commit ids by branch."""

    version: Version = 1
    number: Annotated[int, Field(ge=1)]
    tips: dict[Line, Annotated[str, named(names.SHA)]]
    made_at: Time


class ImportedTable(Document):
    """``rows``: how many the table had. ``sha256``: of the rows, in the order of their ids."""

    rows: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, named(names.DIGEST)]


class ImportStatement(Document):
    """``database`` tells one database from another. ``sha256`` covers all tables: commits name the statement by it."""

    version: Version = 1
    number: Annotated[int, Field(ge=1)]
    source: Line
    database: Annotated[str, named(names.DIGEST)]
    tables: dict[Line, ImportedTable]
    sha256: Annotated[str, named(names.DIGEST)]
    read_at: Time


@dataclass(frozen=True, slots=True)
class RecordPush:
    """``pusher`` was authenticated, and is a name such as ``backend/tpp``; ``old`` and ``new`` are commit ids."""

    branch: str
    old: str
    new: str
    pusher: str


@dataclass(frozen=True, slots=True)
class RecordCheckpoint:
    """``after`` is the number of the checkpoint that these tips descend from; 0 if there is none."""

    tips: Mapping[str, str]
    after: int


@dataclass(frozen=True, slots=True)
class RecordImport:
    """The fields of the statement. Changes nothing if the last statement says the same."""

    source: str
    database: str
    tables: Mapping[str, ImportedTable]
    sha256: str


Command: TypeAlias = RecordPush | RecordCheckpoint | RecordImport


def plan(state: State, command: Command, now: datetime) -> Changes:
    match command:
        case RecordPush():
            return _push(state, command, now)
        case RecordCheckpoint():
            return _checkpoint(state, command, now)
        case RecordImport():
            return _import(state, command, now)
        case _:
            assert_never(command)


def _push(state: State, command: RecordPush, now: datetime) -> Changes:
    before = state.receipt()
    receipt = Receipt(
        number=before.number + 1 if before else 1,
        branch=command.branch,
        old=command.old,
        new=command.new,
        pusher=command.pusher,
        received_at=now,
    )
    return Changes(
        AUDIT,
        "push.received",
        f"{command.pusher} pushed {command.new[:10]} to {command.branch}",
        (Change(RECEIPT_PATH, before, receipt),),
        trailers=(
            ("Number", str(receipt.number)),
            ("Pusher", command.pusher),
            ("Ref", f"refs/heads/{command.branch}"),
            ("Old", command.old),
            ("New", command.new),
        ),
    )


def _checkpoint(state: State, command: RecordCheckpoint, now: datetime) -> Changes:
    before = state.checkpoint()
    # Another server may have written a checkpoint of later tips meanwhile. The next round compares with that one.
    if (before.number if before else 0) != command.after or (before and before.tips == dict(command.tips)):
        return Changes(AUDIT, "tips.checkpointed", "")
    after = Checkpoint(number=before.number + 1 if before else 1, tips=dict(sorted(command.tips.items())), made_at=now)
    return Changes(
        AUDIT,
        "tips.checkpointed",
        f"jobserver saw {len(after.tips)} branches",
        (Change(CHECKPOINT_PATH, before, after),),
        trailers=(("Number", str(after.number)),),
    )


def _import(state: State, command: RecordImport, now: datetime) -> Changes:
    before = state.import_statement()
    if before is not None and before.sha256 == command.sha256:
        return Changes(AUDIT, STATED, "")
    after = ImportStatement(
        number=before.number + 1 if before else 1,
        source=command.source,
        database=command.database,
        tables=dict(command.tables),
        sha256=command.sha256,
        read_at=now,
    )
    rows = sum(table.rows for table in command.tables.values())
    return Changes(
        AUDIT,
        STATED,
        f"jobserver read {rows} rows of a job-server database",
        (Change(IMPORT_PATH, before, after),),
        trailers=(("Number", str(after.number)), (TRAILER, command.sha256)),
    )


def is_import(event: str) -> bool:
    """Whether this is the event of an imported commit, such as ``user.imported``."""
    return event.endswith(SUFFIX) and event != STATED


def check_key_change(main: Main, actor: Actor, branch: str = MAIN) -> None:
    """Raises `Error` (forbidden) unless the actor may change the server's keys on this branch.

    People who administer jobserver change them on main. The server carries such a change to the other branches.
    """
    if actor.kind is ActorKind.SERVER:
        return
    user = main.user(actor.name) if actor.kind is ActorKind.USER else None
    if user is None or not user.active:
        raise forbidden(f"{actor.name} is not an active user")
    if branch != MAIN or Permission.ADMINISTER not in permissions_of(main, user):
        raise forbidden(f"{actor.name} cannot change the server's keys on {branch}")


RULES = Rules(by_server=True)
