"""Whole job requests that a push moves between `active/` and `archive/`, and what it may do to them on the way."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from jobserver.domain.base.layout import Area, Place
from jobserver.domain.base.state import Move
from jobserver.errors import invalid
from jobserver.store.read.tree_changes import TreeChanges, read_changes
from tests.integration.store.read.test_reading import Repository

ID = "aaaaaaaaaaaaaaaa"
ACTIVE, ARCHIVE = f"active/2026-11-24/{ID}", f"archive/2026/11/24/{ID}"
PLACE = Place(Area.ACTIVE, date(2026, 11, 24), ID)
REQUEST = f"""\
version: 1
identifier: "{ID}"
backend: tpp
created_by: alice
created_at: 2026-11-24T09:00:00.000000Z
sha: "{"0" * 40}"
requested_actions: [generate]
database_name: full
workspace:
  name: trends
  repo: study
  branch: main
  db: full
  created_by: alice
  created_at: 2026-11-24T09:00:00.000000Z
pipeline:
  generate:
    needs: []
    run: python g.py
""".encode()
JOB = b"""\
version: 1
identifier: j
action: generate
status: running
status_code: ""
status_message: ""
created_at: 2026-11-24T09:00:00.000000Z
updated_at: null
started_at: null
completed_at: null
"""
MOVE = (Move(PLACE, Area.ARCHIVE),)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    made = Repository(tmp_path / "r")
    yield made
    made.objects.close()


def judge(
    repository: Repository, before: dict[str, bytes], after: dict[str, bytes | tuple[bytes, bytes]]
) -> TreeChanges:
    old = {f"{ACTIVE}/{path}" if not path.startswith("a") else path: data for path, data in before.items()}
    return read_changes(repository.objects, "backends/tpp", repository.tree(dict(old)), repository.tree(after))


WHOLE = {"request.yaml": REQUEST, "jobs/j.yaml": JOB}


def test_a_request_that_only_moved_has_no_changes(repository: Repository) -> None:
    found = judge(repository, WHOLE, {f"{ARCHIVE}/request.yaml": REQUEST, f"{ARCHIVE}/jobs/j.yaml": JOB})
    assert (found.proposed.moves, found.proposed.changes, found.faults) == (MOVE, (), [])


def test_a_request_travels_back_whole(repository: Repository) -> None:
    archived: dict[str, bytes | tuple[bytes, bytes]] = {f"{ARCHIVE}/request.yaml": REQUEST}
    active: dict[str, bytes | tuple[bytes, bytes]] = {f"{ACTIVE}/request.yaml": REQUEST}
    before, after = repository.tree(archived), repository.tree(active)
    found = read_changes(repository.objects, "backends/tpp", before, after)
    assert found.proposed.moves == (Move(PLACE.moved(Area.ARCHIVE), Area.ACTIVE),)


def test_a_change_on_the_way_is_a_change_at_the_new_place(repository: Repository) -> None:
    done = JOB.replace(b"running", b"failed")
    found = judge(repository, WHOLE, {f"{ARCHIVE}/request.yaml": REQUEST, f"{ARCHIVE}/jobs/j.yaml": done})
    (change,) = found.proposed.changes
    assert change.path == f"{ARCHIVE}/jobs/j.yaml"
    assert change.before is not None
    assert change.after is not None


def test_a_job_that_is_left_out_on_the_way_is_a_deletion(repository: Repository) -> None:
    found = judge(repository, WHOLE, {f"{ARCHIVE}/request.yaml": REQUEST})
    (change,) = found.proposed.changes
    assert (change.path, change.after) == (f"{ARCHIVE}/jobs/j.yaml", None)


def test_a_job_that_becomes_a_link_on_the_way_is_a_fault(repository: Repository) -> None:
    after = {f"{ARCHIVE}/request.yaml": REQUEST, f"{ARCHIVE}/jobs/j.yaml": (b"120000", JOB)}
    assert [fault.message for fault in judge(repository, WHOLE, after).faults] == [
        "is a symbolic link: expected a file"
    ]


def test_a_job_that_is_changed_and_stays_behind_is_no_part_of_the_move(repository: Repository) -> None:
    done = JOB.replace(b"running", b"failed")
    found = judge(repository, WHOLE, {f"{ARCHIVE}/request.yaml": REQUEST, f"{ACTIVE}/jobs/j.yaml": done})
    assert found.proposed.moves == MOVE
    assert [change.path for change in found.proposed.changes] == [f"{ACTIVE}/jobs/j.yaml"]


def test_a_deleted_request_is_no_move(repository: Repository) -> None:
    found = judge(repository, WHOLE | {"a": b"x"}, {"a": b"x"})
    assert found.proposed.moves == ()
    assert {change.path for change in found.proposed.changes} == {f"{ACTIVE}/request.yaml", f"{ACTIVE}/jobs/j.yaml"}


def test_a_request_over_another_is_no_move(repository: Repository) -> None:
    before = {**{f"{ACTIVE}/{path}": data for path, data in WHOLE.items()}, f"{ARCHIVE}/request.yaml": REQUEST}
    after = REQUEST.replace(b"generate]", b"generate, generate]")
    found = judge(repository, before, {f"{ARCHIVE}/request.yaml": after})
    assert found.proposed.moves == ()


def test_a_blob_that_is_too_large_is_named_by_its_path(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(sha: bytes) -> bytes:
        raise invalid("2000000 bytes; at most 1048576 are allowed")

    monkeypatch.setattr(repository.objects, "blob", too_large)
    found = judge(repository, {}, {f"{ACTIVE}/request.yaml": REQUEST})
    (fault,) = found.faults
    assert str(fault) == f"{ACTIVE}/request.yaml: 2000000 bytes; at most 1048576 are allowed"
