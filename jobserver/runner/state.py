"""The runner's state on disk, which survives a kill at any moment.

    requests/<id>.json       a request, its jobs, and whether the server has accepted them
    requests/<id>.<n>.log    what has changed since then, a line of JSON for each change; the file above names it
    workspaces/<name>.json   which actions succeeded there, and the outputs of each

A reader always gets a whole version of a JSON file. A last line that is not whole was never acted on. Changes have a
file of their own, because a request may have thousands of jobs, and each of them changes a few times.
"""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jobserver.domain.pipeline.reader import Action
from jobserver.errors import Error, conflict, invalid, unavailable
from jobserver.runner import plan
from jobserver.runner.model import RunnerJob, RunnerRequest
from jobserver.store.fs import replace_durably, sync_folder, write_durably

_VERSION = 1
_REQUEST_VERSION = 2  # 1 has no file of changes


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request and its jobs. No jobs: they are not planned yet. ``accepted``: the server has these jobs."""

    request: RunnerRequest
    jobs: tuple[RunnerJob, ...] = ()
    actions: Mapping[str, Action] = field(default_factory=dict)
    accepted: bool = True

    @property
    def finished(self) -> bool:
        return plan.finished(self.jobs)

    def with_jobs(self, jobs: tuple[RunnerJob, ...]) -> "RequestRecord":
        return self if jobs == self.jobs else replace(self, jobs=jobs, accepted=False)

    def with_job(self, job: RunnerJob) -> "RequestRecord":
        return self.with_jobs(tuple(job if old.identifier == job.identifier else old for old in self.jobs))

    def needs(self) -> dict[str, tuple[str, ...]]:
        return {name: action.needs for name, action in self.actions.items()}

    def payload(self) -> list[dict[str, Any]]:
        return [job.as_payload(self.request.identifier) for job in self.jobs]


@dataclass(frozen=True, slots=True)
class Success:
    """The last success of an action in a workspace. ``outputs``: paths inside the workspace's outputs folder."""

    job: str
    sha: str
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Saved:
    """What the files of a request say. ``log``: the file of changes, of ``log_bytes`` bytes."""

    record: RequestRecord
    whole_bytes: int
    log: Path
    log_bytes: int = 0

    def may_grow(self) -> bool:
        """So the bytes that are written stay in proportion to the changes."""
        return self.log_bytes <= self.whole_bytes


class StateFolder:
    """The files of one runner. Raises `Error`: unavailable for an error of the disk, invalid for an unreadable file."""

    def __init__(self, root: Path) -> None:
        self.requests = root / "requests"
        self.workspaces = root / "workspaces"
        self._lock = root / "lock"
        self._saved: dict[str, _Saved] = {}
        with _disk(root):
            if not root.exists():
                root.mkdir(parents=True, mode=0o700)  # outputs are private
            for folder in (self.requests, self.workspaces):
                folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self, patience: float = 2.0) -> Iterator[None]:
        """Held while a runner works here. Raises `Error` (conflict) if another runner still does after ``patience``.

        It waits because a process that a killed runner was starting holds the lock for a moment.
        """
        with _disk(self._lock):
            file = self._lock.open("a")
        with file:
            ends = time.monotonic() + patience
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= ends:
                        raise conflict("another runner is using this folder", str(self._lock.parent)) from None
                    time.sleep(0.05)
            yield

    def load(self) -> dict[str, RequestRecord]:
        """All requests, oldest first. Removes files that a crash left unfinished."""
        records = {}
        with _disk(self.requests):
            for path in sorted(self.requests.iterdir()):
                if path.name.startswith("."):
                    path.unlink()
                elif path.suffix == ".json":
                    records[path.stem] = _record(path)
        return records

    def save(self, record: RequestRecord) -> None:
        """Durable once this returns. The first time, the record is written whole: no line may follow half of one."""
        identifier = record.request.identifier
        saved = self._saved.pop(identifier, None)  # after an error, nobody knows what the file of changes has
        change = _change(saved.record, record) if saved is not None and saved.may_grow() else None
        if saved is None or change is None:
            self._save_whole(record)
            return
        line = json.dumps(change).encode() + b"\n"
        with _disk(saved.log):
            write_durably(saved.log, [line], flags=os.O_APPEND)
            if not saved.log_bytes:
                sync_folder(self.requests)
        self._saved[identifier] = replace(saved, record=record, log_bytes=saved.log_bytes + len(line))

    def _save_whole(self, record: RequestRecord) -> None:
        identifier = record.request.identifier
        path = self.requests / f"{identifier}.json"
        # By chance, so that it is not the name of a file that a power cut brings back.
        log = self.requests / f"{identifier}.{secrets.token_hex(8)}.log"
        data = {
            "version": _REQUEST_VERSION,
            "request": record.request.as_item(),
            "jobs": record.payload(),
            "actions": {name: _from_action(action) for name, action in record.actions.items()},
            "accepted": record.accepted,
            "log": log.name,
        }
        self._write(path, data)
        with _disk(path):
            for old in self.requests.glob(f"{identifier}.*.log"):
                old.unlink()
            size = path.stat().st_size
        self._saved[identifier] = _Saved(record, size, log)

    def forget(self, request: str) -> None:
        self._saved.pop(request, None)
        with _disk(self.requests):
            for path in (self.requests / f"{request}.json", *self.requests.glob(f"{request}.*.log")):
                path.unlink(missing_ok=True)

    def successes(self, workspace: str) -> dict[str, Success]:
        path = self.workspaces / f"{workspace}.json"
        with _disk(path):
            if not path.exists():
                return {}
            with _readable(path, _VERSION) as data:
                return {
                    action: Success(success["job"], success["sha"], tuple(success["outputs"]))
                    for action, success in data["actions"].items()
                }

    def save_successes(self, workspace: str, successes: Mapping[str, Success]) -> None:
        actions = {
            action: {"job": success.job, "sha": success.sha, "outputs": list(success.outputs)}
            for action, success in successes.items()
        }
        self._write(self.workspaces / f"{workspace}.json", {"version": _VERSION, "actions": actions})

    def _write(self, path: Path, data: Mapping[str, Any]) -> None:
        with _disk(path):
            replace_durably(path, json.dumps(data, indent=1).encode())


