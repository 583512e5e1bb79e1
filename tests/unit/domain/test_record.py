"""Which branch each verb writes, and what stands on `audit`."""

from dataclasses import replace

import pytest

from jobserver.domain.base import layout
from jobserver.domain.base.permissions import SERVER
from jobserver.domain.job_requests.jobs import FailJob, UpdateJobs
from jobserver.domain.job_requests.requests import ArchiveFinished, CancelJobs, RequestJobs
from jobserver.domain.plan import Command, branch_of
from jobserver.domain.record import ImportedTable, RecordCheckpoint, RecordImport, RecordPush
from jobserver.domain.users import AddUser
from jobserver.domain.workspaces import AddWorkspace
from tests.memory import ID, NOW, Memory
from tests.unit.domain.planning import prepared


@pytest.fixture
def state() -> Memory:
    return prepared()


@pytest.mark.parametrize(
    ("command", "branch"),
    [
        (RequestJobs("w", "tpp", ("a",), "0" * 40, {}), "backends/tpp"),
        (CancelJobs(ID, "tpp"), "backends/tpp"),
        (UpdateJobs("tpp", ()), "backends/tpp"),
        (ArchiveFinished("tpp"), "backends/tpp"),
        (FailJob("j", ID, "tpp"), "backends/tpp"),
        (RecordPush("main", "0" * 40, "1" * 40, "user/root"), "audit"),
        (RecordCheckpoint({}, 0), "audit"),
        (RecordImport("", "0" * 64, {}, "0" * 64), "audit"),
        (AddUser("x"), "main"),
        (AddWorkspace("x", "y", "z"), "main"),
    ],
)
def test_each_verb_writes_one_branch(command: Command, branch: str) -> None:
    assert branch_of(command) == branch


def test_receipts_are_numbered(state: Memory) -> None:
    command = RecordPush("main", "1" * 40, "abcdef1234567890" + "2" * 24, "user/root")
    changes = state.do(SERVER, command)
    assert (changes.branch, changes.event) == ("audit", "push.received")
    assert changes.subject == "user/root pushed abcdef1234 to main"
    (change,) = changes.changes
    assert change.path == layout.RECEIPT_PATH
    assert change.before is None
    assert change.after is not None
    assert change.after.model_dump() == {
        "version": 1,
        "number": 1,
        "branch": "main",
        "old": "1" * 40,
        "new": command.new,
        "pusher": "user/root",
        "received_at": NOW,
    }
    assert changes.trailers == (
        ("Number", "1"),
        ("Pusher", "user/root"),
        ("Ref", "refs/heads/main"),
        ("Old", "1" * 40),
        ("New", command.new),
    )
    (second,) = state.do(SERVER, replace(command, branch="backends/tpp")).changes
    assert second.before == change.after
    assert second.after == change.after.model_copy(update={"number": 2, "branch": "backends/tpp"})


def test_checkpoints_are_numbered_and_say_something_new(state: Memory) -> None:
    first = state.do(SERVER, RecordCheckpoint({"main": "1" * 40, "backends/tpp": "2" * 40}, 0))
    assert (first.event, first.subject) == ("tips.checkpointed", "jobserver saw 2 branches")
    assert first.trailers == (("Number", "1"),)
    (change,) = first.changes
    assert (change.path, change.before) == (layout.CHECKPOINT_PATH, None)
    assert change.after is not None
    assert list(change.after.model_dump()["tips"]) == ["backends/tpp", "main"]
    again = state.do(SERVER, RecordCheckpoint({"backends/tpp": "2" * 40, "main": "1" * 40}, 1))
    assert (bool(again), again.branch, again.event) == (False, "audit", "tips.checkpointed")
    for late in (0, 2):  # these tips were compared with another checkpoint than the last
        assert not state.do(SERVER, RecordCheckpoint({"main": "3" * 40}, late))
    second = state.do(SERVER, RecordCheckpoint({"main": "3" * 40}, 1))
    assert second.trailers == (("Number", "2"),)
    assert second.changes[0].before == change.after
    assert second.subject == "jobserver saw 1 branches"


def test_statements_of_imports_are_numbered_and_say_something_new(state: Memory) -> None:
    tables = {"jobserver_user": ImportedTable(rows=3, sha256="a" * 64)}
    first = RecordImport("SQLite", "0" * 64, tables, "b" * 64)
    changes = state.do(SERVER, first)
    assert changes.subject == "jobserver read 3 rows of a job-server database"
    assert changes.trailers == (("Number", "1"), ("Imported", "b" * 64))
    assert not state.do(SERVER, first)
    state.do(SERVER, replace(first, sha256="c" * 64))
    statement = state.on(layout.AUDIT).import_statement()
    assert statement is not None
    assert (statement.number, statement.sha256, statement.tables) == (2, "c" * 64, tables)
