"""What the runner's files say after any number of changes, kills and errors."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobserver.domain.pipeline.reader import Action
from jobserver.errors import Error
from jobserver.runner import plan, state
from jobserver.runner.model import RunnerRequest
from jobserver.runner.state import RequestRecord, StateFolder

NOW = datetime(2026, 11, 27, tzinfo=UTC)
REQUEST = RunnerRequest("a" * 16, "tpp", "trends", "study", "main", "0" * 40, ("run_all",))


def record(count: int = 3) -> RequestRecord:
    jobs = tuple(plan.new_job(REQUEST, f"step_{number}", NOW, "run " + "x" * 100) for number in range(count))
    return RequestRecord(REQUEST, jobs, {job.action: Action((), "run", {}) for job in jobs}, accepted=False)


def started(old: RequestRecord, at: int) -> RequestRecord:
    return old.with_job(old.jobs[at].moved("running", "executing", "Executing", NOW))


def loaded(root: Path) -> RequestRecord:
    return StateFolder(root).load()[REQUEST.identifier]


def files(root: Path) -> list[Path]:
    return sorted((root / "requests").iterdir())


def test_every_change_is_there_after_a_restart(tmp_path: Path) -> None:
    folder, unplanned = StateFolder(tmp_path), RequestRecord(REQUEST)
    cancelled = replace(REQUEST, cancelled_actions=("step_2",))
    planned = record()
    first = started(planned, 0)
    for now in (unplanned, planned, first, replace(first, accepted=True), replace(first, request=cancelled)):
        folder.save(now)
        assert loaded(tmp_path) == now
    folder = StateFolder(tmp_path)
    now = started(folder.load()[REQUEST.identifier], 1)
    folder.save(now)
    assert loaded(tmp_path) == now
    folder.forget(REQUEST.identifier)
    assert files(tmp_path) == []


def test_what_is_written_grows_with_the_changes_and_not_with_the_jobs(tmp_path: Path) -> None:
    """Found with 4,125 jobs: each change of a job wrote 5.5 MB."""
    folder, now = StateFolder(tmp_path), record(500)
    folder.save(now)
    whole = files(tmp_path)[0].read_bytes()
    for at in range(100):
        now = started(now, at)
        folder.save(now)
    assert files(tmp_path)[1].read_bytes() == whole
    assert files(tmp_path)[0].stat().st_size < len(whole)
    for at in range(100, 500):
        now = started(now, at)
        folder.save(now)
    for at in range(500):
        now = now.with_job(now.jobs[at].moved("succeeded", "succeeded", "Completed successfully", NOW))
        folder.save(now)
    assert sum(path.stat().st_size for path in files(tmp_path)) < 4 * len(whole), "it is written whole now and then"
    assert len(files(tmp_path)) <= 2
    assert loaded(tmp_path) == now


def test_half_a_line_counts_as_none_and_nothing_follows_it(tmp_path: Path) -> None:
    folder, first = StateFolder(tmp_path), record()
    folder.save(first)
    second = started(first, 0)
    folder.save(second)
    third = started(second, 1)
    folder.save(third)
    log = files(tmp_path)[0]
    assert log.suffix == ".log"
    os.truncate(log, log.stat().st_size - 5)
    folder = StateFolder(tmp_path)
    assert folder.load()[REQUEST.identifier] == second
    folder.save(started(second, 2))
    assert loaded(tmp_path) == started(second, 2)


def test_a_change_that_the_disk_refused_is_not_in_the_way_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, first = StateFolder(tmp_path), record()
    folder.save(first)
    second = started(first, 0)
    with monkeypatch.context() as patched:

        def full(path: Path, parts: list[bytes], **_: object) -> None:
            path.write_bytes(parts[0][:20])
            raise OSError(28, "No space left on device")

        patched.setattr(state, "write_durably", full)
        with pytest.raises(Error, match="No space left"):
            folder.save(second)
    assert loaded(tmp_path) == first
    third = started(second, 1)
    folder.save(third)
    assert loaded(tmp_path) == third


def test_changes_of_an_older_file_do_not_count(tmp_path: Path) -> None:
    """A power cut can bring back a file that was deleted."""
    folder, first = StateFolder(tmp_path), record()
    folder.save(first)
    folder.save(started(first, 0))
    log = files(tmp_path)[0]
    old = log.read_bytes()
    again = StateFolder(tmp_path)
    now = started(again.load()[REQUEST.identifier], 1)
    again.save(now)
    log.write_bytes(old)
    assert loaded(tmp_path) == now


def test_a_file_of_the_last_version_is_read(tmp_path: Path) -> None:
    StateFolder(tmp_path).save(record())
    path = files(tmp_path)[0]
    text = path.read_text().replace('"version": 2', '"version": 1')
    path.write_text(text[: text.rindex(",")] + "}")
    assert loaded(tmp_path) == record()
