"""What the runner knows, on disk: it survives a kill at any moment. Imports errors and this package's shapes.

    requests/<id>.json       a request, its jobs, and whether the server has accepted what they say
    workspaces/<name>.json   which actions succeeded there, and the files that each made

Each file is written beside its place, synced, and renamed into it, so what is read is always some whole version.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jobserver.domain.pipeline.reader import Action
from jobserver.errors import Error, conflict, invalid, unavailable
from jobserver.runner import plan
from jobserver.runner.model import Job, Request

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Record:
    """A request and how far it has come. No jobs: it was not expanded yet. ``accepted``: the server has these jobs."""

    request: Request
    jobs: tuple[Job, ...] = ()
    actions: Mapping[str, Action] = field(default_factory=dict)
    accepted: bool = True

    @property
    def finished(self) -> bool:
        return plan.finished(self.jobs)

    def with_jobs(self, jobs: tuple[Job, ...]) -> "Record":
        return self if jobs == self.jobs else replace(self, jobs=jobs, accepted=False)

    def with_job(self, job: Job) -> "Record":
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


class StateFolder:
    """The files of one runner. Raises `Error`: unavailable if the disk refuses, invalid for a file it can't read."""

    def __init__(self, root: Path) -> None:
        self.requests = root / "requests"
        self.workspaces = root / "workspaces"
        self._lock = root / "lock"
        with _disk(root):
            if not root.exists():
                root.mkdir(parents=True, mode=0o700)  # studies' outputs are for whom the backend's rules name
            for folder in (self.requests, self.workspaces):
                folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self, patience: float = 2.0) -> Iterator[None]:
        """Held while a runner works here. Raises `Error` (conflict) if another one does after ``patience`` seconds.

        Patience, because a process that a killed runner was just starting holds it until it has begun.
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
                        raise conflict("another runner works in this folder", str(self._lock.parent)) from None
                    time.sleep(0.05)
            yield

    def load(self) -> dict[str, Record]:
        """All requests, oldest first. What a crash left half written is removed."""
        records = {}
        with _disk(self.requests):
            for path in sorted(self.requests.iterdir()):
                if path.suffix == ".tmp":
                    path.unlink()
                elif path.suffix == ".json":
                    records[path.stem] = _record(path)
        return records

    def save(self, record: Record) -> None:
        """Durable once this returns."""
        data = {
            "version": _VERSION,
            "request": record.request.as_item(),
            "jobs": record.payload(),
            "actions": {name: _from_action(action) for name, action in record.actions.items()},
            "accepted": record.accepted,
        }
        self._write(self.requests / f"{record.request.identifier}.json", data)

    def forget(self, request: str) -> None:
        with _disk(self.requests):
            (self.requests / f"{request}.json").unlink(missing_ok=True)

    def successes(self, workspace: str) -> dict[str, Success]:
        path = self.workspaces / f"{workspace}.json"
        with _disk(path):
            if not path.exists():
                return {}
            with _readable(path) as data:
                return {
                    action: Success(one["job"], one["sha"], tuple(one["outputs"]))
                    for action, one in data["actions"].items()
                }

    def save_successes(self, workspace: str, successes: Mapping[str, Success]) -> None:
        actions = {a: {"job": s.job, "sha": s.sha, "outputs": list(s.outputs)} for a, s in successes.items()}
        self._write(self.workspaces / f"{workspace}.json", {"version": _VERSION, "actions": actions})

    def _write(self, path: Path, data: Mapping[str, Any]) -> None:
        with _disk(path):
            beside = path.with_suffix(".tmp")
            with beside.open("w", encoding="utf-8") as file:
                json.dump(data, file, ensure_ascii=True, indent=1)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _record(path: Path) -> Record:
    with _readable(path) as data:
        return Record(
            Request.from_item(data["request"]),
            tuple(Job.from_payload(job) for job in data["jobs"]),
            {name: _to_action(action) for name, action in data["actions"].items()},
            data["accepted"],
        )


def _from_action(action: Action) -> dict[str, Any]:
    outputs = {level: dict(files) for level, files in action.outputs.items()}
    return {"needs": list(action.needs), "run": action.run, "outputs": outputs}


def _to_action(data: Mapping[str, Any]) -> Action:
    return Action(tuple(data["needs"]), data["run"], data["outputs"])


@contextmanager
def _readable(path: Path) -> Iterator[Any]:
    """The file's JSON. A file that is not ours is an error: guessing would run jobs twice."""
    try:
        data = json.loads(path.read_bytes())
        if data["version"] != _VERSION:
            raise ValueError(f"version {data['version']}")
        yield data
    except (ValueError, KeyError, TypeError, AttributeError, Error) as error:
        raise invalid(
            f"not written by this version of the runner ({error}); move it away to go on", str(path)
        ) from error


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unavailable(f"the runner's state can't be kept: {error.strerror}", str(error.filename or path)) from error
