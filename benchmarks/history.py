"""History by the hundred thousand, by way of `git fast-import`: what years of use leave on a backend's branch."""

import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jobserver.domain.base import identifiers
from jobserver.domain.base.layout import Area, Place
from jobserver.domain.base.values import timestamp
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.pipelines import PipelineAction, StoredPipeline
from jobserver.domain.job_requests.requests import JobRequest, RequestedWorkspace
from jobserver.store.yaml import codec

ACTIONS = tuple(f"action_{number}" for number in range(5))
PIPELINE = {name: PipelineAction(run=f"python:latest python analysis/{name}.py") for name in ACTIONS}
ACTIVE = 100
_PER_COMMIT = 500
_END = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Made:
    """``active``: ids of the requests that are not finished, without jobs."""

    active: tuple[str, ...]


def request(identifier: str, created_at: datetime) -> JobRequest:
    return JobRequest(
        identifier=identifier,
        backend="tpp",
        created_by="alice",
        created_at=created_at,
        sha="0123456789" * 4,
        requested_actions=ACTIONS,
        database_name="full",
        workspace=RequestedWorkspace(
            name="trends", repo="study", branch="main", db="full", created_by="admin", created_at=created_at
        ),
    )


def job(identifier: str, action: str, created_at: datetime) -> Job:
    return Job(
        identifier=identifier,
        action=action,
        status="succeeded",
        status_code="succeeded",
        status_message="Completed successfully",
        created_at=created_at,
        updated_at=created_at,
        started_at=created_at,
        completed_at=created_at,
        run_command=PIPELINE[action].run,
        metrics={"cpu_seconds": 12.5, "memory_peak": 1024},
        requires_db=True,
    )


def make_history(repository: Path, branch: str, requests: int) -> Made:
    """Adds ``requests`` archived requests of 5 jobs, about 300 a day, and ACTIVE ones without jobs."""
    process = subprocess.Popen(
        ["git", "-C", str(repository), "fast-import", "--quiet", "--date-format=raw"], stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    active: list[str] = []
    with process.stdin as pipe:
        for part in _stream(branch, requests, active):
            pipe.write(part)
    if process.wait():
        raise SystemExit("git fast-import failed")
    subprocess.run(["git", "-C", str(repository), "repack", "-adq"], check=True)
    return Made(tuple(active))


def _stream(branch: str, requests: int, active: list[str]) -> Iterator[bytes]:
    """Documents are written once and then filled in: a hundred thousand times the codec would take minutes."""
    chance = random.Random(1)
    when = datetime(2001, 1, 1, 1, 1, 1, 1, tzinfo=UTC)
    stamp = timestamp(when).encode()
    request_text = codec.write(request("2" * 16, when))
    pipeline_text = codec.write(StoredPipeline(actions=PIPELINE))
    job_texts = [codec.write(job("J", action, when)) for action in ACTIONS]
    for number in range(requests + ACTIVE):
        created = _END - timedelta(seconds=288 * (requests + ACTIVE - number))
        if number % _PER_COMMIT == 0:
            time = int(created.timestamp())
            yield b"commit refs/heads/%s\ncommitter x <x@example.org> %d +0000\n" % (branch.encode(), time)
            yield b"data 7\nhistory\n"
            yield b"from refs/heads/%s^0\n" % branch.encode() if number == 0 else b""
        identifier = identifiers.request_id(identifiers.micros(created), chance.getrandbits(27))
        is_active = number >= requests
        place = Place(Area.ACTIVE if is_active else Area.ARCHIVE, created.date(), identifier)
        time_text = timestamp(created).encode()
        yield _file(place.request, request_text.replace(b"2" * 16, identifier.encode()).replace(stamp, time_text))
        yield _file(place.pipeline, pipeline_text)
        if is_active:
            active.append(identifier)
            continue
        for at, text in enumerate(job_texts):
            name = f"{identifier}{at}"
            yield _file(
                place.job(name),
                text.replace(b"identifier: J", b"identifier: %s" % name.encode()).replace(stamp, time_text),
            )


def _file(path: str, data: bytes) -> bytes:
    return b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)