def _record(path: Path) -> RequestRecord:
    with _readable(path, _VERSION, _REQUEST_VERSION) as data:
        record = RequestRecord(
            RunnerRequest.from_item(data["request"]),
            tuple(RunnerJob.from_payload(job) for job in data["jobs"]),
            {name: _to_action(action) for name, action in data["actions"].items()},
            data["accepted"],
        )
        log = path.with_name(data.get("log", "none"))
        if log.exists():
            for line in log.read_bytes().split(b"\n")[:-1]:
                record = _changed(record, json.loads(line))
        return record


def _change(old: RequestRecord, new: RequestRecord) -> dict[str, Any] | None:
    """What `_changed` makes ``new`` of ``old`` with; None if only a whole record can."""
    if len(old.jobs) != len(new.jobs) or old.actions is not new.actions:
        return None
    jobs = [
        (place, job.as_payload(new.request.identifier))
        for place, (before, job) in enumerate(zip(old.jobs, new.jobs, strict=True))
        if before is not job and before != job
    ]
    request = new.request.as_item() if new.request != old.request else None
    return {"request": request, "accepted": new.accepted, "jobs": jobs}


def _changed(record: RequestRecord, change: Mapping[str, Any]) -> RequestRecord:
    jobs = list(record.jobs)
    for place, job in change["jobs"]:
        jobs[place] = RunnerJob.from_payload(job)
    request = record.request if change["request"] is None else RunnerRequest.from_item(change["request"])
    return RequestRecord(request, tuple(jobs), record.actions, change["accepted"])


def _from_action(action: Action) -> dict[str, Any]:
    outputs = {level: dict(files) for level, files in action.outputs.items()}
    return {"needs": list(action.needs), "run": action.run, "outputs": outputs}


def _to_action(data: Mapping[str, Any]) -> Action:
    return Action(tuple(data["needs"]), data["run"], data["outputs"])


@contextmanager
def _readable(path: Path, *versions: int) -> Iterator[Any]:
    """The file's JSON. An unknown version is an error, because a wrong guess would run jobs twice."""
    try:
        data = json.loads(path.read_bytes())
        if data["version"] not in versions:
            raise ValueError(f"version {data['version']}")
        yield data
    except (ValueError, KeyError, TypeError, AttributeError, Error) as error:
        raise invalid(
            f"was not written by this version of the runner ({error}): move the file away to continue", str(path)
        ) from error


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unavailable(
            f"the runner's state can't be saved: {error.strerror}", str(error.filename or path)
        ) from error
