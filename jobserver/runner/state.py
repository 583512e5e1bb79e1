"""The runner's state on disk, which survives a kill at any moment.

    requests/<id>.json       a request, its jobs, and whether the server has accepted them
    workspaces/<name>.json   which actions succeeded there, and the outputs of each

A reader always gets a whole version of a file.
"""

import fcntl
import json
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
from jobserver.store.fs import replace_durably

_VERSION = 1


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


class StateFolder:
    """The files of one runner. Raises `Error`: unavailable for an error of the disk, invalid for an unreadable file."""

    def __init__(self, root: Path) -> None:
        self.requests = root / "requests"
        self.workspaces = root / "workspaces"
        self._lock = root / "lock"
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
    with _readable(path) as data:
        return RequestRecord(
            RunnerRequest.from_item(data["request"]),
            tuple(RunnerJob.from_payload(job) for job in data["jobs"]),
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
    """The file's JSON. An unknown version is an error, because a wrong guess would run jobs twice."""
    try:
        data = json.loads(path.read_bytes())
        if data["version"] != _VERSION:
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
